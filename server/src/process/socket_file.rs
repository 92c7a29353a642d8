//! The Unix socket's file. A file beside it (`FILE.lock`) contains the process id and is locked while the server lives:
//! so of servers that start at once with one socket, one gets it, and the socket of a server that has gone is not
//! mistaken for that of one that still recovers its queues and does not listen yet.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, umask};
use nix::unistd::{fchownat, geteuid};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::process::entry::{Entry, FileId};
use crate::process::pid_file::PidFile;
use crate::process::privileges::Identity;
use crate::process::retrying::with_patience;
use crate::process::settings::UnixSocket;

/// The file of a bound socket; removed when this is dropped, unless another socket has its place by then.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    entry: Entry,
    id: FileId,
    /// Dropped after the socket's file is removed. `None`: the keeper removes both.
    lock: Option<PidFile>,
}

impl SocketFile {
    /// Binds the socket, in the place of one that was left by a server that has gone.
    ///
    /// # Errors
    /// When a server has the socket, or something else than a socket is in the way. The line names `option`.
    pub(crate) fn bind(
        option: &str,
        unix: &UnixSocket,
        owner: Option<&Identity>,
    ) -> Result<(Socket, SocketFile), String> {
        let path = &unix.path;
        let refused = |why: &dyn Display| format!("{option} {}: {why}; name another by {option}", path.display());
        let entry = Entry::of(path).map_err(|error| refused(&error))?;
        let lock = PidFile::write(option, &lock_path(path))?;
        remove_stale(path, &entry, owner).map_err(|why| refused(&why))?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(|error| refused(&error))?;
        // The mode is there from the start: a chmod later would let others in before. This thread is the only one.
        let before = umask(Mode::from_bits_truncate(!unix.mask & 0o777));
        let bound = SockAddr::unix(path).and_then(|address| socket.bind(&address));
        umask(before);
        bound.map_err(|error| refused(&error))?;
        let id = own(&entry, owner).map_err(|error| refused(&error))?;
        Ok((socket, SocketFile { path: path.clone(), entry, id, lock: Some(lock) }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Lets the file and its lock go without removing them: the keeper does that.
    pub(crate) fn leave(mut self) {
        self.lock.take().into_iter().for_each(PidFile::leave);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.lock.is_some() {
            remove(&self.entry, self.id, &self.path);
        }
    }
}

/// Removes the file of a socket, unless another one has its place.
pub(crate) fn remove(entry: &Entry, id: FileId, path: &Path) {
    if entry.is(id)
        && let Err(error) = entry.unlink()
    {
        log::warn!("{} cannot be removed: {error}", path.display());
    }
}

/// The file that is locked while the socket is in use.
pub(crate) fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".lock");
    name.into()
}

fn is_socket(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFSOCK
}

/// Gives the socket that was just bound to its owner, and returns which file it is.
fn own(entry: &Entry, owner: Option<&Identity>) -> io::Result<FileId> {
    let handle = entry.handle()?;
    let stat = fstat(&handle)?;
    // Another user who may write to the directory could have put something else there, a link to a socket of root's for
    // instance, to be given it.
    if !is_socket(&stat) || stat.st_uid != geteuid().as_raw() || stat.st_nlink != 1 {
        return Err(io::Error::other("something else has taken its place"));
    }
    if let Some(owner) = owner {
        let (uid, gid) = (owner.uid().into(), owner.gid().into());
        fchownat(&handle, "", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH)?;
    }
    Ok(FileId::from(&stat))
}

/// Makes way for a socket at `path`, if what is there was left by a server of this user, or of `owner`, that has gone.
fn remove_stale(path: &Path, entry: &Entry, owner: Option<&Identity>) -> Result<(), String> {
    let there = match entry.stat() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        there => there.map_err(|error| error.to_string())?,
    };
    if !is_socket(&there) {
        return Err("it is there already, and is no socket".to_string());
    }
    let of = there.st_uid;
    if of != geteuid().as_raw() && owner.is_none_or(|owner| owner.uid() != of) {
        return Err(format!("a socket of user {of} is there; remove it if it is not used any more"));
    }
    match with_patience(|| StdUnixStream::connect(path), Result::is_ok) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
        Err(error) => return Err(error.to_string()),
        Ok(_) => return Err("a server listens there".to_string()),
    }
    if !entry.is(FileId::from(&there)) {
        return Err("another socket has just taken its place".to_string());
    }
    entry.unlink().map_err(|error| error.to_string())
}
