//! `--queue-config`: settings of queues by patterns of their names.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::process::{Launch, wait_until};

const EVENT_TIMEOUT: Duration = Duration::from_secs(20);

#[test]
fn a_file_that_cannot_be_read_or_has_a_bad_line_is_refused() {
    for (text, words) in [
        (None, &["No such file"][..]),
        (Some("# Jobs.\njobs-*: tries=5 depht=1\n"), &["line 2", "depht=1"]),
        (Some("jobs-* tries=5\n"), &["line 1", "jobs-*", "colon"]),
        (Some("jobs-*: tries=251\n"), &["line 1", "tries=251"]),
    ] {
        let launch = Launch::new().shards(1);
        let file = launch.scratch().join("queues");
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        let path = file.to_str().unwrap();
        launch
            .with(&["--queue-config", path])
            .refused()
            .assert_one_line(&[&["--queue-config", path][..], words].concat());
    }
}

#[test]
fn it_is_read_again_at_sighup_and_a_bad_one_is_one_line() {
    let launch = Launch::new();
    let file = launch.scratch().join("queues");
    fs::write(&file, "jobs-*: tries=5\n").unwrap();
    let mut server = launch.with(&["--queue-config", file.to_str().unwrap()]).start();
    fs::write(&file, "jobs-*: tries=six\n").unwrap();
    server.signal(Signal::SIGHUP);
    let line = server.wait_for_line("stays in force");
    assert!(line.contains("ERROR") && line.contains("line 1: bad word tries=six"), "{line}");
    fs::write(&file, "jobs-*: tries=6\n").unwrap();
    server.signal(Signal::SIGHUP);
    let line = server.wait_for_line("is read again");
    assert!(line.contains("--queue-config"), "{line}");
    server.terminate();
}

/// Of queues that are there and of new ones, on both shards.
#[test]
fn what_it_says_holds_for_queues_of_the_name() {
    let launch = Launch::new();
    let file = launch.scratch().join("queues");
    fs::write(&file, "jobs-*: depth=2\n").unwrap();
    let mut server = launch.with(&["--queue-config", file.to_str().unwrap()]).start();
    let mut client = server.connect();
    let queues: Vec<String> = (0..8).map(|number| format!("jobs-{number}")).collect();
    for queue in &queues {
        let stored: Vec<String> = (0..3).map(|_| client.set(queue, b"x")).collect();
        assert_eq!(stored, ["STORED", "STORED", "NOT_STORED"], "{queue}");
    }
    // What a queue was told itself stands above it.
    assert_eq!(client.set("jobs-0/config", b"depth=3"), "STORED");
    assert_eq!(client.set("jobs-0", b"x"), "STORED");
    assert_eq!(client.get("jobs-0/config").as_deref(), Some(&b"depth=3"[..]));
    assert_eq!(client.get("jobs-1/config").as_deref(), Some(&b"depth=2"[..]));
    server.terminate();
    server.start();
    let mut client = server.connect();
    assert!(queues[1..].iter().all(|queue| client.set(queue, b"x") == "NOT_STORED"), "after a start");
    fs::write(&file, "jobs-*: depth=3 lease=9\n").unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for_line("is read again");
    for queue in &queues[1..] {
        wait_until("the new settings", EVENT_TIMEOUT, || {
            client.get(&format!("{queue}/config")).as_deref() == Some(&b"depth=3 lease=9"[..])
        });
        assert_eq!([(); 2].map(|()| client.set(queue, b"x")), ["STORED", "NOT_STORED"], "{queue}");
    }
    assert_eq!(client.get("jobs-0/config").as_deref(), Some(&b"depth=3 lease=9"[..]));
}

#[test]
fn no_config_leaves_the_file_alone_with_the_say() {
    let launch = Launch::new();
    let file = launch.scratch().join("queues");
    fs::write(&file, "q: depth=1\n").unwrap();
    let server = launch.with(&["--no-config", "--queue-config", file.to_str().unwrap()]).start();
    let mut client = server.connect();
    assert_eq!([(); 2].map(|()| client.set("q", b"x")), ["STORED", "NOT_STORED"]);
    let refusal = client.set("q/config", b"depth=9");
    assert_eq!(refusal, "NOT_STORED");
    assert_eq!(client.set("q", b"x"), "NOT_STORED");
}
