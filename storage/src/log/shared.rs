//! Puts that are the messages of several queues: one body in the log, however many queues have it. It stays until the last
//! of them has let go of it.

use std::collections::BTreeMap;

use crate::log::Position;
use crate::log::entry::{QueueId, Seq};

/// The puts that several queues have, or had.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    puts: BTreeMap<Position, SharedPut>,
    /// Messages in excess of one for each put.
    beyond: u64,
}

/// A put that several queues have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SharedPut {
    /// The message that the put names. It may be gone, as long as others are there.
    named: (QueueId, Seq),
    /// Messages that have not let go of it yet.
    holders: u32,
    /// Bytes that count as live beside the put: what a copy would say of the messages that are left.
    also_bytes: u32,
}

impl Shared {
    /// Notes a put of so many messages, more than one of which there once were, with so many bytes that say which.
    pub(crate) fn add(&mut self, at: Position, named: (QueueId, Seq), holders: u32, also_bytes: u32) {
        self.puts.insert(at, SharedPut { named, holders, also_bytes });
        self.beyond += u64::from(holders - 1);
    }

    /// The message that the put at a place names; `None`: it was never more than one.
    pub(crate) fn named(&self, at: Position) -> Option<(QueueId, Seq)> {
        self.puts.get(&at).map(|put| put.named)
    }

    /// Notes that a message has let go of its put, which takes so many bytes. Returns how many are no longer live.
    #[inline]
    pub(crate) fn release(&mut self, at: Position, put_bytes: usize) -> usize {
        if self.puts.is_empty() { put_bytes } else { self.release_one(at, put_bytes) }
    }

    #[cold]
    fn release_one(&mut self, at: Position, put_bytes: usize) -> usize {
        let Some(put) = self.puts.get_mut(&at) else { return put_bytes };
        if put.holders > 1 {
            let its_part = put.also_bytes / put.holders;
            put.holders -= 1;
            put.also_bytes -= its_part;
            self.beyond -= 1;
            return its_part as usize;
        }
        let also_bytes = put.also_bytes as usize;
        self.puts.remove(&at);
        put_bytes + also_bytes
    }

    /// Messages in excess of one for each put: each has a take of its own, and gives no room back.
    pub(crate) fn beyond(&self) -> u64 {
        self.beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_is_held_until_its_last_message_lets_go() {
        let mut shared = Shared::default();
        let at = |segment, offset| Position { segment, offset };
        assert_eq!(shared.release(at(1, 112), 129), 129, "one of one");
        shared.add(at(1, 112), (7, 1), 3, 10);
        shared.add(at(1, 300), (7, 2), 2, 5);
        shared.add(at(2, 112), (7, 3), 5, 11);
        assert_eq!((shared.named(at(1, 300)), shared.named(at(1, 301))), (Some((7, 2)), None));
        assert_eq!(shared.beyond(), 2 + 1 + 4);
        assert_eq!(shared.release(at(1, 500), 99), 99, "one of one");
        let mut release = |segment, offset| shared.release(at(segment, offset), 100);
        assert_eq!((release(1, 112), release(1, 112), release(1, 112), release(1, 112)), (3, 3, 104, 100));
        assert_eq!((release(1, 300), release(1, 300)), (2, 103));
        let last: usize = (0..5).map(|_| release(2, 112)).sum();
        assert_eq!((last, shared.named(at(2, 112)), shared.beyond()), (111, None, 0));
    }
}
