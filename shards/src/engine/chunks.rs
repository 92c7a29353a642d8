//! Entries in the order of their keys, in chunks: what a tree is good for, at little more than the bytes of the entries.
//!
//! Keys that ascend fill one chunk after the other to the last place. Nothing is ever done that takes longer the more
//! entries there are, but for the search of a chunk. As long as all fit into one, there is no search, and nothing is
//! allocated.

use std::collections::BTreeMap;
use std::mem;

/// Entries of a full chunk: of 40 bytes each they are moved in some 50 ns.
const CHUNK_ENTRIES: usize = 64;
/// A chunk with no more than this is joined to a neighbour, if both together have at most [`JOINED_ENTRIES_MAX`].
const SPARSE_ENTRIES: usize = CHUNK_ENTRIES / 4;
const JOINED_ENTRIES_MAX: usize = CHUNK_ENTRIES / 2;

/// What has a key, which stays the same.
pub(crate) trait Keyed: Copy {
    type Key: Copy + Ord;

    fn key(&self) -> Self::Key;
}

/// Entries with different keys.
#[derive(Debug)]
pub(crate) struct Chunks<E: Keyed> {
    /// Each under a key that is no higher than its first, and higher than all before it. None is empty.
    lower: BTreeMap<E::Key, Vec<E>>,
    /// The last chunk. Where there are others its keys begin with the bound.
    last: Vec<E>,
    bound: Option<E::Key>,
    /// The memory of a chunk that was given up.
    spare: Vec<E>,
    len: usize,
}

