//! The pump: the thin asynchronous part of a shard. It runs on the shard's glommio executor, lets connections apply
//! operations, carries batches between shards, and runs the slow parts of the store where they do not hurt. What is to be
//! done, and when something may be told, the [`Engine`] decides.
//!
//! Every task lives as long as the shard. None of them holds a `RefCell` borrow across an await.

mod background;
mod committer;
mod event;
mod gather;
mod links;
mod piece;
mod tasks;
mod turn;
mod turns;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::{GlommioError, ResourceType, spawn_local};
use storage::FrameNumber;

use crate::commit::policy::CommitMode;
use crate::engine::shard::Shard;
use crate::engine::{Engine, Packet};
use crate::owner::{ShardId, owner_of};
use event::{Acknowledged, Event, Growing};
pub use gather::Gather;
use links::Senders;
pub use links::{Links, links};
use piece::Piece;
pub use turn::Turn;
use turns::Turns;

/// How a pump works.
#[derive(Debug, Clone, Copy)]
pub struct PumpOptions {
    /// Where commits run.
    pub commit: CommitMode,
    /// How long a change waits for a checkpoint at most; `None`: until the log has grown.
    pub checkpoint_interval: Option<Duration>,
}

/// A shard that runs on this thread's executor. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ShardHandle(Rc<Pump>);

#[derive(Debug)]
struct Pump {
    me: ShardId,
    shards: u16,
    engine: RefCell<Engine>,
    /// By shard; `None` for itself.
    senders: Senders,
    acknowledged: Acknowledged,
    applied: Event,
    commit_due: Event,
    send_due: Event,
    reclaim_due: Event,
    segments_due: Event,
    reads_due: Event,
    index_due: Event,
    serve_due: Event,
    resend_due: Event,
    /// What waits for the disk is tried again when this grows.
    retries: Growing,
    turns: Turns,
    /// When the piece of a checkpoint was begun that another thread writes.
    index_chore_began: Cell<Option<Instant>>,
}

/// Ends the process: the disk has failed, and nobody may be told anything any more.
fn fatal(error: &storage::Error) -> ! {
    let then = match error {
        storage::Error::Damage { .. } => "start once with --repair to go on with all that is whole",
        storage::Error::Io { .. } => "what is on the disk is unknown",
    };
    log::error!("{error}; this process stops and acknowledges nothing more; {then}");
    std::process::exit(1);
}

impl ShardHandle {
    /// Starts a shard on this thread's executor. Returns once the channels to all others are connected, so all shards
    /// must be started; it blocks the thread until they are.
    pub async fn start(shard: Shard, links: Links, options: PumpOptions) -> ShardHandle {
        let (me, shards) = (links.me, links.senders.len() as u16);
        let (senders, receivers) = links.connect().await;
        let pump = Rc::new(Pump {
            me,
            shards,
            engine: RefCell::new(Engine::new(me, shards, shard)),
            senders,
            acknowledged: Acknowledged::default(),
            applied: Event::default(),
            commit_due: Event::default(),
            send_due: Event::default(),
            reclaim_due: Event::default(),
            segments_due: Event::default(),
            reads_due: Event::default(),
            index_due: Event::default(),
            serve_due: Event::default(),
            resend_due: Event::default(),
            retries: Growing::default(),
            turns: Turns::new(),
            index_chore_began: Cell::new(None),
        });
        tasks::spawn(&pump, receivers);
        spawn_local(committer::run(Rc::clone(&pump), options.commit)).detach();
        background::spawn(&pump, options.checkpoint_interval);
        pump.follow(&mut pump.engine.borrow_mut());
        ShardHandle(pump)
    }

    /// Which shard this is.
    #[must_use]
    pub fn id(&self) -> ShardId {
        self.0.me
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.0.shards
    }

    /// The shard that owns the queue of this name.
    #[must_use]
    pub fn owner_of(&self, queue: &[u8]) -> ShardId {
        owner_of(queue, self.0.shards)
    }

