//! Signals: those that end a server, those that it obeys, and many of them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::write_set;
use crate::process::{Launch, Server, wait_until};

/// Like SIGTERM, as a memcacheQ has it.
#[test]
fn sigquit_and_sigint_are_a_clean_stop() {
    for signal in [Signal::SIGQUIT, Signal::SIGINT] {
        let launch = Launch::new();
        let pid_file = launch.scratch().join("pid");
        let mut server = launch.with(&["-P", pid_file.to_str().unwrap()]).start();
        assert_eq!(server.connect().set("q", b"x"), "STORED");
        server.end_by(signal);
        assert!(!pid_file.exists());
        server.start();
        assert!(server.said().iter().any(|line| line.contains("1 messages in 1 queues, from index and log")));
    }
}

/// A terminal that closes, and logrotate, send it.
#[test]
fn sighup_ends_nothing() {
    let mut server = Launch::new().start();
    let mut client = server.connect();
    assert_eq!(client.set("q", b"x"), "STORED");
    server.signal(Signal::SIGHUP);
    server.wait_for_line("SIGHUP");
    assert_eq!(client.get("q").as_deref(), Some(&b"x"[..]));
    server.terminate();
}

/// A thread that prepares a segment is at work then, and what it has done is not taken any more: slow calls make it so.
#[test]
fn a_stop_amid_the_preparation_of_a_segment_is_clean() {
    let launch = Launch::new().shards(1).segment_bytes(3 << 20);
    let trace = launch.scratch().join("trace");
    let slow = ["inject=fallocate:delay_exit=1000000", "inject=exit_group:delay_enter=1500000"];
    let strace = ["strace", "-D", "-f", "-e", "signal=none", "-e", "trace=fallocate,exit_group", "-e", slow[0]];
    let through = [&strace[..], &["-e", slow[1], "-o", trace.to_str().unwrap()]].concat();
    let mut server = launch.through(&through).start();
    let mut client = server.connect();
    let segments = || fs::read_dir(server.directory().join("data-1/shard-000/log")).unwrap().count();
    let (before, mut stored) = (segments(), 0);
    // The file is there before its space is, which takes a second.
    while segments() == before {
        assert_eq!(client.set("q", &[b'x'; 1 << 20]), "STORED");
        stored += 1;
    }
    server.terminate();
    server.start();
    assert_eq!(server.connect().figure("curr_items"), stored);
}

/// Starts a server whose io_uring_enter fails now and then, or `when` says, by `error`.
fn with_failing_io_uring(error: &str, when: &str) -> (Server, PathBuf) {
    let launch = Launch::new();
    let trace = launch.scratch().join("trace");
    let inject = format!("inject=io_uring_enter:error={error}:when={when}");
    // -D leaves the server itself as our child.
    let strace = ["strace", "-D", "-f", "-e", "signal=none", "-e", "trace=io_uring_enter", "-e", &inject];
    let through = [&strace[..], &["-o", trace.to_str().unwrap()]].concat();
    (launch.through(&through).start(), trace)
}

/// What a kernel says that is short of memory for a moment, and what a debugger that is attached causes.
#[test]
fn io_uring_that_fails_now_and_then_ends_nothing() {
    for error in ["EINTR", "EAGAIN", "EBUSY", "ENOMEM"] {
        let (mut server, trace) = with_failing_io_uring(error, "40+5");
        let injected = || fs::read_to_string(&trace).unwrap_or_default().matches("(INJECTED)").count();
        let mut client = server.connect();
        let mut round = 0;
        wait_until(&format!("{error} to come"), Duration::from_secs(60), || {
            for _ in 0..20 {
                let queue = format!("q{}", round % 5);
                assert_eq!(client.set(&queue, b"x"), "STORED");
                assert_eq!(client.get(&queue).as_deref(), Some(&b"x"[..]));
                round += 1;
            }
            injected() >= 100
        });
        println!("{error}: {} in {round} rounds", injected());
        server.terminate();
    }
}

#[test]
fn io_uring_that_fails_for_good_ends_the_server_with_a_line() {
    let (mut server, _) = with_failing_io_uring("ENOMEM", "300+1");
    let mut client = server.connect();
    while client.try_send(b"get q\r\n").and_then(|()| client.try_values()).is_ok() {}
    let line = server.wait_for_line("cannot go on");
    assert!(line.contains("ERROR") && line.contains("annot allocate memory"), "{line}");
    server.wait_for_failure();
}

/// Of those that a server must survive.
const HARMLESS: [Signal; 8] = [
    Signal::SIGUSR2,
    Signal::SIGHUP,
    Signal::SIGWINCH,
    Signal::SIGCHLD,
    Signal::SIGURG,
    Signal::SIGCONT,
    Signal::SIGUSR2,
    Signal::SIGPIPE,
];

fn from_environment(name: &str, short: u64) -> u64 {
    std::env::var(name).map_or(short, |value| value.parse().unwrap())
}

/// Signals by the thousand, to the process and to each of its threads, while messages pass.
#[test]
fn signals_in_a_hail_are_survived() {
    let signals = from_environment("RUSHQ_SIGNALS", 2_000);
    let megabytes = from_environment("RUSHQ_SIGNAL_MEGABYTES", 32);
    for arguments in [&["--commit", "thread"][..], &["-N"]] {
        let mut server = Launch::new().segment_bytes(3 << 20).with(arguments).start();
        let is_over = Arc::new(AtomicBool::new(false));
        let hail = {
            let (pid, is_over) = (server.pid(), Arc::clone(&is_over));
            thread::spawn(move || {
                let mut sent = 0;
                // At least so many, and as long as there is load.
                while sent < signals || !is_over.load(Ordering::Relaxed) {
                    let signal = HARMLESS[sent as usize % HARMLESS.len()];
                    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
                    thread::yield_now();
                    sent += 1;
                }
                sent
            })
        };
        let mut clients: Vec<_> = (0..4).map(|_| server.connect()).collect();
        let body = [b'x'; 16 << 10];
        for round in 0..megabytes * 64 / 16 {
            let client = &mut clients[round as usize % 4];
            let mut burst = Vec::new();
            for queue in 0..16 {
                write_set(&mut burst, &format!("hail-{queue}"), &body);
            }
            client.send(burst);
            client.expect(&"STORED\r\n".repeat(16));
            for queue in 0..16 {
                let got = client.get(&format!("hail-{queue}"));
                assert!(got.is_some_and(|got| got == body), "round {round}");
            }
        }
        is_over.store(true, Ordering::Relaxed);
        println!("{arguments:?}: {} signals, {megabytes} MB", hail.join().unwrap());
        assert_eq!(server.connect().figure("curr_items"), 0);
        server.terminate();
    }
}
