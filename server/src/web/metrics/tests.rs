//! What Prometheus makes of the answers.

use std::collections::{BTreeMap, BTreeSet};

use shards::{Counters, Figures, GateCurve, GateFigures, GateState, QueueFigures, StageTimes, Totals};

use super::queues::{self, Collected};
use super::server::{self, Scraped};
use crate::process::usage::Usage;

/// Every sample, by its name and labels. Fails at what Prometheus would refuse or misunderstand: a sample that comes
/// twice, a family in two places or without what it is, a name that says another unit or kind than it has.
#[track_caller]
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut families = BTreeSet::new();
    let (mut family, mut kind) = ("", "");
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a text");
            assert!(help.ends_with('.') || help.contains(';'), "{line}");
            assert!(families.insert(name), "{name} has two places");
            let next = lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
            let (of, is) = next.unwrap_or_else(|| panic!("no type behind {line}"));
            assert_eq!(of, name);
            assert_eq!(name.ends_with("_total"), is == "counter", "{name} is a {is}");
            (family, kind) = (name, is);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let name = series.split('{').next().expect("a name");
        let of = match kind {
            "histogram" => name.rsplit_once('_').expect("a suffix").0,
            _ => name,
        };
        assert_eq!(of, family, "{line}");
        let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert_eq!(samples.insert(series.to_string(), value), None, "{series} comes twice");
    }
    for name in families {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(is_name), "{name}");
        for unit in ["_us", "_ms", "_kb", "_mb", "_minutes"] {
            assert!(!name.contains(unit), "{name} is not in a base unit");
        }
    }
    samples
}

/// Every figure is another number.
fn shard(seed: u64) -> Figures {
    let counters = Counters {
        connections: seed + 1,
        rejected_connections: seed + 2,
        commands: seed + 3,
        forwarded: seed + 4,
        served: seed + 5,
        gets: seed + 16,
        get_hits: seed + 7,
        sets: seed + 18,
        set_hits: seed + 9,
        commits: seed + 10,
        ..Counters::default()
    };
    let totals =
        Totals { queues: seed + 20, messages: seed + 30, delayed: 2, dead: 3, acked: seed + 21, ..Totals::default() };
    Figures { counters, totals, curr_connections: seed + 11, open: 4, waiters: seed + 12, ..Figures::default() }
}

fn scraped<'a>(shards: &'a [Figures], times: &'a StageTimes) -> Scraped<'a> {
    let usage = Usage { processor_s: Some(1.25), resident_bytes: Some(7 << 20), started_s: 1e9, ..Usage::default() };
    Scraped { shards, times, usage, room: None, connections_max: 1024, memory_bytes: 256 << 20, drains: false }
}

#[test]
fn each_figure_of_each_shard_is_in_the_totals_once() {
    let shards = [shard(1_000), shard(100_000), shard(10_000_000)];
    let samples = samples(&server::text(&scraped(&shards, &StageTimes::default())));
    for (name, expected) in [
        ("rushq_messages_published_total", 10_101_027.0),
        ("rushq_messages_received_total", 10_101_054.0),
        ("rushq_messages_delivered_total", 10_101_021.0),
        ("rushq_messages_acknowledged_total", 10_101_063.0),
        ("rushq_connections", 10_101_033.0),
        ("rushq_messages", 10_101_090.0),
        ("rushq_messages_ready", 10_101_090.0 - 3.0 * 9.0),
        ("rushq_messages_unacked", 12.0),
        ("rushq_full", 0.0),
        ("rushq_shards", 3.0),
        ("process_cpu_seconds_total", 1.25),
    ] {
        assert_eq!(samples[name], expected, "{name}");
    }
    let mut checked = 0;
    for (series, _) in samples.iter().filter(|(series, _)| series.starts_with("rushq_shard_")) {
        let name = series.split('{').next().expect("a name");
        let of_shards = (0..3).map(|number| samples[&format!("{name}{{shard=\"{number}\"}}")]).sum::<f64>();
        assert_eq!(samples[&name.replace("_shard_", "_")], of_shards, "{name}");
        checked += 1;
    }
    assert!(checked >= 30, "{checked}");
}

#[test]
fn what_the_system_does_not_tell_is_left_out() {
    let samples = samples(&server::text(&scraped(&[shard(1)], &StageTimes::default())));
    assert!(samples.contains_key("process_resident_memory_bytes"));
    assert!(!samples.contains_key("process_open_fds") && !samples.contains_key("rushq_disk_space_bytes"));
}

#[test]
fn one_full_shard_makes_a_full_server() {
    let shards = [shard(1), Figures { full: true, ..shard(2) }, Figures { full: true, ..shard(3) }];
    let samples = samples(&server::text(&Scraped { drains: true, ..scraped(&shards, &StageTimes::default()) }));
    assert_eq!((samples["rushq_full"], samples["rushq_draining"]), (1.0, 1.0));
    let full = (0..3).map(|number| samples[&format!("rushq_shard_full{{shard=\"{number}\"}}")]);
    assert_eq!(full.collect::<Vec<f64>>(), [0.0, 1.0, 1.0]);
}

fn queue(name: &str, is_gate: bool) -> QueueFigures {
    QueueFigures { name: name.as_bytes().into(), waiting: 5, oldest_age_s: 9, is_gate, ..QueueFigures::default() }
}

fn text(collected: Collected) -> String {
    let pieces = collected.into_pieces();
    let about = pieces.bytes_about();
    let text: String = pieces.collect();
    assert!(text.len() <= about, "{} bytes where {about} were expected", text.len());
    text
}

/// Adds queues without a gate.
fn add(collected: &mut Collected, lines: Vec<QueueFigures>) -> bool {
    let gates = lines.iter().map(|_| None).collect();
    collected.add(lines, gates)
}

