//! Notes in a segment's header: what is known of the log beyond what its frames say, so that the loss of its end is seen.
//!
//! A frame vouches for those before it, and none does for the last one. So the end of a log could go unseen, with whole
//! files even. Two notes stand behind the header's checksum, each written over by itself, in a segment that is in use:
//!
//! ```text
//! continued u32 at 36: the next segment was begun     durable u64, checksum u32 at 40: a frame that was on stable storage
//! ```
//!
//! `continued` is the CRC-32 of the log's id, the segment's number and a "c", and never 0; the checksum is that of the
//! id, the number and the frame. A note that is not right is none. Earlier versions have zeros there.

use std::io;
use std::sync::Arc;

use crc32fast::Hasher;

use crate::disk::DiskFile;
use crate::error::{Error, Result};
use crate::log::codec::Reader;
use crate::log::frame::{FrameNumber, NUMBER_END};
use crate::log::segment::segment_name;

const CONTINUED_AT: u64 = 36;
const DURABLE_AT: u64 = 40;
const NOTES_BYTES: usize = 16;

/// Where a segment's notes are.
#[derive(Debug, Clone)]
pub(crate) struct SegmentNotes {
    file: Arc<dyn DiskFile>,
    log_id: u64,
    segment: u32,
}

/// What they say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    /// The next segment was begun: its file was made and synced before, so it must be there.
    pub(crate) continued: bool,
    /// A frame that was on stable storage; 0 when none is noted.
    pub(crate) durable: FrameNumber,
}

impl SegmentNotes {
    pub(crate) fn new(file: Arc<dyn DiskFile>, log_id: u64, segment: u32) -> SegmentNotes {
        SegmentNotes { file, log_id, segment }
    }

    /// Reads the notes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn read(&self) -> Result<Noted> {
        let mut bytes = [0; NOTES_BYTES];
        let read = self.file.read_at(&mut bytes, CONTINUED_AT).map_err(|e| self.failed("read", e))?;
        Ok(self.decode(&bytes[..read]).unwrap_or_default())
    }

    fn decode(&self, bytes: &[u8]) -> Option<Noted> {
        let mut reader = Reader::new(bytes);
        let continued = reader.u32()? == self.continued();
        let (durable, checksum) = (reader.u64()?, reader.u32()?);
        let is_right = checksum == self.checksum(&durable.to_le_bytes()) && durable < NUMBER_END;
        Some(Noted { continued, durable: if is_right { durable } else { 0 } })
    }

    /// Notes that the next segment is begun, or that it is not after all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn note_continued(&self, continued: bool) -> Result<()> {
        let note = if continued { self.continued() } else { 0 };
        self.file.write_at(&note.to_le_bytes(), CONTINUED_AT).map_err(|e| self.failed("write", e))
    }

    /// Notes that a frame is on stable storage.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn note_durable(&self, frame: FrameNumber) -> Result<()> {
        let frame = frame.to_le_bytes();
        let mut note = [0; 12];
        note[..8].copy_from_slice(&frame);
        note[8..].copy_from_slice(&self.checksum(&frame).to_le_bytes());
        self.file.write_at(&note, DURABLE_AT).map_err(|e| self.failed("write", e))
    }

    /// Returns when what was noted is on stable storage.
    ///
    /// # Errors
    /// When the file cannot be synced.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| self.failed("fdatasync", e))
    }

    fn failed(&self, action: &'static str, error: io::Error) -> Error {
        Error::io(action, segment_name(self.segment))(error)
    }

    fn continued(&self) -> u32 {
        self.checksum(b"c").max(1)
    }

    fn checksum(&self, of: &[u8]) -> u32 {
        let mut hasher = Hasher::new();
        hasher.update(&self.log_id.to_le_bytes());
        hasher.update(&self.segment.to_le_bytes());
        hasher.update(of);
        hasher.finalize()
    }
}
