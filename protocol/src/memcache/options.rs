//! What stands behind a key's slashes, each at most once and in any order. Which of them go together is their command's.

use super::number;

/// The longest that a get may wait, in milliseconds: a day. The server has a limit of its own.
pub const WAIT_MS_MAX: u32 = 24 * 60 * 60 * 1000;
/// The longest lease and the longest delay, in seconds: a year.
pub const SECONDS_MAX: u32 = 365 * 24 * 60 * 60;
/// The most dead letters that one command puts back.
pub const KICK_MAX: u32 = 10_000;
/// The longest name of a holder, and the longest id of a message, in bytes.
pub const TOKEN_BYTES_MAX: usize = 64;
/// Lease numbers are below this: up to there every number is a double's too, as JavaScript has them.
pub const LEASE_LIMIT: u64 = 1 << 53;

/// A set of options, one bit for each.
pub(crate) type Set = u32;

pub(crate) const OPEN: Set = 1 << 0;
pub(crate) const CLOSE: Set = 1 << 1;
pub(crate) const ABORT: Set = 1 << 2;
pub(crate) const RELEASE: Set = 1 << 3;
pub(crate) const BURY: Set = 1 << 4;
pub(crate) const PEEK: Set = 1 << 5;
pub(crate) const WAIT: Set = 1 << 6;
pub(crate) const NAME: Set = 1 << 7;
pub(crate) const FOR: Set = 1 << 8;
pub(crate) const LEASE: Set = 1 << 9;
pub(crate) const DELAY: Set = 1 << 10;
pub(crate) const ID: Set = 1 << 11;
pub(crate) const DEAD: Set = 1 << 12;
pub(crate) const KICK: Set = 1 << 13;
pub(crate) const CONFIG: Set = 1 << 14;
pub(crate) const GATE: Set = 1 << 15;
pub(crate) const TICKET: Set = 1 << 16;
pub(crate) const PLACE: Set = 1 << 17;
pub(crate) const PAID: Set = 1 << 18;

/// The options of a gate.
pub(crate) const OF_GATE: Set = GATE | TICKET | PLACE | PAID;

/// A key's options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options<'a> {
    given: Set,
    wait_ms: u32,
    for_s: u32,
    delay_s: u32,
    kick: u32,
    lease: u64,
    name: &'a [u8],
    id: &'a [u8],
    buyer: &'a [u8],
}

impl<'a> Options<'a> {
    /// The longest tail of a key that consists of options only. Returns how long the key is without it. `None`: one of
    /// them is bad, or there twice.
    pub(crate) fn read(key: &'a [u8]) -> Option<(usize, Options<'a>)> {
        let mut options = Options::default();
        let mut rest = key;
        if let Some((name_bytes, option, buyer)) = of_buyer(key) {
            if buyer.is_empty() {
                return None;
            }
            (options.given, options.buyer) = (option, buyer);
            rest = &key[..name_bytes];
        }
        while let Some(slash) = rest.iter().rposition(|byte| *byte == b'/') {
            match options.option(&rest[slash + 1..]) {
                Found::None => break,
                Found::Bad => return None,
                Found::Good(option) if options.has(option) => return None,
                Found::Good(option) => options.given |= option,
            }
            rest = &rest[..slash];
        }
        Some((rest.len(), options))
    }

