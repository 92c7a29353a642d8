//! What was applied to one shard, in order, and what of it must be there after a crash.
//!
//! After a crash a shard holds what some beginning of its history leaves. Of what no client was told of, any part may be
//! missing, always the last. What was told was told with all before it, so the beginning is at least that long.

use std::collections::BTreeMap;
use std::mem;

use shards::{Outcome, Taken};
use storage_testing::{Expected, Op, Queue};

#[derive(Debug, Default)]
pub(crate) struct History {
    /// What the shard held after its last start, and what it was asked for since.
    base: Expected,
    ops: Vec<Op>,
    /// What it holds now.
    now: Expected,
    /// So many operations must survive the end of the process.
    told: usize,
    /// So many must survive a power cut, in the mode that acknowledges after the write.
    synced: usize,
}

impl History {
    /// Applies an operation. Returns its number, and what must come of it.
    pub(crate) fn apply(&mut self, op: Op) -> (usize, Outcome) {
        let existed = match &op {
            Op::Delete { name } => self.now.queues.contains_key(name),
            _ => false,
        };
        let taken = self.now.apply(&op);
        let outcome = match &op {
            Op::Put { .. } | Op::Create { .. } => Outcome::Stored,
            Op::Take { .. } => match taken {
                Some(message) => {
                    let (seq, flags) = (message.seq, message.flags);
                    Outcome::Message(Taken { seq, flags, body: message.body.into() })
                }
                None => Outcome::Empty,
            },
            Op::Delete { .. } if existed => Outcome::Deleted,
            Op::Delete { .. } => Outcome::NotFound,
            Op::Flush { .. } | Op::FlushAll => Outcome::Done,
            Op::TakeMessage { .. } | Op::Tell { .. } => unreachable!("no client can ask for it"),
        };
        self.ops.push(op);
        (self.ops.len() - 1, outcome)
    }

    /// Notes that a client was told what came of an operation. That nothing was found is no promise.
    pub(crate) fn tell(&mut self, number: usize, outcome: &Outcome) {
        if !matches!(outcome, Outcome::Empty | Outcome::NotFound) {
            self.told = self.told.max(number + 1);
        }
    }

    /// How much was told of so far.
    pub(crate) fn told(&self) -> usize {
        self.told
    }

    /// Notes that what was told of by then is on stable storage.
    pub(crate) fn synced(&mut self, told: usize) {
        self.synced = self.synced.max(told);
    }

    /// How much must survive.
    pub(crate) fn safe(&self, only_what_was_synced: bool) -> usize {
        if only_what_was_synced { self.synced } else { self.told }
    }

    /// What the shard holds now.
    pub(crate) fn now(&self) -> &Expected {
        &self.now
    }

    /// Looks for the beginning of the history that leaves what was `found`, with at least `safe` operations. The next
    /// life begins with that.
    pub(crate) fn survive(self, safe: usize, found: &BTreeMap<u8, Queue>) -> History {
        let mut now = self.base.clone();
        for (done, op) in self.ops.iter().enumerate() {
            if done >= safe && now.queues == *found {
                return History { base: now.clone(), now, ..History::default() };
            }
            // Each queue is emptied at once, and all of them need not be in one commit.
            if let (true, Op::FlushAll) = (done >= safe, op) {
                let flushed = found.iter().filter(|(_, queue)| queue.messages.is_empty()).map(|(name, _)| *name);
                let mut between = now.clone();
                flushed.for_each(|name| mem::drop(between.apply(&Op::Flush { name })));
                if between.queues == *found {
                    return History { base: between.clone(), now: between, ..History::default() };
                }
            }
            now.apply(op);
        }
        if now.queues == *found {
            return History { base: now.clone(), now, ..History::default() };
        }
        panic!(
            "found is what no beginning of {safe} to {} operations leaves:\n{found:?}\nAll of them leave:\n{:?}",
            self.ops.len(),
            now.queues
        );
    }
}
