//! The server's figures, each with its names and where it comes from: what `stats`, `stats cores`, `stats latency` and
//! the log show. Data only: a protocol writes them as text.

use std::fmt::{self, Display, Formatter};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;
use shards::{Counters, Figures, Stage, StageTimes, Totals};

use crate::context::ShardContext;

/// Where a figure comes from.
#[derive(Clone, Copy)]
enum Of {
    /// The shards; the server's is their sum.
    Shard(fn(&Figures) -> u64),
    /// The server as a whole.
    Server(fn(&ShardContext) -> u64),
    /// The process, which has more than numbers.
    Process(fn(&ShardContext) -> String),
    /// A cache. A queue does none of this, so it is always 0; monitors look for it nevertheless, and one of them takes a
    /// server that does not name its `cas_*` for one that is down.
    Cache,
}

use Of::{Cache, Process, Server, Shard};

/// A figure's name in `stats`, its name in `stats cores`, and the figure. An empty name: it is not shown there.
///
/// In `stats` memcacheQ's names come first, in its order, and behind them memcached's. Such an answer has to leave in one
/// segment of the network, so ours are those that an operator looks at.
const FIGURES: [(&str, &str, Of); 66] = [
    ("pid", "", Process(|_| std::process::id().to_string())),
    ("uptime", "", Process(|context| context.started.elapsed().as_secs().to_string())),
    ("time", "", Process(|_| seconds_since_1970().to_string())),
    ("version", "", Process(|_| env!("CARGO_PKG_VERSION").to_string())),
    ("pointer_size", "", Process(|_| usize::BITS.to_string())),
    ("rusage_user", "", Process(|_| seconds_of_processor(Usage::user_time))),
    ("rusage_system", "", Process(|_| seconds_of_processor(Usage::system_time))),
    ("curr_connections", "connections", Shard(|shard| shard.curr_connections)),
    ("total_connections", "total_connections", Shard(|shard| shard.counters.connections)),
    ("connection_structures", "", Shard(|shard| shard.curr_connections)),
    ("get_cmds", "", Shard(|shard| shard.counters.gets)),
    ("get_hits", "", Shard(|shard| shard.counters.get_hits)),
    ("set_cmds", "", Shard(|shard| shard.counters.sets)),
    ("set_hits", "", Shard(|shard| shard.counters.set_hits)),
    ("bytes_read", "", Shard(|shard| shard.counters.bytes_read)),
    ("bytes_written", "", Shard(|shard| shard.counters.bytes_written)),
    ("threads", "", Shard(|_| 1)),
    ("cmd_get", "", Shard(|shard| shard.counters.gets)),
    ("cmd_set", "", Shard(|shard| shard.counters.sets)),
    ("cmd_flush", "", Shard(|shard| shard.counters.flushes)),
    ("cmd_touch", "", Shard(|shard| shard.counters.touches)),
    ("get_misses", "", Shard(|shard| shard.counters.gets.saturating_sub(shard.counters.get_hits))),
    ("delete_hits", "", Shard(|shard| shard.counters.delete_hits)),
    ("delete_misses", "", Shard(|shard| shard.counters.delete_misses)),
    ("incr_hits", "", Cache),
    ("incr_misses", "", Cache),
    ("decr_hits", "", Cache),
    ("decr_misses", "", Cache),
    ("cas_hits", "", Cache),
    ("cas_misses", "", Cache),
    ("cas_badval", "", Cache),
    ("touch_hits", "", Shard(|shard| shard.counters.touch_hits)),
    ("touch_misses", "", Shard(|shard| shard.counters.touches.saturating_sub(shard.counters.touch_hits))),
    ("bytes", "", Shard(|shard| shard.totals.live_bytes)),
    ("curr_items", "messages", Shard(|shard| shard.totals.messages)),
    ("total_items", "", Shard(|shard| shard.counters.set_hits)),
    ("evictions", "", Cache),
    ("reclaimed", "", Cache),
    ("limit_maxbytes", "", Server(|server| server.settings.memory_bytes as u64)),
    ("max_connections", "", Server(|server| server.settings.connections_max as u64)),
    ("rejected_connections", "", Shard(|shard| shard.counters.rejected_connections)),
    ("listen_disabled_num", "", Shard(|shard| shard.counters.listen_disabled)),
    ("accepting_conns", "", Server(|server| u64::from(server.limit.is_open()))),
    ("draining", "", Server(|server| u64::from(server.drain.is_on()))),
    ("queues", "queues", Shard(|shard| shard.totals.queues)),
    ("set_refused", "", Shard(|shard| shard.counters.sets.saturating_sub(shard.counters.set_hits))),
    ("open", "open", Shard(|shard| shard.open)),
    ("delayed", "delayed", Shard(|shard| shard.totals.delayed)),
    ("dead", "dead", Shard(|shard| shard.totals.dead)),
    ("waiters", "waiters", Shard(|shard| shard.waiters)),
    ("acked", "acked", Shard(|shard| shard.totals.acked)),
    ("returned", "returned", Shard(|shard| shard.totals.returned)),
    ("expired", "expired", Shard(|shard| shard.totals.expired)),
    ("", "resident_bytes", Shard(|shard| shard.totals.resident_bytes)),
    ("log_bytes", "log_bytes", Shard(|shard| shard.totals.log_bytes)),
    ("", "log_live_bytes", Shard(|shard| shard.totals.live_bytes)),
    ("", "log_bytes_written", Shard(|shard| shard.counters.log_bytes_written)),
    ("", "commands", Shard(|shard| shard.counters.commands)),
    ("", "forwarded", Shard(|shard| shard.counters.forwarded)),
    ("", "served", Shard(|shard| shard.counters.served)),
    ("commits", "commits", Shard(|shard| shard.counters.commits)),
    ("", "commits_inline", Shard(|shard| shard.counters.commits_inline)),
    ("", "fsync_p50_us", Shard(|shard| shard.fsync_p50_us)),
    ("", "fsync_p99_us", Shard(|shard| shard.fsync_p99_us)),
    ("", "checkpoints", Shard(|shard| shard.checkpoints)),
    ("shards_full", "full", Shard(|shard| u64::from(shard.full))),
];

