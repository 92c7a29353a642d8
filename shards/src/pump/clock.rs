//! The clock of the process, as moments.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

use crate::moment::Moment;

/// When the shards were set up, by both clocks of the machine: the one that tells the time of day, and the one that is
/// never set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    moment: Moment,
    instant: Instant,
}

impl Start {
    pub(super) fn now() -> Start {
        // A machine whose clock stands before 1970 has no clock.
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Start { moment: Moment::EPOCH.after_ms(whole_ms(since_epoch)), instant: Instant::now() }
    }
}

/// Makes moments of a clock's instants. They never go back, in whatever order the instants come, and whatever becomes of
/// the time of day.
#[derive(Debug)]
pub(super) struct Clock {
    /// The same for all shards.
    start: Start,
    last: Cell<Moment>,
}

impl Clock {
    pub(super) fn new(start: Start) -> Clock {
        Clock { start, last: Cell::new(start.moment) }
    }

    /// The moment of an instant that was read from the clock a short time ago.
    #[inline]
    pub(super) fn moment(&self, at: Instant) -> Moment {
        let moment = self.start.moment.after_ms(whole_ms(at.saturating_duration_since(self.start.instant)));
        self.last.set(moment.max(self.last.get()));
        self.last.get()
    }

    /// How long it is from an instant to a moment; nothing when that is past.
    pub(super) fn until(&self, moment: Moment, now: Instant) -> Duration {
        let at = Duration::from_millis(moment.ms().saturating_sub(self.start.moment.ms()));
        at.saturating_sub(now.saturating_duration_since(self.start.instant))
    }
}

fn whole_ms(time: Duration) -> u64 {
    time.as_secs() * 1000 + u64::from(time.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the shards of these tests are set up.
    const SET_UP_MS: u64 = 1_700_000_000_000;

    fn start() -> Start {
        Start { moment: Moment::from_ms(SET_UP_MS), instant: Instant::now() }
    }

    #[test]
    fn moments_are_whole_milliseconds_that_have_passed_and_never_go_back() {
        let start = start();
        let clock = Clock::new(start);
        let at = |us| start.instant + Duration::from_micros(us);
        assert_eq!(clock.moment(start.instant), Moment::from_ms(SET_UP_MS));
        assert_eq!(clock.moment(at(1_999)), Moment::from_ms(SET_UP_MS + 1));
        assert_eq!(clock.moment(at(70_000_500)), Moment::from_ms(SET_UP_MS + 70_000));
        assert_eq!(clock.moment(at(5_000)), Moment::from_ms(SET_UP_MS + 70_000), "an instant of before");
    }

    /// Otherwise the pump would wake up before anything is due, again and again.
    #[test]
    fn after_the_time_until_a_moment_it_has_come() {
        let start = start();
        let now = start.instant + Duration::from_micros(1_300);
        let until = Clock::new(start).until(Moment::from_ms(SET_UP_MS + 20), now);
        assert_eq!(until, Duration::from_micros(18_700));
        assert_eq!(Clock::new(start).moment(now + until), Moment::from_ms(SET_UP_MS + 20));
        assert_eq!(Clock::new(start).until(Moment::from_ms(SET_UP_MS + 1), now), Duration::ZERO);
        assert_eq!(Clock::new(start).until(Moment::from_ms(7), now), Duration::ZERO, "before the set-up");
    }

    #[test]
    fn a_moment_is_the_time_of_day() {
        let before = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let start = Start::now();
        assert!(start.moment.ms().abs_diff(whole_ms(before)) < 60_000);
    }
}
