//! The pump: the thin asynchronous part of a shard. It runs on the shard's glommio executor, lets connections apply
//! operations, carries batches between shards, and runs the slow parts of the store where they do not hurt. What is to be
//! done, and when something may be told, the [`Node`] decides.
//!
//! Every task lives as long as the shard. None of them holds a `RefCell` borrow across an await.

mod background;
mod committer;
mod event;

use std::cell::{RefCell, RefMut};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_lite::FutureExt;
use futures_lite::future::poll_once;
use glommio::channels::shared_channel::{self, ConnectedReceiver, ConnectedSender, SharedReceiver, SharedSender};
use glommio::spawn_local;
use storage::FrameNumber;

use crate::commit_policy::CommitMode;
use crate::hash::{ShardId, owner_of};
use crate::node::{Node, Packet};
use crate::op::{Op, Outcome};
use crate::router::{CHANNEL_BATCHES, GatherId};
use crate::shard::Shard;
use event::{Acknowledged, Event};

/// A sleep that ends with the reactor's next turn.
const REACTOR_TURN: Duration = Duration::from_nanos(1);

/// How a pump works.
#[derive(Debug, Clone, Copy)]
pub struct PumpOptions {
    /// Where commits run.
    pub commit: CommitMode,
    /// How long a change waits for a checkpoint at most; `None`: until the log has grown.
    pub checkpoint_interval: Option<Duration>,
}

/// One shard's ends of the channels to and from all others. Made by [`links`], for all shards at once.
#[derive(Debug)]
pub struct Links {
    me: ShardId,
    /// By shard; `None` for itself.
    senders: Vec<Option<SharedSender<Packet>>>,
    receivers: Vec<Option<SharedReceiver<Packet>>>,
    /// Passed once all shards have begun to connect.
    all_begun: Arc<Barrier>,
}

/// The channels between all shards.
#[must_use]
pub fn links(shards: u16) -> Vec<Links> {
    let none = |_| None;
    let all_begun = Arc::new(Barrier::new(usize::from(shards)));
    let mut links: Vec<Links> = (0..shards)
        .map(|me| Links {
            me: ShardId(me),
            senders: (0..shards).map(none).collect(),
            receivers: (0..shards).map(|_| None).collect(),
            all_begun: Arc::clone(&all_begun),
        })
        .collect();
    for from in 0..usize::from(shards) {
        for to in (0..usize::from(shards)).filter(|to| *to != from) {
            let (sender, receiver) = shared_channel::new_bounded(CHANNEL_BATCHES);
            links[from].senders[to] = Some(sender);
            links[to].receivers[from] = Some(receiver);
        }
    }
    links
}

/// A shard that runs on this thread's executor. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ShardHandle(Rc<Pump>);

#[derive(Debug)]
struct Pump {
    me: ShardId,
    shards: u16,
    node: RefCell<Node>,
    /// By shard; `None` for itself.
    senders: Vec<Option<ConnectedSender<Packet>>>,
    acknowledged: Acknowledged,
    applied: Event,
    commit_due: Event,
    send_due: Event,
    reclaim_due: Event,
    segments_due: Event,
    reads_due: Event,
    index_due: Event,
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

/// Lets all other tasks run, and the reactor look at sockets, timers and other shards, before this task goes on. glommio's
/// own yields do not reach the reactor while one task queue is all there is.
pub async fn reactor_turn() {
    glommio::timer::sleep(REACTOR_TURN).await;
}

impl ShardHandle {
    /// Starts a shard on this thread's executor. Returns once the channels to all others are connected, so all shards
    /// must be started; it blocks the thread until they are.
    pub async fn start(shard: Shard, links: Links, options: PumpOptions) -> ShardHandle {
        let shards = links.senders.len() as u16;
        // The first poll of a connect says that this end is here. Once all shards have done that, the second finds the
        // other end, and none has to be woken for it: glommio wakes nobody when the other end comes, it looks again
        // with each turn of the reactor.
        let mut senders: Vec<_> =
            links.senders.into_iter().map(|end| end.map(|end| end.connect().boxed_local())).collect();
        let mut receivers: Vec<_> =
            links.receivers.into_iter().map(|end| end.map(|end| end.connect().boxed_local())).collect();
        let senders_begun = begin(&mut senders).await;
        let receivers_begun = begin(&mut receivers).await;
        links.all_begun.wait();
        let senders = finish(senders, senders_begun).await;
        let receivers = finish(receivers, receivers_begun).await;
        let pump = Rc::new(Pump {
            me: links.me,
            shards,
            node: RefCell::new(Node::new(links.me, shards, shard)),
            senders,
            acknowledged: Acknowledged::default(),
            applied: Event::default(),
            commit_due: Event::default(),
            send_due: Event::default(),
            reclaim_due: Event::default(),
            segments_due: Event::default(),
            reads_due: Event::default(),
            index_due: Event::default(),
        });
        for (from, receiver) in (0..).map(ShardId).zip(receivers) {
            if let Some(receiver) = receiver {
                spawn_local(receive(Rc::clone(&pump), from, receiver)).detach();
            }
        }
        spawn_local(send(Rc::clone(&pump))).detach();
        spawn_local(time_turns(Rc::clone(&pump))).detach();
        spawn_local(committer::run(Rc::clone(&pump), options.commit)).detach();
        background::spawn(&pump, options.checkpoint_interval);
        pump.follow(&mut pump.node.borrow_mut());
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
        let mut node = self.0.node.borrow_mut();
        if read_at.is_none() {
            // It may be about the times so far.
            note_applied(&mut node);
        }
        Turn { pump: &self.0, node, wanted: 0, read_at, ops: 0, changes: 0 }
    }

