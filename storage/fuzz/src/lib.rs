//! What recovery must hold of any files that it finds: it opens them as the reference reads them, which is as a store
//! once left them unless they are forged, or says which file is damaged.
//!
//! The fuzz targets feed these properties what libFuzzer makes up; storage's own tests feed them the seeds, so that they
//! are compiled, linted and run where no fuzzer is.

mod damage;
mod forge;
mod format;
mod gates;
mod index_damage;
mod life;
mod opening;
mod reference;
mod script;

use std::sync::atomic::AtomicUsize;

use storage::{Durability, StoreOptions};
use storage_testing::Queues;

use damage::Damaged;
use script::Script;

/// Bytes that are allocated, the most there were at once, and the largest allocation. The fuzz targets' allocator counts
/// them; they stay 0 where there is none.
#[derive(Debug)]
pub struct Allocated {
    /// Bytes that are allocated now.
    pub now: AtomicUsize,
    /// The most there were at once.
    pub peak: AtomicUsize,
    /// The largest allocation.
    pub largest: AtomicUsize,
}

/// What the fuzz targets' allocator counts.
pub static ALLOCATED: Allocated =
    Allocated { now: AtomicUsize::new(0), peak: AtomicUsize::new(0), largest: AtomicUsize::new(0) };

/// What a store holds, by the whole names of its queues.
type State = Queues<Vec<u8>>;

/// Everything is small, so that a short script fills several segments, and makes frames that are sealed before their
/// time.
fn options() -> StoreOptions {
    StoreOptions {
        durability: Durability::Synced,
        segment_bytes: 2700,
        memory_bytes: 500,
        body_bytes_max: 300,
        commit_bytes_max: 700,
    }
}

/// A log that a store wrote, then damaged: in front of a `!`, how it came to be, and behind it, what happened to it.
pub fn recovery_holds(data: &[u8]) {
    let (script, damages) = Script(data).split(b'!');
    let (mut images, history) = life::live(script);
    let damaged = damage::damage(&mut images, damages);
    opening::holds(&images, damaged, Some(&history));
}

/// A log that is whole, with an index that is damaged or forged behind a `!`.
pub fn index_holds(data: &[u8]) {
    let (script, damages) = Script(data).split(b'!');
    let (images, indexes, now_ms) = life::live_indexed(script);
    let (pairs, damaged) = index_damage::damage(&indexes, damages);
    opening::holds_with_index(&images, &pairs, damaged, now_ms);
}

/// A log that is forged, and perhaps damaged behind a `~`.
pub fn frames_hold(data: &[u8]) {
    let (script, damages) = Script(data).split(b'~');
    let mut images = forge::forge(script);
    damage::damage(&mut images, damages);
    opening::holds(&images, Damaged::Knowingly, None);
}
