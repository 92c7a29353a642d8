//! Routing between shards, as plain state: what waits to be sent to whom, what is under way, and where the outcomes go.
//!
//! Each connection has a [`GatherId`]. Its operations for other shards go into the outbox of their shard, together with
//! those of all other connections of this turn, and an outbox leaves as one batch. A batch costs a credit until it comes
//! back. So at most [`CREDITS`] batches and as many answers to the peer's are ever on the way to a peer, a channel of
//! [`CHANNEL_BATCHES`] is never full, and no shard ever waits to send: what has no credit waits in the outbox and makes
//! the next batch larger.

use std::task::Waker;
use std::time::Instant;

use crate::batch::Batch;
use crate::hash::ShardId;
use crate::op::{Op, Outcome};

/// Batches that may be under way to one shard.
pub const CREDITS: usize = 4;
/// What a channel from one shard to another must hold: requests, and answers to the other's.
pub const CHANNEL_BATCHES: usize = 2 * CREDITS;
/// Buffers of a batch that have grown beyond this are not kept.
const BATCH_BYTES_KEPT: usize = 1 << 20;

/// Names the outcomes that one connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatherId(u32);

/// Where an outcome goes: the connection, and which of its outcomes it is.
#[derive(Debug, Clone, Copy)]
struct Address {
    gather: u32,
    slot: u32,
}

#[derive(Debug, Default)]
struct Gather {
    outcomes: Vec<Option<Outcome>>,
    missing: usize,
    waker: Option<Waker>,
    /// The connection is gone; the slot is free once nothing is missing.
    closed: bool,
}

#[derive(Debug, Default)]
struct Peer {
    outbox: Batch,
    addresses: Vec<Address>,
    /// Addresses of the batches that are under way, by the batches' ids.
    under_way: Vec<Option<Vec<Address>>>,
    /// Buffers for the next batches.
    spare: Vec<(Batch, Vec<Address>)>,
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
        let peer = |_| Peer { under_way: (0..CREDITS).map(|_| None).collect(), ..Peer::default() };
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

    /// Adds an operation to the outbox of another shard. Its outcome will be the next in [`outcomes`](Self::outcomes).
    pub fn push(&mut self, id: GatherId, to: ShardId, op: Op<'_>) {
        assert_ne!(to, self.me, "a shard applies its own operations itself");
        let gather = &mut self.gathers[id.0 as usize];
        let slot = gather.outcomes.len() as u32;
        gather.outcomes.push(None);
        gather.missing += 1;
        self.missing += 1;
        let peer = &mut self.peers[to.index()];
        peer.outbox.push(op);
        peer.addresses.push(Address { gather: id.0, slot });
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
        let id = peer.under_way.iter().position(Option::is_none)?;
        let (empty, no_addresses) = peer.spare.pop().unwrap_or_default();
        let mut batch = std::mem::replace(&mut peer.outbox, empty);
        let addresses = std::mem::replace(&mut peer.addresses, no_addresses);
        batch.id = id as u32;
        peer.under_way[id] = Some(addresses);
        Some(batch)
    }

    /// Takes a batch that came back, gives the credit back, and wakes the connections that have all their outcomes now.
    pub fn deliver(&mut self, from: ShardId, mut batch: Batch) {
        let peer = &mut self.peers[from.index()];
        let mut addresses = peer.under_way[batch.id as usize].take().expect("it was sent, and comes back once");
        assert_eq!(batch.outcomes.len(), addresses.len(), "one outcome for each operation");
        for (address, outcome) in addresses.drain(..).zip(batch.outcomes.drain(..)) {
            let gather = &mut self.gathers[address.gather as usize];
            gather.missing -= 1;
            self.missing -= 1;
            if gather.closed {
                self.reclaim(address.gather);
                continue;
            }
            gather.outcomes[address.slot as usize] = Some(outcome);
            if gather.missing == 0
                && let Some(waker) = gather.waker.take()
            {
                waker.wake();
            }
        }
        batch.clear(BATCH_BYTES_KEPT);
        self.peers[from.index()].spare.push((batch, addresses));
    }

    /// Whether all outcomes of a connection are there; if not, `waker` is woken when they are.
    pub fn is_complete(&mut self, id: GatherId, waker: &Waker) -> bool {
        let gather = &mut self.gathers[id.0 as usize];
        if gather.missing > 0 {
            gather.waker = Some(waker.clone());
        }
        gather.missing == 0
    }

    /// Takes the outcomes of a connection, in the order in which their operations were pushed.
    ///
    /// # Panics
    /// When some are missing.
    pub fn outcomes(&mut self, id: GatherId) -> impl Iterator<Item = Outcome> {
        let gather = &mut self.gathers[id.0 as usize];
        assert_eq!(gather.missing, 0, "the caller waits for all of them");
        gather.outcomes.drain(..).map(|outcome| outcome.expect("none is missing"))
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
    use std::convert::Infallible;
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
        let Ok(()) = batch.serve(|op| match op {
            Op::Take { queue } => Ok::<_, Infallible>(Outcome::Message(Taken { seq: 1, flags: 0, body: queue.into() })),
            other => panic!("{other:?} was not sent"),
        });
        batch
    }

    fn bodies(router: &mut Router, id: GatherId) -> Vec<Vec<u8>> {
        let body = |outcome| match outcome {
            Outcome::Message(taken) => taken.body.into_vec(),
            other => panic!("{other:?} was not answered"),
        };
        router.outcomes(id).map(body).collect()
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
        assert_eq!(router.outcomes(id).count(), 100 + CREDITS);
        assert!(router.is_idle());
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
        assert_eq!(router.outcomes(next).count(), 0);
        assert_eq!(router.open(), id);
    }
}
