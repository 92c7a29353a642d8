//! Bodies that leave memory.

use crate::log::{Log, Position};
use crate::memory::Memory;
use crate::queue::live::Live;
use crate::queue::table::Slot;

/// Queues that are looked at in one search for bodies to evict.
const SLOTS_SEARCHED_MAX: u32 = 4096;
/// Evicted beyond what the budget asks for, in bytes.
const SLACK_BYTES_MAX: usize = 256 << 10;
/// Taken from one queue before the next has its turn, in bytes, unless the budget asks for more.
const VISIT_BYTES: usize = 64 << 10;
/// Bodies near the head that a queue keeps, in bytes, when others can be evicted.
const KEPT_BYTES: usize = 64 << 10;

/// The search for bodies that may leave memory, which goes round all queues.
#[derive(Debug, Default)]
pub(crate) struct EvictionHand {
    /// The queue that is next.
    slot: Slot,
    /// Up to where the log was written when this round began.
    round: Position,
    /// The same for the round before.
    since: Position,
}

impl EvictionHand {
    fn advance(&mut self, slots: Slot, written: Position) {
        self.slot += 1;
        if self.slot >= slots {
            *self = EvictionHand { slot: 0, round: written, since: self.round };
        }
    }
}

impl Memory {
    /// Bytes of bodies that may be in memory beside the windows.
    fn budget(&self) -> usize {
        self.bytes_max.saturating_sub(self.windows.resident_bytes())
    }

    /// Whether the bodies in memory take half of what they may.
    pub(crate) fn is_half_full(&self, live: &Live) -> bool {
        live.resident > self.budget() / 2
    }

    /// Evicts bodies when there are more than the budget allows, with some slack so that the next sets need no search.
    ///
    /// A hand goes round all queues, and takes from each what came since it began its round before: so the bodies that
    /// leave memory in one round are neighbours in the log, and one window brings many of them back. When that is not
    /// enough, it takes from each queue some of the bodies farthest from the head.
    pub(crate) fn keep_to_budget(&mut self, live: &mut Live, log: &Log) {
        let budget = self.budget();
        if live.resident <= budget {
            return;
        }
        let target = budget - (budget / 64).min(SLACK_BYTES_MAX);
        for only_new in [true, false] {
            for _ in 0..SLOTS_SEARCHED_MAX.min(live.queues.slots()) {
                let visit = if only_new { usize::MAX } else { VISIT_BYTES.max(live.resident.saturating_sub(budget)) };
                let bytes_to_free = visit.min(live.resident - target);
                live.follow_flush(self.hand.slot);
                if let Some(queue) = live.queues.get_mut(self.hand.slot).filter(|queue| queue.resident_bytes() > 0) {
                    let keep = (queue.resident_bytes() / 2).min(KEPT_BYTES);
                    let since = if only_new { self.hand.since } else { Position::default() };
                    live.resident -= queue.evict(keep, bytes_to_free, since..log.written_position());
                }
                if live.resident <= target {
                    return;
                }
                self.hand.advance(live.queues.slots(), log.written_position());
            }
        }
    }
}