    /// Begins a turn of a connection: all the operations that it has at once.
    #[must_use]
    pub fn turn(&self) -> Turn<'_> {
        self.begin_turn(None)
    }

    /// Begins a turn of a connection whose operations were read from its client at this time, and count in
    /// [`Shard::latency`].
    #[must_use]
    pub fn turn_after_read(&self, read_at: Instant) -> Turn<'_> {
        self.begin_turn(Some(read_at))
    }

    fn begin_turn(&self, read_at: Option<Instant>) -> Turn<'_> {
        let mut engine = self.0.engine.borrow_mut();
        if read_at.is_none() {
            // It may be about the times so far.
            self.0.note_applied(&mut engine);
        }
        Turn { pump: &self.0, engine, wanted: 0, read_at, ops: 0, changes: 0, _piece: Piece::begin() }
    }

    /// Notes that the reactor has looked at everything: a turn of the shard begins.
    pub fn note_look(&self, now: Instant) {
        self.0.begin_turn(now);
    }

    /// Notes that the replies to `commands` that were read at once have been handed to their socket.
    pub fn note_answered(&self, read_at: Instant, now: Instant, commands: u64) {
        self.0.turns.note_active(now);
        self.0.engine.borrow_mut().shard().latency.answered(read_at, now, commands);
    }

    /// Waits for the shard's next turn: until the reactor has looked at everything.
    pub async fn next_turn(&self) {
        self.0.turns.next().await;
    }

    /// Waits for the shard's next turn if this one has lasted long enough. What could go on for ever calls it again and again:
    /// sockets, other shards and commits get their part meanwhile.
    pub async fn pass(&self) {
        if self.0.turns.is_spent(Instant::now()) {
            self.0.turns.next().await;
        }
    }

    /// How many times what waits for the disk was worth another try.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.0.engine.borrow().retries()
    }

    /// Waits until what waits for the disk is worth another try than the last.
    pub async fn retry_after(&self, retries: u64) {
        self.0.retries.beyond(retries).await;
    }

    /// From now on an operation that would have to wait for the disk is refused instead: the server stops.
    pub fn refuse_to_wait(&self) {
        self.0.with_engine(Engine::refuse_to_wait);
    }

    /// Waits until the log is safe up to a frame.
    pub async fn settled(&self, frame: FrameNumber) {
        self.0.acknowledged.reached(frame).await;
        debug_assert!(self.0.engine.borrow().acknowledged() >= frame);
    }

    /// Opens a place for the outcomes that a connection gets from other shards.
    #[must_use]
    pub fn gather(&self) -> Gather {
        Gather { pump: Rc::clone(&self.0), id: self.0.with_engine(Engine::open) }
    }

    /// Looks at the shard, or counts something. Nothing follows from that.
    pub fn with_shard<T>(&self, f: impl FnOnce(&mut Shard) -> T) -> T {
        f(self.0.engine.borrow_mut().shard())
    }

    /// Whether nothing is on its way between this shard and others.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.0.engine.borrow().is_idle()
    }

    /// Commits everything and writes a checkpoint. No connection is served any more, by any shard.
    pub async fn stop(&self) {
        background::finish(&self.0).await;
    }
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

    /// Wakes the tasks that have something to do and everybody whose frame is safe now, and sends what is to be sent.
    fn follow(&self, engine: &mut Engine) {
        let due = engine.take_due();
        if due.commit {
            self.commit_due.notify();
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
        if due.serve {
            self.serve_due.notify();
        }
        self.retries.note(engine.retries());
        let acknowledged = engine.acknowledged();
        if acknowledged != self.acknowledged.frame() {
            let now = Instant::now();
            self.turns.note_active(now);
            self.acknowledged.advance(acknowledged);
            engine.shard().latency.safe(acknowledged, now);
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

    /// Applies a few operations of other shards. Returns whether there is more to do.
    fn serve_step(&self) -> bool {
        self.with_engine(|engine| self.apply_others(engine))
    }

    /// Applies a few operations of other shards. Returns whether there is more to do.
    fn apply_others(&self, engine: &mut Engine) -> bool {
        self.note_applied(engine);
        let more = engine.serve_step(|_, _, _, _| {}).unwrap_or_else(|error| fatal(&error));
        self.note_applied(engine);
        more
    }

    /// Notes that everything that was applied, was applied by now.
    fn note_applied(&self, engine: &mut Engine) {
        let latency = &mut engine.shard().latency;
        if latency.wants_applied_at() {
            let now = Instant::now();
            latency.applied_at(now);
            self.turns.note_active(now);
        }
    }

    fn begin_turn(&self, now: Instant) {
        if let Some(took) = self.turns.begin(now) {
            self.engine.borrow_mut().shard().latency.turned(took);
        }
    }

    fn changed(&self) -> FrameNumber {
        self.engine.borrow().changed()
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
