//! Reading frames back, one segment at a time.

use std::sync::Arc;

use crate::disk::DiskFile;
use crate::error::{Error, Result};
use crate::log::frame::{FRAME_HEADER_BYTES, FrameHeader, FrameNumber, MAGIC};
use crate::log::segment::segment_name;

/// Read at once, in bytes; a larger frame is read whole.
const WINDOW_BYTES: usize = 256 << 10;

/// Walks over the frames of a segment.
#[derive(Debug)]
pub(crate) struct FrameReader {
    file: Arc<dyn DiskFile>,
    log_id: u64,
    segment: u32,
    segment_bytes: u32,
    /// The next frame's offset in the file.
    offset: u32,
    window: Vec<u8>,
    /// The offset in the file of the window's first byte.
    window_offset: u32,
}

/// A frame that is whole: its checksum is right, and it belongs to the segment it was found in.
#[derive(Debug)]
pub(crate) struct FrameRef<'a> {
    pub(crate) header: FrameHeader,
    /// Offset of the body in the segment's file.
    pub(crate) body_offset: u32,
    pub(crate) body: &'a [u8],
}

impl FrameReader {
    pub(crate) fn new(file: Arc<dyn DiskFile>, log_id: u64, segment: u32, segment_bytes: u32, offset: u32) -> Self {
        FrameReader { file, log_id, segment, segment_bytes, offset, window: Vec::new(), window_offset: offset }
    }

    pub(crate) fn segment(&self) -> u32 {
        self.segment
    }

    /// Where the next frame would be.
    pub(crate) fn offset(&self) -> u32 {
        self.offset
    }

    /// The bytes at `offset`, at most `bytes` and fewer at the end of the segment.
    fn bytes(&mut self, offset: u32, bytes: usize) -> Result<&[u8]> {
        let bytes = bytes.min((self.segment_bytes - offset) as usize);
        let start = offset.checked_sub(self.window_offset).map_or(usize::MAX, |start| start as usize);
        if start > self.window.len() || self.window.len() - start < bytes {
            let room = (self.segment_bytes - offset) as usize;
            self.window.resize(bytes.max(WINDOW_BYTES).min(room), 0);
            self.window_offset = offset;
            let read = self
                .file
                .read_at(&mut self.window, u64::from(offset))
                .map_err(|e| Error::io("read", segment_name(self.segment))(e))?;
            self.window.truncate(read);
        }
        let start = (offset - self.window_offset) as usize;
        Ok(&self.window[start..(start + bytes).min(self.window.len())])
    }

    /// What [`next`](Self::next) has to read: where, and how many bytes. `None`: nothing.
    pub(crate) fn missing(&self) -> Option<(u32, usize)> {
        let room = (self.segment_bytes - self.offset) as usize;
        let here = self.offset.checked_sub(self.window_offset).and_then(|at| self.window.get(at as usize..));
        let here = here.unwrap_or_default();
        let header = FrameHeader::decode(here).filter(|header| header.frame_bytes() <= room);
        let bytes = header.map_or(FRAME_HEADER_BYTES.min(room), |header| header.frame_bytes());
        (here.len() < bytes).then(|| (self.offset, bytes.max(WINDOW_BYTES).min(room)))
    }

    /// Gives it the bytes of the segment from an offset on.
    pub(crate) fn supply(&mut self, offset: u32, bytes: Vec<u8>) {
        (self.window, self.window_offset) = (bytes, offset);
    }

    /// What is in memory from `offset` on, at least a frame's header unless the file ends: read anew only when it is
    /// used up, since a segment may hold a magic number every few bytes.
    fn window_at(&mut self, offset: u32) -> Result<&[u8]> {
        self.bytes(offset, FRAME_HEADER_BYTES)?;
        Ok(&self.window[(offset - self.window_offset) as usize..])
    }

    /// The next frame, if a whole one of this segment is there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<FrameRef<'_>>> {
        let offset = self.offset;
        let Some(header) = self.header_at(offset)? else {
            return Ok(None);
        };
        if !self.is_whole(offset, &header)? {
            return Ok(None);
        }
        self.offset += header.frame_bytes() as u32;
        let frame = self.bytes(offset, header.frame_bytes())?;
        let (body, body_offset) = (&frame[FRAME_HEADER_BYTES..], offset + FRAME_HEADER_BYTES as u32);
        Ok(Some(FrameRef { header, body_offset, body }))
    }

    /// The next frame's header, whole or not.
    fn header_at(&mut self, offset: u32) -> Result<Option<FrameHeader>> {
        let (segment, segment_bytes) = (self.segment, self.segment_bytes);
        let header = FrameHeader::decode(self.bytes(offset, FRAME_HEADER_BYTES)?);
        Ok(header
            .filter(|header| header.segment == segment && header.frame_bytes() <= (segment_bytes - offset) as usize))
    }

    fn is_whole(&mut self, offset: u32, header: &FrameHeader) -> Result<bool> {
        let log_id = self.log_id;
        let frame = self.bytes(offset, header.frame_bytes())?;
        Ok(header.is_whole(log_id, offset, frame))
    }

    /// Whether what follows looks like the beginning of a frame, whole or not.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn begins_a_frame(mut self) -> Result<bool> {
        let magic = MAGIC.to_le_bytes();
        Ok(self.bytes(self.offset, magic.len())? == magic)
    }

    /// Looks through all that follows for a frame that vouches for frame `number`, at any offset, and returns where
    /// one is.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn find_voucher(self, number: FrameNumber) -> Result<Option<u32>> {
        self.find(|header| header.number > number && header.durable >= number)
    }

    /// Looks through all that follows for a whole frame that `is_it` picks, at any offset, and returns where the first is.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn find(mut self, is_it: impl Fn(&FrameHeader) -> bool) -> Result<Option<u32>> {
        let mut offset = self.offset;
        let magic = MAGIC.to_le_bytes();
        while offset + FRAME_HEADER_BYTES as u32 <= self.segment_bytes {
            let window = self.window_at(offset)?;
            if window.len() < FRAME_HEADER_BYTES {
                break;
            }
            let Some(at) = window.windows(magic.len()).position(|bytes| bytes == magic) else {
                offset += (window.len() - (magic.len() - 1)) as u32;
                continue;
            };
            let at = offset + at as u32;
            offset = at + 1;
            if at + FRAME_HEADER_BYTES as u32 > self.segment_bytes {
                break;
            }
            let Some(header) = self.header_at(at)? else { continue };
            if is_it(&header) && self.is_whole(at, &header)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}
