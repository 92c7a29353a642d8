//! What a user may do: the words behind the password in the file of `--users`.

use std::num::NonZeroU64;

use shards::matches;

/// A user's rights.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    /// All that there is to do.
    is_admin: bool,
    put: Names,
    take: Names,
    /// Bytes of messages that may be put a second; `None`: as many as the server takes.
    rate: Option<NonZeroU64>,
}

/// Names of queues, by patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Names(Box<[Box<[u8]>]>);

impl Names {
    fn has(&self, queue: &[u8]) -> bool {
        self.0.iter().any(|pattern| matches(pattern, queue))
    }
}

impl Rights {
    /// Reads words with blanks between them.
    ///
    /// # Errors
    /// A word that is none, or is there twice.
    pub(super) fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Rights, String> {
        let mut rights = Rights::default();
        let mut seen: Vec<&str> = Vec::new();
        for word in words {
            let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            if seen.contains(&name) {
                return Err(format!("{name} is there twice"));
            }
            seen.push(name);
            let bad = || format!("bad word {word}: a word is admin, put=PATTERN,... take=PATTERN,... or rate=BYTES");
            match (name, value) {
                ("admin", None) => rights.is_admin = true,
                ("put", Some(patterns)) => rights.put = names(patterns).ok_or_else(bad)?,
                ("take", Some(patterns)) => rights.take = names(patterns).ok_or_else(bad)?,
                ("rate", Some(bytes)) => rights.rate = Some(bytes.parse().map_err(|_| bad())?),
                _ => return Err(bad()),
            }
        }
        Ok(rights)
    }

    /// Whether all may be done, to every queue and to the server.
    pub(crate) fn is_admin(&self) -> bool {
        self.is_admin
    }

    /// Whether messages may be put into the queue of this name: as a client says it, with a child's, without options and
    /// without `/dead`.
    pub(crate) fn may_put(&self, queue: &[u8]) -> bool {
        self.is_admin || self.put.has(queue)
    }

    /// Whether messages may be taken from the queue of this name, and from its dead letters. The name is as in
    /// [`may_put`](Self::may_put).
    pub(crate) fn may_take(&self, queue: &[u8]) -> bool {
        self.is_admin || self.take.has(queue)
    }

    /// Bytes of messages that may be put a second.
    pub(crate) fn rate(&self) -> Option<NonZeroU64> {
        self.rate
    }
}

/// Patterns of one word: all of them may be looked at for each name on a line.
const PATTERNS_MAX: usize = 100;

/// Patterns with commas between them.
fn names(patterns: &str) -> Option<Names> {
    let patterns: Vec<Box<[u8]>> = patterns.split(',').map(|pattern| pattern.as_bytes().into()).collect();
    let is_good = patterns.len() <= PATTERNS_MAX && patterns.iter().all(|pattern| !pattern.is_empty());
    is_good.then(|| Names(patterns.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(words: &str) -> Result<Rights, String> {
        Rights::parse(words.split(' ').filter(|word| !word.is_empty()))
    }

    #[test]
    fn patterns_speak_of_whole_names_as_they_are_said() {
        let shop = rights("put=orders,mail-* take=order? rate=1000").expect("good");
        for (queue, may_put, may_take) in [
            ("orders", true, true),
            ("order1", false, true),
            ("mail-", true, false),
            ("mail-a+audit", true, false),
            ("orders+audit", false, false),
            ("xorders", false, false),
        ] {
            let may = (shop.may_put(queue.as_bytes()), shop.may_take(queue.as_bytes()));
            assert_eq!(may, (may_put, may_take), "{queue}");
        }
        assert!(!shop.is_admin() && shop.rate() == NonZeroU64::new(1000));
    }

    #[test]
    fn an_admin_may_do_all_and_a_user_without_words_may_look() {
        let (admin, monitor) = (rights("admin").expect("good"), rights("").expect("good"));
        assert!(admin.is_admin() && admin.may_put(b"q") && admin.may_take(b"q") && admin.rate().is_none());
        assert!(!monitor.is_admin() && !monitor.may_put(b"q") && !monitor.may_take(b"q"));
    }

    #[test]
    fn a_word_that_is_none_is_named() {
        for word in ["Admin", "admin=1", "put", "put=", "put=a,,b", "take=a,", "rate=0", "rate=x", "rate=-1", "x=1"] {
            let error = rights(word).expect_err(word);
            assert!(error.starts_with(&format!("bad word {word}: ")), "{error}");
        }
        assert_eq!(rights("put=a put=b").expect_err("twice"), "put is there twice");
        let many = format!("take={}", ["q"; PATTERNS_MAX + 1].join(","));
        assert!(rights(&many).is_err() && rights(&many[..many.len() - 2]).is_ok());
    }
}
