//! What the process uses of the machine: processors, memory, descriptors.

use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;

/// What the process uses. `None`: the system does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// Seconds of processors that all its threads have used.
    pub(crate) processor_s: Option<f64>,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) virtual_bytes: Option<u64>,
    pub(crate) descriptors: Option<u64>,
    pub(crate) descriptors_max: Option<u64>,
    /// When it started, in Unix seconds: the same at each look.
    pub(crate) started_s: f64,
}

impl Usage {
    /// Looks at it. Takes long: the list of descriptors has one for each connection. `up`: how long the process has been
    /// running.
    pub(crate) fn look(up: Duration) -> Usage {
        let (virtual_bytes, resident_bytes) = memory().unzip();
        Usage {
            processor_s: processor_s(),
            resident_bytes,
            virtual_bytes,
            descriptors: descriptors(),
            descriptors_max: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft),
            started_s: started_s(up),
        }
    }
}

fn processor_s() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Some(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// Bytes of address space, and of memory.
fn memory() -> Option<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let bytes = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
    };
    Some((bytes("VmSize:")?, bytes("VmRSS:")?))
}

fn descriptors() -> Option<u64> {
    // One of them is that of the list itself.
    Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}

/// Noted once, since a clock that is set would move it.
fn started_s(up: Duration) -> f64 {
    static STARTED: OnceLock<f64> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(up).as_millis() as f64 / 1e3
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_figures_of_this_process_are_there_and_plausible() {
        let look = || Usage::look(Duration::from_secs(5));
        let before = look();
        let files: Vec<File> = (0..50).map(|_| File::open("/proc/self/statm").expect("it is there")).collect();
        let after = look();
        let counted = |usage: Usage| usage.descriptors.expect("a list");
        // Other tests of this process open and close some too.
        assert!(counted(after) + 30 > counted(before) + files.len() as u64, "{before:?} {after:?}");
        assert!(after.descriptors < after.descriptors_max && after.resident_bytes < after.virtual_bytes);
        assert!(after.resident_bytes > Some(1 << 20), "{after:?}");
        assert!(after.processor_s >= before.processor_s && after.processor_s > Some(0.0));
        assert_eq!(before.started_s, after.started_s);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        assert!((4.0..600.0).contains(&(now - after.started_s)), "{after:?}");
    }
}
