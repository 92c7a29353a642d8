//! What the machine allows, checked before anything is begun. Each refusal is one line with its remedy.

use std::path::Path;

use glommio::{LocalExecutorBuilder, Placement};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use crate::settings::Settings;

/// glommio refuses to start with less.
const MEMLOCK_BYTES_MIN: u64 = 512 << 10;
/// Where the kernel describes the cores.
const TOPOLOGY: &str = "/sys/devices/system/cpu";
/// Open files besides the connections: the log's segments, the index, rings and event descriptors of a shard.
const FILES_PER_SHARD: u64 = 64;
const FILES_OF_THE_PROCESS: u64 = 64;

/// The cores that this process may run on, by its affinity.
pub(crate) fn allowed_cores() -> Result<Vec<usize>, String> {
    let set = sched_getaffinity(Pid::from_raw(0)).map_err(|e| format!("the allowed cores cannot be read: {e}"))?;
    let cores: Vec<usize> = (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect();
    Ok(cores)
}

/// Raises what may be raised, and refuses what will not do.
pub(crate) fn check(settings: &Settings) -> Result<(), String> {
    // glommio reads the machine's cores there, and panics where it cannot.
    if !Path::new(TOPOLOGY).exists() {
        return Err(format!(
            "{TOPOLOGY} is not there, and says which cores there are: run `mount -t sysfs sysfs /sys`"
        ));
    }
    let memlock = raise(Resource::RLIMIT_MEMLOCK, MEMLOCK_BYTES_MIN)?;
    if memlock < MEMLOCK_BYTES_MIN {
        return Err(format!(
            "the memlock limit is {} KiB, and io_uring needs {} KiB: run `ulimit -l unlimited` before, set \
             LimitMEMLOCK=infinity in the systemd unit, or give docker --ulimit memlock=-1",
            memlock >> 10,
            MEMLOCK_BYTES_MIN >> 10
        ));
    }
    let wanted = settings.connections_max as u64 + FILES_PER_SHARD * u64::from(settings.shards) + FILES_OF_THE_PROCESS;
    let files = raise(Resource::RLIMIT_NOFILE, wanted)?;
    if files < wanted {
        return Err(format!(
            "the limit of open files is {files}, and -c {} needs {wanted}: run `ulimit -n {wanted}` before, set \
             LimitNOFILE={wanted} in the systemd unit, or make -c smaller",
            settings.connections_max
        ));
    }
    if settings.core_files {
        raise(Resource::RLIMIT_CORE, core_bytes_max()?)?;
    }
    try_io_uring()
}

/// How large a core file may become: without limit for root, who may raise the hard limit, else what that is.
fn core_bytes_max() -> Result<u64, String> {
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE).map_err(|e| format!("-r: the limit cannot be read: {e}"))?;
    let unlimited = setrlimit(Resource::RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY);
    Ok(if unlimited.is_ok() { RLIM_INFINITY } else { hard })
}

/// Raises the soft limit to what is wanted, as far as the hard one lets it. Returns the soft limit.
fn raise(resource: Resource, wanted: u64) -> Result<u64, String> {
    let (soft, hard) = getrlimit(resource).map_err(|e| format!("{resource:?} cannot be read: {e}"))?;
    if soft >= wanted {
        return Ok(soft);
    }
    let raised = wanted.min(hard);
    setrlimit(resource, raised, hard).map_err(|e| format!("{resource:?} cannot be raised to {raised}: {e}"))?;
    Ok(raised)
}

/// Starts an executor and throws it away: what forbids io_uring is told here, and not by a shard that is missing.
fn try_io_uring() -> Result<(), String> {
    let tried = LocalExecutorBuilder::new(Placement::Unbound).io_memory(0).name("rushq-try").spawn(|| async {});
    let Err(error) = tried.and_then(|handle| handle.join()) else { return Ok(()) };
    let forbidden =
        std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").is_ok_and(|value| value.trim() != "0");
    Err(if forbidden {
        format!("io_uring is switched off ({error}): run `sysctl kernel.io_uring_disabled=0`")
    } else {
        format!(
            "io_uring cannot be used ({error}): it needs Linux 5.15 or later, and a container runtime whose seccomp \
             profile allows it (docker: --security-opt seccomp=unconfined)"
        )
    })
}
