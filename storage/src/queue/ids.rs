//! What puts were called, of all queues: a second put of the same queue and name is the same put once more. Each is
//! remembered until its time is over, however many messages came and went since.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use crate::log::entry::{QueueId, id_bytes};

/// Ids that a store remembers at most: some 150 MB.
const IDS_MAX: usize = 1_000_000;

/// What is remembered of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// It is forgotten from this second since 1970 on.
    pub(crate) until_s: u32,
    /// The segment of the entry that says so.
    pub(crate) segment: u32,
}

type Tokens = BTreeMap<Arc<[u8]>, Remembered>;

/// The ids that are remembered.
#[derive(Debug)]
pub(crate) struct Ids {
    by_queue: BTreeMap<QueueId, Tokens>,
    /// By when they end.
    ends: BTreeSet<(u32, QueueId, Arc<[u8]>)>,
    /// Of queues that are gone, which still count as live in the log.
    forgotten: VecDeque<(QueueId, Tokens)>,
    /// As many as there may be; a test has fewer.
    pub(crate) max: usize,
}

impl Default for Ids {
    fn default() -> Ids {
        Ids { by_queue: BTreeMap::new(), ends: BTreeSet::new(), forgotten: VecDeque::new(), max: IDS_MAX }
    }
}

/// An entry of an id in the log that is no longer needed: its segment, and its bytes.
pub(crate) type Needless = (u32, usize);

impl Ids {
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether no more may be remembered.
    pub(crate) fn is_full(&self) -> bool {
        self.ends.len() >= self.max
    }

    pub(crate) fn get(&self, queue: QueueId, token: &[u8]) -> Option<Remembered> {
        self.by_queue.get(&queue)?.get(token).copied()
    }

    /// Remembers an id, in place of what was remembered of it.
    pub(crate) fn set(&mut self, queue: QueueId, token: &[u8], remembered: Remembered) -> Option<Needless> {
        let before = self.remove(queue, token);
        let token: Arc<[u8]> = token.into();
        self.ends.insert((remembered.until_s, queue, Arc::clone(&token)));
        self.by_queue.entry(queue).or_default().insert(token, remembered);
        before
    }

    fn remove(&mut self, queue: QueueId, token: &[u8]) -> Option<Needless> {
        let tokens = self.by_queue.get_mut(&queue)?;
        let (token, Remembered { until_s, segment }) = tokens.remove_entry(token)?;
        if tokens.is_empty() {
            self.by_queue.remove(&queue);
        }
        let bytes = id_bytes(token.len());
        self.ends.remove(&(until_s, queue, token));
        Some((segment, bytes))
    }

    /// When the first of them ends, in seconds since 1970.
    pub(crate) fn next_end_s(&self) -> Option<u32> {
        self.ends.first().map(|(until_s, ..)| *until_s)
    }

    /// Forgets the first that has ended by this second; `None`: none has. What goes with its queue is not needless yet.
    pub(crate) fn forget_ended(&mut self, second: u32) -> Option<Option<Needless>> {
        self.ends.first().filter(|(until_s, ..)| *until_s <= second)?;
        let (_, queue, token) = self.ends.pop_first().expect("just looked");
        Some(self.remove(queue, &token))
    }

    /// Has the ids of a queue be none any more. They are given back [one by one](Self::give_back).
    pub(crate) fn forget_queue(&mut self, queue: QueueId) {
        self.forgotten.extend(self.by_queue.remove(&queue).map(|tokens| (queue, tokens)));
    }

    /// Whether there is something to give back.
    pub(crate) fn has_forgotten(&self) -> bool {
        !self.forgotten.is_empty()
    }

    /// Gives back one of the ids of queues that are gone.
    pub(crate) fn give_back(&mut self) -> Option<Needless> {
        let (queue, tokens) = self.forgotten.front_mut()?;
        let (token, Remembered { until_s, segment }) = tokens.pop_first().expect("no list is empty");
        let bytes = id_bytes(token.len());
        self.ends.remove(&(until_s, *queue, token));
        if tokens.is_empty() {
            self.forgotten.pop_front();
        }
        Some((segment, bytes))
    }

    /// Calls `each` with the ids behind one, in the order of queues and tokens: so many at most. Returns how many.
    pub(crate) fn behind(
        &self,
        (queue, token): (QueueId, &[u8]),
        limit: usize,
        mut each: impl FnMut(QueueId, &[u8], Remembered),
    ) -> usize {
        let mut left = limit;
        for (its_queue, tokens) in self.by_queue.range(queue..) {
            let behind = if *its_queue == queue { Bound::Excluded(token) } else { Bound::Unbounded };
            for (token, it) in tokens.range::<[u8], _>((behind, Bound::Unbounded)).take(left) {
                each(*its_queue, token, *it);
                left -= 1;
            }
            if left == 0 {
                break;
            }
        }
        limit - left
    }

