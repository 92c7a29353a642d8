//! What goes to which other shard, and when.

pub(crate) mod batch;
pub(crate) mod credits;
pub(crate) mod router;
