//! What the store needs done off the hot path: segments prepared and unlinked, space reclaimed, checkpoints written,
//! and in the mode that acknowledges after the write, the fdatasync that follows once a second.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::sleep;
use storage::Chore;

use super::{Pump, fatal};
use crate::node::Node;

/// How long a written frame waits for its fdatasync at most, in the mode that acknowledges after the write; and how
/// often a full disk is looked at again.
const TICK: Duration = Duration::from_secs(1);
/// A chore or a commit that takes so long finds the disk slow: most take a few milliseconds.
const SLOW: Duration = Duration::from_millis(250);
/// How often the end of the last checkpoint is looked for when the shard stops.
const STOP_POLL: Duration = Duration::from_millis(1);

pub(super) fn spawn(pump: &Rc<Pump>, checkpoint_interval: Option<Duration>) {
    glommio::spawn_local(segments(Rc::clone(pump))).detach();
    glommio::spawn_local(reads(Rc::clone(pump))).detach();
    glommio::spawn_local(index(Rc::clone(pump))).detach();
    glommio::spawn_local(reclaim(Rc::clone(pump))).detach();
    glommio::spawn_local(tick(Rc::clone(pump))).detach();
    glommio::spawn_local(syncs(Rc::clone(pump))).detach();
    if let Some(interval) = checkpoint_interval {
        glommio::spawn_local(checkpoints(Rc::clone(pump), interval)).detach();
    }
}

/// Runs a chore on another thread.
async fn run(pump: &Pump, mut chore: Chore) {
    let (chore, took) = glommio::executor()
        .spawn_blocking(move || {
            let began = Instant::now();
            chore.run();
            (chore, began.elapsed())
        })
        .await;
    pump.disk_is_slow.set(took >= SLOW);
    pump.with_node(|node| node.finish_chore(chore).unwrap_or_else(|error| fatal(&error)));
}

async fn segments(pump: Rc<Pump>) {
    loop {
        pump.segments_due.wait().await;
        loop {
            let Some(chore) = pump.with_node(Node::segment_chore) else { break };
            run(&pump, chore).await;
        }
    }
}

/// Hands out all reads that something waits for, each to a task of its own: a slow one holds up no other.
async fn reads(pump: Rc<Pump>) {
    loop {
        pump.reads_due.wait().await;
        while let Some(chore) = pump.with_node(Node::read_chore) {
            let pump = Rc::clone(&pump);
            glommio::spawn_local(async move { run(&pump, chore).await }).detach();
        }
    }
}

async fn index(pump: Rc<Pump>) {
    loop {
        pump.index_due.wait().await;
        while pump.with_node(Node::wants_checkpoint_step) {
            match pump.with_node(Node::index_chore) {
                Some(chore) => run(&pump, chore).await,
                None => pump.turns.next().await,
            }
        }
    }
}

async fn reclaim(pump: Rc<Pump>) {
    loop {
        pump.reclaim_due.wait().await;
        while let Some(copied) = pump.with_node(|node| node.reclaim().unwrap_or_else(|error| fatal(&error))) {
            pump.acknowledged.reached(copied).await;
            pump.turns.next().await;
        }
    }
}

async fn tick(pump: Rc<Pump>) {
    loop {
        sleep(TICK).await;
        pump.with_node(Node::tick);
    }
}

/// Makes durable what was acknowledged after its write, once a second. A slow disk holds up nothing but this.
async fn syncs(pump: Rc<Pump>) {
    loop {
        sleep(TICK).await;
        sync(&pump).await;
    }
}

/// Asks for a checkpoint now and then, if there is anything new to write down.
async fn checkpoints(pump: Rc<Pump>, interval: Duration) {
    let mut written_down = pump.changed();
    loop {
        sleep(interval).await;
        let changed = pump.changed();
        if changed > written_down {
            pump.with_node(Node::request_checkpoint);
            written_down = changed;
        }
    }
}

/// Makes durable what was acknowledged after its write.
async fn sync(pump: &Pump) {
    let Some(sync) = pump.with_node(Node::begin_sync) else { return };
    let sync = glommio::executor().spawn_blocking(move || sync.run().map(|()| sync)).await;
    let sync = sync.unwrap_or_else(|error| fatal(&error));
    pump.with_node(|node| node.finish_sync(&sync));
}

/// Commits and syncs everything, then writes a checkpoint. A disk that is slow at that gets none: the log says the same.
pub(super) async fn finish(pump: &Pump) {
    let began = Instant::now();
    settle(pump).await;
    let is_slow = pump.disk_is_slow.get() || began.elapsed() >= SLOW;
    let wanted = if is_slow { 0 } else { pump.with_node(Node::request_checkpoint) };
    while pump.with_node(|node| node.shard().store().checkpoints_finished()) < wanted {
        if pump.disk_is_slow.get() {
            break;
        }
        sleep(STOP_POLL).await;
        settle(pump).await;
    }
    if pump.disk_is_slow.get() || is_slow {
        log::warn!(
            "shard {}: the disk is slow, so no checkpoint is written: the next start reads more of the log",
            pump.me
        );
    }
}

/// Commits and syncs everything.
async fn settle(pump: &Pump) {
    pump.commit_due.notify();
    pump.index_due.notify();
    pump.acknowledged.reached(pump.changed()).await;
    sync(pump).await;
}