impl<E: Keyed> Chunks<E> {
    pub(crate) fn new() -> Chunks<E> {
        Chunks { lower: BTreeMap::new(), last: Vec::new(), bound: None, spare: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn is_in_last(&self, key: E::Key) -> bool {
        self.bound.is_none_or(|bound| key >= bound)
    }

    /// Adds an entry.
    ///
    /// # Panics
    /// When there is one with its key.
    pub(crate) fn insert(&mut self, entry: E) {
        let key = entry.key();
        self.len += 1;
        if !self.is_in_last(key) {
            return self.insert_lower(entry);
        }
        if self.last.len() == CHUNK_ENTRIES {
            // What ascends leaves a full chunk behind, and all else two halves.
            let at = if self.last[CHUNK_ENTRIES - 1].key() < key { CHUNK_ENTRIES } else { CHUNK_ENTRIES / 2 };
            let mut upper = self.new_chunk();
            upper.extend(self.last.drain(at..));
            let bound = upper.first().map_or(key, Keyed::key);
            let full = mem::replace(&mut self.last, upper);
            self.lower.insert(full[0].key(), full);
            self.bound = Some(bound);
            if key < bound {
                return self.insert_lower(entry);
            }
        }
        if self.last.capacity() == 0 {
            self.last = self.new_chunk();
        }
        insert_into(&mut self.last, entry);
    }

    fn insert_lower(&mut self, entry: E) {
        let key = entry.key();
        if self.lower.first_key_value().is_some_and(|(first, _)| key < *first) {
            let (_, first) = self.lower.pop_first().expect("just looked at");
            self.lower.insert(key, first);
        }
        let (_, chunk) = self.lower.range_mut(..=key).next_back().expect("the first begins with it at the latest");
        if chunk.len() < CHUNK_ENTRIES {
            return insert_into(chunk, entry);
        }
        let mut upper = mem::take(&mut self.spare);
        upper.reserve_exact(CHUNK_ENTRIES);
        upper.extend(chunk.drain(CHUNK_ENTRIES / 2..));
        let bound = upper[0].key();
        insert_into(if key < bound { chunk } else { &mut upper }, entry);
        self.lower.insert(bound, upper);
    }

    fn new_chunk(&mut self) -> Vec<E> {
        let mut chunk = mem::take(&mut self.spare);
        chunk.reserve_exact(CHUNK_ENTRIES);
        chunk
    }

    /// The entry with this key.
    pub(crate) fn get(&self, key: E::Key) -> Option<&E> {
        let chunk = if self.is_in_last(key) { &self.last } else { self.lower.range(..=key).next_back()?.1 };
        chunk.get(find(chunk, key).ok()?)
    }

    /// The entry with this key. Its key must stay the same.
    pub(crate) fn get_mut(&mut self, key: E::Key) -> Option<&mut E> {
        let chunk = if self.is_in_last(key) { &mut self.last } else { self.lower.range_mut(..=key).next_back()?.1 };
        let at = find(chunk, key).ok()?;
        chunk.get_mut(at)
    }

    /// The first entry whose key is this one or higher.
    pub(crate) fn first_from(&self, key: E::Key) -> Option<&E> {
        if !self.is_in_last(key) {
            let chunk = self.lower.range(..=key).next_back().map(|(_, chunk)| chunk);
            let entry = chunk.and_then(|chunk| chunk.get(find(chunk, key).unwrap_or_else(|at| at)));
            // In the chunk all may be lower; those that follow have none that is.
            let entry = entry.or_else(|| self.lower.range(key..).next()?.1.first());
            return entry.or_else(|| self.last.first());
        }
        self.last.get(find(&self.last, key).unwrap_or_else(|at| at))
    }

    /// The entries whose keys are this one or higher, in order.
    pub(crate) fn from(&self, key: E::Key) -> impl Iterator<Item = &E> {
        let first = self.lower.range(..=key).next_back().map_or(key, |(bound, _)| *bound);
        let lower = self.lower.range(first..).flat_map(|(_, chunk)| chunk);
        lower.chain(&self.last).skip_while(move |entry| entry.key() < key)
    }

    /// The entry with the lowest key.
    pub(crate) fn first(&self) -> Option<&E> {
        match self.lower.first_key_value() {
            Some((_, chunk)) => chunk.first(),
            None => self.last.first(),
        }
    }

    /// Takes the entry with this key out.
    pub(crate) fn remove(&mut self, key: E::Key) -> Option<E> {
        if self.is_in_last(key) {
            let at = find(&self.last, key).ok()?;
            self.len -= 1;
            return Some(self.last.remove(at));
        }
        let (bound, chunk) = self.lower.range_mut(..=key).next_back()?;
        let at = find(chunk, key).ok()?;
        let entry = chunk.remove(at);
        self.len -= 1;
        if chunk.len() <= SPARSE_ENTRIES {
            let (bound, entries) = (*bound, chunk.len());
            self.join(bound, entries);
        }
        Some(entry)
    }

    /// Gives up a chunk that is empty, or joins it to the one before or behind it.
    #[cold]
    fn join(&mut self, bound: E::Key, entries: usize) {
        let fits = |chunk: &Vec<E>| entries + chunk.len() <= JOINED_ENTRIES_MAX;
        let before = self.lower.range(..bound).next_back().filter(|(_, chunk)| fits(chunk)).map(|(bound, _)| *bound);
        let behind = self.lower.range(bound..).nth(1);
        if let (Some(before), 1..) = (before, entries) {
            let mut chunk = self.take_lower(bound);
            self.lower.get_mut(&before).expect("just found").append(&mut chunk);
            self.spare = chunk;
        } else if let Some((behind, chunk)) = behind
            && fits(chunk)
        {
            let behind = *behind;
            let mut chunk = self.take_lower(behind);
            self.lower.get_mut(&bound).expect("it is there").append(&mut chunk);
            self.spare = chunk;
        } else if behind.is_none() && fits(&self.last) {
            let chunk = self.take_lower(bound);
            self.last.splice(0..0, chunk.iter().copied());
            self.bound = Some(bound);
            self.spare = chunk;
            self.spare.clear();
        } else if entries == 0 {
            self.spare = self.take_lower(bound);
        }
        if self.lower.is_empty() {
            self.bound = None;
        }
    }

    fn take_lower(&mut self, bound: E::Key) -> Vec<E> {
        self.lower.remove(&bound).expect("the caller has found it")
    }
}

fn find<E: Keyed>(chunk: &[E], key: E::Key) -> Result<usize, usize> {
    chunk.binary_search_by_key(&key, Keyed::key)
}

fn insert_into<E: Keyed>(chunk: &mut Vec<E>, entry: E) {
    let key = entry.key();
    if chunk.last().is_none_or(|last| last.key() < key) {
        return chunk.push(entry);
    }
    match find(chunk, key) {
        Ok(_) => panic!("two entries have one key"),
        Err(at) => chunk.insert(at, entry),
    }
}

#[cfg(test)]
impl<E: Keyed> Chunks<E> {
    /// Bytes that are allocated, with what the allocator and the tree add to each chunk at most.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let chunks = self.lower.values().chain([&self.last, &self.spare]);
        let of_tree = 2 * (size_of::<E::Key>() + size_of::<Vec<E>>());
        chunks.map(|chunk| chunk.capacity() * size_of::<E>() + 16 + of_tree).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key, and what else an entry has.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Pair(u64, u64);

    impl Keyed for Pair {
        type Key = u64;

        fn key(&self) -> u64 {
            self.0
        }
    }

    /// Numbers that look random and are the same every time.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % n
        }
    }

