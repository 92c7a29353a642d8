//! A client's conversation with the server, on a stream or by datagrams: the one loop that has a session go through
//! what the client sends, waits until what came of it is safe, and has the replies sent.

use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_lite::future::yield_now;
use log::log_enabled;
use shards::pump::{Gather, Turn};
use shards::{Answer, FrameNumber, Moment, Op, ShardId};

use crate::context::ShardContext;
use crate::memcache::session::{Rules, Session};
use crate::memcache::{control, trace};
use crate::session::peer::Peer;
use crate::session::roster::Entry;
use crate::session::{Backend, Control, ReplySink, Step};

/// A client's conversation with the server.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) session: Session,
    context: Rc<ShardContext>,
    gather: Gather,
    /// Where an operator sees the connection, if it is one.
    entry: Option<Entry>,
    /// Input that is not done with, from `done` on: no whole command yet, or more than one round.
    input: Vec<u8>,
    done: usize,
    /// The frame that must be safe before the replies go.
    frame_needed: FrameNumber,
    /// Operations whose outcomes come from other shards.
    forwarded: u64,
    /// When the operation that waits for the disk was tried, by
    /// [`ShardHandle::retries`](shards::pump::ShardHandle::retries).
    tried_at: u64,
    /// When the last input was there to be read.
    read_at: Instant,
}

/// What carries the bytes of a conversation: a stream, or datagrams.
pub(crate) trait Carrier: ReplySink {
    /// Waits for input, and has the conversation [go through it](Conversation::step). `None`: no more comes.
    ///
    /// # Errors
    /// When the connection is broken.
    async fn read(&mut self, conversation: &mut Conversation) -> io::Result<Option<Step>>;

    /// The whole answer to a command that looks at the server, if it is not given here.
    fn refusal(&self, control: Control) -> Option<&'static [u8]>;

    /// Whether the conversation ends although there is input that is not done with.
    fn is_to_leave(&self, conversation: &Conversation) -> bool;

    /// Gives back what the conversation does not need while it waits for a message.
    fn release(&self, conversation: &mut Conversation);

    /// Waits until the client is gone. Input that has come meanwhile is read later.
    fn poll_gone(&mut self, context: &Context<'_>) -> Poll<()>;

    /// Ends the conversation of a client that may have sent more, or be sending it.
    ///
    /// # Errors
    /// When the connection is broken.
    async fn close(&mut self, conversation: &mut Conversation) -> io::Result<()>;
}

impl Conversation {
    /// `now`: the time of the first input, or one before it.
    pub(crate) fn new(context: &Rc<ShardContext>, now: Instant) -> Conversation {
        Conversation {
            session: Session::new(Rules::of(&context.settings)),
            context: Rc::clone(context),
            gather: context.handle.gather(),
            entry: None,
            input: Vec::new(),
            done: 0,
            frame_needed: 0,
            forwarded: 0,
            tried_at: 0,
            read_at: now,
        }
    }

    /// Has an operator see it as the connection with this socket.
    pub(crate) fn enter(&mut self, socket: RawFd, peer: Peer) {
        self.session.peer = peer;
        self.entry = Some(self.context.roster.enter(self.gather.client(), socket, peer));
    }

    /// How long the connection has been open; no time without one.
    pub(crate) fn age(&self) -> Duration {
        self.entry.as_ref().map_or(Duration::ZERO, Entry::age)
    }

    /// Converses until the client leaves, or is to.
    ///
    /// # Errors
    /// When the connection is broken, or the client takes no more replies.
    pub(crate) async fn drive(&mut self, carrier: &mut impl Carrier) -> io::Result<()> {
        while let Some(mut step) = carrier.read(self).await? {
            loop {
                if step == Step::Waiting && !self.wait(carrier).await {
                    return Ok(());
                }
                let is_all = self.finish_round().await;
                if is_all && let Step::Control(control) = step {
                    // Boxed, since it is rare and its future is large.
                    Box::pin(self.answer(control, carrier)).await?;
                }
                if step == Step::LogIn {
                    step = Box::pin(self.log_in()).await;
                }
                let out = mem::take(&mut self.session.answers.out);
                if log_enabled!(log::Level::Trace) {
                    trace::replies(&self.session.who(), &out);
                }
                let sent = carrier.send(&out, &mut self.session.counters.bytes_written).await;
                self.session.answers.out = out;
                self.session.answers.out.clear();
                sent?;
                if let Some(entry) = &self.entry {
                    // All that was sent since the last round was finished.
                    entry.count_written(self.session.counters.bytes_written);
                }
                if !is_all {
                    self.others_first().await;
                    continue;
                }
                let commands = mem::take(&mut self.session.timed);
                let mut active = self.read_at;
                if commands > 0 {
                    active = Instant::now();
                    self.context.handle.note_answered(self.read_at, active, commands);
                }
                if let Some(entry) = &self.entry {
                    entry.note_active(active);
                }
                match step {
                    Step::NeedInput => break,
                    Step::Close => return carrier.close(self).await,
                    _ if carrier.is_to_leave(self) => return Ok(()),
                    Step::Stalled => self.context.handle.retry_after(self.tried_at).await,
                    // What comes behind it is done now, and not when it was read.
                    Step::Waiting => self.read_at = Instant::now(),
                    Step::RoundFull | Step::LogIn | Step::Control(_) => self.others_first().await,
                }
                step = self.step(&[], self.read_at);
            }
        }
        Ok(())
    }

