//! Routing between shards, as plain state: what waits to be sent to whom, what is under way, and where the outcomes go.
//!
//! Each connection has a [`GatherId`]. Its operations for other shards go into the outbox of their shard, together with
//! those of all other connections of this turn, and an outbox leaves as one batch, for a [credit](super::credits).
//! Outcomes that come back in a batch of their own, before or after that with which they were sent, cost nothing: an
//! operation that waits, for the disk or for a message, holds no credit.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;
use std::time::Instant;

use crate::client::{Address, Asker, Client, GatherId};
use crate::op::Op;
use crate::outcome::Outcome;
use crate::owner::ShardId;
use crate::routing::batch::Batch;
use crate::routing::credits::Peer;

/// An outcome's place.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Missing,
    /// The outcome of a wait is missing. It may take its time, so the router is idle without it.
    Waits,
    Here(Outcome),
}

#[derive(Debug, Default)]
struct Gather {
    /// The connection's client, if there is a connection.
    client: Client,
    /// In the order of their operations.
    outcomes: VecDeque<Place>,
    missing: usize,
    waker: Option<Waker>,
    /// The connection is gone; the slot is free once nothing is missing.
    closed: bool,
    /// Shards to which something was sent that stays open there until the client is gone.
    open_on: Vec<ShardId>,
}

impl Gather {
    #[inline]
    fn asker(&self, id: GatherId) -> Asker {
        Asker { client: self.client, address: Address { gather: id, slot: self.outcomes.len() as u32 } }
    }

    #[inline]
    fn expect(&mut self, place: Place) {
        self.outcomes.push_back(place);
        self.missing += 1;
    }

    fn note_open_on(&mut self, shard: ShardId) {
        if !self.open_on.contains(&shard) {
            self.open_on.push(shard);
        }
    }
}

/// A shard's side of the traffic with all others.
#[derive(Debug)]
pub struct Router {
    me: ShardId,
    peers: Vec<Peer>,
    gathers: Vec<Gather>,
    free: Vec<u32>,
    /// How many clients there have been.
    clients: u64,
    /// Outcomes that have not come, and how many of them are those of waits.
    missing: usize,
    waits: usize,
}

impl Router {
    /// The router of shard `me` out of `shards`.
    #[must_use]
    pub fn new(me: ShardId, shards: u16) -> Router {
        let peers = (0..shards).map(|_| Peer::new()).collect();
        Router { me, peers, gathers: Vec::new(), free: Vec::new(), clients: 0, missing: 0, waits: 0 }
    }

    /// Which shard this is.
    #[must_use]
    pub fn me(&self) -> ShardId {
        self.me
    }

