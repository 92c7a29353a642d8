//! Many seeds of the simulation of gates.
//!
//! What is held in each, of what clients were told, through kills and power cuts, full disks, drains and clocks that go
//! back: a buyer has one ticket; no seat is told to two; a seat once told stays until it is returned or has lapsed, and what
//! is paid never lapses; there are no more tickets than there ever were to be; a refusal means that so many were given, and
//! that this survives; a ticket is given when there is one; there were as many messages as tickets; and if one buyer was told
//! before another one asked, the first is before the other, in the queue and in line.

use shards::Durability;
use storage_testing::{Random, for_seeds};

use crate::gate_counts::GateCounts;
use crate::gate_simulation::GateSimulation;
use crate::simulate::next_index;
use crate::simulation::Indexes;

/// A life has up to so many.
const STEPS: u64 = 1500;

fn simulate(durability: Durability, indexes: Indexes<'_>, seed: u64) -> GateCounts {
    let mut random = Random::new(seed);
    let lives: Vec<u64> = (0..1 + random.below(4)).map(|_| random.below(STEPS)).collect();
    let mut simulation = GateSimulation::new(durability, indexes, random);
    lives.into_iter().for_each(|steps| simulation.live(steps));
    simulation.crash();
    simulation.drain_and_check();
    simulation.counts
}

/// Runs so many seeds, and says what was done.
fn simulate_seeds(seeds: u64, mut simulate: impl FnMut(u64) -> GateCounts) -> (u64, GateCounts) {
    let (mut run, mut total) = (0u64, GateCounts::default());
    for_seeds(seeds, |seed| {
        total.add(&simulate(seed));
        run += 1;
    });
    println!("{run} seeds: {total}");
    (run, total)
}

#[test]
fn gates_whose_answers_are_synced() {
    const SEEDS: u64 = 400;
    let (run, total) = simulate_seeds(SEEDS, |seed| simulate(Durability::Synced, Box::new(|_| None), seed));
    assert!(run < SEEDS || total.power_cuts >= 200, "{total}");
}

#[test]
fn gates_whose_answers_are_written() {
    simulate_seeds(200, |seed| simulate(Durability::Written, Box::new(|_| None), seed));
}

/// What checkpoints have written is where a start begins.
#[test]
fn gates_with_indexes() {
    let scratch = std::env::temp_dir().join(format!("shards-gates-it-{}", std::process::id()));
    simulate_seeds(20, |seed| {
        // A round that failed leaves it behind, to be looked at.
        let _ = std::fs::remove_dir_all(&scratch);
        let mut lives = 0;
        let indexes = Box::new(|shard| Some(next_index(&scratch, shard, &mut lives)));
        let counts = simulate(Durability::Synced, indexes, seed);
        std::fs::remove_dir_all(&scratch).unwrap();
        counts
    });
}
