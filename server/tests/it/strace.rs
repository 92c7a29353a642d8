//! The promise, seen from outside: no STORED leaves before an fdatasync that began after the write of its frame.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::{Launch, wait_until};

const MESSAGES: usize = 30;
const TRACED: &str =
    "trace=write,writev,pwrite64,pwritev,pwritev2,fdatasync,fsync,send,sendto,sendmsg,io_uring_enter,exit_group";

/// A system call with the places in the trace where it began and where it had returned.
#[derive(Debug)]
struct Call {
    name: String,
    text: String,
    result: String,
    began: usize,
    returned: usize,
}

/// Puts calls that were interrupted by another thread's line together again.
fn calls(trace: &str) -> Vec<Call> {
    let mut unfinished: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut calls = Vec::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, (number, start));
            continue;
        }
        let (began, text) = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, end)) => {
                let Some((began, start)) = unfinished.remove(thread) else {
                    continue;
                };
                (began, format!("{start}{end}"))
            }
            None => (number, String::from(rest)),
        };
        let (Some((name, _)), Some((_, result))) = (text.split_once('('), text.rsplit_once(" = ")) else {
            continue;
        };
        calls.push(Call {
            name: String::from(name),
            result: String::from(result.trim()),
            text: text.clone(),
            began,
            returned: number,
        });
    }
    calls
}

impl Call {
    /// The path of the file that the call is about; strace shows it behind the descriptor.
    fn path(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once('<')?;
        rest.split_once('>').map(|(path, _)| path)
    }

    fn writes(&self, message: &str) -> bool {
        self.name.contains("write")
            && self.path().is_some_and(|path| path.contains("/log/"))
            && self.text.contains(message)
    }

    fn syncs(&self, path: &str) -> bool {
        (self.name == "fdatasync" || self.name == "fsync") && self.path() == Some(path) && self.result == "0"
    }

    fn sends_stored(&self) -> bool {
        let sends = self.name.starts_with("send") || self.name == "write" || self.name == "writev";
        sends
            && self.path().is_some_and(|path| path.contains("socket") || path.contains("TCP"))
            && self.text.contains("STORED")
    }
}

fn message(number: usize) -> String {
    format!("strace-message-{number:04}")
}

/// Finds, for every set in turn, its write, the sync that follows and the reply that follows that.
fn assert_synced_before_stored(trace: &str) {
    let calls = calls(trace);
    let replies: Vec<&Call> = calls.iter().filter(|call| call.sends_stored()).collect();
    assert_eq!(replies.len(), MESSAGES, "one send for every STORED");
    for (number, reply) in replies.into_iter().enumerate() {
        let message = message(number);
        let write = calls.iter().find(|call| call.writes(&message));
        let write = write.unwrap_or_else(|| panic!("no write of {message} to a log"));
        let path = write.path().unwrap();
        let synced = |call: &Call| call.syncs(path) && call.began > write.returned && call.returned < reply.began;
        assert!(calls.iter().any(synced), "no sync of {path} between\n{write:?} and\n{reply:?}");
    }
}

fn trace_of(commit: &str) -> String {
    let version = Command::new("strace").arg("-V").output();
    assert!(version.is_ok(), "strace is missing: apt-get install strace");
    let launch = Launch::new();
    let file = launch.scratch().join("trace");
    // -D leaves the server itself as our child; -y shows paths; a frame of one message fits into -s.
    let through =
        ["strace", "-D", "-f", "-y", "-s", "16384", "-e", "signal=none", "-e", TRACED, "-o", file.to_str().unwrap()];
    let mut server = launch.through(&through).with(&["--commit", commit]).start();
    for number in 0..MESSAGES {
        // Another connection now and then, so that both shards answer for both shards' queues.
        let mut client = server.connect();
        assert_eq!(client.set(&format!("q{}", number % 5), message(number).as_bytes()), "STORED");
    }
    server.terminate();
    finished_trace(&file)
}

fn finished_trace(file: &Path) -> String {
    let read = || String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
    wait_until("the end of the trace", Duration::from_secs(10), || {
        read().trim_end().ends_with("+++ exited with 0 +++")
    });
    read()
}

#[test]
fn stored_follows_a_sync_on_the_reactor() {
    assert_synced_before_stored(&trace_of("inline"));
}

#[test]
fn stored_follows_a_sync_on_a_thread() {
    assert_synced_before_stored(&trace_of("thread"));
}

const GOOD: &str = r#"
7 pwrite64(5</d/shard-000/log/0000000001.log>, "..strace-message-0000..", 64, 0 <unfinished ...>
8 write(6<pipe:[1]>, "", 1) = 1
7 <... pwrite64 resumed>) = 64
7 fdatasync(5</d/shard-000/log/0000000001.log>) = 0
8 sendto(9<socket:[3]>, "STORED\r\n", 8, 0, NULL, 0) = 8
"#;

#[test]
fn the_check_of_a_trace_can_fail() {
    let check = |trace: String| {
        let all: String = (0..MESSAGES).map(|number| trace.replace("0000..", &format!("{number:04}.."))).collect();
        std::panic::catch_unwind(|| assert_synced_before_stored(&all)).is_ok()
    };
    assert!(check(String::from(GOOD)));
    assert!(!check(GOOD.replace("fdatasync(5</d/shard-000", "fdatasync(5</d/shard-001")), "another file's sync");
    assert!(!check(GOOD.replace("0000001.log>) = 0", "0000001.log>) = -1 EIO")), "a sync that failed");
    let lines: Vec<&str> = GOOD.lines().collect();
    let swapped = [lines[4], lines[1], lines[2], lines[3], lines[5]].join("\n") + "\n";
    assert!(!check(swapped), "a sync before the write");
    let early = [lines[1], lines[2], lines[3], lines[5], lines[4]].join("\n") + "\n";
    assert!(!check(early), "a reply before the sync");
}
