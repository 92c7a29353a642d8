//! All queues of a shard: found by name, by id, and in an order that a long listing can follow.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::entry::QueueId;
use crate::queue::Queue;

/// Where a queue stands in the list of all queues; stable for the queue's life.
pub(crate) type Slot = u32;

/// The queues of a shard.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    slots: Vec<Option<Queue>>,
    free: Vec<Slot>,
    by_name: HashTable<Slot>,
    by_id: HashMap<QueueId, Slot>,
    /// Seeded at random: clients choose the names, and must not be able to choose collisions.
    hasher: RandomState,
}

impl Queues {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<Slot> {
        let hash = self.hasher.hash_one(name);
        let slots = &self.slots;
        self.by_name.find(hash, |&slot| slots[slot as usize].as_ref().is_some_and(|q| *q.name == *name)).copied()
    }

    pub(crate) fn find_id(&self, id: QueueId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    /// The queue in a slot that [`find`](Self::find) or [`add`](Self::add) gave.
    pub(crate) fn at(&self, slot: Slot) -> &Queue {
        self.slots[slot as usize].as_ref().expect("the slot is in use")
    }

    pub(crate) fn at_mut(&mut self, slot: Slot) -> &mut Queue {
        self.slots[slot as usize].as_mut().expect("the slot is in use")
    }

    /// The queue in any slot below [`slots`](Self::slots), if it is in use.
    pub(crate) fn get(&self, slot: Slot) -> Option<&Queue> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Queue> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// The number of slots, in use or free.
    pub(crate) fn slots(&self) -> Slot {
        self.slots.len() as Slot
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Queue> {
        self.slots.iter().flatten()
    }

    /// Adds a queue whose name and id are new.
    pub(crate) fn add(&mut self, queue: Queue) -> Slot {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                Slot::try_from(self.slots.len() - 1).expect("fewer than 2^32 queues")
            }
        };
        let hash = self.hasher.hash_one(&*queue.name);
        let before = self.by_id.insert(queue.id, slot);
        assert!(before.is_none(), "queue ids are never reused");
        self.slots[slot as usize] = Some(queue);
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.by_name.insert_unique(hash, slot, |&slot| {
            hasher.hash_one(&*slots[slot as usize].as_ref().expect("the slot is in use").name)
        });
        slot
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Queue {
        let queue = self.slots[slot as usize].take().expect("the slot is in use");
        let hash = self.hasher.hash_one(&*queue.name);
        let entry = self.by_name.find_entry(hash, |&other| other == slot).expect("every queue is found by its name");
        entry.remove();
        self.by_id.remove(&queue.id);
        self.free.push(slot);
        queue
    }
}
