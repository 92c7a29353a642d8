//! Dropping messages: a queue's, all queues' at once, and giving back what they held, a little at a time.
//!
//! A flush of all queues is one entry in the log and one number in memory, see [`Live`](crate::queue::live::Live).

use smallvec::SmallVec;

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::Purpose;
use crate::log::entry::{Entry, FLUSH_BYTES, Seq, gone_bytes};
use crate::log::ranges::{RANGE_BYTES_MAX, RangesWriter};
use crate::names;
use crate::queue::live::Given;
use crate::queue::table::Slot;
use crate::store::Store;

/// Messages given back and queues swept in one step: each is a cache miss or two, so a step takes some 300 us.
const STEP_ITEMS: usize = 2048;
/// Bytes of bodies that are freed in one step, the last body apart: the allocator returns large ones to the kernel, 4 MiB
/// in some 300 us.
const STEP_BYTES: usize = 4 << 20;
/// Messages given back by the delete or flush that dropped them, so that shallow queues leave nothing for later, and a
/// client that deletes one queue after the other does as much work as it makes.
const AT_ONCE_ITEMS: usize = 64;

/// A flush of one queue that is to be.
struct Flush {
    /// The messages that stay, since they are open.
    open: Vec<Seq>,
    /// The numbers that go, when some stay.
    pieces: Vec<RangesWriter>,
    /// Bytes that it takes in the log.
    bytes: usize,
}

impl Store {
    /// Drops the messages of a queue, those apart that are open, and its dead letters, and keeps the queue and its counters.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn flush(&mut self, name: &[u8]) -> Result<Attempt<()>> {
        let dead = if names::is_dead(name) { None } else { self.live.queues.find(&names::dead(name)) };
        let slots: SmallVec<[Slot; 2]> = self.live.queues.find(name).into_iter().chain(dead).collect();
        let flushes: SmallVec<[(Slot, Flush); 2]> =
            slots.into_iter().filter_map(|slot| Some((slot, self.prepare_flush(slot)?))).collect();
        let bytes = flushes.iter().map(|(_, flush)| flush.bytes).sum();
        if bytes > self.log.entry_bytes_max() {
            return Ok(Attempt::NoRoom);
        }
        if bytes > 0
            && let Some(held_up) = self.log.make_room(bytes, Purpose::Drop).held_up()
        {
            return Ok(held_up);
        }
        for (slot, flush) in flushes {
            self.flush_one(slot, &flush);
        }
        Ok(Attempt::Done(()))
    }

    /// What the flush of a queue takes; `None`: it changes nothing. It takes as long as open messages are many.
    fn prepare_flush(&mut self, slot: Slot) -> Option<Flush> {
        self.live.follow_flush(slot);
        let queue = self.live.queues.at(slot);
        let open = queue.delivery().map_or(0, |delivery| delivery.open);
        if queue.depth() == open {
            return None;
        }
        if open == 0 {
            return Some(Flush { open: Vec::new(), pieces: Vec::new(), bytes: self.rewritten_bytes(slot) });
        }
        let open = self.live.open_messages(slot);
        let queue = self.live.queues.at(slot);
        let mut pieces = vec![RangesWriter::default()];
        let mut from = queue.head;
        for seq in open.iter().copied().chain([queue.next]) {
            if seq > from {
                if pieces.last().is_some_and(|piece| piece.bytes().len() + RANGE_BYTES_MAX > usize::from(u16::MAX)) {
                    pieces.push(RangesWriter::default());
                }
                pieces.last_mut().expect("there is one").push(from..seq);
            }
            from = seq + 1;
        }
        let bytes = pieces.iter().map(|piece| gone_bytes(piece.bytes().len())).sum();
        Some(Flush { open, pieces, bytes })
    }

    /// Drops all messages of a queue but those that are open; there is room to say so.
    fn flush_one(&mut self, slot: Slot, flush: &Flush) {
        if flush.open.is_empty() {
            self.empty(slot);
            self.rewrite_record(slot, None);
            return;
        }
        let queue = self.live.queues.at(slot).id;
        for piece in &flush.pieces {
            self.log.append(&Entry::Gone { queue, begins: false, ranges: piece.bytes() });
        }
        self.checkpoint.listings.note_emptied(slot);
        self.live.empty_around(slot, &flush.open);
        self.free_dropped(AT_ONCE_ITEMS);
    }

    /// Drops the messages of all queues, also those that are open, and keeps the queues and their counters. It takes the same short time however many
    /// queues there are.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn flush_all(&mut self) -> Result<Attempt<()>> {
        if self.live.messages == 0 {
            return Ok(Attempt::Done(()));
        }
        // One byte, at most once for each message that was put: it may use what is set aside for copying.
        if let Some(held_up) = self.log.make_room(FLUSH_BYTES, Purpose::Copy).held_up() {
            return Ok(held_up);
        }
        let at = self.log.append(&Entry::Flush);
        self.live.flush_all(at);
        Ok(Attempt::Done(()))
    }

    /// Takes all messages out of a queue that follows the last flush. What they held is given back step by step.
    pub(crate) fn empty(&mut self, slot: Slot) {
        self.checkpoint.listings.note_emptied(slot);
        self.live.empty(slot);
        self.free_dropped(AT_ONCE_ITEMS);
    }

    /// Gives back a little of what was dropped. Returns whether there may be more.
    pub(crate) fn give_back_step(&mut self) -> bool {
        self.free_dropped(STEP_ITEMS);
        self.live.forget_dropped_states(STEP_ITEMS);
        for _ in 0..STEP_ITEMS {
            let Some((segment, bytes)) = self.ids.give_back() else { break };
            self.log.sub_live(segment, bytes);
        }
        for _ in 0..STEP_ITEMS {
            let Some((segment, bytes)) = self.gates.give_back() else { break };
            self.log.sub_live(segment, bytes);
        }
        self.is_giving_back()
    }

    /// Whether something that was dropped still counts as live.
    pub(crate) fn is_giving_back(&self) -> bool {
        self.live.is_giving_back() || self.ids.has_forgotten() || self.gates.has_forgotten()
    }

    fn free_dropped(&mut self, items: usize) {
        let mut bytes = 0;
        for _ in 0..items {
            if bytes >= STEP_BYTES {
                return;
            }
            match self.live.give_back() {
                Some(Given::Message(message)) => {
                    bytes += message.resident_bytes();
                    self.log.release(message.place);
                }
                Some(Given::Nothing) => {}
                None => return,
            }
        }
    }
}
