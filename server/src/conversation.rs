//! What a client's session and the shard that serves it have to do with each other, whatever carries the bytes.

use std::io;
use std::mem;
use std::time::Instant;

use futures_lite::AsyncWrite;
use shards::pump::{Gather, ShardHandle, Turn};
use shards::{FrameNumber, Op, ShardId};

use crate::memcache::control;
use crate::memcache::session::{Backend, Control, Session, Step, Submitted};
use crate::net::connection::Connections;

/// A client's conversation with the server.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) session: Session,
    handle: ShardHandle,
    gather: Gather,
    /// Input that is not done with, from `done` on: no whole command yet, or more than one round.
    input: Vec<u8>,
    done: usize,
    /// The frame that must be safe before the replies go.
    wanted: FrameNumber,
    /// Operations whose outcomes come from other shards.
    forwarded: u64,
    /// When the operation that waits for the disk was tried, by [`ShardHandle::retries`].
    tried_at: u64,
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
            done: 0,
            wanted: 0,
            forwarded: 0,
            tried_at: 0,
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
            if !came.is_empty() {
                self.input.drain(..mem::take(&mut self.done));
                self.input.extend_from_slice(came);
            }
            let (done, step) = self.session.run(&self.input[self.done..], &mut backend);
            self.done += done;
            if self.done == self.input.len() {
                self.input.clear();
                self.done = 0;
            }
            step
        };
        self.wanted = self.wanted.max(backend.turn.wanted());
        self.tried_at = backend.turn.retries();
        step
    }

    /// Waits until replies are written and may be sent. Returns whether these are all; if not, it is called again once
    /// they are sent.
    pub(crate) async fn settle(&mut self, server: &Connections) -> bool {
        if self.forwarded > 0 {
            self.gather.complete().await;
            while !self.session.has_much_to_send()
                && let Some(outcome) = self.gather.next()
            {
                self.session.deliver(outcome);
                self.session.counters.forwarded += 1;
                self.forwarded -= 1;
            }
        }
        let is_all = self.forwarded == 0;
        assert_eq!(is_all, self.session.is_settled(), "every command has its reply");
        let counted = mem::take(&mut self.session.counters);
        self.unanswered += counted.commands;
        server.handle().with_shard(|shard| shard.counters.add(&counted));
        server.handle().settled(mem::take(&mut self.wanted)).await;
        is_all
    }

    /// Waits until the operation at which the session [stalled](Step::Stalled) is worth another try.
    pub(crate) async fn wait_for_disk(&self, server: &Connections) {
        server.handle().retry_after(self.tried_at).await;
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
        control::answer(control, server, &self.gather, &mut self.session.replies.out, client).await
    }

    /// Notes that the replies to what was [settled](Self::settle) have been sent.
    pub(crate) fn answered(&mut self, server: &Connections) {
        let commands = mem::take(&mut self.unanswered);
        if commands > 0 {
            server.handle().note_answered(self.read_at, Instant::now(), commands);
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
    fn submit(&mut self, to: ShardId, op: Op<'_>) -> Submitted {
        if to == self.handle.id() {
            return self.turn.apply(op).map_or(Submitted::Stalled, Submitted::Done);
        }
        self.turn.push(self.gather, to, op);
        *self.forwarded += 1;
        Submitted::Forwarded
    }
}
