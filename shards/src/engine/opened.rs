//! When leases were opened, without a byte for each: their numbers ascend, so a few marks tell it of all.

use std::collections::VecDeque;

use crate::moment::Moment;

/// From one mark to the next, in milliseconds, at least.
const APART_MS: u64 = 1000;
/// Marks at most: enough for a year.
const MARKS_MAX: usize = 2048;
/// Of how long ago something was opened, this part is near enough.
const NEAR_ENOUGH: u64 = 64;

/// Marks, each the first number of a lease that was opened at a moment or behind it.
#[derive(Debug, Default)]
pub(super) struct OpenedTimes {
    /// Numbers and moments both ascend.
    marks: VecDeque<(u64, Moment)>,
}

impl OpenedTimes {
    /// Notes that a lease is opened now.
    #[inline]
    pub(super) fn note(&mut self, number: u64, now: Moment) {
        if self.marks.back().is_none_or(|(last, at)| now.ms() >= at.ms() + APART_MS || number < *last) {
            self.mark(number, now);
        }
    }

    #[cold]
    fn mark(&mut self, number: u64, now: Moment) {
        // Numbers have begun anew, after more deliveries than there will ever be.
        if self.marks.back().is_some_and(|(last, _)| number < *last) {
            self.marks.clear();
        }
        if self.marks.len() == MARKS_MAX {
            self.thin_out(now);
        }
        self.marks.push_back((number, now));
    }

    /// Drops marks that are close to their neighbours for how old they are.
    fn thin_out(&mut self, now: Moment) {
        let mut kept: VecDeque<(u64, Moment)> = VecDeque::with_capacity(MARKS_MAX);
        for (at, mark) in self.marks.iter().enumerate() {
            let behind = self.marks.get(at + 1);
            let is_needless = |before: &(u64, Moment), behind: &(u64, Moment)| {
                behind.1.ms() - before.1.ms() <= (now.ms() - behind.1.ms()) / NEAR_ENOUGH
            };
            if !kept.back().zip(behind).is_some_and(|(before, behind)| is_needless(before, behind)) {
                kept.push_back(*mark);
            }
        }
        if kept.len() == MARKS_MAX {
            kept.pop_front();
        }
        self.marks = kept;
    }

    /// When a lease was opened, or a little before; `None`: it is not known.
    pub(super) fn of(&self, number: u64) -> Option<Moment> {
        let behind = self.marks.partition_point(|(first, _)| *first <= number);
        Some(self.marks[behind.checked_sub(1)?].1)
    }

    /// Forgets what is of leases below this one only.
    pub(super) fn forget_below(&mut self, number: u64) {
        while self.marks.get(1).is_some_and(|(first, _)| *first <= number) {
            self.marks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_was_opened_at_the_mark_before_it() {
        let mut times = OpenedTimes::default();
        assert_eq!(times.of(5), None);
        for (number, at_ms) in [(10, 1000), (20, 1500), (30, 2000), (40, 9000)] {
            times.note(number, Moment::from_ms(at_ms));
        }
        let of = |times: &OpenedTimes, number| times.of(number).map(Moment::ms);
        assert_eq!(
            [9, 10, 20, 29, 30, 39, 99].map(|number| of(&times, number)),
            [None, Some(1000), Some(1000), Some(1000), Some(2000), Some(2000), Some(9000)]
        );
        times.forget_below(35);
        assert_eq!((of(&times, 35), times.marks.len()), (Some(2000), 2));
        times.note(3, Moment::from_ms(9100));
        assert_eq!((of(&times, 3), of(&times, 2), times.marks.len()), (Some(9100), None, 1), "numbers begin anew");
    }

    /// More than a week, an open each second.
    #[test]
    fn marks_are_few_and_near_enough() {
        let mut times = OpenedTimes::default();
        let opened_ms = |number: u64| number * 1000;
        for number in 0..600_000 {
            times.note(number, Moment::from_ms(opened_ms(number)));
            assert!(times.marks.len() <= MARKS_MAX);
        }
        for number in (0..600_000).step_by(997) {
            let off_ms = opened_ms(number) - times.of(number).expect("since the first").ms();
            let age_ms = opened_ms(600_000 - number);
            assert!(off_ms <= 1000 + age_ms / NEAR_ENOUGH, "{off_ms} ms off after {age_ms}");
        }
    }
}
