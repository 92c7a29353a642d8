//! What a connection asks for at once.

use std::cell::RefMut;
use std::time::Instant;

use storage::FrameNumber;

use super::gather::Gather;
use super::piece::Piece;
use super::{Pump, fatal};
use crate::engine::Engine;
use crate::op::{Op, Outcome};
use crate::owner::ShardId;

/// A connection's turn: the shard is its alone, and what follows from all its operations is done once, at the end. No
/// turn lasts across an await.
#[derive(Debug)]
pub struct Turn<'a> {
    pub(super) pump: &'a Pump,
    pub(super) engine: RefMut<'a, Engine>,
    /// The frame that holds the changes so far.
    pub(super) wanted: FrameNumber,
    pub(super) read_at: Option<Instant>,
    /// Operations that were applied to this shard, and how many of them wait for a frame.
    pub(super) ops: u64,
    pub(super) changes: u64,
    pub(super) _piece: Piece,
}

impl Turn<'_> {
    /// Applies an operation to this shard. The outcome may be told once [`ShardHandle::settled`](super::ShardHandle::settled) has returned for
    /// [`wanted`](Self::wanted). `None`: it waits for the disk, and nothing was done; ask again
    /// [after](super::ShardHandle::retry_after) what [`retries`](Self::retries) is now.
    #[inline]
    #[must_use = "an outcome may not be told before its frame is safe"]
    pub fn apply(&mut self, op: Op<'_>) -> Option<Outcome> {
        let outcome = self.engine.apply(op, &mut self.wanted).unwrap_or_else(|error| fatal(&error))?;
        self.ops += 1;
        self.changes += u64::from(outcome.waits_for_commit());
        Some(outcome)
    }

    /// How many times what waits for the disk was worth another try.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.engine.retries()
    }

    /// The frame that must be safe before the outcomes of this turn may be told; 0 when they may be at once.
    #[must_use]
    pub fn wanted(&self) -> FrameNumber {
        self.wanted
    }

    /// Sends an operation to another shard. Its outcome will be the gather's next.
    ///
    /// # Panics
    /// When `to` is this shard.
    pub fn push(&mut self, gather: &Gather, to: ShardId, op: Op<'_>) {
        self.engine.push(gather.id, to, op);
        if let Some(read_at) = self.read_at {
            self.engine.note_read(to, read_at);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(read_at) = self.read_at.filter(|_| self.ops > 0) {
            self.engine.shard().latency.applied(read_at, self.ops, self.changes, self.wanted);
            self.pump.applied.notify();
        }
        self.pump.follow(&mut self.engine);
    }
}
