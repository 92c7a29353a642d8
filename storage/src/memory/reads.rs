//! Reads of the log while clients are served. What the page cache holds is read at once. What is on the disk only, another
//! thread reads into a buffer. The operation is tried again then, and the same read finds the buffer.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::error::{Error, Result};
use crate::log::Log;
use crate::log::segment::{Segment, segment_name};

/// Buffers that are kept for operations that were not tried again yet: a read for a client that has gone is pushed out
/// by later ones.
const ARRIVED_MAX: usize = 16;

/// The reads of one store.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// Whether a read may be left to another thread; else it is done at once, however long that takes.
    pub(crate) may_wait: bool,
    waiting: VecDeque<Read>,
    /// Where those begin that another thread has.
    under_way: Vec<(u32, u64)>,
    arrived: VecDeque<Read>,
}

/// A read of a segment's file.
#[derive(Debug)]
pub(crate) struct Read {
    segment: u32,
    offset: u64,
    file: Arc<dyn DiskFile>,
    bytes: Vec<u8>,
    failed: Option<io::Error>,
}

impl Read {
    fn start(&self) -> (u32, u64) {
        (self.segment, self.offset)
    }

    /// Reads, however long it takes.
    pub(crate) fn run(&mut self) {
        match self.file.read_at(&mut self.bytes, self.offset) {
            Ok(read) => self.bytes.truncate(read),
            Err(error) => self.failed = Some(error),
        }
    }
}

impl Reads {
    /// Reads at an offset of a segment, and returns how many bytes: fewer than the buffer takes at the end of the file, or
    /// when it was asked for fewer before. `None`: another thread has to do it first.
    ///
    /// # Errors
    /// When the segment cannot be read.
    pub(crate) fn read(&mut self, segment: &Segment, buffer: &mut [u8], offset: u64) -> Result<Option<usize>> {
        let failed = |e| Error::io("read", segment_name(segment.number))(e);
        if !self.may_wait {
            return segment.file.read_at(buffer, offset).map(Some).map_err(failed);
        }
        let start = (segment.number, offset);
        if let Some(at) = self.arrived.iter().position(|read| read.start() == start) {
            let read = self.arrived.remove(at).expect("it was found there");
            let bytes = read.bytes.len().min(buffer.len());
            buffer[..bytes].copy_from_slice(&read.bytes[..bytes]);
            return Ok(Some(bytes));
        }
        let read = segment.file.read_in_memory(buffer, offset).map_err(failed)?;
        let is_known = self.under_way.contains(&start) || self.waiting.iter().any(|read| read.start() == start);
        if read.is_none() && !is_known {
            let (file, bytes) = (Arc::clone(&segment.file), vec![0; buffer.len()]);
            self.waiting.push_back(Read { segment: segment.number, offset, file, bytes, failed: None });
        }
        Ok(read)
    }

    /// Whether [`begin`](Self::begin) would give something.
    pub(crate) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a read from this offset on is not there yet.
    pub(crate) fn is_awaited(&self, segment: u32, offset: u64) -> bool {
        let waiting = self.waiting.iter().map(Read::start);
        waiting.chain(self.under_way.iter().copied()).any(|start| start == (segment, offset))
    }

    /// The next read that another thread has to do. Several may be under way.
    pub(crate) fn begin(&mut self) -> Option<Read> {
        let read = self.waiting.pop_front()?;
        self.under_way.push(read.start());
        Some(read)
    }

    /// Keeps what was read until it is asked for again.
    ///
    /// # Errors
    /// When the segment could not be read.
    pub(crate) fn finish(&mut self, mut read: Read, log: &Log) -> Result<()> {
        self.under_way.retain(|start| *start != read.start());
        // Its file may have been written over meanwhile.
        if log.segment(read.segment).is_none() {
            return Ok(());
        }
        if let Some(error) = read.failed.take() {
            return Err(Error::io("read", segment_name(read.segment))(error));
        }
        if self.arrived.len() == ARRIVED_MAX {
            self.arrived.pop_front();
        }
        self.arrived.push_back(read);
        Ok(())
    }

    /// Forgets what is of segments that have gone.
    pub(crate) fn forget_before(&mut self, first_segment: u32) {
        self.waiting.retain(|read| read.segment >= first_segment);
        self.arrived.retain(|read| read.segment >= first_segment);
    }
}
