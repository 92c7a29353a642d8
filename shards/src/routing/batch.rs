//! Operations on their way to another shard, and what came of them on the way back.

use std::mem;
use std::ops::Range;
use std::time::Instant;

use crate::client::{Address, Asker, Client};
use crate::figures::latency::Read;
use crate::op::Op;
use crate::outcome::{Answer, Outcome};
use crate::routing::packing::Packed;

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

impl Batch {
    /// Adds an operation of a client, and where its outcome goes.
    #[inline]
    pub fn push(&mut self, by: Asker, op: &Op<'_>) {
        self.ops.push(Packed::pack(op, &mut self.bytes));
        self.addresses.push(by.address);
        match self.runs.last_mut() {
            Some(run) if run.client == by.client => run.ops += 1,
            _ => self.runs.push(Run { client: by.client, ops: 1 }),
        }
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

    /// Whether a client asks for any of its operations.
    pub(crate) fn asks(&self, client: Client) -> bool {
        self.runs.iter().any(|run| run.client == client)
    }

    /// The first operation that is not answered, who asks for it, and where its outcome goes.
    #[inline]
    #[must_use]
    pub fn next(&self) -> Option<(Asker, Op<'_>)> {
        let at = self.answers.len();
        let packed = self.ops.get(at)?;
        let op = packed.unpack(&self.bytes[self.bytes_done..]);
        Some((Asker { client: self.runs[self.run].client, address: self.addresses[at] }, op))
    }

    /// Answers the next operation.
    ///
    /// # Panics
    /// When there is none.
    #[inline]
    pub fn answer(&mut self, answer: Answer) {
        let packed = self.ops[self.answers.len()];
        self.bytes_done += packed.bytes();
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
    use storage::{BUYER_BYTES_MAX, GateAct, Search, SortBy};

    use super::*;
    use crate::client::GatherId;
    use crate::moment::Moment;
    use crate::op::{Fate, Holding, Open, Which};
    use crate::owner::ShardId;

    fn by(client: u32, slot: u32) -> Asker {
        let address = Address { gather: GatherId(client), slot };
        Asker { client: Client::new(ShardId(2), u64::from(client)), address }
    }

    #[test]
    fn operations_come_out_as_they_went_in() {
        let open = Open { queue: b"q", holder: Holding::Number, lease_s: None, close: false, until: None };
        let end = |which, fate| Op::End { queue: b"q", which, fate };
        let gate = |act| Op::Gate { queue: b"q", buyer: b"a/b=1", act };
        let search = Search {
            filter: b"jobs",
            sort: SortBy::Children,
            descending: true,
            behind: Some((0, b"")),
            before: Some((u64::MAX, b"first")),
            limit: u32::MAX,
        };
        let ops = [
            Op::Put { queue: b"q", flags: 7, body: b"hello" },
            Op::Put { queue: b"a longer name", flags: 0, body: b"" },
            Op::PutWith { queue: b"q", flags: 8, body: b"body", delay_s: Some(0), exptime: -1, id: b"" },
            Op::PutWith { queue: b"q", flags: 0, body: b"", delay_s: None, exptime: i64::MAX, id: b"token" },
            Op::Create { queue: b"new" },
            Op::Take { queue: b"q" },
            Op::TakeWait { queue: b"wait", until: Moment::from_ms(u64::MAX - 7) },
            Op::Peek { queue: b"q" },
            Op::Open(open),
            Op::Open(Open { holder: Holding::Connection { max: 3 }, lease_s: Some(0), close: true, ..open }),
            Op::Open(Open { holder: Holding::Name(b"worker 1"), until: Some(Moment::from_ms(0)), ..open }),
            end(Which::Mine, Fate::Acknowledge),
            end(Which::Name(b"worker 1"), Fate::Abort { delay_s: None }),
            end(Which::Lease(1 << 52), Fate::Abort { delay_s: Some(u32::MAX) }),
            end(Which::Mine, Fate::Release { delay_s: Some(0) }),
            end(Which::Mine, Fate::Release { delay_s: None }),
            end(Which::Lease(9), Fate::Bury),
            Op::Touch { queue: b"q", which: Which::Name(b"w"), lease_s: -1 },
            Op::Touch { queue: b"q", which: Which::Lease(u64::MAX), lease_s: i64::MAX },
            Op::Kick { queue: b"q", count: u32::MAX },
            Op::Configure { queue: b"q", words: b"depth=5 lease=3" },
            Op::Config { queue: b"q" },
            Op::Unconfigure { queue: b"q" },
            gate(GateAct::Join { message: None, admits: true }),
            gate(GateAct::Join { message: None, admits: false }),
            gate(GateAct::Join { message: Some((u32::MAX, b"a body")), admits: true }),
            gate(GateAct::Join { message: Some((0, b"")), admits: false }),
            gate(GateAct::Look),
            gate(GateAct::Pay),
            gate(GateAct::Extend { seconds: u32::MAX }),
            gate(GateAct::Return),
            Op::Gate { queue: b"concert", buyer: &[b'b'; BUYER_BYTES_MAX], act: GateAct::Look },
            Op::GateFigures { queue: b"concert" },
            Op::Leave,
            Op::Delete { queue: b"q" },
            Op::Flush { queue: b"q" },
            Op::FlushAll,
            Op::List { cursor: 9 },
            Op::ListFigures { cursor: 11, prefix: b"jobs" },
            Op::ListFigures { cursor: 0, prefix: b"" },
            Op::ListHolders { from: (by(7, 1).client, u64::MAX), to: by(9, 1).client },
            Op::Pause { queue: b"q", pause: true },
            Op::Pause { queue: b"q", pause: false },
            Op::QueueFigures { queue: b"q" },
            Op::ListChildren { queue: b"q" },
            Op::Find { cursor: 4096, search },
            Op::Find { cursor: u32::MAX, search: Search { behind: Some((u64::MAX, b"last one")), ..search } },
            Op::Find {
                cursor: 0,
                search: Search { behind: None, before: Some((7, b"")), sort: SortBy::Name, ..search },
            },
            Op::PeekAt { queue: b"q", after: u64::MAX, body_bytes_max: 4096 },
            Op::ListOpens { queue: b"q", after: 1 << 52 },
            Op::Purge { queue: b"q", after: 7, count: u32::MAX },
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
