//! What goes to which other shard, and when.

pub(crate) mod batch;
pub(crate) mod credits;
mod packing;
pub(crate) mod router;
