//! The engine of a shard: one shard among the others, as plain state. It applies operations for its own connections and for other
//! shards, says what is to be sent to whom, and which of its tasks have something to do.
//!
//! The order of an acknowledgement is here: applied and framed by [`Engine::apply`], written and synced by a
//! [`Commit`], and only once [`Engine::acknowledged`] has reached its frame a reply goes to a client, or a batch goes back
//! to the shard that it came from.
//!
//! The [`pump`](crate::pump) carries the packets and runs the tasks; so does the simulator in the tests, in any order.

pub(crate) mod serving;
pub(crate) mod shard;

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;
use std::time::Instant;

use storage::{Chore, Commit, FrameNumber, Fsync, Result};

use crate::engine::serving::Serving;
use crate::engine::shard::Shard;
use crate::op::{Op, Outcome};
use crate::owner::ShardId;
use crate::routing::batch::{Address, Batch};
use crate::routing::router::{GatherId, Router};

/// Operations of another shard that are applied in one piece: with some 0.5 us each, the shard's own clients wait no
/// longer for them than for one of their own rounds.
const PIECE_OPS: usize = 256;
/// Bytes of bodies that end a piece before that: they are copied, with 0.1 us for a KiB.
const PIECE_BYTES: usize = 1 << 20;

/// What goes from one shard to another.
#[derive(Debug)]
pub enum Packet {
    /// Operations to apply.
    Request(Batch),
    /// Outcomes that may be told: of the same batch, or of a part of it that could be told before the rest or only after.
    Reply(Batch),
}

/// The tasks of a engine that have something to do, by the methods that they call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// [`Engine::begin_commit`], until it gives nothing more.
    pub commit: bool,
    /// [`Engine::send_batches`].
    pub send: bool,
    /// [`Engine::serve_step`], until it says that nothing is left.
    pub serve: bool,
    /// [`Engine::reclaim`], until it gives nothing more.
    pub reclaim: bool,
    /// [`Engine::segment_chore`], until it gives nothing more.
    pub segments: bool,
    /// [`Engine::read_chore`], until it gives nothing more.
    pub reads: bool,
    /// [`Engine::index_chore`], as long as [`Engine::wants_checkpoint_step`].
    pub index: bool,
}

