//! A segment that is being prepared, piece by piece: between two pieces a commit gets at the disk, other work gets at the
//! thread, and a process that stops is not held up.

use std::io;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Failure, Result};
use crate::log::segment::{SegmentHeader, segment_name};

/// Written by one piece. The more, the fewer pieces; the less, the sooner each is done.
const PIECE_BYTES: usize = 1 << 20;
/// Given to the disk at once: what a commit that comes meanwhile waits for. Beside an ext4 that fills a segment of 64 MiB,
/// 99.9 % of all commits took at most 0.5 ms with 256 KiB, 1 ms with 1 MiB, and 30 ms when all was given at once.
const WRITE_BACK_BYTES: usize = 256 << 10;

/// A segment's file on its way into the ring: one that is no longer needed is renamed and gets a new header, else a new
/// one is filled with zeros. When it is ready, file, size and name are on stable storage, so that a commit into it only
/// writes over what is there, and never meets a full disk.
#[derive(Debug)]
pub(crate) struct Preparation {
    header: SegmentHeader,
    stage: Stage,
    /// Where the log ended when this began, in bytes from its very beginning.
    begun_at: u64,
}

/// What comes next. Each stage can be begun anew when it failed.
#[derive(Debug)]
enum Stage {
    /// The file of the segment with this number is no longer needed, and gets the new name.
    Rename(u32),
    /// The name first: were the header first, a crash could leave the old name with the new header.
    SyncRename,
    Open,
    Create,
    /// Zeros from this offset on.
    Fill(Arc<dyn DiskFile>, u64),
    Header {
        file: Arc<dyn DiskFile>,
        is_new: bool,
    },
    SyncCreate(Arc<dyn DiskFile>),
    Ready(Arc<dyn DiskFile>),
}

impl Stage {
    fn is_of_new_file(&self) -> bool {
        use Stage::{Create, Fill, Header, SyncCreate};
        matches!(self, Create | Fill(..) | Header { is_new: true, .. } | SyncCreate(_))
    }

    /// Whether it writes into a file: then a failure may have lost what was written before.
    fn writes(&self) -> bool {
        matches!(self, Stage::Fill(..) | Stage::Header { .. })
    }
}

impl Preparation {
    /// Prepares the segment that the header says, out of the file of the segment `recycled` or out of nothing.
    pub(crate) fn new(header: SegmentHeader, recycled: Option<u32>, begun_at: u64) -> Preparation {
        Preparation { header, stage: recycled.map_or(Stage::Create, Stage::Rename), begun_at }
    }

    pub(crate) fn number(&self) -> u32 {
        self.header.number
    }

    pub(crate) fn begun_at(&self) -> u64 {
        self.begun_at
    }

    /// The file, once it is ready.
    pub(crate) fn ready(&self) -> Option<&Arc<dyn DiskFile>> {
        match &self.stage {
            Stage::Ready(file) => Some(file),
            _ => None,
        }
    }

    /// Does the next piece. A new file for which there is no room is removed again.
    ///
    /// # Errors
    /// When a call fails, with what follows from that.
    pub(crate) fn run(&mut self, disk: &dyn Disk) -> std::result::Result<(), Failure> {
        let error = match self.next(disk) {
            Ok(next) => {
                self.stage = next;
                return Ok(());
            }
            Err(error) => error,
        };
        if self.stage.is_of_new_file() && error.is_without_room() {
            let name = segment_name(self.header.number);
            return Err(match disk.remove(&name) {
                // There was no room for the name even.
                Err(other) if other.kind() == io::ErrorKind::NotFound => Failure::NoRoom(error),
                removed => removed.map_or_else(
                    |other| Failure::of_name(Error::io("unlink", &name)(other)),
                    |()| Failure::NoRoom(error),
                ),
            });
        }
        Err(if self.stage.writes() { Failure::Fatal(error) } else { Failure::of_name(error) })
    }

    fn next(&self, disk: &dyn Disk) -> Result<Stage> {
        let name = segment_name(self.header.number);
        Ok(match &self.stage {
            Stage::Rename(old) => {
                let old = segment_name(*old);
                disk.rename(&old, &name).map_err(Error::io("rename", &old))?;
                Stage::SyncRename
            }
            Stage::SyncRename => {
                disk.sync_directory().map_err(Error::io("fsync of the directory", &name))?;
                Stage::Open
            }
            Stage::Open => Stage::Header { file: disk.open(&name).map_err(Error::io("open", &name))?, is_new: false },
            Stage::Create => {
                let file = disk.create(&name).map_err(Error::io("create", &name))?;
                file.reserve(self.header.segment_bytes).map_err(Error::io("fallocate", &name))?;
                Stage::Fill(file, 0)
            }
            Stage::Fill(file, offset) => {
                let end = self.header.segment_bytes.min(offset + PIECE_BYTES as u64);
                // Not a static, whose bytes would be in the program's file.
                let zeros = vec![0; WRITE_BACK_BYTES];
                for at in (*offset..end).step_by(WRITE_BACK_BYTES) {
                    let bytes = (WRITE_BACK_BYTES as u64).min(end - at);
                    file.write_at(&zeros[..bytes as usize], at).map_err(Error::io("write", &name))?;
                    file.write_back(at, bytes).map_err(Error::io("sync_file_range", &name))?;
                }
                let file = Arc::clone(file);
                if end < self.header.segment_bytes {
                    Stage::Fill(file, end)
                } else {
                    Stage::Header { file, is_new: true }
                }
            }
            Stage::Header { file, is_new } => {
                file.write_at(&self.header.encode(), 0).map_err(Error::io("write", &name))?;
                file.sync_data().map_err(Error::io("fdatasync", &name))?;
                let file = Arc::clone(file);
                if *is_new { Stage::SyncCreate(file) } else { Stage::Ready(file) }
            }
            Stage::SyncCreate(file) => {
                disk.sync_directory().map_err(Error::io("fsync of the directory", &name))?;
                Stage::Ready(Arc::clone(file))
            }
            Stage::Ready(file) => Stage::Ready(Arc::clone(file)),
        })
    }

    /// Prepares a segment in one go.
    ///
    /// # Errors
    /// When a call fails, as on a full disk.
    pub(crate) fn at_once(header: SegmentHeader, disk: &dyn Disk) -> Result<Arc<dyn DiskFile>> {
        let mut preparation = Preparation::new(header, None, 0);
        loop {
            if let Some(file) = preparation.ready() {
                return Ok(Arc::clone(file));
            }
            preparation.run(disk).map_err(Failure::into_error)?;
        }
    }
}
