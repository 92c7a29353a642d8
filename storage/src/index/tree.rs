//! The seam between the index and the key-value store that it is in.
//!
//! There are two implementations: a sled tree, and the one in the memory of the tests, which is cut between any two of
//! its writes.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// An ordered map from keys to values.
///
/// What was inserted or removed since the last [`sync`](Self::sync) is there after a crash, or not, each change for itself.
pub trait Tree: Debug + Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// When it cannot be read.
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// Gives a key a value, a new one if it has one.
    ///
    /// # Errors
    /// When it cannot be written.
    fn insert(&self, key: &[u8], value: &[u8]) -> io::Result<()>;

    /// Forgets a key.
    ///
    /// # Errors
    /// When that cannot be written.
    fn remove(&self, key: &[u8]) -> io::Result<()>;

    /// Up to `limit` keys in their order, from `from` on and below `to`; `None`: to the last.
    ///
    /// # Errors
    /// When they cannot be read.
    fn keys(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> io::Result<Vec<Vec<u8>>>;

    /// Returns when all changes so far are on stable storage.
    ///
    /// # Errors
    /// When they are not; what is there is unknown then.
    fn sync(&self) -> io::Result<()>;
}

/// sled's page cache, in bytes. Only checkpoints and starts use it.
const CACHE_BYTES: u64 = 2 << 20;
/// The file beside sled's own that says which keys are in the tree.
const FORMAT_FILE: &str = "format";
/// 2: pages have generations. 3: records have settings, and lists of what is gone. The first format had no such file.
const FORMAT: &str = "rushq index 5\n";

/// A sled tree in a directory of its own.
#[derive(Debug)]
pub(crate) struct SledTree {
    path: PathBuf,
    tree: sled::Db,
}

impl SledTree {
    /// Opens the tree, and makes it when there is none. One that does not open, or is of another format, is thrown away
    /// and made anew, since the log is enough; but not one that another process has open.
    pub(crate) fn open(path: &Path) -> io::Result<SledTree> {
        if !has_format(path) {
            if path.exists() {
                ::log::info!("{}: the index is of another version of rushq, and is made anew", path.display());
            }
            make_anew(path)?;
        }
        let open = || sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None).open();
        let tree = match open() {
            Ok(tree) => tree,
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => return Err(error),
            Err(error) => {
                ::log::warn!("{}: the index does not open and is made anew: {error}", path.display());
                make_anew(path)?;
                open()?
            }
        };
        // sled starts its threads lazily, and they inherit the mask of the thread that made them start.
        tree.flush()?;
        Ok(SledTree { path: path.to_path_buf(), tree })
    }
}

fn has_format(path: &Path) -> bool {
    fs::read(path.join(FORMAT_FILE)).is_ok_and(|text| text == FORMAT.as_bytes())
}

fn make_anew(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(path)?;
    // Not synced: if it is lost, so is the index, and the log is read.
    fs::write(path.join(FORMAT_FILE), FORMAT)
}

impl Tree for SledTree {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.tree.get(key)?.map(|value| value.to_vec()))
    }

    fn insert(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.tree.insert(key, value)?;
        Ok(())
    }

    fn remove(&self, key: &[u8]) -> io::Result<()> {
        self.tree.remove(key)?;
        Ok(())
    }

    fn keys(&self, from: &[u8], to: Option<&[u8]>, limit: usize) -> io::Result<Vec<Vec<u8>>> {
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let range = match to {
            Some(to) => self.tree.range(from..to),
            None => self.tree.range(from..),
        };
        let mut keys = Vec::new();
        for key in range.keys().take(limit) {
            keys.push(key?.to_vec());
        }
        Ok(keys)
    }

    fn sync(&self) -> io::Result<()> {
        self.tree.flush()?;
        // sled's flush is sync_file_range, which is no barrier.
        File::open(self.path.join("db"))?.sync_data()
    }
}
