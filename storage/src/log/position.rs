//! Places in the log.

use crate::error::Error;
use crate::log::entry::put_bytes;
use crate::log::frame::FRAME_HEADER_BYTES;
use crate::log::segment::{SEGMENT_HEADER_BYTES, segment_name};

/// A place in the log, earlier ones first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
}

/// Where a put stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u32,
    /// Offset of the put entry in the segment's file.
    pub(crate) offset: u32,
    /// Bytes of the body.
    pub(crate) body_bytes: u32,
}

impl Place {
    /// Where the put begins.
    pub(crate) fn position(&self) -> Position {
        Position { segment: self.segment, offset: self.offset }
    }

    /// Whether a put in a segment of so many bytes can be there.
    pub(crate) fn is_within(&self, segment_bytes: u32) -> bool {
        let (begin, end) = (SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES, u64::from(segment_bytes));
        let put = put_bytes(0) as u64 + u64::from(self.body_bytes);
        u64::from(self.offset) >= begin as u64 && u64::from(self.offset) + put <= end
    }

    /// The first offset behind the put, which is [within](Self::is_within) its segment.
    pub(crate) fn end(&self) -> u32 {
        self.offset + put_bytes(self.body_bytes as usize) as u32
    }
}

/// What is said when an entry is not what it was when it was written.
pub(crate) fn damage_at(place: Place, what: impl Into<String>) -> Error {
    Error::Damage { file: segment_name(place.segment), offset: u64::from(place.offset), what: what.into() }
}
