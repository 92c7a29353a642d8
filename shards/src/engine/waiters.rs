//! Clients that wait for a message: a line for each queue, first come first served.
//!
//! A line belongs to a name, and not to what the queue holds: it is there before the queue is, and stays when the queue is
//! emptied or dropped. Nothing here takes a message; the [`Shard`](crate::Shard) does, and asks here for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::client::{Asker, Client};
use crate::engine::deadlines::Deadlines;
use crate::moment::Moment;

/// A wait's number: a wait that came later has a higher one.
type Number = u64;

#[derive(Debug)]
struct Wait {
    by: Asker,
    queue: Arc<[u8]>,
}

/// All waits of a shard.
#[derive(Debug)]
pub(crate) struct Waiters {
    next: Number,
    waits: BTreeMap<Number, Wait>,
    /// By queue. None is empty.
    lines: BTreeMap<Arc<[u8]>, BTreeSet<Number>>,
    by_client: BTreeSet<(Client, Number)>,
    deadlines: Deadlines<Number>,
}

impl Waiters {
    pub(crate) fn new() -> Waiters {
        Waiters {
            next: 0,
            waits: BTreeMap::new(),
            lines: BTreeMap::new(),
            by_client: BTreeSet::new(),
            deadlines: Deadlines::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }

    /// Whether a queue has a line.
    pub(crate) fn has_line(&self, queue: &[u8]) -> bool {
        self.lines.contains_key(queue)
    }

    /// How many waits a client has.
    pub(crate) fn waits_of(&self, client: Client) -> usize {
        self.by_client.range((client, 0)..=(client, Number::MAX)).count()
    }

    /// Puts a wait at the end of its queue's line.
    pub(crate) fn line_up(&mut self, by: Asker, queue: &[u8], until: Moment) {
        let number = self.next;
        self.next += 1;
        let queue = match self.lines.get_key_value(queue) {
            Some((queue, _)) => Arc::clone(queue),
            None => queue.into(),
        };
        self.lines.entry(Arc::clone(&queue)).or_default().insert(number);
        self.by_client.insert((by.client, number));
        self.deadlines.set(number, until);
        self.waits.insert(number, Wait { by, queue });
    }

    /// The first in a queue's line.
    pub(crate) fn first(&self, queue: &[u8]) -> Option<Asker> {
        let first = self.lines.get(queue)?.first()?;
        Some(self.waits[first].by)
    }

    /// Takes the first wait out of a queue's line.
    pub(crate) fn pop_first(&mut self, queue: &[u8]) -> Option<Asker> {
        let first = *self.lines.get(queue)?.first()?;
        Some(self.remove(first))
    }

    /// Takes all waits of a client out of their lines.
    pub(crate) fn pop_client(&mut self, client: Client) -> Vec<Asker> {
        let numbers: Vec<(Client, Number)> =
            self.by_client.range((client, 0)..=(client, Number::MAX)).copied().collect();
        numbers.into_iter().map(|(_, number)| self.remove(number)).collect()
    }

    /// Takes a wait whose deadline is `now` or before out of its line.
    pub(crate) fn pop_due(&mut self, now: Moment) -> Option<Asker> {
        let number = self.deadlines.pop_due(now)?;
        Some(self.remove(number))
    }

    /// Whether there is a wait that came before this [mark](Self::mark).
    pub(crate) fn has_any_before(&self, mark: Number) -> bool {
        self.waits.first_key_value().is_some_and(|(number, _)| *number < mark)
    }

    /// Takes the wait that came first, of those that came before this [mark](Self::mark), out of its line.
    pub(crate) fn pop_before(&mut self, mark: Number) -> Option<Asker> {
        let (number, _) = self.waits.first_key_value().filter(|(number, _)| **number < mark)?;
        let number = *number;
        Some(self.remove(number))
    }

    /// Tells those waits that have come so far from those that come later.
    pub(crate) fn mark(&self) -> Number {
        self.next
    }

    /// The first deadline.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.next()
    }

