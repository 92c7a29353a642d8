//! A batch of another shard while it is applied: which of its operations wait for what.

use std::mem;
use std::ops::Range;

use storage::FrameNumber;

use crate::op::{Op, Outcome};
use crate::owner::ShardId;
use crate::routing::batch::{Address, Batch};
use crate::routing::router::GatherId;

/// The operations of one connection in a batch. They stand one after the other, and keep their order.
#[derive(Debug)]
struct Run {
    gather: GatherId,
    /// Where it begins in the batch.
    start: usize,
    /// One of its operations waits for the disk, and those behind it do with it.
    is_stalled: bool,
    /// One of its outcomes may be told only when a frame is safe.
    waits_for_commit: bool,
}

/// A batch that is being applied.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) from: ShardId,
    pub(crate) batch: Batch,
    /// The frame that must be safe before all of its outcomes may be told.
    pub(crate) wanted: FrameNumber,
    run: Option<Run>,
    /// Parts whose outcomes may be told at once: what found nothing waits for no commit of others.
    free: Vec<Range<usize>>,
    /// Operations that wait for the disk.
    stalled: Batch,
}

/// What has come of a batch that was applied.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) from: ShardId,
    /// Outcomes that may be told at once, when the others may not.
    pub(crate) early: Option<Batch>,
    /// The batch with the others, which may be told when `wanted` is safe.
    pub(crate) batch: Batch,
    pub(crate) wanted: FrameNumber,
    /// Operations that were not applied, since they wait for the disk.
    pub(crate) stalled: Option<Batch>,
}

impl Serving {
    pub(crate) fn new(from: ShardId, batch: Batch) -> Serving {
        Serving { from, batch, wanted: 0, run: None, free: Vec::new(), stalled: Batch::default() }
    }

    /// The next operation, and where its outcome goes.
    pub(crate) fn next(&self) -> Option<(Address, Op<'_>)> {
        self.batch.next()
    }

    /// Whether an operation before it, of the same connection, waits for the disk.
    pub(crate) fn is_stalled(&self, address: Address) -> bool {
        self.run.as_ref().is_some_and(|run| run.gather == address.gather && run.is_stalled)
    }

    /// Notes what came of the next operation, and the frame that holds what it changed; `None`: it waits for the disk.
    pub(crate) fn answer(&mut self, address: Address, outcome: Option<Outcome>, wanted: FrameNumber) {
        let at = self.batch.answered();
        if self.run.as_ref().is_none_or(|run| run.gather != address.gather) {
            self.end_run(at);
            let gather = address.gather;
            self.run = Some(Run { gather, start: at, is_stalled: false, waits_for_commit: false });
        }
        if let Some(run) = &mut self.run {
            run.is_stalled |= outcome.is_none();
            run.waits_for_commit |= wanted > 0;
        }
        if outcome.is_none()
            && let Some((address, op)) = self.batch.next()
        {
            self.stalled.push(address, op);
        }
        self.wanted = self.wanted.max(wanted);
        self.batch.answer(outcome);
    }

    fn end_run(&mut self, end: usize) {
        if let Some(run) = self.run.take()
            && !run.waits_for_commit
            && !run.is_stalled
        {
            self.free.push(run.start..end);
        }
    }

    /// Takes the batch apart, now that all of its operations have had their turn.
    pub(crate) fn finish(mut self, acknowledged: FrameNumber) -> Served {
        self.end_run(self.batch.answered());
        let goes_apart = acknowledged < self.wanted && !self.free.is_empty();
        let early = goes_apart.then(|| self.batch.split_off(&self.free));
        let stalled = Some(mem::take(&mut self.stalled)).filter(|stalled| !stalled.is_empty());
        Served { from: self.from, early, batch: self.batch, wanted: self.wanted, stalled }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: ShardId = ShardId(1);

    /// Applies takes for connections: `s` finds the store stalled, `e` finds nothing, `d` changes something in frame 9.
    fn serve(runs: &[(u32, &str)]) -> Served {
        let mut batch = Batch::default();
        let ops: Vec<(u32, u8)> = runs.iter().flat_map(|(gather, ops)| ops.bytes().map(|op| (*gather, op))).collect();
        for (slot, (gather, _)) in (0..).zip(&ops) {
            batch.push(Address { gather: GatherId(*gather), slot }, Op::Take { queue: b"q" });
        }
        let mut serving = Serving::new(FROM, batch);
        for (_, op) in ops {
            let (address, _) = serving.next().expect("it was pushed");
            let (outcome, wanted) = match op {
                _ if serving.is_stalled(address) => (None, 0),
                b's' => (None, 0),
                b'e' => (Some(Outcome::Empty), 0),
                _ => (Some(Outcome::Done), 9),
            };
            serving.answer(address, outcome, wanted);
        }
        assert!(serving.next().is_none());
        serving.finish(8)
    }

    fn slots(batch: Option<Batch>) -> Vec<u32> {
        batch.map(|mut batch| batch.outcomes().map(|(address, _)| address.slot).collect()).unwrap_or_default()
    }

    #[test]
    fn what_found_nothing_waits_for_no_commit() {
        let served = serve(&[(1, "ee"), (2, "de"), (3, "e")]);
        assert_eq!((slots(served.early), slots(Some(served.batch)), served.wanted), (vec![0, 1, 4], vec![2, 3], 9));
        assert!(served.stalled.is_none());
    }

    #[test]
    fn without_a_change_all_goes_at_once() {
        let served = serve(&[(1, "ee"), (2, "e")]);
        assert!(served.early.is_none());
        assert_eq!((slots(Some(served.batch)), served.wanted), (vec![0, 1, 2], 0));
    }

    #[test]
    fn behind_a_stalled_operation_its_own_connection_waits_and_no_other() {
        let served = serve(&[(1, "dse"), (2, "d"), (3, "sd"), (4, "e")]);
        let mut stalled = served.stalled.expect("three wait");
        let mut waiting = Vec::new();
        while let Some((address, _)) = stalled.next() {
            waiting.push(address.slot);
            stalled.answer(None);
        }
        assert_eq!(waiting, [1, 2, 4, 5]);
        assert_eq!((slots(served.early), slots(Some(served.batch))), (vec![6], vec![0, 3]));
    }
}
