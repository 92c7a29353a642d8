//! `stats` and its kinds: names, order and shape, and figures that must be exact.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::client::Client;
use crate::process::{Launch, wait_until};

/// memcacheQ's figures, in its order.
const FIRST: [&str; 17] = [
    "pid",
    "uptime",
    "time",
    "version",
    "pointer_size",
    "rusage_user",
    "rusage_system",
    "curr_connections",
    "total_connections",
    "connection_structures",
    "get_cmds",
    "get_hits",
    "set_cmds",
    "set_hits",
    "bytes_read",
    "bytes_written",
    "threads",
];
const ALSO: [&str; 6] = ["cmd_get", "cmd_set", "get_misses", "curr_items", "limit_maxbytes", "max_connections"];

#[test]
fn stats_begin_as_memcacheq_does() {
    let server = Launch::new().start();
    let stats = server.connect().stats("");
    let names: Vec<&str> = stats.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..FIRST.len()], FIRST);
    for name in ALSO {
        assert!(names.contains(&name), "no {name} in {names:?}");
    }
    let values: HashMap<&str, &str> = stats.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for name in FIRST.iter().chain(&ALSO) {
        let value = values[name];
        match *name {
            "version" => assert_eq!(value.split('.').filter(|part| part.parse::<u32>().is_ok()).count(), 3, "{value}"),
            "rusage_user" | "rusage_system" => assert!(value.parse::<f64>().is_ok(), "{name} {value}"),
            _ => assert!(value.parse::<u64>().is_ok(), "{name} {value}"),
        }
    }
    assert_eq!(values["pid"], server.pid().to_string());
    assert_eq!(values["pointer_size"], "64");
}

#[test]
fn stats_count_what_happened() {
    let server = Launch::new().start();
    let mut client = server.connect();
    for number in 0..20 {
        assert_eq!(client.set(&format!("q{number}"), b"x"), "STORED");
    }
    for number in 0..8 {
        assert!(client.get(&format!("q{number}")).is_some());
    }
    assert_eq!(client.get("nothing"), None);
    let expected = [
        ("set_cmds", 20),
        ("set_hits", 20),
        ("cmd_set", 20),
        ("get_cmds", 9),
        ("cmd_get", 9),
        ("get_hits", 8),
        ("get_misses", 1),
        ("curr_items", 12),
        ("curr_connections", 1),
    ];
    for (name, value) in expected {
        assert_eq!(client.figure(name), value, "{name}");
    }
}

#[test]
fn stats_reset_leaves_the_queues_counters() {
    let server = Launch::new().start();
    let mut client = server.connect();
    assert_eq!(client.set("q", b"one"), "STORED");
    assert_eq!(client.set("q", b"two"), "STORED");
    assert!(client.get("q").is_some());
    assert_eq!(client.command("stats reset"), "RESET");
    for name in ["set_cmds", "get_cmds", "get_hits", "set_hits"] {
        assert_eq!(client.figure(name), 0, "{name}");
    }
    assert_eq!(client.queue_counters(), [(String::from("q"), 2, 1)]);
    assert_eq!(client.get("q").as_deref(), Some(&b"two"[..]));
}

/// Several hundred kilobytes of answer, from both shards.
#[test]
fn stats_queue_is_never_cut_short() {
    const QUEUES: usize = 20_000;
    let server = Launch::new().start();
    let mut client = server.connect();
    let name = |number: usize| format!("a-queue-among-many-others-{number}");
    for batch in (0..QUEUES).collect::<Vec<_>>().chunks(500) {
        let mut bytes = Vec::new();
        for &number in batch {
            crate::client::write_set(&mut bytes, &name(number), b"x");
        }
        client.send(bytes);
        batch.iter().for_each(|_| assert_eq!(client.line(), "STORED"));
    }
    let expected: BTreeMap<_, _> = (0..QUEUES).map(|number| (name(number), (1, 0))).collect();
    let listed = client.queue_counters();
    assert_eq!(listed.len(), QUEUES);
    let listed: BTreeMap<_, _> = listed.into_iter().map(|(queue, sets, gets)| (queue, (sets, gets))).collect();
    assert!(listed == expected, "a queue is missing, or its counters are wrong");
}

