//! What is open on a shard, and what holds it: by the number of the lease, by its holder, and by when it ends.
//!
//! The store has the messages, and which of them are out; it has no idea of who has them. A lease is small, since there may
//! be a million of them, and it is opened and closed for the cost of a look, as long as there are few.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use storage::{QueueId, Seq};

use crate::client::Client;
use crate::engine::chunks::Chunks;
use crate::engine::lease::{Deadline, Holder, Lease, NO_END, OfClient, Packed};
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
mod tests {
    use super::*;
    use crate::owner::ShardId;

    /// Numbers that look random and are the same every time.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % n
        }
    }

    fn client(number: u64) -> Client {
        Client::new(ShardId(3), number)
    }

    /// A lease in a plain list, and the name that holds it.
    type Listed = (Lease, Option<Vec<u8>>);

    fn check(leases: &Leases, list: &[Listed], now: Moment, numbers: &mut Numbers) {
        let find = |f: &dyn Fn(&Listed) -> bool| list.iter().find(|listed| f(listed)).map(|(lease, _)| *lease);
        assert_eq!(leases.is_empty(), list.is_empty());
        let number = numbers.below(2000);
        assert_eq!(leases.get(number), find(&|(lease, _)| lease.number == number));
        assert_eq!(leases.first_from(number), find(&|(lease, _)| lease.number >= number));
        for queue in 0..3 {
            let name = [b'a' + numbers.below(3) as u8];
            let named = find(&|(lease, of)| lease.queue == queue && of.as_deref() == Some(&name));
            assert_eq!(leases.named(queue, &name), named);
        }
        for by in 0..3 {
            let holder = Holder::Client(client(by));
            assert_eq!(leases.any_of(client(by)).is_some(), list.iter().any(|(lease, _)| lease.holder == holder));
            for queue in 0..3 {
                let is_mine = |lease: &Lease| lease.holder == holder && lease.queue == queue;
                assert_eq!(leases.first_of(client(by), queue), find(&|(lease, _)| is_mine(lease)));
                let count = list.iter().filter(|(lease, _)| is_mine(lease)).count();
                assert_eq!(leases.count_of(client(by), queue) as usize, count);
            }
        }
        let (last, mut from) = (client(numbers.below(3)), Some((client(numbers.below(2)), 0)));
        let expected = list.iter().filter(|(lease, _)| match lease.holder {
            Holder::Client(client) => Some(client) >= from.map(|(client, _)| client) && client <= last,
            Holder::Name | Holder::Number => false,
        });
        let (expected, mut held) = (expected.count() as u64, 0);
        while let Some(next) = from {
            from = leases.holders(next, last, 1 + numbers.below(3) as usize, |_, count| held += count);
        }
        assert_eq!(held, expected);
        let first = list.iter().filter_map(|(lease, _)| Some((lease.until?, lease.number))).min();
        assert_eq!(leases.next_deadline(), first.map(|(until, _)| until));
        let due = first.filter(|(until, _)| *until <= now).map(|(_, number)| number);
        assert_eq!(leases.first_due(now).map(|lease| lease.number), due);
    }

    /// Held against a plain list that is searched from one end to the other.
    #[test]
    fn leases_are_what_a_plain_list_says() {
        for seed in 0..100 {
            let mut numbers = Numbers(seed);
            let (mut leases, mut list, mut next) = (Leases::new(), Vec::<Listed>::new(), 0);
            let mut now = Moment::from_ms(1000);
            for step in 0..1500 {
                let grows = step / 250 % 2 == 0;
                let any = list.get(numbers.below(list.len() as u64 + 1) as usize).map(|(lease, _)| lease.number);
                match numbers.below(10) {
                    0..3 => now = now.after_ms(numbers.below(20)),
                    n if n < if grows { 8 } else { 4 } => {
                        next += 1 + numbers.below(3);
                        let queue = numbers.below(3);
                        let name = vec![b'a' + numbers.below(3) as u8];
                        let (holder, name) = match numbers.below(4) {
                            0 if leases.named(queue, &name).is_none() => (Holder::Name, Some(name)),
                            1 => (Holder::Number, None),
                            _ => (Holder::Client(client(numbers.below(3))), None),
                        };
                        let until = (numbers.below(2) == 0).then(|| now.after_ms(numbers.below(100)));
                        let lease = Lease { number: next, queue, seq: numbers.below(9), until, holder };
                        let is_mine = |listed: &&Listed| (listed.0.holder, listed.0.queue) == (holder, queue);
                        let has_others =
                            matches!(holder, Holder::Client(_)) && list.iter().any(|listed| is_mine(&listed));
                        leases.open(lease, name.as_deref(), has_others);
                        list.push((lease, name));
                    }
                    8 if grows => {
                        let until = (numbers.below(3) > 0).then(|| now.after_ms(numbers.below(100)));
                        let number = any.unwrap_or(next + 1);
                        let listed = list.iter_mut().find(|(lease, _)| lease.number == number);
                        let renewed = listed.map(|(lease, _)| {
                            lease.until = until;
                            *lease
                        });
                        assert_eq!(leases.renew(number, until), renewed);
                    }
                    _ => {
                        let number = any.unwrap_or(next + 1);
                        let at = list.iter().position(|(lease, _)| lease.number == number);
                        assert_eq!(leases.close(number), at.map(|at| list.remove(at).0), "seed {seed}");
                    }
                }
                check(&leases, &list, now, &mut numbers);
            }
            for (lease, _) in list {
                assert_eq!(leases.close(lease.number), Some(lease));
            }
            assert!(leases.is_empty() && leases.by_client.is_empty() && leases.by_deadline.is_empty());
            assert!(leases.counts.is_empty() && leases.by_name.is_empty() && leases.names.is_empty());
        }
    }

    #[test]
    fn a_million_leases_with_deadlines_cost_some_56_bytes_each() {
        const MANY: usize = 1_000_000;
        let mut leases = Leases::new();
        for n in 0..MANY as u64 {
            let until = Some(Moment::from_ms(1_700_000_000_000 + n / 500));
            leases.open(
                Lease { number: n << 8 | 1, queue: n % 100, seq: n, until, holder: Holder::Number },
                None,
                false,
            );
        }
        let bytes = leases.by_number.allocated_bytes() + leases.by_deadline.allocated_bytes();
        assert!(bytes < MANY * 59, "{} bytes each", bytes as f64 / MANY as f64);
        // In the order in which they end.
        let mut ended = 0;
        while let Some(lease) = leases.first_due(Moment::from_ms(u64::MAX)) {
            assert_eq!((leases.close(lease.number), lease.seq), (Some(lease), ended));
            ended += 1;
        }
        assert_eq!(ended, MANY as u64);
    }
}
