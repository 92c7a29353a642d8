//! Sets of numbers as ranges: those that are gone, as recovery collects them, and those of messages that are out.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::log::entry::Seq;

/// A set of numbers as ranges that do not touch each other.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    /// Where a range begins, and where it ends.
    ranges: BTreeMap<Seq, Seq>,
}

impl Gone {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many numbers there are.
    pub(crate) fn count(&self) -> u64 {
        self.ranges.iter().map(|(start, end)| end - start).sum()
    }

    /// The range that a number is in.
    pub(crate) fn range_of(&self, seq: Seq) -> Option<Range<Seq>> {
        let (start, end) = self.ranges.range(..=seq).next_back()?;
        (seq < *end).then_some(*start..*end)
    }

    pub(crate) fn contains(&self, seq: Seq) -> bool {
        self.range_of(seq).is_some()
    }

    /// The ranges, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<Seq>> {
        self.ranges.iter().map(|(start, end)| *start..*end)
    }

    /// Adds a range.
    pub(crate) fn add(&mut self, range: Range<Seq>) {
        let Range { mut start, mut end } = range;
        if start >= end {
            return;
        }
        // A range that begins before this one and reaches it, then all that begin within it or at its end.
        if let Some((before, its_end)) = self.ranges.range(..start).next_back()
            && *its_end >= start
        {
            (start, end) = (*before, end.max(*its_end));
        }
        while let Some((next, its_end)) = self.ranges.range(start..=end).next().map(|(next, end)| (*next, *end)) {
            self.ranges.remove(&next);
            end = end.max(its_end);
        }
        self.ranges.insert(start, end);
    }

    /// Forgets all numbers below one.
    pub(crate) fn drop_below(&mut self, seq: Seq) {
        while let Some((start, end)) = self.ranges.pop_first() {
            if end > seq {
                self.ranges.insert(start.max(seq), end);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_is_what_a_plain_set_is() {
        let mut state = 1u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..300 {
            let (mut gone, mut expected) = (Gone::default(), BTreeSet::new());
            for _ in 0..30 {
                if next(8) == 0 {
                    let seq = next(60);
                    gone.drop_below(seq);
                    expected.retain(|number| *number >= seq);
                } else {
                    let start = next(60);
                    let range = start..start + next(6);
                    gone.add(range.clone());
                    expected.extend(range);
                }
                let numbers: Vec<Seq> = (0..70).filter(|seq| gone.contains(*seq)).collect();
                assert!(numbers.iter().eq(&expected), "{gone:?} is not {expected:?}");
                assert_eq!((gone.count(), gone.is_empty()), (expected.len() as u64, expected.is_empty()));
                let apart = gone.ranges.iter().zip(gone.ranges.keys().skip(1)).all(|((_, end), next)| end < next);
                assert!(apart, "ranges that touch are one: {gone:?}");
            }
        }
    }
}
