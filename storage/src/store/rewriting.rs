//! Copying a queue's record forward. The numbers above its head that are gone are listed first, a piece at a time, however
//! many they are; meanwhile the queue goes on changing, and says so behind the list.

use crate::attempt::Attempt;
use crate::log::Purpose;
use crate::log::entry::{Entry, QueueId, Seq, gone_bytes};
use crate::log::ranges::{RANGE_BYTES_MAX, RangesWriter};
use crate::queue::table::Slot;
use crate::store::Store;

/// Messages that are looked at for one piece of a list, at most.
const LOOKS_MAX: usize = 512;

const _: () = assert!((LOOKS_MAX + 1) * RANGE_BYTES_MAX <= u16::MAX as usize, "a piece says its length in two bytes");

/// A queue's record on its way to the end of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rewriting {
    queue: QueueId,
    /// The segment that it is copied out of.
    from: u32,
    /// The segment of the first piece, once there is one.
    listed_in: Option<u32>,
    /// The numbers below this one are listed.
    next: Seq,
}

impl Store {
    /// Copies a queue's record forward, or a piece of the list in front of it. `Done(false)`: there is more to copy.
    pub(crate) fn copy_record(&mut self, slot: Slot, purpose: Purpose) -> Attempt<bool> {
        self.live.follow_flush(slot);
        let queue = self.live.queues.at(slot);
        let under_way = self.rewriting.filter(|it| (it.queue, it.from) == (queue.id, queue.record_segment));
        let next = under_way.map_or(queue.head, |rewriting| rewriting.next.max(queue.head));
        if queue.gaps() > 0 && next < queue.next {
            let mut ranges = RangesWriter::default();
            // A range ends before each message, and one at the end.
            let looks = (self.log.entry_bytes_max() / 2 / RANGE_BYTES_MAX - 1).min(LOOKS_MAX);
            let goes_on = queue.gaps_from(next, looks, |range| ranges.push(range)).unwrap_or(queue.next);
            let mut rewriting = Rewriting {
                queue: queue.id,
                from: queue.record_segment,
                listed_in: under_way.and_then(|rewriting| rewriting.listed_in),
                next: goes_on,
            };
            if !ranges.bytes().is_empty() {
                let room = self.log.make_room(gone_bytes(ranges.bytes().len()), purpose);
                if let Some(held_up) = room.held_up() {
                    return held_up;
                }
                let begins = rewriting.listed_in.is_none();
                let at = self.log.append(&Entry::Gone { queue: rewriting.queue, begins, ranges: ranges.bytes() });
                rewriting.listed_in = rewriting.listed_in.or(Some(at.segment));
            }
            self.rewriting = Some(rewriting);
            return Attempt::Done(false);
        }
        if let Some(held_up) = self.log.make_room(self.rewritten_bytes(slot), purpose).held_up() {
            return held_up;
        }
        let listed_in =
            under_way.filter(|_| self.live.queues.at(slot).gaps() > 0).and_then(|rewriting| rewriting.listed_in);
        self.rewriting = None;
        self.rewrite_record(slot, listed_in);
        Attempt::Done(true)
    }
}
