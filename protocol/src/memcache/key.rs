//! A key: a queue's name, perhaps a child of that queue, and behind slashes what is wanted of it.

use super::options::{DEAD, OF_GATE, Options};
use crate::QUEUE_NAME_BYTES_MAX;

// A key's parts are kept as their lengths, in a byte each.
const _: () = assert!(QUEUE_NAME_BYTES_MAX <= u8::MAX as usize);

/// Which bytes of a key have a meaning of their own. Where one has none, it is a byte of the name like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRules {
    /// A `/` begins an option.
    pub options: bool,
    /// A `+` begins a child.
    pub fanout: bool,
}

impl Default for KeyRules {
    fn default() -> KeyRules {
        KeyRules { options: true, fanout: true }
    }
}

/// A key, taken apart. It is 1 to [`QUEUE_NAME_BYTES_MAX`] bytes long, without spaces and control characters, and so are
/// its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    asked: &'a [u8],
    queue_bytes: u8,
    name_bytes: u8,
    is_dead: bool,
}

impl<'a> Key<'a> {
    /// A key that is nothing but a queue's name.
    pub(crate) fn plain(name: &'a [u8]) -> Key<'a> {
        Key { asked: name, queue_bytes: name.len() as u8, name_bytes: name.len() as u8, is_dead: false }
    }

    /// One of the names on a get's line that [has children](crate::Queues::has_children) among them.
    ///
    /// ```
    /// use protocol::Key;
    ///
    /// let key = Key::of_name(b"jobs+audit");
    /// assert_eq!((key.queue(), key.child()), (&b"jobs"[..], Some(&b"audit"[..])));
    /// assert_eq!(Key::of_name(b"jobs").child(), None);
    /// ```
    #[must_use]
    pub fn of_name(name: &'a [u8]) -> Key<'a> {
        let queue_bytes = name.iter().position(|byte| *byte == b'+').unwrap_or(name.len());
        Key { queue_bytes: queue_bytes as u8, ..Key::plain(name) }
    }

    /// The key of a queue, a child or dead letters, under these rules. `None`: it is no key, or asks for more than that.
    ///
    /// ```
    /// use protocol::{Key, KeyRules};
    ///
    /// let of_queue = |key| Key::of_queue(key, KeyRules::default());
    /// let key = of_queue(b"jobs+audit/dead").expect("it means a queue");
    /// assert_eq!((key.queue(), key.child(), key.is_dead()), (&b"jobs"[..], Some(&b"audit"[..]), true));
    /// assert_eq!(of_queue(b"jobs/open"), None);
    /// ```
    #[must_use]
    pub fn of_queue(key: &'a [u8], rules: KeyRules) -> Option<Key<'a>> {
        let (key, options) = read(key, rules)?;
        (options.given() & !DEAD == 0).then_some(key)
    }

    /// The key as it was asked for, with all its options.
    #[must_use]
    pub fn asked(&self) -> &'a [u8] {
        self.asked
    }

    /// The key without its options: the queue's name, with the child's where there is one.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        &self.asked[..self.name_bytes.into()]
    }

    /// The queue's name, without a child's.
    #[must_use]
    pub fn queue(&self) -> &'a [u8] {
        &self.asked[..self.queue_bytes.into()]
    }

    /// The child's name, without the `+`.
    #[must_use]
    pub fn child(&self) -> Option<&'a [u8]> {
        (self.queue_bytes < self.name_bytes).then(|| &self.name()[usize::from(self.queue_bytes) + 1..])
    }

    /// Whether the dead letters of the queue, or of its child, are meant.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.is_dead
    }
}

/// What a key's bytes show at first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// No key: empty, too long, or with a byte that no key may have.
    Bad,
    /// A queue's name and nothing else, under all rules.
    Plain,
    /// There is a `/` or a `+` in it.
    Marked,
}

/// Whether these bytes can be a key, and so a queue's name.
#[inline]
pub(crate) fn is_key(bytes: &[u8]) -> bool {
    look(bytes) != Look::Bad
}

/// Whether a key that is a queue's name means just that queue under these rules: no child of another one, no option, and
/// no bad key.
#[must_use]
pub fn reads_as_name(name: &[u8], rules: KeyRules) -> bool {
    read(name, rules).is_some_and(|(key, _)| key.queue() == name)
}

/// A byte that no key may have.
const BAD: u8 = 1;
/// A byte that may begin an option or a child.
const MARK: u8 = 2;

/// What each byte is. A table, since names are short: one look at each of their bytes tells all.
static BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut control = 0;
    while control <= b' ' as usize {
        bytes[control] = BAD;
        control += 1;
    }
    bytes[0x7f] = BAD;
    bytes[b'/' as usize] = MARK;
    bytes[b'+' as usize] = MARK;
    bytes
};