    /// Opens a place for a connection's outcomes, and gives its client a ticket.
    pub fn open(&mut self) -> GatherId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.gathers.push(Gather::default());
            self.gathers.len() as u32 - 1
        });
        self.clients += 1;
        self.gathers[id as usize].client = Client::new(self.me, self.clients);
        GatherId(id)
    }

    /// Closes it. What is still missing is thrown away when it comes. The shards where the client may have something open
    /// are told by an operation that goes the way that everything else went, so it comes behind all that.
    pub fn close(&mut self, id: GatherId) {
        let by = self.asker(id);
        let gather = &mut self.gathers[id.0 as usize];
        gather.closed = true;
        gather.waker = None;
        for to in mem::take(&mut gather.open_on) {
            gather.missing += 1;
            self.missing += 1;
            self.peers[to.index()].outbox.push(by, &Op::Leave);
        }
        self.reclaim(id.0);
    }

    fn reclaim(&mut self, id: u32) {
        let gather = &mut self.gathers[id as usize];
        if gather.closed && gather.missing == 0 {
            *gather = Gather::default();
            self.free.push(id);
        }
    }

    /// The client of a connection, and where its next outcome goes that does not come at once.
    #[inline]
    #[must_use]
    pub fn asker(&self, id: GatherId) -> Asker {
        self.gathers[id.0 as usize].asker(id)
    }

    /// Makes the place for the next outcome of a connection, the one that [`asker`](Self::asker) names: that of a wait on
    /// this shard.
    pub(crate) fn expect_wait(&mut self, id: GatherId) {
        self.gathers[id.0 as usize].expect(Place::Waits);
        self.missing += 1;
        self.waits += 1;
    }

    /// Adds an operation to the outbox of another shard. `read_at`: when it was read from its
    /// client. Its outcome will be the next of [`next_outcome`](Self::next_outcome).
    ///
    /// # Panics
    /// When `to` is this shard: it applies its own operations itself.
    pub fn push(&mut self, id: GatherId, to: ShardId, op: &Op<'_>, read_at: Option<Instant>) {
        assert_ne!(to, self.me, "a shard applies its own operations itself");
        let gather = &mut self.gathers[id.0 as usize];
        let by = gather.asker(id);
        self.missing += 1;
        if op.stays_open() {
            gather.note_open_on(to);
        }
        if op.may_wait() {
            self.waits += 1;
            gather.expect(Place::Waits);
        } else {
            gather.expect(Place::Missing);
        }
        let outbox = &mut self.peers[to.index()].outbox;
        outbox.push(by, op);
        if let Some(read_at) = read_at {
            outbox.note_read(read_at);
        }
    }

    /// The next batch for a shard, if there is something to send and a credit for it.
    pub fn next_batch(&mut self, to: ShardId) -> Option<Batch> {
        self.peers[to.index()].next_batch()
    }

    /// Takes a batch that came back, takes back its credit, and wakes the connections that have all their outcomes now.
    pub fn deliver(&mut self, from: ShardId, mut batch: Batch) {
        for (address, outcome) in batch.outcomes() {
            let gather = &mut self.gathers[address.gather.0 as usize];
            gather.missing -= 1;
            self.missing -= 1;
            // A client that leaves has no place for the outcome of that.
            if let Some(place) = gather.outcomes.get_mut(address.slot as usize) {
                match place {
                    Place::Missing => {}
                    Place::Waits => self.waits -= 1,
                    Place::Here(_) => panic!("an operation has one outcome"),
                }
                *place = Place::Here(outcome);
            }
            if gather.closed {
                self.reclaim(address.gather.0);
                continue;
            }
            if gather.missing == 0
                && let Some(waker) = gather.waker.take()
            {
                waker.wake();
            }
        }
        self.peers[from.index()].take_back(batch);
    }

    /// Whether all outcomes of a connection are there; if not, `waker` is woken when they are.
    pub fn is_complete(&mut self, id: GatherId, waker: &Waker) -> bool {
        let gather = &mut self.gathers[id.0 as usize];
        if gather.missing > 0 {
            gather.waker = Some(waker.clone());
        }
        gather.missing == 0
    }

    /// Takes the first outcome of a connection, in the order in which the operations were pushed. `None`: it has no more.
    ///
    /// # Panics
    /// When some are missing.
    pub fn next_outcome(&mut self, id: GatherId) -> Option<Outcome> {
        let gather = &mut self.gathers[id.0 as usize];
        assert_eq!(gather.missing, 0, "the caller waits for all of them");
        match gather.outcomes.pop_front()? {
            Place::Here(outcome) => Some(outcome),
            Place::Missing | Place::Waits => unreachable!("none is missing"),
        }
    }

    /// Whether no operation is in an outbox or under way. Waits do not count: they may stand in their lines.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.missing == self.waits && self.peers.iter().all(Peer::is_idle)
    }

    /// All other shards.
    pub fn others(&self) -> impl Iterator<Item = ShardId> + use<> {
        let me = self.me;
        (0..self.peers.len() as u16).map(ShardId).filter(move |shard| *shard != me)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use storage::Taken;

    use super::*;
    use crate::moment::Moment;
    use crate::op::{Holding, Open};
    use crate::outcome::Answer;
    use crate::routing::credits::CREDITS;

    const ME: ShardId = ShardId(0);
    const OTHER: ShardId = ShardId(1);

    #[derive(Default)]
    struct CountingWaker(AtomicUsize);

    impl Wake for CountingWaker {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Answers each take with a message that has the queue's name as its body.
    fn echo(mut batch: Batch) -> Batch {
        while let Some((_, op)) = batch.next() {
            let Op::Take { queue } = op else { panic!("{op:?} was not sent") };
            let message = Taken { seq: 1, flags: 0, body: queue.into() };
            batch.answer(Answer::Now(Outcome::Message(message)));
        }
        batch
    }

    fn bodies(router: &mut Router, id: GatherId) -> Vec<Vec<u8>> {
        let body = |outcome| match outcome {
            Outcome::Message(taken) => taken.body.into_vec(),
            other => panic!("{other:?} was not answered"),
        };
        std::iter::from_fn(|| router.next_outcome(id)).map(body).collect()
    }

    #[test]
    fn outcomes_find_their_connection_in_the_order_of_its_operations() {
        let mut router = Router::new(ME, 3);
        let (a, b) = (router.open(), router.open());
        for (id, to, queue) in [(a, 1, "a1"), (b, 1, "b1"), (a, 2, "a2"), (a, 1, "a3"), (b, 2, "b2")] {
            router.push(id, ShardId(to), &Op::Take { queue: queue.as_bytes() }, None);
        }
        let waker = Arc::new(CountingWaker::default());
        assert!(!router.is_complete(a, &waker.clone().into()));
        let first = router.next_batch(ShardId(1)).expect("something to send");
        let second = router.next_batch(ShardId(2)).expect("something to send");
        assert_eq!((first.len(), second.len()), (3, 2), "one batch holds what all connections have for a shard");
        router.deliver(ShardId(2), echo(second));
        assert_eq!(waker.0.load(Ordering::Relaxed), 0, "not all of them are there");
        router.deliver(ShardId(1), echo(first));
        assert_eq!(waker.0.load(Ordering::Relaxed), 1);
        assert_eq!(bodies(&mut router, a), [b"a1", b"a2", b"a3"]);
        assert_eq!(bodies(&mut router, b), [b"b1", b"b2"]);
        assert!(router.is_idle());
    }

    #[test]
    fn credits_bound_what_is_under_way_and_come_back() {
        let mut router = Router::new(ME, 2);
        let id = router.open();
        let mut under_way = Vec::new();
        for _ in 0..CREDITS {
            router.push(id, OTHER, &Op::Take { queue: b"q" }, None);
            under_way.push(router.next_batch(OTHER).expect("a credit"));
        }
        for _ in 0..100 {
            router.push(id, OTHER, &Op::Take { queue: b"q" }, None);
        }
        assert!(router.next_batch(OTHER).is_none(), "no credit is left");
        // They may come back in any order.
        router.deliver(OTHER, echo(under_way.remove(2)));
        let waited = router.next_batch(OTHER).expect("the credit that came back");
        assert_eq!(waited.len(), 100, "what waited goes as one batch");
        under_way.push(waited);
        under_way.into_iter().for_each(|batch| router.deliver(OTHER, echo(batch)));
        assert_eq!(bodies(&mut router, id).len(), 100 + CREDITS);
        assert!(router.is_idle());
    }

    /// Otherwise four operations that wait for the disk would keep all others of the two shards waiting.
    #[test]
    fn what_comes_back_apart_holds_no_credit() {
        let mut router = Router::new(ME, 2);
        let (quick, slow) = (router.open(), router.open());
        router.push(quick, OTHER, &Op::Take { queue: b"quick" }, None);
        router.push(slow, OTHER, &Op::Take { queue: b"slow" }, None);
        let mut batch = echo(router.next_batch(OTHER).expect("a credit"));
        let late = batch.split_off(std::slice::from_ref(&(1..2)));
        router.deliver(OTHER, batch);
        assert_eq!(bodies(&mut router, quick), [b"quick"]);
        for _ in 0..CREDITS {
            router.push(quick, OTHER, &Op::Take { queue: b"q" }, None);
            assert!(router.next_batch(OTHER).is_some(), "all credits are there");
        }
        assert!(!router.is_complete(slow, Waker::noop()) && !router.is_idle());
        router.deliver(OTHER, late);
        assert_eq!(bodies(&mut router, slow), [b"slow"]);
    }

    #[test]
    fn a_place_is_used_again_and_a_ticket_is_not() {
        let mut router = Router::new(ME, 2);
        let mut tickets = Vec::new();
        for _ in 0..3 {
            let id = router.open();
            assert_eq!(id, GatherId(0), "the place of the one that left");
            tickets.push(router.asker(id).client);
            router.close(id);
        }
        assert!(tickets.iter().all(|client| client.shard() == ME));
        tickets.dedup();
        assert_eq!(tickets.len(), 3);
    }

    #[test]
    fn the_shards_that_have_something_open_are_told_and_no_others() {
        let mut router = Router::new(ME, 3);
        let id = router.open();
        let wait = Op::TakeWait { queue: b"q", until: Moment::EPOCH };
        router.push(id, ShardId(1), &Op::Take { queue: b"q" }, None);
        router.push(id, ShardId(2), &wait, None);
        let holder = Holding::Connection { max: 1 };
        let open = Open { queue: b"q", holder, lease_s: None, close: false, until: None };
        router.push(id, ShardId(2), &Op::Open(open), None);
        let client = router.asker(id).client;
        router.close(id);
        let mut ops = Vec::new();
        for to in [ShardId(1), ShardId(2)] {
            let mut batch = router.next_batch(to).expect("something to send");
            while let Some((by, op)) = batch.next() {
                assert_eq!(by.client, client);
                ops.push((to.0, op == Op::Leave));
                batch.answer(Answer::Now(Outcome::Empty));
            }
            assert!(!router.is_idle());
            router.deliver(to, batch);
        }
        assert_eq!(ops, [(1, false), (2, false), (2, false), (2, true)], "once, and behind all that was sent");
        assert!(router.is_idle());
        assert_eq!(router.open(), id, "its place is free");
    }

    #[test]
    fn a_connection_that_left_gets_nothing_and_its_place_is_used_again() {
        let mut router = Router::new(ME, 2);
        let id = router.open();
        router.push(id, OTHER, &Op::Take { queue: b"late" }, None);
        let batch = router.next_batch(OTHER).expect("something to send");
        router.close(id);
        let next = router.open();
        assert_ne!(next, id, "its outcome is still missing");
        router.deliver(OTHER, echo(batch));
        assert!(router.is_idle());
        assert_eq!(router.next_outcome(next), None);
        assert_eq!(router.open(), id);
    }
}
