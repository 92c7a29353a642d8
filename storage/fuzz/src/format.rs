//! The log's format once more, from its description: what a file and a frame look like, and, in `entry`, what a frame is made
//! of.

mod entry;

use crc32fast::Hasher;

pub(crate) use entry::{Entry, FIRST_PLACE, Ticket, pairs, put_varint, ranges};

pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;
pub(crate) const FRAME_HEADER_BYTES: usize = 48;
const VERSION: u32 = 5;
/// The oldest that is still read.
const VERSION_MIN: u32 = 2;
pub(crate) const FRAME_MAGIC: &[u8; 4] = b"rqF1";
/// What a real log makes up. Here every run makes the same logs.
pub(crate) const LOG_ID: u64 = 0x1d0f_a11f_0991_0901;
/// No number of a real log ever gets here.
pub(crate) const NUMBER_END: u64 = 1 << 63;

pub(crate) fn segment_name(number: u32) -> String {
    format!("{number:010}.log")
}

pub(crate) fn segment_number(name: &str) -> Option<u32> {
    let digits =
        name.strip_suffix(".log").filter(|it| it.len() == 10 && it.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|number| (1..1 << 31).contains(number))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u32,
    pub(crate) log_id: u64,
    pub(crate) segment_bytes: u64,
}

impl SegmentHeader {
    /// An empty segment's file.
    pub(crate) fn segment(&self) -> Vec<u8> {
        let mut image = b"rushqlog".to_vec();
        image.extend(VERSION.to_le_bytes());
        image.extend(self.number.to_le_bytes());
        image.extend(self.log_id.to_le_bytes());
        image.extend(self.segment_bytes.to_le_bytes());
        image.extend(crc32fast::hash(&image).to_le_bytes());
        image.resize(self.segment_bytes as usize, 0);
        image
    }

    /// Whether only a newer build reads it.
    pub(crate) fn is_newer(image: &[u8]) -> bool {
        let header = image.get(..36).filter(|header| header.starts_with(b"rushqlog"));
        header.is_some_and(|header| u32_at(header, 8) > VERSION && u32_at(header, 32) == crc32fast::hash(&header[..32]))
    }

    pub(crate) fn read(image: &[u8]) -> Option<SegmentHeader> {
        let header = image.get(..36)?;
        let good = header.starts_with(b"rushqlog")
            && (VERSION_MIN..=VERSION).contains(&u32_at(header, 8))
            && u32_at(header, 32) == crc32fast::hash(&header[..32]);
        let (number, log_id, segment_bytes) = (u32_at(header, 12), u64_at(header, 16), u64_at(header, 24));
        let good = good && (112..=1 << 31).contains(&segment_bytes);
        good.then_some(SegmentHeader { number, log_id, segment_bytes })
    }
}

/// What a segment's header notes behind its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Notes {
    /// The next segment was begun.
    pub(crate) continued: bool,
    /// A frame that was on stable storage.
    pub(crate) durable: u64,
}

impl Notes {
    pub(crate) fn read(image: &[u8], log_id: u64, segment: u32) -> Notes {
        let checksum = |of: &[u8]| {
            let id = [log_id.to_le_bytes().as_slice(), &segment.to_le_bytes(), of].concat();
            crc32fast::hash(&id)
        };
        let continued = u32_at(image, 36) == checksum(b"c").max(1);
        let durable = u64_at(image, 40);
        let is_right = u32_at(image, 48) == checksum(&durable.to_le_bytes()) && durable < NUMBER_END;
        Notes { continued, durable: if is_right { durable } else { 0 } }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) number: u64,
    pub(crate) durable: u64,
    pub(crate) next_queue_id: u64,
    pub(crate) segment: u32,
    pub(crate) first_segment: u32,
    pub(crate) previous: u32,
    pub(crate) checksum: u32,
    pub(crate) body: &'a [u8],
}

fn checksum(log_id: u64, offset: usize, frame: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&log_id.to_le_bytes());
    hasher.update(&(offset as u32).to_le_bytes());
    hasher.update(&frame[..44]);
    hasher.update(&frame[FRAME_HEADER_BYTES..]);
    hasher.finalize()
}

/// Gives a frame the checksum that makes it whole at an offset of its file.
pub(crate) fn seal(log_id: u64, offset: usize, frame: &mut [u8]) {
    let checksum = checksum(log_id, offset, frame);
    frame[44..48].copy_from_slice(&checksum.to_le_bytes());
}

impl<'a> Frame<'a> {
    /// The frame in the bytes of its file, at an offset; the checksum is computed.
    pub(crate) fn encode(&self, log_id: u64, offset: usize) -> Vec<u8> {
        let mut frame = FRAME_MAGIC.to_vec();
        frame.extend((self.body.len() as u32).to_le_bytes());
        for number in [self.number, self.durable, self.next_queue_id] {
            frame.extend(number.to_le_bytes());
        }
        for number in [self.segment, self.first_segment, self.previous, 0] {
            frame.extend(number.to_le_bytes());
        }
        frame.extend(self.body);
        seal(log_id, offset, &mut frame);
        frame
    }

    /// Bytes of the frame that seems to begin at an offset, good or not, when they are all there.
    pub(crate) fn bytes_at(image: &[u8], offset: usize) -> Option<&[u8]> {
        let header = image.get(offset..offset + FRAME_HEADER_BYTES).filter(|header| header.starts_with(FRAME_MAGIC))?;
        image[offset..].get(..FRAME_HEADER_BYTES + u32_at(header, 4) as usize)
    }

    /// The whole frame of this segment that begins at an offset.
    pub(crate) fn at(image: &'a [u8], offset: usize, segment: u32, log_id: u64) -> Option<Frame<'a>> {
        let bytes = Frame::bytes_at(image, offset)?;
        let frame = Frame {
            number: u64_at(bytes, 8),
            durable: u64_at(bytes, 16),
            next_queue_id: u64_at(bytes, 24),
            segment: u32_at(bytes, 32),
            first_segment: u32_at(bytes, 36),
            previous: u32_at(bytes, 40),
            checksum: u32_at(bytes, 44),
            body: &bytes[FRAME_HEADER_BYTES..],
        };
        let possible = frame.durable < frame.number
            && frame.number < NUMBER_END
            && frame.next_queue_id < NUMBER_END
            && (1..=frame.segment).contains(&frame.first_segment);
        let good = possible && frame.segment == segment && frame.checksum == checksum(log_id, offset, bytes);
        good.then_some(frame)
    }

    pub(crate) fn bytes(&self) -> usize {
        FRAME_HEADER_BYTES + self.body.len()
    }
}
