//! When the puts in the log were made, in whole seconds: a list for each segment of where the time changes, so that a
//! message has no bytes for it.

use std::collections::BTreeMap;

use crate::log::{Place, Position};

/// The times of all segments that are needed.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// By segment: from which offset on, and the second since 1970. A log of before there were times has none.
    segments: BTreeMap<u32, Vec<(u32, u32)>>,
    /// The segment and the second of the one that was noted last.
    last: (u32, u32),
}

impl Times {
    /// The second that a time is in. What is beyond the year 2106 counts as then.
    pub(crate) fn whole_seconds(unix_ms: u64) -> u32 {
        u32::try_from(unix_ms / 1000).unwrap_or(u32::MAX)
    }

    /// Notes that the puts from a position on were made in this second. What is known behind it stays: recovery replays what
    /// the index has told already.
    pub(crate) fn note(&mut self, at: Position, second: u32) {
        let times = self.segments.entry(at.segment).or_default();
        if times.last().is_none_or(|(before, last)| *last != second && *before < at.offset) {
            times.push((at.offset, second));
        }
        self.last = (at.segment, second);
    }

    /// The segment and the second of the one that was noted last.
    #[inline]
    pub(crate) fn last(&self) -> (u32, u32) {
        self.last
    }

    /// The second in which the put at a place was made; `None`: the log does not say.
    pub(crate) fn of(&self, place: Place) -> Option<u32> {
        let times = self.segments.get(&place.segment)?;
        let behind = times.partition_point(|(offset, _)| *offset <= place.offset);
        Some(times[behind.checked_sub(1)?].1)
    }

    /// The times of a segment, in order: from which offset on, and the second.
    pub(crate) fn of_segment(&self, segment: u32) -> &[(u32, u32)] {
        self.segments.get(&segment).map_or(&[], Vec::as_slice)
    }

    /// Forgets the times of a segment that is gone, and of all before it.
    pub(crate) fn forget(&mut self, segment: u32) {
        while let Some(entry) = self.segments.first_entry().filter(|entry| *entry.key() <= segment) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(segment: u32, offset: u32) -> Place {
        Place { segment, offset, body_bytes: 1 }
    }

    #[test]
    fn a_put_has_the_time_before_it() {
        let mut times = Times::default();
        for (segment, offset, second) in [(1, 64, 5), (1, 300, 5), (1, 400, 6), (1, 500, 2), (2, 64, 2)] {
            times.note(Position { segment, offset }, second);
        }
        let second = |times: &Times, segment, offset| times.of(place(segment, offset));
        assert_eq!((second(&times, 1, 10), second(&times, 1, 80), second(&times, 1, 399)), (None, Some(5), Some(5)));
        assert_eq!(
            (second(&times, 1, 400), second(&times, 1, 501), second(&times, 2, 90)),
            (Some(6), Some(2), Some(2))
        );
        assert_eq!((second(&times, 3, 90), times.last()), (None, (2, 2)));
        assert_eq!(times.of_segment(1), [(64, 5), (400, 6), (500, 2)], "a second is noted once");
        times.note(Position { segment: 1, offset: 450 }, 9);
        assert_eq!(second(&times, 1, 460), Some(6), "it is known already");
        times.forget(1);
        assert_eq!((times.of(place(1, 80)), times.of(place(2, 90))), (None, Some(2)));
    }
}
