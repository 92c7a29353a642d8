//! Running as a daemon. The process that the shell started stays until its daemon listens, or has said what is wrong:
//! so whoever starts a daemon sees its errors, and has its exit status.

use std::fs::{self, OpenOptions};
use std::io::{PipeWriter, Read, Write, pipe};

use daemonize::{Daemonize, Outcome, Stdio};
use nix::unistd::{dup2_stderr, dup2_stdout};

/// Whatever the shell's was. What is in the data directory is nobody's business whatever this is.
const UMASK: u32 = 0o022;

/// Which of the two processes this is.
#[derive(Debug)]
pub(crate) enum Role {
    /// The one the shell waits for; whether its daemon listens.
    Starter { started: bool },
    /// The daemon.
    Daemon(Starting),
}

/// A daemon that has not said yet that it listens.
#[derive(Debug)]
pub(crate) struct Starting(PipeWriter);

/// Makes this process two. It must not have other threads yet.
///
/// # Errors
/// One line.
pub(crate) fn split() -> Result<Role, String> {
    let failed = |error: &dyn std::fmt::Display| format!("-d: {error}");
    let (mut reader, writer) = pipe().map_err(|error| failed(&error))?;
    match Daemonize::new().umask(UMASK).stdout(Stdio::keep()).stderr(Stdio::keep()).execute() {
        Outcome::Parent(parent) => {
            parent.map_err(|error| failed(&error))?;
            drop(writer);
            // The pipe ends with the daemon, and before that only with its word.
            let said = reader.read(&mut [0]).map_err(|error| failed(&error))?;
            Ok(Role::Starter { started: said > 0 })
        }
        Outcome::Child(child) => {
            child.map_err(|error| failed(&error))?;
            Ok(Role::Daemon(Starting(writer)))
        }
    }
}

impl Starting {
    /// Lets the starter end well, and lets go of its terminal: the log goes on only where it goes to a file.
    ///
    /// # Errors
    /// One line.
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
