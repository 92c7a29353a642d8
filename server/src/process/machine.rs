//! What the machine has for this process: cores and memory.

use std::fs;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::sysinfo::sysinfo;
use nix::unistd::Pid;

/// The limit of a container, as seen from within it.
const CONTAINER_MEMORY: &str = "/sys/fs/cgroup/memory.max";

/// The cores that this process may run on, by its affinity.
///
/// # Errors
/// When the kernel does not give the affinity.
pub(crate) fn allowed_cores() -> Result<Vec<usize>, String> {
    let set = sched_getaffinity(Pid::from_raw(0)).map_err(|e| format!("the allowed cores cannot be read: {e}"))?;
    let cores: Vec<usize> = (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect();
    Ok(cores)
}

/// The memory that this process can have, in bytes: the machine's, or what its container allows.
///
/// # Errors
/// When the kernel does not give the machine's memory.
pub(crate) fn memory_bytes() -> Result<u64, String> {
    let machine = sysinfo().map_err(|error| format!("the machine's memory cannot be read: {error}"))?.ram_total();
    // "max" where there is no limit, and no file outside of a container.
    let container = fs::read_to_string(CONTAINER_MEMORY).ok().and_then(|bytes| bytes.trim().parse().ok());
    Ok(container.map_or(machine, |bytes: u64| bytes.min(machine)))
}
