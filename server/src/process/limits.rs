//! What the machine allows, checked before anything is begun. Each refusal is one line with its remedy.

use std::fs;
use std::io::stderr;
use std::os::fd::RawFd;
use std::panic;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;

use glommio::{LocalExecutorBuilder, Placement};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::unistd::close;

use crate::process::operator;
use crate::process::settings::Settings;

/// glommio refuses to start with less.
const MEMLOCK_BYTES_MIN: u64 = 512 << 10;
/// Where the kernel describes the cores.
const TOPOLOGY: &str = "/sys/devices/system/cpu";
/// The most open files that the kernel lets any process have, above its limits.
const OPEN_FILES_MAX: &str = "/proc/sys/fs/nr_open";
/// Open files besides the connections: the log's segments, the index, rings and event descriptors of a shard.
const FILES_PER_SHARD: u64 = 64;
const FILES_OF_THE_PROCESS: u64 = 64;

/// Raises the limits that may be raised, and refuses a machine whose limits are too low.
///
/// # Errors
/// When memory that may be locked, open files or io_uring are not to be had; each with its remedy.
pub(crate) fn check(settings: &Settings) -> Result<(), String> {
    // glommio reads the machine's cores there, and panics where it cannot.
    if !Path::new(TOPOLOGY).exists() {
        return Err(format!("{TOPOLOGY} is not there, which lists the cores: run `mount -t sysfs sysfs /sys`"));
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
    let files_needed = (settings.connections_max as u64)
        .saturating_add(FILES_PER_SHARD * u64::from(settings.shards) + FILES_OF_THE_PROCESS)
        .saturating_add(settings.operator.as_ref().map_or(0, |_| operator::CONNECTIONS_MAX as u64));
    let possible = fs::read_to_string(OPEN_FILES_MAX).ok().and_then(|files| files.trim().parse().ok());
    if possible.is_some_and(|possible: u64| files_needed > possible) {
        return Err(format!(
            "-c {} needs {files_needed} open files, and no process can have more than {} (sysctl fs.nr_open); make -c smaller",
            settings.connections_max,
            possible.unwrap_or_default()
        ));
    }
    // As far as it goes: each segment of a backlog is an open file, and a backlog has no limit but the disk.
    let (_, most) = limit(Resource::RLIMIT_NOFILE)?;
    let files = raise(Resource::RLIMIT_NOFILE, most.max(files_needed))?;
    if files < files_needed {
        return Err(format!(
            "the limit of open files is {files}, and -c {} needs {files_needed}: run `ulimit -n {files_needed}` before, set \
             LimitNOFILE={files_needed} in the systemd unit, or make -c smaller",
            settings.connections_max
        ));
    }
    make_descriptor_table(files_needed);
    if settings.core_files {
        raise(Resource::RLIMIT_CORE, RLIM_INFINITY)?;
    }
    try_io_uring()
}

/// Has the kernel make the table of this process's descriptors as large as it will ever be, while there is one thread. Made
/// larger later, by one accept, it stops that shard until all cores have been through the scheduler: 7 to 22 ms were seen,
/// at the 256th, the 512th and the 1,024th connection of a crowd. It never becomes smaller.
fn make_descriptor_table(files: u64) {
    let last = RawFd::try_from(files).unwrap_or(RawFd::MAX) - 1;
    match fcntl(stderr(), FcntlArg::F_DUPFD_CLOEXEC(last)) {
        // Where it cannot be closed it is only in the way.
        Ok(descriptor) => drop(close(descriptor)),
        Err(error) => log::debug!("the table of descriptors is made larger as it fills: {error}"),
    }
}

/// The soft and the hard limit.
fn limit(resource: Resource) -> Result<(u64, u64), String> {
    getrlimit(resource).map_err(|e| format!("{resource:?} cannot be read: {e}"))
}

/// Raises the soft limit to `least`: above the hard one if this process may do that, else up to it. Returns the soft limit.
fn raise(resource: Resource, least: u64) -> Result<u64, String> {
    let (soft, hard) = limit(resource)?;
    if soft >= least || (hard < least && setrlimit(resource, least, least).is_ok()) {
        return Ok(soft.max(least));
    }
    let raised = least.min(hard);
    setrlimit(resource, raised, hard).map_err(|e| format!("{resource:?} cannot be raised to {raised}: {e}"))?;
    Ok(raised)
}

/// Starts an executor and throws it away: what forbids io_uring is found here, and not by a shard that does not start.
fn try_io_uring() -> Result<(), String> {
    // glommio panics where it is refused, and in a release that is the process's end. So the panic is reported from within
    // and goes no further; its thread is left behind by a process that ends.
    let (report, reported) = channel();
    let refused = report.clone();
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |_| {
        let _ = refused.send(Some("it is refused".to_string()));
        loop {
            thread::park();
        }
    }));
    let trying = thread::spawn(move || {
        let tried = LocalExecutorBuilder::new(Placement::Unbound).io_memory(0).name("rushq-try").spawn(|| async {});
        let _ = report.send(tried.and_then(|handle| handle.join()).err().map(|error| error.to_string()));
    });
    let error = reported.recv().unwrap_or_else(|error| Some(error.to_string()));
    let Some(error) = error else {
        // Not after a panic: its hook is still in use.
        panic::set_hook(before);
        let _ = trying.join();
        return Ok(());
    };
    let forbidden = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").is_ok_and(|value| value.trim() != "0");
    Err(if forbidden {
        format!("io_uring is switched off ({error}): run `sysctl kernel.io_uring_disabled=0`")
    } else {
        format!(
            "io_uring cannot be used ({error}): it needs Linux 5.15 or later, and a container runtime whose seccomp \
             profile allows it (docker: --security-opt seccomp=unconfined)"
        )
    })
}
