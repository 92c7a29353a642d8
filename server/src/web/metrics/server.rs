//! `/metrics`: the server's figures, those of each shard, how long the stages of commands take, and the process.

use shards::{Figures, StageTimes};

use crate::admin::disk::Room;
use crate::admin::report;
use crate::process::usage::Usage;
use crate::web::metrics::text::{Kind, family, labeled, sample};

/// What a scrape is made of.
#[derive(Debug)]
pub(crate) struct Scraped<'a> {
    /// Of each shard.
    pub(crate) shards: &'a [Figures],
    /// Of all shards together.
    pub(crate) times: &'a StageTimes,
    pub(crate) usage: Usage,
    /// Of the disk of the data directory; `None`: it is not known.
    pub(crate) room: Option<Room>,
    /// Connections that the process may have.
    pub(crate) connections_max: u64,
    /// Bytes of bodies that may be in memory.
    pub(crate) memory_bytes: u64,
    pub(crate) drains: bool,
}

/// Where a metric comes from.
#[derive(Clone, Copy)]
enum Of {
    /// The figure with this name in `stats` or `stats cores`, of all shards together, and of each shard too.
    Each(&'static str),
    /// The same, of all shards together only.
    Sum(&'static str),
    /// What is made of a shard's figures, of all shards together.
    SumOf(fn(&Figures) -> u64),
    /// 1 when the figure of any shard is not 0.
    Any(&'static str),
    /// The server or the process as a whole. `None`: it cannot be had here.
    Whole(fn(&Scraped<'_>) -> Option<u64>),
    /// The same, in seconds.
    Seconds(fn(&Scraped<'_>) -> Option<f64>),
}

use Kind::{Counter, Gauge, Histogram};
use Of::{Any, Each, Seconds, Sum, SumOf, Whole};

/// A metric's name, its kind, what it is, and where it comes from.
type Metric = (&'static str, Kind, &'static str, Of);

/// All of them, in their order. One that each shard has as well is `rushq_shard_...` there: under one name, the sum over
/// all labels would count everything twice.
const METRICS: [Metric; 45] = [
    ("rushq_shards", Gauge, "Shards, one thread each.", Whole(|seen| Some(seen.shards.len() as u64))),
    ("rushq_draining", Gauge, "1: sets are refused until SIGUSR2.", Whole(|seen| Some(seen.drains.into()))),
    ("rushq_full", Gauge, "1: a shard refuses sets, since the disk is full.", Any("shards_full")),
    ("rushq_connections", Gauge, "Connections that are open.", Each("curr_connections")),
    (
        "rushq_connections_limit",
        Gauge,
        "Connections that there may be, by -c.",
        Whole(|seen| Some(seen.connections_max)),
    ),
    ("rushq_connections_opened_total", Counter, "Connections that were accepted.", Each("total_connections")),
    ("rushq_connections_refused_total", Counter, "Connections beyond -c.", Sum("rejected_connections")),
    ("rushq_queues", Gauge, "Queues that exist, empty ones too.", Each("queues")),
    ("rushq_messages", Gauge, "Messages: ready, unacknowledged, delayed, and dead letters.", Each("messages")),
    ("rushq_messages_ready", Gauge, "Messages that can be taken now.", SumOf(ready)),
    ("rushq_messages_unacked", Gauge, "Messages that are out with a worker.", Each("open")),
    ("rushq_messages_delayed", Gauge, "Messages that are kept back for a while.", Sum("delayed")),
    ("rushq_messages_dead", Gauge, "Messages that are dead letters.", Sum("dead")),
    ("rushq_waiting_consumers", Gauge, "Clients that wait for a message.", Sum("waiters")),
    ("rushq_messages_received_total", Counter, "Sets, refused ones too.", Sum("set_cmds")),
    ("rushq_messages_published_total", Counter, "Sets that were stored.", Each("set_hits")),
    ("rushq_message_requests_total", Counter, "Names that gets asked for.", Sum("get_cmds")),
    ("rushq_messages_delivered_total", Counter, "Messages that were handed out, for good or open.", Each("get_hits")),
    ("rushq_messages_acknowledged_total", Counter, "Open messages that were acknowledged.", Sum("acked")),
    ("rushq_messages_returned_total", Counter, "Times that an open message came back.", Sum("returned")),
    ("rushq_messages_expired_total", Counter, "Messages that were too old.", Sum("expired")),
    ("rushq_queues_deleted_total", Counter, "Queues that were deleted.", Sum("delete_hits")),
    ("rushq_flushes_total", Counter, "Flushes, of one queue and of all.", Sum("cmd_flush")),
    ("rushq_lease_touches_total", Counter, "Leases that were to end at another time.", Sum("cmd_touch")),
    ("rushq_commands_total", Counter, "Commands, rejected ones too.", Each("commands")),
    ("rushq_operations_forwarded_total", Counter, "Operations that went to another shard.", Each("forwarded")),
    ("rushq_operations_served_total", Counter, "Operations of other shards that were applied.", Each("served")),
    ("rushq_received_bytes_total", Counter, "Bytes from clients.", Sum("bytes_read")),
    ("rushq_sent_bytes_total", Counter, "Bytes to clients.", Sum("bytes_written")),
    ("rushq_memory_bytes", Gauge, "Bytes of bodies in memory, with the allocator's part.", Each("resident_bytes")),
    (
        "rushq_memory_limit_bytes",
        Gauge,
        "Bytes of bodies that stay in memory, by -m.",
        Whole(|seen| Some(seen.memory_bytes)),
    ),
    ("rushq_log_bytes", Gauge, "Bytes from the oldest segment's beginning to the log's end.", Each("log_bytes")),
    ("rushq_log_live_bytes", Gauge, "Bytes of the log that messages and queues take.", Sum("log_live_bytes")),
    ("rushq_log_written_bytes_total", Counter, "Bytes that commits wrote.", Sum("log_bytes_written")),
    (
        "rushq_disk_space_available_bytes",
        Gauge,
        "Bytes free where the data is.",
        Whole(|seen| Some(seen.room?.free_bytes)),
    ),
    ("rushq_disk_space_bytes", Gauge, "Bytes of the disk where the data is.", Whole(|seen| Some(seen.room?.bytes))),
    ("rushq_commits_total", Counter, "Commits: a write each, and by default an fdatasync.", Each("commits")),
    ("rushq_commits_inline_total", Counter, "Commits on the shard's own thread.", Sum("commits_inline")),
    ("rushq_checkpoints_total", Counter, "Checkpoints.", Sum("checkpoints")),
    ("process_cpu_seconds_total", Counter, "Seconds of processors, used.", Seconds(|seen| seen.usage.processor_s)),
    ("process_resident_memory_bytes", Gauge, "Bytes of memory.", Whole(|seen| seen.usage.resident_bytes)),
    ("process_virtual_memory_bytes", Gauge, "Bytes of address space.", Whole(|seen| seen.usage.virtual_bytes)),
    ("process_open_fds", Gauge, "Descriptors that are open.", Whole(|seen| seen.usage.descriptors)),
    ("process_max_fds", Gauge, "Descriptors that may be open.", Whole(|seen| seen.usage.descriptors_max)),
    ("process_start_time_seconds", Gauge, "Unix seconds of the start.", Seconds(|seen| Some(seen.usage.started_s))),
];

/// What the metrics of one shard are called: `rushq_shard_` for `rushq_`, with the label `shard`.
const OF_SHARDS: &str = "rushq_shard_";

/// The histograms' name.
const STAGES: &str = "rushq_stage_duration_seconds";

/// The upper bounds of the histograms' buckets, in microseconds. Fixed, so that the buckets of all instances and all
/// times add up.
const BOUNDS_US: [u64; 17] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// Messages of a shard that can be taken now.
fn ready(shard: &Figures) -> u64 {
    let totals = &shard.totals;
    totals.messages.saturating_sub(shard.open + totals.delayed + totals.dead)
}

/// The whole answer to `/metrics`: some 300 lines, and six more for each shard.
pub(crate) fn text(seen: &Scraped<'_>) -> String {
    let mut out = String::with_capacity(32 << 10);
    family(&mut out, "rushq_build_info", Gauge, "1, with the version as a label.");
    labeled(&mut out, "rushq_build_info", "version", env!("CARGO_PKG_VERSION"), 1);
    for (name, kind, help, of) in METRICS {
        let sum = |figure: fn(&Figures) -> u64| seen.shards.iter().map(figure).sum::<u64>();
        let value = match of {
            Each(figure) | Sum(figure) => Some(sum(of_shard(figure)).to_string()),
            SumOf(figure) => Some(sum(figure).to_string()),
            Any(figure) => Some(u8::from(sum(of_shard(figure)) > 0).to_string()),
            Whole(figure) => figure(seen).map(|value| value.to_string()),
            Seconds(figure) => figure(seen).map(|value| value.to_string()),
        };
        if let Some(value) = value {
            family(&mut out, name, kind, help);
            sample(&mut out, name, value);
        }
    }
    of_each_shard(&mut out, seen.shards);
    stages(&mut out, seen.times);
    out
}

/// Appends the metrics that each shard has by itself.
fn of_each_shard(out: &mut String, shards: &[Figures]) {
    for (name, kind, help, of) in METRICS {
        let figure = match of {
            Each(figure) | Any(figure) => of_shard(figure),
            _ => continue,
        };
        let name = name.replacen("rushq_", OF_SHARDS, 1);
        family(out, &name, kind, help);
        for (number, shard) in shards.iter().enumerate() {
            labeled(out, &name, "shard", number, figure(shard));
        }
    }
}

/// The figure of a shard that has this name in `stats` or `stats cores`.
fn of_shard(name: &str) -> fn(&Figures) -> u64 {
    report::of_shard(name).expect("a figure of that name")
}

/// Appends a histogram of each stage's times.
fn stages(out: &mut String, times: &StageTimes) {
    family(out, STAGES, Histogram, "How long the stages of commands take.");
    for (stage, word) in report::STAGES {
        histogram(out, word, |bound_us| times.count_up_to(stage, bound_us), times.count(stage), times.sum_us(stage));
    }
}

/// Appends the samples of one stage's histogram: the buckets, each with all that is in the ones before.
pub(super) fn histogram(out: &mut String, stage: &str, up_to: impl Fn(u64) -> u64, count: u64, sum_us: u64) {
    let bucket = format!("{STAGES}_bucket");
    for bound_us in BOUNDS_US {
        labeled(out, &bucket, "stage", format_args!("{stage}\",le=\"{}", seconds(bound_us)), up_to(bound_us));
    }
    labeled(out, &bucket, "stage", format_args!("{stage}\",le=\"+Inf"), count);
    labeled(out, &format!("{STAGES}_sum"), "stage", stage, seconds(sum_us));
    labeled(out, &format!("{STAGES}_count"), "stage", stage, count);
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}
