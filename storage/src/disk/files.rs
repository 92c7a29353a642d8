//! [`Disk`] on a real file system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, PosixFadviseAdvice, fallocate, posix_fadvise};
use rustix::io::{Errno as ReadErrno, ReadWriteFlags};

use crate::disk::{Disk, DiskFile};

/// A directory on a file system. Files are made with mode 0600, directories with 0700: other users have no right to
/// messages business. Symbolic links are not followed.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    writable: bool,
}

impl Files {
    /// Opens the directory at `path`, and makes it, and those above it, when it is not there.
    ///
    /// # Errors
    /// When the directory cannot be made or opened.
    pub fn open(path: &Path) -> io::Result<Files> {
        let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        // What is synced in a new directory is lost with its name.
        for parent in missing.into_iter().filter_map(Path::parent) {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            File::open(parent)?.sync_all()?;
        }
        Ok(Files { path: path.to_path_buf(), writable: true })
    }

    /// The directory at `path` as it is, for reading: nothing is made, and no right to write is needed. What would change
    /// it is refused. That it is missing shows when it is listed.
    #[must_use]
    pub fn read_only(path: &Path) -> Files {
        Files { path: path.to_path_buf(), writable: false }
    }

    fn changeable(&self) -> io::Result<&Path> {
        match self.writable {
            true => Ok(&self.path),
            false => Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "it is open for reading alone")),
        }
    }

    fn open_with(&self, name: &str, options: &mut OpenOptions) -> io::Result<Arc<dyn DiskFile>> {
        let file = options
            .read(true)
            .write(self.writable)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(self.path.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }
}

impl Disk for Files {
    fn list(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.changeable()?;
        self.open_with(name, OpenOptions::new().create(true).truncate(true))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.open_with(name, &mut OpenOptions::new())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let path = self.changeable()?;
        fs::rename(path.join(from), path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.changeable()?.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.0.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn read_in_memory(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        let mut done = 0;
        while done < buffer.len() {
            let rest = &mut [IoSliceMut::new(&mut buffer[done..])];
            match rustix::io::preadv2(&self.0, rest, offset + done as u64, ReadWriteFlags::NOWAIT) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(ReadErrno::INTR) => {}
                // It is not in the page cache, or this file system cannot tell.
                Err(ReadErrno::AGAIN | ReadErrno::OPNOTSUPP | ReadErrno::INVAL | ReadErrno::NOSYS) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(done))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        loop {
            match fallocate(&self.0, FallocateFlags::empty(), 0, bytes as i64) {
                Ok(()) | Err(Errno::EOPNOTSUPP) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    #[allow(
        unsafe_code,
        reason = "no library has sync_file_range, and a fdatasync a piece makes every commit wait for each"
    )]
    fn write_back(&self, offset: u64, bytes: u64) -> io::Result<()> {
        use nix::libc::{
            SYNC_FILE_RANGE_WAIT_AFTER, SYNC_FILE_RANGE_WAIT_BEFORE, SYNC_FILE_RANGE_WRITE, sync_file_range,
        };
        let flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
        loop {
            // SAFETY: the call takes numbers only, and the descriptor is open as long as the file is borrowed.
            let done = unsafe { sync_file_range(self.0.as_raw_fd(), offset as i64, bytes as i64, flags) };
            match Errno::result(done) {
                // A sandbox may not know it; the fdatasync at the end does all.
                Ok(_) | Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL | Errno::ESPIPE) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn will_need(&self, offset: u64, bytes: u64) {
        // A hint; there is nothing to do when it is refused.
        let _ = posix_fadvise(&self.0, offset as i64, bytes as i64, PosixFadviseAdvice::POSIX_FADV_WILLNEED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the file system can tell is its own matter; what it says must be what is there.
    #[test]
    fn what_is_read_in_memory_is_what_is_read() {
        let path = std::env::temp_dir().join(format!("rushq-files-{}", std::process::id()));
        let files = Files::open(&path).expect("a directory");
        let file = files.create("file").expect("a file");
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
        file.write_at(&bytes, 0).expect("it can be written");
        for (offset, room, there) in [(0, 100_000, 100_000), (5000, 300, 300), (99_000, 5000, 1000), (200_000, 10, 0)] {
            let mut buffer = vec![0; room];
            let read = file.read_in_memory(&mut buffer, offset).expect("it can be read");
            println!("{offset}: {read:?}");
            if let Some(read) = read {
                assert_eq!((read, &buffer[..read]), (there, &bytes[(offset as usize).min(100_000)..][..there]));
            }
            assert_eq!(file.read_at(&mut buffer, offset).expect("it can be read"), there);
        }
        fs::remove_dir_all(&path).expect("it is ours");
    }

    #[test]
    fn what_is_open_for_reading_alone_is_not_changed() {
        let path = std::env::temp_dir().join(format!("rushq-read-only-files-{}", std::process::id()));
        assert_eq!(Files::read_only(&path).list().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!path.exists(), "nothing is made");
        let files = Files::open(&path).unwrap();
        files.create("a").unwrap().write_at(b"as it was", 0).unwrap();
        let files = Files::read_only(&path);
        let file = files.open("a").unwrap();
        file.write_at(b"otherwise", 0).unwrap_err();
        files.create("b").unwrap_err();
        files.rename("a", "b").unwrap_err();
        files.remove("a").unwrap_err();
        let mut found = [0; 9];
        assert_eq!((file.read_at(&mut found, 0).unwrap(), &found), (9, b"as it was"));
        assert_eq!(files.list().unwrap(), ["a"]);
        fs::remove_dir_all(&path).unwrap();
    }
}
