//! A file that holds the process id while the server runs: the one of `-P`, and the one beside a Unix socket.
//!
//! A server holds a lock (flock) on its file as long as it lives, so a file whose lock is free was left by a server
//! that has gone. Its place is taken by a rename, while its own lock is held: of servers that start at once, one has
//! the file. And a reader finds a whole number.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::process::entry::{Entry, FileId};
use crate::process::retrying::with_patience;

/// More than a process id and its line end take.
const READ_BYTES: u64 = 32;
/// Any user may read it.
const MODE: u32 = 0o644;

/// The file, locked; removed when this is dropped, unless another process has put its own id there.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    entry: Entry,
    id: FileId,
    lock: Option<File>,
}

/// Why a file cannot be taken.
#[derive(Debug)]
enum Refused {
    /// Its server lives. What the file contains.
    Held(String),
    /// It contains no process id.
    Foreign,
    Failed(io::Error),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Held(id) if id.is_empty() => {
                write!(f, "another rushq is starting with it; stop that, or name another")
            }
            Refused::Held(id) => write!(f, "a rushq that runs has it (process {id}); stop that, or name another"),
            Refused::Foreign => write!(f, "it is there, and holds no process id; remove it, or name another"),
            Refused::Failed(error) => write!(f, "{error}; name a file that can be written"),
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        Refused::Failed(error)
    }
}

impl PidFile {
    /// Writes the process id, in the place of what a server that has gone has left. `option` names the file to the
    /// operator.
    ///
    /// # Errors
    /// When a server that lives has the file, something else is in its place, or it cannot be written.
    pub(crate) fn write(option: &str, path: &Path) -> Result<PidFile, String> {
        let own_id = std::process::id();
        let taken = Entry::of(path).map_err(Refused::from).and_then(|entry| {
            let (lock, id) = take(&entry, own_id)?;
            Ok(PidFile { path: path.to_path_buf(), entry, id, lock: Some(lock) })
        });
        taken.map_err(|refused| format!("{option} {}: {refused}", path.display()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the file and its lock go without removing it: the keeper does that.
    pub(crate) fn leave(mut self) {
        self.lock = None;
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        let holds_ours = content(&self.entry).is_ok_and(|held| held == std::process::id().to_string());
        if holds_ours
            && self.entry.is(self.id)
            && let Err(error) = self.entry.unlink()
        {
            log::warn!("{} cannot be removed: {error}", self.path.display());
        }
        drop(lock);
    }
}

/// The file that a server which has ended has left at `entry`, claimed for its removal. `None`: there is none, or it is
/// another's by now.
pub(crate) fn claim_left_by(server: u32, entry: &Entry) -> Option<File> {
    let (file, stat) = entry.read().ok()?;
    let is_ours = stat.st_uid == geteuid().as_raw() && number(&file).is_ok_and(|held| held == server.to_string());
    if !is_ours {
        return None;
    }
    // The kernel frees the server's own lock a moment after it closes the pipe by which its end was seen.
    with_patience(|| file.try_lock(), |tried| matches!(tried, Err(TryLockError::WouldBlock))).ok()?;
    entry.is(FileId::from(&stat)).then_some(file)
}

/// Puts a locked file with this process id in the place of the one that is there.
fn take(entry: &Entry, own_id: u32) -> Result<(File, FileId), Refused> {
    let before = claim(entry)?;
    let temporary = entry.beside(&format!(".{own_id}.tmp"))?;
    let written = write_locked(&temporary, own_id).and_then(|written| temporary.rename(entry).map(|()| written));
    if written.is_err() {
        let _ = temporary.unlink();
        // What the claim itself has made.
        if before.metadata().is_ok_and(|there| there.len() == 0) {
            let _ = entry.unlink();
        }
    }
    Ok(written?)
}

/// Locks the file that is there, or makes an empty one, so that no other server takes its place meanwhile.
fn claim(entry: &Entry) -> Result<File, Refused> {
    loop {
        let (file, stat) = match entry.read() {
            Err(error) if error.kind() == ErrorKind::NotFound => match entry.create(MODE) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                created => created?,
            },
            there => there?,
        };
        let held = number(&file)?;
        if !held.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refused::Foreign);
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Refused::Held(held)),
            Err(TryLockError::Error(error)) => return Err(Refused::Failed(error)),
        }
        // Its server may have put a new file there between the look and the lock.
        if entry.is(FileId::from(&stat)) {
            return Ok(file);
        }
    }
}

/// Locked before it has the name by which others look for it.
fn write_locked(entry: &Entry, own_id: u32) -> io::Result<(File, FileId)> {
    // Left by an earlier process of this number.
    if entry.read().is_ok_and(|(_, stat)| stat.st_uid == geteuid().as_raw()) {
        entry.unlink()?;
    }
    let (mut file, stat) = entry.create(MODE)?;
    file.try_lock()?;
    writeln!(file, "{own_id}")?;
    Ok((file, FileId::from(&stat)))
}

fn content(entry: &Entry) -> io::Result<String> {
    number(&entry.read()?.0)
}

/// What the file holds, without its line end; as much of it as a number can have.
fn number(file: &File) -> io::Result<String> {
    let mut held = Vec::new();
    file.take(READ_BYTES).read_to_end(&mut held)?;
    Ok(String::from_utf8_lossy(&held).trim().to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("rushq-pid-file-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a directory");
        path.join("pid")
    }

    fn clean(path: &Path) {
        fs::remove_dir_all(path.parent().expect("a directory")).expect("ours");
    }

    #[test]
    fn a_stale_file_is_replaced_and_one_in_use_is_not() {
        let path = scratch("stale");
        for stale in ["", "1", "4294967295\n"] {
            fs::write(&path, stale).expect("written");
            let ours = PidFile::write("-P", &path).expect("it is stale");
            assert_eq!(fs::read_to_string(&path).expect("a file"), format!("{}\n", std::process::id()));
            let error = PidFile::write("-P", &path).expect_err("it is in use");
            assert!(error.contains(&std::process::id().to_string()), "{error}");
            drop(ours);
            assert!(!path.exists());
        }
        assert_eq!(
            fs::read_dir(path.parent().expect("a directory")).expect("there").count(),
            0,
            "nothing else is left"
        );
        clean(&path);
    }

    #[test]
    fn what_is_no_pid_file_stays() {
        let path = scratch("foreign");
        for foreign in ["rushq 1\nshards 2\n", "12 34", "-1", "0x10"] {
            fs::write(&path, foreign).expect("written");
            let error = PidFile::write("-P", &path).expect_err(foreign);
            assert!(error.contains("no process id"), "{error}");
            assert_eq!(fs::read_to_string(&path).expect("a file"), foreign);
        }
        fs::remove_file(&path).expect("ours");
        std::os::unix::fs::symlink(path.with_extension("target"), &path).expect("a link");
        fs::write(path.with_extension("target"), "1\n").expect("written");
        let error = PidFile::write("-P", &path).expect_err("a link");
        assert!(error.contains("symbolic link"), "{error}");
        clean(&path);
    }

    #[test]
    fn only_the_own_file_is_removed() {
        let path = scratch("own");
        let replace = |with: &str| {
            let ours = PidFile::write("-P", &path).expect("it is free");
            fs::remove_file(&path).expect("there");
            fs::write(&path, with).expect("written");
            drop(ours);
            fs::read_to_string(&path).expect("it stays")
        };
        assert_eq!(replace("1\n"), "1\n");
        let own = format!("{}\n", std::process::id());
        assert_eq!(replace(&own), own, "another file, though it holds the same");
        clean(&path);
    }
}
