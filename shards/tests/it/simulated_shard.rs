//! A shard of the simulation: its tasks, and the account of what it has done.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use shards::{Moment, ShardId, StoreOptions};
use storage::{Result, Store};
use storage_testing::{CrashDisk, drain};

use crate::history::{History, MessageId};
use crate::lines::Lines;
use crate::out::Out;
use crate::setup::Step;
use crate::tasks::Tasks;

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
    pub(crate) tasks: Tasks,
    pub(crate) history: History,
    pub(crate) lines: Lines,
    pub(crate) out: Out,
    /// How many of the engine's late outcomes were looked at.
    pub(crate) late_seen: usize,
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
        let tasks = Tasks::start((me, shards), disk, index, options, now, |store| history.now().check(store))?;
        Ok(SimulatedShard { tasks, history, out: out.after_crash(), lines: Lines::default(), late_seen: 0 })
    }

    /// Has one of its tasks go on for a step.
    pub(crate) fn step(&mut self, step: Step, now: Moment) -> Result<()> {
        match step {
            Step::Sync => {
                if let Some(told) = self.tasks.step_sync(self.history.told())? {
                    self.history.synced(told);
                }
                Ok(())
            }
            Step::Send if self.tasks.due.send => {
                self.late_seen = 0;
                self.tasks.step(step, now)
            }
            _ => self.tasks.step(step, now),
        }
    }
}