#[test]
fn stats_cores_and_settings() {
    let server = Launch::new().with(&["-c", "77"]).start();
    let mut client = server.connect();
    for number in 0..50 {
        assert_eq!(client.set(&format!("q{number}"), b"x"), "STORED");
    }
    let cores = client.stats("cores");
    for shard in ["0", "1"] {
        assert!(cores.iter().any(|(name, _)| name.contains(shard)), "nothing about shard {shard} in {cores:?}");
    }
    for figure in ["connections", "commands", "forwarded", "commits", "p50", "p99", "queues", "messages"] {
        let lines = cores.iter().filter(|(name, _)| name.contains(figure)).count();
        assert!(lines >= 2, "{figure} is there {lines} times in {cores:?}");
    }
    let settings = client.stats("settings");
    assert!(settings.iter().any(|(_, value)| value == "77"), "no trace of -c 77 in {settings:?}");
    assert!(settings.contains(&(String::from("port"), server.address().port().to_string())), "{settings:?}");
    assert!(settings.len() >= 8, "an option is missing in {settings:?}");
}

/// The names that a section of server/README.md has between backticks.
fn explained(section: &str) -> HashSet<&'static str> {
    let readme = include_str!("../../README.md");
    let (_, text) = readme.split_once(&format!("\n{section}\n")).unwrap_or_else(|| panic!("no section {section}"));
    let text = text.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
    let mut pieces = text.split('`');
    pieces.next();
    pieces.step_by(2).collect()
}

#[test]
fn the_readme_explains_every_figure() {
    let server = Launch::new().start();
    let mut client = server.connect();
    assert_eq!(client.set("q", b"x"), "STORED");
    assert_eq!(client.set("c/config", b"tickets=1"), "STORED");
    let stages = explained("## Where time goes");
    for (kind, section) in [
        ("", "### stats"),
        ("cores", "### stats cores"),
        ("latency", "### stats latency"),
        ("conns", "### stats conns"),
        ("queues", "### stats queues"),
        ("gate c", "### stats gate"),
        ("settings", "### stats settings"),
    ] {
        let figures = explained(section);
        let stats = client.stats(kind);
        assert!(stats.len() >= if ["conns", "queues", "gate c"].contains(&kind) { 9 } else { 20 }, "{stats:?}");
        for (name, _) in stats {
            let is_explained = match kind {
                "cores" | "conns" | "queues" => {
                    name.split_once(':').is_some_and(|(_, figure)| figures.contains(figure))
                }
                "latency" => stages.iter().any(|stage| {
                    let figure = name.strip_prefix(stage).and_then(|rest| rest.strip_prefix('_'));
                    figure.is_some_and(|figure| figures.contains(figure))
                }),
                _ => figures.contains(name.as_str()),
            };
            assert!(is_explained, "{section} of server/README.md does not explain {name}");
        }
    }
}

#[test]
fn figures_of_a_cache_are_none_and_no_error() {
    let server = Launch::new().start();
    let mut client = server.connect();
    for kind in ["items", "slabs", "sizes"] {
        assert_eq!(client.stats(kind), []);
    }
    assert_eq!(client.command("stats detail"), "ERROR");
}

const STAGES: [&str; 7] = ["parse_to_reply", "queue", "commit_wait", "write", "fsync", "turn", "read"];