    fn remove(&mut self, number: Number) -> Asker {
        let Wait { by, queue } = self.waits.remove(&number).expect("a wait is taken out once");
        let line = self.lines.get_mut(&queue).expect("a wait stands in a line");
        line.remove(&number);
        if line.is_empty() {
            self.lines.remove(&queue);
        }
        self.by_client.remove(&(by.client, number));
        self.deadlines.cancel(number);
        by
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Address, GatherId};
    use crate::owner::ShardId;

    fn by(client: u64, slot: u32) -> Asker {
        Asker { client: Client::new(ShardId(1), client), address: Address { gather: GatherId(client as u32), slot } }
    }

    fn ms(ms: u64) -> Moment {
        Moment::from_ms(ms)
    }

    #[track_caller]
    fn assert_nothing_is_left(waiters: &mut Waiters) {
        assert!(waiters.is_empty() && waiters.lines.is_empty() && waiters.by_client.is_empty());
        assert_eq!((waiters.next_deadline(), waiters.pop_due(ms(u64::MAX))), (None, None));
    }

    #[test]
    fn a_line_is_first_come_first_served() {
        let mut waiters = Waiters::new();
        for (client, queue) in [(1, "a"), (2, "b"), (3, "a"), (1, "a")] {
            waiters.line_up(by(client, 0), queue.as_bytes(), ms(9));
        }
        assert!(waiters.has_line(b"a") && waiters.has_line(b"b") && !waiters.has_line(b"c"));
        let line: Vec<Asker> = std::iter::from_fn(|| waiters.pop_first(b"a")).collect();
        assert_eq!(line, [by(1, 0), by(3, 0), by(1, 0)]);
        assert!(!waiters.has_line(b"a"));
        assert_eq!(waiters.pop_first(b"b"), Some(by(2, 0)));
        assert_nothing_is_left(&mut waiters);
    }

    #[test]
    fn a_deadline_takes_a_wait_out_of_the_middle() {
        let mut waiters = Waiters::new();
        for (client, until) in [(1, 30), (2, 10), (3, 20)] {
            waiters.line_up(by(client, 0), b"a", ms(until));
        }
        assert_eq!((waiters.next_deadline(), waiters.pop_due(ms(9))), (Some(ms(10)), None));
        assert_eq!(waiters.pop_due(ms(10)), Some(by(2, 0)));
        assert_eq!(waiters.pop_first(b"a"), Some(by(1, 0)));
        assert_eq!((waiters.pop_due(ms(25)), waiters.pop_due(ms(99))), (Some(by(3, 0)), None));
        assert_nothing_is_left(&mut waiters);
    }

    #[test]
    fn a_client_leaves_all_lines_and_no_other_does() {
        let mut waiters = Waiters::new();
        for (client, slot, queue) in [(1, 0, "a"), (2, 0, "a"), (1, 1, "b"), (3, 0, "b")] {
            waiters.line_up(by(client, slot), queue.as_bytes(), ms(9));
        }
        assert_eq!(waiters.waits_of(by(1, 0).client), 2);
        assert_eq!(waiters.pop_client(by(1, 0).client), [by(1, 0), by(1, 1)]);
        assert_eq!(waiters.pop_client(by(1, 0).client), []);
        assert_eq!((waiters.pop_first(b"a"), waiters.pop_first(b"b")), (Some(by(2, 0)), Some(by(3, 0))));
        assert_nothing_is_left(&mut waiters);
    }

    #[test]
    fn a_mark_tells_those_that_came_before_it() {
        let mut waiters = Waiters::new();
        waiters.line_up(by(1, 0), b"a", ms(9));
        waiters.line_up(by(2, 0), b"b", ms(9));
        let mark = waiters.mark();
        waiters.line_up(by(3, 0), b"a", ms(9));
        let before: Vec<Asker> = std::iter::from_fn(|| waiters.pop_before(mark)).collect();
        assert_eq!(before, [by(1, 0), by(2, 0)]);
        assert_eq!(waiters.pop_first(b"a"), Some(by(3, 0)));
        assert_nothing_is_left(&mut waiters);
    }
}
