//! One shard: what it does with an operation. It is plain state, without other shards, connections or threads.

use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;

use storage::{Attempt, Commit, FrameNumber, Result, Store};

use crate::client::{Asker, Client};
use crate::engine::waiters::Waiters;
use crate::figures::counters::{Counters, Figures};
use crate::figures::latency::{Latency, Stage};
use crate::moment::Moment;
use crate::op::Op;
use crate::outcome::{Answer, Outcome};

/// Queues that a listing looks at in one operation.
const LISTED_AT_ONCE: u32 = 512;
/// Waits that one client may have in lines of a shard, which all end in one piece when it goes. One more finds nothing.
pub(super) const WAITS_PER_CLIENT_MAX: usize = 64;

/// The outcome of an operation that was not answered at once.
#[derive(Debug)]
pub struct Late {
    /// Who has asked, and where the outcome goes.
    pub by: Asker,
    /// What came of it.
    pub outcome: Outcome,
    /// The frame that must be safe before it may be told; 0: at once.
    pub(crate) frame_needed: FrameNumber,
}

/// A shard's state.
#[derive(Debug)]
pub struct Shard {
    store: Store,
    /// What it counts; connections count here too.
    pub(crate) counters: Counters,
    /// Connections that are open.
    pub(crate) curr_connections: u64,
    /// Where time goes. The pump and the server report the times.
    pub(crate) latency: Latency,
    waiters: Waiters,
    /// Waits that came before this mark end with nothing.
    waits_ended: u64,
    /// No operation gets in line any more.
    refuses_to_wait: bool,
    /// Queues with a line and a message, for which the disk has to be waited.
    stalled_lines: BTreeSet<Arc<[u8]>>,
    /// Of them, those for which it is worth another try.
    retried_lines: VecDeque<Arc<[u8]>>,
    /// Outcomes of waits that have ended, in their order.
    late: Vec<Late>,
}

impl Shard {
    /// A shard with the queues of a store.
    #[must_use]
    pub fn new(mut store: Store) -> Shard {
        // An operation that needs what only the disk has waits for it; all others go on.
        store.let_reads_wait();
        Shard {
            store,
            counters: Counters::default(),
            curr_connections: 0,
            latency: Latency::default(),
            waiters: Waiters::new(),
            waits_ended: 0,
            refuses_to_wait: false,
            stalled_lines: BTreeSet::new(),
            retried_lines: VecDeque::new(),
            late: Vec::new(),
        }
    }

    /// Does what a client asks for, in memory and in the frame that is being filled. An outcome that [waits for a
    /// commit](Outcome::waits_for_commit) may be told once [`acknowledged`](Self::acknowledged) has reached what
    /// [`last_changed_frame`](Self::last_changed_frame) is now. What has stalled is worth another try once a chore has
    /// run.
    ///
    /// # Errors
    /// When the disk has failed. The process must stop, and acknowledge nothing more.
    pub fn apply(&mut self, now: Moment, by: Asker, op: &Op<'_>) -> Result<Answer> {
        let attempt = match *op {
            Op::Put { queue, flags, body } => {
                let attempt = self.store.put(queue, flags, body)?.map(|()| Outcome::Stored);
                if !self.waiters.is_empty() && matches!(attempt, Attempt::Done(_)) {
                    self.serve_line(now, queue, 1)?;
                }
                attempt
            }
            Op::Create { queue } => self.store.create(queue)?.map(|()| Outcome::Stored),
            Op::Take { queue } => self.store.take(queue)?.map(|taken| taken.map_or(Outcome::Empty, Outcome::Message)),
            Op::TakeWait { queue, until } => return self.take_or_wait(now, by, queue, until),
            // The store cannot do these yet.
            Op::PutWith { .. }
            | Op::Peek { .. }
            | Op::Open(_)
            | Op::End { .. }
            | Op::Touch { .. }
            | Op::Kick { .. }
            | Op::Configure { .. }
            | Op::Unconfigure { .. } => Attempt::Done(op.refused()),
            Op::Config { .. } => Attempt::Done(Outcome::Words(Vec::new())),
            Op::ListFigures { .. } => Attempt::Done(Outcome::QueueFigures { lines: Vec::new(), next: None }),
            Op::Leave => {
                self.leave(by.client);
                Attempt::Done(Outcome::Empty)
            }
            Op::Delete { queue } => self.store.delete(queue)?.map(|there| match there {
                true => Outcome::Deleted,
                false => Outcome::NotFound,
            }),
            Op::Flush { queue } => self.store.flush(queue)?.map(|()| Outcome::Done),
            Op::FlushAll => self.store.flush_all()?.map(|()| Outcome::Done),
            Op::List { .. } | Op::Checkpoint | Op::Figures | Op::Latency | Op::ResetFigures => {
                Attempt::Done(self.look(*op))
            }
        };
        Ok(match attempt {
            Attempt::Done(outcome) => Answer::Now(outcome),
            Attempt::NoRoom => Answer::Now(op.refused()),
            Attempt::Wait => Answer::Stalled,
        })
    }