    /// Waits until the log is safe up to a frame.
    pub async fn settled(&self, frame: FrameNumber) {
        self.0.acknowledged.reached(frame).await;
        debug_assert!(self.0.node.borrow().acknowledged() >= frame);
    }

    /// Opens a place for the outcomes that a connection gets from other shards.
    #[must_use]
    pub fn gather(&self) -> Gather {
        Gather { pump: Rc::clone(&self.0), id: self.0.with_node(Node::open) }
    }

    /// Looks at the shard, or counts something. Nothing follows from that.
    pub fn with_shard<T>(&self, f: impl FnOnce(&mut Shard) -> T) -> T {
        f(self.0.node.borrow_mut().shard())
    }

    /// Whether nothing is on its way between this shard and others.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.0.node.borrow().is_idle()
    }

    /// Commits everything and writes a checkpoint. No connection is served any more, by any shard.
    pub async fn stop(&self) {
        background::finish(&self.0).await;
    }
}

impl Pump {
    /// Has the node do something, and does what follows from it.
    fn with_node<T>(&self, f: impl FnOnce(&mut Node) -> T) -> T {
        let mut node = self.node.borrow_mut();
        let result = f(&mut node);
        self.follow(&mut node);
        result
    }

    /// Wakes the tasks that have something to do and everybody whose frame is safe now, and sends what is to be sent.
    fn follow(&self, node: &mut Node) {
        let due = node.take_due();
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
        let acknowledged = node.acknowledged();
        if acknowledged != self.acknowledged.frame() {
            self.acknowledged.advance(acknowledged);
            node.shard().latency.safe(acknowledged, Instant::now());
        }
        while let Some((to, packet)) = node.next_packet() {
            self.send(to, packet);
        }
    }

    fn changed(&self) -> FrameNumber {
        self.node.borrow().changed()
    }

    fn send(&self, to: ShardId, packet: Packet) {
        let sender = self.senders[to.index()].as_ref().expect("there is a channel to every other shard");
        if let Err(error) = sender.try_send(packet) {
            // Credits keep the channel from being full; and shards end together, with nothing under way.
            panic!("shard {} cannot send to shard {to}: {error}", self.me);
        }
    }
}

type Connecting<T> = Pin<Box<dyn Future<Output = T>>>;

/// Polls each connect once. Returns those that are done by that.
async fn begin<T>(ends: &mut [Option<Connecting<T>>]) -> Vec<Option<T>> {
    let mut done = Vec::new();
    for end in ends {
        done.push(match end {
            Some(end) => poll_once(end).await,
            None => None,
        });
    }
    done
}

