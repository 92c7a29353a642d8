//! What is open on a shard, and what holds it: by the number of the lease, by its holder, and by when it ends.
//!
//! The store has the messages, and which of them are out; it has no idea of who has them. A lease is small, since there may
//! be a million of them, and it is opened and closed for the cost of a look, as long as there are few.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use storage::{QueueId, Seq};

use crate::client::Client;
use crate::engine::chunks::{Chunks, Keyed};
use crate::engine::lease::{Deadline, Holder, Lease, NO_END, OfClient, Packed};
use crate::engine::opened::OpenedTimes;
use crate::moment::Moment;

/// All leases of a shard.
#[derive(Debug)]
pub(crate) struct Leases {
    by_number: Chunks<Packed>,
    /// The oldest of each queue.
    by_client: Chunks<OfClient>,
    /// The others, where a client has several of a queue: their numbers and messages. And how many it has then.
    others: BTreeMap<(Client, QueueId, u64), Seq>,
    counts: BTreeMap<(Client, QueueId), u32>,
    by_deadline: Chunks<Deadline>,
    /// The numbers of those that names hold, and their names.
    by_name: BTreeMap<(QueueId, Arc<[u8]>), u64>,
    names: BTreeMap<u64, Arc<[u8]>>,
    opened: OpenedTimes,
}

