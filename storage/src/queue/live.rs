//! All queues, with what is counted of them, and what they have dropped and not given back yet.
//!
//! A flush of all queues is one number in memory, the epoch: from then on every queue whose own epoch is another has no
//! messages, whatever it still holds. A queue lets go of what it holds when it is used next, or when the sweep over all
//! slots comes to it. Nothing that a client can see differs before and after.

use std::collections::LinkedList;

use crate::log::Position;
use crate::log::entry::{QueueId, Seq};
use crate::queue::extras::Counts;
use crate::queue::states::{Out, States};
use crate::queue::sums::Sums;
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
    /// What is summed up over all queues, beside the messages.
    pub(crate) sums: Sums,
    /// What some messages have beside their bodies.
    pub(crate) states: States,
    /// Queues that have got a message to hand out otherwise than by a put into them, since this was taken.
    pub(crate) awake: Vec<QueueId>,
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
            sums: Sums::of(queues.iter()),
            record_bytes: queues.iter().map(|queue| queue.record_bytes() as u64).sum(),
            queues,
            states: States::default(),
            awake: Vec::new(),
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
        self.sums.note_all_cleared();
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
        if queue.delivery().is_some_and(|delivery| delivery.states > 0) {
            self.states.drop_below(queue.id, queue.next);
        }
        self.dropped.extend(queue.clear());
    }

    /// Takes all messages out of a queue that follows the last flush. What they held is given back step by step.
    pub(crate) fn empty(&mut self, slot: Slot) {
        let queue = self.queues.at_mut(slot);
        self.messages -= queue.depth();
        self.sums.note_cleared(queue, 0);
        self.resident -= queue.resident_bytes();
        if queue.delivery().is_some_and(|delivery| delivery.states > 0) {
            self.states.drop_below(queue.id, queue.next);
        }
        self.dropped.extend(queue.clear());
    }

    /// Whether there is something to give back.
    pub(crate) fn is_giving_back(&self) -> bool {
        self.unswept > 0 || !self.dropped.is_empty() || self.states.has_dropped()
    }

    /// Counts something of the queue in a slot, and of all.
    pub(crate) fn count(&mut self, slot: Slot, count: impl Fn(&mut Counts)) {
        self.queues.at_mut(slot).count(&count);
        count(&mut self.sums.counts);
    }

    // ---- messages that are out ----

    /// Notes that the queue in a slot has got a message to hand out.
    pub(crate) fn wake(&mut self, slot: Slot) {
        self.awake.push(self.queues.at(slot).id);
    }

    /// Why a message that waits in the queue of a slot is not handed out; `None`: it may be.
    pub(crate) fn why_out(&self, slot: Slot, seq: Seq) -> Option<Out> {
        let queue = self.queues.at(slot);
        let delivery = queue.delivery()?;
        (!delivery.is_available(seq)).then(|| self.states.why_out(queue.id, seq))
    }

    /// The messages of the queue in a slot that are open, in order. It takes as long as many are out.
    pub(crate) fn open_messages(&self, slot: Slot) -> Vec<Seq> {
        let queue = self.queues.at(slot);
        let ranges = queue.delivery().map(|delivery| delivery.out_ranges(queue.head)).unwrap_or_default();
        let seqs = ranges.into_iter().flat_map(|range| {
            queue.messages_from(range.start).map(|(seq, _)| seq).take_while(move |seq| *seq < range.end)
        });
        seqs.filter(|seq| self.why_out(slot, *seq) == Some(Out::Open)).collect()
    }

    /// Takes all messages out of a queue but these, which are open.
    pub(crate) fn empty_around(&mut self, slot: Slot, open: &[Seq]) {
        let queue = self.queues.at_mut(slot);
        self.messages -= queue.depth() - open.len() as u64;
        self.sums.note_cleared(queue, open.len() as u64);
        self.resident -= queue.resident_bytes();
        let states = queue.delivery().map_or(0, |delivery| delivery.states);
        let id = queue.id;
        let kept_states =
            if states > 0 { open.iter().filter(|seq| self.states.get(id, **seq).is_some()).count() } else { 0 };
        if states > kept_states as u64 {
            self.states.drop_below(id, queue.next);
        }
        self.dropped.extend(queue.clear_around(open, kept_states as u64));
        self.resident += queue.resident_bytes();
    }

    /// Forgets states of messages that were dropped, of up to so many that are looked at.
    pub(crate) fn forget_dropped_states(&mut self, limit: usize) {
        let Live { queues, states, epoch, .. } = self;
        states.forget_dropped(limit, |queue, seq| {
            let queue = queues.find_id(queue).map(|slot| queues.at(slot)).filter(|queue| queue.epoch == *epoch);
            queue.is_some_and(|queue| queue.message(seq).is_some())
        });
    }

    /// Notes that a message is about to leave the queue of a slot.
    #[inline]
    pub(crate) fn note_leaving(&mut self, slot: Slot, seq: Seq) {
        if self.queues.at(slot).delivery().is_some() {
            self.forget_delivery(slot, seq);
        }
    }

    fn forget_delivery(&mut self, slot: Slot, seq: Seq) {
        let out = self.why_out(slot, seq);
        let queue = self.queues.at_mut(slot);
        let next = if out.is_none() { queue.next_available() } else { None };
        let id = queue.id;
        let delivery = queue.delivery_mut();
        match out {
            None => delivery.leave(seq, next),
            Some(out) => {
                *delivery.count_mut(out) -= 1;
                self.sums.delayed -= u64::from(out != Out::Open);
            }
        }
        if delivery.states > 0 {
            delivery.states -= u64::from(self.states.remove(id, seq));
        }
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
