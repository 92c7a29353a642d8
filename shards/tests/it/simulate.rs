//! Many seeds of the simulation.
//!
//! What is held in each: every command is answered once, in order, with what came of it when it was applied; queues are
//! FIFO; a channel never overflows; what waits for the disk goes on; at rest nothing is left between shards and all credits
//! are back; and after a crash everything is there that a client was told of, with all that came before it.
//!
//! Of takes that wait: the first in line has the message before all others in it; none waits beyond its deadline once its
//! shard was served, nor at rest while its queue has a message; each is answered once; and nothing is taken for a client of
//! which the queue's shard was told that it is gone.
//!
//! Of messages that are out: none has two holders at a time, nor one that is gone; each comes back when its lease has ended
//! or its client is gone, in its place, and one try more; what was acknowledged does not, and its lease finds nothing any
//! more; a lease is given once; and after a crash at most one try of a message is forgotten.

use std::path::{Path, PathBuf};
use std::process::Command;

use shards::Durability;
use storage_testing::{Random, for_seeds};

use crate::counts::Counts;
use crate::setup::Setup;
use crate::simulation::{Indexes, Simulation};

/// A life has up to so many.
const STEPS: u64 = 2000;

fn simulate(durability: Durability, indexes: Indexes<'_>, steps: u64, seed: u64) -> Counts {
    let mut random = Random::new(seed);
    let setup = Setup::choose(durability, &mut random);
    let lives: Vec<u64> = (0..1 + random.below(3)).map(|_| random.below(steps)).collect();
    let mut simulation = Simulation::new(setup, indexes, random);
    lives.into_iter().for_each(|steps| simulation.live(steps));
    simulation.settle_and_check();
    simulation.crash();
    simulation.counts
}

/// Runs so many seeds, and says what was done.
fn simulate_seeds(seeds: u64, mut simulate: impl FnMut(u64) -> Counts) {
    let (mut run, mut total) = (0u64, Counts::default());
    for_seeds(seeds, |seed| {
        let counts = simulate(seed);
        run += 1;
        total.add(&counts);
    });
    println!("{run} seeds: {total}");
}

#[test]
fn shards_that_acknowledge_what_is_synced() {
    simulate_seeds(1500, |seed| simulate(Durability::Synced, Box::new(|_| None), STEPS, seed));
}

#[test]
fn shards_that_acknowledge_what_is_written() {
    simulate_seeds(1500, |seed| simulate(Durability::Written, Box::new(|_| None), STEPS, seed));
}

#[test]
fn shards_with_indexes() {
    let scratch = std::env::temp_dir().join(format!("shards-it-{}", std::process::id()));
    simulate_seeds(20, |seed| {
        let durability = if seed % 2 == 0 { Durability::Synced } else { Durability::Written };
        // A round that failed leaves it behind, to be looked at.
        let _ = std::fs::remove_dir_all(&scratch);
        let mut lives = 0;
        let counts =
            simulate(durability, Box::new(|shard| Some(next_index(&scratch, shard, &mut lives))), 4 * STEPS, seed);
        std::fs::remove_dir_all(&scratch).unwrap();
        counts
    });
}

/// A place for a shard's index in its next life, with a copy of what the last one left: sled keeps a tree locked for a
/// while after it was dropped.
pub(crate) fn next_index(scratch: &Path, shard: u16, lives: &mut u64) -> PathBuf {
    *lives += 1;
    let shard = scratch.join(shard.to_string());
    std::fs::create_dir_all(&shard).unwrap();
    let last = std::fs::read_dir(&shard).unwrap().map(|entry| entry.unwrap().path()).max_by_key(|path| number(path));
    let next = shard.join(lives.to_string());
    if let Some(last) = last {
        assert!(Command::new("cp").arg("-r").args([&last, &next]).status().unwrap().success());
    }
    next
}

fn number(path: &Path) -> u64 {
    path.file_name().unwrap().to_str().unwrap().parse().unwrap()
}
