//! What the store needs done off the hot path: segments prepared and unlinked, space reclaimed, checkpoints written,
//! and in the mode that acknowledges after the write, the fdatasync that follows once a second.

use std::rc::Rc;
use std::time::Duration;

use glommio::timer::sleep;
use storage::Chore;

use super::{Pump, fatal, reactor_turn};

/// How long a written frame waits for its fdatasync at most, in the mode that acknowledges after the write; and how
/// often a full disk is looked at again.
const TICK: Duration = Duration::from_secs(1);
/// How often the end of the last checkpoint is looked for when the shard stops.
const STOP_POLL: Duration = Duration::from_millis(1);

pub(super) fn spawn(pump: &Rc<Pump>, checkpoint_interval: Option<Duration>) {
    glommio::spawn_local(segments(Rc::clone(pump))).detach();
    glommio::spawn_local(index(Rc::clone(pump))).detach();
    glommio::spawn_local(reclaim(Rc::clone(pump))).detach();
    glommio::spawn_local(tick(Rc::clone(pump))).detach();
    if let Some(interval) = checkpoint_interval {
        glommio::spawn_local(checkpoints(Rc::clone(pump), interval)).detach();
    }
    for event in [&pump.segments_due, &pump.index_due, &pump.reclaim_due] {
        event.notify();
    }
}

/// Runs a chore on another thread.
async fn run(pump: &Pump, mut chore: Chore) {
    let chore = glommio::executor()
        .spawn_blocking(move || {
            chore.run();
            chore
        })
        .await;
    let finished = pump.shard.borrow_mut().store().finish_chore(chore);
    finished.unwrap_or_else(|error| fatal(&error));
    // A segment that left the ring is said to have left by the next frame.
    pump.commit_due.notify();
    pump.progress();
}

async fn segments(pump: Rc<Pump>) {
    loop {
        pump.segments_due.wait().await;
        loop {
            let Some(chore) = pump.shard.borrow_mut().store().segment_chore() else { break };
            run(&pump, chore).await;
        }
    }
}

async fn index(pump: Rc<Pump>) {
    loop {
        pump.index_due.wait().await;
        while pump.shard.borrow_mut().store().wants_checkpoint_step() {
            let chore = pump.shard.borrow_mut().store().index_chore();
            match chore {
                Some(chore) => run(&pump, chore).await,
                None => reactor_turn().await,
            }
        }
    }
}

async fn reclaim(pump: Rc<Pump>) {
    loop {
        pump.reclaim_due.wait().await;
        while pump.shard.borrow_mut().store().wants_reclaim() {
            let reclaimed = pump.shard.borrow_mut().store().reclaim();
            reclaimed.unwrap_or_else(|error| fatal(&error));
            pump.commit_due.notify();
            // One frame is copied for one that is committed: fast enough to keep up, slow enough not to be in the way.
            let copied = pump.shard.borrow().changed();
            pump.acknowledged.reached(copied).await;
            reactor_turn().await;
        }
        pump.progress();
    }
}

async fn tick(pump: Rc<Pump>) {
    loop {
        sleep(TICK).await;
        sync(&pump).await;
        pump.shard.borrow_mut().store().retry_when_full();
    }
}

/// Asks for a checkpoint now and then, if there is anything new to write down.
async fn checkpoints(pump: Rc<Pump>, interval: Duration) {
    let mut written_down = pump.shard.borrow().changed();
    loop {
        sleep(interval).await;
        let changed = pump.shard.borrow().changed();
        if changed > written_down {
            pump.shard.borrow_mut().store().request_checkpoint();
            pump.index_due.notify();
            written_down = changed;
        }
    }
}

/// Makes durable what was acknowledged after its write.
async fn sync(pump: &Pump) {
    let Some(sync) = pump.shard.borrow_mut().store().begin_sync() else { return };
    let sync = glommio::executor().spawn_blocking(move || sync.run().map(|()| sync)).await;
    let sync = sync.unwrap_or_else(|error| fatal(&error));
    pump.shard.borrow_mut().store().finish_sync(&sync);
    pump.progress();
}

/// Commits and syncs everything, then writes a checkpoint.
pub(super) async fn finish(pump: &Pump) {
    let wanted = pump.shard.borrow_mut().store().request_checkpoint();
    loop {
        pump.commit_due.notify();
        pump.index_due.notify();
        let changed = pump.shard.borrow().changed();
        pump.acknowledged.reached(changed).await;
        sync(pump).await;
        if pump.shard.borrow_mut().store().checkpoints_finished() >= wanted {
            return;
        }
        sleep(STOP_POLL).await;
    }
}
