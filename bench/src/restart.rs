//! A restart of the server in the middle of a run.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A command that takes longer is ended.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The longest time in which nothing was answered.
#[derive(Debug, Default)]
pub(crate) struct Gap {
    last_ns: u64,
    pub(crate) began_ns: u64,
    pub(crate) longest_ns: u64,
}

impl Gap {
    /// An answer came.
    pub(crate) fn heard(&mut self, now_ns: u64) {
        let silence_ns = now_ns.saturating_sub(self.last_ns);
        if silence_ns > self.longest_ns {
            (self.began_ns, self.longest_ns) = (self.last_ns, silence_ns);
        }
        self.last_ns = self.last_ns.max(now_ns);
    }
}

/// How the command went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restarted {
    pub(crate) at: Duration,
    pub(crate) took: Duration,
    /// What is wrong with how it went.
    pub(crate) failure: Option<String>,
}

/// Waits until `at` after `start`, and runs the command, unless `stop` comes first.
pub(crate) fn restart(command: &str, start: Instant, at: Duration, stop: &AtomicBool) -> Restarted {
    while start.elapsed() < at && !stop.load(Ordering::Relaxed) {
        thread::sleep(at.saturating_sub(start.elapsed()).min(LOOK_EVERY));
    }
    if stop.load(Ordering::Relaxed) {
        return Restarted { failure: Some(String::from("the run ended before")), ..Restarted::default() };
    }
    let began = Instant::now();
    let failure = run(command).err();
    Restarted { at: began - start, took: began.elapsed(), failure }
}

fn run(command: &str) -> Result<(), String> {
    let shell = Command::new("/bin/sh").args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let mut child = shell.map_err(|error| format!("cannot run a shell: {error}"))?;
    let status = wait(&mut child)?;
    if status.success() { Ok(()) } else { Err(format!("it ended with {status}")) }
}

fn wait(child: &mut Child) -> Result<std::process::ExitStatus, String> {
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if began.elapsed() < COMMAND_TIME_MAX => thread::sleep(LOOK_EVERY),
            Ok(None) => {
                // It may have ended just now.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it took longer than {} s", COMMAND_TIME_MAX.as_secs()));
            }
            Err(error) => return Err(format!("cannot wait for it: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_silence_counts() {
        let mut gap = Gap::default();
        for now_ns in [10, 20, 70, 60, 75, 100] {
            gap.heard(now_ns);
        }
        assert_eq!((gap.began_ns, gap.longest_ns), (20, 50));
    }

    #[test]
    fn how_the_command_ended_is_said() {
        let stop = AtomicBool::new(false);
        let now = Duration::ZERO;
        assert_eq!(restart("true", Instant::now(), now, &stop).failure, None);
        assert!(restart("exit 3", Instant::now(), now, &stop).failure.unwrap().contains('3'));
        stop.store(true, Ordering::Relaxed);
        assert!(restart("true", Instant::now(), Duration::from_secs(1000), &stop).failure.is_some());
    }
}