#[test]
fn queues_have_their_figures_and_gates_theirs() {
    let mut collected = Collected::new(10);
    assert!(add(&mut collected, vec![queue("a", false)]));
    let gate = GateFigures {
        tickets: 100,
        given: 7,
        paid: 6,
        held: 1,
        returned: 0,
        lapsed: 0,
        line: 3,
        refused: 40,
        repeats: 2,
        state: GateState::SoldOut,
        first_ms: 0,
        last_ms: 0,
        curve: GateCurve::EMPTY,
    };
    let lines = vec![queue("seats", true), queue("a +b", false), queue("a dead", false)];
    assert!(collected.add(lines, vec![Some(gate), None, None]));
    // With the server's: Prometheus may have both, and nothing is in both.
    let server = server::text(&scraped(&[shard(1)], &StageTimes::default()));
    let samples = samples(&(server + &text(collected)));
    let of = |name: &str, queue: &str| samples.get(&format!("{name}{{queue=\"{queue}\"}}")).copied();
    for queue in ["a", "a+b", "a/dead", "seats"] {
        assert_eq!(of("rushq_queue_messages_ready", queue), Some(5.0), "{queue}");
        assert_eq!(of("rushq_queue_oldest_message_age_seconds", queue), Some(9.0), "{queue}");
    }
    assert_eq!((of("rushq_gate_tickets", "seats"), of("rushq_gate_tickets", "a")), (Some(100.0), None));
    assert_eq!((of("rushq_gate_sold_out", "seats"), of("rushq_gate_open", "seats")), (Some(1.0), Some(0.0)));
    assert_eq!(samples["rushq_queues_left_out"], 0.0);
}

#[test]
fn the_limit_cuts_and_says_so() {
    let names = |from: usize, to: usize| (from..to).map(|number| queue(&format!("q{number}"), false)).collect();
    let mut collected = Collected::new(1_200);
    assert!(add(&mut collected, names(0, 1_200)), "it may be that there are no more");
    assert!(add(&mut collected, names(0, 10)), "those are shown");
    assert!(!add(&mut collected, names(1_200, 1_201)), "the walk ends");
    let pieces: Vec<String> = collected.into_pieces().collect();
    assert!(pieces.iter().all(|piece| piece.lines().count() <= 502), "a piece is short");
    let samples = samples(&pieces.concat());
    assert_eq!(samples["rushq_queues_left_out"], 1.0);
    let shown = samples.keys().filter(|series| series.starts_with("rushq_queue_messages_ready"));
    assert_eq!(shown.count(), 1_200);
}

/// One that was deleted and made again while the walk was under way.
#[test]
fn a_queue_that_is_met_twice_is_shown_once() {
    let mut collected = Collected::new(10);
    add(&mut collected, vec![queue("a", false), queue("a", false), queue("x+y", false)]);
    add(&mut collected, vec![queue("a", false), queue("x +y", false)]);
    let samples = samples(&text(collected));
    assert_eq!(samples.keys().filter(|series| series.starts_with("rushq_queue_messages_ready")).count(), 2);
}

#[test]
fn a_limit_is_a_number_that_the_server_can_bear() {
    assert_eq!((queues::limit(queues::LIMIT), queues::limit(10_000)), (Ok(1_000), Ok(10_000)));
    for limit in [0, 10_001, u64::MAX] {
        assert!(queues::limit(limit).expect_err("too much").contains("1 to 10000"), "{limit}");
    }
}

/// A thousand times of 1 to 1,000 ms, one of each.
#[test]
fn stages_are_histograms_in_seconds() {
    let mut text =
        String::from("# HELP rushq_stage_duration_seconds Times.\n# TYPE rushq_stage_duration_seconds histogram\n");
    server::histogram(&mut text, "write", |bound_us| (bound_us / 1_000).min(1_000), 1_000, 500_500_000);
    let samples = samples(&text);
    let bucket =
        |bound: &str| samples[&format!("rushq_stage_duration_seconds_bucket{{stage=\"write\",le=\"{bound}\"}}")];
    for (bound, count) in [("0.00005", 0.0), ("0.001", 1.0), ("0.0025", 2.0), ("0.25", 250.0), ("10", 1_000.0)] {
        assert_eq!(bucket(bound), count, "{bound}");
    }
    assert_eq!(bucket("+Inf"), samples["rushq_stage_duration_seconds_count{stage=\"write\"}"]);
    assert_eq!(samples["rushq_stage_duration_seconds_sum{stage=\"write\"}"], 500.5);
}

#[test]
fn every_stage_has_a_histogram() {
    let samples = samples(&server::text(&scraped(&[shard(1)], &StageTimes::default())));
    for stage in ["parse_to_reply", "queue", "commit_wait", "write", "fsync", "turn", "read"] {
        let buckets = samples.keys().filter(|series| series.contains(&format!("stage=\"{stage}\",le=")));
        assert_eq!(buckets.count(), 18, "{stage}");
    }
}

/// Each in a table of its own; those of a shard by what comes behind `rushq_shard_`.
#[test]
fn every_metric_is_explained() {
    let readme = include_str!("../../../README.md");
    let (_, tables) = readme.split_once("\n### /metrics\n").expect("a section");
    let tables = tables.split("\n### ").next().expect("a section");
    let mut collected = Collected::new(1);
    add(&mut collected, vec![queue("q", false)]);
    let text = server::text(&scraped(&[shard(1)], &StageTimes::default())) + &text(collected);
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(names.len() > 80, "{}", names.len());
    for name in names {
        let name = name.strip_prefix("rushq_shard_").unwrap_or(name);
        assert!(tables.contains(&format!("`{name}`")), "server/README.md does not explain {name}");
    }
}