/// Waits for those that are not done yet.
async fn finish<T>(ends: Vec<Option<Connecting<T>>>, begun: Vec<Option<T>>) -> Vec<Option<T>> {
    let mut done = Vec::new();
    for (end, begun) in ends.into_iter().zip(begun) {
        done.push(match (end, begun) {
            (Some(end), None) => Some(end.await),
            (_, begun) => begun,
        });
    }
    done
}

/// Carries outboxes to their shards. It runs behind the connections that were ready with it, so a batch holds what all
/// of them have for a shard.
async fn send(pump: Rc<Pump>) {
    loop {
        pump.send_due.wait().await;
        pump.with_node(Node::send_batches);
    }
}

/// Says when operations were applied, as far as it is not said before: once for all connections that had their turn at
/// once, since a clock costs as much as a queue.
async fn time_turns(pump: Rc<Pump>) {
    loop {
        pump.applied.wait().await;
        note_applied(&mut pump.node.borrow_mut());
    }
}

/// Notes that everything that was applied, was applied by now.
fn note_applied(node: &mut Node) {
    let latency = &mut node.shard().latency;
    if latency.wants_applied_at() {
        latency.applied_at(Instant::now());
    }
}

/// Takes what another shard sends. It awaits nothing but its channel: a receiver that is polled along with other things
/// leaves a waker behind each time.
async fn receive(pump: Rc<Pump>, from: ShardId, receiver: ConnectedReceiver<Packet>) {
    while let Some(packet) = receiver.recv().await {
        pump.with_node(|node| {
            note_applied(node);
            node.receive(from, packet).unwrap_or_else(|error| fatal(&error));
            note_applied(node);
        });
    }
}

/// A connection's turn: the shard is its alone, and what follows from all its operations is done once, at the end. No
/// turn lasts across an await.
#[derive(Debug)]
pub struct Turn<'a> {
    pump: &'a Pump,
    node: RefMut<'a, Node>,
    /// The frame that holds the changes so far.
    wanted: FrameNumber,
    read_at: Option<Instant>,
    /// Operations that were applied to this shard, and how many of them wait for a frame.
    ops: u64,
    changes: u64,
}

impl Turn<'_> {
    /// Applies an operation to this shard. The outcome may be told once [`ShardHandle::settled`] has returned for
    /// [`wanted`](Self::wanted).
    #[inline]
    #[must_use = "an outcome may not be told before its frame is safe"]
    pub fn apply(&mut self, op: Op<'_>) -> Outcome {
        match self.node.apply(op, &mut self.wanted) {
            Ok(outcome) => {
                self.ops += 1;
                self.changes += u64::from(outcome.waits_for_commit());
                outcome
            }
            Err(error) => fatal(&error),
        }
    }

    /// The frame that must be safe before the outcomes of this turn may be told; 0 when they may be at once.
    #[must_use]
    pub fn wanted(&self) -> FrameNumber {
        self.wanted
    }

    /// Sends an operation to another shard. Its outcome will be the gather's next.
    ///
    /// # Panics
    /// When `to` is this shard.
    pub fn push(&mut self, gather: &Gather, to: ShardId, op: Op<'_>) {
        self.node.push(gather.id, to, op);
        if let Some(read_at) = self.read_at {
            self.node.note_read(to, read_at);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(read_at) = self.read_at.filter(|_| self.ops > 0) {
            self.node.shard().latency.applied(read_at, self.ops, self.changes, self.wanted);
            self.pump.applied.notify();
        }
        self.pump.follow(&mut self.node);
    }
}

/// The outcomes that one connection gets from other shards.
#[derive(Debug)]
pub struct Gather {
    pump: Rc<Pump>,
    id: GatherId,
}

impl Gather {
    /// Waits until the outcomes of all operations are there. They may be told at once: their shards have waited until
    /// they are safe.
    pub async fn complete(&self) {
        poll_fn(|context| match self.pump.node.borrow_mut().is_complete(self.id, context.waker()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    /// Takes the outcomes, in the order in which the operations were pushed.
    ///
    /// # Panics
    /// When [`complete`](Self::complete) was not awaited before.
    pub fn take(&self, mut each: impl FnMut(Outcome)) {
        self.pump.node.borrow_mut().outcomes(self.id).for_each(&mut each);
    }
}

impl Drop for Gather {
    fn drop(&mut self) {
        self.pump.node.borrow_mut().close(self.id);
    }
}
