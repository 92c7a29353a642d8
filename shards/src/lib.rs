#![doc = include_str!("../README.md")]

mod client;
mod commit;
mod data;
mod engine;
mod figures;
mod moment;
mod op;
mod outcome;
mod owner;
pub mod pump;
mod routing;

pub use client::{Address, Asker, Client, GatherId, NoClient};
pub use commit::policy::{CommitMode, CommitPolicy};
pub use data::directory::{DataDirectory, Repaired};
pub use data::error::{DirectoryError, Remedy};
pub use data::inventory::{Inventory, Missing};
pub use data::moving::Moved;
pub use engine::shard::{Late, Shard};
pub use engine::{Due, Engine, Packet};
pub use figures::counters::{Counters, Figures};
pub use figures::latency::{Stage, StageTimes};
pub use figures::opens::{OpenHolder, OpenLine};
pub use figures::page::Page;
pub use figures::queues::QueueFigures;
pub use moment::Moment;
pub use op::{Fate, Holding, Op, Open, Which};
pub use outcome::{Answer, Outcome};
pub use owner::{ShardId, owner_of};
pub use routing::batch::Batch;
pub use routing::credits::{CHANNEL_BATCHES, CREDITS};
pub use routing::router::Router;
pub use storage::names;
pub use storage::settings::{Patterns, matches};
pub use storage::{
    BUYER_BYTES_MAX, Damaged, Durability, Error, FrameNumber, GateAct, GateAnswer, GateAnswered, GateCurve,
    GateFigures, GateState, MessageState, PeekedMessage, QueueId, QueueLine, Recovered, Search, Seq, SortBy,
    StoreOptions, Survey, Taken, Totals,
};
