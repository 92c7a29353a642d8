//! The list of all queues, by slots. It grows by chunks, so that no queue is ever moved and no growth takes longer than
//! another.

use std::mem;

use crate::queue::Queue;
use crate::queue::table::{Slot, UNKNOWN_SLOT};

/// Slots of a chunk: some 140 KB, which are made in some 50 us.
const CHUNK_SLOTS: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 10;

/// A slot. A free one names the next, so that the list of those needs no memory of its own.
#[derive(Debug)]
enum Entry {
    Used(Queue),
    Free { next: Slot },
}

// A million empty queues cost this and their tables.
const _: () = assert!(size_of::<Entry>() == size_of::<Queue>() && size_of::<Queue>() == 144);

/// Queues, each in a slot that it keeps.
#[derive(Debug)]
pub(crate) struct Slots {
    /// Arrays behind one pointer each: that is the shortest way to a queue.
    chunks: Vec<Box<[Entry; CHUNK_SLOTS]>>,
    /// Slots that were ever used; those behind them are in no list.
    len: Slot,
    used: usize,
    /// The first of the free ones; [`UNKNOWN_SLOT`]: there are none.
    free: Slot,
}

impl Default for Slots {
    fn default() -> Slots {
        Slots { chunks: Vec::new(), len: 0, used: 0, free: UNKNOWN_SLOT }
    }
}

fn chunk_of(slot: Slot) -> (usize, usize) {
    ((slot >> CHUNK_BITS) as usize, slot as usize % CHUNK_SLOTS)
}

fn new_chunk() -> Box<[Entry; CHUNK_SLOTS]> {
    let entries: Vec<Entry> = (0..CHUNK_SLOTS).map(|_| Entry::Free { next: UNKNOWN_SLOT }).collect();
    entries.try_into().expect("so many entries")
}

impl Slots {
    /// How many queues there are.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The number of slots, in use or free.
    pub(crate) fn len(&self) -> Slot {
        self.len
    }

    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> Option<&Queue> {
        let (chunk, at) = chunk_of(slot);
        match &self.chunks.get(chunk)?[at] {
            Entry::Used(queue) => Some(queue),
            Entry::Free { .. } => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Queue> {
        let (chunk, at) = chunk_of(slot);
        match &mut self.chunks.get_mut(chunk)?[at] {
            Entry::Used(queue) => Some(queue),
            Entry::Free { .. } => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Queue> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).filter_map(|entry| match entry {
            Entry::Used(queue) => Some(queue),
            Entry::Free { .. } => None,
        })
    }

    /// Puts a queue into a slot.
    pub(crate) fn add(&mut self, queue: Queue) -> Slot {
        self.used += 1;
        if self.free != UNKNOWN_SLOT {
            let slot = self.free;
            match self.entry(slot) {
                Entry::Free { next } => self.free = *next,
                Entry::Used(_) => unreachable!("it is in the list of the free ones"),
            }
            *self.entry(slot) = Entry::Used(queue);
            return slot;
        }
        let slot = self.len;
        assert!(slot < UNKNOWN_SLOT, "fewer than 2^32 queues");
        self.len += 1;
        if chunk_of(slot).0 == self.chunks.len() {
            self.chunks.push(new_chunk());
        }
        *self.entry(slot) = Entry::Used(queue);
        slot
    }

    /// Takes the queue out of a slot that is in use.
    pub(crate) fn remove(&mut self, slot: Slot) -> Queue {
        let next = self.free;
        let Entry::Used(queue) = mem::replace(self.entry(slot), Entry::Free { next }) else {
            panic!("slot {slot} is not in use");
        };
        self.free = slot;
        self.used -= 1;
        queue
    }

    fn entry(&mut self, slot: Slot) -> &mut Entry {
        let (chunk, at) = chunk_of(slot);
        &mut self.chunks[chunk][at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(slots: &Slots) -> Vec<u64> {
        slots.iter().map(|queue| queue.id).collect()
    }

    #[test]
    fn no_queue_is_moved_when_more_come() {
        let mut slots = Slots::default();
        assert_eq!((slots.used(), slots.len()), (0, 0));
        let mut places = Vec::new();
        for id in 0..10 * CHUNK_SLOTS as u64 {
            let slot = slots.add(Queue::new(id, b"q", 0));
            assert_eq!((u64::from(slot), slots.len()), (id, slot + 1));
            places.push(std::ptr::from_ref(slots.get(slot).expect("just added")));
        }
        let now = (0..slots.len()).map(|slot| std::ptr::from_ref(slots.get(slot).expect("none was removed")));
        assert!(now.eq(places));
    }

    #[test]
    fn slots_are_used_again() {
        let mut slots = Slots::default();
        for id in 0..5 {
            slots.add(Queue::new(id, b"q", 0));
        }
        assert_eq!(slots.remove(1).id, 1);
        assert_eq!(slots.remove(3).id, 3);
        assert_eq!((slots.used(), slots.len(), ids(&slots)), (3, 5, vec![0, 2, 4]));
        assert!(slots.get(1).is_none() && slots.get_mut(3).is_none() && slots.get(5).is_none());
        let again: Vec<Slot> = (10..13).map(|id| slots.add(Queue::new(id, b"q", 0))).collect();
        assert_eq!(again, [3, 1, 5]);
        assert_eq!((slots.used(), ids(&slots)), (6, vec![0, 11, 2, 10, 4, 12]));
    }
}
