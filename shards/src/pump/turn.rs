//! What a connection asks for at once.

use std::cell::RefMut;
use std::time::Instant;

use storage::FrameNumber;

use super::Pump;
use super::piece::Piece;
use crate::client::GatherId;
use crate::engine::Engine;
use crate::moment::Moment;
use crate::op::Op;
use crate::outcome::Answer;
use crate::owner::ShardId;

/// A connection's turn: the shard is its alone, and what follows from all its operations is done once, at the end. No
/// turn lasts across an await.
#[derive(Debug)]
pub struct Turn<'a> {
    pub(super) pump: &'a Pump,
    pub(super) engine: RefMut<'a, Engine>,
    pub(super) gather: GatherId,
    pub(super) now: Moment,
    /// The frame that holds the changes so far.
    pub(super) frame_needed: FrameNumber,
    pub(super) read_at: Option<Instant>,
    /// Operations that were applied to this shard, and how many of them wait for a frame.
    pub(super) ops: u64,
    pub(super) changes: u64,
    pub(super) _piece: Piece,
}

impl Turn<'_> {
    /// When the turn began.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Has an operation done: by this shard at once, by another one later. An outcome that comes at once may be told when
    /// [`ShardHandle::settled`](super::ShardHandle::settled) has returned for [`frame_needed`](Self::frame_needed); one
    /// that comes later is the gather's next. What has stalled is worth another try
    /// [after](super::ShardHandle::retry_after) what [`retries`](Self::retries) is now.
    #[inline]
    #[must_use = "an outcome may not be told before its frame is safe"]
    pub fn submit(&mut self, to: ShardId, op: Op<'_>) -> Answer {
        let answer = self.engine.submit(self.now, self.gather, to, op, self.read_at, &mut self.frame_needed);
        let answer = answer.unwrap_or_else(|error| (self.pump.fail)(&error));
        if let Answer::Now(outcome) = &answer {
            self.ops += 1;
            self.changes += u64::from(outcome.waits_for_commit());
        }
        answer
    }

    /// How many times what waits for the disk was worth another try.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.engine.retries()
    }

    /// The frame that must be safe before the outcomes of this turn may be told; 0 when they may be at once.
    #[must_use]
    pub fn frame_needed(&self) -> FrameNumber {
        self.frame_needed
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(read_at) = self.read_at.filter(|_| self.ops > 0) {
            self.engine.latency().note_applied(read_at, self.ops, self.changes, self.frame_needed);
            self.pump.applied.notify();
        }
        self.pump.follow(&mut self.engine);
    }
}
