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

/// Patterns with commas between them.
fn names(patterns: &str) -> Option<Names> {
    let patterns: Vec<Box<[u8]>> = patterns.split(',').map(|pattern| pattern.as_bytes().into()).collect();
    patterns.iter().all(|pattern| !pattern.is_empty()).then(|| Names(patterns.into()))
}
