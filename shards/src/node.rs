//! A node: one shard among the others, as plain state. It applies operations for its own connections and for other
//! shards, says what is to be sent to whom, and which of its tasks have something to do.
//!
//! The order of an acknowledgement is here: applied and framed by [`Node::apply`], written and synced by a
//! [`Commit`], and only once [`Node::acknowledged`] has reached its frame a reply goes to a client, or a batch goes back
//! to the shard that it came from.
//!
//! The [`pump`](crate::pump) carries the packets and runs the tasks; so does the simulator in the tests, in any order.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;
use std::time::Instant;

use storage::{Chore, Commit, FrameNumber, Result, Sync};

use crate::batch::Batch;
use crate::hash::ShardId;
use crate::op::{Op, Outcome};
use crate::router::{GatherId, Router};
use crate::shard::Shard;

/// What goes from one shard to another.
#[derive(Debug)]
pub enum Packet {
    /// Operations to apply.
    Request(Batch),
    /// The same batch, with its outcomes, once they may be told.
    Reply(Batch),
}

/// The tasks of a node that have something to do, by the methods that they call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// [`Node::begin_commit`], until it gives nothing more.
    pub commit: bool,
    /// [`Node::send_batches`].
    pub send: bool,
    /// [`Node::reclaim`], until it gives nothing more.
    pub reclaim: bool,
    /// [`Node::segment_chore`], until it gives nothing more.
    pub segments: bool,
    /// [`Node::read_chore`], until it gives nothing more.
    pub reads: bool,
    /// [`Node::index_chore`], as long as [`Node::wants_checkpoint_step`].
    pub index: bool,
}

impl Due {
    /// Adds what has become due since.
    pub fn add(&mut self, other: Due) {
        self.commit |= other.commit;
        self.send |= other.send;
        self.reclaim |= other.reclaim;
        self.segments |= other.segments;
        self.reads |= other.reads;
        self.index |= other.index;
    }
}

/// One shard, and its side of the traffic with all others.
///
/// Whatever was called, [`take_due`](Self::take_due) and [`next_packet`](Self::next_packet) say what follows from it.
#[derive(Debug)]
pub struct Node {
    shard: Shard,
    router: Router,
    /// Batches of other shards that were applied, each with the frame that must be safe before it goes back. The frames
    /// ascend.
    deferred: VecDeque<(FrameNumber, ShardId, Batch)>,
    outgoing: VecDeque<(ShardId, Packet)>,
    due: Due,
}

impl Node {
    /// The node of `shard`, which is shard `me` out of `shards`.
    #[must_use]
    pub fn new(me: ShardId, shards: u16, shard: Shard) -> Node {
        let router = Router::new(me, shards);
        let (deferred, outgoing) = (VecDeque::new(), VecDeque::new());
        let mut node = Node { shard, router, deferred, outgoing, due: Due::default() };
        node.progress();
        node
    }

    /// The shard itself.
    pub fn shard(&mut self) -> &mut Shard {
        &mut self.shard
    }

    // ---- what follows ----

    /// Which tasks have something to do since this was asked last.
    pub fn take_due(&mut self) -> Due {
        mem::take(&mut self.due)
    }

    /// The next packet to be sent, in the order in which it must arrive.
    pub fn next_packet(&mut self) -> Option<(ShardId, Packet)> {
        self.outgoing.pop_front()
    }

    /// The frame that holds the last change.
    #[must_use]
    pub fn changed(&self) -> FrameNumber {
        self.shard.changed()
    }

    /// The last frame that is safe.
    #[must_use]
    pub fn acknowledged(&self) -> FrameNumber {
        self.shard.acknowledged()
    }

