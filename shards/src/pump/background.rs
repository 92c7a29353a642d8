//! What the store needs done off the hot path: segments prepared and unlinked, space reclaimed, checkpoints written,
//! and in the mode that acknowledges after the write, the fdatasync that follows once a second.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::sleep;
use storage::Chore;

use super::Pump;
use crate::engine::Engine;

/// How long a piece of the last checkpoint may take; most take a few milliseconds.
const INDEX_CHORE_MAX: Duration = Duration::from_millis(500);
/// How often the end of the last checkpoint is looked for when the shard stops.
const STOP_POLL: Duration = Duration::from_millis(1);

pub(super) fn spawn(pump: &Rc<Pump>, checkpoint_interval: Option<Duration>) {
    glommio::spawn_local(segments(Rc::clone(pump))).detach();
    glommio::spawn_local(reads(Rc::clone(pump))).detach();
    glommio::spawn_local(index(Rc::clone(pump))).detach();
    glommio::spawn_local(reclaim(Rc::clone(pump))).detach();
    glommio::spawn_local(syncs(Rc::clone(pump))).detach();
    if let Some(interval) = checkpoint_interval {
        glommio::spawn_local(checkpoints(Rc::clone(pump), interval)).detach();
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
    pump.with_engine(|engine| engine.finish_chore(chore).unwrap_or_else(|error| (pump.fail)(&error)));
}

async fn segments(pump: Rc<Pump>) {
    loop {
        pump.segments_due.wait().await;
        loop {
            let Some(chore) = pump.with_engine(Engine::segment_chore) else { break };
            run(&pump, chore).await;
        }
    }
}

/// Hands out all reads that something waits for, each to a task of its own: a slow one holds up no other.
async fn reads(pump: Rc<Pump>) {
    loop {
        pump.reads_due.wait().await;
        while let Some(chore) = pump.with_engine(Engine::read_chore) {
            let pump = Rc::clone(&pump);
            glommio::spawn_local(async move {
                let began = Instant::now();
                run(&pump, chore).await;
                pump.with_engine(|engine| engine.latency().note_read_of_log(began.elapsed()));
            })
            .detach();
        }
    }
}

async fn index(pump: Rc<Pump>) {
    loop {
        pump.index_due.wait().await;
        while pump.with_engine(Engine::wants_checkpoint_step) {
            match pump.with_engine(Engine::index_chore) {
                Some(chore) => {
                    pump.index_chore_began.set(Some(Instant::now()));
                    run(&pump, chore).await;
                    pump.index_chore_began.set(None);
                }
                None => pump.turns.next().await,
            }
        }
    }
}

async fn reclaim(pump: Rc<Pump>) {
    loop {
        pump.reclaim_due.wait().await;
        while let Some(copied) = pump.with_engine(|engine| engine.reclaim().unwrap_or_else(|error| (pump.fail)(&error)))
        {
            pump.acknowledged.reached(copied).await;
            pump.turns.next().await;
        }
    }
}

/// Makes durable what was acknowledged after its write, once a second. A slow disk holds up nothing but this.
async fn syncs(pump: Rc<Pump>) {
    loop {
        pump.sync_due.wait().await;
        sync(&pump).await;
    }
}

/// Asks for a checkpoint now and then, if there is anything new to write down.
async fn checkpoints(pump: Rc<Pump>, interval: Duration) {
    let mut written_down = pump.last_changed_frame();
    loop {
        sleep(interval).await;
        let changed = pump.last_changed_frame();
        if changed > written_down {
            pump.with_engine(Engine::request_checkpoint);
            written_down = changed;
        }
    }
}

/// Makes durable what was acknowledged after its write.
async fn sync(pump: &Pump) {
    let Some(sync) = pump.with_engine(Engine::begin_sync) else { return };
    let sync = glommio::executor().spawn_blocking(move || sync.run().map(|()| sync)).await;
    let sync = sync.unwrap_or_else(|error| (pump.fail)(&error));
    pump.with_engine(|engine| engine.finish_sync(&sync));
}

/// Commits and syncs everything, then writes a checkpoint; unless the disk is slow at that: the log holds the same.
pub(super) async fn finish(pump: &Pump) {
    settle(pump).await;
    let checkpoint = pump.with_engine(Engine::request_checkpoint);
    while pump.engine.borrow().store().checkpoints_finished() < checkpoint {
        if pump.index_chore_began.get().is_some_and(|began| began.elapsed() >= INDEX_CHORE_MAX) {
            log::warn!(
                "shard {}: the disk is slow, so the stop leaves the checkpoint: the next start reads more of the log",
                pump.me
            );
            return;
        }
        sleep(STOP_POLL).await;
        settle(pump).await;
    }
}

/// Commits and syncs everything.
async fn settle(pump: &Pump) {
    pump.commit_due.notify();
    pump.index_due.notify();
    pump.acknowledged.reached(pump.last_changed_frame()).await;
    sync(pump).await;
}
