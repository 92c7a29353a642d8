//! The seam between the log and the machine: a directory of files, and nothing that the log does not use.
//!
//! There are two implementations: [`Files`](crate::Files) on a real file system, and the crash image of the
//! tests, which keeps what was written apart from what was synced.

pub(crate) mod files;

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// A directory that holds one log.
pub trait Disk: Debug + Send + Sync {
    /// The names of all files in the directory, in no order.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates an empty file for reading and writing; an existing one of that name is emptied.
    ///
    /// # Errors
    /// When the file cannot be created: no room, no right, too many open files.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be opened.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Renames a file; an open one stays open under its new name.
    ///
    /// # Errors
    /// When it cannot be renamed.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Unlinks a file.
    ///
    /// # Errors
    /// When it cannot be unlinked.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns when every create, rename and remove so far is on stable storage.
    ///
    /// # Errors
    /// When the directory cannot be synced. The caller must not go on as if nothing had happened.
    fn sync_directory(&self) -> io::Result<()>;
}

/// A file of the log, readable and writable from any thread at any offset.
pub trait DiskFile: Debug + Send + Sync {
    /// Size in bytes.
    ///
    /// # Errors
    /// When the file's size cannot be read.
    fn size(&self) -> io::Result<u64>;

    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end of the file. Returns how many.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The same if it is done without waiting for the disk; `None` if it is not, or if that cannot be told.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn read_in_memory(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// When the file cannot be written; how much was written is then unknown.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Sets room aside for a file of so many bytes, so that a disk that is too full says so before anything is written.
    /// A file system that cannot do that says nothing.
    ///
    /// # Errors
    /// When the disk has no room for it.
    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let _ = bytes;
        Ok(())
    }

    /// Has what was written there leave memory for the disk, and returns when the disk has it: so that a later
    /// [`sync_data`](Self::sync_data) has little to do and holds up nothing else. No promise: the disk may still lose it.
    ///
    /// # Errors
    /// When the bytes cannot be written. After an error it is unknown what is on the disk.
    fn write_back(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let _ = (offset, bytes);
        Ok(())
    }

    /// Returns when every byte written so far, and the file's size, is on stable storage (fdatasync).
    ///
    /// # Errors
    /// When the file cannot be synced. After an error it is unknown what is on the disk, and a second call may return
    /// without one: the caller must stop.
    fn sync_data(&self) -> io::Result<()>;

    /// Says that `bytes` from `offset` on will be read soon. A hint: it returns at once and cannot fail.
    fn will_need(&self, offset: u64, bytes: u64);
}
