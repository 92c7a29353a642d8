//! Commands that look at the whole server: statistics, and checkpoints. They ask all shards, and wait for them.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::{AsyncWrite, AsyncWriteExt};
use glommio::timer::sleep;
use protocol::reply;
use shards::pump::{Gather, ShardHandle};
use shards::{Counters, Figures, Op, Outcome, ShardId, Stage, StageTimes};

use crate::admin::report;
use crate::memcache::session::Control;
use crate::net::connection::Connections;

/// A long answer leaves in pieces of this size, so that it is never held whole.
const PIECE_BYTES: usize = 64 << 10;
/// How often a checkpoint's end is looked for.
const CHECKPOINT_POLL: Duration = Duration::from_millis(2);
/// The stages of commands, in the order of the answer.
const STAGES: [(Stage, &str); 6] = [
    (Stage::ParseToReply, "parse_to_reply"),
    (Stage::Queue, "queue"),
    (Stage::CommitWait, "commit_wait"),
    (Stage::Write, "write"),
    (Stage::Fsync, "fsync"),
    (Stage::Turn, "turn"),
];

/// Answers a command into `out`, and sends what does not fit into one piece. Returns how many bytes it sent.
///
/// # Errors
/// When the client is gone.
pub(crate) async fn answer(
    control: Control,
    server: &Connections,
    gather: &Gather,
    out: &mut Vec<u8>,
    client: &mut (impl AsyncWrite + Unpin),
) -> io::Result<u64> {
    let shards = server.handle();
    match control {
        Control::Stats => report::stats(server, &ask_figures(shards, gather, Op::Figures).await, out),
        Control::StatsCores => report::cores(&ask_figures(shards, gather, Op::Figures).await, out),
        Control::StatsLatency => latency(shards, gather, out).await,
        Control::StatsReset => {
            ask_figures(shards, gather, Op::ResetFigures).await;
            out.extend_from_slice(reply::RESET);
        }
        Control::StatsSettings => {
            for (name, value) in server.settings().list() {
                reply::stat(out, name, value);
            }
            reply::end(out);
        }
        Control::StatsQueue => return queues(shards, gather, out, client).await,
        Control::Checkpoint => {
            checkpoint(shards, gather).await;
            out.extend_from_slice(reply::OK);
        }
    }
    Ok(0)
}

/// Has one shard do something, and waits for it.
async fn ask(shards: &ShardHandle, gather: &Gather, shard: ShardId, op: Op<'_>) -> Outcome {
    if shard == shards.id() {
        let (outcome, wanted) = {
            let mut turn = shards.turn();
            (turn.apply(op), turn.wanted())
        };
        shards.settled(wanted).await;
        return outcome.expect("what is asked here waits for no disk");
    }
    shards.turn().push(gather, shard, op);
    gather.complete().await;
    gather.next().expect("one operation has one outcome")
}

async fn ask_all(shards: &ShardHandle, gather: &Gather, op: Op<'_>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for shard in 0..shards.shards() {
        outcomes.push(ask(shards, gather, ShardId(shard), op).await);
    }
    outcomes
}

async fn ask_figures(shards: &ShardHandle, gather: &Gather, op: Op<'_>) -> Vec<Figures> {
    let figures = ask_all(shards, gather, op).await.into_iter().map(|outcome| match outcome {
        Outcome::Figures(figures) => *figures,
        other => unreachable!("figures were asked for, and {other:?} came"),
    });
    figures.collect()
}

/// Writes what happened since the last time to the log, every `interval`.
pub(crate) async fn log_statistics(server: Rc<Connections>, interval: Duration) {
    let shards = server.handle();
    let gather = shards.gather();
    let mut before = Counters::default();
    loop {
        sleep(interval).await;
        let figures = ask_figures(shards, &gather, Op::Figures).await;
        let (line, counters) = report::since(&before, &figures);
        log::info!("{line}");
        before = counters;
    }
}

/// Some lines for each stage, of all shards together.
async fn latency(shards: &ShardHandle, gather: &Gather, out: &mut Vec<u8>) {
    let mut times = StageTimes::default();
    for shard in 0..shards.shards() {
        // One after the other: however many shards there are, one answer is held beside the sum.
        match ask(shards, gather, ShardId(shard), Op::Latency).await {
            Outcome::Latency(of_shard) => times.add(&of_shard),
            other => unreachable!("times were asked for, and {other:?} came"),
        }
    }
    for (stage, name) in STAGES {
        let figures = [
            ("count", times.count(stage)),
            ("p50_us", times.quantile_us(stage, 0.5)),
            ("p99_us", times.quantile_us(stage, 0.99)),
            ("p999_us", times.quantile_us(stage, 0.999)),
            ("max_us", times.max_us(stage)),
        ];
        for (figure, value) in figures {
            reply::stat(out, format_args!("{name}_{figure}"), value);
        }
    }
    reply::end(out);
}

/// A line for each queue, of all shards, a piece at a time. Returns how many bytes it sent.
async fn queues(
    shards: &ShardHandle,
    gather: &Gather,
    out: &mut Vec<u8>,
    client: &mut (impl AsyncWrite + Unpin),
) -> io::Result<u64> {
    let mut sent = 0;
    for shard in 0..shards.shards() {
        let mut next = Some(0);
        while let Some(cursor) = next {
            let outcome = ask(shards, gather, ShardId(shard), Op::List { cursor }).await;
            let Outcome::Queues { lines, next: following } = outcome else {
                unreachable!("a listing was asked for, and {outcome:?} came")
            };
            for line in &lines {
                reply::queue_stat(out, &line.name, line.sets, line.gets);
            }
            if out.len() >= PIECE_BYTES {
                client.write_all(out).await?;
                sent += out.len() as u64;
                out.clear();
            }
            shards.pass().await;
            next = following;
        }
    }
    reply::end(out);
    Ok(sent)
}

/// Has every shard write a checkpoint, after which it lets segments go that are no longer needed, and waits for that.
async fn checkpoint(shards: &ShardHandle, gather: &Gather) {
    let wanted: Vec<u64> = ask_all(shards, gather, Op::Checkpoint)
        .await
        .into_iter()
        .map(|outcome| match outcome {
            Outcome::CheckpointAsked(number) => number,
            other => unreachable!("a checkpoint was asked for, and {other:?} came"),
        })
        .collect();
    loop {
        let figures = ask_figures(shards, gather, Op::Figures).await;
        if figures.iter().zip(&wanted).all(|(shard, wanted)| shard.checkpoints >= *wanted) {
            return;
        }
        sleep(CHECKPOINT_POLL).await;
    }
}
