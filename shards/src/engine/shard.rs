//! One shard: what it does with an operation. It is plain state, without other shards, connections or threads.

use std::sync::Arc;

use storage::settings::Patterns;
use storage::{Attempt, Commit, FrameNumber, PutWith, Result, Store};

use crate::client::{Asker, Client};
use crate::engine::leases::Leases;
use crate::engine::lines::Lines;
use crate::engine::returns::Returns;
use crate::engine::waiters::Wanted;
use crate::figures::counters::{Counters, Figures};
use crate::figures::latency::{Latency, Stage};
use crate::figures::queues::QueueFigures;
use crate::moment::Moment;
use crate::op::Op;
use crate::outcome::{Answer, Outcome};

pub use crate::engine::lines::Late;

/// Queues that a listing looks at in one operation.
const LISTED_AT_ONCE: u32 = 512;
/// Of these, those whose figures are told.
const FIGURES_AT_ONCE: u32 = 128;

/// Holders that a listing of those looks at, a client once for each queue that it has messages of.
const HOLDERS_AT_ONCE: usize = 512;

/// A shard's state.
#[derive(Debug)]
pub struct Shard {
    pub(super) store: Store,
    /// What it counts; connections count here too.
    pub(crate) counters: Counters,
    /// Connections that are open.
    pub(crate) curr_connections: u64,
    /// Where time goes. The pump and the server report the times.
    pub(crate) latency: Latency,
    /// Who waits for a message.
    pub(super) lines: Lines,
    /// Who has a message open.
    pub(super) leases: Leases,
    /// What of that comes back by itself.
    pub(super) returns: Returns,
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
            lines: Lines::new(),
            leases: Leases::new(),
            returns: Returns::default(),
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
        self.store.set_time(now.ms());
        let attempt = match *op {
            Op::Put { queue, flags, body } => {
                let attempt = self.store.put(queue, flags, body)?.map(|()| Outcome::Stored);
                if self.has_lines_to_look_at() {
                    self.serve_after_put(now, queue, &attempt)?;
                }
                attempt
            }
            Op::Take { queue } => {
                let taken = self.take(by.client, queue)?;
                self.or_make_child(queue, taken)?
            }
            Op::Gate { queue, buyer, act } => {
                let attempt = self.store.ask_gate(queue, buyer, act)?.map(Outcome::Gate);
                if self.has_lines_to_look_at() {
                    self.serve_after_gate(now, queue, &attempt)?;
                }
                attempt
            }
            Op::TakeWait { queue, until } => {
                return self.get_or_wait(now, by, queue, Wanted::Take, Some(until), 0);
            }
            Op::Open(ref open) => return self.open(now, by, open),
            Op::End { queue, which, fate } => self.end(now, by.client, queue, which, fate)?,
            Op::Touch { queue, which, lease_s } => self.touch(now, by.client, queue, which, lease_s)?,
            _ => self.apply_rarer(now, by.client, op)?,
        };
        Ok(match attempt {
            Attempt::Done(outcome) => Answer::Now(outcome),
            Attempt::NoRoom => Answer::Now(op.refused()),
            Attempt::Wait => Answer::Stalled,
        })
    }

    #[cold]
    fn apply_rarer(&mut self, now: Moment, client: Client, op: &Op<'_>) -> Result<Attempt<Outcome>> {
        Ok(match *op {
            Op::PutWith { queue, flags, body, delay_s, exptime, id } => {
                let with = PutWith { delay_s, exptime, id };
                let attempt = self.store.put_with(queue, flags, body, with)?.map(|()| Outcome::Stored);
                if self.has_lines_to_look_at() {
                    self.serve_after_put(now, queue, &attempt)?;
                }
                attempt
            }
            Op::Create { queue } => self.store.create(queue)?.map(|()| Outcome::Stored),
            Op::Peek { queue } => {
                let peeked = self.store.peek(queue)?.map(|taken| taken.map_or(Outcome::Empty, Outcome::Peeked));
                self.or_make_child(queue, peeked)?
            }
            Op::Kick { queue, count } => {
                let attempt = self.store.kick(queue, count)?.map(Outcome::Kicked);
                self.wake_lines();
                attempt
            }
            Op::Configure { queue, words } => {
                let attempt = self.store.configure(queue, words)?.map(|configured| match configured {
                    Ok(()) => Outcome::Configured,
                    Err(bad) => Outcome::BadWord(bad.shown().as_bytes().into()),
                });
                // More of its messages may be open now, or it is paused no more.
                self.lines.note_freed(queue);
                self.wake_lines();
                attempt
            }
            Op::Config { queue } => Attempt::Done(Outcome::Words(self.store.config(queue))),
            Op::Unconfigure { queue } => {
                let attempt = self.store.set_settings(queue, b"")?.map(|there| match there {
                    true => Outcome::Deleted,
                    false => Outcome::NotFound,
                });
                self.lines.note_freed(queue);
                self.wake_lines();
                attempt
            }
            Op::Pause { queue, pause } => {
                let attempt = self.store.pause(queue, pause)?.map(|there| match there {
                    true => Outcome::Configured,
                    false => Outcome::NotFound,
                });
                self.wake_lines();
                attempt
            }
            Op::ListOpens { queue, after } => Attempt::Done(self.list_opens(now, queue, after)),
            Op::Leave => {
                self.leave(client);
                Attempt::Done(Outcome::Empty)
            }
            Op::Delete { queue } => {
                let attempt = self.store.delete(queue)?.map(|there| match there {
                    true => Outcome::Deleted,
                    false => Outcome::NotFound,
                });
                self.note_deleted();
                attempt
            }
            Op::PeekAt { queue, after, body_bytes_max } => {
                let peeked = self.store.peek_at(queue, after, body_bytes_max)?;
                peeked.map(|peeked| Outcome::PeekedAt(peeked.map(Box::new)))
            }
            Op::Purge { queue, after, count } => {
                let purged = self.store.purge(queue, after, count)?;
                purged.map(|purged| Outcome::Purged { count: purged.count, next: purged.next })
            }
            Op::Flush { queue } => self.store.flush(queue)?.map(|()| Outcome::Done),
            Op::FlushAll => self.store.flush_all()?.map(|()| Outcome::Done),
            _ => Attempt::Done(self.look(op)),
        })
    }

    /// Takes a message, unless the client has to end first what it has open of the queue.
    #[inline]
    pub(super) fn take(&mut self, client: Client, queue: &[u8]) -> Result<Attempt<Outcome>> {
        if !self.leases.is_empty() && self.holds(client, queue, 1) {
            return Ok(Attempt::Done(Outcome::Held));
        }
        Ok(self.store.take(queue)?.map(|taken| taken.map_or(Outcome::Empty, Outcome::Message)))
    }

    /// Makes the child of a queue in which a client has found nothing, if it does not exist: from now on it has all that is
    /// put into the queue. Where it cannot be made now, there is nothing all the same.
    #[inline]
    fn or_make_child(&mut self, queue: &[u8], found: Attempt<Outcome>) -> Result<Attempt<Outcome>> {
        if !matches!(found, Attempt::Done(Outcome::Empty)) {
            return Ok(found);
        }
        Ok(match self.store.make_child(queue)? {
            Attempt::Done(true) => Attempt::Done(Outcome::Made),
            Attempt::Done(false) | Attempt::NoRoom => found,
            Attempt::Wait => Attempt::Wait,
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

    /// Gives the queues the settings that patterns have for their names, below what each was told itself: all at once, for
    /// a shard that serves nothing yet.
    pub fn begin_with_patterns(&mut self, patterns: Arc<Patterns>) {
        self.store.set_patterns(patterns);
        while self.store.follow_patterns() {}
    }

    // ---- time ----

    /// Has what failed for now tried again, and a full disk looked at anew. To be called about once a second.
    pub fn tick(&mut self) {
        self.store.tick();
        self.forget_deleted();
        self.leases.forget_opened();
    }

    /// Does up to `limit` things of each kind that are due `now`. Returns whether there is more to do now.
    ///
    /// # Errors
    /// When the disk has failed.
    pub(crate) fn pass_time(&mut self, now: Moment, limit: usize) -> Result<bool> {
        self.store.set_time(now.ms());
        let of_store = self.store.pass_time(limit)?;
        let of_patterns = self.store.wants_patterns() && self.store.follow_patterns();
        let of_leases = self.bring_back(now, limit)?;
        self.wake_lines();
        let of_lines = self.answer_waits(now, limit)?;
        Ok(of_store || of_patterns || of_leases || of_lines)
    }

    /// Notes that what has to wait for the disk may be there.
    pub(crate) fn retry(&mut self) {
        self.retry_lines();
        self.retry_returns();
    }

    /// When [`pass_time`](Self::pass_time) has something to do at the latest, if nothing is asked for before.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        let of_store = self.store.next_due().map(Moment::from_ms);
        [self.lines.next_deadline(), self.next_return(), of_store].into_iter().flatten().min()
    }

    // ---- the shard as a whole ----

    /// Does what changes nothing, and never waits.
    fn look(&mut self, op: &Op<'_>) -> Outcome {
        match *op {
            Op::List { cursor } => {
                let mut lines = Vec::new();
                let next = self.store.list(cursor, LISTED_AT_ONCE, |line| lines.push(line));
                Outcome::Queues { lines, next }
            }
            Op::ListFigures { cursor, prefix } => {
                let mut lines = Vec::new();
                let next = self.store.figures(cursor, FIGURES_AT_ONCE, prefix, |stored| {
                    lines.push(QueueFigures::new(stored, |queue| self.lines.in_line(queue)));
                });
                Outcome::QueueFigures { lines, next }
            }
            Op::QueueFigures { queue } => {
                let stored = self.store.figures_of_queue(queue);
                let line = stored.map(|stored| QueueFigures::new(stored, |queue| self.lines.in_line(queue)));
                Outcome::QueueFigures { lines: line.into_iter().collect(), next: None }
            }
            Op::ListChildren { queue } => Outcome::Names(self.store.children(queue)),
            Op::Find { cursor, ref search } => {
                let found = self.store.find(cursor, search, |queue| self.lines.in_line(queue));
                let line = |stored| QueueFigures::new(stored, |queue| self.lines.in_line(queue));
                let lines = found.lines.into_iter().map(line).collect();
                Outcome::Found { lines, matched: found.matched, next: found.next }
            }
            Op::ListHolders { from, to } => {
                let mut counts = Vec::new();
                let next = self.leases.holders(from, to, HOLDERS_AT_ONCE, |client, count| counts.push((client, count)));
                Outcome::Holders { counts, next }
            }
            Op::Checkpoint => Outcome::CheckpointAsked(self.store.request_checkpoint()),
            Op::GateFigures { queue } => Outcome::GateFigures(self.store.gate_figures(queue).map(Box::new)),
            Op::Figures => Outcome::Figures(Box::new(self.figures())),
            Op::Latency => Outcome::Latency(Box::new(self.latency.times().clone())),
            Op::ResetFigures => {
                self.counters = Counters::default();
                self.latency.reset();
                Outcome::Figures(Box::new(self.figures()))
            }
            _ => unreachable!("{op:?} changes something"),
        }
    }

    fn figures(&self) -> Figures {
        Figures {
            counters: self.counters,
            curr_connections: self.curr_connections,
            open: self.leases.len() as u64,
            waiters: self.lines.len() as u64,
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
