//! Commands that look at the whole server: statistics, and checkpoints. They ask all shards, and wait for them.

use std::io;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_lite::{AsyncWrite, AsyncWriteExt};
use glommio::timer::sleep;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use protocol::reply;
use shards::pump::{Gather, ShardHandle};
use shards::{Counters, Figures, Op, Outcome, ShardId, Stage, StageTimes, Totals};

use crate::connection::Connections;
use crate::session::Control;

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

/// Answers a command into `out`, and sends what does not fit into one piece.
///
/// # Errors
/// When the client is gone.
pub(crate) async fn answer(
    control: Control,
    server: &Connections,
    gather: &Gather,
    out: &mut Vec<u8>,
    client: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let shards = server.handle();
    match control {
        Control::Stats => stats(server, &figures(shards, gather, Op::Figures).await, out),
        Control::StatsCores => cores(&figures(shards, gather, Op::Figures).await, out),
        Control::StatsLatency => latency(shards, gather, out).await,
        Control::StatsReset => {
            figures(shards, gather, Op::ResetFigures).await;
            out.extend_from_slice(reply::RESET);
        }
        Control::StatsSettings => {
            for (name, value) in server.settings().list() {
                reply::stat(out, name, value);
            }
            reply::end(out);
        }
        Control::StatsQueue => queues(shards, gather, out, client).await?,
        Control::Checkpoint => {
            checkpoint(shards, gather).await;
            out.extend_from_slice(reply::OK);
        }
    }
    Ok(())
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

async fn figures(shards: &ShardHandle, gather: &Gather, op: Op<'_>) -> Vec<Figures> {
    let figures = ask_all(shards, gather, op).await.into_iter().map(|outcome| match outcome {
        Outcome::Figures(figures) => *figures,
        other => unreachable!("figures were asked for, and {other:?} came"),
    });
    figures.collect()
}

/// memcacheQ's names in its order, then memcached's, then ours.
fn stats(server: &Connections, figures: &[Figures], out: &mut Vec<u8>) {
    let (counters, totals, open) = sums(figures);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let usage = getrusage(UsageWho::RUSAGE_SELF);
    let seconds = |time: Option<TimeVal>| {
        let time = time.unwrap_or(TimeVal::new(0, 0));
        format!("{}.{:06}", time.tv_sec(), time.tv_usec())
    };
    reply::stat(out, "pid", std::process::id());
    reply::stat(out, "uptime", server.uptime().as_secs());
    reply::stat(out, "time", now);
    reply::stat(out, "version", env!("CARGO_PKG_VERSION"));
    reply::stat(out, "pointer_size", usize::BITS);
    reply::stat(out, "rusage_user", seconds(usage.ok().map(|usage| usage.user_time())));
    reply::stat(out, "rusage_system", seconds(usage.ok().map(|usage| usage.system_time())));
    let numbers = [
        ("curr_connections", open),
        ("total_connections", counters.connections),
        ("connection_structures", open),
        ("get_cmds", counters.gets),
        ("get_hits", counters.get_hits),
        ("set_cmds", counters.sets),
        ("set_hits", counters.set_hits),
        ("bytes_read", counters.bytes_read),
        ("bytes_written", counters.bytes_written),
        ("threads", figures.len() as u64),
        ("cmd_get", counters.gets),
        ("cmd_set", counters.sets),
        ("get_misses", counters.gets - counters.get_hits),
        ("curr_items", totals.messages),
        ("limit_maxbytes", server.settings().memory_bytes as u64),
        ("max_connections", server.settings().connections_max as u64),
        ("draining", u64::from(server.is_draining())),
        ("queues", totals.queues),
        ("set_refused", counters.sets - counters.set_hits),
        ("resident_bytes", totals.resident_bytes),
        ("log_bytes", totals.log_bytes),
        ("log_live_bytes", totals.live_bytes),
        ("log_bytes_written", counters.log_bytes_written),
        ("commands", counters.commands),
        ("forwarded", counters.forwarded),
        ("commits", counters.commits),
        ("shards_full", figures.iter().filter(|shard| shard.full).count() as u64),
    ];
    for (name, value) in numbers {
        reply::stat(out, name, value);
    }
    reply::end(out);
}

/// Writes what happened since the last time to the log, every `interval`.
pub(crate) async fn log_statistics(server: Rc<Connections>, interval: Duration) {
    let shards = server.handle();
    let gather = shards.gather();
    let mut before = Counters::default();
    loop {
        sleep(interval).await;
        let figures = figures(shards, &gather, Op::Figures).await;
        let (counters, totals, open) = sums(&figures);
        log::info!(
            "statistics: {open} connections, {} queues, {} messages waiting; since the last: {} sets, {} stored, {} gets, \
             {} taken, {} commits",
            totals.queues,
            totals.messages,
            counters.sets.saturating_sub(before.sets),
            counters.set_hits.saturating_sub(before.set_hits),
            counters.gets.saturating_sub(before.gets),
            counters.get_hits.saturating_sub(before.get_hits),
            counters.commits.saturating_sub(before.commits),
        );
        before = counters;
    }
}

/// Of all shards together: what they count, what they hold, and how many connections are open.
fn sums(figures: &[Figures]) -> (Counters, Totals, u64) {
    let (mut counters, mut totals, mut open) = (Counters::default(), Totals::default(), 0);
    for shard in figures {
        counters.add(&shard.counters);
        totals.add(&shard.totals);
        open += shard.curr_connections;
    }
    (counters, totals, open)
}

/// A line for each shard and figure.
fn cores(figures: &[Figures], out: &mut Vec<u8>) {
    for (number, shard) in figures.iter().enumerate() {
        let lines = [
            ("connections", shard.curr_connections),
            ("total_connections", shard.counters.connections),
            ("commands", shard.counters.commands),
            ("forwarded", shard.counters.forwarded),
            ("served", shard.counters.served),
            ("commits", shard.counters.commits),
            ("commits_inline", shard.counters.commits_inline),
            ("fsync_p50_us", shard.fsync_p50_us),
            ("fsync_p99_us", shard.fsync_p99_us),
            ("queues", shard.totals.queues),
            ("messages", shard.totals.messages),
            ("resident_bytes", shard.totals.resident_bytes),
            ("log_bytes", shard.totals.log_bytes),
            ("log_live_bytes", shard.totals.live_bytes),
            ("checkpoints", shard.checkpoints),
            ("full", u64::from(shard.full)),
        ];
        for (name, value) in lines {
            reply::stat(out, format_args!("{number}:{name}"), value);
        }
    }
    reply::end(out);
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

/// A line for each queue, of all shards, a piece at a time.
async fn queues(
    shards: &ShardHandle,
    gather: &Gather,
    out: &mut Vec<u8>,
    client: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
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
                out.clear();
            }
            shards.pass().await;
            next = following;
        }
    }
    reply::end(out);
    Ok(())
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
        let figures = figures(shards, gather, Op::Figures).await;
        if figures.iter().zip(&wanted).all(|(shard, wanted)| shard.checkpoints >= *wanted) {
            return;
        }
        sleep(CHECKPOINT_POLL).await;
    }
}