impl Leases {
    pub(crate) fn new() -> Leases {
        Leases {
            by_number: Chunks::new(),
            by_client: Chunks::new(),
            others: BTreeMap::new(),
            counts: BTreeMap::new(),
            by_deadline: Chunks::new(),
            by_name: BTreeMap::new(),
            names: BTreeMap::new(),
            opened: OpenedTimes::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Adds a lease. `name`: what holds it, if it is a name. `has_others`: it is a client that does, and that holds others of
    /// the same queue.
    ///
    /// # Panics
    /// When its number, or its queue and name, are those of another one.
    pub(crate) fn open(&mut self, lease: Lease, name: Option<&[u8]>, has_others: bool) {
        let Lease { number, queue, .. } = lease;
        let until = lease.until.filter(|until| until.ms() != NO_END);
        debug_assert_eq!(name.is_some(), lease.holder == Holder::Name);
        self.by_number.insert(Packed::of(lease));
        if let Some(until) = until {
            self.by_deadline.insert(Deadline { until, number });
        }
        if let Holder::Client(client) = lease.holder {
            if has_others {
                *self.counts.entry((client, queue)).or_insert(1) += 1;
                self.others.insert((client, queue, number), lease.seq);
            } else {
                self.by_client.insert(OfClient { client, queue, number, seq: lease.seq });
            }
        }
        if let Some(name) = name {
            let name: Arc<[u8]> = name.into();
            let before = self.by_name.insert((queue, Arc::clone(&name)), number);
            assert!(before.is_none(), "a name holds two messages of a queue");
            self.names.insert(number, name);
        }
    }

    /// Ends a lease.
    pub(crate) fn close(&mut self, number: u64) -> Option<Lease> {
        let lease = self.by_number.remove(number)?.lease();
        if let Some(until) = lease.until {
            self.by_deadline.remove((until, number));
        }
        match lease.holder {
            Holder::Client(client) => {
                if self.others.is_empty() || !self.close_of_several(client, lease.queue, number) {
                    self.by_client.remove((client, lease.queue));
                }
            }
            Holder::Name => {
                let name = self.names.remove(&number).expect("it is held by a name");
                self.by_name.remove(&(lease.queue, name));
            }
            Holder::Number => {}
        }
        Some(lease)
    }

    /// Ends a lease of a client that has several of the queue. `false`: it has only this one.
    #[cold]
    fn close_of_several(&mut self, client: Client, queue: QueueId, number: u64) -> bool {
        let Entry::Occupied(mut count) = self.counts.entry((client, queue)) else { return false };
        *count.get_mut() -= 1;
        if *count.get() == 1 {
            count.remove();
        }
        if self.others.remove(&(client, queue, number)).is_none() {
            // It was the oldest: the next one is now.
            let (key, seq) = self
                .others
                .range((client, queue, 0)..)
                .next()
                .map(|(key, seq)| (*key, *seq))
                .expect("there are others");
            self.others.remove(&key);
            let oldest = self.by_client.get_mut((client, queue)).expect("it has several");
            (oldest.number, oldest.seq) = (key.2, seq);
        }
        true
    }

    /// Ends the only lease that a client has of a queue, and adds another of the same: for less than one after the other.
    pub(crate) fn replace(&mut self, client: Client, number: u64, lease: Lease) {
        let until = lease.until.filter(|until| until.ms() != NO_END);
        let before = self.by_number.remove(number).expect("it is there").lease();
        debug_assert_eq!((before.holder, before.queue), (Holder::Client(client), lease.queue));
        debug_assert_eq!(lease.holder, before.holder);
        if let Some(until) = before.until {
            self.by_deadline.remove((until, number));
        }
        self.by_number.insert(Packed::of(lease));
        if let Some(until) = until {
            self.by_deadline.insert(Deadline { until, number: lease.number });
        }
        let oldest = self.by_client.get_mut((client, lease.queue)).expect("it holds it");
        (oldest.number, oldest.seq) = (lease.number, lease.seq);
    }

    /// Sets when a lease ends, and returns it as it is then.
    pub(crate) fn renew(&mut self, number: u64, until: Option<Moment>) -> Option<Lease> {
        let until = until.filter(|until| until.ms() != NO_END);
        let packed = self.by_number.get_mut(number)?;
        let before = packed.lease().until;
        *packed = Packed::of(Lease { until, ..packed.lease() });
        let lease = packed.lease();
        if let Some(before) = before {
            self.by_deadline.remove((before, number));
        }
        if let Some(until) = until {
            self.by_deadline.insert(Deadline { until, number });
        }
        Some(lease)
    }

    /// The lease of this number.
    pub(crate) fn get(&self, number: u64) -> Option<Lease> {
        Some(self.by_number.get(number)?.lease())
    }

    /// The leases from a number on, in order.
    pub(crate) fn from(&self, number: u64) -> impl Iterator<Item = Lease> {
        self.by_number.from(number).map(Packed::lease)
    }

    /// What name holds a lease.
    pub(crate) fn name_of(&self, number: u64) -> Option<&[u8]> {
        self.names.get(&number).map(|name| &**name)
    }

    /// Notes that a lease is opened now.
    #[inline]
    pub(crate) fn note_opened(&mut self, number: u64, now: Moment) {
        self.opened.note(number, now);
    }

    /// When a lease was opened, to the second, and less exactly when that is long ago; `None`: it is not known.
    pub(crate) fn opened_at(&self, number: u64) -> Option<Moment> {
        self.opened.of(number)
    }

    /// Forgets when leases were opened that are all closed.
    pub(crate) fn forget_opened(&mut self) {
        self.opened.forget_below(self.by_number.first().map_or(u64::MAX, Keyed::key));
    }

    /// The lease of this number, or the one that follows it.
    pub(crate) fn first_from(&self, number: u64) -> Option<Lease> {
        Some(self.by_number.first_from(number)?.lease())
    }

    /// The one that a name holds of a queue.
    pub(crate) fn named(&self, queue: QueueId, name: &[u8]) -> Option<Lease> {
        if self.by_name.is_empty() {
            return None;
        }
        // A key that is borrowed from two places cannot be looked up.
        self.get(*self.by_name.get(&(queue, name.into()))?)
    }

    /// The oldest that a client holds of a queue.
    #[inline]
    pub(crate) fn first_of(&self, client: Client, queue: QueueId) -> Option<Lease> {
        self.get(self.oldest_of(client, queue)?.0)
    }

    /// The number and the message of the oldest that a client holds of a queue.
    #[inline]
    pub(crate) fn oldest_of(&self, client: Client, queue: QueueId) -> Option<(u64, Seq)> {
        let oldest = self.by_client.get((client, queue))?;
        Some((oldest.number, oldest.seq))
    }

    /// The number and the message of the one that a client holds of a queue; `None`: it holds none, or several.
    #[inline]
    pub(crate) fn only_of(&self, client: Client, queue: QueueId) -> Option<(u64, Seq)> {
        let is_only = self.counts.is_empty() || !self.counts.contains_key(&(client, queue));
        if is_only { self.oldest_of(client, queue) } else { None }
    }

    /// How many a client holds of a queue.
    #[inline]
    pub(crate) fn count_of(&self, client: Client, queue: QueueId) -> u32 {
        if !self.counts.is_empty()
            && let Some(count) = self.counts.get(&(client, queue))
        {
            return *count;
        }
        u32::from(self.oldest_of(client, queue).is_some())
    }

    /// Whether a client holds anything.
    #[inline]
    pub(crate) fn holds_any(&self, client: Client) -> bool {
        self.by_client.first_from((client, 0)).is_some_and(|first| first.client == client)
    }

    /// Tells how many the clients up to `to` hold of queues, from a client's of a queue on: up to `limit` times. Returns
    /// where to go on; `None` at the end.
    pub(crate) fn holders(
        &self,
        from: (Client, QueueId),
        to: Client,
        limit: usize,
        mut each: impl FnMut(Client, u64),
    ) -> Option<(Client, QueueId)> {
        let ((mut client, mut queue), mut told) = (from, 0);
        while let Some(first) = self.by_client.first_from((client, queue)).filter(|first| first.client <= to) {
            if told == limit {
                return Some((first.client, first.queue));
            }
            each(first.client, self.count_of(first.client, first.queue).into());
            (client, queue) = (first.client, first.queue + 1);
            told += 1;
        }
        None
    }

    /// One that a client holds, of any queue.
    #[inline]
    pub(crate) fn any_of(&self, client: Client) -> Option<Lease> {
        let first = self.by_client.first_from((client, 0))?;
        if first.client == client { self.get(first.number) } else { None }
    }

    /// One that has ended `now`: the one that has for the longest.
    pub(crate) fn first_due(&self, now: Moment) -> Option<Lease> {
        let first = self.by_deadline.first().filter(|first| first.until <= now)?;
        self.get(first.number)
    }

    /// When the first ends.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.by_deadline.first().map(|first| first.until)
    }
}

#[cfg(test)]
mod tests;
