//! A rush on a gate, by the benchmark's own buyers and checker, with kill -9 in the middle: each is asked for what it was
//! told before, the queue is emptied, and every promise of a gate holds. `scripts/crash.sh` is the long form.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::arrows::root;
use crate::process::{Launch, binary};

/// How often; `RUSHQ_RUSHES` sets another number, and has more buyers and kills in each.
const RUSHES: u32 = 2;

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
    fn new() -> Restarted {
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let launch = Launch::new().port(port);
        let pid_file = launch.scratch().join("pid");
        Restarted { launch, port, pid_file }
    }

    /// Kills the server, if there is one, and ends when the next one listens.
    fn command(&self, shards: u32, arguments: &[&str]) -> String {
        let launch = self.launch.clone().shards(shards).with(arguments);
        let command = launch.command();
        let words: Vec<String> = command.get_args().map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let (rushq, pid_file, words) = (binary(), self.pid_file.display(), words.join(" "));
        // Its sockets and its lock are free when all its threads are gone, or dead and not yet asked for by their parent.
        format!(
            "if pid=$(cat '{pid_file}' 2> /dev/null); then kill -9 $pid; \
             while grep -qs '^State:.[^Z]' /proc/$pid/task/*/status; do :; done; fi; \
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

/// Rushes one after the other, each on a gate of its own and with another number of shards.
fn rush(server: &[&str], config: &[&str]) {
    let (bench, restarted) = (bench(), Restarted::new());
    let rushes: u32 = std::env::var("RUSHQ_RUSHES").map_or(RUSHES, |rushes| rushes.parse().unwrap());
    let (tickets, buyers, kills) = if rushes == RUSHES { ("20", "2000", "3") } else { ("100", "5000", "10") };
    for number in 0..rushes {
        let command = restarted.command(number % 3 + 1, server);
        let started = Command::new("/bin/sh").args(["-c", &command]).stdin(Stdio::null()).status().unwrap();
        assert!(started.success(), "{command}");
        let output = Command::new(&bench)
            .args(["-p", &restarted.port.to_string(), "-c", "200", "--gate-unread", "30"])
            .args(["--gate", tickets, "--buyers", buyers, "--key-prefix", &format!("rush{number}-")])
            .args(config)
            .args(["--gate-kills", kills, "--restart-command", &command])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "rush {number}: {text}{said}");
        assert!(text.contains(&format!("\nchecked: {tickets} winners, ")), "{text}");
        assert_eq!(text.matches("\n  holds: ").count(), 8, "{text}");
        println!("rush {number} {server:?}: {}", text.lines().find(|line| line.starts_with("kills: ")).unwrap());
    }
}

#[test]
fn every_promise_of_a_gate_holds_over_kills() {
    rush(&[], &[]);
}

#[test]
fn every_promise_of_a_gate_with_a_hold_holds_over_kills() {
    rush(&["-N"], &["--gate-config", "hold=600", "put=paid"]);
}
