//! What a simulation has done.

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
    /// Takes that stood in line, and how each of them ended, if its shard lived so long.
    pub(crate) waits: u64,
    pub(crate) waits_served: u64,
    pub(crate) waits_over: u64,
    /// Messages that were opened, and ended by a client.
    pub(crate) opened: u64,
    pub(crate) ended: u64,
    /// Queues that were paused, and messages that were purged.
    pub(crate) pauses: u64,
    pub(crate) purged: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Counts) {
        self.operations += other.operations;
        self.forwarded += other.forwarded;
        self.packets += other.packets;
        self.replies += other.replies;
        self.stalled += other.stalled;
        self.crashes += other.crashes;
        self.waits += other.waits;
        self.waits_served += other.waits_served;
        self.waits_over += other.waits_over;
        self.opened += other.opened;
        self.ended += other.ended;
        self.pauses += other.pauses;
        self.purged += other.purged;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { operations, forwarded, packets, replies, stalled, crashes, .. } = self;
        let Counts { waits, waits_served, waits_over, opened, ended, pauses, purged, .. } = self;
        write!(f, "{operations} operations, {forwarded} of them for other shards, in {packets} packets; ")?;
        write!(f, "{replies} replies; {stalled} stalled; {crashes} crashes; ")?;
        write!(f, "{waits} waits, of which {waits_served} got a message and {waits_over} nothing; ")?;
        write!(f, "{opened} messages opened, {ended} ended by clients; {pauses} pauses; {purged} messages purged")
    }
}
