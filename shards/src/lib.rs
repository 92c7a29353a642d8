//! Who owns a queue, what a shard does, and how shards talk to each other.
//!
//! A shard is one thread that owns its queues outright. [`Shard`] is its plain, synchronous state; [`Router`] decides
//! what goes to which other shard and when; [`Engine`] is both, and decides when an outcome may be told. All are tested
//! without threads. Only the [`pump`] knows glommio.
//!
//! Architecture invariants: a shard never waits for another one to take a message, and shares no memory with it. Nothing
//! here knows the protocol, or what a connection is.

mod commit;
mod data;
mod engine;
mod figures;
mod op;
mod owner;
pub mod pump;
mod routing;

pub use commit::policy::{CommitMode, CommitPolicy};
pub use data::directory::{DataDirectory, DirectoryError, Repaired};
pub use data::inventory::{Inventory, Missing};
pub use data::moving::Moved;
pub use engine::shard::Shard;
pub use engine::{Due, Engine, Packet};
pub use figures::counters::{Counters, Figures};
pub use figures::latency::{Latency, Stage, StageTimes};
pub use op::{Op, Outcome};
pub use owner::{ShardId, owner_of};
pub use routing::batch::{Address, Batch};
pub use routing::router::{CHANNEL_BATCHES, CREDITS, GatherId, Router};
pub use storage::{Damaged, Durability, FrameNumber, QueueLine, Recovered, StoreOptions, Survey, Taken, Totals};