#[inline]
pub(crate) fn look(key: &[u8]) -> Look {
    let found = key.iter().fold(0, |found, byte| found | BYTES[usize::from(*byte)]);
    if found & BAD != 0 || key.is_empty() || key.len() > QUEUE_NAME_BYTES_MAX {
        Look::Bad
    } else if found == 0 {
        Look::Plain
    } else {
        Look::Marked
    }
}

/// Takes a key apart. `None`: it is none, or one of its options is bad or there twice.
#[inline]
pub(crate) fn read(key: &[u8], rules: KeyRules) -> Option<(Key<'_>, Options<'_>)> {
    match look(key) {
        Look::Bad => None,
        Look::Plain => Some((Key::plain(key), Options::default())),
        Look::Marked => read_marked(key, rules),
    }
}

/// The queue and the buyer of a key that looks [`Marked`](Look::Marked), is for a ticket, and has no other slash in front:
/// in a rush nearly all are so, and this is the short way. `None`: [`read_marked`] tells.
#[inline]
pub(crate) fn ticket_alone(key: &[u8], rules: KeyRules) -> Option<(Key<'_>, &[u8])> {
    let queue_bytes = key.iter().position(|byte| BYTES[usize::from(*byte)] == MARK)?;
    let buyer = key[queue_bytes..].strip_prefix(b"/ticket=")?;
    let good = rules.options && queue_bytes > 0 && !buyer.is_empty();
    good.then(|| (Key { asked: key, ..Key::plain(&key[..queue_bytes]) }, buyer))
}

