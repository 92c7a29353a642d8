//! How a rush has gone: seats that were given and joins that were refused, in intervals of time. Of a gate that is asked for
//! years there are as many intervals as of one that is sold out in seconds; they are longer.

use super::asking::GateCurve;

/// Intervals at most. When more would be needed, each two become one.
const INTERVALS_MAX: usize = 64;
/// Milliseconds of an interval at first: all of them together are eight seconds.
const FIRST_WIDTH_MS: u64 = 125;

/// What came in an interval.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Interval {
    pub(super) given: u64,
    pub(super) refused: u64,
}

/// The intervals of a gate since the start of the process.
#[derive(Debug, Default)]
pub(super) struct Curve {
    start_ms: u64,
    /// 0 before the first.
    width_ms: u64,
    intervals: Vec<Interval>,
}

impl Curve {
    /// The interval of a moment, in milliseconds since 1970. No moment is before the one that was asked for first.
    #[inline]
    pub(super) fn at(&mut self, now_ms: u64) -> &mut Interval {
        let nth = now_ms.saturating_sub(self.start_ms).checked_div(self.width_ms).unwrap_or(u64::MAX);
        let nth = if nth < self.intervals.len() as u64 { nth as usize } else { self.grow(now_ms) };
        &mut self.intervals[nth]
    }

    /// Adds intervals up to one of this moment, and returns which that is.
    #[cold]
    fn grow(&mut self, now_ms: u64) -> usize {
        if self.width_ms == 0 {
            (self.start_ms, self.width_ms) = (now_ms, FIRST_WIDTH_MS);
        }
        let nth = |curve: &Curve| now_ms.saturating_sub(curve.start_ms) / curve.width_ms;
        while nth(self) >= INTERVALS_MAX as u64 {
            self.width_ms *= 2;
            let halves = self.intervals.chunks(2).map(|two| {
                let sum = |what: fn(&Interval) -> u64| two.iter().map(what).sum();
                Interval { given: sum(|it| it.given), refused: sum(|it| it.refused) }
            });
            self.intervals = halves.collect();
        }
        let nth = nth(self) as usize;
        self.intervals.resize(nth + 1, Interval::default());
        nth
    }

    /// What an operator sees of it.
    pub(super) fn shown(&self) -> GateCurve {
        GateCurve {
            start_ms: self.start_ms,
            width_ms: self.width_ms,
            given: self.intervals.iter().map(|it| it.given).collect(),
            refused: self.intervals.iter().map(|it| it.refused).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: u64 = 1_700_000_000_000;

    #[test]
    fn what_comes_is_counted_in_its_interval() {
        let mut curve = Curve::default();
        assert_eq!(curve.shown(), GateCurve::EMPTY);
        for at_ms in [0, 0, 124, 125, 500, 125] {
            curve.at(START_MS + at_ms).given += 1;
        }
        curve.at(START_MS + 7999).refused += 3;
        let shown = curve.shown();
        assert_eq!((shown.start_ms, shown.width_ms, shown.given.len()), (START_MS, 125, 64));
        assert_eq!((&shown.given[..6], shown.refused[63]), (&[3, 2, 0, 0, 1, 0][..], 3));
    }

    #[test]
    fn intervals_grow_longer_and_lose_nothing() {
        let mut curve = Curve::default();
        let mut all = Vec::new();
        // A day, later and later.
        for n in 0..600u64 {
            let at_ms = START_MS + n * n * 240;
            curve.at(at_ms).given += n;
            curve.at(at_ms).refused += 1;
            all.push((at_ms, n));
            let shown = curve.shown();
            assert!(shown.given.len() <= INTERVALS_MAX && shown.given.len() == shown.refused.len());
            let last = (at_ms - START_MS) / shown.width_ms;
            assert_eq!(shown.given.len() as u64, last + 1, "up to now");
            for (nth, (given, refused)) in shown.given.iter().zip(&shown.refused).enumerate() {
                let here = all.iter().filter(|(at_ms, _)| (at_ms - START_MS) / shown.width_ms == nth as u64);
                assert_eq!((*given, *refused), here.fold((0, 0), |(given, count), (_, n)| (given + n, count + 1)));
            }
        }
        assert!(curve.shown().width_ms > 86_400_000 / 64, "a day is in it");
    }

    #[test]
    fn a_clock_that_stood_still_for_a_year_costs_a_few_steps() {
        let mut curve = Curve::default();
        curve.at(START_MS).given += 1;
        curve.at(START_MS + 31_536_000_000).refused += 1;
        let shown = curve.shown();
        assert_eq!((shown.given[0], shown.refused.last()), (1, Some(&1)));
        assert!(shown.given.len() > INTERVALS_MAX / 2);
    }
}
