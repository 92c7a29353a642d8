//! Shards that answer what a test says.

use std::cell::Cell;

use shards::{Op, Outcome, ShardId};

use crate::admin::asking::Shards;

/// Shards of which a test gives the outcome of every operation.
pub(crate) struct Fake<F> {
    count: u16,
    answer: F,
    passes: Cell<u32>,
    /// After so many pieces the server stops.
    pub(crate) stops_after: u32,
}

impl<F: Fn(ShardId, &Op<'_>) -> Outcome> Fake<F> {
    pub(crate) fn new(count: u16, answer: F) -> Fake<F> {
        Fake { count, answer, passes: Cell::new(0), stops_after: u32::MAX }
    }

    /// How many times others had their part.
    pub(crate) fn passes(&self) -> u32 {
        self.passes.get()
    }
}

impl<F: Fn(ShardId, &Op<'_>) -> Outcome> Shards for Fake<F> {
    fn count(&self) -> u16 {
        self.count
    }

    async fn ask(&self, ops: &[(ShardId, Op<'_>)]) -> Vec<Outcome> {
        ops.iter().map(|(shard, op)| (self.answer)(*shard, op)).collect()
    }

    async fn pass(&self) -> bool {
        self.passes.set(self.passes.get() + 1);
        self.passes.get() < self.stops_after
    }
}
