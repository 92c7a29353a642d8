//! The store through its public interface: against a model, through crashes at every operation of the disk, with
//! failing and full disks, and with damaged files. `ROUNDS=` makes the random tests longer, `SEED=` repeats one round.
#![allow(clippy::unwrap_used, missing_docs)] // a test may panic, and says what it is by its name
mod checkpoints;
mod commits;
mod crash;
mod crowd;
mod crowd_state;
mod damage;
mod dead_letters;
mod dedup;
mod driver;
mod driver_standing;
mod failures;
mod family;
mod family_found;
mod fanout;
mod find;
mod flush;
mod gates;
mod leases;
mod missing;
mod model;
mod names;
mod opens;
mod out_of_order;
mod patterns;
mod reads;
mod seeds;
mod sums;
mod supply;
