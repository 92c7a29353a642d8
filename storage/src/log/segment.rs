//! Segments: the files of the log.
//!
//! A segment is a file of fixed size, called by its number: `0000000007.log`. It begins with a header, and frames
//! follow one upon the other:
//!
//! ```text
//! "rushqlog"  version u32  number u32  log id u64  segment bytes u64  checksum u32   notes 16   zeros up to 64 bytes
//! ```
//!
//! The notes are zeros until the segment is in use, see [`segment_notes`](crate::log::segment_notes).

use std::io;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::error::{Error, Result};
use crate::log::codec::Reader;
use crate::log::entry::{RECORD_BYTES_MAX, SETTINGS_BYTES_MAX, told_bytes};
use crate::log::frame::FRAME_HEADER_BYTES;
use crate::options::StoreOptions;

/// Bytes of a segment before its first frame.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;
/// The number of the segment that a log begins with.
pub(crate) const FIRST_SEGMENT: u32 = 1;
const NAME_MAGIC: &[u8; 8] = b"rushqlog";
/// What this build writes. 2: a frame's checksum says where it is. 3: there are takes of any message, lists of what is
/// gone, and settings. 4: there are the times of puts, how far the numbers of deliveries are used, and what messages have
/// beside their bodies. 5: there are gates.
const VERSION: u32 = 5;
/// The oldest version that this build reads.
const VERSION_MIN: u32 = 2;
/// Segments never reach this number, so that one more can always be counted.
const SEGMENT_END: u32 = 1 << 31;
const NUMBER_AT: usize = 12;
const CHECKSUM_AT: usize = 32;

/// The name of the segment's file.
pub(crate) fn segment_name(number: u32) -> String {
    format!("{number:010}.log")
}

/// The number of the segment in a file of this name; `None` when it is no segment's.
pub(crate) fn segment_number(name: &str) -> Option<u32> {
    let number = name.strip_suffix(".log")?.parse().ok()?;
    (segment_name(number) == name && (1..SEGMENT_END).contains(&number)).then_some(number)
}

/// Whether a file of this name only waits for being unlinked. Builds of before renamed spares so; this one does not.
pub(crate) fn is_trash(name: &str) -> bool {
    name.ends_with(".trash")
}

// The smallest segment of all takes any entry that is no put.
const _: () = {
    let entry_bytes_max = StoreOptions::segment_bytes_min(0) - SEGMENT_HEADER_BYTES - FRAME_HEADER_BYTES;
    assert!(RECORD_BYTES_MAX <= entry_bytes_max && told_bytes(SETTINGS_BYTES_MAX) <= entry_bytes_max);
};

/// A segment in the ring.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u32,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Bytes of the puts and records in it that are still needed.
    pub(crate) live_bytes: u64,
}

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u32,
    pub(crate) log_id: u64,
    pub(crate) segment_bytes: u64,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = [0; SEGMENT_HEADER_BYTES];
        out[0..8].copy_from_slice(NAME_MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&self.number.to_le_bytes());
        out[16..24].copy_from_slice(&self.log_id.to_le_bytes());
        out[24..32].copy_from_slice(&self.segment_bytes.to_le_bytes());
        let checksum = crc32fast::hash(&out[..CHECKSUM_AT]);
        out[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Reads the header of a segment's file; `None` when there is no good one, as after a crash while it was prepared.
    ///
    /// # Errors
    /// When the file cannot be read, or is of a version that only newer builds read.
    pub(crate) fn read(file: &dyn DiskFile, name: &str) -> Result<Option<SegmentHeader>> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let n = file.read_at(&mut bytes, 0).map_err(Error::io("read", name))?;
        if let Some(version) = version_of(&bytes[..n]).filter(|version| *version > VERSION) {
            let what = format!(
                "it is of version {version}, which a newer rushq wrote; this one reads up to version {VERSION}"
            );
            return Err(Error::io("read", name)(io::Error::new(io::ErrorKind::Unsupported, what)));
        }
        Ok(SegmentHeader::decode(&bytes[..n]))
    }

    fn decode(bytes: &[u8]) -> Option<SegmentHeader> {
        let good = (VERSION_MIN..=VERSION).contains(&version_of(bytes)?);
        let mut reader = Reader::new(&bytes[NUMBER_AT..]);
        let (number, log_id, segment_bytes) = (reader.u32()?, reader.u64()?, reader.u64()?);
        // Room for a frame, and offsets that another header can be added to.
        let frames = (SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES) as u64..=1 << 31;
        (good && frames.contains(&segment_bytes)).then_some(SegmentHeader { number, log_id, segment_bytes })
    }
}

/// The version of a header whose checksum is right.
fn version_of(bytes: &[u8]) -> Option<u32> {
    let (header, rest) = bytes.split_at_checked(CHECKSUM_AT)?;
    let checksum = Reader::new(rest).u32()?;
    let mut reader = Reader::new(header);
    let (magic, version) = (reader.bytes(NAME_MAGIC.len())?, reader.u32()?);
    (magic == NAME_MAGIC && checksum == crc32fast::hash(header)).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_go_together() {
        assert_eq!(segment_name(7), "0000000007.log");
        assert_eq!(segment_number("0000000007.log"), Some(7));
        assert_eq!(segment_number("7.log"), None);
        assert_eq!(segment_number("0000000007.tmp"), None);
    }

    #[test]
    fn a_header_comes_back_and_a_torn_one_does_not() {
        let header = SegmentHeader { number: 3, log_id: 77, segment_bytes: 1 << 26 };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Some(header));
        let mut torn = bytes;
        torn[20] ^= 1;
        assert_eq!(SegmentHeader::decode(&torn), None);
        assert_eq!(SegmentHeader::decode(&bytes[..30]), None);
    }
}
