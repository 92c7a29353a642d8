//! What the tests of storage, and of what is built on it, have in common: a disk and an index in memory that crash,
//! the model that a store is held against,
//! random numbers that a seed repeats, and the slow parts of a store a step at a time.
//!
//! Tests and fuzz targets depend on this crate; nothing that is shipped does.
#![allow(clippy::unwrap_used, reason = "what a test calls fails the test, as the test itself would")]

mod disk;
mod model;
mod random;
mod slow;
mod standing;
mod tree;

pub use disk::{CrashDisk, Fault, Images};
pub use model::{Expected, Message, Name, Op, Passed, Queue, Queues, drain, lines, surveyed, try_drain};
pub use random::{Random, for_seeds};
pub use slow::{Run, Slow};
pub use standing::{AllKept, BURIED, Kept, Opens, inspected, kept, kept_at};
pub use tree::{CrashTree, Pairs};
