//! What a shard does because time has passed.

use storage::Result;

use crate::engine::Engine;
use crate::engine::exchange::PIECE_OPS;
use crate::engine::lines::WAITS_PER_CLIENT_MAX;
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
/// Things of each kind that are done in one piece: waits that end, leases that do, delays.
const PIECE_TIMED: usize = PIECE_OPS;
// The waits of a client that is gone end in one piece.
const _: () = assert!(WAITS_PER_CLIENT_MAX <= PIECE_TIMED);

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

    /// Does a piece of what is due `now`: timers, waits and leases that have ended, delays that have run out, messages that
    /// are too old. Returns whether there is more to do.
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
        if self.shard.take_more_to_end() {
            self.retry();
        }
        self.passed = now;
        let more = self.shard.pass_time(now, PIECE_TIMED)?;
        self.due.commit |= self.shard.store().wants_commit();
        self.note_waits();
        self.due.time = more;
        Ok(more)
    }
}