    /// Appends a message and makes it durable, in each mode of durability: for a program that drives no engine.
    /// Returns whether there was room.
    ///
    /// # Errors
    /// When the disk has failed.
    pub fn put_now(&mut self, queue: &[u8], flags: u32, body: &[u8]) -> Result<bool> {
        let stored = self.store.at_once(|store| store.put(queue, flags, body))?.is_some();
        self.store.settle()?;
        Ok(stored)
    }

    /// Writes down everything, for a shard that no engine drives and that is used no more.
    ///
    /// # Errors
    /// When the disk has failed.
    pub fn close(&mut self) -> Result<()> {
        self.store.close()
    }

    /// Has what failed for now tried again, and a full disk looked at anew.
    pub fn tick(&mut self) {
        self.store.tick();
    }

    // ---- waits ----

    /// Takes a message, or gets in line. Between the two nothing else is done, so no message comes unseen.
    #[cold]
    fn take_or_wait(&mut self, now: Moment, by: Asker, queue: &[u8], until: Moment) -> Result<Answer> {
        let mut is_stalled = false;
        if !self.waiters.has_line(queue) {
            match self.apply(now, by, &Op::Take { queue })? {
                Answer::Now(Outcome::Empty) => {}
                answer @ Answer::Now(_) => return Ok(answer),
                Answer::Later | Answer::Stalled => is_stalled = true,
            }
        }
        if self.refuses_to_wait || until <= now || self.waiters.waits_of(by.client) >= WAITS_PER_CLIENT_MAX {
            return Ok(if is_stalled { Answer::Stalled } else { Answer::Now(Outcome::Empty) });
        }
        self.waiters.line_up(by, queue, until);
        if is_stalled {
            self.stalled_lines.insert(queue.into());
        }
        Ok(Answer::Later)
    }

    /// Gives the messages of a queue to the clients in its line, up to `limit` of them. Returns how many.
    #[cold]
    fn serve_line(&mut self, now: Moment, queue: &[u8], limit: usize) -> Result<usize> {
        let mut served = 0;
        while served < limit
            && let Some(by) = self.waiters.first(queue)
        {
            match self.apply(now, by, &Op::Take { queue })? {
                // What a full disk does not let go is taken later, and looks like nothing until then.
                Answer::Now(Outcome::Empty) if !self.store.is_full() => break,
                Answer::Now(Outcome::Empty) | Answer::Later | Answer::Stalled => {
                    self.stalled_lines.insert(queue.into());
                    break;
                }
                Answer::Now(outcome) => {
                    self.waiters.pop_first(queue);
                    self.late.push(Late { by, outcome, frame_needed: self.store.changed() });
                    served += 1;
                }
            }
        }
        Ok(served)
    }

    fn end_wait(&mut self, by: Asker) {
        self.late.push(Late { by, outcome: Outcome::Empty, frame_needed: 0 });
    }

    /// Ends what a client has open. From now on nothing is taken for it.
    pub(crate) fn leave(&mut self, client: Client) {
        self.waiters.pop_client(client).into_iter().for_each(|by| self.end_wait(by));
    }

    /// Has all waits end that are in line, with nothing.
    pub(crate) fn end_waits(&mut self) {
        self.waits_ended = self.waiters.mark();
    }

