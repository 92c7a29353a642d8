//! The data directory: who may use it, how many shards it was made for, and where each keeps its files.
//!
//! ```text
//! DIR/lock            held by the process that uses the directory; contains its process id
//! DIR/layout          "rushq 1" and "shards N", a line each
//! DIR/shard-000/log/  the log's segments
//! DIR/shard-000/index the log's index
//! ```

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use storage::{Files, Options, Recovered, Store};

use crate::shard::Shard;

const FORMAT: &str = "rushq 1";

/// Why a data directory cannot be used, for the person who reads it.
#[derive(Debug)]
pub struct DirectoryError(String);

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DirectoryError {}

type Result<T> = std::result::Result<T, DirectoryError>;

/// A data directory, locked for this process as long as the value lives.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    lock: File,
}

impl DataDirectory {
    /// Locks the directory at `path`, and makes it when it is not there, with mode 0700.
    ///
    /// # Errors
    /// When it cannot be made or written to, or another process uses it.
    pub fn lock(path: &Path) -> Result<DataDirectory> {
        let unusable = |error: io::Error| {
            let path = path.display();
            DirectoryError(format!(
                "data directory {path} cannot be used: {error}; make it writable, or name another by -H"
            ))
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who holds it is a courtesy only.
                let _ = lock.read_to_string(&mut holder);
                let (path, holder) = (path.display(), holder.trim());
                return Err(DirectoryError(format!(
                    "data directory {path} is in use by another rushq (process {holder}); stop that, or name another by -H"
                )));
            }
        }
        Ok(DataDirectory { path: path.to_path_buf(), lock })
    }

    /// Gives the directory and all that is in it to a user. No link is followed, and what is neither a file nor a
    /// directory is left alone.
    ///
    /// # Errors
    /// When something cannot be given away.
    pub fn give_to(&self, user: u32, group: u32) -> Result<()> {
        give(&self.path, user, group)
            .map_err(|error| DirectoryError(format!("{} cannot be given away: {error}", self.path.display())))
    }

    /// Opens the shards, each on a thread of its own, and recovers their queues. The threads are not pinned, and those
    /// that sled starts meanwhile inherit that.
    ///
    /// # Errors
    /// When the directory was made for another number of shards, or a log cannot be read or is damaged. Nothing is
    /// changed then.
    pub fn open(&self, shards: u16, options: Options) -> Result<Vec<(Shard, Recovered)>> {
        self.check_layout(shards)?;
        self.sign().map_err(|error| DirectoryError(format!("{}/lock: {error}", self.path.display())))?;
        thread::scope(|scope| {
            let opening: Vec<_> =
                (0..shards).map(|shard| scope.spawn(move || self.open_shard(shard, options))).collect();
            opening.into_iter().map(|thread| thread.join().expect("recovery does not panic")).collect()
        })
    }

    /// Says in the lock file who holds it.
    fn sign(&self) -> io::Result<()> {
        let mut lock = &self.lock;
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())
    }

    fn open_shard(&self, shard: u16, options: Options) -> Result<(Shard, Recovered)> {
        let path = self.path.join(format!("shard-{shard:03}"));
        let failed = |error: &dyn fmt::Display| DirectoryError(format!("{}: {error}", path.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|e| failed(&e))?;
        let files = Files::open(&path.join("log")).map_err(|e| failed(&e))?;
        let opened = Store::open(Arc::new(files), Some(path.join("index")), options);
        let (store, recovered) = opened.map_err(|e| failed(&e))?;
        Ok((Shard::new(store), recovered))
    }

    /// Compares the number of shards with that of the directory; a new directory gets it written down first.
    fn check_layout(&self, shards: u16) -> Result<()> {
        let path = self.path.join("layout");
        let failed = |error: io::Error| DirectoryError(format!("{}: {error}", path.display()));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.write_layout(shards).map_err(failed),
            Err(error) => return Err(failed(error)),
        };
        let made_for: Option<u16> =
            text.strip_prefix(FORMAT).and_then(|rest| rest.trim().strip_prefix("shards ")?.parse().ok());
        match made_for {
            Some(made_for) if made_for == shards => Ok(()),
            Some(made_for) => Err(DirectoryError(format!(
                "data directory {} was made with -t {made_for}, and this start has -t {shards}; start with -t {made_for}, \
                 or name another directory by -H (nothing was changed)",
                self.path.display()
            ))),
            None => Err(DirectoryError(format!(
                "{} does not say \"{FORMAT}\" and \"shards N\"; it may be of a newer rushq (nothing was changed)",
                path.display()
            ))),
        }
    }

    fn write_layout(&self, shards: u16) -> io::Result<()> {
        let (temporary, path) = (self.path.join("layout.new"), self.path.join("layout"));
        let mut file = File::create(&temporary)?;
        write!(file, "{FORMAT}\nshards {shards}\n")?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        File::open(&self.path)?.sync_all()
    }
}

fn give(path: &Path, user: u32, group: u32) -> io::Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), user, group)?;
        }
    } else if !kind.is_file() {
        return Ok(());
    }
    lchown(path, Some(user), Some(group))
}
