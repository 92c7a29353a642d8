//! Messages of a queue that an operator drops.

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::Purpose;
use crate::log::entry::{Seq, TAKE_BYTES};
use crate::queue::states::Out;
use crate::store::Store;

/// What a piece of a purge has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purged {
    /// Messages that it has dropped.
    pub count: u64,
    /// Behind which message it goes on; `None`: it has dropped as many as it was to, or there are no more.
    pub next: Option<Seq>,
}

/// Messages that a piece of a purge looks at.
const LOOKS_AT_ONCE: usize = 256;

impl Store {
    /// Drops the oldest messages of a queue that are not open, up to `count` of those behind a number: a piece of them.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn purge(&mut self, name: &[u8], after: Seq, count: u32) -> Result<Attempt<Purged>> {
        let none = Purged { count: 0, next: None };
        let Some(slot) = self.live.queues.find(name) else { return Ok(Attempt::Done(none)) };
        self.live.follow_flush(slot);
        let Some(from) = after.checked_add(1) else { return Ok(Attempt::Done(none)) };
        let seqs = self.live.queues.at(slot).messages_from(from).map(|(seq, _)| seq);
        let seqs: Vec<Seq> = seqs.take(LOOKS_AT_ONCE).collect();
        let mut purged = none;
        for seq in &seqs {
            if purged.count == u64::from(count) {
                return Ok(Attempt::Done(purged));
            }
            if self.live.why_out(slot, *seq) == Some(Out::Open) {
                continue;
            }
            if let Some(held_up) = self.log.make_room(TAKE_BYTES, Purpose::Take).held_up() {
                return Ok(if purged.count == 0 { held_up } else { Attempt::Done(purged) });
            }
            self.remove(slot, *seq);
            purged.count += 1;
        }
        purged.next = (seqs.len() == LOOKS_AT_ONCE).then(|| seqs[LOOKS_AT_ONCE - 1]);
        Ok(Attempt::Done(purged))
    }
}
