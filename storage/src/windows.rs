//! Windows on the log: pieces that were read lately, so that queues whose messages lie among each other's are read back
//! together, and not each message by a read of its own.

use crate::error::{Error, Result};
use crate::log::{Log, damage_at};
use crate::queue::Place;
use crate::segment::segment_name;

/// Windows that are kept at most: queues that are emptied at the same pace are tens of megabytes apart in the log, when it
/// is chance that says whose turn it is.
const WINDOWS_MAX: usize = 128;
/// And at least, when memory is small; the windows are smaller then.
const WINDOWS_MIN: usize = 8;
/// The largest window, in bytes: as large as a read can be before it holds up others.
const WINDOW_BYTES_MAX: usize = 256 << 10;
/// Less is not worth a window.
const WINDOW_BYTES_MIN: usize = 1 << 10;
/// Of what memory may hold, all windows together take such a part at most.
const MEMORY_SHARE: usize = 8;
/// As much as this part of a window follows it and belongs to it too, so that its last put is whole. A put that is larger
/// is read alone.
const OVERLAP_SHARE: u32 = 16;
/// A window costs its read once; a put that is read alone costs as much as so many bytes of a window.
const BYTES_FOR_A_READ: u32 = 16 << 10;

/// What was read lately. What is written never changes as long as its segment is there, and no segment's number comes
/// again: so no window is ever wrong.
#[derive(Debug)]
pub(crate) struct Windows {
    /// Where windows begin: at its multiples. 0: there are none.
    bytes: u32,
    windows_max: usize,
    /// The one that was used last is first.
    windows: Vec<Window>,
}

#[derive(Debug)]
struct Window {
    segment: u32,
    number: u32,
    offset: u32,
    bytes: Vec<u8>,
}

impl Window {
    fn get(&self, place: Place) -> Option<&[u8]> {
        let start = place.offset.checked_sub(self.offset).filter(|_| place.segment == self.segment)?;
        self.bytes.get(start as usize..(place.end() - self.offset) as usize)
    }
}

impl Windows {
    /// No windows yet, for a store that keeps so many bytes of bodies in memory.
    pub(crate) fn new(memory_bytes: usize) -> Windows {
        let share = memory_bytes / MEMORY_SHARE;
        let bytes = (share / WINDOWS_MIN).min(WINDOW_BYTES_MAX);
        let bytes = if bytes < WINDOW_BYTES_MIN { 0 } else { bytes };
        let windows_max = share.checked_div(bytes).unwrap_or(0).min(WINDOWS_MAX);
        Windows { bytes: bytes as u32, windows_max, windows: Vec::new() }
    }

    /// The bytes of a put, if they are here.
    pub(crate) fn get(&mut self, place: Place) -> Option<&[u8]> {
        let at = self.windows.iter().position(|window| window.get(place).is_some())?;
        self.windows[..=at].rotate_right(1);
        self.windows[0].get(place)
    }

    /// Forgets those on segments that have gone: they end with the backlog that they were read for.
    pub(crate) fn forget_before(&mut self, first_segment: u32) {
        self.windows.retain(|window| window.segment >= first_segment);
    }

    /// Bytes that they take in memory.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.windows.len() * (self.bytes + self.bytes / OVERLAP_SHARE) as usize
    }

    /// Whether so many of a queue's next puts begin in the same window as the first that it is worth its read.
    pub(crate) fn is_worth_reading(&self, puts: impl Iterator<Item = Place>) -> bool {
        if self.bytes == 0 {
            return false;
        }
        let mut keys = puts.map(|place| (place.segment, place.offset / self.bytes)).peekable();
        let first = keys.peek().copied();
        keys.take_while(|key| Some(*key) == first).count() >= self.bytes.div_ceil(BYTES_FOR_A_READ) as usize
    }

    /// Reads the window that a put begins in, as far as it is written, in place of the one that was used longest ago.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn read(&mut self, log: &Log, place: Place) -> Result<()> {
        let number = place.offset / self.bytes;
        let is_same = |window: &Window| (window.segment, window.number) == (place.segment, number);
        let old = self.windows.iter().position(is_same);
        let old = old.or_else(|| self.windows.len().checked_sub(1).filter(|last| last + 1 == self.windows_max));
        let mut bytes = old.map(|at| self.windows.remove(at).bytes).unwrap_or_default();
        let segment = log.segment(place.segment).ok_or_else(|| damage_at(place, "the segment is gone"))?;
        let offset = number * self.bytes;
        let end = offset.saturating_add(self.bytes + self.bytes / OVERLAP_SHARE).min(log.written_end(place.segment));
        assert!(place.offset < end, "a body that left memory is on the disk");
        bytes.resize((end - offset) as usize, 0);
        let failed = Error::io("read", segment_name(place.segment));
        let read = segment.file.read_at(&mut bytes, u64::from(offset)).map_err(failed)?;
        bytes.truncate(read);
        self.windows.insert(0, Window { segment: place.segment, number, offset, bytes });
        Ok(())
    }
}