/// `stats latency`, checked for its shape.
fn latency(client: &mut Client) -> HashMap<String, u64> {
    let stats = client.stats("latency");
    let figures = ["count", "p50_us", "p99_us", "p999_us", "max_us"];
    let names: Vec<String> =
        STAGES.iter().flat_map(|stage| figures.map(|figure| format!("{stage}_{figure}"))).collect();
    assert_eq!(stats.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), names);
    let stats: HashMap<String, u64> = stats.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
    for stage in STAGES {
        let [count, p50, p99, p999, max] = figures.map(|figure| stats[&format!("{stage}_{figure}")]);
        assert!(p50 <= p99 && p99 <= p999 && p999 <= max, "{stage}: {stats:?}");
        assert!(count > 0 || max == 0, "{stage}: {stats:?}");
    }
    stats
}

fn assert_counts(client: &mut Client, wanted: [(&str, u64); 3]) -> HashMap<String, u64> {
    let latency = latency(client);
    for (stage, count) in wanted {
        assert_eq!(latency[&format!("{stage}_count")], count, "{stage} in {latency:?}");
    }
    latency
}

/// Sets and gets on queues of both shards: one by one, of several names, and in a pipeline. Returns how many commands
/// that were, how many operations on queues, and how many of these have changed something.
fn sets_and_gets(client: &mut Client) -> [(&'static str, u64); 3] {
    for number in 0..20 {
        assert_eq!(client.set(&format!("q{number}"), b"x"), "STORED");
    }
    for number in 0..8 {
        assert!(client.get(&format!("q{number}")).is_some());
    }
    assert_eq!(client.try_get("q8 q9 q10 q11 nothing none").unwrap().len(), 4);
    let mut pipeline = Vec::new();
    (0..300).for_each(|number| crate::client::write_set(&mut pipeline, &format!("q{number}"), b"x"));
    client.send(&pipeline);
    (0..300).for_each(|_| assert_eq!(client.line(), "STORED"));
    // It has no answer, and counts all the same.
    client.send("set q1 0 0 1 noreply\r\nx\r\n");
    assert_eq!(client.command("flush there-is-no-such-queue"), "END");
    // Commands too, although no operations on a queue.
    assert!(client.command("version").starts_with("VERSION"));
    assert_eq!(client.command("nonsense"), "ERROR");
    let (commands, ops) = (20 + 8 + 1 + 300 + 1 + 1 + 2, 20 + 8 + 6 + 300 + 1 + 1);
    [("parse_to_reply", commands), ("queue", ops), ("commit_wait", ops - 2)]
}

#[test]
fn stats_latency_counts_every_stage_on_all_shards() {
    let server = Launch::new().start();
    let mut client = server.connect();
    latency(&mut client);
    assert_eq!(client.command("stats reset"), "RESET");
    let wanted = sets_and_gets(&mut client);
    for figure in ["served", "forwarded"] {
        let of_shards = client.stats("cores").into_iter().filter(|(name, _)| name.ends_with(figure));
        let ops: u64 = of_shards.map(|(_, value)| value.parse::<u64>().unwrap()).sum();
        assert!(ops > 0 && ops < wanted[1].1, "queues of both shards have {figure} {ops}");
    }
    let before = client.figure("commits");
    let latency = assert_counts(&mut client, wanted);
    let after = client.figure("commits");
    for stage in ["write", "fsync"] {
        let commits = latency[&format!("{stage}_count")];
        assert!((before..=after).contains(&commits), "{commits} of {before} to {after} commits in {latency:?}");
    }
    // A command that waits for a commit takes as long as that, and a commit as long as its fdatasync.
    assert!(latency["parse_to_reply_max_us"] > 0 && latency["commit_wait_max_us"] > 0, "{latency:?}");
    assert!(latency["parse_to_reply_max_us"] * 101 / 100 + 1 >= latency["commit_wait_max_us"], "{latency:?}");
    assert_counts(&mut client, wanted);
}

#[test]
fn stats_reset_forgets_latencies_on_all_shards() {
    let server = Launch::new().start();
    let (mut client, mut other) = (server.connect(), server.connect());
    let ([(_, commands), (_, ops), (_, changes)], again) = (sets_and_gets(&mut client), sets_and_gets(&mut other));
    // In the second round the queues of the first are not empty.
    let twice = [("parse_to_reply", 2 * commands), ("queue", 2 * ops), ("commit_wait", 2 * changes)];
    assert_eq!(again[0].1, commands);
    assert_counts(&mut client, twice);
    assert_eq!(client.command("stats reset"), "RESET");
    let fresh = assert_counts(&mut client, [("parse_to_reply", 0), ("queue", 0), ("commit_wait", 0)]);
    for stage in STAGES {
        assert_eq!(fresh[&format!("{stage}_max_us")], 0, "{stage} in {fresh:?}");
    }
    assert_eq!(client.set("q", b"x"), "STORED");
    assert_counts(&mut other, [("parse_to_reply", 1), ("queue", 1), ("commit_wait", 1)]);
}

#[test]
fn stats_latency_knows_no_fdatasync_on_the_way_of_a_reply_that_waits_for_the_write_only() {
    let launch = Launch::new();
    let trace = launch.scratch().join("strace");
    let through = ["strace", "-D", "-f", "-qq", "-o", trace.to_str().unwrap(), "-e", "trace=fdatasync"];
    let server = launch.through(&through).with(&["-N"]).start();
    let mut client = server.connect();
    assert_eq!(client.command("stats reset"), "RESET");
    let done = || std::fs::read_to_string(&trace).unwrap().matches("= 0").count();
    let before = done();
    let wanted = sets_and_gets(&mut client);
    wait_until("the fdatasync of each second", Duration::from_secs(20), || done() > before);
    let latency = assert_counts(&mut client, wanted);
    assert_eq!(latency["fsync_count"], 0, "{latency:?}");
    assert!(latency["write_count"] > 0, "{latency:?}");
}

/// A commit that takes 300 ms is in the figures of those who waited for it, and has a line in the log; many of them have
/// one line a second.
#[test]
fn a_slow_fdatasync_is_seen_and_said() {
    const DELAY_US: u64 = 300_000;
    for commit in ["inline", "thread"] {
        let launch = Launch::new();
        let trace = launch.scratch().join("strace");
        let inject = format!("inject=fdatasync:delay_exit={DELAY_US}");
        // -D leaves the server itself as our child.
        let through =
            ["strace", "-D", "-f", "-qq", "-o", trace.to_str().unwrap(), "-e", "trace=fdatasync", "-e", &inject];
        let mut server = launch.through(&through).with(&["--commit", commit]).start();
        let mut client = server.connect();
        assert_eq!(client.command("stats reset"), "RESET");
        let began = Instant::now();
        (0..8).for_each(|_| assert_eq!(client.set("q", b"x"), "STORED"));
        let took = began.elapsed();
        let latency = assert_counts(&mut client, [("parse_to_reply", 8), ("queue", 8), ("commit_wait", 8)]);
        for stage in ["fsync", "commit_wait", "parse_to_reply"] {
            assert!(latency[&format!("{stage}_p50_us")] >= DELAY_US, "{commit}: {stage} in {latency:?}");
        }
        assert!(latency["write_p50_us"] < DELAY_US, "{latency:?}");
        // This has a line of its own, which comes behind all that there is to be said of the commits.
        server.signal(Signal::SIGUSR1);
        server.wait_for_line("draining");
        let lines: Vec<&String> = server.said().iter().filter(|line| line.contains("a commit took")).collect();
        for word in ["WARN", "shard ", "write ", "fdatasync 3", "ms, bytes ", "frames 1;", "since the last line: 0"] {
            assert!(lines[0].contains(word), "no {word:?} in {}", lines[0]);
        }
        assert!((2..=1 + took.as_secs()).contains(&(lines.len() as u64)), "in {took:?}: {lines:#?}");
        let others = |line: &str| line.rsplit_once(": ").unwrap().1.parse::<u64>().unwrap();
        assert!(lines[1..].iter().all(|line| (1..=3).contains(&others(line))), "{lines:#?}");
    }
}