    #[track_caller]
    fn assert_is_sound(chunks: &Chunks<Pair>, model: &BTreeMap<u64, u64>) {
        let mut all = Vec::new();
        for (bound, chunk) in &chunks.lower {
            assert!(!chunk.is_empty() && chunk.len() <= CHUNK_ENTRIES && *bound <= chunk[0].0);
            assert!(all.last().is_none_or(|last: &Pair| last.0 < *bound), "a bound is above what is before it");
            all.extend_from_slice(chunk);
        }
        assert!(chunks.bound.is_some() || chunks.lower.is_empty());
        assert!(all.last().is_none_or(|last| last.0 < chunks.bound.unwrap()));
        all.extend_from_slice(&chunks.last);
        assert!(all.iter().map(|pair| (&pair.0, &pair.1)).eq(model.iter()));
        assert_eq!((chunks.len(), chunks.is_empty()), (model.len(), model.is_empty()));
    }

    /// Held against a tree, with keys that ascend, that come in any order, and both.
    #[test]
    fn chunks_are_what_a_tree_is() {
        for seed in 0..60 {
            let mut numbers = Numbers(seed);
            let (mut chunks, mut model, mut next) = (Chunks::new(), BTreeMap::new(), 0);
            for step in 0..4000 {
                // It grows, and shrinks to nothing, again and again.
                let grows = step / 500 % 2 == 0;
                let any = numbers.below(next + 10);
                if numbers.below(10) < if grows { 7 } else { 3 } {
                    next += 1 + numbers.below(3);
                    let key = if seed % 3 == 0 || seed % 3 == 1 && numbers.below(2) == 0 { next } else { any };
                    if let std::collections::btree_map::Entry::Vacant(vacant) = model.entry(key) {
                        vacant.insert(step);
                        chunks.insert(Pair(key, step));
                    }
                } else {
                    let key = match numbers.below(3) {
                        0 => model.first_key_value().map_or(0, |(key, _)| *key),
                        1 => any,
                        _ => model.range(any..).next().map_or(0, |(key, _)| *key),
                    };
                    assert_eq!(chunks.remove(key), model.remove(&key).map(|value| Pair(key, value)));
                }
                let pair = |(key, value): (&u64, &u64)| Pair(*key, *value);
                assert_eq!(chunks.first_from(any).copied(), model.range(any..).next().map(pair), "seed {seed}");
                assert!(chunks.from(any).copied().take(200).eq(model.range(any..).map(pair).take(200)), "seed {seed}");
                assert_eq!(chunks.first().copied(), model.first_key_value().map(pair), "seed {seed}");
                assert_eq!(chunks.get(any).copied(), model.get_key_value(&any).map(pair), "seed {seed}");
                if let Some(entry) = chunks.get_mut(any) {
                    entry.1 += 1;
                    *model.get_mut(&any).unwrap() += 1;
                }
                if step % 50 == 0 {
                    assert_is_sound(&chunks, &model);
                }
            }
            assert_is_sound(&chunks, &model);
        }
    }

    #[test]
    fn entries_cost_little_more_than_themselves() {
        let mut chunks = Chunks::new();
        (0..100_000).for_each(|key| chunks.insert(Pair(key, 0)));
        assert!(chunks.allocated_bytes() < 100_000 * 18, "{} bytes", chunks.allocated_bytes());
        // Where most are gone, the memory of most is.
        assert!((0..100_000).filter(|key| key % 16 != 0).all(|key| chunks.remove(key).is_some()));
        assert!(chunks.allocated_bytes() < 100_000 * 18 / 3, "{} bytes", chunks.allocated_bytes());
        assert!((0..100_000).step_by(16).all(|key| chunks.remove(key).is_some()));
        assert!(chunks.is_empty() && chunks.allocated_bytes() < 4096);
    }

    /// A connection that opens and closes, again and again, allocates nothing.
    #[test]
    fn what_comes_and_goes_stays_in_one_piece_of_memory() {
        let mut chunks = Chunks::new();
        chunks.insert(Pair(0, 0));
        let memory = chunks.last.as_ptr();
        for key in 1..10_000 {
            chunks.insert(Pair(key, 0));
            assert!(chunks.remove(key - 1).is_some());
            assert_eq!((chunks.last.as_ptr(), chunks.lower.len()), (memory, 0));
        }
    }
}
