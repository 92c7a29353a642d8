//! Children of queues: which there are follows from the names of the queues that exist.

use std::collections::BTreeMap;

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::Purpose;
use crate::log::entry::record_bytes;
use crate::names;
use crate::queue::table::Slot;
use crate::store::Store;

/// Children of a queue at most.
pub const CHILDREN_MAX: usize = 256;

/// The children of all queues, whether those exist or not.
#[derive(Debug, Default)]
pub(crate) struct Families(BTreeMap<Box<[u8]>, Vec<Slot>>);

impl Families {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The children of a queue, in the order in which they were made or found.
    pub(crate) fn children(&self, queue: &[u8]) -> &[Slot] {
        self.0.get(queue).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, queue: &[u8], child: Slot) {
        match self.0.get_mut(queue) {
            Some(children) => children.push(child),
            None => drop(self.0.insert(queue.into(), vec![child])),
        }
    }

    fn remove(&mut self, queue: &[u8], child: Slot) {
        if let Some(children) = self.0.get_mut(queue) {
            children.retain(|slot| *slot != child);
            if children.is_empty() {
                self.0.remove(queue);
            }
        }
    }
}

impl Store {
    /// The stored names of a queue's children: at most [`CHILDREN_MAX`], unless an older build has made more.
    #[must_use]
    pub fn children(&self, queue: &[u8]) -> Vec<Box<[u8]>> {
        let children = self.families.children(queue).iter();
        children.map(|slot| (&*self.live.queues.at(*slot).name).into()).collect()
    }

    /// Makes a child of a queue that does not exist yet: from now on it has every message that is put into the queue, which
    /// need not exist. `Done(false)`: this is no child's name, or the child is there. `NoRoom` also stands for a queue that
    /// has as many children as it may have.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn make_child(&mut self, name: &[u8]) -> Result<Attempt<bool>> {
        if names::queue_of(name).is_none() || self.live.queues.find(name).is_some() {
            return Ok(Attempt::Done(false));
        }
        if self.has_too_many_siblings(name) {
            return Ok(Attempt::NoRoom);
        }
        let room = self.log.make_room(record_bytes(name, b""), Purpose::Set);
        if room.is_done() {
            self.create_queue(name);
        }
        Ok(room.map(|()| true))
    }

    /// Whether a queue of this name, which does not exist, would be one child too many.
    pub(super) fn has_too_many_siblings(&mut self, name: &[u8]) -> bool {
        let Some(queue) = names::queue_of(name) else { return false };
        let is_full = self.families.children(queue).len() >= CHILDREN_MAX;
        if is_full && self.complaints.children.is_due(self.log.now_ms) {
            let (queue, name) = (queue.escape_ascii(), names::shown(name));
            ::log::warn!(
                "queue \"{queue}\" has {CHILDREN_MAX} children, and gets no other: \"{}\" is not made",
                name.escape_ascii()
            );
        }
        is_full
    }

    /// Makes a new queue known to its children, or to the queue whose child it is.
    pub(super) fn join_family(&mut self, slot: Slot) {
        let name = self.live.queues.at(slot).name.clone();
        if let Some(queue) = names::queue_of(&name) {
            self.families.add(queue, slot);
            self.tell_children(queue);
        } else if !self.families.is_empty() {
            self.tell_children(&name);
        }
    }

    /// Has a queue that goes be no child any more.
    pub(super) fn leave_family(&mut self, slot: Slot) {
        let name = self.live.queues.at(slot).name.clone();
        if let Some(queue) = names::queue_of(&name) {
            self.families.remove(queue, slot);
            self.tell_children(queue);
        }
    }

    /// Tells a queue, if it is there, which children it has.
    fn tell_children(&mut self, queue: &[u8]) {
        if let Some(slot) = self.live.queues.find(queue) {
            let children = self.families.children(queue).to_vec();
            self.live.queues.at_mut(slot).set_children(children);
        }
    }

    /// Finds the children of all queues that recovery found.
    pub(super) fn find_families(&mut self) {
        for slot in 0..self.live.queues.slots() {
            if let Some(queue) = self.live.queues.get(slot).and_then(|queue| names::queue_of(&queue.name)) {
                self.families.add(queue, slot);
            }
        }
        let queues: Vec<Box<[u8]>> = self.families.0.keys().cloned().collect();
        queues.iter().for_each(|queue| self.tell_children(queue));
    }
}
