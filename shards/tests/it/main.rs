//! All shards of a server, their channels, clients and disks on one thread, in any order that a seed chooses. The
//! decisions are the real ones: [`shards::Engine`], and below it the store. `ROUNDS=` makes it longer, `SEED=` repeats one
//! round.
#![allow(clippy::unwrap_used, missing_docs)] // a test may panic, and says what it is by its name

mod asked;
mod asking;
mod children;
mod client;
mod counts;
mod gate_asking;
mod gate_counts;
mod gate_simulation;
mod gates;
mod gates_held_up;
mod gates_rushed;
mod history;
mod lines;
mod opens;
mod opens_that_wait;
mod operator;
mod out;
mod ownership;
mod pauses;
mod pump;
mod setup;
mod simulate;
mod simulate_gates;
mod simulated_shard;
mod simulation;
mod tasks;
mod two_shards;
mod waits;
