//! Frames: what one commit adds to the log.
//!
//! ```text
//! magic u32  body bytes u32  number u64  durable u64  next queue id u64
//! segment u32  first segment u32  previous u32  checksum u32   body: entries
//! ```
//!
//! All little-endian. `number` is one more than that of the frame before, and `previous` is that frame's checksum, so
//! what an earlier life left on the disk never passes for a continuation. `durable` is the number of the last frame
//! that was known to be on stable storage when this one was sealed: it vouches for all frames up to there. `first
//! segment` is the oldest segment that the log still needs. The checksum is the CRC-32 of the log's random id, the frame's
//! offset in its file, this header up to the checksum, and the body: a frame that a disk wrote to the wrong place is
//! none, and a client cannot forge one inside a body, since it cannot know the id.

use crc32fast::Hasher;

use crate::log::codec::Reader;
use crate::log::entry::QueueId;

/// Bytes of a frame before its entries.
pub(crate) const FRAME_HEADER_BYTES: usize = 48;
/// "rqF1", little-endian.
pub(crate) const MAGIC: u32 = 0x3146_7172;
const CHECKSUM_AT: usize = 44;
/// Frames, queues and messages never reach this number, so that one more can always be counted.
pub(crate) const NUMBER_END: u64 = 1 << 63;

/// The number of a frame, from 1 on.
pub type FrameNumber = u64;

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) body_bytes: u32,
    pub(crate) number: FrameNumber,
    pub(crate) durable: FrameNumber,
    pub(crate) next_queue_id: QueueId,
    pub(crate) segment: u32,
    pub(crate) first_segment: u32,
    pub(crate) previous: u32,
    pub(crate) checksum: u32,
}

impl FrameHeader {
    /// Writes the header into the first [`FRAME_HEADER_BYTES`] of `frame`, whose rest is the body, and returns the
    /// checksum. `body_bytes` and `checksum` are computed here. The frame is to be written at `offset` of its file.
    pub(crate) fn seal(&self, log_id: u64, offset: u32, frame: &mut [u8]) -> u32 {
        assert!(frame.len() >= FRAME_HEADER_BYTES);
        let body_bytes = (frame.len() - FRAME_HEADER_BYTES) as u32;
        frame[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        frame[4..8].copy_from_slice(&body_bytes.to_le_bytes());
        frame[8..16].copy_from_slice(&self.number.to_le_bytes());
        frame[16..24].copy_from_slice(&self.durable.to_le_bytes());
        frame[24..32].copy_from_slice(&self.next_queue_id.to_le_bytes());
        frame[32..36].copy_from_slice(&self.segment.to_le_bytes());
        frame[36..40].copy_from_slice(&self.first_segment.to_le_bytes());
        frame[40..44].copy_from_slice(&self.previous.to_le_bytes());
        let checksum = frame_checksum(log_id, offset, frame);
        frame[CHECKSUM_AT..FRAME_HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        checksum
    }

    /// Reads a header. Says nothing about the body: see [`is_whole`](Self::is_whole). A header that says what no log
    /// ever does is none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<FrameHeader> {
        let mut reader = Reader::new(bytes);
        if reader.u32()? != MAGIC {
            return None;
        }
        let header = FrameHeader {
            body_bytes: reader.u32()?,
            number: reader.u64()?,
            durable: reader.u64()?,
            next_queue_id: reader.u64()?,
            segment: reader.u32()?,
            first_segment: reader.u32()?,
            previous: reader.u32()?,
            checksum: reader.u32()?,
        };
        let possible = header.durable < header.number
            && header.number.max(header.next_queue_id) < NUMBER_END
            && (1..=header.segment).contains(&header.first_segment);
        possible.then_some(header)
    }

    /// Header and body, in bytes.
    pub(crate) fn frame_bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.body_bytes as usize
    }

    /// Whether `frame`, from its header on, is what was sealed for this offset.
    pub(crate) fn is_whole(&self, log_id: u64, offset: u32, frame: &[u8]) -> bool {
        frame.len() == self.frame_bytes() && frame_checksum(log_id, offset, frame) == self.checksum
    }
}

fn frame_checksum(log_id: u64, offset: u32, frame: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&log_id.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(&frame[..CHECKSUM_AT]);
    hasher.update(&frame[FRAME_HEADER_BYTES..]);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(log_id: u64) -> Vec<u8> {
        let mut frame = vec![0; FRAME_HEADER_BYTES];
        frame.extend_from_slice(b"entries");
        let header = FrameHeader {
            body_bytes: 0,
            number: 12,
            durable: 11,
            next_queue_id: 3,
            segment: 2,
            first_segment: 1,
            previous: 99,
            checksum: 0,
        };
        header.seal(log_id, 640, &mut frame);
        frame
    }

    #[test]
    fn a_sealed_frame_is_whole() {
        let frame = sealed(5);
        let header = FrameHeader::decode(&frame).expect("a header");
        assert_eq!((header.number, header.durable, header.body_bytes), (12, 11, 7));
        assert_eq!((header.segment, header.first_segment, header.previous), (2, 1, 99));
        assert!(header.is_whole(5, 640, &frame));
        assert!(!header.is_whole(6, 640, &frame), "another log's frame");
        assert!(!header.is_whole(5, 64, &frame), "a frame at the wrong place");
        assert!(!header.is_whole(5, 640, &frame[..frame.len() - 1]), "a torn frame");
    }

    #[test]
    fn a_header_that_no_log_has_is_none() {
        let frame = sealed(5);
        let header = FrameHeader::decode(&frame).expect("a header");
        for impossible in [
            FrameHeader { number: 0, durable: 0, ..header },
            FrameHeader { number: u64::MAX, ..header },
            FrameHeader { durable: header.number, ..header },
            FrameHeader { next_queue_id: u64::MAX, ..header },
            FrameHeader { first_segment: header.segment + 1, ..header },
            FrameHeader { first_segment: 0, ..header },
        ] {
            let mut frame = frame.clone();
            impossible.seal(5, 640, &mut frame);
            assert_eq!(FrameHeader::decode(&frame), None, "{impossible:?}");
        }
    }

    #[test]
    fn a_flipped_bit_is_seen() {
        let frame = sealed(5);
        for bit in 0..frame.len() * 8 {
            let mut bad = frame.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let whole = FrameHeader::decode(&bad).is_some_and(|header| header.is_whole(5, 640, &bad));
            assert!(!whole, "bit {bit}");
        }
    }
}
