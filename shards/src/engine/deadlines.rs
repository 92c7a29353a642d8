//! What is to happen when, as plain code: the engine asks what is due, and the pump sleeps until the next of it.
//!
//! Trees, and no hash table or heap: nothing is ever moved to another place in one piece, however many deadlines there are.

use std::collections::{BTreeMap, BTreeSet};

use crate::moment::Moment;

/// A deadline for each of some keys.
#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    /// In the order in which they come due; those of the same moment by their keys.
    order: BTreeSet<(Moment, K)>,
    moments: BTreeMap<K, Moment>,
}

impl<K: Copy + Ord> Deadlines<K> {
    pub(crate) fn new() -> Deadlines<K> {
        Deadlines { order: BTreeSet::new(), moments: BTreeMap::new() }
    }

    /// Sets the deadline of a key, in place of the one that it had.
    pub(crate) fn set(&mut self, key: K, at: Moment) {
        if let Some(before) = self.moments.insert(key, at) {
            self.order.remove(&(before, key));
        }
        self.order.insert((at, key));
    }

    /// Takes the deadline of a key away, if it has one.
    pub(crate) fn cancel(&mut self, key: K) {
        if let Some(at) = self.moments.remove(&key) {
            self.order.remove(&(at, key));
        }
    }

    /// Takes a key whose deadline is `now` or before: the one that has been due the longest. The caller takes as many as it
    /// does in one piece.
    pub(crate) fn pop_due(&mut self, now: Moment) -> Option<K> {
        let (at, key) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.cancel(key);
        Some(key)
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Moment> {
        self.order.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random and are the same every time.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % n
        }
    }

    fn due(deadlines: &mut Deadlines<u64>, now: Moment, limit: usize) -> Vec<u64> {
        std::iter::from_fn(|| deadlines.pop_due(now)).take(limit).collect()
    }

    /// Held against a plain list that is searched from one end to the other.
    #[test]
    fn deadlines_are_what_a_plain_list_says() {
        for seed in 0..200 {
            let mut numbers = Numbers(seed);
            let (mut deadlines, mut list, mut now) = (Deadlines::new(), Vec::<(Moment, u64)>::new(), Moment::EPOCH);
            for _ in 0..300 {
                let key = numbers.below(20);
                match numbers.below(8) {
                    0..4 => {
                        let at = now.after_ms(numbers.below(50));
                        deadlines.set(key, at);
                        list.retain(|(_, other)| *other != key);
                        list.push((at, key));
                    }
                    4 => {
                        deadlines.cancel(key);
                        list.retain(|(_, other)| *other != key);
                    }
                    _ => {
                        now = now.after_ms(numbers.below(20));
                        let limit = numbers.below(4) as usize;
                        list.sort_unstable();
                        let first = list.iter().take_while(|(at, _)| *at <= now).take(limit).count();
                        let expected: Vec<u64> = list.drain(..first).map(|(_, key)| key).collect();
                        assert_eq!(due(&mut deadlines, now, limit), expected, "seed {seed}");
                    }
                }
                assert_eq!(deadlines.next(), list.iter().map(|(at, _)| *at).min(), "seed {seed}");
            }
            list.sort_unstable();
            let left: Vec<u64> = list.into_iter().map(|(_, key)| key).collect();
            assert_eq!(due(&mut deadlines, now.after_ms(50), usize::MAX), left, "seed {seed}");
            assert!(deadlines.moments.is_empty() && deadlines.order.is_empty());
        }
    }
}
