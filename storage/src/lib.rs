//! One shard's storage: its queues in memory, a log that is the truth, and a sled tree that is the log's index.
//!
//! The crate knows nothing of commands, connections or other shards, and starts no thread of its own. [`Store`] applies
//! changes in memory and gathers them in a frame; [`Commit`], [`Fsync`] and [`Chore`] are the slow parts, to be run
//! wherever the caller likes. A change is safe, and may be acknowledged, once [`Store::acknowledged`] has reached the
//! frame that [`Store::changed`] gave right after it.
//!
//! ```
//! use std::sync::Arc;
//! use storage::{Attempt, Durability, Files, StoreOptions, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = std::env::temp_dir().join(format!("storage-doc-{}", std::process::id()));
//! let options = StoreOptions {
//!     durability: Durability::Synced,
//!     segment_bytes: 1 << 20,
//!     memory_bytes: 1 << 20,
//!     body_bytes_max: 1 << 10,
//!     commit_bytes_max: 1 << 20,
//! };
//! let (mut store, _) = Store::open(Arc::new(Files::open(&directory.join("log"))?), None, options)?;
//! assert_eq!(store.put(b"tickets", 0, b"one, please")?, Attempt::Done(()));
//! let frame = store.changed();
//! let mut commit = store.begin_commit().expect("something was changed");
//! commit.run()?;
//! store.finish_commit(commit);
//! assert!(store.acknowledged() >= frame, "now STORED may be said");
//! # std::fs::remove_dir_all(&directory)?;
//! # Ok(())
//! # }
//! ```
//!
//! Architecture invariants: nothing here waits for a clock or for another thread, the offline form of an
//! [attempt](Store::at_once) apart. A change waits for no disk: where one must, it is an [`Attempt::Wait`]. No file but the
//! log's and the index's is touched. The log alone is always enough to rebuild everything.

mod attempt;
mod disk;
mod error;
mod index;
mod log;
mod memory;
mod options;
mod queue;
mod recovery;
mod store;

pub use attempt::Attempt;
pub use disk::files::Files;
pub use disk::{Disk, DiskFile};
pub use error::{Error, Result};
pub use index::Tree;
pub use log::commit::{Commit, CommitTimes, Fsync};
pub use log::entry::{QueueId, SETTINGS_BYTES_MAX, Seq};
pub use log::frame::FrameNumber;
pub use log::identity::log_ids;
pub use options::{Durability, StoreOptions};
pub use queue::Taken;
pub use recovery::survey::{Damaged, Survey, Surveyed};
pub use store::adopting::Adopted;
pub use store::chore::Chore;
pub use store::open::Recovered;
pub use store::{QueueLine, Store, Totals};
