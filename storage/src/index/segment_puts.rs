//! A segment's directory: where its puts are. The index keeps it, so that a start need not read the segment.
//!
//! In memory, one put is five varints: queue id, its slot, sequence number, distance from the put before, bytes of the
//! body.

use crate::log::Place;
use crate::log::codec::{Reader, put_varint};
use crate::log::entry::{QueueId, Seq};
use crate::queue::table::Slot;

/// The puts of one segment, in the order of their offsets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SegmentPuts {
    pub(crate) segment: u32,
    bytes: Vec<u8>,
    last_offset: u32,
}

/// One line of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) queue: QueueId,
    /// Where the queue was when the put was made, so that it need not be looked for; it may be gone from there.
    pub(crate) slot: Slot,
    pub(crate) seq: Seq,
    pub(crate) place: Place,
}

impl SegmentPuts {
    pub(crate) fn new(segment: u32) -> SegmentPuts {
        SegmentPuts { segment, bytes: Vec::new(), last_offset: 0 }
    }

    /// Adds a put that is behind all those that are here, or a message of the last one that it does not name.
    ///
    /// # Panics
    /// When it is not: what comes from a disk is looked at before.
    pub(crate) fn push(&mut self, queue: QueueId, slot: Slot, seq: Seq, offset: u32, body_bytes: u32) {
        assert!(offset >= self.last_offset, "puts are added in the order of their offsets");
        put_varint(&mut self.bytes, queue);
        put_varint(&mut self.bytes, u64::from(slot));
        put_varint(&mut self.bytes, seq);
        put_varint(&mut self.bytes, u64::from(offset - self.last_offset));
        put_varint(&mut self.bytes, u64::from(body_bytes));
        self.last_offset = offset;
    }

    pub(crate) fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Reads the puts from byte `from` on; `last_offset` is that of the put before it.
    pub(crate) fn read_from(&self, from: usize, last_offset: u32) -> DirectoryReader<'_> {
        DirectoryReader { segment: self.segment, reader: Reader::new(&self.bytes[from..]), last_offset }
    }
}

/// An iterator over the puts.
#[derive(Debug, Clone)]
pub(crate) struct DirectoryReader<'a> {
    segment: u32,
    reader: Reader<'a>,
    pub(crate) last_offset: u32,
}

impl DirectoryReader<'_> {
    /// Bytes that are not read yet.
    pub(crate) fn remaining(&self) -> usize {
        self.reader.remaining()
    }
}

impl Iterator for DirectoryReader<'_> {
    type Item = Located;

    fn next(&mut self) -> Option<Located> {
        let mut reader = self.reader;
        let (queue, slot, seq) = (reader.varint()?, reader.varint_u32()?, reader.varint()?);
        let offset = self.last_offset.checked_add(reader.varint_u32()?)?;
        let body_bytes = reader.varint_u32()?;
        self.reader = reader;
        self.last_offset = offset;
        Some(Located { queue, slot, seq, place: Place { segment: self.segment, offset, body_bytes } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puts_come_back() {
        let mut directory = SegmentPuts::new(3);
        let puts =
            [(1, 0, 1, 112, 5), (3, 4, 9, 112, 5), (900, 12, 1 << 40, 4000, 0), (2, 1 << 30, 7, 1 << 30, 1 << 20)];
        for (queue, slot, seq, offset, bytes) in puts {
            directory.push(queue, slot, seq, offset, bytes);
        }
        let located = |l: Located| (l.queue, l.slot, l.seq, l.place.offset, l.place.body_bytes);
        assert!(directory.read_from(0, 0).map(located).eq(puts));
        // And from the middle on, as a checkpoint reads them.
        let mut reader = directory.read_from(0, 0);
        reader.next();
        let (from, last_offset) = (directory.len_bytes() - reader.remaining(), reader.last_offset);
        assert!(directory.read_from(from, last_offset).map(located).eq(puts[1..].iter().copied()));
    }
}
