//! The engine of a shard: one shard among the others, as plain state. It applies operations for its own connections and
//! for other shards, hands out the packets for other shards, and names the tasks that have something to do. What time
//! it is, and which client asks, comes with each call.
//!
//! The order of an acknowledgement is here: applied and framed by [`Engine::submit`] and [`Engine::apply_step`],
//! written and synced by a [`Commit`](storage::Commit), and only once [`Engine::acknowledged`] has reached its frame a
//! reply goes to a client, or a batch goes back to the shard that it came from.
//!
//! The [`pump`](crate::pump) carries the packets and runs the tasks; so does the simulator in the tests, in any order.

mod applying;
mod chores;
mod chunks;
mod deadlines;
mod due;
mod exchange;
mod lease;
mod leases;
mod lines;
mod listing;
mod opened;
mod opens;
mod returns;
pub(crate) mod shard;
mod timers;
mod waiters;

use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use storage::settings::Patterns;
use storage::{FrameNumber, GateAnswered, Result, Store};

use crate::client::{Asker, Client, GatherId};
use crate::engine::applying::Applying;
use crate::engine::deadlines::Deadlines;
use crate::engine::shard::{Late, Shard};
use crate::engine::timers::Timer;
use crate::figures::counters::Counters;
use crate::figures::latency::Latency;
use crate::moment::Moment;
use crate::op::Op;
use crate::outcome::{Answer, Outcome};
use crate::owner::ShardId;
use crate::routing::batch::Batch;
use crate::routing::router::Router;
pub use due::Due;

/// What goes from one shard to another.
#[derive(Debug)]
pub enum Packet {
    /// Operations to apply.
    Request(Batch),
    /// Outcomes that may be told: of the same batch, of a part of it that could be told before the rest or only after,
    /// or of waits that have ended.
    Reply(Batch),
}

/// One shard, and its side of the traffic with all others.
///
/// After each call, [`take_due`](Self::take_due) and [`next_packet`](Self::next_packet) tell what follows from it.
#[derive(Debug)]
pub struct Engine {
    shard: Shard,
    router: Router,
    /// Batches of other shards that are to be applied. The first may have begun.
    inbox: VecDeque<Applying>,
    /// Operations of other shards that wait for a chore to end.
    stalled: Vec<(ShardId, Batch)>,
    /// How many times what waits for a chore was worth another try.
    retries: u64,
    /// What would have to wait is refused.
    refuses_to_wait: bool,
    /// Clients of other shards that are gone, and may have operations among those that are stalled.
    gone: BTreeSet<Client>,
    timers: Deadlines<Timer>,
    /// When what was due by then was done the last time.
    passed: Moment,
    /// Batches of other shards that were applied, each with the frame that must be safe before it goes back. The frames
    /// ascend.
    deferred: VecDeque<(FrameNumber, ShardId, Batch)>,
    outgoing: VecDeque<(ShardId, Packet)>,
    due: Due,
}

impl Engine {
    /// The engine of `shard`, which is shard `me` out of `shards`. It starts `now`.
    #[must_use]
    pub fn new(me: ShardId, shards: u16, shard: Shard, now: Moment) -> Engine {
        let router = Router::new(me, shards);
        let mut engine = Engine {
            shard,
            router,
            inbox: VecDeque::new(),
            stalled: Vec::new(),
            retries: 0,
            refuses_to_wait: false,
            gone: BTreeSet::new(),
            timers: Deadlines::new(),
            passed: now,
            deferred: VecDeque::new(),
            outgoing: VecDeque::new(),
            due: Due::default(),
        };
        engine.start_timers(now);
        engine.progress();
        engine
    }

    /// What the shard holds, to be looked at.
    #[must_use]
    pub fn store(&self) -> &Store {
        self.shard.store()
    }

    /// What the shard counts.
    pub fn counters(&mut self) -> &mut Counters {
        &mut self.shard.counters
    }

