//! Routing between shards, as plain state: what waits to be sent to whom, what is under way, and where the outcomes go.
//!
//! Each connection has a [`GatherId`]. Its operations for other shards go into the outbox of their shard, together with
//! those of all other connections of this turn, and an outbox leaves as one batch. A batch costs a credit until it comes
//! back. So at most [`CREDITS`] batches are ever on the way to a peer, and what has no credit waits in the outbox and makes
//! the next batch larger. Outcomes that come back in a batch of their own, before or after that with which they were sent,
//! cost nothing: an operation that waits for the disk holds no credit.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;
use std::time::Instant;

use crate::op::{Op, Outcome};
use crate::owner::ShardId;
use crate::routing::batch::{Address, Batch};

/// Batches that may be under way to one shard.
pub const CREDITS: usize = 4;
/// What a channel from one shard to another holds: requests, answers to the other's, and as much again for answers that
/// come back in parts. What does not fit is kept and sent later.
pub const CHANNEL_BATCHES: usize = 4 * CREDITS;
/// Buffers of a batch that have grown beyond this are not kept.
const BATCH_BYTES_KEPT: usize = 1 << 20;

/// Names the outcomes that one connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GatherId(pub(crate) u32);

#[derive(Debug, Default)]
struct Gather {
    /// In the order of their operations; `None`: not there yet.
    outcomes: VecDeque<Option<Outcome>>,
    missing: usize,
    waker: Option<Waker>,
    /// The connection is gone; the slot is free once nothing is missing.
    closed: bool,
}

#[derive(Debug)]
struct Peer {
    outbox: Batch,
    /// How many batches more may be under way.
    credits: usize,
    /// Buffers for the next batches.
    spare: Vec<Batch>,
}

/// A shard's side of the traffic with all others.
#[derive(Debug)]
pub struct Router {
    me: ShardId,
    peers: Vec<Peer>,
    gathers: Vec<Gather>,
    free: Vec<u32>,
    /// Operations in outboxes or under way.
    missing: usize,
}

impl Router {
    /// The router of shard `me` out of `shards`.
    #[must_use]
    pub fn new(me: ShardId, shards: u16) -> Router {
        let peer = |_| Peer { outbox: Batch::default(), credits: CREDITS, spare: Vec::new() };
        let peers = (0..shards).map(peer).collect();
        Router { me, peers, gathers: Vec::new(), free: Vec::new(), missing: 0 }
    }

    /// Opens a place for a connection's outcomes.
    pub fn open(&mut self) -> GatherId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.gathers.push(Gather::default());
            self.gathers.len() as u32 - 1
        });
        GatherId(id)
    }

    /// Closes it. What is still missing is thrown away when it comes.
    pub fn close(&mut self, id: GatherId) {
        let gather = &mut self.gathers[id.0 as usize];
        gather.closed = true;
        gather.waker = None;
        self.reclaim(id.0);
    }

    fn reclaim(&mut self, id: u32) {
        let gather = &mut self.gathers[id as usize];
        if gather.closed && gather.missing == 0 {
            *gather = Gather::default();
            self.free.push(id);
        }
    }

    /// Adds an operation to the outbox of another shard. Its outcome comes in turn from [`next_outcome`](Self::next_outcome).
    pub fn push(&mut self, id: GatherId, to: ShardId, op: Op<'_>) {
        assert_ne!(to, self.me, "a shard applies its own operations itself");
        let gather = &mut self.gathers[id.0 as usize];
        let slot = gather.outcomes.len() as u32;
        gather.outcomes.push_back(None);
        gather.missing += 1;
        self.missing += 1;
        self.peers[to.index()].outbox.push(Address { gather: id, slot }, op);
    }

    /// Notes when the operation that was pushed last, to this shard, had been read from its client.
    pub fn note_read(&mut self, to: ShardId, at: Instant) {
        self.peers[to.index()].outbox.note_read(at);
    }

    /// The next batch for a shard, if there is something to send and a credit for it.
    pub fn next_batch(&mut self, to: ShardId) -> Option<Batch> {
        let peer = &mut self.peers[to.index()];
        if peer.outbox.is_empty() {
            return None;
        }
        peer.credits = peer.credits.checked_sub(1)?;
        let empty = peer.spare.pop().unwrap_or_default();
        let mut batch = mem::replace(&mut peer.outbox, empty);
        batch.has_credit = true;
        Some(batch)
    }

    /// Takes a batch that came back, takes back its credit, and wakes the connections that have all their outcomes now.
    pub fn deliver(&mut self, from: ShardId, mut batch: Batch) {
        for (address, outcome) in batch.outcomes() {
            let gather = &mut self.gathers[address.gather.0 as usize];
            gather.missing -= 1;
            self.missing -= 1;
            if gather.closed {
                self.reclaim(address.gather.0);
                continue;
            }
            let before = gather.outcomes[address.slot as usize].replace(outcome);
            assert_eq!(before, None, "an operation has one outcome");
            if gather.missing == 0
                && let Some(waker) = gather.waker.take()
            {
                waker.wake();
            }
        }
        if mem::take(&mut batch.has_credit) {
            let peer = &mut self.peers[from.index()];
            peer.credits += 1;
            assert!(peer.credits <= CREDITS, "a credit comes back once");
            batch.clear(BATCH_BYTES_KEPT);
            peer.spare.push(batch);
        }
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
        Some(gather.outcomes.pop_front()?.expect("none is missing"))
    }

    /// Whether no operation is in an outbox or under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.missing == 0
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
            batch.answer(Some(Outcome::Message(message)));
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
            router.push(id, ShardId(to), Op::Take { queue: queue.as_bytes() });
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
            router.push(id, OTHER, Op::Take { queue: b"q" });
            under_way.push(router.next_batch(OTHER).expect("a credit"));
        }
        for _ in 0..100 {
            router.push(id, OTHER, Op::Take { queue: b"q" });
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
        router.push(quick, OTHER, Op::Take { queue: b"quick" });
        router.push(slow, OTHER, Op::Take { queue: b"slow" });
        let mut batch = echo(router.next_batch(OTHER).expect("a credit"));
        let late = batch.split_off(std::slice::from_ref(&(1..2)));
        router.deliver(OTHER, batch);
        assert_eq!(bodies(&mut router, quick), [b"quick"]);
        for _ in 0..CREDITS {
            router.push(quick, OTHER, Op::Take { queue: b"q" });
            assert!(router.next_batch(OTHER).is_some(), "all credits are there");
        }
        assert!(!router.is_complete(slow, Waker::noop()) && !router.is_idle());
        router.deliver(OTHER, late);
        assert_eq!(bodies(&mut router, slow), [b"slow"]);
    }

    #[test]
    fn a_connection_that_left_gets_nothing_and_its_place_is_used_again() {
        let mut router = Router::new(ME, 2);
        let id = router.open();
        router.push(id, OTHER, Op::Take { queue: b"late" });
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
