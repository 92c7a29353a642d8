//! The totals of the last ten minutes, for charts that outlive the page which shows them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use glommio::timer::sleep;
use shards::Figures;

use crate::admin::ask;
use crate::context::ShardContext;

/// How far points are apart.
pub(crate) const INTERVAL: Duration = Duration::from_secs(2);
/// How many are kept: ten minutes.
pub(crate) const POINTS: usize = 300;

/// What is counted of all shards together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Queues, and messages in them whatever their state.
    pub(crate) queues: u64,
    pub(crate) messages: u64,
    /// Of these, messages that are available, out with a worker, kept back, and dead letters.
    pub(crate) waiting: u64,
    pub(crate) open: u64,
    pub(crate) delayed: u64,
    pub(crate) dead: u64,
    /// Clients that wait for a message.
    pub(crate) waiters: u64,
    /// Messages, since the start or the last reset.
    pub(crate) put: u64,
    pub(crate) taken: u64,
    pub(crate) acked: u64,
    pub(crate) returned: u64,
}

impl Sums {
    pub(crate) fn of(shards: &[Figures]) -> Sums {
        let sum = |figure: fn(&Figures) -> u64| shards.iter().map(figure).sum::<u64>();
        let (messages, open) = (sum(|shard| shard.totals.messages), sum(|shard| shard.open));
        let (delayed, dead) = (sum(|shard| shard.totals.delayed), sum(|shard| shard.totals.dead));
        Sums {
            queues: sum(|shard| shard.totals.queues),
            messages,
            waiting: messages.saturating_sub(open + delayed + dead),
            open,
            delayed,
            dead,
            waiters: sum(|shard| shard.waiters),
            put: sum(|shard| shard.counters.set_hits),
            taken: sum(|shard| shard.counters.get_hits),
            acked: sum(|shard| shard.totals.acked),
            returned: sum(|shard| shard.totals.returned),
        }
    }
}

/// Messages waiting and open at a time, and messages put, taken, acknowledged and returned a second before it.
pub(crate) type Point = [f64; 6];

/// The points of the last ten minutes.
#[derive(Debug, Default)]
pub(crate) struct History {
    points: VecDeque<Point>,
    before: Option<Sums>,
}

impl History {
    /// Adds what is counted `interval` after the time before.
    pub(crate) fn add(&mut self, now: Sums, interval: Duration) {
        if let Some(before) = self.before.replace(now) {
            // A counter that is lower than before was set to zero meanwhile: it counts from there.
            let rate = |before: u64, now: u64| {
                let count = now.checked_sub(before).unwrap_or(now);
                (count as f64 / interval.as_secs_f64() * 10.0).round() / 10.0
            };
            if self.points.len() == POINTS {
                self.points.pop_front();
            }
            self.points.push_back([
                now.waiting as f64,
                now.open as f64,
                rate(before.put, now.put),
                rate(before.taken, now.taken),
                rate(before.acked, now.acked),
                rate(before.returned, now.returned),
            ]);
        }
    }

    /// All points, the oldest first.
    pub(crate) fn points(&self) -> Vec<Point> {
        self.points.iter().copied().collect()
    }
}

/// Adds to the history what is counted, for as long as the shard lives.
pub(crate) async fn record(context: Rc<ShardContext>, history: Rc<RefCell<History>>) {
    let gather = context.handle.gather();
    let mut at = context.handle.now();
    loop {
        let sums = Sums::of(&ask::figures(&context.handle, &gather).await);
        let now = context.handle.now();
        let since = Duration::from_millis(now.ms().saturating_sub(at.ms()).max(1));
        at = now;
        history.borrow_mut().add(sums, since);
        sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(waiting: u64, put: u64) -> Sums {
        Sums { waiting, put, ..Sums::default() }
    }

    #[test]
    fn a_point_has_what_is_there_and_what_happened_a_second() {
        let mut history = History::default();
        history.add(sums(5, 1_000), INTERVAL);
        assert!(history.points().is_empty(), "what happened before the first is not known");
        history.add(sums(7, 1_003), INTERVAL);
        assert_eq!(history.points(), [[7.0, 0.0, 1.5, 0.0, 0.0, 0.0]]);
    }

    /// Planted once: a difference that wraps is 9 billion billion messages a second.
    #[test]
    fn counters_that_were_reset_make_no_negative_rate() {
        let mut history = History::default();
        history.add(sums(0, 1_000_000), INTERVAL);
        history.add(sums(0, 10), INTERVAL);
        history.add(sums(0, 30), INTERVAL);
        let rates: Vec<f64> = history.points().iter().map(|point| point[2]).collect();
        assert_eq!(rates, [5.0, 10.0]);
    }

    #[test]
    fn the_oldest_point_makes_room() {
        let mut history = History::default();
        (0..POINTS as u64 + 10).for_each(|at| history.add(sums(at, at), INTERVAL));
        let points = history.points();
        assert_eq!((points.len(), points[0][0], points[POINTS - 1][0]), (POINTS, 10.0, POINTS as f64 + 9.0));
    }
}
