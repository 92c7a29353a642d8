//! What goes between an engine and those of other shards: batches of operations, and outcomes.

use std::collections::BTreeMap;

use storage::{FrameNumber, Result};

use crate::client::{Asker, Client};
use crate::engine::applying::Applying;
use crate::engine::lines::Late;
use crate::engine::{Engine, Packet};
use crate::moment::Moment;
use crate::op::Op;
use crate::outcome::Answer;
use crate::owner::ShardId;
use crate::routing::batch::Batch;

/// Operations of another shard that are applied in one piece: with some 0.5 us each, the shard's own clients wait no
/// longer for them than for one of their own rounds.
pub(super) const PIECE_OPS: usize = 256;
/// Bytes of bodies that end a piece before that: they are copied, with 0.1 us for a KiB.
const PIECE_BYTES: usize = 1 << 20;

impl Engine {
    /// Sends what the outboxes hold, as far as there are credits, and the outcomes of waits that have ended.
    pub fn send_batches(&mut self) {
        self.send_late();
        for to in self.router.others() {
            while let Some(batch) = self.router.next_batch(to) {
                self.outgoing.push_back((to, Packet::Request(batch)));
            }
        }
    }

    /// Sends the outcomes of waits that have ended, as one batch to each shard, or two: those that wait for a commit
    /// keep no other waiting.
    fn send_late(&mut self) {
        let mut batches: BTreeMap<(ShardId, bool), (FrameNumber, Batch)> = BTreeMap::new();
        for Late { by, outcome, frame_needed } in self.shard.take_late() {
            let (frame, batch) = batches.entry((by.client.shard(), frame_needed > 0)).or_default();
            *frame = frame_needed.max(*frame);
            batch.push_outcome(by.address, outcome);
        }
        for ((to, _), (frame, batch)) in batches {
            self.reply_when_safe(frame, to, batch);
        }
    }

    /// Sends outcomes once a frame is safe.
    fn reply_when_safe(&mut self, frame: FrameNumber, to: ShardId, batch: Batch) {
        if self.acknowledged() >= frame {
            return self.reply(to, batch);
        }
        // It may wait for a later frame than its own: the outcomes of waits come out of order.
        let frame = self.deferred.back().map_or(frame, |(last, _, _)| frame.max(*last));
        self.deferred.push_back((frame, to, batch));
    }

    fn reply(&mut self, to: ShardId, batch: Batch) {
        if to == self.router.me() {
            self.router.deliver(to, batch);
        } else {
            self.outgoing.push_back((to, Packet::Reply(batch)));
        }
    }

    /// Takes what another shard has sent. Operations are applied by [`apply_step`](Self::apply_step).
    pub fn receive(&mut self, from: ShardId, packet: Packet) {
        match packet {
            Packet::Request(batch) => {
                self.inbox.push_back(Applying::new(from, batch));
                self.due.apply = true;
            }
            Packet::Reply(batch) => {
                self.router.deliver(from, batch);
                // The credit that came back may be what an outbox waits for.
                self.due.send = true;
            }
        }
    }

    /// Applies a few more operations of other shards, in the order in which they came, and sends back those batches whose
    /// outcomes may be told. Returns whether there is more to do. `applied` sees each operation, how it
    /// was answered, and the outcomes of waits that have ended with it.
    ///
    /// # Errors
    /// When the disk has failed. The process must stop, and acknowledge nothing more.
    pub fn apply_step(
        &mut self,
        now: Moment,
        mut applied: impl FnMut(Asker, &Op<'_>, &Answer, &[Late]),
    ) -> Result<bool> {
        let Some(mut applying) = self.inbox.pop_front() else {
            self.due.apply = false;
            return Ok(false);
        };
        let (mut ops, mut bytes, mut done, mut changes) = (0, 0, 0, 0);
        while ops < PIECE_OPS && bytes < PIECE_BYTES {
            // Looked at where it is: a copy costs as much as a look into a queue.
            let next = applying.next();
            let Some((by, op)) = &next else { break };
            let (by, gather) = (*by, by.address.gather);
            let mut frame_needed = 0;
            let late = self.shard.late().len();
            let answer = if op.stays_open() || matches!(op, Op::Leave) || applying.is_stalled(gather) {
                self.apply_in_order(now, by, op, &applying, &mut frame_needed)?
            } else {
                self.apply(now, by, op, &mut frame_needed)?
            };
            if let Answer::Now(outcome) = &answer {
                changes += u64::from(outcome.waits_for_commit());
                bytes += outcome.body_bytes();
            }
            applied(by, op, &answer, self.shard.late().get(late..).unwrap_or_default());
            if !matches!(answer, Answer::Stalled) {
                done += 1;
                bytes += op.body_bytes();
            }
            ops += 1;
            applying.answer(gather, answer, frame_needed);
        }
        self.shard.counters.served += done;
        self.shard.latency.note_applied_for_others(
            &mut applying.batch.reads,
            ops as u64,
            changes,
            applying.frame_needed,
        );
        if applying.next().is_some() {
            self.inbox.push_front(applying);
        } else {
            self.send_back(applying);
        }
        self.due.apply = !self.inbox.is_empty();
        Ok(self.due.apply)
    }

    /// Applies an operation that must not pass those before it that are stalled, or that must not open anything for a
    /// client that is gone.
    fn apply_in_order(
        &mut self,
        now: Moment,
        by: Asker,
        op: &Op<'_>,
        applying: &Applying,
        frame_needed: &mut FrameNumber,
    ) -> Result<Answer> {
        match op {
            Op::Leave => Ok(self.leave(by.client, applying.has_stalled_of(by.client))),
            _ if applying.is_stalled(by.address.gather) => Ok(Answer::Stalled),
            _ if op.stays_open() && self.gone.contains(&by.client) => Ok(Answer::Now(op.refused())),
            _ => self.apply(now, by, op, frame_needed),
        }
    }

    /// Ends what a client of another shard has open. What it has sent before may be stalled, `is_behind_stalled` or in
    /// a batch that came earlier: so long it is known to be gone, and nothing opens for it; what it holds comes back after
    /// that, since it may have acknowledged it.
    fn leave(&mut self, client: Client, is_behind_stalled: bool) -> Answer {
        if is_behind_stalled || self.stalled.iter().any(|(_, batch)| batch.asks(client)) {
            self.shard.leave_lines(client);
            self.due.send |= !self.shard.late().is_empty();
            self.gone.insert(client);
            return Answer::Stalled;
        }
        self.shard.leave(client);
        self.due.send |= !self.shard.late().is_empty();
        self.due.time |= self.shard.has_returns();
        self.gone.remove(&client);
        Answer::Now(Op::Leave.refused())
    }

    /// Sends back what may be told of a batch that was applied, and keeps the rest until it may.
    fn send_back(&mut self, applying: Applying) {
        let applied = applying.finish(self.acknowledged());
        if let Some(early) = applied.early {
            self.reply(applied.from, early);
        }
        self.stalled.extend(applied.stalled.map(|batch| (applied.from, batch)));
        self.reply_when_safe(applied.frame_needed, applied.from, applied.batch);
    }

    /// Sends the outcomes that waited for what is safe now.
    pub(super) fn send_deferred(&mut self) {
        let acknowledged = self.acknowledged();
        while let Some((_, to, batch)) = self.deferred.pop_front_if(|(frame, _, _)| *frame <= acknowledged) {
            self.reply(to, batch);
        }
    }
}
