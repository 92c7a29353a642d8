//! All queues, with what is counted of them, and what they have dropped and not given back yet.
//!
//! A flush of all queues is one number in memory, the epoch: from then on every queue whose own epoch is another has no
//! messages, whatever it still holds. A queue lets go of what it holds when it is used next, or when the sweep over all
//! slots comes to it. Nothing that a client can see differs before and after.

use std::collections::LinkedList;

use crate::log::Position;
use crate::queue::table::{Queues, Slot};
use crate::queue::{Dropped, Epoch, Message, Queue};

/// The queues of a store.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) queues: Queues,
    /// Messages that wait. Those that a flush of all queues has dropped do not count, wherever they still are.
    pub(crate) messages: u64,
    /// Bytes of bodies in memory.
    pub(crate) resident: usize,
    /// Bytes that the records of all queues take in the log.
    pub(crate) record_bytes: u64,
    /// Messages of deleted and flushed queues, which still count as live in the log. A list, since no push may move what is
    /// in it already.
    dropped: LinkedList<Dropped>,
    /// Counts the flushes of all queues.
    epoch: Epoch,
    /// Where the log holds the last of them.
    flushed_at: Position,
    /// The slot that the sweep comes to next, and how many it has not come to since the last flush of all queues.
    next: Slot,
    unswept: Slot,
}

/// One step of giving back.
#[derive(Debug)]
pub(crate) enum Given {
    /// A message, which is no longer live.
    Message(Message),
    /// A queue was looked at, or what it had dropped is all given back.
    Nothing,
}

impl Live {
    pub(crate) fn new(queues: Queues) -> Live {
        Live {
            messages: queues.iter().map(Queue::depth).sum(),
            resident: 0,
            record_bytes: queues.iter().map(|queue| queue.record_bytes() as u64).sum(),
            queues,
            dropped: LinkedList::new(),
            epoch: 0,
            flushed_at: Position::default(),
            next: 0,
            unswept: 0,
        }
    }

    /// The epoch of a queue that has followed all flushes.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Where the log holds the last flush of all queues.
    pub(crate) fn flushed_at(&self) -> Position {
        self.flushed_at
    }

    /// Drops the messages of all queues, which the log says at `at`.
    pub(crate) fn flush_all(&mut self, at: Position) {
        self.flushed_at = at;
        // The sweep has been everywhere long before a number comes again: each flush needs a put before it.
        self.epoch = self.epoch.wrapping_add(1);
        self.unswept = self.queues.slots();
        self.messages = 0;
    }

    /// Has the queue in a slot, if there is one, let go of what the last flush of all queues has dropped. Every use of a
    /// queue's messages and numbers begins with it.
    #[inline]
    pub(crate) fn follow_flush(&mut self, slot: Slot) {
        if self.queues.get(slot).is_some_and(|queue| queue.epoch != self.epoch) {
            self.let_go(slot);
        }
    }

    #[cold]
    fn let_go(&mut self, slot: Slot) {
        let queue = self.queues.at_mut(slot);
        queue.epoch = self.epoch;
        self.resident -= queue.resident_bytes();
        self.dropped.extend(queue.clear());
    }

    /// Takes all messages out of a queue that follows the last flush. What they held is given back step by step.
    pub(crate) fn empty(&mut self, slot: Slot) {
        let queue = self.queues.at_mut(slot);
        self.messages -= queue.depth();
        self.resident -= queue.resident_bytes();
        self.dropped.extend(queue.clear());
    }

    /// Whether there is something to give back.
    pub(crate) fn is_giving_back(&self) -> bool {
        self.unswept > 0 || !self.dropped.is_empty()
    }

    /// Gives back one of the messages that were dropped, or comes to the next queue; `None`: there is nothing left to do.
    pub(crate) fn give_back(&mut self) -> Option<Given> {
        if let Some(dropped) = self.dropped.front_mut() {
            let message = dropped.pop();
            if message.is_none() {
                self.dropped.pop_front();
            }
            return Some(message.map_or(Given::Nothing, Given::Message));
        }
        if self.unswept == 0 {
            return None;
        }
        let slot = self.next;
        self.follow_flush(slot);
        self.unswept -= 1;
        self.next = if slot + 1 < self.queues.slots() { slot + 1 } else { 0 };
        Some(Given::Nothing)
    }
}
