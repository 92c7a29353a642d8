//! Data directories of earlier builds: each opens with every message, number, flag and counter. What is in them was put
//! there by `tests/data/make.py`, and one is kept for each version of the format that was ever released.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::client::Client;
use crate::process::{Launch, Server, binary};

struct Queue {
    name: String,
    sets: u64,
    gets: u64,
    /// Numbers, flags and bodies.
    messages: Vec<(u64, u32, Vec<u8>)>,
}

fn queue(name: &str, sets: u64, gets: u64, messages: impl IntoIterator<Item = (u64, u32, Vec<u8>)>) -> Queue {
    Queue { name: name.to_string(), sets, gets, messages: messages.into_iter().collect() }
}

/// The first build that `make.py` asks for options.
const WITH_OPTIONS: &str = "7b2a37d";
/// The day that build's data was made on, in seconds since 1970; a message is kept back for a year from then on.
const MADE_S: u64 = 1_795_924_500;
const YEAR_S: u64 = 365 * 24 * 60 * 60;

/// What `make.py` leaves of a build.
fn expected(version: &str) -> Vec<Queue> {
    let text = |text: String| text.into_bytes();
    let mail = |n: u64| (n + 1, 3 * n as u32, text(format!("mail {n} ").repeat(n as usize % 7)));
    let mut queues = vec![
        queue("again", 1, 0, [(1, 0, text("of the second life".into()))]),
        queue("before", 3, 0, []),
        queue("binary", 1, 0, [(1, u32::MAX, (0..=255).collect())]),
        queue("churn", 600, 600, []),
        queue("empty", 3, 3, []),
        queue("flushed", 7, 0, (0..2).map(|n| (n + 6, 7, text(format!("left {n}"))))),
        queue("late", 4, 1, (1..4).map(|n| (n + 1, n as u32, text(format!("behind the checkpoint {n}"))))),
        queue("mail", 40, 13, (13..40).map(mail)),
        queue(&"n".repeat(250), 2, 0, (0..2).map(|n| (n + 1, n as u32, text(format!("long name {n}"))))),
        queue("old", 1, 0, [(1, 1, text("the one that stays".into()))]),
        queue("void", 1, 0, [(1, 0, Vec::new())]),
    ];
    if version == WITH_OPTIONS {
        queues.extend(with_options());
    }
    queues.sort_by(|a, b| a.name.cmp(&b.name));
    queues
}

/// What its `with_options` leaves.
fn with_options() -> Vec<Queue> {
    let text = |text: &str| text.as_bytes().to_vec();
    let headline = |n: u64| (n + 1, 14 + n as u32, format!("headline {n}").into_bytes());
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let delayed = (now_s > MADE_S + YEAR_S).then(|| (1, 6, text("in a year")));
    vec![
        queue("alone", 0, 0, []),
        queue("alone+log", 3, 2, [(3, 19, text("only for the log 2"))]),
        queue("buried", 3, 2, [(3, 12, text("no letter"))]),
        queue("buried/dead", 2, 0, [(1, 10, text("letter 0")), (2, 11, text("letter 1"))]),
        queue("delayed", 2, 0, delayed.into_iter().chain([(2, 7, text("at once"))])),
        queue("news", 3, 1, (1..3).map(headline)),
        queue("news+log", 3, 1, (1..3).map(headline)),
        queue("news+mail", 3, 0, (0..3).map(headline)),
        queue("once", 2, 0, [(1, 13, text("the first of three")), (2, 20, text("another"))]),
        queue("told", 1, 0, [(1, 5, text("by its settings"))]),
        queue("tried", 2, 0, [(1, 8, text("once in vain")), (2, 9, text("never"))]),
    ]
}

