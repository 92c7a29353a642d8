//! Running as a daemon. The process that the shell started stays until its daemon listens or has failed: so the shell shows
//! the daemon's errors, and gets its exit status.

use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeWriter, Read, Write, pipe};
use std::process;

use fork::{Fork, chdir, fork, setsid, waitpid};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

/// Replaces the shell's umask. Files of the data directory have mode 0600 regardless.
const UMASK: u32 = 0o022;

/// Which of the two processes this is.
#[derive(Debug)]
pub(crate) enum Role {
    /// The one that the shell waits for. `started`: its daemon listens.
    Starter { started: bool },
    /// The daemon.
    Daemon(Starting),
}

/// A daemon whose starter still waits.
#[derive(Debug)]
pub(crate) struct Starting(PipeWriter);

/// Makes this process two. It must not have other threads yet.
///
/// # Errors
/// When the machine has no room for another process.
pub(crate) fn split() -> Result<Role, String> {
    try_split().map_err(|error| format!("-d: {error}"))
}

fn try_split() -> io::Result<Role> {
    let (mut reader, writer) = pipe()?;
    if let Fork::Parent(child) = fork()? {
        drop(writer);
        waitpid(child)?;
        // The daemon writes a byte once it listens. The pipe ends without one when the daemon has ended before.
        return Ok(Role::Starter { started: reader.read(&mut [0])? > 0 });
    }
    setsid()?;
    // A session's leader could get a terminal again by opening one, so the daemon is not the leader.
    if let Fork::Parent(_) = fork()? {
        process::exit(0);
    }
    // Nothing keeps a file system from being unmounted, and all paths are absolute by now.
    chdir()?;
    umask(Mode::from_bits_truncate(UMASK));
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(Role::Daemon(Starting(writer)))
}

impl Starting {
    /// Has the starter exit with 0, and closes the terminal: the log goes on only where it goes to a file.
    ///
    /// # Errors
    /// When /dev/null cannot be opened.
    pub(crate) fn ready(mut self) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("-d: {error}");
        let null = OpenOptions::new().write(true).open("/dev/null").map_err(failed)?;
        let log_is_kept = fs::metadata("/proc/self/fd/2").is_ok_and(|log| log.is_file());
        dup2_stdout(&null).map_err(|error| failed(error.into()))?;
        if !log_is_kept {
            dup2_stderr(&null).map_err(|error| failed(error.into()))?;
        }
        // The starter may have been killed; the daemon runs all the same.
        let _ = self.0.write_all(b"!");
        Ok(())
    }
}
