//! Dropping messages: a queue's, all queues' at once, and giving back what they held, a little at a time.
//!
//! A flush of all queues is one entry in the log and one number in memory, the epoch: from then on every queue whose own
//! epoch is another has no messages, whatever it still holds. A queue lets go of what it holds when it is used next, or when
//! the sweep over all slots comes to it. Nothing that a client can see differs before and after.

use std::collections::LinkedList;

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::entry::{Entry, FLUSH_BYTES, put_bytes};
use crate::log::{Position, Purpose};
use crate::queue::table::Slot;
use crate::queue::{Dropped, Epoch};
use crate::store::Store;

/// Messages given back and queues swept in one step: each is a cache miss or two, so a step takes some 300 us.
const STEP_ITEMS: usize = 2048;
/// Bytes of bodies that are freed in one step, the last body apart: the allocator returns large ones to the kernel, 4 MiB
/// in some 300 us.
const STEP_BYTES: usize = 4 << 20;
/// Messages given back by the delete or flush that dropped them, so that shallow queues leave nothing for later, and a client
/// that deletes one queue after the other does as much work as it makes.
const AT_ONCE_ITEMS: usize = 64;

/// What was dropped and is not given back yet.
#[derive(Debug, Default)]
pub(crate) struct Flushing {
    /// Messages of deleted and flushed queues, which still count as live in the log. A list, since no push may move what is
    /// in it already.
    dropped: LinkedList<Dropped>,
    /// The last flush of all queues.
    pub(crate) epoch: Epoch,
    /// Where the log holds it.
    pub(crate) at: Position,
    /// The slot that the sweep comes to next, and how many it has not come to since the last flush of all queues.
    next: Slot,
    unswept: Slot,
}

impl Flushing {
    /// Whether there is something to give back.
    pub(crate) fn is_under_way(&self) -> bool {
        self.unswept > 0 || !self.dropped.is_empty()
    }
}

impl Store {
    /// Drops the messages of a queue, and keeps the queue and its counters.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn flush(&mut self, name: &[u8]) -> Result<Attempt<()>> {
        let Some(slot) = self.queues.find(name) else {
            return Ok(Attempt::Done(()));
        };
        self.follow_flush(slot);
        let queue = self.queues.at(slot);
        if queue.depth() == 0 {
            return Ok(Attempt::Done(()));
        }
        if let Some(held_up) = self.log.make_room(queue.record_bytes(), Purpose::Drop).held_up() {
            return Ok(held_up);
        }
        self.empty(slot);
        self.rewrite_record(slot, None);
        Ok(Attempt::Done(()))
    }

    /// Drops the messages of all queues, and keeps the queues and their counters. It takes the same short time however many
    /// queues there are.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn flush_all(&mut self) -> Result<Attempt<()>> {
        if self.messages == 0 {
            return Ok(Attempt::Done(()));
        }
        // One byte, at most once for each message that was put: it may use what is set aside for copying.
        if let Some(held_up) = self.log.make_room(FLUSH_BYTES, Purpose::Copy).held_up() {
            return Ok(held_up);
        }
        self.flushing.at = self.log.append(&Entry::Flush);
        // The sweep has been everywhere long before a number comes again: each flush needs a put before it.
        self.flushing.epoch = self.flushing.epoch.wrapping_add(1);
        self.flushing.unswept = self.queues.slots();
        self.messages = 0;
        Ok(Attempt::Done(()))
    }

    /// Has the queue in a slot, if there is one, let go of what the last flush of all queues has dropped. Every use of a
    /// queue's messages and numbers begins with it.
    #[inline]
    pub(crate) fn follow_flush(&mut self, slot: Slot) {
        if self.queues.get(slot).is_some_and(|queue| queue.epoch != self.flushing.epoch) {
            self.let_go(slot);
        }
    }

    #[cold]
    fn let_go(&mut self, slot: Slot) {
        let queue = self.queues.at_mut(slot);
        queue.epoch = self.flushing.epoch;
        self.checkpoint.note_change(slot);
        self.resident -= queue.resident_bytes();
        self.flushing.dropped.extend(queue.clear());
    }

    /// Takes all messages out of a queue that follows the last flush. What they held is given back step by step.
    pub(crate) fn empty(&mut self, slot: Slot) {
        self.checkpoint.note_change(slot);
        let queue = self.queues.at_mut(slot);
        self.messages -= queue.depth();
        self.resident -= queue.resident_bytes();
        self.flushing.dropped.extend(queue.clear());
        self.give_back(AT_ONCE_ITEMS);
    }

    /// Gives back a little of what was dropped. Returns whether there may be more.
    pub(crate) fn give_back_step(&mut self) -> bool {
        self.give_back(STEP_ITEMS);
        self.flushing.is_under_way()
    }

    fn give_back(&mut self, items: usize) {
        let mut bytes = 0;
        for _ in 0..items {
            if bytes >= STEP_BYTES {
                return;
            }
            if let Some(dropped) = self.flushing.dropped.front_mut() {
                match dropped.pop() {
                    Some(message) => {
                        bytes += message.resident_bytes();
                        self.log.sub_live(message.place.segment, put_bytes(message.place.body_bytes as usize));
                    }
                    None => drop(self.flushing.dropped.pop_front()),
                }
            } else if self.flushing.unswept > 0 {
                self.sweep_one();
            } else {
                return;
            }
        }
    }

    fn sweep_one(&mut self) {
        let slot = self.flushing.next;
        self.follow_flush(slot);
        self.flushing.unswept -= 1;
        self.flushing.next = if slot + 1 < self.queues.slots() { slot + 1 } else { 0 };
    }
}
