//! How much may be under way to another shard at a time, so that a shard never waits for another one to take a message.
//!
//! A batch costs a credit until it comes back. What has no credit waits in the outbox, and makes the next batch larger.

use std::mem;

use crate::routing::batch::Batch;

/// Batches that may be under way to one shard.
pub const CREDITS: usize = 4;
/// What a channel from one shard to another holds. What does not fit is kept, and sent later.
pub const CHANNEL_BATCHES: usize = 16;
// Requests, answers to those of the other, and as much again for answers that come back in parts.
const _: () = assert!(CHANNEL_BATCHES >= 4 * CREDITS);

/// Buffers of a batch that have grown beyond this are not kept.
const BATCH_BYTES_KEPT: usize = 1 << 20;

/// Another shard, as the router sees it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) outbox: Batch,
    /// How many batches more may be under way.
    credits: usize,
    /// Buffers for the next batches.
    spare: Vec<Batch>,
}

impl Peer {
    pub(super) fn new() -> Peer {
        Peer { outbox: Batch::default(), credits: CREDITS, spare: Vec::new() }
    }

    /// The outbox as a batch, if there is something in it and a credit for it.
    pub(super) fn next_batch(&mut self) -> Option<Batch> {
        if self.outbox.is_empty() {
            return None;
        }
        self.credits = self.credits.checked_sub(1)?;
        let empty = self.spare.pop().unwrap_or_default();
        let mut batch = mem::replace(&mut self.outbox, empty);
        batch.has_credit = true;
        Some(batch)
    }

    /// Takes back a batch whose outcomes were taken, with its credit if it has one, and keeps its buffers.
    pub(super) fn take_back(&mut self, mut batch: Batch) {
        if mem::take(&mut batch.has_credit) {
            self.credits += 1;
            assert!(self.credits <= CREDITS, "a credit comes back once");
            batch.clear(BATCH_BYTES_KEPT);
            self.spare.push(batch);
        }
    }

    /// Whether nothing is in the outbox or under way.
    pub(super) fn is_idle(&self) -> bool {
        self.outbox.is_empty() && self.credits == CREDITS
    }
}
