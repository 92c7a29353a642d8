//! A name in a directory. The directory is opened once: a user who may write there, or above it, cannot lead what is done
//! later to another directory. No symbolic link is followed at the name itself.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// The flags of every open here: no file that is opened makes this process wait, becomes its terminal, or is left to a
/// child.
const ALWAYS: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// A name in a directory.
#[derive(Debug)]
pub(crate) struct Entry {
    directory: OwnedFd,
    name: OsString,
}

/// Which file it is, under any name: a device and a number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl From<&FileStat> for FileId {
    fn from(stat: &FileStat) -> FileId {
        FileId { device: stat.st_dev, inode: stat.st_ino }
    }
}

impl Entry {
    /// # Errors
    /// When the path ends in no name, or its directory cannot be opened.
    pub(crate) fn of(path: &Path) -> io::Result<Entry> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let directory = open(parent, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Entry { directory, name: name.to_os_string() })
    }

    /// Another name in the same directory.
    pub(crate) fn beside(&self, suffix: &str) -> io::Result<Entry> {
        let mut name = self.name.clone();
        name.push(suffix);
        Ok(Entry { directory: self.directory.try_clone()?, name })
    }

    /// What has this name.
    ///
    /// # Errors
    /// `NotFound` when nothing has it.
    pub(crate) fn stat(&self) -> io::Result<FileStat> {
        Ok(fstatat(&self.directory, self.name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    /// Whether this very file still has the name.
    pub(crate) fn is(&self, id: FileId) -> bool {
        self.stat().is_ok_and(|stat| FileId::from(&stat) == id)
    }

    /// Opens the file of this name to be read.
    ///
    /// # Errors
    /// When there is none, or it is a link or no file.
    pub(crate) fn read(&self) -> io::Result<(File, FileStat)> {
        regular(self.open(OFlag::O_RDONLY, Mode::empty())?)
    }

    /// Makes a file of this name, empty, to be written.
    ///
    /// # Errors
    /// `AlreadyExists` when something has the name.
    pub(crate) fn create(&self, mode: u32) -> io::Result<(File, FileStat)> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
        regular(self.open(flags, Mode::from_bits_truncate(mode))?)
    }

    /// A descriptor that stands for what has this name, and can do nothing with it.
    ///
    /// # Errors
    /// When nothing has the name.
    pub(crate) fn handle(&self) -> io::Result<OwnedFd> {
        Ok(openat(&self.directory, self.name.as_os_str(), OFlag::O_PATH | ALWAYS, Mode::empty())?)
    }

    fn open(&self, flags: OFlag, mode: Mode) -> io::Result<File> {
        match openat(&self.directory, self.name.as_os_str(), flags | ALWAYS, mode) {
            Ok(file) => Ok(file.into()),
            Err(Errno::ELOOP) => Err(io::Error::other("it is a symbolic link, and none is followed there")),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the file of this name another one, in the same directory, in the place of what has that.
    ///
    /// # Errors
    /// When nothing has the name, or this user may not change the directory.
    pub(crate) fn rename(&self, to: &Entry) -> io::Result<()> {
        Ok(renameat(&self.directory, self.name.as_os_str(), &to.directory, to.name.as_os_str())?)
    }

    /// Takes the name away.
    ///
    /// # Errors
    /// `NotFound` when nothing has it.
    pub(crate) fn unlink(&self) -> io::Result<()> {
        Ok(unlinkat(&self.directory, self.name.as_os_str(), UnlinkatFlags::NoRemoveDir)?)
    }
}

fn regular(file: File) -> io::Result<(File, FileStat)> {
    let stat = fstat(&file)?;
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => Ok((file, stat)),
        _ => Err(io::Error::other("it is there, and is no file")),
    }
}
