//! Messages of a queue that an operator drops: as if they were taken, the oldest first, a piece at a time.

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::Purpose;
use crate::log::entry::{Seq, TAKE_BYTES};
use crate::queue::states::Out;
use crate::queue::table::Slot;
use crate::store::Store;
use crate::store::gates::KEPT_BACK_MS;

/// Messages that a piece of a purge looks at: some 200 us.
const LOOKS_AT_ONCE: usize = 512;
/// Bytes of bodies that a piece frees, the last body apart: the allocator returns large ones to the kernel.
const BYTES_AT_ONCE: usize = 1 << 20;

/// What a piece of a purge has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Messages that it has dropped.
    pub count: u64,
    /// Behind which message the purge goes on; `None`: it has dropped as many as it was to, or there are no more.
    pub next: Option<Seq>,
}

impl Store {
    /// Drops the oldest messages of a queue that have a number above `after`, up to `count`: a piece of them. What is open
    /// stays, and so does what a gate keeps back for a ticket that is not paid. A message that is dropped counts among
    /// those that have left the queue.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn purge(&mut self, name: &[u8], after: Seq, count: u32) -> Result<Attempt<Purged>> {
        let (mut purged, mut bytes) = (Purged::default(), 0);
        let (Some(slot), Some(from)) = (self.live.queues.find(name), after.checked_add(1)) else {
            return Ok(Attempt::Done(purged));
        };
        self.live.follow_flush(slot);
        let seqs = self.live.queues.at(slot).messages_from(from).map(|(seq, _)| seq);
        let seqs: Vec<Seq> = seqs.take(LOOKS_AT_ONCE).collect();
        for seq in seqs.iter().copied().filter(|_| count > 0) {
            if self.may_be_purged(slot, seq) {
                match self.log.make_room(TAKE_BYTES, Purpose::Take) {
                    Attempt::Done(()) => {}
                    held_up if purged.count == 0 => return Ok(held_up.map(|()| purged)),
                    Attempt::NoRoom | Attempt::Wait => return Ok(Attempt::Done(purged)),
                }
                bytes += self.remove(slot, seq).resident_bytes();
                purged.count += 1;
                if purged.count == u64::from(count) {
                    return Ok(Attempt::Done(Purged { next: None, ..purged }));
                }
            }
            purged.next = Some(seq);
            if bytes >= BYTES_AT_ONCE {
                return Ok(Attempt::Done(purged));
            }
        }
        if seqs.len() < LOOKS_AT_ONCE {
            purged.next = None;
        }
        Ok(Attempt::Done(purged))
    }

    fn may_be_purged(&self, slot: Slot, seq: Seq) -> bool {
        let is_of_ticket = || {
            let state = self.live.states.get(self.live.queues.at(slot).id, seq);
            state.is_some_and(|state| state.not_before == KEPT_BACK_MS)
        };
        match self.live.why_out(slot, seq) {
            None | Some(Out::Dying) => true,
            Some(Out::Delayed) => !is_of_ticket(),
            Some(Out::Open) => false,
        }
    }
}
