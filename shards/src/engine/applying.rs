//! A batch of another shard while it is applied: which of its operations wait for what.

use std::mem;
use std::ops::Range;

use storage::FrameNumber;

use crate::client::{Asker, Client, GatherId};
use crate::op::Op;
use crate::outcome::Answer;
use crate::owner::ShardId;
use crate::routing::batch::Batch;

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
pub(crate) struct Applying {
    pub(crate) from: ShardId,
    pub(crate) batch: Batch,
    /// The frame that must be safe before all of its outcomes may be told.
    pub(crate) frame_needed: FrameNumber,
    run: Option<Run>,
    /// Parts whose outcomes may be told at once: what found nothing waits for no commit of others.
    free: Vec<Range<usize>>,
    /// Operations that wait for the disk.
    stalled: Batch,
}

/// What has come of a batch that was applied.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) from: ShardId,
    /// Outcomes that may be told at once, when the others may not.
    pub(crate) early: Option<Batch>,
    /// The batch with the others, which may be told when `frame_needed` is safe.
    pub(crate) batch: Batch,
    pub(crate) frame_needed: FrameNumber,
    /// Operations that were not applied, since they wait for the disk.
    pub(crate) stalled: Option<Batch>,
}

impl Applying {
    pub(crate) fn new(from: ShardId, batch: Batch) -> Applying {
        Applying { from, batch, frame_needed: 0, run: None, free: Vec::new(), stalled: Batch::default() }
    }

    /// The next operation, who asks for it, and where its outcome goes.
    pub(crate) fn next(&self) -> Option<(Asker, Op<'_>)> {
        self.batch.next()
    }

    /// Whether an operation before it, of the same connection, waits for the disk.
    pub(crate) fn is_stalled(&self, gather: GatherId) -> bool {
        self.run.as_ref().is_some_and(|run| run.gather == gather && run.is_stalled)
    }

    /// Whether any operation of a client before it waits for the disk.
    pub(crate) fn has_stalled_of(&self, client: Client) -> bool {
        self.stalled.asks(client)
    }

    /// Notes how the next operation is answered, and the frame that holds what it changed.
    pub(crate) fn answer(&mut self, gather: GatherId, answer: Answer, frame_needed: FrameNumber) {
        let at = self.batch.answered();
        if self.run.as_ref().is_none_or(|run| run.gather != gather) {
            self.end_run(at);
            self.run = Some(Run { gather, start: at, is_stalled: false, waits_for_commit: false });
        }
        let is_stalled = matches!(answer, Answer::Stalled);
        if let Some(run) = &mut self.run {
            run.is_stalled |= is_stalled;
            run.waits_for_commit |= frame_needed > 0;
        }
        if is_stalled && let Some((by, op)) = self.batch.next() {
            self.stalled.push(by, &op);
        }
        self.frame_needed = self.frame_needed.max(frame_needed);
        self.batch.answer(answer);
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
    pub(crate) fn finish(mut self, acknowledged: FrameNumber) -> Applied {
        self.end_run(self.batch.answered());
        let goes_apart = acknowledged < self.frame_needed && !self.free.is_empty();
        let early = goes_apart.then(|| self.batch.split_off(&self.free));
        let stalled = Some(mem::take(&mut self.stalled)).filter(|stalled| !stalled.is_empty());
        Applied { from: self.from, early, batch: self.batch, frame_needed: self.frame_needed, stalled }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Address;
    use crate::outcome::Outcome;

    const FROM: ShardId = ShardId(1);

    /// Applies takes for connections: `s` finds the store stalled, `w` gets in line, `e` finds nothing, `d` changes
    /// something in frame 9.
    fn apply(runs: &[(u32, &str)]) -> Applied {
        let mut batch = Batch::default();
        let ops: Vec<(u32, u8)> = runs.iter().flat_map(|(gather, ops)| ops.bytes().map(|op| (*gather, op))).collect();
        for (slot, (gather, _)) in (0..).zip(&ops) {
            let address = Address { gather: GatherId(*gather), slot };
            let client = Client::new(FROM, u64::from(*gather));
            batch.push(Asker { client, address }, &Op::Take { queue: b"q" });
        }
        let mut applying = Applying::new(FROM, batch);
        for (_, op) in ops {
            let (by, _) = applying.next().expect("it was pushed");
            let gather = by.address.gather;
            let (answer, frame_needed) = match op {
                _ if applying.is_stalled(gather) => (Answer::Stalled, 0),
                b's' => (Answer::Stalled, 0),
                b'w' => (Answer::Later, 0),
                b'e' => (Answer::Now(Outcome::Empty), 0),
                _ => (Answer::Now(Outcome::Done), 9),
            };
            applying.answer(gather, answer, frame_needed);
        }
        assert!(applying.next().is_none());
        applying.finish(8)
    }

    fn slots(batch: Option<Batch>) -> Vec<u32> {
        batch.map(|mut batch| batch.outcomes().map(|(address, _)| address.slot).collect()).unwrap_or_default()
    }

    #[test]
    fn what_found_nothing_waits_for_no_commit() {
        let applied = apply(&[(1, "ee"), (2, "de"), (3, "e")]);
        assert_eq!(
            (slots(applied.early), slots(Some(applied.batch)), applied.frame_needed),
            (vec![0, 1, 4], vec![2, 3], 9)
        );
        assert!(applied.stalled.is_none());
    }

    #[test]
    fn without_a_change_all_goes_at_once() {
        let applied = apply(&[(1, "ee"), (2, "e")]);
        assert!(applied.early.is_none());
        assert_eq!((slots(Some(applied.batch)), applied.frame_needed), (vec![0, 1, 2], 0));
    }

    #[test]
    fn a_wait_goes_back_with_nothing_and_holds_up_nothing() {
        let applied = apply(&[(1, "w"), (2, "d"), (3, "we")]);
        assert_eq!((slots(applied.early), slots(Some(applied.batch)), applied.frame_needed), (vec![3], vec![1], 9));
        assert!(applied.stalled.is_none(), "it does not wait for the disk");
    }

    #[test]
    fn behind_a_stalled_operation_its_own_connection_waits_and_no_other() {
        let applied = apply(&[(1, "dse"), (2, "d"), (3, "sd"), (4, "e")]);
        let mut stalled = applied.stalled.expect("three wait");
        let mut waiting = Vec::new();
        while let Some((by, _)) = stalled.next() {
            waiting.push(by.address.slot);
            stalled.answer(Answer::Stalled);
        }
        assert_eq!(waiting, [1, 2, 4, 5]);
        assert_eq!((slots(applied.early), slots(Some(applied.batch))), (vec![6], vec![0, 3]));
    }
}
