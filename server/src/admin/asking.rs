//! Having shards do something, and waiting for what comes of it.

use std::cell::Cell;

use shards::pump::{Gather, ShardHandle};
use shards::{Answer, Op, Outcome, ShardId};

/// The shards, as what asks them sees them. In tests there are none behind it.
pub(crate) trait Shards {
    /// How many there are.
    fn count(&self) -> u16;

    /// Has shards do something, all at the same time. The outcomes are in the order of the operations, and may be told.
    async fn ask(&self, ops: &[(ShardId, Op<'_>)]) -> Vec<Outcome>;

    /// Lets everything else of this shard have its part, between two pieces of something long. Returns whether to go on:
    /// not while the server stops.
    async fn pass(&self) -> bool;
}

/// The shards of this process.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) handle: &'a ShardHandle,
    pub(crate) gather: Gather,
    /// Whether the server stops.
    pub(crate) stops: &'a Cell<bool>,
}

impl Shards for Asking<'_> {
    fn count(&self) -> u16 {
        self.handle.shards()
    }

    async fn ask(&self, ops: &[(ShardId, Op<'_>)]) -> Vec<Outcome> {
        at_once(self.handle, &self.gather, ops).await
    }

    async fn pass(&self) -> bool {
        self.handle.pass().await;
        !self.stops.get()
    }
}

/// Has shards do something, all at the same time, and waits for it. What waits for the disk is tried until it is done.
pub(super) async fn at_once(handle: &ShardHandle, gather: &Gather, ops: &[(ShardId, Op<'_>)]) -> Vec<Outcome> {
    let mut outcomes: Vec<Option<Outcome>> = ops.iter().map(|_| None).collect();
    loop {
        let (mut later, mut has_stalled) = (Vec::new(), false);
        let (frame_needed, retries) = {
            let mut turn = handle.turn(gather);
            for (outcome, (shard, op)) in outcomes.iter_mut().zip(ops).filter(|(outcome, _)| outcome.is_none()) {
                match turn.submit(*shard, *op) {
                    Answer::Now(now) => *outcome = Some(now),
                    Answer::Later => later.push(outcome),
                    Answer::Stalled => has_stalled = true,
                }
            }
            (turn.frame_needed(), turn.retries())
        };
        if !later.is_empty() {
            gather.complete().await;
            later.into_iter().for_each(|outcome| *outcome = gather.next());
        }
        handle.settled(frame_needed).await;
        if !has_stalled {
            return outcomes.into_iter().map(|outcome| outcome.expect("one operation has one outcome")).collect();
        }
        handle.retry_after(retries).await;
    }
}