/// Takes a key apart that looks [`Marked`](Look::Marked).
#[cold]
pub(crate) fn read_marked(key: &[u8], rules: KeyRules) -> Option<(Key<'_>, Options<'_>)> {
    let (name_bytes, options) = match rules.options {
        true => Options::read(key)?,
        false => (key.len(), Options::default()),
    };
    let plus = key[..name_bytes].iter().position(|byte| *byte == b'+').filter(|_| rules.fanout);
    let queue_bytes = plus.unwrap_or(name_bytes);
    // Neither a queue nor a child is without a name, and no child has a gate.
    if queue_bytes == 0 || plus == Some(name_bytes - 1) || (plus.is_some() && options.has(OF_GATE)) {
        return None;
    }
    let is_dead = options.has(DEAD);
    Some((Key { asked: key, queue_bytes: queue_bytes as u8, name_bytes: name_bytes as u8, is_dead }, options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memcache::options::{OPEN, TICKET, WAIT};

    const OFF: KeyRules = KeyRules { options: false, fanout: false };

    /// The queue, the child and whether they are dead letters, as text.
    fn parts(key: &str, rules: KeyRules) -> Option<String> {
        let (it, _) = read(key.as_bytes(), rules)?;
        assert_eq!(it.asked(), key.as_bytes());
        let child = it.child().map(|child| format!(" child {}", child.escape_ascii())).unwrap_or_default();
        Some(format!("{}{child}{}", it.queue().escape_ascii(), if it.is_dead() { " dead" } else { "" }))
    }

    #[test]
    fn the_longest_tail_of_options_is_no_part_of_the_name() {
        for (key, wanted) in [
            ("q", "q"),
            ("q/open", "q"),
            ("jobs/todo", "jobs/todo"),
            ("a/b/open", "a/b"),
            ("a/open/b", "a/open/b"),
            ("a/open/b/t=5/open", "a/open/b"),
            ("q/", "q/"),
            ("q/open/", "q/open/"),
            ("q//open", "q/"),
            ("q/Open", "q/Open"),
            ("q/open=1", "q/open=1"),
            ("q/t", "q/t"),
            ("q/dead", "q dead"),
            ("q+c", "q child c"),
            ("q+c/dead/open", "q child c dead"),
            ("q+c/d/open", "q child c/d"),
            ("a/b+c", "a/b child c"),
            ("q+c+d", "q child c+d"),
            ("q/as=a+b/open", "q"),
        ] {
            assert_eq!(parts(key, KeyRules::default()).as_deref(), Some(wanted), "{key}");
        }
    }

    #[test]
    fn keys_that_are_none() {
        let long = format!("{}/open", "q".repeat(246));
        let bad =
            ["", "/open", "/t=1/open", "+c", "q+", "q+/open", "+/open", "q/open/open", "q/t=x", "a b", "a\tb/open"];
        for key in bad.into_iter().chain([long.as_str()]) {
            assert_eq!(parts(key, KeyRules::default()), None, "{key}");
        }
        assert!(parts(&long[1..], KeyRules::default()).is_some(), "options count in a key's length");
    }

    /// With a buyer that may have slashes in it, so they are looked for from the front.
    #[test]
    fn the_options_of_a_gate_are_no_name() {
        for (key, wanted) in [
            ("c/gate", "c"),
            ("c/ticket=a/b", "c"),
            ("c/d/place=a//", "c/d"),
            ("c/paid=a+b", "c"),
            ("c/gate/d", "c/gate/d"),
            ("ticket=a", "ticket=a"),
            ("ticket=/b", "ticket=/b"),
            ("c/ticket", "c/ticket"),
            ("c/tickets=1", "c/tickets=1"),
            ("c/gate=1", "c/gate=1"),
        ] {
            assert_eq!(parts(key, KeyRules::default()).as_deref(), Some(wanted));
            assert_eq!(parts(key, OFF).as_deref(), Some(key));
        }
        for key in ["c/ticket=", "c/paid=", "/ticket=a", "/gate", "c+d/gate", "c+d/ticket=a", "+/ticket=a"] {
            assert_eq!(parts(key, KeyRules::default()), None, "{key}");
            assert_eq!(parts(key, OFF).as_deref(), Some(key));
        }
        let no_fanout = KeyRules { fanout: false, ..KeyRules::default() };
        assert_eq!(parts("c+d/ticket=a", no_fanout).as_deref(), Some("c+d"));
    }

    #[test]
    fn the_short_way_to_a_ticket_finds_what_the_long_one_does() {
        let keys = ["c/ticket=a", "c/ticket=a/b+c/open", "c/ticket=", "/ticket=a", "c+d/ticket=a", "c/d/ticket=a"];
        let mut found = 0;
        for (options, fanout) in [(true, true), (true, false), (false, true), (false, false)] {
            for key in keys.into_iter().chain(["c/place=a", "c/open/ticket=a", "c/", "+", "c/ticket=/ticket=a"]) {
                let rules = KeyRules { options, fanout };
                if let Some((short, buyer)) = ticket_alone(key.as_bytes(), rules) {
                    let (long, options) = read_marked(key.as_bytes(), rules).expect(key);
                    assert_eq!((short, TICKET, buyer), (long, options.given(), options.buyer()), "{key}");
                    found += 1;
                }
            }
        }
        assert_eq!(found, 6, "three keys, with and without children");
    }

    /// Every key that has no space and no control byte: with the rules off, it is a name to its last byte.
    #[test]
    fn a_key_with_the_rules_off_is_a_name_like_any_other() {
        for key in ["q", "q/open", "/open", "q/t=x", "q+", "+c", "q+c/dead", "q/open/open", "c/ticket=a/b", "/", "+"] {
            assert_eq!(read(key.as_bytes(), OFF), Some((Key::plain(key.as_bytes()), Options::default())), "{key}");
        }
    }

    #[test]
    fn each_rule_can_be_off_alone() {
        let no_options = KeyRules { options: false, ..KeyRules::default() };
        assert_eq!(parts("q+c/dead/open", no_options).as_deref(), Some("q child c/dead/open"));
        let no_fanout = KeyRules { fanout: false, ..KeyRules::default() };
        assert_eq!(parts("q+c/dead/open", no_fanout).as_deref(), Some("q+c dead"));
        assert_eq!(parts("+", no_fanout).as_deref(), Some("+"));
    }

    #[test]
    fn a_key_of_a_queue_has_no_option_but_the_dead_letters() {
        let of_queue = |key: &'static str, rules| Key::of_queue(key.as_bytes(), rules).map(|key| key.queue());
        for (key, queue) in [("q", "q"), ("q/dead", "q"), ("q+c/dead", "q"), ("a/b", "a/b"), ("q/open=1", "q/open=1")] {
            assert_eq!(of_queue(key, KeyRules::default()), Some(queue.as_bytes()), "{key}");
        }
        for key in ["q/open", "q/dead/open", "q/config", "c/ticket=a", "q/t=5", "", "a b", "/dead", "+c"] {
            assert_eq!(of_queue(key, KeyRules::default()), None, "{key}");
        }
        assert_eq!(of_queue("q/open", OFF), Some(&b"q/open"[..]));
    }

    #[test]
    fn options_come_in_any_order() {
        for key in ["q/open/t=7", "q/t=7/open"] {
            let (key, options) = read(key.as_bytes(), KeyRules::default()).expect("it is good");
            assert_eq!((key.name(), key.queue(), key.child()), (&b"q"[..], &b"q"[..], None));
            assert!(options.has(OPEN) && options.has(WAIT) && !options.has(DEAD));
            assert_eq!(options.wait_ms(), Some(7));
        }
    }

    #[test]
    fn names_that_mean_something_else_by_now() {
        for (name, wanted) in
            [("q", true), ("a/b", true), ("a b", false), ("a/open", false), ("a+b", false), ("a+", false)]
        {
            assert_eq!(reads_as_name(name.as_bytes(), KeyRules::default()), wanted, "{name}");
        }
        assert!(reads_as_name(b"a+b/open", OFF));
    }

    #[test]
    fn what_a_key_looks_like() {
        for (key, wanted) in [("q", Look::Plain), ("a:b=1", Look::Plain), ("a/b", Look::Marked), ("a+", Look::Marked)] {
            assert_eq!(look(key.as_bytes()), wanted, "{key}");
        }
        for key in ["", "a b", "a/\n", "+\u{7f}", &"q".repeat(251)] {
            assert_eq!(look(key.as_bytes()), Look::Bad, "{key:?}");
        }
    }
}
