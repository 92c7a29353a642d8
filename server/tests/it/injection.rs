//! What strace does to the system calls of a server that runs: it makes them slow, or lets them fail.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process::{Server, wait_until};

/// strace on all threads of a server, until it is dropped.
#[derive(Debug)]
pub(crate) struct Injection(Child);

impl Injection {
    /// Does this to these calls, each as strace's `inject=` says it behind the call's name.
    pub(crate) fn begin(server: &Server, calls: &[(&str, &str)]) -> Injection {
        let names: Vec<&str> = calls.iter().map(|(name, _)| *name).collect();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", &format!("trace={}", names.join(","))]);
        for (name, what) in calls {
            strace.args(["-e", &format!("inject={name}:{what}")]);
        }
        strace.args(["-p", &server.pid().to_string()]).stderr(Stdio::null());
        let child = strace.spawn().unwrap_or_else(|error| panic!("strace: {error}"));
        wait_until("strace to have all threads", Duration::from_secs(10), || is_traced(server.pid()));
        Injection(child)
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        // With its end, the calls of a server that goes on are as before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_traced(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let mut statuses = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    statuses.all(|status| !status.contains("TracerPid:\t0\n"))
}
