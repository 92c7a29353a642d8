//! Giving a data directory to the user that a server becomes, while this process still is root.
//!
//! That user may be at work in the directory meanwhile, and hostile. So nothing is found by a path: each directory is
//! opened within the one above, no link is followed, and what changes hands is what was looked at, by its descriptor.
//! Only what root alone can have put there changes hands: what lies in a directory that root alone may write to, has one
//! name, and is called as rushq calls its files. A directory is given away after all that is in it, so that the user
//! cannot change it before. What lies in a directory of the user's stays as it is; it may have been moved there.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::{Gid, Uid, fchownat};

use crate::data::error::{DirectoryError, Remedy, Result};
use crate::data::{layout, lock};

const ROOT: u32 = 0;
/// Permission for the group or all others to write, and to go in.
const WRITABLE_BY_OTHERS: u32 = 0o022;
const OPEN_TO_OTHERS: u32 = 0o011;
/// What a new file system has in its top directory.
const LOST_AND_FOUND: &str = "lost+found";

/// Whether rushq calls something in the data directory like this.
pub(crate) fn is_ours(name: &str) -> bool {
    [lock::FILE, layout::FILE, layout::NEW_FILE].contains(&name)
        || ["data-", "damaged-"].iter().any(|ours| name.starts_with(ours))
}

/// Gives the open directory at `path`, and what rushq has made in it, to a user.
///
/// # Errors
/// When something in it is neither root's alone nor the user's, or the system refuses.
pub(crate) fn give(directory: &File, path: &Path, user: u32, group: u32) -> Result<()> {
    let giving = Giving { user, group };
    let stat = fstat(directory).map_err(failed(path))?;
    giving.check_owner(&stat, path)?;
    let names = names(directory, path)?;
    let is_own =
        names.is_empty() || names.iter().any(|name| name.as_c_str() == c"layout" || name.as_c_str() == c"lock");
    let foreign =
        names.iter().map(|name| name.to_string_lossy()).find(|name| !is_ours(name) && *name != LOST_AND_FOUND);
    if let Some(foreign) = foreign.filter(|_| stat.st_uid == ROOT && !is_own) {
        let path = path.display();
        let what = format!("{path} belongs to root and holds {foreign}, which is not rushq's: it is not given away");
        return Err(DirectoryError::with(what, Remedy::NotGivenNameOwn));
    }
    let within = Within::new(None, &stat);
    for name in names.iter().filter(|name| is_ours(&name.to_string_lossy())) {
        giving.entry(directory, within, path, name)?;
    }
    giving.take(directory, &stat, path)
}

struct Giving {
    user: u32,
    group: u32,
}

/// What others can do in a directory.
#[derive(Debug, Clone, Copy)]
struct Within {
    /// It belongs to root, as all above it do.
    is_roots: bool,
    /// Others cannot get there: it, or one above it, is closed to them.
    is_closed: bool,
    /// Its mode lets others write.
    is_writable: bool,
}

impl Within {
    fn new(above: Option<Within>, stat: &FileStat) -> Within {
        let is_roots = stat.st_uid == ROOT && above.is_none_or(|above| above.is_roots);
        let is_closed = stat.st_mode & OPEN_TO_OTHERS == 0 || above.is_some_and(|above| above.is_closed);
        Within { is_roots, is_closed, is_writable: stat.st_mode & WRITABLE_BY_OTHERS != 0 }
    }

    /// Whether all that is in it was put there by root.
    fn is_trusted(self) -> bool {
        self.is_roots && (self.is_closed || !self.is_writable)
    }
}

impl Giving {
    /// Gives what has this name in a directory, and what is in that.
    fn entry(&self, parent: &File, within: Within, above: &Path, name: &CStr) -> Result<()> {
        let path = above.join(PathBuf::from(name.to_string_lossy().into_owned()));
        let looked_at = openat(parent, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty());
        let file = match looked_at {
            Ok(file) => file,
            Err(Errno::ENOENT) => return Ok(()),
            Err(error) => return Err(failed(&path)(error)),
        };
        let stat = fstat(&file).map_err(failed(&path))?;
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        if kind != SFlag::S_IFDIR && kind != SFlag::S_IFREG {
            // Links and the like are not rushq's; the start refuses those that are in its way.
            return Ok(());
        }
        self.check_owner(&stat, &path)?;
        if stat.st_uid == ROOT && self.user != ROOT && !within.is_trusted() {
            let what = format!(
                "{} belongs to root, in a directory that others may write to, so it may have been put there: it is not given \
                 away",
                path.display()
            );
            return Err(DirectoryError::with(what, Remedy::NotGivenLookAtIt));
        }
        if kind == SFlag::S_IFDIR {
            // Not by its name again: that may be another one's by now.
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let directory = File::from(openat(&file, ".", flags, Mode::empty()).map_err(failed(&path))?);
            for name in names(&directory, &path)? {
                self.entry(&directory, Within::new(Some(within), &stat), &path, &name)?;
            }
            return self.take(&directory, &stat, &path);
        }
        if stat.st_nlink > 1 && stat.st_uid == ROOT {
            let what = format!("{} has another name elsewhere (a hard link), so it is not given away", path.display());
            return Err(DirectoryError::with(what, Remedy::NotGivenCopy));
        }
        self.take(&file, &stat, &path)
    }

    fn check_owner(&self, stat: &FileStat, path: &Path) -> Result<()> {
        match stat.st_uid == ROOT || stat.st_uid == self.user {
            true => Ok(()),
            false => {
                let (path, owner) = (path.display(), stat.st_uid);
                let what = format!("{path} belongs to the user with the id {owner}, so it is not given away");
                Err(DirectoryError::with(what, Remedy::NotGivenOthers))
            }
        }
    }

    /// Gives away what is open, if it is root's.
    fn take(&self, file: &impl AsFd, stat: &FileStat, path: &Path) -> Result<()> {
        if stat.st_uid != ROOT || self.user == ROOT {
            return Ok(());
        }
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.group));
        fchownat(file, c"", Some(user), Some(group), AtFlags::AT_EMPTY_PATH).map_err(failed(path))
    }
}

fn failed(path: &Path) -> impl FnOnce(Errno) -> DirectoryError {
    let path = path.display().to_string();
    move |error| DirectoryError::with(format!("{path} cannot be given away: {error}"), Remedy::NotGiven)
}

fn names(directory: &File, path: &Path) -> Result<Vec<CString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut directory = Dir::openat(directory, ".", flags, Mode::empty()).map_err(failed(path))?;
    let mut names = Vec::new();
    for entry in directory.iter() {
        let entry = entry.map_err(failed(path))?;
        names.push(entry.file_name().to_owned());
    }
    names.retain(|name| name.as_c_str() != c"." && name.as_c_str() != c"..");
    Ok(names)
}
