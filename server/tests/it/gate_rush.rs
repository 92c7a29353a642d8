//! A rush on a gate, by the benchmark's own buyers and checker, with kill -9 in the middle: each is asked for what it was
//! told before, the queue is emptied, and every promise of a gate holds.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::arrows::root;
use crate::process::{Launch, binary};

/// The benchmark, beside the server and of the same build.
fn bench() -> PathBuf {
    let server = PathBuf::from(env!("CARGO_BIN_EXE_rushq"));
    let directory = server.parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--offline", "--locked", "-p", "rushq-bench", "--target-dir"]);
    cargo.arg(directory.parent().unwrap());
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    directory.join("rushq-bench")
}

/// A server that a shell command kills and starts again. It is killed when the test is over.
struct Restarted {
    launch: Launch,
    port: u16,
    pid_file: PathBuf,
}

impl Restarted {
    fn new(shards: u32) -> Restarted {
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let launch = Launch::new().shards(shards).port(port);
        let pid_file = launch.scratch().join("pid");
        Restarted { launch, port, pid_file }
    }

    /// Kills the server, if there is one, and ends when the next one listens.
    fn command(&self, arguments: &[&str]) -> String {
        let launch = self.launch.clone().with(arguments);
        let command = launch.command();
        let words: Vec<String> = command.get_args().map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let (rushq, pid_file, words) = (binary(), self.pid_file.display(), words.join(" "));
        // What was killed has no program any more, though its parent may not have looked yet.
        format!(
            "if pid=$(cat '{pid_file}' 2> /dev/null); then kill -9 $pid; while readlink /proc/$pid/exe; do :; done; fi; \
             exec '{rushq}' -d -P '{pid_file}' {words}"
        )
    }
}

impl Drop for Restarted {
    fn drop(&mut self) {
        let pid = fs::read_to_string(&self.pid_file).ok().and_then(|pid| pid.trim().parse().ok());
        if let Some(pid) = pid {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn rush(shards: u32, server: &[&str], line: &str) {
    let bench = bench();
    let restarted = Restarted::new(shards);
    let command = restarted.command(server);
    let started = Command::new("/bin/sh").args(["-c", &command]).stdin(Stdio::null()).status().unwrap();
    assert!(started.success(), "{command}");
    let output = Command::new(bench)
        .args(["-p", &restarted.port.to_string(), "-c", "200", "--gate-unread", "30"])
        .args(line.split(' '))
        .args(["--restart-command", &command])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{line}\n{text}{said}");
    let tickets = line.split(' ').nth(1).unwrap();
    assert!(text.contains(&format!("\nchecked: {tickets} winners, ")), "{text}");
    assert_eq!(text.matches("\n  holds: ").count(), 8, "{text}");
    assert!(Path::new(&restarted.pid_file).exists());
}

#[test]
fn every_promise_of_a_gate_holds_over_kills() {
    rush(2, &[], "--gate 20 --buyers 2000 --gate-kills 3");
}

#[test]
fn every_promise_of_a_gate_with_a_hold_holds_over_kills() {
    rush(3, &["-N"], "--gate 20 --buyers 2000 --gate-kills 3 --gate-config hold=600 put=paid");
}
