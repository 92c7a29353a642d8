//! The committer: one commit at a time, and while one is on its way the next frame fills.

use std::rc::Rc;
use std::time::Instant;

use futures_lite::future::yield_now;
use storage::{Commit, CommitTimes};

use super::Pump;
use crate::commit::policy::{CommitMode, CommitPolicy};
use crate::commit::slow::SlowCommits;
use crate::owner::ShardId;

/// Commits what is changed, until the process ends.
pub(super) async fn run(pump: Rc<Pump>, mode: CommitMode) {
    let mut policy = CommitPolicy::new(mode);
    let mut slow = SlowCommits::default();
    loop {
        // The connection that notified, and all that were ready with it, run before this task. The yield lets those run
        // too that were found to be ready meanwhile. One commit holds what all of them have changed.
        pump.commit_due.wait().await;
        yield_now().await;
        loop {
            let begun = pump.with_engine(|engine| {
                pump.note_applied(engine);
                engine.begin_commit()
            });
            let Some(mut commit) = begun else { break };
            let inline = policy.is_inline();
            let done = if inline {
                commit.run().map(|()| commit)
            } else {
                glommio::executor().spawn_blocking(move || commit.run().map(|()| commit)).await
            };
            let commit = done.unwrap_or_else(|error| (pump.fail)(&error));
            let times = commit.times();
            let took = times.write + times.sync;
            policy.record(took);
            if SlowCommits::is_slow(took)
                && let Some(others) = slow.note(Instant::now())
            {
                log::warn!("{}", line(pump.me, &commit, others));
            }
            pump.with_engine(|engine| engine.finish_commit(commit, inline));
        }
    }
}

/// What the log says of a slow commit.
fn line(shard: ShardId, commit: &Commit, others: u64) -> String {
    let CommitTimes { write, sync } = commit.times();
    let (frames, bytes) = (commit.frames(), commit.bytes());
    format!(
        "shard {shard}: a commit took {:.1?}: write {write:.1?}, fdatasync {sync:.1?}, bytes {bytes}, frames {frames}; more \
         slow ones since the last line: {others}",
        write + sync
    )
}