/// The stages of a command, with their names, in the order in which they are shown.
pub(crate) const STAGES: [(Stage, &str); 7] = [
    (Stage::ParseToReply, "parse_to_reply"),
    (Stage::Queue, "queue"),
    (Stage::CommitWait, "commit_wait"),
    (Stage::Write, "write"),
    (Stage::Fsync, "fsync"),
    (Stage::Turn, "turn"),
    (Stage::Read, "read"),
];

/// A figure's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u64),
    Text(String),
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => number.fmt(f),
            Value::Text(text) => text.fmt(f),
        }
    }
}

/// Gives every figure of the server to `show`, with its name. `shards`: the figures of each.
pub(crate) fn server(context: &ShardContext, shards: &[Figures], mut show: impl FnMut(&'static str, Value)) {
    let value = |of| match of {
        Shard(figure) => Value::Number(shards.iter().map(figure).sum()),
        Server(figure) => Value::Number(figure(context)),
        Process(figure) => Value::Text(figure(context)),
        Cache => Value::Number(0),
    };
    all(value, &mut show);
    // memcached has it where it has TLS alone, too. An answer that goes by TLS is longer anyway.
    if let Some(failed) = context.failed_handshakes() {
        show("ssl_handshake_errors", Value::Number(failed));
    }
}

/// Gives `show` what `value` makes of the figures that `stats` has.
fn all(value: impl Fn(Of) -> Value, mut show: impl FnMut(&'static str, Value)) {
    for (name, _, of) in FIGURES.into_iter().filter(|(name, ..)| !name.is_empty()) {
        show(name, value(of));
    }
}

/// The figure of a shard that has this name in `stats`, or in `stats cores`.
pub(crate) fn of_shard(name: &str) -> Option<fn(&Figures) -> u64> {
    FIGURES.into_iter().find_map(|(stats, cores, of)| match of {
        Shard(figure) if name == stats || name == cores => Some(figure),
        _ => None,
    })
}

/// Gives every figure of every shard to `show`, with the shard's number and the figure's name.
pub(crate) fn shards(shards: &[Figures], mut show: impl FnMut(usize, &'static str, u64)) {
    for (number, shard) in shards.iter().enumerate() {
        for (_, name, of) in FIGURES {
            if let (false, Shard(figure)) = (name.is_empty(), of) {
                show(number, name, figure(shard));
            }
        }
    }
}

/// Gives some figures of every stage to `show`, with the stage's name and the figure's.
pub(crate) fn stages(times: &StageTimes, mut show: impl FnMut(&'static str, &'static str, u64)) {
    for (stage, name) in STAGES {
        show(name, "count", times.count(stage));
        show(name, "p50_us", times.quantile_us(stage, 0.5));
        show(name, "p99_us", times.quantile_us(stage, 0.99));
        show(name, "p999_us", times.quantile_us(stage, 0.999));
        show(name, "max_us", times.max_us(stage));
    }
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Time of processors that this process has used, in seconds with six digits behind the point.
fn seconds_of_processor(kind: fn(&Usage) -> TimeVal) -> String {
    let time = getrusage(UsageWho::RUSAGE_SELF).map_or(TimeVal::new(0, 0), |usage| kind(&usage));
    format!("{}.{:06}", time.tv_sec(), time.tv_usec())
}

/// A line for the log about what happened since `before`, and what is counted now.
pub(crate) fn since(before: &Counters, figures: &[Figures]) -> (String, Counters) {
    let (mut counters, mut totals, mut open) = (Counters::default(), Totals::default(), 0);
    for shard in figures {
        counters.add(&shard.counters);
        totals.add(&shard.totals);
        open += shard.curr_connections;
    }
    let line = format!(
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
    (line, counters)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Ethernet carries of TCP over IPv6 in one piece, with timestamps.
    const SEGMENT_BYTES: usize = 1428;

    /// npm's memcached loses lines of an answer that comes in two pieces.
    #[test]
    fn an_answer_to_stats_fits_in_one_segment_also_after_a_trillion_messages() {
        const MANY: u64 = 999_999_999_999;
        let counters = Counters {
            connections: MANY,
            rejected_connections: 999_999_999,
            listen_disabled: 9_999_999,
            commands: MANY,
            forwarded: MANY,
            gets: MANY,
            sets: MANY,
            delete_hits: 999_999_999,
            delete_misses: 999_999_999,
            flushes: 9_999_999,
            bytes_read: MANY,
            bytes_written: MANY,
            commits: MANY,
            log_bytes_written: MANY,
            ..Counters::default()
        };
        let totals = Totals {
            queues: 9_999_999,
            messages: 9_999_999_999,
            resident_bytes: MANY,
            log_bytes: MANY,
            live_bytes: MANY,
            delayed: 9_999_999_999,
            dead: 9_999_999_999,
            acked: MANY,
            returned: 999_999_999,
            expired: 999_999_999,
        };
        let shard = Figures {
            counters,
            totals,
            curr_connections: 99_999,
            open: 9_999_999,
            waiters: 99_999,
            full: true,
            ..Figures::default()
        };
        // Hits and misses are as long as each other at their worst.
        let hits = Figures { counters: Counters { get_hits: MANY, set_hits: MANY, ..counters }, ..shard };
        let value = |of| match of {
            Shard(figure) => Value::Number(figure(&shard).max(figure(&hits))),
            // One of the four is as long as that, and two are a digit.
            Server(_) => Value::Number(99_999),
            // The seven of them together have no more than 70 bytes.
            Process(_) => Value::Text("1234567890".to_string()),
            Cache => Value::Number(0),
        };
        let mut bytes = "END\r\n".len();
        all(value, |name, value| bytes += format!("STAT {name} {value}\r\n").len());
        assert!(bytes <= SEGMENT_BYTES, "{bytes} bytes");
    }

    #[test]
    fn a_name_is_shown_once() {
        for name in [|(stats, ..): (&'static str, &'static str, Of)| stats, |(_, cores, _)| cores] {
            let mut names: Vec<&str> = FIGURES.into_iter().map(name).filter(|name| !name.is_empty()).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
        }
    }
}