    /// From now on what would have to get in line finds nothing.
    pub(crate) fn refuse_to_wait(&mut self) {
        self.refuses_to_wait = true;
        self.end_waits();
    }

    /// Notes that what the lines wait for on the disk may be there.
    pub(crate) fn retry_lines(&mut self) {
        self.retried_lines.extend(mem::take(&mut self.stalled_lines));
    }

    /// Whether [`answer_waits`](Self::answer_waits) has something to do, at any time.
    pub(crate) fn has_waits_to_answer(&self) -> bool {
        !self.retried_lines.is_empty() || self.waiters.has_any_before(self.waits_ended)
    }

    /// Answers up to `limit` waits that have ended, or for which the disk has to be waited no more. Returns whether
    /// there is more to do now.
    ///
    /// # Errors
    /// When the disk has failed.
    pub(crate) fn answer_waits(&mut self, now: Moment, limit: usize) -> Result<bool> {
        let mut left = limit;
        while left > 0
            && let Some(by) = self.waiters.pop_before(self.waits_ended).or_else(|| self.waiters.pop_due(now))
        {
            self.end_wait(by);
            left -= 1;
        }
        while left > 0
            && let Some(queue) = self.retried_lines.pop_front()
        {
            let served = self.serve_line(now, &queue, left)?;
            if served == left {
                self.retried_lines.push_back(queue);
            }
            // A line for which there was no message counts too.
            left = left.saturating_sub(served.max(1));
        }
        Ok(self.has_waits_to_answer() || self.next_deadline().is_some_and(|next| next <= now))
    }

    /// The first deadline of a wait.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.waiters.next_deadline()
    }

    /// Whether any wait is in line, or has ended and was not sent.
    pub(crate) fn has_waits(&self) -> bool {
        !self.waiters.is_empty() || !self.late.is_empty()
    }

    /// The outcomes of waits that have ended since they were [taken](Self::take_late).
    pub(crate) fn late(&self) -> &[Late] {
        &self.late
    }

    pub(crate) fn take_late(&mut self) -> Vec<Late> {
        mem::take(&mut self.late)
    }

    // ---- the shard as a whole ----

    /// Does what concerns the shard as a whole, and never waits.
    fn look(&mut self, op: Op<'_>) -> Outcome {
        match op {
            Op::List { cursor } => {
                let mut lines = Vec::new();
                let next = self.store.list(cursor, LISTED_AT_ONCE, |line| lines.push(line));
                Outcome::Queues { lines, next }
            }
            Op::Checkpoint => Outcome::CheckpointAsked(self.store.request_checkpoint()),
            Op::Figures => Outcome::Figures(Box::new(self.figures())),
            Op::Latency => Outcome::Latency(Box::new(self.latency.times().clone())),
            Op::ResetFigures => {
                self.counters = Counters::default();
                self.latency.reset();
                Outcome::Figures(Box::new(self.figures()))
            }
            _ => unreachable!("{op:?} is about queues, or clients"),
        }
    }

    fn figures(&self) -> Figures {
        Figures {
            counters: self.counters,
            curr_connections: self.curr_connections,
            fsync_p50_us: self.latency.times().quantile_us(Stage::Fsync, 0.5),
            fsync_p99_us: self.latency.times().quantile_us(Stage::Fsync, 0.99),
            totals: self.store.totals(),
            checkpoints: self.store.checkpoints_finished(),
            full: self.store.is_full(),
        }
    }

    /// The frame that holds the last change.
    #[must_use]
    pub fn last_changed_frame(&self) -> FrameNumber {
        self.store.changed()
    }

    /// The last frame that is safe.
    #[must_use]
    pub fn acknowledged(&self) -> FrameNumber {
        self.store.acknowledged()
    }

    /// Notes that a commit has run without an error, `inline` on the shard's own thread.
    pub fn finish_commit(&mut self, commit: Commit, inline: bool) {
        self.counters.commits += 1;
        self.counters.commits_inline += u64::from(inline);
        self.counters.log_bytes_written += commit.bytes() as u64;
        self.latency.note_commit(commit.times());
        self.store.finish_commit(commit);
    }

    /// The names of all its queues.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.store.names()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The store, for the engine, which hands out its slow parts.
    pub(super) fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }
}
