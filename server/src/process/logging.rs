//! The log: what is logged, and where it goes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use log::LevelFilter;
use nix::fcntl::OFlag;

use crate::process::options::Arguments;
use crate::process::privileges::Identity;

/// The file of `--log-file`, if the log goes to one.
static FILE: OnceLock<LogFile> = OnceLock::new();
/// What the command line asks for by `-v` and `-vv`.
static VERBOSITY: AtomicU8 = AtomicU8::new(0);
/// The most that a client can have logged is what `-v` logs. Commands and bodies belong to other clients: only the operator
/// can have them logged.
const CLIENT_VERBOSITY_MAX: u8 = 1;
/// The mode of a new log file.
const MODE: u32 = 0o640;

#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: Mutex<File>,
}

/// What env_logger writes to.
struct Writer(&'static LogFile);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.file.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts the log, in a file or on standard error: RUST_LOG decides what is logged, else `-v` and `-vv`, and later the
/// command `verbosity`. `owner`: the user that a new file is given to.
///
/// # Errors
/// When the file cannot be opened or made, or is no file.
pub(crate) fn start(options: &Arguments, path: Option<&Path>, owner: Option<&Identity>) -> Result<(), String> {
    let everything_of_ours = "warn,rushq=trace,shards=trace,storage=trace";
    let environment = env_logger::Env::default().default_filter_or(everything_of_ours);
    let mut builder = env_logger::Builder::from_env(environment);
    builder.format_target(false);
    if let Some(path) = path {
        let failed = |error| format!("--log-file {}: {error}; name a file that can be written", path.display());
        let file = open(path, owner).map_err(failed)?;
        let log = FILE.get_or_init(|| LogFile { path: path.to_path_buf(), file: Mutex::new(file) });
        builder.target(env_logger::Target::Pipe(Box::new(Writer(log))));
    }
    builder.init();
    VERBOSITY.store(options.verbose, Ordering::Relaxed);
    if std::env::var_os("RUST_LOG").is_none() {
        log::set_max_level(level(options.verbose));
    }
    Ok(())
}

/// What is logged at a verbosity.
fn level(verbosity: u8) -> LevelFilter {
    match verbosity {
        0 => LevelFilter::Info,
        1 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    }
}

/// The verbosity in force: 0, 1 for `-v`, 2 for `-vv`.
pub(crate) fn verbosity() -> u8 {
    match log::max_level() {
        LevelFilter::Trace => 2,
        LevelFilter::Debug => 1,
        _ => 0,
    }
}

/// Sets the verbosity that a client asks for, as far as [`CLIENT_VERBOSITY_MAX`].
pub(crate) fn set_verbosity_by_client(asked: u32) {
    log::set_max_level(level(allowed(asked, VERBOSITY.load(Ordering::Relaxed))));
}

fn allowed(asked: u32, command_line: u8) -> u8 {
    u8::try_from(asked).unwrap_or(u8::MAX).min(command_line.max(CLIENT_VERBOSITY_MAX))
}

/// Whether the log goes to a file of its own.
pub(crate) fn has_file() -> bool {
    FILE.get().is_some()
}

/// Opens the file anew, after another program has renamed it.
pub(crate) fn reopen() {
    let Some(log) = FILE.get() else {
        log::info!("SIGHUP: there is no --log-file to open again");
        return;
    };
    match open(&log.path, None) {
        Ok(file) => {
            *log.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
            log::info!("SIGHUP: the log is opened again");
        }
        Err(error) => {
            let path = log.path.display();
            log::error!("SIGHUP: {path} cannot be opened again: {error}; the log goes on in the file that it was");
        }
    }
}

/// Opens a log to append to it. No link is followed: when root opens it in a directory of another user, that user must not
/// have it write elsewhere.
fn open(path: &Path, owner: Option<&Identity>) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut options = OpenOptions::new();
    options.append(true).mode(MODE).custom_flags(flags.bits());
    let file = match options.clone().create_new(true).open(path) {
        Ok(file) => {
            if let Some(owner) = owner {
                fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
            }
            file
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path).map_err(explained)?,
        Err(error) => return Err(error),
    };
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_char_device() {
        Ok(file)
    } else {
        Err(io::Error::other("it is there, and is no file"))
    }
}

fn explained(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) if number == nix::errno::Errno::ELOOP as i32 => {
            io::Error::other("it is a symbolic link, and none is followed there")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_sees_commands_only_where_the_operator_does() {
        let table =
            [(0, 0, 0), (1, 0, 1), (2, 0, 1), (u32::MAX, 0, 1), (2, 1, 1), (2, 2, 2), (u32::MAX, 2, 2), (0, 2, 0)];
        for (asked, command_line, expected) in table {
            assert_eq!(allowed(asked, command_line), expected, "{asked} with {command_line}");
        }
    }
}
