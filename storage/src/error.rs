//! What can go wrong in storage. Every error names the file it happened to.

use std::fmt;
use std::io;

use nix::errno::Errno;

/// An error of the log. None of them can be retried: the process that gets one has to stop, because it is unknown from
/// then on more what is on the disk. A full disk is not among them; see [`Store::put`](crate::Store::put).
#[derive(Debug)]
pub enum Error {
    /// The operating system refused an operation.
    Io {
        /// What was tried, as a verb: "write", "fdatasync", ...
        action: &'static str,
        /// The file it was tried on.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The disk does not hold what was written to it and synced.
    Damage {
        /// The damaged file.
        file: String,
        /// Where in the file, in bytes.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, file: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let file = file.into();
        move |source| Error::Io { action, file, source }
    }

    /// Whether the operating system said that there is no room on the disk, or in the quota.
    pub(crate) fn is_without_room(&self) -> bool {
        match self {
            Error::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Error::Damage { .. } => false,
        }
    }

    /// Whether the operating system said that there is no room: on the disk, in the quota, or for another open file.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Error::Io { source, .. } => {
                let out_of_files = [Errno::EMFILE, Errno::ENFILE].map(|errno| Some(errno as i32));
                self.is_without_room() || out_of_files.contains(&source.raw_os_error())
            }
            Error::Damage { .. } => false,
        }
    }
}

/// What a failure means for the work that met it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no room on the disk.
    NoRoom(Error),
    /// The machine is short of something, or a signal came: it may pass, and nothing is unknown.
    Passes(Error),
    /// What is on the disk is unknown.
    Fatal(Error),
}

impl Failure {
    /// What an error means that came of making, opening, renaming, unlinking or setting room aside, or of syncing a
    /// directory. What was written and synced before is not touched by any of these.
    pub(crate) fn of_name(error: Error) -> Failure {
        const PASSING: [Errno; 5] = [Errno::EINTR, Errno::EAGAIN, Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM];
        let passes = match &error {
            Error::Io { source, .. } => PASSING.iter().any(|errno| source.raw_os_error() == Some(*errno as i32)),
            Error::Damage { .. } => false,
        };
        // A file system may need room to take a name away. There is some again later, perhaps.
        if passes || error.is_without_room() { Failure::Passes(error) } else { Failure::Fatal(error) }
    }

    pub(crate) fn into_error(self) -> Error {
        match self {
            Failure::NoRoom(error) | Failure::Passes(error) | Failure::Fatal(error) => error,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { action, file, source } => write!(f, "{action} of {file} failed: {source}"),
            Error::Damage { file, offset, what } => write!(f, "{file} is damaged at offset {offset}: {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            Error::Damage { .. } => None,
        }
    }
}

/// What storage returns.
pub type Result<T> = std::result::Result<T, Error>;