    /// Has the session go on with what was left and what came, the latter there to be read at `read_at`. The [`Turn`]
    /// borrows the shard as long as it lives: a call of the shard's handle by anything that the session calls would
    /// panic.
    pub(crate) fn step(&mut self, came: &[u8], read_at: Instant) -> Step {
        self.read_at = read_at;
        let Conversation { session, context, gather, input, done, forwarded, .. } = self;
        let turn = context.handle.turn_after_read(gather, read_at);
        session.counters.bytes_read += came.len() as u64;
        let mut backend = ShardBackend { context, turn, forwarded };
        let step = if input.is_empty() {
            let (used, step) = session.run(came, &mut backend);
            input.extend_from_slice(&came[used..]);
            step
        } else {
            if !came.is_empty() {
                input.drain(..mem::take(done));
                input.extend_from_slice(came);
            }
            let (used, step) = session.run(&input[*done..], &mut backend);
            *done += used;
            assert!(*done <= input.len(), "a session uses what it is given");
            if *done == input.len() {
                input.clear();
                *done = 0;
            }
            step
        };
        self.frame_needed = self.frame_needed.max(backend.turn.frame_needed());
        self.tried_at = backend.turn.retries();
        step
    }

    /// Waits until the outcome of a get that waits for a message is there. Returns whether it is; if not, the client is
    /// gone, and gets nothing any more.
    async fn wait(&mut self, carrier: &mut impl Carrier) -> bool {
        carrier.release(self);
        self.count();
        self.note_waits(true);
        let mut outcome = pin!(self.gather.complete());
        let is_there = poll_fn(|context| match outcome.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => carrier.poll_gone(context).map(|()| false),
        })
        .await;
        self.note_waits(false);
        is_there
    }

    /// Has an operator see whether the connection waits for a message.
    fn note_waits(&self, waits: bool) {
        if let Some(entry) = &self.entry {
            entry.note_waits(waits);
        }
    }

    /// Waits until replies are written and may be sent. Returns whether these are all; if not, it is called again once
    /// they are sent.
    async fn finish_round(&mut self) -> bool {
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
        assert_eq!(is_all, self.session.awaits_no_outcome(), "every command has its reply");
        self.count();
        self.context.handle.settled(mem::take(&mut self.frame_needed)).await;
        is_all
    }

    /// Adds what the session has counted to the shard's counters.
    fn count(&mut self) {
        let counted = mem::take(&mut self.session.counters);
        if let Some(entry) = &self.entry {
            entry.count_read(counted.commands, counted.bytes_read);
        }
        self.context.handle.count(|counters| counters.add(&counted));
    }

    /// Answers a command that looks at the server.
    async fn answer(&mut self, control: Control, carrier: &mut impl Carrier) -> io::Result<()> {
        let Session { answers, counters, prefix, .. } = &mut self.session;
        if let Some(refusal) = carrier.refusal(control) {
            answers.text(refusal);
            return Ok(());
        }
        let mut client =
            control::Client { prefix, out: &mut answers.out, sink: carrier, sent: &mut counters.bytes_written };
        control::answer(control, &self.context, &self.gather, &mut client).await
    }

    /// Has a login checked, and answers it. Returns how the session goes on.
    async fn log_in(&mut self) -> Step {
        let asked = self.session.take_asked();
        let peer = self.session.peer;
        let users = self.context.users.as_ref().expect("where clients log in there are users");
        let checked = users.check(&asked.name, &asked.password, peer.source()).await;
        match &checked {
            Ok(account) => {
                log::debug!("{peer} has logged in as user {}", account.name());
                self.entry.iter().for_each(|entry| entry.note_user(account));
            }
            Err(denied) => users.log_denied(&peer, &asked.name, *denied),
        }
        self.session.answer_login(&asked, checked)
    }

    /// Lets all other clients that are ready have a round, and after a while everything else of the shard its part.
    pub(crate) async fn others_first(&self) {
        yield_now().await;
        self.context.handle.pass().await;
    }

    /// Whether a command has begun and its end has not come.
    pub(crate) fn is_amid_command(&self) -> bool {
        !self.input.is_empty() || self.session.is_amid_body()
    }

    /// Frees the input buffer when it is empty and larger than `bytes`: a client that is idle costs no more than that.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        if self.input.is_empty() && self.input.capacity() > bytes {
            self.input = Vec::new();
        }
    }
}

impl Drop for Conversation {
    /// What was counted since the last round was finished counts too: the bytes of the last replies, for one.
    fn drop(&mut self) {
        self.count();
    }
}

/// Applies what is this shard's, and sends what is another's.
struct ShardBackend<'a> {
    context: &'a ShardContext,
    turn: Turn<'a>,
    forwarded: &'a mut u64,
}

impl Backend for ShardBackend<'_> {
    fn is_draining(&self) -> bool {
        self.context.drain.is_on()
    }

    fn now(&self) -> Moment {
        self.turn.now()
    }

    #[inline]
    fn submit(&mut self, to: ShardId, op: Op<'_>) -> Answer {
        let answer = self.turn.submit(to, op);
        *self.forwarded += u64::from(matches!(answer, Answer::Later));
        answer
    }
}