    /// Whether nothing is on its way between this shard and others.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.router.is_idle() && self.deferred.is_empty() && self.outgoing.is_empty()
    }

    // ---- for this shard's connections ----

    /// Applies an operation to this shard. The outcome may be told once [`acknowledged`](Self::acknowledged) has reached
    /// `wanted`, which is raised to the frame that holds the change, if there was one.
    ///
    /// # Errors
    /// When the disk has failed. The process must stop, and tell nobody anything.
    #[inline]
    pub fn apply(&mut self, op: Op<'_>, wanted: &mut FrameNumber) -> Result<Outcome> {
        let result = self.shard.apply(op).map(|done| done.expect("the store never waits so far"));
        self.due.reads |= self.shard.store().wants_read_chore();
        if let Ok(outcome) = &result {
            if outcome.waits_for_commit() {
                *wanted = self.shard.changed();
                self.due.commit = true;
            }
            self.due.index |= matches!(outcome, Outcome::CheckpointAsked(_));
        }
        result
    }

    /// Opens a place for the outcomes that a connection gets from other shards.
    pub fn open(&mut self) -> GatherId {
        self.router.open()
    }

    /// Closes it. What is still missing is thrown away when it comes.
    pub fn close(&mut self, id: GatherId) {
        self.router.close(id);
    }

    /// Has an operation done by another shard. Its outcome will be the next in [`outcomes`](Self::outcomes).
    ///
    /// # Panics
    /// When `to` is this shard.
    pub fn push(&mut self, id: GatherId, to: ShardId, op: Op<'_>) {
        self.router.push(id, to, op);
        self.due.send = true;
    }

    /// Notes when the operation that was pushed last, to this shard, had been read from its client.
    pub fn note_read(&mut self, to: ShardId, at: Instant) {
        self.router.note_read(to, at);
    }

    /// Whether all outcomes of a connection are there; if not, `waker` is woken when they are. They may be told at once:
    /// their shards have waited until they are safe.
    pub fn is_complete(&mut self, id: GatherId, waker: &Waker) -> bool {
        self.router.is_complete(id, waker)
    }

    /// Takes the outcomes of a connection, in the order in which their operations were pushed.
    ///
    /// # Panics
    /// When some are missing.
    pub fn outcomes(&mut self, id: GatherId) -> impl Iterator<Item = Outcome> {
        self.router.outcomes(id)
    }

    // ---- between shards ----

    /// Sends what the outboxes hold, as far as there are credits.
    pub fn send_batches(&mut self) {
        for to in self.router.others() {
            while let Some(batch) = self.router.next_batch(to) {
                self.outgoing.push_back((to, Packet::Request(batch)));
            }
        }
    }

    /// Takes what another shard has sent.
    ///
    /// # Errors
    /// When the disk has failed. The process must stop, and tell nobody anything.
    pub fn receive(&mut self, from: ShardId, packet: Packet) -> Result<()> {
        match packet {
            Packet::Request(batch) => self.serve(from, batch)?,
            Packet::Reply(batch) => {
                self.router.deliver(from, batch);
                // The credit that came back may be what an outbox waits for.
                self.due.send = true;
            }
        }
        Ok(())
    }

    /// Applies another shard's batch, and sends it back as soon as its outcomes may be told.
    fn serve(&mut self, from: ShardId, mut batch: Batch) -> Result<()> {
        let (mut wanted, mut changes) = (0, 0);
        batch.serve(|op| {
            let result = self.apply(op, &mut wanted);
            changes += u64::from(result.as_ref().is_ok_and(Outcome::waits_for_commit));
            result
        })?;
        self.shard.latency.served(&mut batch.reads, changes, wanted);
        self.shard.counters.served += batch.len() as u64;
        if self.acknowledged() >= wanted {
            self.outgoing.push_back((from, Packet::Reply(batch)));
        } else {
            assert!(self.deferred.back().is_none_or(|(frame, _, _)| *frame <= wanted), "frames ascend");
            self.deferred.push_back((wanted, from, batch));
        }
        Ok(())
    }

    /// Sends back the batches that waited for what is safe now.
    fn send_deferred(&mut self) {
        let acknowledged = self.acknowledged();
        while self.deferred.front().is_some_and(|(frame, _, _)| *frame <= acknowledged) {
            if let Some((_, to, batch)) = self.deferred.pop_front() {
                self.outgoing.push_back((to, Packet::Reply(batch)));
            }
        }
    }

    // ---- the slow parts ----

    /// Lets everybody go on who waits for what is on the disk now.
    fn progress(&mut self) {
        let store = self.shard.store();
        self.due.reclaim |= store.wants_reclaim();
        self.due.segments |= store.wants_segment_chore();
        self.due.reads |= store.wants_read_chore();
        self.due.index |= store.wants_checkpoint_step();
        self.send_deferred();
    }

    /// Seals the frame that was filled so far; `None` while a commit is under way, or when nothing was changed.
    pub fn begin_commit(&mut self) -> Option<Commit> {
        self.shard.store().begin_commit()
    }

    /// Notes that a commit has run without an error, `inline` on the shard's own thread.
    pub fn finish_commit(&mut self, commit: Commit, inline: bool) {
        self.shard.finish_commit(commit, inline);
        self.progress();
    }

    /// An fdatasync of what was acknowledged after its write only; `None` when everything is durable.
    pub fn begin_sync(&mut self) -> Option<Sync> {
        self.shard.store().begin_sync()
    }

    /// Notes that a sync has run without an error.
    pub fn finish_sync(&mut self, sync: &Sync) {
        self.shard.store().finish_sync(sync);
        self.progress();
    }

    /// The next piece of work on the log's files. One at a time.
    pub fn segment_chore(&mut self) -> Option<Chore> {
        self.shard.store().segment_chore()
    }

    /// The next read of the log that an operation or a reclaim waits for. Several may be under way at a time.
    pub fn read_chore(&mut self) -> Option<Chore> {
        self.shard.store().read_chore()
    }

    /// Whether a checkpoint can go on.
    pub fn wants_checkpoint_step(&mut self) -> bool {
        self.shard.store().wants_checkpoint_step()
    }

    /// The next piece of a checkpoint. One at a time.
    pub fn index_chore(&mut self) -> Option<Chore> {
        self.shard.store().index_chore()
    }

    /// Takes a chore back after it ran.
    ///
    /// # Errors
    /// When the disk has failed. The process must stop, and tell nobody anything.
    pub fn finish_chore(&mut self, chore: Chore) -> Result<()> {
        self.shard.store().finish_chore(chore)?;
        // A segment that left the ring is said to have left by the next frame.
        self.due.commit = true;
        self.progress();
        Ok(())
    }

    /// Does a little of what gives space back. Returns the frame that must be safe before it goes on: one frame is copied
    /// for one that is committed, fast enough to keep up, slow enough not to be in the way. `None`: it is done.
    ///
    /// # Errors
    /// When the disk has failed. The process must stop, and tell nobody anything.
    pub fn reclaim(&mut self) -> Result<Option<FrameNumber>> {
        if !self.shard.store().wants_reclaim() {
            self.progress();
            return Ok(None);
        }
        self.shard.store().reclaim()?;
        self.due.reads |= self.shard.store().wants_read_chore();
        self.due.commit = true;
        Ok(Some(self.changed()))
    }

    /// Asks for a checkpoint. It is done when [`storage::Store::checkpoints_finished`] has reached what this returns.
    pub fn request_checkpoint(&mut self) -> u64 {
        self.due.index = true;
        self.shard.store().request_checkpoint()
    }
}
