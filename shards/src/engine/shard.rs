//! One shard: what it does with an operation. It knows nothing of other shards, connections or threads.

use storage::{Attempt, Commit, FrameNumber, Result, Store};

use crate::figures::counters::{Counters, Figures};
use crate::figures::latency::{Latency, Stage};
use crate::op::{Op, Outcome};

/// Queues that a listing looks at in one operation.
const LISTED_AT_ONCE: u32 = 512;

/// A shard's state.
#[derive(Debug)]
pub struct Shard {
    store: Store,
    /// What it counts; connections count here too.
    pub counters: Counters,
    /// Connections that are open.
    pub curr_connections: u64,
    /// Where time goes; those who do the input and output say when something happened.
    pub latency: Latency,
}

impl Shard {
    /// A shard with the queues of a store.
    #[must_use]
    pub fn new(mut store: Store) -> Shard {
        // An operation that needs what only the disk has waits for it; all others go on.
        store.let_reads_wait();
        Shard { store, counters: Counters::default(), curr_connections: 0, latency: Latency::default() }
    }

    /// Does what is asked for, in memory and in the frame that is being filled. An outcome that
    /// [waits for a commit](Outcome::waits_for_commit) may be told once [`acknowledged`](Self::acknowledged) has
    /// reached what [`changed`](Self::changed) is now. `None`: it must wait for the disk. Nothing was done; try again once
    /// a chore has run.
    ///
    /// # Errors
    /// When the disk has failed. The process must stop, and tell nobody anything.
    pub fn apply(&mut self, op: Op<'_>) -> Result<Option<Outcome>> {
        let attempt = match op {
            Op::Put { queue, flags, body } => self.store.put(queue, flags, body)?.map(|()| Outcome::Stored),
            Op::Create { queue } => self.store.create(queue)?.map(|()| Outcome::Stored),
            Op::Take { queue } => self.store.take(queue)?.map(|taken| taken.map_or(Outcome::Empty, Outcome::Message)),
            Op::Delete { queue } => self.store.delete(queue)?.map(|there| match there {
                true => Outcome::Deleted,
                false => Outcome::NotFound,
            }),
            Op::Flush { queue } => self.store.flush(queue)?.map(|()| Outcome::Done),
            Op::FlushAll => self.store.flush_all()?.map(|()| Outcome::Done),
            Op::List { .. } | Op::Checkpoint | Op::Figures | Op::Latency | Op::ResetFigures => {
                Attempt::Done(self.look(op))
            }
        };
        Ok(match attempt {
            Attempt::Done(outcome) => Some(outcome),
            Attempt::NoRoom => Some(op.refused()),
            Attempt::Wait => None,
        })
    }

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
            Op::Put { .. }
            | Op::Create { .. }
            | Op::Take { .. }
            | Op::Delete { .. }
            | Op::Flush { .. }
            | Op::FlushAll => {
                unreachable!("{op:?} is about queues")
            }
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
    pub fn changed(&self) -> FrameNumber {
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
        self.latency.committed(commit.times());
        self.store.finish_commit(commit);
    }

    /// The store, for those who run its slow parts.
    pub fn store(&mut self) -> &mut Store {
        &mut self.store
    }
}
