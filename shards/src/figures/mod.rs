//! What a shard counts and times.

pub(crate) mod counters;
pub(crate) mod latency;
pub(crate) mod opens;
pub(crate) mod page;
pub(crate) mod queues;
