//! How much room the disk of the data directory has.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::spawn_local;
use nix::sys::statvfs::statvfs;

/// How old what is told may be when somebody asks again.
const AGE_MAX: Duration = Duration::from_secs(5);

/// Bytes of a disk that are free for this user, and all that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) free_bytes: u64,
    pub(crate) bytes: u64,
}

/// The disk of a directory, which is asked on another thread: one that hangs holds up nobody.
#[derive(Debug)]
pub(crate) struct Disk {
    directory: PathBuf,
    known: Cell<Option<Room>>,
    /// When it was asked last, and whether it has answered.
    asked: Cell<Option<Instant>>,
    is_asked: Cell<bool>,
}

impl Disk {
    /// Asks at once, so that it is known when somebody asks here.
    pub(crate) fn of(directory: PathBuf) -> Rc<Disk> {
        let disk =
            Rc::new(Disk { directory, known: Cell::new(None), asked: Cell::new(None), is_asked: Cell::new(false) });
        disk.room();
        disk
    }

    /// What was known last. `None`: nothing yet. Asks again when that is old.
    pub(crate) fn room(self: &Rc<Disk>) -> Option<Room> {
        let is_old = self.asked.get().is_none_or(|asked| asked.elapsed() >= AGE_MAX);
        if is_old && !self.is_asked.replace(true) {
            self.asked.set(Some(Instant::now()));
            spawn_local(Rc::clone(self).ask()).detach();
        }
        self.known.get()
    }

    async fn ask(self: Rc<Disk>) {
        let directory = self.directory.clone();
        let room = glommio::executor().spawn_blocking(move || {
            let disk = statvfs(&directory).ok()?;
            let bytes = |blocks: u64| blocks.saturating_mul(disk.fragment_size());
            Some(Room { free_bytes: bytes(disk.blocks_available()), bytes: bytes(disk.blocks()) })
        });
        if let Some(room) = room.await {
            self.known.set(Some(room));
        }
        self.is_asked.set(false);
    }
}
