#![doc = include_str!("../README.md")]

mod attempt;
mod disk;
mod error;
mod gate;
mod index;
mod log;
mod memory;
pub mod names;
mod options;
mod queue;
mod recovery;
pub mod settings;
mod store;

pub use attempt::Attempt;
pub use disk::files::Files;
pub use disk::{Disk, DiskFile};
pub use error::{Error, Result};
pub use gate::asking::{GateAct, GateAnswer, GateAnswered, GateFigures, GateState};
pub use index::Tree;
pub use log::commit::{Commit, CommitTimes, Fsync};
pub use log::entry::{ID_BYTES_MAX, QueueId, SETTINGS_BYTES_MAX, Seq};
pub use log::frame::FrameNumber;
pub use log::identity::log_ids;
pub use log::tickets::BUYER_BYTES_MAX;
pub use options::{Durability, StoreOptions};
pub use queue::{Kept, Taken};
pub use recovery::survey::{Damaged, Survey, Surveyed, SurveyedGate, SurveyedTicket};
pub use store::adopting::Adopted;
pub use store::chore::Chore;
pub use store::families::CHILDREN_MAX;
pub use store::figures::QueueFigures;
pub use store::inspecting::{Inspected, Standing};
pub use store::open::Recovered;
pub use store::opens::{GiveBack, Opened, Opening};
pub use store::puts::PutWith;
pub use store::{QueueLine, Store, Totals};
