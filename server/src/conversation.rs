//! What a client's session and the shard that serves it have to do with each other, whatever carries the bytes.

use std::io;
use std::mem;
use std::time::Instant;

use futures_lite::AsyncWrite;
use shards::pump::{Gather, ShardHandle, Turn};
use shards::{FrameNumber, Op, Outcome, ShardId};

use crate::connection::Connections;
use crate::control;
use crate::session::{Backend, Control, Session, Step};

/// A client's conversation with the server.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) session: Session,
    handle: ShardHandle,
    gather: Gather,
    /// Input that is no whole command yet.
    input: Vec<u8>,
    /// The frame that must be safe before the replies go.
    wanted: FrameNumber,
    /// Operations whose outcomes come from other shards.
    forwarded: u64,
    /// When the last input was there to be read.
    read_at: Instant,
    /// Commands whose replies are to be sent next.
    unanswered: u64,
}

impl Conversation {
    pub(crate) fn new(server: &Connections) -> Conversation {
        Conversation {
            session: Session::new(server.settings().rules()),
            handle: server.handle().clone(),
            gather: server.handle().gather(),
            input: Vec::new(),
            wanted: 0,
            forwarded: 0,
            read_at: Instant::now(),
            unanswered: 0,
        }
    }

    /// Notes when what comes next was there to be read.
    pub(crate) fn read_at(&mut self, at: Instant) {
        self.read_at = at;
    }

    /// Has the session go on with what was left and what came. [`settle`](Self::settle) must follow before its replies
    /// are sent.
    pub(crate) fn step(&mut self, server: &Connections, came: &[u8]) -> Step {
        let mut backend = ShardBackend {
            handle: server.handle(),
            turn: server.handle().turn_after_read(self.read_at),
            draining: server.is_draining(),
            gather: &self.gather,
            forwarded: &mut self.forwarded,
        };
        let step = if self.input.is_empty() {
            let (done, step) = self.session.run(came, &mut backend);
            self.input.extend_from_slice(&came[done..]);
            step
        } else {
            self.input.extend_from_slice(came);
            let (done, step) = self.session.run(&self.input, &mut backend);
            self.input.drain(..done);
            step
        };
        self.wanted = self.wanted.max(backend.turn.wanted());
        step
    }

    /// Waits until all replies are written and may be sent.
    pub(crate) async fn settle(&mut self, server: &Connections) {
        let forwarded = mem::take(&mut self.forwarded);
        if forwarded > 0 {
            self.gather.complete().await;
            let session = &mut self.session;
            self.gather.take(|outcome| session.deliver(outcome));
            self.session.counters.forwarded += forwarded;
        }
        assert!(self.session.is_settled(), "every command has its reply");
        let counted = mem::take(&mut self.session.counters);
        self.unanswered += counted.commands;
        server.handle().with_shard(|shard| shard.counters.add(&counted));
        server.handle().settled(mem::take(&mut self.wanted)).await;
    }

    /// Answers a command that concerns all shards. Returns how many bytes of the answer were sent already.
    ///
    /// # Errors
    /// When the client is gone.
    pub(crate) async fn answer(
        &mut self,
        control: Control,
        server: &Connections,
        client: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<u64> {
        // It does not count: whoever looks at the server would find himself.
        self.unanswered -= 1;
        control::answer(control, server, &self.gather, &mut self.session.out, client).await
    }

    /// Notes that the replies to what was [settled](Self::settle) have been sent.
    pub(crate) fn answered(&mut self, server: &Connections) {
        let commands = mem::take(&mut self.unanswered);
        if commands > 0 {
            let now = Instant::now();
            server.handle().with_shard(|shard| shard.latency.answered(self.read_at, now, commands));
        }
    }

    /// Whether a command has begun and its end has not come.
    pub(crate) fn is_amid_command(&self) -> bool {
        !self.input.is_empty() || self.session.is_amid_body()
    }

    /// A client that is idle costs no more than this.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        if self.input.is_empty() && self.input.capacity() > bytes {
            self.input = Vec::new();
        }
    }
}

impl Drop for Conversation {
    /// What was counted since it was settled last counts too: the bytes of the last replies, for one.
    fn drop(&mut self) {
        let counted = mem::take(&mut self.session.counters);
        self.handle.with_shard(|shard| shard.counters.add(&counted));
    }
}

/// Applies what is this shard's, and sends what is another's.
struct ShardBackend<'a> {
    handle: &'a ShardHandle,
    turn: Turn<'a>,
    draining: bool,
    gather: &'a Gather,
    forwarded: &'a mut u64,
}

impl Backend for ShardBackend<'_> {
    fn shards(&self) -> u16 {
        self.handle.shards()
    }

    fn is_draining(&self) -> bool {
        self.draining
    }

    fn owner_of(&self, queue: &[u8]) -> ShardId {
        self.handle.owner_of(queue)
    }

    #[inline]
    fn submit(&mut self, to: ShardId, op: Op<'_>) -> Option<Outcome> {
        if to == self.handle.id() {
            return Some(self.turn.apply(op));
        }
        self.turn.push(self.gather, to, op);
        *self.forwarded += 1;
        None
    }
}
