//! What a seed chooses for a whole simulation: how large it is, and how often what happens.

use shards::{Durability, StoreOptions};
use storage_testing::Random;

pub(crate) const BODY_BYTES_MAX: usize = 3000;
const SEGMENT_BYTES: u32 = 16 << 10;

/// A store for tests that need little of one.
pub(crate) fn small_store() -> StoreOptions {
    StoreOptions {
        durability: Durability::Synced,
        segment_bytes: 64 << 10,
        memory_bytes: 1 << 20,
        body_bytes_max: 1 << 10,
        commit_bytes_max: 1 << 20,
    }
}

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A client sends commands, or looks for its replies.
    Client,
    /// Outboxes go into the channels.
    Send,
    /// A shard takes a packet out of a channel.
    Receive,
    /// A shard applies operations of others.
    Apply,
    Commit,
    Sync,
    Segments,
    Reads,
    Index,
    Reclaim,
    /// A client goes, whatever it waits for, and another one comes.
    Leave,
    Checkpoint,
    /// Some time passes.
    Time,
    /// A shard does what is due by now.
    Pass,
}

const STEPS: [Step; 14] = [
    Step::Client,
    Step::Send,
    Step::Receive,
    Step::Apply,
    Step::Commit,
    Step::Sync,
    Step::Segments,
    Step::Reads,
    Step::Index,
    Step::Reclaim,
    Step::Leave,
    Step::Checkpoint,
    Step::Time,
    Step::Pass,
];

#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) shards: u16,
    pub(crate) clients: usize,
    pub(crate) durability: Durability,
    commit_bytes_max: usize,
    /// Commands that a client sends at once.
    pub(crate) burst: u64,
    /// Sets among a hundred commands.
    pub(crate) sets: u64,
    /// One in so many times a client waits for messages too; 0: never.
    pub(crate) waits: u64,
    /// So many of the queues are waited for.
    pub(crate) waited_for: usize,
    /// Among a hundred commands, those about messages that are open; 0: none, and queues are flushed.
    pub(crate) opens: u64,
    /// So many of the queues have messages that are opened.
    pub(crate) opened: usize,
    /// Among a hundred commands, those that pause or resume a queue that is waited for, or purge it.
    pub(crate) pauses: u64,
    /// A crash follows one in so many replies at once.
    pub(crate) crash_after_replies: u64,
    /// Each kind of step, as often as it is to come.
    weighted: Vec<Step>,
}

impl Setup {
    pub(crate) fn choose(durability: Durability, random: &mut Random) -> Setup {
        let mut weighted = Vec::new();
        for step in STEPS {
            let weight = match step {
                Step::Leave | Step::Checkpoint => random.below(2),
                _ => random.pick(&[1, 4, 12]),
            };
            weighted.extend((0..weight).map(|_| step));
        }
        Setup {
            shards: 1 + random.below(4) as u16,
            clients: 1 + random.below(6) as usize,
            durability,
            commit_bytes_max: random.pick(&[500, 6000, 1 << 20]),
            burst: random.pick(&[1, 4, 16]),
            waits: random.pick(&[0, 2, 6]),
            waited_for: random.pick(&[1, 3, 8]),
            opens: random.pick(&[0, 30, 60]),
            opened: random.pick(&[1, 2, 8]),
            sets: random.pick(&[30, 50, 70]),
            pauses: random.pick(&[0, 0, 16]),
            crash_after_replies: random.pick(&[20, 200, 2000]),
            weighted,
        }
    }

    pub(crate) fn step(&self, random: &mut Random) -> Step {
        random.pick(&self.weighted)
    }

    /// How the stores of one life are set up.
    pub(crate) fn options(&self, random: &mut Random) -> StoreOptions {
        StoreOptions {
            durability: self.durability,
            segment_bytes: SEGMENT_BYTES,
            memory_bytes: random.pick(&[0, 2000, 1 << 20]),
            body_bytes_max: BODY_BYTES_MAX,
            commit_bytes_max: self.commit_bytes_max,
        }
    }
}
