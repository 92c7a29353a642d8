//! When requests are due, if not when the last ones are answered.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A constant rate of arrivals, whatever the server does. Times are nanoseconds since the start of the run.
#[derive(Debug)]
pub(crate) struct Schedule {
    interval_ns: f64,
    first_ns: f64,
    taken: u64,
    end_ns: u64,
}

impl Schedule {
    /// `part` of `parts` that together make up a rate of `per_second`, until `end_ns`.
    pub(crate) fn new(per_second: f64, part: usize, parts: usize, end_ns: u64) -> Schedule {
        let together_ns = 1e9 / per_second;
        Schedule { interval_ns: together_ns * parts as f64, first_ns: together_ns * part as f64, taken: 0, end_ns }
    }

    /// When the next request is due; None if the run has no more.
    pub(crate) fn due(&self) -> Option<u64> {
        let due_ns = (self.first_ns + self.interval_ns * self.taken as f64) as u64;
        (due_ns < self.end_ns).then_some(due_ns)
    }

    /// Takes the next request, if it is due.
    pub(crate) fn take(&mut self, now_ns: u64) -> Option<u64> {
        let due_ns = self.due().filter(|due_ns| *due_ns <= now_ns)?;
        self.taken += 1;
        Some(due_ns)
    }

    /// How many requests were due by now and are not taken.
    pub(crate) fn overdue(&self, now_ns: u64) -> u64 {
        let until_ns = now_ns.min(self.end_ns) as f64;
        let due =
            if until_ns > self.first_ns { ((until_ns - self.first_ns) / self.interval_ns).ceil() as u64 } else { 0 };
        due.saturating_sub(self.taken)
    }
}

/// Clients that wait for a time of their own.
#[derive(Debug, Default)]
pub(crate) struct Waiting(BinaryHeap<Alarm>);

#[derive(Debug, PartialEq, Eq)]
struct Alarm {
    at_ns: u64,
    client: usize,
}

impl Ord for Alarm {
    fn cmp(&self, other: &Alarm) -> Ordering {
        // The heap's greatest is the earliest.
        (other.at_ns, other.client).cmp(&(self.at_ns, self.client))
    }
}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Alarm) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Waiting {
    pub(crate) fn push(&mut self, at_ns: u64, client: usize) {
        self.0.push(Alarm { at_ns, client });
    }

    /// A client whose time has come.
    pub(crate) fn pop(&mut self, now_ns: u64) -> Option<usize> {
        let is_due = self.next().is_some_and(|at_ns| at_ns <= now_ns);
        if is_due { self.0.pop().map(|alarm| alarm.client) } else { None }
    }

    pub(crate) fn next(&self) -> Option<u64> {
        self.0.peek().map(|alarm| alarm.at_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_whether_taken_or_not() {
        let mut schedule = Schedule::new(1000.0, 1, 2, 10_000_000);
        assert_eq!((schedule.due(), schedule.take(999_999)), (Some(1_000_000), None));
        assert_eq!((schedule.overdue(1_000_000), schedule.overdue(7_500_000)), (0, 4));
        let taken: Vec<u64> = std::iter::from_fn(|| schedule.take(7_500_000)).collect();
        assert_eq!(taken, [1_000_000, 3_000_000, 5_000_000, 7_000_000]);
        assert_eq!(schedule.overdue(7_500_000), 0);
        assert_eq!(
            (schedule.take(20_000_000), schedule.take(20_000_000), schedule.due()),
            (Some(9_000_000), None, None)
        );
    }

    #[test]
    fn parts_make_up_the_rate() {
        let mut all: Vec<u64> = Vec::new();
        for part in 0..3 {
            let mut schedule = Schedule::new(300.0, part, 3, 1_000_000_000);
            all.extend(std::iter::from_fn(|| schedule.take(u64::MAX)));
        }
        all.sort_unstable();
        assert_eq!(all.len(), 300);
        assert!(all.windows(2).all(|pair| (3_333_332..=3_333_334).contains(&(pair[1] - pair[0]))));
    }

    #[test]
    fn the_earliest_waits_no_longer_than_it_must() {
        let mut waiting = Waiting::default();
        for (at_ns, client) in [(30, 3), (10, 1), (20, 2)] {
            waiting.push(at_ns, client);
        }
        assert_eq!((waiting.pop(9), waiting.next()), (None, Some(10)));
        assert_eq!((waiting.pop(25), waiting.pop(25), waiting.pop(25)), (Some(1), Some(2), None));
    }
}
