//! The walk along the frames of a log.

use super::damage;
use crate::error::Result;
use crate::index::Contents;
use crate::log::frame::{FrameHeader, FrameNumber};
use crate::log::frame_reader::FrameReader;
use crate::log::{Position, Tail};
use crate::recovery::rebuild::Rebuild;

/// What a walk along the frames has made of them.
pub(super) struct Walk {
    pub(super) rebuild: Rebuild,
    pub(super) tail: Tail,
    /// The oldest segment that the last frame still needs; 0 before the first one.
    pub(super) first_segment: u32,
    /// The last frame that another one vouches for.
    pub(super) vouched: FrameNumber,
    /// The segments that were walked through, each with its last frame.
    pub(super) segments: Vec<(u32, FrameNumber)>,
    pub(super) frames: u64,
    /// The directories that the index has.
    pub(super) contents: Contents,
}

impl Walk {
    pub(super) fn new(rebuild: Rebuild, tail: Tail) -> Walk {
        Walk { rebuild, tail, first_segment: 0, vouched: 0, segments: Vec::new(), frames: 0, contents: Contents::new() }
    }

    /// The segments whose last frames no other frame vouches for: they may be in the page cache only.
    pub(super) fn unsynced(&self) -> impl Iterator<Item = u32> {
        self.segments.iter().filter(|(_, last)| *last > self.vouched).map(|(segment, _)| *segment)
    }
}

impl Walk {
    pub(super) fn is_continued_by(&self, header: &FrameHeader) -> bool {
        header.number == self.tail.frame + 1 && header.previous == self.tail.checksum
    }

    /// Applies the next frame if it continues the walk. Returns whether it did.
    pub(super) fn step(&mut self, reader: &mut FrameReader) -> Result<bool> {
        let segment = reader.segment();
        let Some(frame) = reader.next()?.filter(|frame| self.is_continued_by(&frame.header)) else {
            return Ok(false);
        };
        let header = frame.header;
        let position = Position { segment, offset: frame.body_offset };
        if !self.rebuild.apply_frame(frame.body, position) {
            return Err(damage(position, format!("frame {} is whole, but its entries are not", header.number)));
        }
        self.tail = Tail {
            position: Position { segment, offset: reader.offset() },
            frame: header.number,
            checksum: header.checksum,
            next_queue_id: self.tail.next_queue_id.max(header.next_queue_id),
            leases: self.tail.leases,
        };
        self.first_segment = self.first_segment.max(header.first_segment);
        self.vouched = self.vouched.max(header.durable);
        match self.segments.last_mut().filter(|(last, _)| *last == segment) {
            Some((_, last_frame)) => *last_frame = header.number,
            None => self.segments.push((segment, header.number)),
        }
        self.frames += 1;
        Ok(true)
    }
}
