//! What a simulation has done, for those who wonder.

use std::fmt;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) operations: u64,
    pub(crate) forwarded: u64,
    pub(crate) packets: u64,
    pub(crate) replies: u64,
    /// Operations that found a shard's disk slow.
    pub(crate) stalled: u64,
    pub(crate) crashes: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Counts) {
        self.operations += other.operations;
        self.forwarded += other.forwarded;
        self.packets += other.packets;
        self.replies += other.replies;
        self.stalled += other.stalled;
        self.crashes += other.crashes;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { operations, forwarded, packets, replies, stalled, crashes } = self;
        write!(f, "{operations} operations, {forwarded} of them for other shards, in {packets} packets; ")?;
        write!(f, "{replies} replies; {stalled} stalled; {crashes} crashes")
    }
}
