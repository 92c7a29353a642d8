//! What Prometheus scrapes, from the real server: each sample once, and each message counted once.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::disk_full::{SmallDisk, fill};
use crate::process::{Launch, Server, wait_until};
use crate::root::is_root;

const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The status and the body of the answer to a GET.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(EVENT_TIMEOUT)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), String::from(body))
}

/// Every sample of an answer, each of which must be there once.
#[track_caller]
fn scrape(server: &Server, path: &str) -> BTreeMap<String, f64> {
    let (status, body) = get(server.address_for("admin"), path);
    assert_eq!(status, 200, "{path}: {body}");
    let mut samples = BTreeMap::new();
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert_eq!(samples.insert(String::from(series), value.parse().unwrap()), None, "{series} comes twice");
    }
    samples
}

fn sum(samples: &BTreeMap<String, f64>, name: &str) -> f64 {
    let of_name = samples.iter().filter(|(series, _)| series.split('{').next() == Some(name));
    of_name.map(|(_, value)| value).sum()
}

fn served() -> Launch {
    Launch::new().with(&["--admin", "0"])
}

#[test]
fn a_message_that_is_put_once_counts_once_over_all_shards() {
    const QUEUES: u32 = 20;
    const SETS: u32 = 3;
    let server = served().start();
    // On connections that each shard has some of.
    let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for number in 0..QUEUES * SETS {
        let client = &mut clients[number as usize % 8];
        assert_eq!(client.set(&format!("q{}", number % QUEUES), b"x"), "STORED");
    }
    // Ten are taken for good, and ten are opened, of which six are acknowledged.
    for queue in 0..10 {
        assert!(clients[0].get(&format!("q{queue}")).is_some());
        assert!(clients[0].get(&format!("q{queue}/open")).is_some());
    }
    (0..6).for_each(|queue| assert!(clients[0].get(&format!("q{queue}/close")).is_none()));
    let put = f64::from(QUEUES * SETS);
    let samples = scrape(&server, "/metrics");
    for (name, expected) in [
        ("rushq_messages_published_total", put),
        ("rushq_messages_received_total", put),
        ("rushq_messages_delivered_total", 20.0),
        ("rushq_messages_acknowledged_total", 6.0),
        ("rushq_messages_unacked", 4.0),
        ("rushq_messages", put - 16.0),
        ("rushq_messages_ready", put - 20.0),
        ("rushq_connections", 8.0),
        ("rushq_queues", f64::from(QUEUES)),
        ("rushq_shards", 2.0),
    ] {
        assert_eq!(samples[name], expected, "{name}");
    }
    // Each shard's share is not nothing, and together they are all.
    for name in ["messages_published_total", "messages", "queues", "commits_total", "commands_total", "log_bytes"] {
        let shards = [0, 1].map(|shard| samples[&format!("rushq_shard_{name}{{shard=\"{shard}\"}}")]);
        assert!(shards.iter().all(|share| *share > 0.0) || name == "messages_published_total", "{name}: {shards:?}");
        assert_eq!(shards.iter().sum::<f64>(), samples[&format!("rushq_{name}")], "{name}");
    }
    let queues = scrape(&server, "/metrics/queues");
    assert_eq!(sum(&queues, "rushq_queue_messages_published_total"), put);
    assert_eq!(sum(&queues, "rushq_queue_messages_ready"), put - 20.0);
    assert_eq!(sum(&queues, "rushq_queue_messages_acknowledged_total"), 6.0);
    assert_eq!(queues["rushq_queue_messages_published_total{queue=\"q7\"}"], f64::from(SETS));
    // Nothing is in both, where a sum over all would have it twice.
    assert!(queues.keys().all(|series| !samples.contains_key(series)));
}

#[test]
fn stages_and_the_process_are_there() {
    let server = served().start();
    let mut client = server.connect();
    for number in 0..50 {
        assert_eq!(client.set(&format!("q{number}"), b"x"), "STORED");
    }
    let samples = scrape(&server, "/metrics");
    for stage in ["parse_to_reply", "queue", "commit_wait", "write", "fsync", "turn", "read"] {
        let bucket =
            |bound: &str| samples[&format!("rushq_stage_duration_seconds_bucket{{stage=\"{stage}\",le=\"{bound}\"}}")];
        let bounds = ["0.00005", "0.0001", "0.001", "0.01", "0.1", "1", "10", "+Inf"].map(bucket);
        assert!(bounds.is_sorted(), "{stage}: {bounds:?}");
        let count = samples[&format!("rushq_stage_duration_seconds_count{{stage=\"{stage}\"}}")];
        let total = samples[&format!("rushq_stage_duration_seconds_sum{{stage=\"{stage}\"}}")];
        assert_eq!(count, bounds[7], "{stage}");
        assert_eq!(total > 0.0, count > 0.0, "{stage}: {total} s");
        assert!(total < 60.0, "{stage}: {total} s");
        match stage {
            "parse_to_reply" | "queue" | "commit_wait" => assert_eq!(count, 50.0, "{stage}"),
            "read" => assert_eq!(count, 0.0),
            _ => assert!(count > 0.0, "{stage}"),
        }
    }
    let seen = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count() as f64;
    assert!((samples["process_open_fds"] - seen).abs() <= 3.0, "{} and {seen}", samples["process_open_fds"]);
    let resident = server.rss_bytes() as f64 / samples["process_resident_memory_bytes"];
    assert!((0.8..1.25).contains(&resident), "{resident}");
    assert!(samples["process_cpu_seconds_total"] > 0.0 && samples["rushq_disk_space_available_bytes"] > 0.0);
    // The start stays where it is.
    assert_eq!(scrape(&server, "/metrics")["process_start_time_seconds"], samples["process_start_time_seconds"]);
}

