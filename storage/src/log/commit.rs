//! A commit: what goes to the disk at once. It is made and finished on the shard's thread; [`Commit::run`], the slow
//! part, may run there or on any other.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::disk::DiskFile;
use crate::error::{Error, Result};
use crate::log::frame::FrameNumber;
use crate::log::segment::segment_name;
use crate::log::segment_notes::SegmentNotes;

/// A sealed frame and where it goes.
pub(crate) struct SealedFrame {
    pub(crate) segment: u32,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    /// Of the segment before, which is noted to go on in this one before its first frame is written.
    pub(crate) begins_behind: Option<SegmentNotes>,
}

impl fmt::Debug for SealedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes for segment {} at {}", self.bytes.len(), self.segment, self.offset)
    }
}

/// Frames on their way to the disk: one, or a few when a segment came to its end.
#[derive(Debug)]
#[must_use = "what a commit holds is not on the disk before it ran, and not acknowledged before it is finished"]
pub struct Commit {
    pub(crate) frames: Vec<SealedFrame>,
    pub(crate) last: FrameNumber,
    pub(crate) sync: bool,
    /// Files that are to be synced first, since they were only written to so far.
    pub(crate) unsynced: Vec<(u32, Arc<dyn DiskFile>)>,
    pub(crate) times: CommitTimes,
}

/// How long the parts of a commit took.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommitTimes {
    /// The writes.
    pub write: Duration,
    /// The fdatasyncs; zero when there were none.
    pub sync: Duration,
}

impl Commit {
    /// Writes the frames in their order, and syncs each segment before the next is written to, so that a frame is
    /// never on stable storage without those before it, nor in a segment that the one before does not name.
    ///
    /// # Errors
    /// When a frame cannot be written or synced. The caller must stop the process: what is on the disk is unknown.
    pub fn run(&mut self) -> Result<()> {
        let mut before = Instant::now();
        for (segment, file) in &self.unsynced {
            file.sync_data().map_err(|e| Error::io("fdatasync", segment_name(*segment))(e))?;
        }
        if let Some(notes) = self.frames.first().and_then(|frame| frame.begins_behind.as_ref()) {
            notes.note_continued(true)?;
            if self.sync {
                notes.sync()?;
            }
        }
        for (i, frame) in self.frames.iter().enumerate() {
            let name = || segment_name(frame.segment);
            frame.file.write_at(&frame.bytes, frame.offset).map_err(|e| Error::io("write", name())(e))?;
            let written = Instant::now();
            self.times.write += written - before;
            before = written;
            let next = self.frames.get(i + 1);
            if let Some(notes) = next.and_then(|next| next.begins_behind.as_ref()) {
                notes.note_continued(true)?;
            }
            let ends_segment = next.is_none_or(|next| next.segment != frame.segment);
            if self.sync && ends_segment {
                frame.file.sync_data().map_err(|e| Error::io("fdatasync", name())(e))?;
                let synced = Instant::now();
                self.times.sync += synced - before;
                before = synced;
            }
        }
        Ok(())
    }

    /// How long the parts of [`run`](Self::run) took.
    #[must_use]
    pub fn times(&self) -> CommitTimes {
        self.times
    }

    /// How many frames it holds.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Bytes of all frames.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.frames.iter().map(|frame| frame.bytes.len()).sum()
    }
}

/// An fdatasync of all that was written so far, for the mode that acknowledges after the write.
#[derive(Debug)]
#[must_use = "a sync does nothing before it ran"]
pub struct Fsync {
    pub(crate) files: Vec<(u32, Arc<dyn DiskFile>)>,
    pub(crate) last: FrameNumber,
}

impl Fsync {
    /// Syncs the segments in their order.
    ///
    /// # Errors
    /// When a segment cannot be synced. The caller must stop the process.
    pub fn run(&self) -> Result<()> {
        for (segment, file) in &self.files {
            file.sync_data().map_err(|e| Error::io("fdatasync", segment_name(*segment))(e))?;
        }
        Ok(())
    }
}
