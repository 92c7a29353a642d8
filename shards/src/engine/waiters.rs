//! Clients that wait for a message: a line for each queue, first come first served.
//!
//! A line belongs to a name, and not to what the queue holds: it is there before the queue is, and stays when the queue is
//! emptied or dropped. Nothing here takes a message; the [`Shard`](crate::Shard) does, and asks here for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use storage::FrameNumber;

use crate::client::{Asker, Client};
use crate::engine::deadlines::Deadlines;
use crate::moment::Moment;
use crate::op::Holding;

/// A wait's number: a wait that came later has a higher one.
type Number = u64;

/// A queue, and the name that will hold a message of it.
type Named = (Arc<[u8]>, Arc<[u8]>);

/// What a client gets when it is its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted<'a> {
    /// A message, for good.
    Take,
    /// A message, to be held.
    Open {
        holder: Holding<'a>,
        /// As an [`Open`](crate::Open) has it.
        lease_s: Option<u32>,
    },
}

/// A wait.
#[derive(Debug, Clone)]
pub(crate) struct Wait {
    pub(crate) by: Asker,
    queue: Arc<[u8]>,
    wanted: Kept,
    /// The frame that must be safe before its outcome may be told, whatever that is: with it something was changed
    /// already.
    pub(crate) frame_needed: FrameNumber,
}

/// What is wanted, for as long as the wait.
#[derive(Debug, Clone)]
enum Kept {
    Take,
    Connection { max: u32, lease_s: Option<u32> },
    Name { name: Arc<[u8]>, lease_s: Option<u32> },
    Number { lease_s: Option<u32> },
}

impl Wait {
    pub(crate) fn wanted(&self) -> Wanted<'_> {
        let (holder, lease_s) = match &self.wanted {
            Kept::Take => return Wanted::Take,
            Kept::Connection { max, lease_s } => (Holding::Connection { max: *max }, *lease_s),
            Kept::Name { name, lease_s } => (Holding::Name(name), *lease_s),
            Kept::Number { lease_s } => (Holding::Number, *lease_s),
        };
        Wanted::Open { holder, lease_s }
    }

    /// Its queue and the name that will hold its message, if a name will.
    fn named(&self) -> Option<Named> {
        match &self.wanted {
            Kept::Name { name, .. } => Some((Arc::clone(&self.queue), Arc::clone(name))),
            _ => None,
        }
    }
}

/// All waits of a shard.
#[derive(Debug)]
pub(crate) struct Waiters {
    next: Number,
    waits: BTreeMap<Number, Wait>,
    /// By queue. None is empty.
    lines: BTreeMap<Arc<[u8]>, BTreeSet<Number>>,
    by_client: BTreeSet<(Client, Number)>,
    /// Those for a name.
    by_name: BTreeMap<Named, Number>,
    deadlines: Deadlines<Number>,
}