    /// Notes that a connection was accepted and is open.
    pub fn note_connection_opened(&mut self) {
        self.shard.counters.connections += 1;
        self.shard.curr_connections += 1;
    }

    /// Notes that a connection is open no more.
    pub fn note_connection_closed(&mut self) {
        self.shard.curr_connections -= 1;
    }

    /// Gives the queues the settings that patterns have for their names, below what each was told itself: new queues at
    /// once, those that there are little by little.
    pub fn set_patterns(&mut self, patterns: Arc<Patterns>) {
        self.shard.store_mut().set_patterns(patterns);
        self.due.time |= self.shard.store().wants_patterns();
    }

    /// Where time goes.
    pub(crate) fn latency(&mut self) -> &mut Latency {
        &mut self.shard.latency
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
    pub fn last_changed_frame(&self) -> FrameNumber {
        self.shard.last_changed_frame()
    }

    /// The last frame that is safe.
    #[must_use]
    pub fn acknowledged(&self) -> FrameNumber {
        self.shard.acknowledged()
    }

    /// Whether operations of other shards are to be applied.
    #[must_use]
    pub fn is_applying(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Whether nothing is on its way between this shard and others. Waits that stand in a line do not count, unless they
    /// are to be answered now.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let others_wait = !(self.inbox.is_empty() && self.stalled.is_empty() && self.deferred.is_empty());
        let late = !self.shard.late().is_empty() || self.shard.has_waits_to_answer();
        self.router.is_idle() && !others_wait && !late && self.outgoing.is_empty()
    }

    // ---- for this shard's connections ----

    /// Opens a place for the outcomes that a connection does not get at once. Its client begins with that.
    pub fn open(&mut self) -> GatherId {
        self.router.open()
    }

    /// The ticket of a connection's client.
    #[must_use]
    pub fn client_of(&self, id: GatherId) -> Client {
        self.router.asker(id).client
    }

    /// Closes it: the client is gone. What is still missing is thrown away when it comes; what the client has open,
    /// here and on other shards, ends.
    pub fn close(&mut self, id: GatherId) {
        self.shard.leave(self.client_of(id));
        self.router.close(id);
        self.due.send = true;
        self.due.time |= self.shard.has_returns();
    }

    /// Has an operation done for a connection: by this shard at once, by another one later. `read_at`: when it was read
    /// from its client; without that it does not count in the figures of stages.
    ///
    /// [`Answer::Now`]: the outcome may be told once [`acknowledged`](Self::acknowledged) has reached `frame_needed`,
    /// which is raised to the frame that holds the change, if there was one. [`Answer::Later`]: it will be the next of
    /// [`next_outcome`](Self::next_outcome). [`Answer::Stalled`]: it is worth another try once
    /// [`retries`](Self::retries) has grown.
    ///
    /// # Errors
    /// When the disk has failed. The process must stop, and acknowledge nothing more.
    #[inline]
    pub fn submit(
        &mut self,
        now: Moment,
        id: GatherId,
        to: ShardId,
        op: Op<'_>,
        read_at: Option<Instant>,
        frame_needed: &mut FrameNumber,
    ) -> Result<Answer> {
        if to != self.router.me() {
            self.router.push(id, to, &op, read_at);
            self.due.send = true;
            return Ok(Answer::Later);
        }
        let by = self.router.asker(id);
        self.apply(now, by, &op, frame_needed)
    }

    /// The answer stays where the shard has put it: a move of it costs as much as the rest of this.
    #[inline]
    fn apply(&mut self, now: Moment, by: Asker, op: &Op<'_>, frame_needed: &mut FrameNumber) -> Result<Answer> {
        let mut answer = self.shard.apply(now, by, op);
        match &answer {
            Ok(Answer::Now(outcome)) => {
                if outcome.waits_for_commit() {
                    *frame_needed = self.shard.last_changed_frame();
                    self.due.commit = true;
                }
                match outcome {
                    Outcome::CheckpointAsked(_) => self.due.index = true,
                    // They wait for no frame, and may have written all the same: numbers of leases, a try that has failed.
                    Outcome::Opened { .. } => self.due.commit |= self.shard.store().wants_commit(),
                    Outcome::Touched => {
                        self.due.commit |= self.shard.store().wants_commit();
                        self.note_deadline();
                    }
                    // What came back may be on its way to the dead letters.
                    Outcome::Ended => self.note_deadline(),
                    // A seat that is free may be for the first in the gate's line.
                    Outcome::Gate(GateAnswered { waits: true, .. }) | Outcome::Configured => self.note_deadline(),
                    _ => {}
                }
                if self.shard.has_waits() {
                    self.note_waits();
                }
            }
            Ok(Answer::Later) => self.note_line(by),
            Ok(Answer::Stalled) => {
                self.note_work();
                self.due.commit |= self.shard.store().wants_commit();
                self.due.time |= self.shard.has_more_to_end();
                if self.refuses_to_wait {
                    answer = Ok(Answer::Now(op.refused()));
                }
            }
            Err(_) => {}
        }
        answer
    }

    /// Notes that a client stands in line.
    #[cold]
    fn note_line(&mut self, by: Asker) {
        if by.client.shard() == self.router.me() {
            self.router.expect_wait(by.address.gather);
        }
        self.note_waits();
        // Its deadline may be the first.
        self.due.time = true;
        // What was acknowledged before it got in line.
        self.due.commit |= self.shard.store().wants_commit();
    }

    /// Notes that something may be due sooner than the pump has been told. That is worth a wake-up only if it is due now:
    /// what is asked for comes due after whole seconds, and the pump wakes up each second.
    fn note_deadline(&mut self) {
        self.due.time |= self.shard.next_deadline().is_some_and(|next| next <= self.passed);
    }

    /// Notes what follows from it that waits have ended, or that a line has found out that it must wait for the disk.
    fn note_waits(&mut self) {
        self.due.send |= !self.shard.late().is_empty();
        self.due.time |= self.shard.has_waits_to_answer();
        self.note_work();
    }

    /// How many times what waits for the disk was worth another try.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries
    }

