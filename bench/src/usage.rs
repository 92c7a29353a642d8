//! What this program may use and has used, and the CPU time of the server.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::unistd::{SysconfVar, sysconf};

/// Above this share of a core, the figures are the load generator's and not the server's.
pub(crate) const SHARE_MAX: f64 = 0.95;

/// As many open files as the system lets this user have.
pub(crate) fn allow_connections() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // If it cannot be, connecting says why.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

pub(crate) fn of_this_thread() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else {
        return Duration::ZERO;
    };
    [usage.user_time(), usage.system_time()]
        .map(|time| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000))
        .iter()
        .sum()
}

/// How long this thread could have run but had no CPU; None where the kernel does not count that.
pub(crate) fn waited_by_this_thread() -> Option<Duration> {
    let line = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(line.split_whitespace().nth(1)?.parse().ok()?))
}

/// What a process has used; None if there is no such process.
pub(crate) fn of_process(pid: u32) -> Option<Duration> {
    let ticks = ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    let per_second = sysconf(SysconfVar::CLK_TCK).ok()??;
    Some(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// User and system time, in a line of /proc/PID/stat. The program's name may contain anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_found_behind_any_name() {
        let stat = "7 (a) b) R 1 2 3 4 5 6 7 8 9 10 100 23 0 0 20 0 1 0";
        assert_eq!(ticks(stat), Some(123));
        assert_eq!(ticks("nonsense"), None);
        assert!(of_process(std::process::id()).is_some());
        assert_eq!(of_process(u32::MAX), None);
    }
}
