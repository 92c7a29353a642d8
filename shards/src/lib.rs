//! Who owns a queue, what a shard does, and how shards talk to each other.
//!
//! A shard is one thread that owns its queues outright. [`Shard`] is its plain, synchronous state; [`Router`] decides
//! what goes to which other shard and when; [`Node`] is both, and decides when an outcome may be told. All are tested
//! without threads. Only the [`pump`] knows glommio.
//!
//! Architecture invariants: a shard never waits for another one to take a message, and shares no memory with it. Nothing
//! here knows the protocol, or what a connection is.

mod batch;
mod commit_policy;
mod damage;
mod data_directory;
mod figures;
mod generations;
mod hash;
mod inventory;
mod latency;
mod layout;
mod lock;
mod moving;
mod node;
mod op;
mod ownership;
pub mod pump;
mod router;
mod serving;
mod shard;
mod slow_commits;

pub use batch::{Address, Batch};
pub use commit_policy::{CommitMode, CommitPolicy};
pub use data_directory::{DataDirectory, DirectoryError, Repaired};
pub use figures::{Counters, Figures};
pub use hash::{ShardId, owner_of};
pub use inventory::{Inventory, Missing};
pub use latency::{Latency, Stage, StageTimes};
pub use moving::Moved;
pub use node::{Due, Node, Packet};
pub use op::{Op, Outcome};
pub use router::{CHANNEL_BATCHES, CREDITS, GatherId, Router};
pub use shard::Shard;
pub use storage::{Damaged, Durability, FrameNumber, Options, QueueLine, Recovered, Survey, Taken, Totals};
