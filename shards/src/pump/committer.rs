//! The committer: one commit at a time, and while one is on its way the next frame fills.

use std::rc::Rc;

use super::{Pump, fatal};
use crate::commit_policy::{CommitMode, CommitPolicy};

/// Commits whatever was changed, until the process ends.
pub(super) async fn run(pump: Rc<Pump>, mode: CommitMode) {
    let mut policy = CommitPolicy::new(mode);
    loop {
        // Whoever notifies runs before this task does, and so do all connections that were ready with it: one commit
        // holds what all of them have changed.
        pump.commit_due.wait().await;
        loop {
            let begun = pump.shard.borrow_mut().store().begin_commit();
            let Some(mut commit) = begun else { break };
            let inline = policy.is_inline();
            let done = if inline {
                commit.run().map(|()| commit)
            } else {
                glommio::executor().spawn_blocking(move || commit.run().map(|()| commit)).await
            };
            let commit = done.unwrap_or_else(|error| fatal(&error));
            let times = commit.times();
            policy.record(times.write + times.sync);
            pump.shard.borrow_mut().finish_commit(commit, inline);
            pump.progress();
        }
    }
}

impl Pump {
    /// Lets everybody go on who waits for what is on the disk now.
    pub(super) fn progress(&self) {
        let mut shard = self.shard.borrow_mut();
        let acknowledged = shard.acknowledged();
        let store = shard.store();
        let due = [
            (store.wants_reclaim(), &self.reclaim_due),
            (store.wants_segment_chore(), &self.segments_due),
            (store.wants_checkpoint_step(), &self.index_due),
        ];
        drop(shard);
        for (_, event) in due.iter().filter(|(wanted, _)| *wanted) {
            event.notify();
        }
        self.acknowledged.advance(acknowledged);
        self.send_deferred();
    }
}
