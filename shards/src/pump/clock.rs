//! The clock of the process, as moments.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::moment::Moment;

/// Makes moments of a clock's instants. They never go back, in whatever order the instants come.
#[derive(Debug)]
pub(super) struct Clock {
    /// The same for all shards.
    start: Instant,
    last: Cell<Moment>,
}

impl Clock {
    pub(super) fn new(start: Instant) -> Clock {
        Clock { start, last: Cell::new(Moment::START) }
    }

    /// The moment of an instant that was read from the clock a short time ago.
    #[inline]
    pub(super) fn moment(&self, at: Instant) -> Moment {
        let since = at.saturating_duration_since(self.start);
        let moment = Moment::from_ms(since.as_secs() * 1000 + u64::from(since.subsec_millis()));
        self.last.set(moment.max(self.last.get()));
        self.last.get()
    }

    /// How long it is from an instant to a moment; nothing when that is past.
    pub(super) fn until(&self, moment: Moment, now: Instant) -> Duration {
        let at = Duration::from_millis(moment.ms());
        at.saturating_sub(now.saturating_duration_since(self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_whole_milliseconds_that_have_passed_and_never_go_back() {
        let start = Instant::now();
        let clock = Clock::new(start);
        let at = |us| start + Duration::from_micros(us);
        assert_eq!(clock.moment(start), Moment::START);
        assert_eq!(clock.moment(at(1_999)), Moment::from_ms(1));
        assert_eq!(clock.moment(at(70_000_500)), Moment::from_ms(70_000));
        assert_eq!(clock.moment(at(5_000)), Moment::from_ms(70_000), "an instant of before");
    }

    /// Otherwise the pump would wake up before anything is due, again and again.
    #[test]
    fn after_the_time_until_a_moment_it_has_come() {
        let start = Instant::now();
        let now = start + Duration::from_micros(1_300);
        let until = Clock::new(start).until(Moment::from_ms(20), now);
        assert_eq!(until, Duration::from_micros(18_700));
        assert_eq!(Clock::new(start).moment(now + until), Moment::from_ms(20));
        assert_eq!(Clock::new(start).until(Moment::from_ms(1), now), Duration::ZERO);
    }
}
