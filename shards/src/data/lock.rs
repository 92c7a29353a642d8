//! Who uses a data directory: one process that changes it, or some that only look.
//!
//! The lock is on the directory itself, which cannot be removed and made anew unseen while it holds what is locked. The
//! file `lock` in it says which process has it, and keeps out the builds that locked that file alone.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::fcntl::OFlag;

/// The name of the file that says who has the lock.
pub(crate) const FILE: &str = "lock";
/// How often a directory may be replaced between its opening and its locking.
const ATTEMPTS: usize = 10;
/// How often, and after how long, the lock file is tried again.
const GLANCES: usize = 50;
const GLANCE: Duration = Duration::from_millis(10);

/// Why a directory cannot be locked.
#[derive(Debug)]
pub(crate) enum LockError {
    /// By the process with this id, where it says so.
    Taken(Option<String>),
    Io(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> LockError {
        LockError::Io(error)
    }
}

/// A locked directory; the lock ends with the value.
#[derive(Debug)]
pub(crate) struct Lock {
    directory: File,
}

/// The lock file, held.
#[derive(Debug)]
pub(crate) struct Signature {
    _file: File,
}

impl Lock {
    /// Locks a directory for one process that changes it.
    pub(crate) fn exclusive(path: &Path) -> Result<Lock, LockError> {
        Lock::take(path, File::try_lock)
    }

    /// Locks a directory for one of those that only look. No right to write is needed.
    pub(crate) fn shared(path: &Path) -> Result<Lock, LockError> {
        let lock = Lock::take(path, File::try_lock_shared)?;
        match open_file(path, OpenOptions::new().read(true)) {
            Ok(file) if is_held(&file) => Err(LockError::Taken(holder(path))),
            // The directory is locked; the file is there for builds that lock nothing else.
            _ => Ok(lock),
        }
    }

    fn take(path: &Path, lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Lock, LockError> {
        for _ in 0..ATTEMPTS {
            let mut options = OpenOptions::new();
            let directory = options.read(true).custom_flags(OFlag::O_DIRECTORY.bits()).open(path)?;
            match lock(&directory) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(LockError::Taken(holder(path))),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            let (held, named) = (directory.metadata()?, fs::metadata(path)?);
            if (held.dev(), held.ino()) == (named.dev(), named.ino()) {
                return Ok(Lock { directory });
            }
        }
        Err(io::Error::other("it is replaced all the time").into())
    }

    /// The directory, open for reading.
    pub(crate) fn directory(&self) -> &File {
        &self.directory
    }
}

impl Signature {
    /// Writes the process id into the lock file, and holds that. It is made as the user that this process is now.
    pub(crate) fn write(path: &Path) -> Result<Signature, LockError> {
        let mut file = open_file(path, OpenOptions::new().read(true).write(true).create(true).mode(0o600))?;
        if file.metadata()?.nlink() > 1 {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it has another name elsewhere").into());
        }
        for attempt in 0.. {
            match file.try_lock() {
                Ok(()) => break,
                // A start that was refused looks at the lock for a moment, to tell whose it is.
                Err(TryLockError::WouldBlock) if attempt < GLANCES => thread::sleep(GLANCE),
                Err(TryLockError::WouldBlock) => return Err(LockError::Taken(holder(path))),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Signature { _file: file })
    }
}

fn open_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path.join(FILE))?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(ErrorKind::InvalidInput, "it is no file")),
    }
}

fn is_held(file: &File) -> bool {
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// The process id in the lock file. It counts only while that is held: an earlier process leaves its own behind.
fn holder(path: &Path) -> Option<String> {
    let mut file = open_file(path, OpenOptions::new().read(true)).ok().filter(is_held)?;
    let mut holder = String::new();
    file.read_to_string(&mut holder).ok()?;
    Some(holder.trim().to_string()).filter(|holder| !holder.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changes_or_some_look() {
        let path = std::env::temp_dir().join(format!("rushq-lock-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let lock = Lock::exclusive(&path).unwrap();
        assert!(matches!(Lock::exclusive(&path), Err(LockError::Taken(None))));
        assert!(matches!(Lock::shared(&path), Err(LockError::Taken(None))));
        let signature = Signature::write(&path).unwrap();
        let id = std::process::id().to_string();
        assert!(matches!(Lock::exclusive(&path), Err(LockError::Taken(Some(holder))) if holder == id));
        fs::remove_file(path.join(FILE)).unwrap();
        assert!(matches!(Lock::shared(&path), Err(LockError::Taken(None))));
        drop((lock, signature));

        let (one, _other) = (Lock::shared(&path).unwrap(), Lock::shared(&path).unwrap());
        assert!(matches!(Lock::exclusive(&path), Err(LockError::Taken(None))));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "to look makes nothing");
        drop(one);
        fs::remove_dir(&path).unwrap();
    }

    /// A file with another name elsewhere may be another program's.
    #[test]
    fn a_hard_link_is_not_signed() {
        let path = std::env::temp_dir().join(format!("rushq-signature-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::write(path.join("elsewhere"), "as it was").unwrap();
        fs::hard_link(path.join("elsewhere"), path.join(FILE)).unwrap();
        assert!(matches!(Signature::write(&path), Err(LockError::Io(_))));
        assert_eq!(fs::read(path.join("elsewhere")).unwrap(), b"as it was");
        fs::remove_dir_all(&path).unwrap();
    }
}
