//! A page of queues out of many: those that match, the first ones by some figure.

use std::cmp::Ordering;

use crate::names;
use crate::store::Store;
use crate::store::figures::QueueFigures;

/// What queues are sorted by. Of two that are the same in it, the one whose name is the lower comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// Their names, as they are stored.
    Name,
    /// Messages that are available.
    Waiting,
    /// Messages that are open.
    Open,
    /// Messages that are delayed.
    Delayed,
    /// Messages among their dead letters.
    Dead,
    /// How old their oldest messages are.
    Oldest,
    /// Messages put a second, of late.
    In,
    /// Messages that have left a second, of late.
    Out,
    /// Bytes of all bodies.
    Bytes,
    /// Clients that wait for a message.
    Waiters,
    /// Queues that have every message put into them.
    Children,
}

/// Which queues are found, and in what order they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search<'a> {
    /// What their names, as clients say them, contain. Empty: all match.
    pub filter: &'a [u8],
    /// What they are sorted by.
    pub sort: SortBy,
    /// Whether the highest comes first.
    pub descending: bool,
    /// Only those that come behind a queue of this key and stored name: the last one of the page before.
    pub behind: Option<(u64, &'a [u8])>,
    /// Only those that come before a queue of this key and stored name: the last one of a page that is full already.
    pub before: Option<(u64, &'a [u8])>,
    /// So many at most.
    pub limit: u32,
}

impl Search<'_> {
    /// How two queues, each a key and a stored name, stand to each other: the lesser is told first.
    #[must_use]
    pub fn order(&self, a: (u64, &[u8]), b: (u64, &[u8])) -> Ordering {
        let by_key = match self.descending {
            true => b.0.cmp(&a.0),
            false => a.0.cmp(&b.0),
        };
        match (self.sort, self.descending) {
            (SortBy::Name, true) => by_key.then_with(|| b.1.cmp(a.1)),
            _ => by_key.then_with(|| a.1.cmp(b.1)),
        }
    }

    fn comes_before(&self, a: (u64, &[u8]), b: (u64, &[u8])) -> bool {
        self.order(a, b) == Ordering::Less
    }
}

impl SortBy {
    fn key(self, line: &QueueFigures, waiters: impl Fn(&[u8]) -> u64) -> u64 {
        match self {
            SortBy::Name => 0,
            SortBy::Waiting => line.waiting,
            SortBy::Open => line.open,
            SortBy::Delayed => line.delayed,
            SortBy::Dead => line.dead,
            SortBy::Oldest => line.oldest_s,
            SortBy::In => line.in_per_1000_s,
            SortBy::Out => line.out_per_1000_s,
            SortBy::Bytes => line.bytes,
            SortBy::Waiters => waiters(&line.name),
            SortBy::Children => line.children,
        }
    }
}

/// What a piece of a search has found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The first ones of the piece, in their order.
    pub lines: Vec<QueueFigures>,
    /// How many of the piece have matched, whatever comes before or behind.
    pub matched: u64,
    /// Where the search goes on; `None` at its end.
    pub next: Option<u32>,
}

/// Slots that a piece of a search looks at.
const SLOTS_AT_ONCE: u32 = 2048;

impl Store {
    /// Finds queues among some, from a cursor on: 0, or what the piece before said. `waiters`: how many clients wait for a
    /// message of a queue.
    pub fn find(&mut self, cursor: u32, search: &Search<'_>, waiters: impl Fn(&[u8]) -> u64) -> Found {
        let end = self.live.queues.slots();
        let last = cursor.saturating_add(SLOTS_AT_ONCE).min(end);
        let mut found = Found { lines: Vec::new(), matched: 0, next: (last < end).then_some(last) };
        for slot in cursor..last {
            self.live.follow_flush(slot);
            let Some(queue) = self.live.queues.get(slot) else { continue };
            let shown = names::shown(&queue.name);
            let matches =
                search.filter.is_empty() || shown.windows(search.filter.len()).any(|window| window == search.filter);
            if !matches {
                continue;
            }
            found.matched += 1;
            let mut line = self.figures_of(slot);
            line.sort_key = search.sort.key(&line, &waiters);
            let place = (line.sort_key, &*line.name);
            if search.behind.is_none_or(|behind| search.comes_before(behind, place))
                && search.before.is_none_or(|before| search.comes_before(place, before))
            {
                found.lines.push(line);
            }
        }
        found.lines.sort_by(|a, b| search.order((a.sort_key, &a.name), (b.sort_key, &b.name)));
        found.lines.truncate(search.limit as usize);
        found
    }
}
