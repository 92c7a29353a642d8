//! A page of queues out of many: those that match, the first ones by some figure. It is looked for in pieces, and a piece
//! looks only at what decides: the name, and one figure. All figures are told of those that are on the page.

use std::cmp::Ordering;

use memchr::memmem::Finder;

use crate::names;
use crate::queue::Queue;
use crate::queue::table::Slot;
use crate::store::Store;
use crate::store::figures::QueueFigures;

/// Queues on a page at most.
pub const PAGE_LINES_MAX: u32 = 1000;
/// Slots that a piece of a search looks at: some 100 us.
const SLOTS_AT_ONCE: u32 = 4096;

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
    /// How old their oldest messages are. The key is one that does not change as time passes.
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

impl SortBy {
    /// All, in an order that stays: each is known by its place where it goes from one shard to another.
    pub const ALL: [SortBy; 11] = [
        SortBy::Name,
        SortBy::Waiting,
        SortBy::Open,
        SortBy::Delayed,
        SortBy::Dead,
        SortBy::Oldest,
        SortBy::In,
        SortBy::Out,
        SortBy::Bytes,
        SortBy::Waiters,
        SortBy::Children,
    ];
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
    /// Only those that come behind a queue of this [key](QueueFigures::sort_key) and stored name: the last one of the page
    /// before.
    pub behind: Option<(u64, &'a [u8])>,
    /// Only those that come before a queue of this key and stored name: the last one of a page that is full already.
    pub before: Option<(u64, &'a [u8])>,
    /// So many at most, and never more than [`PAGE_LINES_MAX`].
    pub limit: u32,
}

impl Search<'_> {
    /// How two queues, each a key and a stored name, stand to each other: the lesser comes first.
    #[inline]
    #[must_use]
    pub fn order(&self, a: (u64, &[u8]), b: (u64, &[u8])) -> Ordering {
        let by_key = if self.descending { b.0.cmp(&a.0) } else { a.0.cmp(&b.0) };
        by_key.then_with(|| match (self.sort, self.descending) {
            (SortBy::Name, true) => b.1.cmp(a.1),
            _ => a.1.cmp(b.1),
        })
    }

    #[inline]
    fn is_before(&self, a: (u64, &[u8]), b: (u64, &[u8])) -> bool {
        self.order(a, b) == Ordering::Less
    }

    /// How many lines a page has at most.
    #[must_use]
    pub fn lines_max(&self) -> usize {
        self.limit.min(PAGE_LINES_MAX) as usize
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

/// A queue that may be on the page.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    key: u64,
    name: &'a [u8],
    slot: Slot,
}

/// The best candidates of a piece.
struct Best<'a, 's> {
    search: &'s Search<'s>,
    /// Up to twice as many as are wanted, so that they are sorted out once for many that come.
    candidates: Vec<Candidate<'a>>,
    lines_max: usize,
    /// The last one that counts, once there are as many as are wanted.
    worst: Option<(u64, &'s [u8])>,
}

impl<'a: 's, 's> Best<'a, 's> {
    fn new(search: &'s Search<'s>) -> Best<'a, 's> {
        Best { search, candidates: Vec::new(), lines_max: search.lines_max(), worst: search.before }
    }

    #[inline]
    fn add(&mut self, key: u64, name: &'a [u8], slot: Slot) {
        let place = (key, name);
        let counts = self.worst.is_none_or(|worst| self.search.is_before(place, worst));
        if counts && self.search.behind.is_none_or(|behind| self.search.is_before(behind, place)) {
            self.candidates.push(Candidate { key, name, slot });
            if self.candidates.len() >= 2 * self.lines_max.max(16) {
                self.sort_out();
            }
        }
    }

    /// Lets those go that are not among the best.
    fn sort_out(&mut self) {
        if self.candidates.len() > self.lines_max {
            let Some(last) = self.lines_max.checked_sub(1) else { return self.candidates.clear() };
            let search = self.search;
            let (_, worst, _) =
                self.candidates.select_nth_unstable_by(last, |a, b| search.order((a.key, a.name), (b.key, b.name)));
            self.worst = Some((worst.key, worst.name));
            self.candidates.truncate(self.lines_max);
        }
    }

    /// The slots and keys of the best, in their order.
    fn finish(mut self) -> Vec<(Slot, u64)> {
        self.sort_out();
        let search = self.search;
        self.candidates.sort_unstable_by(|a, b| search.order((a.key, a.name), (b.key, b.name)));
        self.candidates.iter().map(|candidate| (candidate.slot, candidate.key)).collect()
    }
}

impl Store {
    /// Finds queues among some, from a cursor on: 0, or what the piece before said. `waiters`: how many clients wait for a
    /// message of a queue. Where none of the queues changes between the pieces and pages, each is found once.
    pub fn find(&mut self, cursor: u32, search: &Search<'_>, waiters: impl Fn(&[u8]) -> u64) -> Found {
        let end = self.live.queues.slots();
        let last = cursor.saturating_add(SLOTS_AT_ONCE).min(end);
        for slot in cursor..last {
            self.live.follow_flush(slot);
        }
        let mut rates = std::mem::take(&mut self.rates);
        rates.look(self.log.now_ms);
        let (mut best, mut matched) = (Best::new(search), 0);
        let matcher = Matcher::new(search.filter);
        let mut shown = Vec::new();
        for slot in cursor..last {
            let Some(queue) = self.live.queues.get(slot) else { continue };
            let rate = rates.sample(slot, queue);
            if matcher.matches(&queue.name, &mut shown) {
                matched += 1;
                let key = match search.sort {
                    SortBy::Name => 0,
                    SortBy::Waiting => queue.waiting(),
                    SortBy::Open => queue.delivery().map_or(0, |delivery| delivery.open),
                    SortBy::Delayed => queue.delivery().map_or(0, |delivery| delivery.delayed + delivery.dying),
                    SortBy::Dead => self.dead_letters_of(queue),
                    SortBy::Oldest => self.oldest_key(queue),
                    SortBy::In => rate.into_per_1000_s.into(),
                    SortBy::Out => rate.out_per_1000_s.into(),
                    SortBy::Bytes => queue.bytes,
                    SortBy::Waiters => waiters(&queue.name),
                    SortBy::Children => queue.children().len() as u64,
                };
                best.add(key, &queue.name, slot);
            }
        }
        let best = best.finish();
        self.rates = rates;
        let lines = best.into_iter().map(|(slot, key)| QueueFigures { sort_key: key, ..self.figures_of(slot) });
        Found { lines: lines.collect(), matched, next: (last < end).then_some(last) }
    }

    /// Messages among the dead letters of a queue.
    pub(super) fn dead_letters_of(&self, queue: &Queue) -> u64 {
        if self.live.sums.dead == 0 || names::is_dead(&queue.name) {
            return 0;
        }
        let dead = self.live.queues.find(&names::dead(&queue.name)).map(|slot| self.live.queues.at(slot));
        dead.filter(|dead| dead.epoch == self.live.epoch()).map_or(0, Queue::depth)
    }

    /// The higher the older the oldest message of a queue is; 0 when it has none.
    fn oldest_key(&self, queue: &Queue) -> u64 {
        let put_s = queue.head_message().map(|message| self.put_second(message.place));
        put_s.map_or(0, |put_s| u64::from(u32::MAX - put_s) + 1)
    }
}

/// Whether a name, as clients say it, contains some bytes.
struct Matcher<'a> {
    /// `None`: all names match.
    finder: Option<Finder<'a>>,
}

impl<'a> Matcher<'a> {
    fn new(filter: &'a [u8]) -> Matcher<'a> {
        Matcher { finder: (!filter.is_empty()).then(|| Finder::new(filter)) }
    }

    /// `shown`: memory that is used again for the next name.
    #[inline]
    fn matches(&self, name: &[u8], shown: &mut Vec<u8>) -> bool {
        let Some(finder) = &self.finder else { return true };
        // A name without a mark is what clients say.
        if memchr::memchr(b' ', name).is_none() {
            return finder.find(name).is_some();
        }
        shown.clear();
        names::show(name, shown);
        finder.find(shown).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_matches_as_clients_say_it() {
        let child = names::child(b"orders", b"mail");
        let dead = names::dead(&child);
        let mut shown = Vec::new();
        for (name, filter, matches) in [
            (&b"orders"[..], "", true),
            (b"orders", "orders", true),
            (b"orders", "der", true),
            (b"orders", "ordersx", false),
            (b"orders", "Ord", false),
            (&child, "orders+mail", true),
            (&child, "s+m", true),
            (&child, " ", false),
            (&dead, "mail/dead", true),
            (&dead, "mail dead", false),
            (&dead, "orders+mail/dead", true),
        ] {
            assert_eq!(Matcher::new(filter.as_bytes()).matches(name, &mut shown), matches, "{filter}");
        }
    }

    /// Held against all of them sorted.
    #[test]
    fn the_best_are_those_that_sorting_all_would_give() {
        let names: Vec<Vec<u8>> = (0..500u32).map(|n| format!("q{}", n * 7919 % 500).into_bytes()).collect();
        for (sort, descending) in
            [(SortBy::Name, false), (SortBy::Name, true), (SortBy::Bytes, false), (SortBy::Bytes, true)]
        {
            for limit in [0, 1, 5, 40, 600] {
                let search = Search { filter: b"", sort, descending, behind: None, before: None, limit };
                let key = |at: usize| if sort == SortBy::Name { 0 } else { at as u64 * 31 % 9 };
                let mut all: Vec<usize> = (0..names.len()).collect();
                all.sort_by(|a, b| search.order((key(*a), &names[*a]), (key(*b), &names[*b])));
                for (behind, before) in [(None, None), (Some(100), None), (None, Some(30)), (Some(100), Some(130))] {
                    let place = |nth: usize| (key(all[nth]), &*names[all[nth]]);
                    let search = Search { behind: behind.map(place), before: before.map(place), ..search };
                    let mut best = Best::new(&search);
                    names.iter().enumerate().for_each(|(at, name)| best.add(key(at), name, at as Slot));
                    let range = behind.map_or(0, |behind| behind + 1)..before.unwrap_or(all.len());
                    let expected = all[range].iter().take(limit as usize).map(|at| (*at as Slot, key(*at)));
                    assert_eq!(best.finish(), expected.collect::<Vec<_>>(), "{search:?}");
                }
            }
        }
    }
}
