//! A shard of the simulation: its engine, its disk, and its tasks. They do what the pump's tasks do, one step at a time,
//! and only when the engine says that they are due: a task that is not woken when it should be is a deadlock here too.

use std::collections::{BTreeSet, VecDeque};
use std::iter;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use shards::{Due, Engine, FrameNumber, Moment, Shard, ShardId, StoreOptions};
use storage::{Chore, Commit, Fsync, Result, Store};
use storage_testing::{CrashDisk, Slow, drain};

use crate::history::{History, MessageId};
use crate::lines::Lines;
use crate::out::Out;
use crate::setup::{BODY_BYTES_MAX, Step};

/// What a life leaves to the next.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) disk: CrashDisk,
    pub(crate) history: History,
    /// So many changes of the history must be there.
    pub(crate) safe: usize,
    pub(crate) out: Out,
    /// Messages that may have come back, and were not seen since.
    pub(crate) coming_back: BTreeSet<MessageId>,
}

#[derive(Debug)]
pub(crate) struct SimulatedShard {
    pub(crate) engine: Engine,
    pub(crate) disk: CrashDisk,
    pub(crate) history: History,
    pub(crate) lines: Lines,
    pub(crate) out: Out,
    /// How many of the engine's late outcomes were looked at.
    pub(crate) late_seen: usize,
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

impl SimulatedShard {
    /// Starts a shard with what is on its disk. Whatever was kept back is not any more.
    pub(crate) fn start(
        me: ShardId,
        shards: u16,
        Left { disk, history, safe, out, coming_back }: Left,
        index: Option<PathBuf>,
        options: StoreOptions,
        now: Moment,
    ) -> Result<SimulatedShard> {
        // On a copy of the disk, so that nothing is changed here.
        let (mut forked, _) = Store::open(Arc::new(disk.fork()), None, options).unwrap();
        forked.set_time(now.ms());
        while forked.pass_time(1000)? {}
        let found = drain(&mut forked);
        let history = history.survive(safe, &found, &coming_back);
        let (store, _) = Store::open(Arc::new(disk.clone()), index, options).unwrap();
        // A disk that is slow to read, in the lives in which most bodies are on it.
        disk.set_reads_wait(options.memory_bytes < BODY_BYTES_MAX);
        history.now().check(&store);
        let mut engine = Engine::new(me, shards, Shard::new(store), now);
        while engine.pass_time(now)? {}
        Ok(SimulatedShard {
            engine,
            disk,
            history,
            out: out.after_crash(),
            lines: Lines::default(),
            late_seen: 0,
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

    /// Has one of its tasks go on for a step.
    pub(crate) fn step(&mut self, step: Step, now: Moment) -> Result<()> {
        match step {
            Step::Pass => self.step_pass(now)?,
            Step::Send => self.step_send(),
            Step::Commit => self.step_commit()?,
            Step::Sync => self.step_sync()?,
            Step::Segments => self.step_segments()?,
            Step::Reads => self.step_reads()?,
            Step::Index => self.step_index()?,
            Step::Reclaim => self.step_reclaim()?,
            Step::Checkpoint => mem::drop(self.engine.request_checkpoint()),
            Step::Client | Step::Receive | Step::Apply | Step::Leave | Step::Time => {
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

    // ---- the tasks: as in the pump ----

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
            self.late_seen = 0;
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

    fn step_sync(&mut self) -> Result<()> {
        let told = self.history.told();
        let begin =
            || mem::take(&mut self.due.sync).then(|| self.engine.begin_sync()).flatten().map(|sync| (sync, told));
        if let Some((sync, told)) = self.sync.step(begin)? {
            self.engine.finish_sync(&sync);
            self.history.synced(told);
        }
        Ok(())
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