    /// Takes in what stands between two slashes.
    fn option(&mut self, part: &'a [u8]) -> Found {
        let equals = part.iter().position(|byte| *byte == b'=');
        let (word, value) = match equals {
            Some(at) => (&part[..at], Some(&part[at + 1..])),
            None => (part, None),
        };
        match (word, value) {
            (b"open", None) => Found::Good(OPEN),
            (b"close", None) => Found::Good(CLOSE),
            (b"abort", None) => Found::Good(ABORT),
            (b"release", None) => Found::Good(RELEASE),
            (b"bury", None) => Found::Good(BURY),
            (b"peek", None) => Found::Good(PEEK),
            (b"dead", None) => Found::Good(DEAD),
            (b"config", None) => Found::Good(CONFIG),
            (b"gate", None) => Found::Good(GATE),
            (b"t", Some(ms)) => given(WAIT, &mut self.wait_ms, up_to(ms, WAIT_MS_MAX)),
            (b"for", Some(seconds)) => given(FOR, &mut self.for_s, up_to(seconds, SECONDS_MAX)),
            (b"delay", Some(seconds)) => given(DELAY, &mut self.delay_s, up_to(seconds, SECONDS_MAX)),
            (b"kick", Some(count)) => given(KICK, &mut self.kick, up_to(count, KICK_MAX).filter(|count| *count > 0)),
            (b"lease", Some(lease)) => {
                given(LEASE, &mut self.lease, number::unsigned(lease).filter(|lease| *lease < LEASE_LIMIT))
            }
            (b"as", Some(name)) => given(NAME, &mut self.name, token(name)),
            (b"id", Some(id)) => given(ID, &mut self.id, token(id)),
            _ => Found::None,
        }
    }

    /// Which options there are.
    pub(crate) fn given(&self) -> Set {
        self.given
    }

    /// Whether there is one of these.
    pub(crate) fn has(&self, any: Set) -> bool {
        self.given & any != 0
    }

    /// `t=`, in milliseconds.
    pub(crate) fn wait_ms(&self) -> Option<u32> {
        self.has(WAIT).then_some(self.wait_ms)
    }

    /// `for=`, in seconds. 0 stands for the queue's own lease.
    pub(crate) fn for_s(&self) -> Option<u32> {
        self.has(FOR).then_some(self.for_s)
    }

    /// `delay=`, in seconds.
    pub(crate) fn delay_s(&self) -> Option<u32> {
        self.has(DELAY).then_some(self.delay_s)
    }

    /// `as=`
    pub(crate) fn name(&self) -> Option<&'a [u8]> {
        self.has(NAME).then_some(self.name)
    }

    /// `lease=`
    pub(crate) fn lease(&self) -> Option<u64> {
        self.has(LEASE).then_some(self.lease)
    }

    /// `id=`; empty when there is none.
    pub(crate) fn id(&self) -> &'a [u8] {
        self.id
    }

    /// What stands behind `ticket=`, `place=` or `paid=`; empty when there is none of these.
    pub(crate) fn buyer(&self) -> &'a [u8] {
        self.buyer
    }

    /// `kick=`; 0 when there is none.
    pub(crate) fn kick(&self) -> u32 {
        self.kick
    }
}

/// The first option of a key that takes all of the key behind it, slashes included: how long the key is without it, which
/// one it is, and its value. Looked for from the front, since the value may look like options.
#[inline]
pub(crate) fn of_buyer(key: &[u8]) -> Option<(usize, Set, &[u8])> {
    let mut slash = key.iter().position(|byte| *byte == b'/')?;
    loop {
        match &key[slash + 1..] {
            [b't', b'i', b'c', b'k', b'e', b't', b'=', buyer @ ..] => return Some((slash, TICKET, buyer)),
            [b'p', b'l', b'a', b'c', b'e', b'=', buyer @ ..] => return Some((slash, PLACE, buyer)),
            [b'p', b'a', b'i', b'd', b'=', buyer @ ..] => return Some((slash, PAID, buyer)),
            behind => slash += 1 + behind.iter().position(|byte| *byte == b'/')?,
        }
    }
}

/// What a part of a key is.
enum Found {
    /// A part of a name.
    None,
    Good(Set),
    Bad,
}

fn given<T>(option: Set, at: &mut T, value: Option<T>) -> Found {
    match value {
        Some(value) => {
            *at = value;
            Found::Good(option)
        }
        None => Found::Bad,
    }
}

