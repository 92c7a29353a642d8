#![doc = include_str!("../README.md")]

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
