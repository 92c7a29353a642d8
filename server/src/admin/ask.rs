//! Asking all shards, and waiting for them.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use glommio::timer::sleep;
use shards::pump::{Gather, ShardHandle};
use shards::{Client, Counters, Figures, Op, Outcome, QueueFigures, QueueLine, ShardId, StageTimes};

use crate::admin::asking::at_once;
use crate::admin::report;
use crate::context::ShardContext;

/// How often a checkpoint's end is looked for.
const CHECKPOINT_POLL: Duration = Duration::from_millis(2);

/// Has one shard do something, and waits for it.
async fn ask(handle: &ShardHandle, gather: &Gather, shard: ShardId, op: Op<'_>) -> Outcome {
    at_once(handle, gather, &[(shard, op)]).await.remove(0)
}

async fn ask_all(handle: &ShardHandle, gather: &Gather, op: Op<'_>) -> Vec<Outcome> {
    let ops: Vec<_> = (0..handle.shards()).map(|shard| (ShardId(shard), op)).collect();
    at_once(handle, gather, &ops).await
}

/// The figures of each shard.
pub(crate) async fn figures(handle: &ShardHandle, gather: &Gather) -> Vec<Figures> {
    figures_after(handle, gather, Op::Figures).await
}

/// Sets the counters of all shards to zero.
pub(crate) async fn reset(handle: &ShardHandle, gather: &Gather) {
    figures_after(handle, gather, Op::ResetFigures).await;
}

async fn figures_after(handle: &ShardHandle, gather: &Gather, op: Op<'_>) -> Vec<Figures> {
    let figures = ask_all(handle, gather, op).await.into_iter().map(|outcome| match outcome {
        Outcome::Figures(figures) => *figures,
        other => unreachable!("figures were asked for, and {other:?} came"),
    });
    figures.collect()
}

/// How long the stages of commands took, on all shards together.
pub(crate) async fn stage_times(handle: &ShardHandle, gather: &Gather) -> StageTimes {
    let mut times = StageTimes::default();
    for shard in 0..handle.shards() {
        // One after the other: however many shards there are, one answer is held beside the sum.
        match ask(handle, gather, ShardId(shard), Op::Latency).await {
            Outcome::Latency(of_shard) => times.add(&of_shard),
            other => unreachable!("times were asked for, and {other:?} came"),
        }
    }
    times
}

/// A walk over all queues of all shards.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    shard: u16,
    /// Where the shard's listing goes on.
    cursor: u32,
}

impl Listing {
    /// The next queues, a few at a time and at times none. `None`: there are no more.
    pub(crate) async fn next(&mut self, handle: &ShardHandle, gather: &Gather) -> Option<Vec<QueueLine>> {
        if self.shard >= handle.shards() {
            return None;
        }
        match ask(handle, gather, ShardId(self.shard), Op::List { cursor: self.cursor }).await {
            Outcome::Queues { lines, next } => {
                self.go_on(next);
                Some(lines)
            }
            other => unreachable!("a listing was asked for, and {other:?} came"),
        }
    }

    /// The figures of the next queues whose names begin so, a few at a time and at times none. `None`: there are no more.
    pub(crate) async fn next_figures(
        &mut self,
        handle: &ShardHandle,
        gather: &Gather,
        prefix: &[u8],
    ) -> Option<Vec<QueueFigures>> {
        if self.shard >= handle.shards() {
            return None;
        }
        match ask(handle, gather, ShardId(self.shard), Op::ListFigures { cursor: self.cursor, prefix }).await {
            Outcome::QueueFigures { lines, next } => {
                self.go_on(next);
                Some(lines)
            }
            other => unreachable!("figures of queues were asked for, and {other:?} came"),
        }
    }

    /// Goes on behind what a shard has listed: at this cursor, or with the next shard.
    fn go_on(&mut self, next: Option<u32>) {
        self.cursor = next.unwrap_or(0);
        self.shard += u16::from(next.is_none());
    }
}

/// How many messages the connections of some clients, in their order, have open on all shards.
pub(crate) async fn opens(handle: &ShardHandle, gather: &Gather, clients: &[Client]) -> BTreeMap<Client, u64> {
    let mut opens = BTreeMap::new();
    let (Some(first), Some(last)) = (clients.first(), clients.last()) else { return opens };
    for shard in 0..handle.shards() {
        let mut next = Some((*first, 0));
        while let Some(from) = next {
            match ask(handle, gather, ShardId(shard), Op::ListHolders { from, to: *last }).await {
                Outcome::Holders { counts, next: behind } => {
                    counts.into_iter().for_each(|(client, count)| *opens.entry(client).or_default() += count);
                    next = behind;
                }
                other => unreachable!("holders were asked for, and {other:?} came"),
            }
            handle.pass().await;
        }
    }
    opens
}

/// Has every shard write a checkpoint, after which it lets segments go that are no longer needed, and waits for that.
pub(crate) async fn checkpoint(handle: &ShardHandle, gather: &Gather) {
    let numbers: Vec<u64> = ask_all(handle, gather, Op::Checkpoint)
        .await
        .into_iter()
        .map(|outcome| match outcome {
            Outcome::CheckpointAsked(number) => number,
            other => unreachable!("a checkpoint was asked for, and {other:?} came"),
        })
        .collect();
    loop {
        let shards = figures(handle, gather).await;
        if shards.iter().zip(&numbers).all(|(shard, number)| shard.checkpoints >= *number) {
            return;
        }
        sleep(CHECKPOINT_POLL).await;
    }
}

/// Writes to the log what happened since the last time, every `interval`.
pub(crate) async fn log_statistics(context: Rc<ShardContext>, interval: Duration) {
    let gather = context.handle.gather();
    let mut before = Counters::default();
    loop {
        sleep(interval).await;
        let shards = figures(&context.handle, &gather).await;
        let (line, counters) = report::since(&before, &shards);
        log::info!("{line}");
        before = counters;
    }
}