/// A number of at most so much.
pub(crate) fn up_to(value: &[u8], most: u32) -> Option<u32> {
    let number = number::unsigned(value).filter(|number| *number <= u64::from(most))?;
    u32::try_from(number).ok()
}

fn token(value: &[u8]) -> Option<&[u8]> {
    (1..=TOKEN_BYTES_MAX).contains(&value.len()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tail: &str) -> Option<Options<'_>> {
        Options::read(tail.as_bytes()).map(|(_, options)| options)
    }

    #[test]
    fn values() {
        let options =
            read("q/t=86400000/for=31536000/delay=0/kick=10000/lease=9007199254740991").expect("all are good");
        assert_eq!(
            (options.wait_ms(), options.for_s(), options.delay_s()),
            (Some(86_400_000), Some(31_536_000), Some(0))
        );
        assert_eq!((options.kick(), options.lease()), (10_000, Some((1 << 53) - 1)));
        let options = read("q/as=a:b/id=c=d").expect("all are good");
        assert_eq!((options.name(), options.id()), (Some(&b"a:b"[..]), &b"c=d"[..]));
        let none = Options::default();
        assert_eq!(
            (none.wait_ms(), none.for_s(), none.delay_s(), none.name(), none.lease()),
            (None, None, None, None, None)
        );
    }

    #[test]
    fn values_that_are_none() {
        for option in [
            "t=",
            "t=x",
            "t=-1",
            "t=86400001",
            "t=4294967296",
            "for=31536001",
            "for=1.5",
            "delay=",
            "delay=+1",
            "kick=0",
            "kick=10001",
            "lease=9007199254740992",
            "lease=18446744073709551616",
            "lease=",
            "as=",
            "id=",
        ] {
            assert_eq!(read(&format!("q/{option}")), None, "{option}");
            assert_eq!(read(&format!("q/{option}/open")), None, "{option}");
        }
        for word in ["as", "id"] {
            assert!(read(&format!("q/{word}={}", "x".repeat(64))).is_some());
            assert_eq!(read(&format!("q/{word}={}", "x".repeat(65))), None);
        }
    }

    #[test]
    fn a_buyer_is_all_that_stands_behind_the_word() {
        for (key, name, option, buyer) in [
            ("c/ticket=a", "c", TICKET, "a"),
            ("c/place=a/b+c/open/", "c", PLACE, "a/b+c/open/"),
            ("c/d/paid=/ticket=a=b", "c/d", PAID, "/ticket=a=b"),
            ("c//ticket=/", "c/", TICKET, "/"),
        ] {
            let (name_bytes, options) = Options::read(key.as_bytes()).expect(key);
            assert_eq!((&key[..name_bytes], options.given(), options.buyer()), (name, option, buyer.as_bytes()));
        }
        for key in ["c/ticket=", "c/place=", "c/paid=", "c/open/ticket="] {
            assert_eq!(read(key), None, "{key}");
        }
        for key in ["c/ticket", "c/tickets=a", "c/Ticket=a", "c/xticket=a", "ticket=a", "c/"] {
            assert_eq!(read(key), Some(Options::default()), "{key}");
        }
        assert_eq!(read("c/open/ticket=a").map(|options| options.given()), Some(OPEN | TICKET));
    }

    #[test]
    fn each_option_is_there_once() {
        let all = "open close abort release bury peek dead config gate t=1 for=1 delay=1 kick=1 lease=1 as=a id=a";
        let mut seen = 0;
        for option in all.split(' ') {
            let key = format!("q/{option}");
            let options = read(&key).expect(option);
            assert_eq!((options.given().count_ones(), options.given() & seen), (1, 0), "{option}");
            seen |= options.given();
            assert_eq!(read(&format!("q/{option}/{option}")), None, "{option}");
            assert_eq!(read(&format!("q/{option}/dead/t=5/{option}")), None, "{option}");
        }
        assert_eq!(seen.count_ones(), 16);
    }
}
