//! The committer: one commit at a time, and while one is on its way the next frame fills.

use std::rc::Rc;

use futures_lite::future::yield_now;

use super::{Pump, fatal};
use crate::commit_policy::{CommitMode, CommitPolicy};
use crate::node::Node;

/// Commits whatever was changed, until the process ends.
pub(super) async fn run(pump: Rc<Pump>, mode: CommitMode) {
    let mut policy = CommitPolicy::new(mode);
    loop {
        // Whoever notifies runs before this task does, and so do all connections that were ready with it; those that
        // were found to be ready meanwhile are let through too. One commit holds what all of them have changed.
        pump.commit_due.wait().await;
        yield_now().await;
        loop {
            let Some(mut commit) = pump.with_node(Node::begin_commit) else { break };
            let inline = policy.is_inline();
            let done = if inline {
                commit.run().map(|()| commit)
            } else {
                glommio::executor().spawn_blocking(move || commit.run().map(|()| commit)).await
            };
            let commit = done.unwrap_or_else(|error| fatal(&error));
            let times = commit.times();
            policy.record(times.write + times.sync);
            pump.with_node(|node| node.finish_commit(commit, inline));
        }
    }
}
