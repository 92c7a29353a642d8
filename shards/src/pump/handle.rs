//! What the server does with a shard: one handle for all of its connections and tasks.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glommio::spawn_local;
use storage::settings::Patterns;
use storage::{Error, FrameNumber, Totals};

use super::clock::Clock;
use super::event::{Acknowledged, Event, Growing};
use super::gather::Gather;
use super::links::Links;
use super::piece::Piece;
use super::turn::Turn;
use super::turns::Turns;
use super::{Pump, background, committer, tasks};
use crate::commit::policy::CommitMode;
use crate::engine::Engine;
use crate::engine::shard::Shard;
use crate::figures::counters::Counters;
use crate::moment::Moment;
use crate::owner::{ShardId, owner_of};

/// What ends the process when the disk has failed.
pub type Fail = fn(&Error) -> !;

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

impl ShardHandle {
    /// Starts a shard on this thread's executor. Returns once the channels to all others are connected, so all shards
    /// must be started; it blocks the thread until they are.
    ///
    /// When the disk has failed, `fail` is called and must end the process: nothing may be acknowledged any more.
    pub async fn start(shard: Shard, links: Links, options: PumpOptions, fail: Fail) -> ShardHandle {
        let (me, shards) = (links.me, links.senders.len() as u16);
        let clock = Clock::new(links.start);
        let (senders, receivers) = links.connect().await;
        let now = clock.moment(Instant::now());
        let pump = Rc::new(Pump {
            me,
            shards,
            engine: RefCell::new(Engine::new(me, shards, shard, now)),
            senders,
            acknowledged: Acknowledged::default(),
            applied: Event::default(),
            clock,
            commit_due: Event::default(),
            sync_due: Event::default(),
            send_due: Event::default(),
            reclaim_due: Event::default(),
            segments_due: Event::default(),
            reads_due: Event::default(),
            index_due: Event::default(),
            apply_due: Event::default(),
            time_due: Event::default(),
            resend_due: Event::default(),
            retries: Growing::default(),
            turns: Turns::new(),
            index_chore_began: Cell::new(None),
            fail,
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

    /// Begins a turn of a connection: all the operations that it has at once. Those that look at the shard see what was
    /// done in other turns before.
    #[must_use]
    pub fn turn(&self, gather: &Gather) -> Turn<'_> {
        let now = Instant::now();
        let mut engine = self.0.engine.borrow_mut();
        self.0.note_applied_at(&mut engine, now);
        self.begin_turn(engine, gather, now, None)
    }

    /// Begins a turn of a connection whose operations were read from its client at this time, and count in the times of
    /// [`Op::Latency`](crate::Op::Latency).
    #[must_use]
    pub fn turn_after_read(&self, gather: &Gather, read_at: Instant) -> Turn<'_> {
        self.begin_turn(self.0.engine.borrow_mut(), gather, read_at, Some(read_at))
    }

    #[inline]
    fn begin_turn<'a>(
        &'a self,
        engine: RefMut<'a, Engine>,
        gather: &Gather,
        now: Instant,
        read_at: Option<Instant>,
    ) -> Turn<'a> {
        let now = self.0.clock.moment(now);
        Turn {
            pump: &self.0,
            engine,
            gather: gather.id,
            now,
            frame_needed: 0,
            read_at,
            ops: 0,
            changes: 0,
            _piece: Piece::begin(),
        }
    }

    /// What time it is: a moment from which a wait can be reckoned.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.0.clock.moment(Instant::now())
    }

    /// Notes that the reactor has looked at everything: a turn of the shard begins.
    pub fn note_look(&self, now: Instant) {
        self.0.begin_turn(now);
    }

    /// Notes that the replies to `commands` that were read at once have been handed to their socket.
    pub fn note_answered(&self, read_at: Instant, now: Instant, commands: u64) {
        self.0.turns.note_active(now);
        self.0.engine.borrow_mut().latency().note_answered(read_at, now, commands);
    }

    /// Waits for the shard's next turn: until the reactor has looked at everything.
    pub async fn next_turn(&self) {
        self.0.turns.next().await;
    }

    /// Waits for the shard's next turn if this one has lasted long enough. What could go on for ever calls it again and
    /// again: sockets, other shards and commits get their part meanwhile.
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

    /// From now on an operation that would have to wait for the disk or for a message is refused instead, and so are those
    /// that wait: the server stops.
    pub fn refuse_to_wait(&self) {
        self.0.with_engine(Engine::refuse_to_wait);
    }

    /// Waits until the log is safe up to a frame.
    pub async fn settled(&self, frame: FrameNumber) {
        self.0.acknowledged.reached(frame).await;
        debug_assert!(self.0.engine.borrow().acknowledged() >= frame);
    }

    /// Has all takes end with nothing that wait for a message now: the server drains.
    pub fn end_waits(&self) {
        self.0.with_engine(Engine::end_waits);
    }

    /// Gives the queues the settings that patterns have for their names, below what each was told itself: new queues at
    /// once, those that there are little by little.
    pub fn set_patterns(&self, patterns: Arc<Patterns>) {
        self.0.with_engine(|engine| engine.set_patterns(patterns));
    }

    /// Opens a place for the outcomes that a connection gets later.
    #[must_use]
    pub fn gather(&self) -> Gather {
        Gather { pump: Rc::clone(&self.0), id: self.0.with_engine(Engine::open) }
    }

    /// Counts something, in no turn.
    pub fn count(&self, f: impl FnOnce(&mut Counters)) {
        f(self.0.engine.borrow_mut().counters());
    }

    /// Notes that a connection was accepted and is open.
    pub fn note_connection_opened(&self) {
        self.0.engine.borrow_mut().note_connection_opened();
    }

    /// Notes that a connection is open no more.
    pub fn note_connection_closed(&self) {
        self.0.engine.borrow_mut().note_connection_closed();
    }

    /// What the shard holds.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.0.engine.borrow().store().totals()
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