    /// The segments of all entries of ids that are needed, and their bytes.
    pub(crate) fn needed(&self) -> impl Iterator<Item = (u32, usize)> {
        self.by_queue.values().flatten().map(|(token, id)| (id.segment, id_bytes(token.len())))
    }

    /// The ids of a queue.
    pub(crate) fn of_queue(&self, queue: QueueId) -> impl Iterator<Item = (&[u8], Remembered)> {
        self.by_queue.get(&queue).into_iter().flatten().map(|(token, it)| (&**token, *it))
    }

    /// Keeps the ids for which this says so, of the queue and of what is remembered.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(QueueId, Remembered) -> bool) {
        let Ids { by_queue, ends, .. } = self;
        by_queue.retain(|queue, tokens| {
            tokens.retain(|token, it| {
                let keeps = keeps(*queue, *it);
                if !keeps {
                    ends.remove(&(it.until_s, *queue, Arc::clone(token)));
                }
                keeps
            });
            !tokens.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered(until_s: u32, segment: u32) -> Remembered {
        Remembered { until_s, segment }
    }

    #[test]
    fn an_id_is_remembered_until_it_ends_or_its_queue_goes() {
        let mut ids = Ids { max: 4, ..Ids::default() };
        assert_eq!(ids.set(1, b"a", remembered(50, 1)), None);
        assert_eq!(ids.set(1, b"bb", remembered(30, 1)), None);
        assert_eq!(ids.set(2, b"a", remembered(40, 1)), None);
        assert!(!ids.is_full());
        assert_eq!(ids.set(2, b"c", remembered(45, 2)), None);
        assert!(ids.is_full());
        assert_eq!(ids.set(1, b"a", remembered(60, 3)), Some((1, id_bytes(1))), "the one before is needless");
        assert_eq!((ids.get(1, b"a"), ids.get(3, b"a"), ids.get(1, b"x")), (Some(remembered(60, 3)), None, None));
        assert_eq!((ids.next_end_s(), ids.forget_ended(29)), (Some(30), None));
        assert_eq!((ids.forget_ended(30), ids.forget_ended(30)), (Some(Some((1, id_bytes(2)))), None));
        ids.forget_queue(2);
        assert!(ids.get(2, b"a").is_none() && ids.has_forgotten());
        assert_eq!((ids.give_back(), ids.give_back()), (Some((1, id_bytes(1))), Some((2, id_bytes(1)))));
        assert!(ids.give_back().is_none() && !ids.has_forgotten());
        assert_eq!(ids.forget_ended(60), Some(Some((3, id_bytes(1)))));
        assert!(ids.is_empty() && ids.by_queue.is_empty());
    }

    /// One that ends while it is given back is given back once.
    #[test]
    fn what_is_forgotten_with_its_queue_does_not_end_as_well() {
        let mut ids = Ids::default();
        ids.set(1, b"a", remembered(50, 1));
        ids.forget_queue(1);
        assert_eq!(ids.forget_ended(60), Some(None));
        assert_eq!((ids.forget_ended(60), ids.give_back()), (None, Some((1, id_bytes(1)))));
        assert!(ids.is_empty());
    }

    #[test]
    fn all_are_listed_a_few_at_a_time() {
        let mut ids = Ids::default();
        let all: Vec<(QueueId, Vec<u8>)> = (1..6).flat_map(|queue| (0..7).map(move |n| (queue, vec![n + 1]))).collect();
        for (queue, token) in &all {
            ids.set(*queue, token, remembered(9, 1));
        }
        for step in 1..10 {
            let mut listed: Vec<(QueueId, Vec<u8>)> = vec![(0, Vec::new())];
            loop {
                let (queue, token) = listed.last().cloned().unwrap_or_default();
                let before = listed.len();
                let count = ids.behind((queue, &token), step, |queue, token, _| listed.push((queue, token.to_vec())));
                assert_eq!(count, listed.len() - before);
                if count < step {
                    break;
                }
            }
            assert_eq!(listed[1..], all);
        }
        ids.retain(|queue, _| queue == 3);
        assert_eq!(ids.of_queue(3).count(), 7);
        assert_eq!((ids.of_queue(2).count(), ids.ends.len()), (0, 7));
    }
}
