//! All queues of a shard: found by name, by id, and in an order that a long listing can follow.

use std::fmt::Debug;
use std::hash::{BuildHasher, Hasher};
use std::mem;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::log::entry::QueueId;
use crate::queue::Queue;
use crate::queue::slots::Slots;

/// Where a queue stands in the list of all queues; stable for the queue's life.
pub(crate) type Slot = u32;
/// In place of a slot that is not known.
pub(crate) const UNKNOWN_SLOT: Slot = Slot::MAX;

/// Tables that make up a [`Parts`]. With sixteen million queues, one of them that grows has a quarter of a million
/// entries to move: some milliseconds.
const PARTS: usize = 64;
/// An odd number near 2^64 divided by the golden ratio: multiplied by it, consecutive numbers spread (Knuth, The Art of
/// Computer Programming, 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The queues of a shard.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    slots: Slots,
    by_name: Parts<Named>,
    by_id: Parts<Numbered>,
    /// Seeded at random: clients choose the names, and must not be able to choose collisions.
    hasher: DefaultHashBuilder,
}

/// A queue in the table by name. The hash spares a look at the queue, a cache miss, for each that is not meant, and for all
/// when the table grows.
#[derive(Debug, Clone, Copy)]
struct Named {
    hash: u32,
    slot: Slot,
}

/// A queue in the table by id.
#[derive(Debug, Clone, Copy)]
struct Numbered {
    id: QueueId,
    slot: Slot,
}

/// What an entry of a table is found by.
trait Hashed {
    fn hash(&self) -> u64;
}

impl Hashed for Named {
    fn hash(&self) -> u64 {
        spread(self.hash)
    }
}

impl Hashed for Numbered {
    fn hash(&self) -> u64 {
        hash_id(self.id)
    }
}

/// Clients do not choose the ids, so no seed is needed.
fn hash_id(id: QueueId) -> u64 {
    let hash = id.wrapping_mul(GOLDEN);
    hash ^ (hash >> 32)
}

/// hashbrown takes a bucket from the low bits, and a tag from the seven highest.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(GOLDEN) ^ u64::from(hash)
}

/// A hash table in parts, so that the growth of a large one is many short pauses and not a long one.
#[derive(Debug)]
struct Parts<T>(Vec<HashTable<T>>);

impl<T> Default for Parts<T> {
    fn default() -> Parts<T> {
        Parts((0..PARTS).map(|_| HashTable::new()).collect())
    }
}

impl<T: Hashed + Debug> Parts<T> {
    fn part(hash: u64) -> usize {
        // Bits that choose neither the bucket within the part nor the tag.
        (hash >> 40) as usize % PARTS
    }

    fn find(&self, hash: u64, is: impl FnMut(&T) -> bool) -> Option<&T> {
        self.0[Parts::<T>::part(hash)].find(hash, is)
    }

    /// Adds an entry.
    ///
    /// # Panics
    /// When `is` finds it there.
    fn insert(&mut self, entry: T, is: impl FnMut(&T) -> bool) {
        let hash = entry.hash();
        match self.0[Parts::<T>::part(hash)].entry(hash, is, T::hash) {
            Entry::Vacant(vacant) => mem::drop(vacant.insert(entry)),
            Entry::Occupied(occupied) => panic!("{:?} is there already", occupied.get()),
        }
    }

    fn remove(&mut self, hash: u64, is: impl FnMut(&T) -> bool) {
        let found = self.0[Parts::<T>::part(hash)].find_entry(hash, is);
        found.expect("every queue is found by its name and by its id").remove();
    }
}

impl Queues {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.used()
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<Slot> {
        let hash = self.hash_name(name);
        let is = |named: &Named| named.hash == hash && *self.at(named.slot).name == *name;
        self.by_name.find(spread(hash), is).map(|named| named.slot)
    }

    fn hash_name(&self, name: &[u8]) -> u32 {
        // Without the length in front, which `hash_one` adds to tell several slices in a row apart.
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name);
        hasher.finish() as u32
    }

    pub(crate) fn find_id(&self, id: QueueId) -> Option<Slot> {
        self.by_id.find(hash_id(id), |numbered| numbered.id == id).map(|numbered| numbered.slot)
    }

    /// The queue of this id, which may be in `slot`.
    pub(crate) fn by_id(&self, id: QueueId, slot: Slot) -> Option<&Queue> {
        let there = self.get(slot).filter(|queue| queue.id == id);
        there.or_else(|| self.find_id(id).map(|slot| self.at(slot)))
    }

    /// The queue in a slot that [`find`](Self::find) or [`add`](Self::add) gave.
    pub(crate) fn at(&self, slot: Slot) -> &Queue {
        self.slots.get(slot).expect("the slot is in use")
    }

    pub(crate) fn at_mut(&mut self, slot: Slot) -> &mut Queue {
        self.slots.get_mut(slot).expect("the slot is in use")
    }

    /// The queue in any slot below [`slots`](Self::slots), if it is in use.
    pub(crate) fn get(&self, slot: Slot) -> Option<&Queue> {
        self.slots.get(slot)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Queue> {
        self.slots.get_mut(slot)
    }

    /// The number of slots, in use or free.
    pub(crate) fn slots(&self) -> Slot {
        self.slots.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Queue> {
        self.slots.iter()
    }

    /// Adds a queue whose name and id are new.
    pub(crate) fn add(&mut self, queue: Queue) -> Slot {
        let hash = self.hash_name(&queue.name);
        let slot = self.add_unnamed(queue);
        self.by_name.insert(Named { hash, slot }, |named| named.slot == slot);
        slot
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Queue {
        let queue = self.slots.remove(slot);
        self.by_name.remove(spread(self.hash_name(&queue.name)), |named| named.slot == slot);
        self.by_id.remove(hash_id(queue.id), |numbered| numbered.slot == slot);
        queue
    }
}

/// What only recovery does: it knows queues by their ids, and of some it never learns the name.
impl Queues {
    /// Adds a queue whose id is new, and which is not found by its name before [`name_all`](Self::name_all).
    pub(crate) fn add_unnamed(&mut self, queue: Queue) -> Slot {
        let id = queue.id;
        let slot = self.slots.add(queue);
        self.by_id.insert(Numbered { id, slot }, |numbered| numbered.id == id);
        slot
    }

    /// Removes a queue that is not found by its name, if it is there.
    pub(crate) fn remove_unnamed(&mut self, id: QueueId) {
        if let Some(slot) = self.find_id(id) {
            self.by_id.remove(hash_id(id), |numbered| numbered.slot == slot);
            self.slots.remove(slot);
        }
    }

    /// Makes all queues found by their names, all of which are different.
    pub(crate) fn name_all(&mut self) {
        // As many as fall to each, by chance a few more.
        let each = self.len() / PARTS;
        self.by_name.0.iter_mut().for_each(|part| part.reserve(each + each / 16, Named::hash));
        for slot in 0..self.slots() {
            if let Some(queue) = self.get(slot) {
                let hash = self.hash_name(&queue.name);
                self.by_name.insert(Named { hash, slot }, |named| named.slot == slot);
            }
        }
    }
}