/// What is not seen by taking messages.
fn check_options(client: &mut Client) {
    for (queue, words) in
        [("told", "depth=60 lease=88 tries=4"), ("once", "dedup=1000000000"), ("alone", "fanout_only=1")]
    {
        client.send(format!("get {queue}/config\r\n"));
        client.expect(&format!("VALUE {queue}/config 0 {}\r\n{words}\r\nEND\r\n", words.len()));
    }
    // The low bits of a lease say the how manieth try it is.
    client.send("gets tried/open/for=60\r\n");
    let head = client.line();
    let lease: u64 = head.rsplit(' ').next().unwrap().parse().unwrap();
    assert_eq!(lease & 255, 2, "{head}");
    client.expect("once in vain\r\nEND\r\n");
    assert_eq!(client.command(&format!("get tried/release/lease={lease}")), "END");
    // Remembered, and so not put again.
    for id in ["order-17", "order-18"] {
        client.send(format!("set once/id={id} 0 0 5\r\nagain\r\n"));
        client.expect("STORED\r\n");
    }
}

fn unpack(version: &str, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(version).with_extension("tar.gz");
    let status = Command::new("tar").arg("-C").arg(to).arg("-xzf").arg(&file).status().unwrap();
    assert!(status.success(), "{}", file.display());
}

fn check(version: &str, client: &mut Client) {
    if version == WITH_OPTIONS {
        check_options(client);
    }
    let mut counters = client.queue_counters();
    counters.sort();
    let expected = expected(version);
    let wanted: Vec<_> = expected.iter().map(|queue| (queue.name.clone(), queue.sets, queue.gets)).collect();
    assert_eq!(counters, wanted);
    for queue in &expected {
        for (seq, flags, body) in &queue.messages {
            client.send(format!("gets {}\r\n", queue.name));
            let head = format!("VALUE {} {flags} {} {seq}\r\n", queue.name, body.len());
            client.expect(&head);
            client.expect_bytes(body);
            client.expect("\r\nEND\r\n");
        }
        client.send(format!("get {}\r\n", queue.name));
        client.expect("END\r\n");
    }
}

fn start(version: &str, shards: u32) -> Server {
    let launch = Launch::new().shards(shards).with(&["-B", "4096"]).segment_bytes(16_384);
    let directory = launch.scratch().join("data");
    unpack(version, &directory);
    let whole = Command::new(binary()).args(["--check", "-H"]).arg(&directory).output().unwrap();
    assert!(whole.status.success(), "{version}: {}", String::from_utf8_lossy(&whole.stderr));
    launch.start()
}

#[test]
fn every_earlier_build_s_data_directory_opens_as_it_was() {
    let versions = ["00d8c68", "36bfcc5", "28cffc0", WITH_OPTIONS];
    let kept = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")).unwrap();
    let kept = kept.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|it| it == "gz")).count();
    assert_eq!(kept, versions.len(), "each is tested");
    for version in versions {
        check(version, &mut start(version, 2).connect());
        // Moved to another number of shards.
        check(version, &mut start(version, 3).connect());
        // And from what this build has made of it.
        let mut server = start(version, 2);
        let layout = fs::read_to_string(server.directory().join("layout")).unwrap();
        assert!(layout.starts_with("rushq 5\n"), "{layout}");
        assert_eq!(server.connect().command("db_checkpoint"), "OK");
        server.kill_9();
        server.start();
        check(version, &mut server.connect());
    }
}

/// A build never writes into a directory that it does not understand.
#[test]
fn a_newer_build_s_data_directory_is_refused() {
    let launch = Launch::new().with(&["-B", "4096"]).segment_bytes(16_384);
    let directory = launch.scratch().join("data");
    unpack(WITH_OPTIONS, &directory);
    let layout = fs::read_to_string(directory.join("layout")).unwrap();
    let newer = layout.replacen("rushq 4", "rushq 6", 1);
    assert_ne!(newer, layout);
    fs::write(directory.join("layout"), &newer).unwrap();
    for arguments in [&["-B", "4096"][..], &["-B", "4096", "--repair"]] {
        let refusal = launch.clone().with(arguments).refused();
        refusal.assert_one_line(&["layout", "version 6", "start the newer rushq"]);
        assert_eq!(fs::read_to_string(directory.join("layout")).unwrap(), newer);
    }
}