    /// From now on an operation that would have to wait for the disk or for a message is refused instead, and so are those
    /// that wait: the server stops.
    pub fn refuse_to_wait(&mut self) {
        self.refuses_to_wait = true;
        self.shard.refuse_to_wait();
        self.retry();
    }

    /// Has all takes end with nothing that wait for a message now.
    pub fn end_waits(&mut self) {
        self.shard.end_waits();
        self.due.time |= self.shard.has_waits_to_answer();
    }

    /// Has everything tried again that waits for the disk, in the order in which it came.
    fn retry(&mut self) {
        self.retries += 1;
        for (from, batch) in self.stalled.drain(..).rev() {
            self.inbox.push_front(Applying::new(from, batch));
        }
        self.shard.retry();
        self.due.apply |= !self.inbox.is_empty();
        // What was held up had no deadline.
        self.due.time = true;
    }

    /// The outcomes of waits that have ended, and that [`send_batches`](Self::send_batches) has not sent: for the
    /// simulator, which keeps account of them.
    #[must_use]
    pub fn late(&self) -> &[Late] {
        self.shard.late()
    }

    /// Whether messages that are to come back by themselves have to wait for the disk: for the simulator too.
    #[must_use]
    pub fn holds_back(&self) -> bool {
        self.shard.holds_back()
    }

    /// Whether all outcomes of a connection are there; if not, `waker` is woken when they are. They may be told at once:
    /// their shards have waited until they are safe.
    pub fn is_complete(&mut self, id: GatherId, waker: &Waker) -> bool {
        self.router.is_complete(id, waker)
    }

    /// Takes the first outcome of a connection, in the order in which their operations were pushed. `None`: there is no
    /// more.
    ///
    /// # Panics
    /// When some are missing.
    pub fn next_outcome(&mut self, id: GatherId) -> Option<Outcome> {
        self.router.next_outcome(id)
    }
}
