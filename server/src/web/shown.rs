//! What is shown, as JSON.

use serde::Serialize;
use shards::{Figures, Stage, StageTimes};

use crate::admin::history::{INTERVAL, Point, Sums};

/// The server at a glance.
#[derive(Debug, Serialize)]
pub(crate) struct Overview<'a> {
    pub(crate) version: &'static str,
    pub(crate) uptime_s: u64,
    pub(crate) addresses: Vec<String>,
    pub(crate) durable: bool,
    pub(crate) read_only: bool,
    pub(crate) draining: bool,
    pub(crate) full: bool,
    pub(crate) user: Option<&'a str>,
    pub(crate) connections: u64,
    pub(crate) connections_max: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) memory_max_bytes: u64,
    pub(crate) log_bytes: u64,
    pub(crate) log_live_bytes: u64,
    /// Of the data directory's disk; `None`: not known yet.
    pub(crate) disk_free_bytes: Option<u64>,
    pub(crate) disk_bytes: Option<u64>,
    pub(crate) commit: Times,
    pub(crate) fsync: Times,
    pub(crate) totals: Totals,
    pub(crate) shards: Vec<OfShard>,
}

/// How long something takes, in microseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Times {
    p50_us: u64,
    p99_us: u64,
}

impl Times {
    pub(crate) fn of(times: &StageTimes, stage: Stage) -> Times {
        Times { p50_us: times.quantile_us(stage, 0.5), p99_us: times.quantile_us(stage, 0.99) }
    }
}

/// See [`Sums`].
#[derive(Debug, Serialize)]
pub(crate) struct Totals {
    queues: u64,
    messages: u64,
    waiting: u64,
    open: u64,
    delayed: u64,
    dead: u64,
    waiters: u64,
    put: u64,
    taken: u64,
    acked: u64,
    returned: u64,
}

impl From<Sums> for Totals {
    fn from(sums: Sums) -> Totals {
        let Sums { queues, messages, waiting, open, delayed, dead, waiters, put, taken, acked, returned } = sums;
        Totals { queues, messages, waiting, open, delayed, dead, waiters, put, taken, acked, returned }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct OfShard {
    shard: usize,
    connections: u64,
    queues: u64,
    messages: u64,
    open: u64,
    commands: u64,
    forwarded: u64,
    commits: u64,
    log_bytes: u64,
    full: bool,
}

impl OfShard {
    pub(crate) fn of(shard: usize, figures: &Figures) -> OfShard {
        OfShard {
            shard,
            connections: figures.curr_connections,
            queues: figures.totals.queues,
            messages: figures.totals.messages,
            open: figures.open,
            commands: figures.counters.commands,
            forwarded: figures.counters.forwarded,
            commits: figures.counters.commits,
            log_bytes: figures.totals.log_bytes,
            full: figures.full,
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct History {
    interval_s: u64,
    /// Seconds since 1970 of the last point, or of now without one.
    now: u64,
    points: Vec<Point>,
}

impl History {
    pub(crate) fn new(now: u64, points: Vec<Point>) -> History {
        History { interval_s: INTERVAL.as_secs(), now, points }
    }
}
