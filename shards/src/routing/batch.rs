//! Operations on their way to another shard, and what came of them on the way back.

use std::ops::Range;
use std::time::Instant;

use crate::figures::latency::Read;
use crate::op::{Op, Outcome};
use crate::routing::router::GatherId;

/// Where an outcome goes on the shard that has sent the operation: to a connection, as one of its outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// The connection. Its operations stand one after the other in a batch.
    pub gather: GatherId,
    /// Which of its outcomes.
    pub slot: u32,
}

/// Operations for one shard, packed so that neither side allocates for each: names and bodies stand one after the
/// other in one buffer. The same batch comes back with the outcomes, and its buffers are used again.
///
/// It is applied in pieces: a batch has [`next`](Self::next) as long as not all of its operations have been
/// [`answered`](Self::answer).
#[derive(Debug, Default)]
pub struct Batch {
    ops: Vec<Packed>,
    bytes: Vec<u8>,
    /// Bytes of the operations that were answered.
    bytes_done: usize,
    /// One for each operation.
    addresses: Vec<Address>,
    /// One for each operation that was answered. `None`: the outcome comes with another batch.
    outcomes: Vec<Option<Outcome>>,
    /// When the operations that were not answered were read, as far as it is known.
    pub(crate) reads: Vec<Read>,
    /// Whether it costs a credit, until it comes back.
    pub(crate) has_credit: bool,
}

#[derive(Debug, Clone, Copy)]
struct Packed {
    kind: Kind,
    /// Flags of a put, cursor of a listing.
    number: u32,
    queue_bytes: u32,
    body_bytes: u32,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Put,
    Create,
    Take,
    Delete,
    Flush,
    FlushAll,
    List,
    Checkpoint,
    Figures,
    Latency,
    ResetFigures,
}

impl Batch {
    /// Adds an operation, and where its outcome goes.
    pub fn push(&mut self, address: Address, op: Op<'_>) {
        let (kind, number, queue, body): (_, _, &[u8], &[u8]) = match op {
            Op::Put { queue, flags, body } => (Kind::Put, flags, queue, body),
            Op::Create { queue } => (Kind::Create, 0, queue, b""),
            Op::Take { queue } => (Kind::Take, 0, queue, b""),
            Op::Delete { queue } => (Kind::Delete, 0, queue, b""),
            Op::Flush { queue } => (Kind::Flush, 0, queue, b""),
            Op::FlushAll => (Kind::FlushAll, 0, b"", b""),
            Op::List { cursor } => (Kind::List, cursor, b"", b""),
            Op::Checkpoint => (Kind::Checkpoint, 0, b"", b""),
            Op::Figures => (Kind::Figures, 0, b"", b""),
            Op::Latency => (Kind::Latency, 0, b"", b""),
            Op::ResetFigures => (Kind::ResetFigures, 0, b"", b""),
        };
        let (queue_bytes, body_bytes) = (queue.len() as u32, body.len() as u32);
        self.ops.push(Packed { kind, number, queue_bytes, body_bytes });
        self.addresses.push(address);
        self.bytes.extend_from_slice(queue);
        self.bytes.extend_from_slice(body);
    }

    /// Notes when the operation that was added last had been read from its client.
    pub(crate) fn note_read(&mut self, at: Instant) {
        Read::push_to(&mut self.reads, at, 1);
    }

    /// How many operations it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The first operation that is not answered, and where its outcome goes.
    #[must_use]
    pub fn next(&self) -> Option<(Address, Op<'_>)> {
        let at = self.outcomes.len();
        let packed = self.ops.get(at)?;
        let (queue, rest) = self.bytes[self.bytes_done..].split_at(packed.queue_bytes as usize);
        let body = &rest[..packed.body_bytes as usize];
        let op = match packed.kind {
            Kind::Put => Op::Put { queue, flags: packed.number, body },
            Kind::Create => Op::Create { queue },
            Kind::Take => Op::Take { queue },
            Kind::Delete => Op::Delete { queue },
            Kind::Flush => Op::Flush { queue },
            Kind::FlushAll => Op::FlushAll,
            Kind::List => Op::List { cursor: packed.number },
            Kind::Checkpoint => Op::Checkpoint,
            Kind::Figures => Op::Figures,
            Kind::Latency => Op::Latency,
            Kind::ResetFigures => Op::ResetFigures,
        };
        Some((self.addresses[at], op))
    }

    /// Answers the next operation; with `None` when its outcome comes with another batch.
    ///
    /// # Panics
    /// When there is none.
    pub fn answer(&mut self, outcome: Option<Outcome>) {
        let packed = self.ops[self.outcomes.len()];
        self.bytes_done += packed.queue_bytes as usize + packed.body_bytes as usize;
        self.outcomes.push(outcome);
    }

    /// How many operations are answered.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.outcomes.len()
    }

    /// Takes the outcomes of a part of the operations out, as a batch that goes back before this one.
    pub(crate) fn split_off(&mut self, parts: &[Range<usize>]) -> Batch {
        let mut early = Batch::default();
        for part in parts {
            early.addresses.extend_from_slice(&self.addresses[part.clone()]);
            early.outcomes.extend(self.outcomes[part.clone()].iter_mut().map(Option::take));
        }
        early
    }

    /// Takes the outcomes, and where they go.
    pub(crate) fn outcomes(&mut self) -> impl Iterator<Item = (Address, Outcome)> {
        let outcomes = self.addresses.drain(..).zip(self.outcomes.drain(..));
        outcomes.filter_map(|(address, outcome)| Some((address, outcome?)))
    }

    /// Empties it, and keeps its buffers unless they have grown beyond `bytes_max`.
    pub(crate) fn clear(&mut self, bytes_max: usize) {
        self.ops.clear();
        self.bytes_done = 0;
        self.addresses.clear();
        self.outcomes.clear();
        self.reads.clear();
        if self.bytes.capacity() > bytes_max {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_come_out_as_they_went_in() {
        let ops = [
            Op::Put { queue: b"q", flags: 7, body: b"hello" },
            Op::Put { queue: b"a longer name", flags: 0, body: b"" },
            Op::Create { queue: b"new" },
            Op::Take { queue: b"q" },
            Op::Delete { queue: b"q" },
            Op::Flush { queue: b"q" },
            Op::FlushAll,
            Op::List { cursor: 9 },
            Op::Checkpoint,
            Op::Figures,
            Op::Latency,
            Op::ResetFigures,
        ];
        let mut batch = Batch::default();
        for (slot, op) in (0..).zip(&ops) {
            batch.push(Address { gather: GatherId(3), slot }, *op);
        }
        for (slot, op) in (0..).zip(ops) {
            assert_eq!(batch.next(), Some((Address { gather: GatherId(3), slot }, op)));
            batch.answer(Some(Outcome::Done));
        }
        assert_eq!((batch.next(), batch.answered()), (None, ops.len()));
        batch.clear(0);
        assert!(batch.is_empty() && batch.next().is_none());
    }

    #[test]
    fn outcomes_come_back_once_in_two_parts() {
        let mut batch = Batch::default();
        for slot in 0..6 {
            batch.push(Address { gather: GatherId(0), slot }, Op::FlushAll);
            batch.answer((slot != 2).then_some(Outcome::Done));
        }
        let slots = |batch: &mut Batch| batch.outcomes().map(|(address, _)| address.slot).collect::<Vec<_>>();
        let mut early = batch.split_off(&[0..1, 4..6]);
        assert_eq!((slots(&mut early), slots(&mut batch)), (vec![0, 4, 5], vec![1, 3]));
    }
}
