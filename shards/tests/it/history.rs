//! What was applied to one shard, in order, and what of it must be there after a crash.
//!
//! After a crash a shard holds what some beginning of its history leaves. Of what no client was told of, any part may be
//! missing, always the last. What was told was told with all before it, so the beginning is at least that long.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::ops::RangeInclusive;

use shards::{Outcome, Taken};
use storage_testing::{Expected, Message, Op, Queue};

/// A message by its flags, which no other has.
pub(crate) type MessageId = u32;

/// What a shard has done.
#[derive(Debug)]
enum Change {
    Op(Op),
    /// A try of a message has failed.
    Failed(MessageId),
}

#[derive(Debug, Default)]
pub(crate) struct History {
    /// What the shard held after its last start, and what it did since.
    base: Expected,
    changes: Vec<Change>,
    /// What it holds now.
    now: Expected,
    /// How many tries of messages have failed, since the start and before: at least and at most.
    tries: BTreeMap<MessageId, (u8, u8)>,
    tries_of_base: BTreeMap<MessageId, (u8, u8)>,
    /// So many changes must survive the end of the process.
    told: usize,
    /// So many must survive a power cut, in the mode that acknowledges after the write.
    synced: usize,
}

impl History {
    /// Applies an operation, and returns what must come of it.
    pub(crate) fn apply(&mut self, op: Op) -> Outcome {
        let existed = match &op {
            Op::Delete { name } | Op::Tell { name, .. } => self.now.queues.contains_key(name),
            _ => false,
        };
        self.now.apply(&op);
        let outcome = match &op {
            Op::Put { .. } | Op::Create { .. } => Outcome::Stored,
            Op::Delete { .. } if existed => Outcome::Deleted,
            Op::Tell { .. } if existed => Outcome::Configured,
            Op::Delete { .. } | Op::Tell { .. } => Outcome::NotFound,
            Op::Flush { .. } | Op::FlushAll => Outcome::Done,
            _ => unreachable!("{op:?} is applied in another way"),
        };
        self.changes.push(Change::Op(op));
        outcome
    }

    /// A message is taken for good: this one.
    pub(crate) fn take(&mut self, name: u8, seq: u64) -> Outcome {
        let op = Op::TakeMessage { name, seq };
        let Message { seq, flags, body } = self.now.apply(&op).expect("a message is taken that is there");
        self.changes.push(Change::Op(op));
        Outcome::Message(Taken { seq, flags, body: body.into() })
    }

    /// Notes that a try of a message has failed.
    pub(crate) fn fail(&mut self, message: MessageId) {
        let (low, high) = self.tries.entry(message).or_default();
        (*low, *high) = (*low + 1, *high + 1);
        self.changes.push(Change::Failed(message));
    }

    /// A message is opened for another try. What a crash left open is known then.
    pub(crate) fn try_again(&mut self, message: MessageId, try_number: u8) {
        let (low, high) = self.tries.entry(message).or_default();
        let failed = try_number - 1;
        let may: RangeInclusive<u8> = *low..=*high;
        assert!(may.contains(&failed), "try {try_number} of message {message}, of which {may:?} have failed");
        (*low, *high) = (failed, failed);
    }

    /// Whether a queue hands out no message.
    pub(crate) fn is_paused(&self, name: u8) -> bool {
        self.now.rules(&name).pause
    }

    /// The messages of a queue, in order.
    pub(crate) fn messages(&self, name: u8) -> impl Iterator<Item = &Message> {
        self.now.queues.get(&name).into_iter().flat_map(|queue| &queue.messages)
    }

    /// How much it has done.
    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    /// Notes that a client was told what is so only if this much survives.
    pub(crate) fn tell(&mut self, changes: usize) {
        self.told = self.told.max(changes);
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

    /// Looks for the beginning of the history that leaves what was `found`, with at least `safe` changes. The next life
    /// begins with that. `coming_back`: messages that may have come back, with a try more, and were not seen since.
    pub(crate) fn survive(
        self,
        safe: usize,
        found: &BTreeMap<u8, Queue>,
        coming_back: &BTreeSet<MessageId>,
    ) -> History {
        let tries = self.tries_after(safe, coming_back);
        let begin = |now: Expected| History {
            base: now.clone(),
            now,
            tries: tries.clone(),
            tries_of_base: tries.clone(),
            ..History::default()
        };
        let mut now = self.base.clone();
        for (done, change) in self.changes.iter().enumerate() {
            let Change::Op(op) = change else { continue };
            if done >= safe && now.queues == *found {
                return begin(now);
            }
            // Each queue is emptied at once, and all of them need not be in one commit.
            if let (true, Op::FlushAll) = (done >= safe, op) {
                let flushed = found.iter().filter(|(_, queue)| queue.messages.is_empty()).map(|(name, _)| *name);
                let mut between = now.clone();
                flushed.for_each(|name| mem::drop(between.apply(&Op::Flush { name })));
                if between.queues == *found {
                    return begin(between);
                }
            }
            now.apply(op);
        }
        if now.queues == *found {
            return begin(now);
        }
        panic!(
            "found is what no beginning of {safe} to {} changes leaves:\n{found:?}\nAll of them leave:\n{:?}",
            self.changes.len(),
            now.queues
        );
    }

    /// How many tries have failed of each message, if at least `safe` changes are known after a crash.
    fn tries_after(&self, safe: usize, coming_back: &BTreeSet<MessageId>) -> BTreeMap<MessageId, (u8, u8)> {
        let mut tries = self.tries_of_base.clone();
        for (done, change) in self.changes.iter().enumerate() {
            if let Change::Failed(message) = change {
                let (low, high) = tries.entry(*message).or_default();
                *low += u8::from(done < safe);
                *high += 1;
            }
        }
        for message in coming_back {
            tries.entry(*message).or_default().1 += 1;
        }
        tries
    }
}
