//! Ranges of numbers, packed: where the first begins and its length, then for each further one the distance from the
//! end of the one before, and its length; all varints.

use std::ops::Range;

use crate::log::codec::{Reader, put_varint};
use crate::log::entry::Seq;
use crate::log::frame::NUMBER_END;

/// The most bytes that one range takes.
pub(crate) const RANGE_BYTES_MAX: usize = 2 * 10;

/// Packs ascending ranges that do not touch each other.
#[derive(Debug, Default)]
pub(crate) struct RangesWriter {
    bytes: Vec<u8>,
    end: Seq,
}

impl RangesWriter {
    /// Adds a range behind all others.
    ///
    /// # Panics
    /// When it is empty, or begins before the last one ends.
    pub(crate) fn push(&mut self, range: Range<Seq>) {
        assert!(range.start >= self.end && range.end > range.start, "ranges ascend");
        put_varint(&mut self.bytes, range.start - self.end);
        put_varint(&mut self.bytes, range.end - range.start);
        self.end = range.end;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The ranges that these bytes hold. `None` in their place: the bytes are no ranges that a log has, from here on.
pub(crate) fn ranges(bytes: &[u8]) -> impl Iterator<Item = Option<Range<Seq>>> {
    let (mut reader, mut end) = (Reader::new(bytes), 0u64);
    std::iter::from_fn(move || {
        if reader.is_empty() {
            return None;
        }
        let mut next = || {
            let start = end.checked_add(reader.varint()?)?;
            let range = start..start.checked_add(reader.varint()?)?;
            (range.start > 0 && range.start < range.end && range.end < NUMBER_END).then_some(range)
        };
        let range = next();
        match &range {
            Some(range) => end = range.end,
            None => reader = Reader::new(&[]),
        }
        Some(range)
    })
}

/// Whether these bytes are ranges that a log can have, one at least.
pub(crate) fn are_ranges(bytes: &[u8]) -> bool {
    !bytes.is_empty() && ranges(bytes).all(|range| range.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_back() {
        let mut writer = RangesWriter::default();
        let packed = [3..4, 9..1000, 1 << 40..(1 << 40) + 1];
        packed.iter().for_each(|range| writer.push(range.clone()));
        let back: Vec<Range<Seq>> = ranges(writer.bytes()).map(|range| range.expect("good")).collect();
        assert_eq!(back, packed);
        assert!(are_ranges(writer.bytes()) && !are_ranges(b""));
        for cut in 1..writer.bytes().len() {
            let whole = [2, 5].contains(&cut);
            assert_eq!(are_ranges(&writer.bytes()[..cut]), whole, "{cut} bytes");
        }
    }

    #[test]
    fn what_no_log_has_is_no_range() {
        let mut far = Vec::new();
        put_varint(&mut far, NUMBER_END - 2);
        put_varint(&mut far, 2);
        for bytes in [&[0, 1][..], &[3, 0], &[3, 1, 1, 0], &far] {
            assert!(!are_ranges(bytes), "{bytes:?}");
            assert_eq!(ranges(bytes).last(), Some(None));
        }
    }
}
