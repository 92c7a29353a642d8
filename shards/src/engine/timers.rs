//! What a shard does because time has passed.

use storage::Result;

use crate::engine::Engine;
use crate::engine::exchange::PIECE_OPS;
use crate::engine::shard::WAITS_PER_CLIENT_MAX;
use crate::moment::Moment;

/// What the engine does again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// What failed for now is tried again, and a full disk is looked at anew.
    Retry,
    /// An fdatasync of what was acknowledged after its write.
    Sync,
}

/// How often each of them comes. So long a written frame waits for its fdatasync at most, in the mode that acknowledges
/// after the write.
const PERIOD_MS: u64 = 1000;
/// Waits that are answered in one piece.
const PIECE_WAITS: usize = PIECE_OPS;
// The waits of a client that is gone end in one piece.
const _: () = assert!(WAITS_PER_CLIENT_MAX <= PIECE_WAITS);

impl Engine {
    pub(super) fn start_timers(&mut self, now: Moment) {
        self.timers.set(Timer::Retry, now.after_ms(PERIOD_MS));
        self.timers.set(Timer::Sync, now.after_ms(PERIOD_MS));
    }

    /// When [`pass_time`](Self::pass_time) has something to do at the latest, if nothing becomes due before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        [self.timers.next(), self.shard.next_deadline()].into_iter().flatten().min()
    }

    /// Does a piece of what is due `now`: timers, and waits that have ended. Returns whether there is more to do.
    ///
    /// # Errors
    /// When the disk has failed. The process must stop, and acknowledge nothing more.
    pub fn pass_time(&mut self, now: Moment) -> Result<bool> {
        // A timer that is late, since the shard was, comes once and not once for each period.
        while let Some(timer) = self.timers.pop_due(now) {
            self.timers.set(timer, now.after_ms(PERIOD_MS));
            match timer {
                Timer::Retry => {
                    self.shard.tick();
                    self.progress();
                    self.retry();
                }
                Timer::Sync => self.due.sync = true,
            }
        }
        let more = self.shard.answer_waits(now, PIECE_WAITS)?;
        self.due.commit |= self.shard.late().iter().any(|late| late.outcome.waits_for_commit());
        self.note_waits();
        self.due.time = more;
        Ok(more)
    }
}
