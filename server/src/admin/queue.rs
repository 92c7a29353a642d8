//! A queue that an operator names, as clients do.

use protocol::{Key, KeyRules};
use shards::names::shown;
use shards::{ShardId, owner_of};

use crate::session::stored;

/// A queue, a child, or dead letters: the name that it is stored under, and the shard that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) stored: Box<[u8]>,
    pub(crate) owner: ShardId,
    pub(crate) is_dead: bool,
}

impl Named {
    /// What a client means by this key. `None`: a client could not mean a queue by it.
    pub(crate) fn read(key: &[u8], rules: KeyRules, shards: u16) -> Option<Named> {
        let key = Key::of_queue(key, rules)?;
        let stored = stored::name(&key).into_owned().into();
        Some(Named { stored, owner: owner_of(key.queue(), shards), is_dead: key.is_dead() })
    }

    /// The name as a client says it.
    pub(crate) fn shown(&self) -> Vec<u8> {
        shown(&self.stored)
    }

    /// The name for a line of the log, which it cannot break.
    pub(crate) fn logged(&self) -> String {
        self.shown().escape_ascii().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_what_a_client_means_by_its_name() {
        let stored = |key: &str, rules| Named::read(key.as_bytes(), rules, 2).map(|named| named.stored);
        let name = |name: &str| Some(Box::from(name.as_bytes()));
        assert_eq!(stored("q", KeyRules::default()), name("q"));
        assert_eq!(stored("q+c/dead", KeyRules::default()), name("q +c dead"));
        assert_eq!(stored("q+c/dead", KeyRules { options: false, fanout: false }), name("q+c/dead"));
        assert_eq!(stored("q/open", KeyRules::default()), None);
        let owners =
            ["q", "q+c", "q/dead"].map(|key| Named::read(key.as_bytes(), KeyRules::default(), 7).unwrap().owner);
        assert_eq!(owners, [owner_of(b"q", 7); 3], "a queue and what is made of it are on one shard");
        let odd = Named::read("a\u{e9}\"".as_bytes(), KeyRules::default(), 1).unwrap();
        assert_eq!(odd.logged(), "a\\xc3\\xa9\\\"");
    }
}