impl Due {
    /// Adds what has become due since.
    pub fn add(&mut self, other: Due) {
        self.commit |= other.commit;
        self.send |= other.send;
        self.serve |= other.serve;
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
pub struct Engine {
    shard: Shard,
    router: Router,
    /// Batches of other shards that are to be applied. The first may have begun.
    inbox: VecDeque<Serving>,
    /// Operations of other shards that wait for a chore to end.
    stalled: Vec<(ShardId, Batch)>,
    /// How many times what waits for a chore was worth another try.
    retries: u64,
    /// What would have to wait for the disk is refused.
    refuses_to_wait: bool,
    /// Batches of other shards that were applied, each with the frame that must be safe before it goes back. The frames
    /// ascend.
    deferred: VecDeque<(FrameNumber, ShardId, Batch)>,
    outgoing: VecDeque<(ShardId, Packet)>,
    due: Due,
}

impl Engine {
    /// The engine of `shard`, which is shard `me` out of `shards`.
    #[must_use]
    pub fn new(me: ShardId, shards: u16, shard: Shard) -> Engine {
        let router = Router::new(me, shards);
        let mut engine = Engine {
            shard,
            router,
            inbox: VecDeque::new(),
            stalled: Vec::new(),
            retries: 0,
            refuses_to_wait: false,
            deferred: VecDeque::new(),
            outgoing: VecDeque::new(),
            due: Due::default(),
        };
        engine.progress();
        engine
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

    /// Takes back a packet that could not be sent yet. It is the last of those that wait.
    pub fn keep_packet(&mut self, to: ShardId, packet: Packet) {
        self.outgoing.push_back((to, packet));
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

    /// Whether operations of other shards are to be applied.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Whether nothing is on its way between this shard and others.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let others_wait = !(self.inbox.is_empty() && self.stalled.is_empty() && self.deferred.is_empty());
        self.router.is_idle() && !others_wait && self.outgoing.is_empty()
    }

    // ---- for this shard's connections ----

    /// Applies an operation to this shard. The outcome may be told once [`acknowledged`](Self::acknowledged) has reached
    /// `wanted`, which is raised to the frame that holds the change, if there was one. `None`: it waits for the disk.
    /// Nothing was done; ask again once [`retries`](Self::retries) says something else.
    ///
    /// # Errors
    /// When the disk has failed. The process must stop, and tell nobody anything.
    #[inline]
    pub fn apply(&mut self, op: Op<'_>, wanted: &mut FrameNumber) -> Result<Option<Outcome>> {
        let Some(outcome) = self.shard.apply(op)? else { return Ok(self.wait(op)) };
        if outcome.waits_for_commit() {
            *wanted = self.shard.changed();
            self.due.commit = true;
        }
        self.due.index |= matches!(outcome, Outcome::CheckpointAsked(_));
        Ok(Some(outcome))
    }

    #[cold]
    fn wait(&mut self, op: Op<'_>) -> Option<Outcome> {
        self.note_work();
        self.refuses_to_wait.then(|| op.refused())
    }

    /// How many times what waits for the disk was worth another try.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries
    }

    /// From now on an operation that would have to wait for the disk is refused instead: the server stops.
    pub fn refuse_to_wait(&mut self) {
        self.refuses_to_wait = true;
        self.retry();
    }

    /// Has everything tried again that waits for the disk.
    pub fn retry(&mut self) {
        self.retries += 1;
        self.inbox.extend(self.stalled.drain(..).map(|(from, batch)| Serving::new(from, batch)));
        self.due.serve |= !self.inbox.is_empty();
    }

    /// Opens a place for the outcomes that a connection gets from other shards.
    pub fn open(&mut self) -> GatherId {
        self.router.open()
    }

    /// Closes it. What is still missing is thrown away when it comes.
    pub fn close(&mut self, id: GatherId) {
        self.router.close(id);
    }

    /// Has an operation done by another shard. Its outcome comes in turn from [`next_outcome`](Self::next_outcome).
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

    /// Takes the first outcome of a connection, in the order in which their operations were pushed. `None`: there is no more.
    ///
    /// # Panics
    /// When some are missing.
    pub fn next_outcome(&mut self, id: GatherId) -> Option<Outcome> {
        self.router.next_outcome(id)
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

    /// Takes what another shard has sent. Operations are applied by [`serve_step`](Self::serve_step).
    pub fn receive(&mut self, from: ShardId, packet: Packet) {
        match packet {
            Packet::Request(batch) => {
                self.inbox.push_back(Serving::new(from, batch));
                self.due.serve = true;
            }
            Packet::Reply(batch) => {
                self.router.deliver(from, batch);
                // The credit that came back may be what an outbox waits for.
                self.due.send = true;
            }
        }
    }

    /// Applies a few more operations of other shards, in the order in which they came, and sends back those batches whose
    /// outcomes may be told. Returns whether there is more to do. `applied` sees each operation with what came of it.
    ///
    /// # Errors
    /// When the disk has failed. The process must stop, and tell nobody anything.
    pub fn serve_step(&mut self, mut applied: impl FnMut(ShardId, Address, Op<'_>, &Outcome)) -> Result<bool> {
        let Some(mut serving) = self.inbox.pop_front() else {
            self.due.serve = false;
            return Ok(false);
        };
        let (mut ops, mut bytes, mut done, mut changes) = (0, 0, 0, 0);
        while ops < PIECE_OPS && bytes < PIECE_BYTES {
            let Some((address, op)) = serving.next() else { break };
            let mut wanted = 0;
            let outcome = if serving.is_stalled(address) { None } else { self.apply(op, &mut wanted)? };
            if let Some(outcome) = &outcome {
                applied(serving.from, address, op, outcome);
                done += 1;
                changes += u64::from(outcome.waits_for_commit());
                bytes += op.body_bytes() + outcome.body_bytes();
            }
            ops += 1;
            serving.answer(address, outcome, wanted);
        }
        self.shard.counters.served += done;
        self.shard.latency.served(&mut serving.batch.reads, ops as u64, changes, serving.wanted);
        if serving.next().is_some() {
            self.inbox.push_front(serving);
        } else {
            self.send_back(serving);
        }
        self.due.serve = !self.inbox.is_empty();
        Ok(self.due.serve)
    }

    /// Sends back what may be told of a batch that was applied, and keeps the rest until it may.
    fn send_back(&mut self, serving: Serving) {
        let acknowledged = self.acknowledged();
        let served = serving.finish(acknowledged);
        self.outgoing.extend(served.early.map(|batch| (served.from, Packet::Reply(batch))));
        self.stalled.extend(served.stalled.map(|batch| (served.from, batch)));
        if acknowledged >= served.wanted {
            self.outgoing.push_back((served.from, Packet::Reply(served.batch)));
        } else {
            assert!(self.deferred.back().is_none_or(|(frame, _, _)| *frame <= served.wanted), "frames ascend");
            self.deferred.push_back((served.wanted, served.from, served.batch));
        }
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
        self.note_work();
        self.send_deferred();
    }

    /// Notes what work the store has to hand out.
    fn note_work(&mut self) {
        let store = self.shard.store();
        self.due.reclaim |= store.wants_reclaim();
        self.due.segments |= store.wants_segment_chore();
        self.due.reads |= store.wants_read_chore();
        self.due.index |= store.wants_checkpoint_step();
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
    pub fn begin_sync(&mut self) -> Option<Fsync> {
        self.shard.store().begin_sync()
    }

    /// Notes that a sync has run without an error.
    pub fn finish_sync(&mut self, sync: &Fsync) {
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
        let ends_a_wait = self.shard.store().finish_chore(chore)?;
        // A segment that left the ring is said to have left by the next frame.
        self.due.commit = true;
        self.progress();
        if ends_a_wait {
            self.retry();
        }
        Ok(())
    }

    /// To be called once a second: what failed for now is tried again.
    pub fn tick(&mut self) {
        self.shard.store().tick();
        self.progress();
        self.retry();
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