impl Waiters {
    pub(crate) fn new() -> Waiters {
        Waiters {
            next: 0,
            waits: BTreeMap::new(),
            lines: BTreeMap::new(),
            by_client: BTreeSet::new(),
            by_name: BTreeMap::new(),
            deadlines: Deadlines::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waits.is_empty()
    }

    /// How many waits there are.
    pub(crate) fn len(&self) -> usize {
        self.waits.len()
    }

    /// Whether a queue has a line.
    pub(crate) fn has_line(&self, queue: &[u8]) -> bool {
        self.lines.contains_key(queue)
    }

    /// How many waits a client has.
    pub(crate) fn waits_of(&self, client: Client) -> usize {
        self.by_client.range((client, 0)..=(client, Number::MAX)).count()
    }

    /// How many waits there are in a queue's line.
    pub(crate) fn in_line(&self, queue: &[u8]) -> u64 {
        self.lines.get(queue).map_or(0, |line| line.len() as u64)
    }

    /// Puts a wait at the end of its queue's line. `frame_needed`: as [`Wait`] has it. Returns the wait that stood in the
    /// line for the same name, in whose place this one is: its client has asked again, over another connection perhaps,
    /// and looks here for the message.
    pub(crate) fn line_up(
        &mut self,
        by: Asker,
        queue: &[u8],
        wanted: Wanted<'_>,
        frame_needed: FrameNumber,
        until: Moment,
    ) -> Option<Wait> {
        let number = self.next;
        self.next += 1;
        let queue = match self.lines.get_key_value(queue) {
            Some((queue, _)) => Arc::clone(queue),
            None => queue.into(),
        };
        let wanted = match wanted {
            Wanted::Take => Kept::Take,
            Wanted::Open { holder: Holding::Connection { max }, lease_s } => Kept::Connection { max, lease_s },
            Wanted::Open { holder: Holding::Name(name), lease_s } => Kept::Name { name: name.into(), lease_s },
            Wanted::Open { holder: Holding::Number, lease_s } => Kept::Number { lease_s },
        };
        let wait = Wait { by, queue, wanted, frame_needed };
        let before = wait.named().and_then(|key| self.by_name.get(&key).copied()).map(|before| self.remove(before));
        if let Some(key) = wait.named() {
            self.by_name.insert(key, number);
        }
        self.lines.entry(Arc::clone(&wait.queue)).or_default().insert(number);
        self.by_client.insert((by.client, number));
        self.deadlines.set(number, until);
        self.waits.insert(number, wait);
        before
    }

    /// The first in a queue's line.
    pub(crate) fn first(&self, queue: &[u8]) -> Option<&Wait> {
        let first = self.lines.get(queue)?.first()?;
        Some(&self.waits[first])
    }

    /// Takes the first wait out of a queue's line.
    pub(crate) fn pop_first(&mut self, queue: &[u8]) -> Option<Wait> {
        let first = *self.lines.get(queue)?.first()?;
        Some(self.remove(first))
    }

    /// Takes all waits of a client out of their lines.
    pub(crate) fn pop_client(&mut self, client: Client) -> Vec<Wait> {
        let numbers: Vec<(Client, Number)> =
            self.by_client.range((client, 0)..=(client, Number::MAX)).copied().collect();
        numbers.into_iter().map(|(_, number)| self.remove(number)).collect()
    }

    /// Takes a wait whose deadline is `now` or before out of its line.
    pub(crate) fn pop_due(&mut self, now: Moment) -> Option<Wait> {
        let number = self.deadlines.pop_due(now)?;
        Some(self.remove(number))
    }

    /// Whether there is a wait that came before this [mark](Self::mark).
    pub(crate) fn has_any_before(&self, mark: Number) -> bool {
        self.waits.first_key_value().is_some_and(|(number, _)| *number < mark)
    }

    /// Takes the wait that came first, of those that came before this [mark](Self::mark), out of its line.
    pub(crate) fn pop_before(&mut self, mark: Number) -> Option<Wait> {
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

    fn remove(&mut self, number: Number) -> Wait {
        let wait = self.waits.remove(&number).expect("a wait is taken out once");
        let line = self.lines.get_mut(&wait.queue).expect("a wait stands in a line");
        line.remove(&number);
        if line.is_empty() {
            self.lines.remove(&wait.queue);
        }
        if let Some(key) = wait.named() {
            self.by_name.remove(&key);
        }
        self.by_client.remove(&(wait.by.client, number));
        self.deadlines.cancel(number);
        wait
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

    fn line_up(waiters: &mut Waiters, by: Asker, queue: &str, until: u64) {
        assert!(waiters.line_up(by, queue.as_bytes(), Wanted::Take, 0, ms(until)).is_none());
    }

    fn asker(wait: Option<Wait>) -> Option<Asker> {
        wait.map(|wait| wait.by)
    }

    #[track_caller]
    fn assert_nothing_is_left(waiters: &mut Waiters) {
        assert!(waiters.is_empty() && waiters.lines.is_empty() && waiters.by_client.is_empty());
        assert!(waiters.by_name.is_empty());
        assert_eq!((waiters.next_deadline(), asker(waiters.pop_due(ms(u64::MAX)))), (None, None));
    }

    #[test]
    fn a_line_is_first_come_first_served() {
        let mut waiters = Waiters::new();
        for (client, queue) in [(1, "a"), (2, "b"), (3, "a"), (1, "a")] {
            line_up(&mut waiters, by(client, 0), queue, 9);
        }
        assert!(waiters.has_line(b"a") && waiters.has_line(b"b") && !waiters.has_line(b"c"));
        let line: Vec<Asker> = std::iter::from_fn(|| asker(waiters.pop_first(b"a"))).collect();
        assert_eq!(line, [by(1, 0), by(3, 0), by(1, 0)]);
        assert!(!waiters.has_line(b"a"));
        assert_eq!(asker(waiters.pop_first(b"b")), Some(by(2, 0)));
        assert_nothing_is_left(&mut waiters);
    }

    #[test]
    fn a_deadline_takes_a_wait_out_of_the_middle() {
        let mut waiters = Waiters::new();
        for (client, until) in [(1, 30), (2, 10), (3, 20)] {
            line_up(&mut waiters, by(client, 0), "a", until);
        }
        assert_eq!((waiters.next_deadline(), asker(waiters.pop_due(ms(9)))), (Some(ms(10)), None));
        assert_eq!(asker(waiters.pop_due(ms(10))), Some(by(2, 0)));
        assert_eq!(asker(waiters.pop_first(b"a")), Some(by(1, 0)));
        assert_eq!((asker(waiters.pop_due(ms(25))), asker(waiters.pop_due(ms(99)))), (Some(by(3, 0)), None));
        assert_nothing_is_left(&mut waiters);
    }

    #[test]
    fn a_client_leaves_all_lines_and_no_other_does() {
        let mut waiters = Waiters::new();
        for (client, slot, queue) in [(1, 0, "a"), (2, 0, "a"), (1, 1, "b"), (3, 0, "b")] {
            line_up(&mut waiters, by(client, slot), queue, 9);
        }
        assert_eq!(waiters.waits_of(by(1, 0).client), 2);
        let gone: Vec<Asker> = waiters.pop_client(by(1, 0).client).into_iter().map(|wait| wait.by).collect();
        assert_eq!(gone, [by(1, 0), by(1, 1)]);
        assert!(waiters.pop_client(by(1, 0).client).is_empty());
        assert_eq!((asker(waiters.pop_first(b"a")), asker(waiters.pop_first(b"b"))), (Some(by(2, 0)), Some(by(3, 0))));
        assert_nothing_is_left(&mut waiters);
    }

    #[test]
    fn a_mark_tells_those_that_came_before_it() {
        let mut waiters = Waiters::new();
        line_up(&mut waiters, by(1, 0), "a", 9);
        line_up(&mut waiters, by(2, 0), "b", 9);
        let mark = waiters.mark();
        line_up(&mut waiters, by(3, 0), "a", 9);
        let before: Vec<Asker> = std::iter::from_fn(|| asker(waiters.pop_before(mark))).collect();
        assert_eq!(before, [by(1, 0), by(2, 0)]);
        assert_eq!(asker(waiters.pop_first(b"a")), Some(by(3, 0)));
        assert_nothing_is_left(&mut waiters);
    }

    #[test]
    fn what_is_wanted_is_kept() {
        let mut waiters = Waiters::new();
        let open = |holder, lease_s| Wanted::Open { holder, lease_s };
        let all = [
            Wanted::Take,
            open(Holding::Connection { max: 3 }, None),
            open(Holding::Name(b"worker"), Some(5)),
            open(Holding::Number, Some(0)),
        ];
        for (frame, wanted) in (10..).zip(all) {
            waiters.line_up(by(1, 0), b"a", wanted, frame, ms(9));
        }
        assert_eq!((waiters.in_line(b"a"), waiters.in_line(b"b")), (4, 0));
        for (frame, wanted) in (10..).zip(all) {
            assert_eq!(waiters.first(b"a").map(Wait::wanted), Some(wanted));
            assert_eq!(waiters.pop_first(b"a").map(|wait| wait.frame_needed), Some(frame));
        }
        assert_nothing_is_left(&mut waiters);
    }

    /// The client has lost its connection, perhaps, and the one that is in line would get the message.
    #[test]
    fn a_name_stands_in_a_line_once() {
        let mut waiters = Waiters::new();
        let named = |name| Wanted::Open { holder: Holding::Name(name), lease_s: None };
        let mut line_up =
            |client, queue: &str, name| asker(waiters.line_up(by(client, 0), queue.as_bytes(), named(name), 0, ms(9)));
        assert_eq!(line_up(1, "a", b"one"), None);
        assert_eq!(line_up(2, "a", b"two"), None);
        assert_eq!(line_up(3, "b", b"one"), None);
        assert_eq!(line_up(4, "a", b"one"), Some(by(1, 0)));
        let line: Vec<Asker> = std::iter::from_fn(|| asker(waiters.pop_first(b"a"))).collect();
        assert_eq!(line, [by(2, 0), by(4, 0)]);
        assert_eq!(asker(waiters.pop_first(b"b")), Some(by(3, 0)));
        assert_nothing_is_left(&mut waiters);
    }
}
