//! The pump: the thin asynchronous part of a shard. It runs on the shard's glommio executor, lets connections apply
//! operations, carries batches between shards, and runs the slow parts of the store where they do not hurt. What is to be
//! done, and when something may be told, the [`Engine`] decides.
//!
//! Every task lives as long as the shard. None of them holds a `RefCell` borrow across an await.

mod background;
mod clock;
mod committer;
mod event;
mod gather;
mod handle;
mod links;
mod piece;
mod tasks;
mod turn;
mod turns;

use std::cell::{Cell, RefCell};
use std::time::Instant;

use glommio::{GlommioError, ResourceType};
use storage::FrameNumber;

use crate::engine::{Engine, Packet};
use crate::owner::ShardId;
use clock::Clock;
use event::{Acknowledged, Event, Growing};
pub use gather::Gather;
pub use handle::{Fail, PumpOptions, ShardHandle};
use links::Senders;
pub use links::{Links, links};
use piece::Piece;
pub use turn::Turn;
use turns::Turns;

#[derive(Debug)]
struct Pump {
    me: ShardId,
    shards: u16,
    engine: RefCell<Engine>,
    /// By shard; `None` for itself.
    senders: Senders,
    acknowledged: Acknowledged,
    applied: Event,
    clock: Clock,
    commit_due: Event,
    sync_due: Event,
    send_due: Event,
    reclaim_due: Event,
    segments_due: Event,
    reads_due: Event,
    index_due: Event,
    apply_due: Event,
    time_due: Event,
    resend_due: Event,
    /// What waits for the disk is tried again when this grows.
    retries: Growing,
    turns: Turns,
    /// When the piece of a checkpoint was begun that another thread writes.
    index_chore_began: Cell<Option<Instant>>,
    fail: Fail,
}

impl Pump {
    /// Has the engine do something, and does what follows from it.
    fn with_engine<T>(&self, f: impl FnOnce(&mut Engine) -> T) -> T {
        let _piece = Piece::begin();
        let mut engine = self.engine.borrow_mut();
        let result = f(&mut engine);
        self.follow(&mut engine);
        result
    }

    /// Wakes the tasks that have something to do and the connections whose frame is safe now, and sends the engine's
    /// packets.
    fn follow(&self, engine: &mut Engine) {
        let due = engine.take_due();
        if due.commit {
            self.commit_due.notify();
        }
        if due.sync {
            self.sync_due.notify();
        }
        if due.send {
            self.send_due.notify();
        }
        if due.reclaim {
            self.reclaim_due.notify();
        }
        if due.segments {
            self.segments_due.notify();
        }
        if due.reads {
            self.reads_due.notify();
        }
        if due.index {
            self.index_due.notify();
        }
        if due.apply {
            self.apply_due.notify();
        }
        if due.time {
            self.time_due.notify();
        }
        self.retries.note(engine.retries());
        let acknowledged = engine.acknowledged();
        if acknowledged != self.acknowledged.frame() {
            let now = Instant::now();
            self.turns.note_active(now);
            self.acknowledged.advance(acknowledged);
            engine.latency().note_safe(acknowledged, now);
        }
        let mut unsent = Vec::new();
        while let Some((to, packet)) = engine.next_packet() {
            unsent.extend(self.send(to, packet).map(|packet| (to, packet)));
        }
        if !unsent.is_empty() {
            unsent.into_iter().for_each(|(to, packet)| engine.keep_packet(to, packet));
            self.resend_due.notify();
        }
    }

    /// Applies a few operations of other shards. Returns whether there is more to do, and when it was done.
    fn apply_others(&self, engine: &mut Engine, now: Instant) -> (bool, Instant) {
        self.note_applied_at(engine, now);
        let more =
            engine.apply_step(self.clock.moment(now), |_, _, _, _| {}).unwrap_or_else(|error| (self.fail)(&error));
        let now = Instant::now();
        self.note_applied_at(engine, now);
        (more, now)
    }

    /// Does a piece of what is due by now. Returns whether there is more to do.
    fn pass_time(&self) -> bool {
        let now = self.clock.moment(Instant::now());
        self.with_engine(|engine| engine.pass_time(now).unwrap_or_else(|error| (self.fail)(&error)))
    }

    /// Notes that everything that was applied, was applied by now.
    fn note_applied(&self, engine: &mut Engine) {
        // The clock costs as much as a queue.
        if engine.latency().has_untimed() {
            self.note_applied_at(engine, Instant::now());
        }
    }

    fn note_applied_at(&self, engine: &mut Engine, now: Instant) {
        let latency = engine.latency();
        if latency.has_untimed() {
            latency.note_applied_at(now);
            self.turns.note_active(now);
        }
    }

    fn begin_turn(&self, now: Instant) {
        if let Some(took) = self.turns.begin(now) {
            self.engine.borrow_mut().latency().note_turn(took);
        }
    }

    fn last_changed_frame(&self) -> FrameNumber {
        self.engine.borrow().last_changed_frame()
    }

    /// Sends a packet; gives it back when the channel is full.
    fn send(&self, to: ShardId, packet: Packet) -> Option<Packet> {
        let sender = self.senders[to.index()].as_ref().expect("there is a channel to every other shard");
        match sender.try_send(packet) {
            Ok(()) => None,
            Err(GlommioError::WouldBlock(ResourceType::Channel(packet))) => Some(packet),
            // Shards end together, with nothing under way.
            Err(error) => panic!("shard {} cannot send to shard {to}: {error}", self.me),
        }
    }
}
