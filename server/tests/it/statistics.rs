//! `stats` and its kinds: names, order and shape, and figures that must be exact.

use std::collections::{BTreeMap, HashMap};

use crate::process::Launch;

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

#[test]
fn figures_of_a_cache_are_none_and_no_error() {
    let server = Launch::new().start();
    let mut client = server.connect();
    for kind in ["items", "slabs", "sizes"] {
        assert_eq!(client.stats(kind), []);
    }
    assert_eq!(client.command("stats detail"), "ERROR");
}
