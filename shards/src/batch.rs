//! Operations on their way to another shard, and what came of them on the way back.

use std::time::Instant;

use crate::latency::Read;
use crate::op::{Op, Outcome};

/// Operations for one shard, packed so that neither side allocates for each: names and bodies stand one after the
/// other in one buffer. The same batch comes back with the outcomes, and its buffers are used again.
#[derive(Debug, Default)]
pub struct Batch {
    /// Names the batch to the shard that sent it.
    pub(crate) id: u32,
    ops: Vec<Packed>,
    bytes: Vec<u8>,
    /// When the operations were read, as far as somebody has said so.
    pub(crate) reads: Vec<Read>,
    /// One for each operation, in their order, once they were applied.
    pub(crate) outcomes: Vec<Outcome>,
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
    /// Adds an operation.
    pub fn push(&mut self, op: Op<'_>) {
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

    /// The operations, in the order they were added.
    pub fn ops(&self) -> impl Iterator<Item = Op<'_>> {
        let mut rest = self.bytes.as_slice();
        self.ops.iter().map(move |packed| {
            let (queue, tail) = rest.split_at(packed.queue_bytes as usize);
            let (body, tail) = tail.split_at(packed.body_bytes as usize);
            rest = tail;
            match packed.kind {
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
            }
        })
    }

    /// Has all operations done, in their order, and keeps the outcomes.
    ///
    /// # Errors
    /// What the first operation says that could not be done. Those behind it are not tried.
    pub fn serve<E>(&mut self, mut apply: impl FnMut(Op<'_>) -> Result<Outcome, E>) -> Result<(), E> {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        outcomes.reserve(self.len());
        let done = self.ops().try_for_each(|op| {
            outcomes.push(apply(op)?);
            Ok(())
        });
        self.outcomes = outcomes;
        done
    }

    /// Empties it, and keeps its buffers unless they have grown beyond `bytes_max`.
    pub(crate) fn clear(&mut self, bytes_max: usize) {
        self.ops.clear();
        self.reads.clear();
        self.outcomes.clear();
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
        ops.iter().for_each(|op| batch.push(*op));
        assert!(batch.ops().eq(ops));
        batch.clear(0);
        assert!(batch.is_empty());
    }
}
