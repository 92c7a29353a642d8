//! System calls that fail and may pass: a signal, too few descriptors, too little memory. The server tries again, and says
//! so in its log; nothing is lost.

use std::process::Command;
use std::time::Duration;

use crate::client::Client;
use crate::injection::Injection;
use crate::process::{Launch, wait_until};

/// Bytes of a body; with so many of them, several segments are filled.
const BODY_BYTES: usize = 50_000;
const MESSAGES: usize = 400;
/// A set that is refused is taken when the second is over after which the server tries again.
const PATIENCE: Duration = Duration::from_secs(20);

fn body(number: usize) -> Vec<u8> {
    let mut body = format!("{number}:").into_bytes();
    body.resize(BODY_BYTES, b'.');
    body
}

fn set_with_patience(client: &mut Client, number: usize) {
    wait_until("the set to be taken", PATIENCE, || match client.set("q", &body(number)).as_str() {
        "STORED" => true,
        "NOT_STORED" => false,
        other => panic!("a set was answered {other}"),
    });
}

/// Sets and gets so that segments are made, written over and unlinked.
fn live(client: &mut Client) {
    for number in 0..MESSAGES {
        set_with_patience(client, number);
        // A backlog first, and then it is worked off.
        if number >= MESSAGES / 2 {
            for due in [2 * number - MESSAGES, 2 * number - MESSAGES + 1] {
                assert!(client.get("q").is_some_and(|found| found == body(due)), "message {due} is not at the head");
            }
        }
    }
    assert_eq!(client.get("q"), None);
}

#[test]
fn calls_that_fail_for_now_are_tried_again() {
    let mut server = Launch::new().with(&["-m", "64"]).start();
    let injection = Injection::begin(
        &server,
        &[
            ("fallocate", "error=EINTR:when=1+2"),
            ("fsync", "error=EINTR:when=1+2"),
            ("rename", "error=ENOMEM:when=1+2"),
            ("unlink", "error=EAGAIN:when=1+2"),
        ],
    );
    live(&mut server.connect());
    drop(injection);
    server.wait_for_line("it is tried again in a second");
    server.terminate();
    server.start();
    let mut client = server.connect();
    assert_eq!(client.get("q"), None);
    assert_eq!(client.queue_counters(), [(String::from("q"), MESSAGES as u64, MESSAGES as u64)]);
}

/// Nothing can be opened, be it a file or the directory that is to be synced.
#[test]
fn a_server_without_a_descriptor_left_goes_on_with_the_segments_that_it_has() {
    let mut server = Launch::new().with(&["-m", "64"]).start();
    let mut client = server.connect();
    let limit = |files: usize| {
        let (pid, files) = (server.pid().to_string(), format!("--nofile={files}:4096"));
        assert!(Command::new("prlimit").args(["--pid", &pid, &files]).status().unwrap().success());
    };
    limit(4096);
    let mut number = 0;
    while number < 100 {
        set_with_patience(&mut client, number);
        number += 1;
    }
    limit(1);
    wait_until("a set to be refused", PATIENCE, || match client.set("q", &body(number)).as_str() {
        "STORED" => {
            number += 1;
            false
        }
        "NOT_STORED" => true,
        other => panic!("a set was answered {other}"),
    });
    for due in 0..number {
        assert!(client.get("q").is_some_and(|found| found == body(due)), "message {due} is not at the head");
    }
    assert_eq!(client.get("q"), None);
    limit(4096);
    for number in 0..100 {
        set_with_patience(&mut client, number);
    }
    server.wait_for_line("it is tried again in a second");
    server.terminate();
}
