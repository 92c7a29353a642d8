//! Puts that are the messages of several queues: one body in the log, however many queues have it. It stays until the last
//! of them has let go of it.

use std::collections::BTreeMap;

use crate::log::Position;
use crate::log::entry::{QueueId, Seq};

/// The puts that several queues have, or had.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    puts: BTreeMap<Position, SharedPut>,
    /// Messages in excess of one for each put: of all puts, and of those of the segment that got the last one.
    beyond: u64,
    newest: (u32, u64),
    /// The most messages in excess that one segment has got.
    beyond_max: u64,
}

/// A put that several queues have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SharedPut {
    /// The message that the put names. It may be gone, as long as others are there.
    named: (QueueId, Seq),
    /// Messages that have not let go of it yet.
    holders: u32,
}

impl Shared {
    /// Notes a put of so many messages, more than one of which there once were.
    pub(crate) fn add(&mut self, at: Position, named: (QueueId, Seq), holders: u32) {
        if holders == 0 {
            return;
        }
        self.puts.insert(at, SharedPut { named, holders });
        let beyond = u64::from(holders - 1);
        self.beyond += beyond;
        let before = if self.newest.0 == at.segment { self.newest.1 } else { 0 };
        self.newest = (at.segment, before + beyond);
        self.beyond_max = self.beyond_max.max(self.newest.1);
    }

    /// The message that the put at a place names; `None`: it was never more than one.
    pub(crate) fn named(&self, at: Position) -> Option<(QueueId, Seq)> {
        self.puts.get(&at).map(|put| put.named)
    }

    #[cfg(test)]
    pub(crate) fn holders(&self, at: Position) -> Option<u32> {
        self.puts.get(&at).map(|put| put.holders)
    }

    /// Notes that a message has let go of its put. Returns whether it was the last one.
    #[inline]
    pub(crate) fn release(&mut self, at: Position) -> bool {
        self.puts.is_empty() || self.release_one(at)
    }

    #[cold]
    fn release_one(&mut self, at: Position) -> bool {
        let Some(put) = self.puts.get_mut(&at) else { return true };
        put.holders -= 1;
        if put.holders > 0 {
            self.beyond -= 1;
            return false;
        }
        self.puts.remove(&at);
        if self.puts.is_empty() {
            (self.newest, self.beyond_max) = ((0, 0), 0);
        }
        true
    }

    /// Takes that empty one segment, in excess of one for each put in it, at most.
    pub(crate) fn takes_beyond(&self) -> u64 {
        self.beyond.min(self.beyond_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_is_held_until_its_last_message_lets_go() {
        let mut shared = Shared::default();
        let at = |segment, offset| Position { segment, offset };
        assert!(shared.release(at(1, 112)), "one of one");
        shared.add(at(1, 112), (7, 1), 3);
        shared.add(at(1, 300), (7, 2), 2);
        shared.add(at(2, 112), (7, 3), 5);
        assert_eq!((shared.named(at(1, 300)), shared.named(at(1, 301))), (Some((7, 2)), None));
        assert_eq!(shared.takes_beyond(), 4, "of the segment that has the most");
        assert!(shared.release(at(1, 500)), "one of one");
        assert!(!shared.release(at(1, 112)) && !shared.release(at(1, 112)));
        assert_eq!((shared.holders(at(1, 112)), shared.takes_beyond()), (Some(1), 4));
        assert!(shared.release(at(1, 112)));
        assert_eq!((shared.holders(at(1, 112)), shared.named(at(1, 112))), (None, None));
        assert!(!shared.release(at(1, 300)) && shared.release(at(1, 300)));
        assert!((1..5).all(|_| !shared.release(at(2, 112))) && shared.release(at(2, 112)));
        assert_eq!(shared.takes_beyond(), 0);
    }
}