#[test]
fn queues_of_any_name_are_shown_as_far_as_the_limit_goes() {
    let server = served().start();
    let mut client = server.connect();
    for queue in [&b"a\"b\\c"[..], b"odd\xff%", "Stra\u{df}e".as_bytes()] {
        client.send([b"set ", queue, b" 0 0 1\r\nx\r\n"].concat());
        client.expect("STORED\r\n");
    }
    for number in 0..30 {
        assert_eq!(client.set(&format!("jobs-{number}"), b"x"), "STORED");
    }
    let ready = |samples: &BTreeMap<String, f64>| {
        let name = "rushq_queue_messages_ready{queue=\"";
        let of = samples.keys().filter_map(|series| Some(series.strip_prefix(name)?.strip_suffix("\"}")?.to_string()));
        of.collect::<Vec<String>>()
    };
    let all = scrape(&server, "/metrics/queues");
    let names = ready(&all);
    assert_eq!((names.len(), all["rushq_queues_left_out"]), (33, 0.0));
    for name in [r#"a\"b\\c"#, "odd%FF%25", "Stra\u{df}e"] {
        assert!(names.iter().any(|shown| shown == name), "{name} in {names:?}");
    }
    let jobs = ready(&scrape(&server, "/metrics/queues?name=jobs-1"));
    assert_eq!(jobs.len(), 11, "{jobs:?}");
    let some = scrape(&server, "/metrics/queues?name=jobs-&limit=7");
    assert_eq!((ready(&some).len(), some["rushq_queues_left_out"]), (7, 1.0));
    let all_jobs = scrape(&server, "/metrics/queues?name=jobs-&limit=30");
    assert_eq!((ready(&all_jobs).len(), all_jobs["rushq_queues_left_out"]), (30, 0.0));
    for wrong in ["limit=0", "limit=x", "limit=10001"] {
        let (status, body) = get(server.address_for("admin"), &format!("/metrics/queues?{wrong}"));
        assert!(status == 400 && body.contains("limit"), "{wrong}: {status} {body}");
    }
}

#[test]
fn a_gate_has_its_figures() {
    let server = served().start();
    let mut client = server.connect();
    assert_eq!(client.command("set seats/config 0 0 9\r\ntickets=2"), "STORED");
    for (buyer, seat) in [("ann", true), ("bob", true), ("cid", false)] {
        assert_eq!(client.get(&format!("seats/ticket={buyer}")).is_some(), seat, "{buyer}");
    }
    assert_eq!(client.set("plain", b"x"), "STORED");
    let samples = scrape(&server, "/metrics/queues");
    let of = |name: &str, queue: &str| samples.get(&format!("rushq_gate_{name}{{queue=\"{queue}\"}}")).copied();
    let figures = ["tickets", "tickets_given_total", "joins_refused_total", "sold_out", "open"];
    assert_eq!(figures.map(|name| of(name, "seats")), [2.0, 2.0, 1.0, 1.0, 0.0].map(Some));
    assert_eq!(figures.map(|name| of(name, "plain")), [None; 5]);
}

#[test]
fn a_server_that_drains_is_alive_and_not_ready() {
    let server = served().start();
    let admin = server.address_for("admin");
    let ready = || get(admin, "/readyz");
    assert_eq!(get(admin, "/healthz"), (200, String::from("ok\n")));
    assert_eq!(ready(), (200, String::from("ok\n")));
    server.signal(Signal::SIGUSR1);
    wait_until("it to drain", EVENT_TIMEOUT, || ready().0 == 503);
    assert!(ready().1.starts_with("draining: ") && ready().1.lines().count() == 1, "{}", ready().1);
    assert_eq!(get(admin, "/healthz").0, 200);
    assert_eq!(scrape(&server, "/metrics")["rushq_draining"], 1.0);
    server.signal(Signal::SIGUSR2);
    wait_until("it to take sets", EVENT_TIMEOUT, || ready().0 == 200);
}

#[test]
fn a_server_with_a_full_disk_is_alive_and_not_ready() {
    if !is_root("a small file system is mounted") {
        return;
    }
    let launch = served();
    let _disk = SmallDisk::mount(&launch.scratch().join("data"), 24);
    let server = launch.start();
    let mut client = server.connect();
    fill(&mut client, 0);
    let admin = server.address_for("admin");
    let (status, reason) = get(admin, "/readyz");
    assert!(status == 503 && reason.starts_with("full: 1 of 2 shards"), "{status} {reason}");
    assert_eq!(get(admin, "/healthz").0, 200);
    let samples = scrape(&server, "/metrics");
    assert_eq!(samples["rushq_full"], 1.0);
    assert!(samples["rushq_disk_space_bytes"] <= f64::from(24 << 20));
}
