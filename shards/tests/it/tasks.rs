//! The tasks of a shard of a simulation: what the pump's tasks do, one step at a time, and only when the engine says that
//! they are due: a task that is not woken when it should be is a deadlock here too.

use std::collections::VecDeque;
use std::iter;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use shards::{Due, Engine, FrameNumber, Moment, Shard, ShardId, StoreOptions};
use storage::{Chore, Commit, Fsync, Result, Store};
use storage_testing::{CrashDisk, Slow};

use crate::setup::{BODY_BYTES_MAX, Step};

#[derive(Debug)]
pub(crate) struct Tasks {
    pub(crate) engine: Engine,
    pub(crate) disk: CrashDisk,
    pub(crate) due: Due,
    /// When the timer goes off.
    alarm: Moment,
    commit: Slow<Commit>,
    /// A sync, and how much was told of when it began.
    sync: Slow<(Fsync, usize)>,
    segment_chore: Slow<Chore>,
    read_chores: VecDeque<Slow<Chore>>,
    index_chore: Slow<Chore>,
    index_is_looked_at: bool,
    /// Reclaiming goes on when this frame is safe.
    reclaiming: Option<FrameNumber>,
}

impl Tasks {
    /// Starts shard `me` out of `shards` with what is on its disk. What its store holds then is looked at first.
    pub(crate) fn start(
        (me, shards): (ShardId, u16),
        disk: CrashDisk,
        index: Option<PathBuf>,
        options: StoreOptions,
        now: Moment,
        look: impl FnOnce(&Store),
    ) -> Result<Tasks> {
        let (store, _) = Store::open(Arc::new(disk.clone()), index, options).unwrap();
        // A disk that is slow to read, in the lives in which most bodies are on it.
        disk.set_reads_wait(options.memory_bytes < BODY_BYTES_MAX);
        look(&store);
        let mut engine = Engine::new(me, shards, Shard::new(store), now);
        while engine.pass_time(now)? {}
        Ok(Tasks {
            engine,
            disk,
            due: Due::default(),
            alarm: now,
            commit: Slow::default(),
            sync: Slow::default(),
            segment_chore: Slow::default(),
            read_chores: VecDeque::new(),
            index_chore: Slow::default(),
            index_is_looked_at: false,
            reclaiming: None,
        })
    }

    /// Has one of its tasks go on for a step; for a sync see [`step_sync`](Self::step_sync).
    pub(crate) fn step(&mut self, step: Step, now: Moment) -> Result<()> {
        match step {
            Step::Pass => self.step_pass(now)?,
            Step::Send => self.step_send(),
            Step::Commit => self.step_commit()?,
            Step::Segments => self.step_segments()?,
            Step::Reads => self.step_reads()?,
            Step::Index => self.step_index()?,
            Step::Reclaim => self.step_reclaim()?,
            Step::Checkpoint => mem::drop(self.engine.request_checkpoint()),
            Step::Sync | Step::Client | Step::Receive | Step::Apply | Step::Leave | Step::Time => {
                unreachable!("these are steps of others")
            }
        }
        Ok(())
    }

    /// What is not at rest: under way, due, or to be done although no task was woken for it.
    pub(crate) fn left(&mut self) -> Vec<&'static str> {
        let is_idle = self.engine.is_idle();
        let store = self.engine.store();
        let left = [
            (!is_idle, "batches of others, or for others"),
            (self.due != Due::default(), "a task that is due"),
            (self.commit.is_under_way() || store.wants_commit(), "a commit"),
            (self.sync.is_under_way() || store.begin_sync().is_some(), "a sync"),
            (self.segment_chore.is_under_way() || store.wants_segment_chore(), "a segment's chore"),
            (!self.read_chores.is_empty() || store.wants_read_chore(), "a read"),
            (self.index_chore.is_under_way() || store.wants_checkpoint_step(), "a checkpoint"),
            (self.reclaiming.is_some() || store.wants_reclaim(), "space to be given back"),
        ];
        left.into_iter().filter(|(is_left, _)| *is_left).map(|(_, what)| what).collect()
    }

    /// Sleeps until the first deadline of which it was told, and no longer.
    fn step_pass(&mut self, now: Moment) -> Result<()> {
        if mem::take(&mut self.due.time) || self.alarm <= now {
            self.engine.pass_time(now)?;
            self.alarm = self.engine.next_deadline().expect("an engine has timers");
        }
        Ok(())
    }

    fn step_send(&mut self) {
        if mem::take(&mut self.due.send) {
            self.engine.send_batches();
        }
    }

    fn step_commit(&mut self) -> Result<()> {
        let due = &mut self.due.commit;
        if let Some(commit) = self.commit.step(|| if mem::take(due) { self.engine.begin_commit() } else { None })? {
            self.engine.finish_commit(commit, true);
            self.commit.step(|| self.engine.begin_commit())?;
        }
        Ok(())
    }

    /// A sync goes on. `told`: how much was told of so far. Returns how much was, when one began that has ended now.
    pub(crate) fn step_sync(&mut self, told: usize) -> Result<Option<usize>> {
        let begin =
            || mem::take(&mut self.due.sync).then(|| self.engine.begin_sync()).flatten().map(|sync| (sync, told));
        let ended = self.sync.step(begin)?;
        Ok(ended.map(|(sync, told)| {
            self.engine.finish_sync(&sync);
            told
        }))
    }

    fn step_segments(&mut self) -> Result<()> {
        let due = &mut self.due.segments;
        let step = self.segment_chore.step(|| if mem::take(due) { self.engine.segment_chore() } else { None });
        if let Some(chore) = step? {
            self.engine.finish_chore(chore)?;
            self.segment_chore.step(|| self.engine.segment_chore())?;
        }
        Ok(())
    }

    /// All reads that are due are under way at once; each step one of them goes on.
    fn step_reads(&mut self) -> Result<()> {
        if mem::take(&mut self.due.reads) {
            self.read_chores.extend(iter::from_fn(|| self.engine.read_chore()).map(Slow::begun));
        }
        let Some(mut read) = self.read_chores.pop_front() else { return Ok(()) };
        match read.step(|| None)? {
            None => self.read_chores.push_back(read),
            Some(chore) => self.engine.finish_chore(chore)?,
        }
        Ok(())
    }

    fn step_index(&mut self) -> Result<()> {
        if !self.index_chore.is_under_way() && !self.index_is_looked_at {
            self.index_is_looked_at = mem::take(&mut self.due.index);
        } else if !self.index_chore.is_under_way() && !self.engine.wants_checkpoint_step() {
            self.index_is_looked_at = false;
        } else if let Some(chore) = self.index_chore.step(|| self.engine.index_chore())? {
            self.engine.finish_chore(chore)?;
        }
        Ok(())
    }

    fn step_reclaim(&mut self) -> Result<()> {
        let goes_on = match self.reclaiming {
            Some(copied) => self.engine.acknowledged() >= copied,
            None => mem::take(&mut self.due.reclaim),
        };
        if goes_on {
            self.reclaiming = self.engine.reclaim()?;
        }
        Ok(())
    }
}
