//! What a shard counts and times.

pub(crate) mod counters;
pub(crate) mod latency;
pub(crate) mod queues;
