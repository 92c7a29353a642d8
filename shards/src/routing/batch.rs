//! Operations on their way to another shard, and what came of them on the way back.

use std::mem;
use std::ops::Range;
use std::time::Instant;

use crate::client::{Address, Asker, Client};
use crate::figures::latency::Read;
use crate::moment::Moment;
use crate::op::{Answer, Op, Outcome};

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
    /// Who asks for the operations.
    runs: Vec<Run>,
    /// Which of the runs is answered now, and how many of its operations are.
    run: usize,
    run_done: u32,
    /// One for each operation that was answered. Without an outcome: that comes with another batch.
    answers: Vec<Answer>,
    /// When the operations that were not answered were read, as far as it is known.
    pub(crate) reads: Vec<Read>,
    /// Whether it costs a credit, until it comes back.
    pub(crate) has_credit: bool,
}

/// So many operations, one after the other, of one client.
#[derive(Debug, Clone, Copy)]
struct Run {
    client: Client,
    ops: u32,
}

#[derive(Debug, Clone, Copy)]
struct Packed {
    kind: Kind,
    /// Flags of a put, cursor of a listing.
    number: u32,
    queue_bytes: u32,
    /// Of a put the body, of a take that waits the moment until which it does.
    body_bytes: u32,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Put,
    Create,
    Take,
    TakeWait,
    Leave,
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
    /// Adds an operation of a client, and where its outcome goes.
    #[inline]
    pub fn push(&mut self, by: Asker, op: &Op<'_>) {
        let until_ms;
        let (kind, number, queue, body): (_, _, &[u8], &[u8]) = match *op {
            Op::Put { queue, flags, body } => (Kind::Put, flags, queue, body),
            Op::Create { queue } => (Kind::Create, 0, queue, b""),
            Op::Take { queue } => (Kind::Take, 0, queue, b""),
            Op::TakeWait { queue, until } => {
                until_ms = until.ms().to_le_bytes();
                (Kind::TakeWait, 0, queue, &until_ms)
            }
            Op::Leave => (Kind::Leave, 0, b"", b""),
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
        self.addresses.push(by.address);
        match self.runs.last_mut() {
            Some(run) if run.client == by.client => run.ops += 1,
            _ => self.runs.push(Run { client: by.client, ops: 1 }),
        }
        self.bytes.extend_from_slice(queue);
        self.bytes.extend_from_slice(body);
    }

    /// Adds an outcome that comes without its operation.
    pub(crate) fn push_outcome(&mut self, address: Address, outcome: Outcome) {
        self.addresses.push(address);
        self.answers.push(Answer::Now(outcome));
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

    /// The first operation that is not answered, who asks for it, and where its outcome goes.
    #[inline]
    #[must_use]
    pub fn next(&self) -> Option<(Asker, Op<'_>)> {
        let at = self.answers.len();
        let packed = self.ops.get(at)?;
        let (queue, rest) = self.bytes[self.bytes_done..].split_at(packed.queue_bytes as usize);
        let body = &rest[..packed.body_bytes as usize];
        let op = match packed.kind {
            Kind::Put => Op::Put { queue, flags: packed.number, body },
            Kind::Create => Op::Create { queue },
            Kind::Take => Op::Take { queue },
            Kind::TakeWait => {
                let until_ms = u64::from_le_bytes(body.try_into().expect("packed by `push`"));
                Op::TakeWait { queue, until: Moment::from_ms(until_ms) }
            }
            Kind::Leave => Op::Leave,
            Kind::Delete => Op::Delete { queue },
            Kind::Flush => Op::Flush { queue },
            Kind::FlushAll => Op::FlushAll,
            Kind::List => Op::List { cursor: packed.number },
            Kind::Checkpoint => Op::Checkpoint,
            Kind::Figures => Op::Figures,
            Kind::Latency => Op::Latency,
            Kind::ResetFigures => Op::ResetFigures,
        };
        Some((Asker { client: self.runs[self.run].client, address: self.addresses[at] }, op))
    }

    /// Answers the next operation.
    ///
    /// # Panics
    /// When there is none.
    #[inline]
    pub fn answer(&mut self, answer: Answer) {
        let packed = self.ops[self.answers.len()];
        self.bytes_done += packed.queue_bytes as usize + packed.body_bytes as usize;
        self.answers.push(answer);
        self.run_done += 1;
        if self.run_done == self.runs[self.run].ops {
            self.run += 1;
            self.run_done = 0;
        }
    }

    /// How many operations are answered.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.answers.len()
    }

    /// Takes the outcomes of a part of the operations out, as a batch that goes back before this one.
    pub(crate) fn split_off(&mut self, parts: &[Range<usize>]) -> Batch {
        let mut early = Batch::default();
        for part in parts {
            early.addresses.extend_from_slice(&self.addresses[part.clone()]);
            early
                .answers
                .extend(self.answers[part.clone()].iter_mut().map(|answer| mem::replace(answer, Answer::Later)));
        }
        early
    }

    /// Takes the outcomes, and where they go.
    pub(crate) fn outcomes(&mut self) -> impl Iterator<Item = (Address, Outcome)> {
        self.addresses.drain(..).zip(self.answers.drain(..)).filter_map(|(address, answer)| match answer {
            Answer::Now(outcome) => Some((address, outcome)),
            Answer::Later | Answer::Stalled => None,
        })
    }

    /// Empties it, and keeps its buffers unless they have grown beyond `bytes_max`.
    pub(crate) fn clear(&mut self, bytes_max: usize) {
        self.ops.clear();
        self.bytes_done = 0;
        self.addresses.clear();
        self.runs.clear();
        (self.run, self.run_done) = (0, 0);
        self.answers.clear();
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
    use crate::client::GatherId;
    use crate::owner::ShardId;

    fn by(client: u32, slot: u32) -> Asker {
        let address = Address { gather: GatherId(client), slot };
        Asker { client: Client::new(ShardId(2), u64::from(client)), address }
    }

    #[test]
    fn operations_come_out_as_they_went_in() {
        let ops = [
            Op::Put { queue: b"q", flags: 7, body: b"hello" },
            Op::Put { queue: b"a longer name", flags: 0, body: b"" },
            Op::Create { queue: b"new" },
            Op::Take { queue: b"q" },
            Op::TakeWait { queue: b"wait", until: Moment::from_ms(u64::MAX - 7) },
            Op::Leave,
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
            // Two at a time are one client's.
            batch.push(by(slot / 2, slot), op);
        }
        for (slot, op) in (0..).zip(ops) {
            assert_eq!(batch.next(), Some((by(slot / 2, slot), op)));
            batch.answer(Answer::Now(Outcome::Done));
        }
        assert_eq!((batch.next(), batch.answered()), (None, ops.len()));
        batch.clear(0);
        assert!(batch.is_empty() && batch.next().is_none());
    }

    #[test]
    fn outcomes_come_back_once_in_two_parts() {
        let mut batch = Batch::default();
        (0..6).for_each(|slot| batch.push(by(0, slot), &Op::FlushAll));
        (0..6).for_each(|slot| batch.answer(if slot == 2 { Answer::Later } else { Answer::Now(Outcome::Done) }));
        let slots = |batch: &mut Batch| batch.outcomes().map(|(address, _)| address.slot).collect::<Vec<_>>();
        let mut early = batch.split_off(&[0..1, 4..6]);
        assert_eq!((slots(&mut early), slots(&mut batch)), (vec![0, 4, 5], vec![1, 3]));
    }
}
