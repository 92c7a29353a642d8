//! What a shard can be asked to do, and what comes of it.

use storage::{QueueLine, Taken};

use crate::figures::counters::Figures;
use crate::figures::latency::StageTimes;
use crate::moment::Moment;

/// Something to be done by the shard that owns a queue, or by each shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op<'a> {
    /// Appends a message.
    Put {
        /// The queue's name.
        queue: &'a [u8],
        /// The message's flags.
        flags: u32,
        /// The message.
        body: &'a [u8],
    },
    /// Makes a queue, if it does not exist.
    Create {
        /// The queue's name.
        queue: &'a [u8],
    },
    /// Takes a message.
    Take {
        /// The queue's name.
        queue: &'a [u8],
    },
    /// Takes a message, and waits for one when there is none: first come first served, without a credit, and until the
    /// client is gone. Where the client must see its operations done in their order, nothing is submitted behind it until
    /// its outcome is there.
    TakeWait {
        /// The queue's name.
        queue: &'a [u8],
        /// When it is answered with [`Outcome::Empty`].
        until: Moment,
    },
    /// Ends what the client has open on the shard: the client is gone.
    Leave,
    /// Drops a queue.
    Delete {
        /// The queue's name.
        queue: &'a [u8],
    },
    /// Drops a queue's messages.
    Flush {
        /// The queue's name.
        queue: &'a [u8],
    },
    /// Drops the messages of all queues of the shard.
    FlushAll,
    /// Lists some of the shard's queues.
    List {
        /// 0, or what the listing before said.
        cursor: u32,
    },
    /// Asks for a checkpoint.
    Checkpoint,
    /// Asks for the shard's figures.
    Figures,
    /// Asks how long the stages of commands took on the shard.
    Latency,
    /// Sets the counters among the figures to zero, and forgets how long anything took.
    ResetFigures,
}

impl Op<'_> {
    /// Bytes of the body that it carries.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        match self {
            Op::Put { body, .. } => body.len(),
            _ => 0,
        }
    }

    /// Whether something of it may stay open on its shard, until its client is gone.
    #[must_use]
    pub fn stays_open(&self) -> bool {
        matches!(self, Op::TakeWait { .. })
    }

    /// What is said when the disk has no room for it.
    #[must_use]
    pub fn refused(&self) -> Outcome {
        match self {
            Op::Put { .. } | Op::Create { .. } => Outcome::NotStored,
            // A message that cannot be taken is one that is not there for now.
            Op::Take { .. } | Op::TakeWait { .. } | Op::Leave => Outcome::Empty,
            Op::Delete { .. } | Op::Flush { .. } | Op::FlushAll => Outcome::NoRoom,
            Op::List { .. } | Op::Checkpoint | Op::Figures | Op::Latency | Op::ResetFigures => {
                unreachable!("{self:?} changes nothing, and needs no room")
            }
        }
    }
}

/// What came of an [`Op`].
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message is in the queue, or the queue was made.
    Stored,
    /// The message was refused: the disk is full.
    NotStored,
    /// What was to be dropped is still there: the disk is full, and so is what is set aside on it.
    NoRoom,
    /// A message was taken.
    Message(Taken),
    /// There is no message to take, or nothing more to end.
    Empty,
    /// The queue was dropped.
    Deleted,
    /// There is no such queue.
    NotFound,
    /// It is done.
    Done,
    /// Some queues.
    Queues {
        /// Their lines.
        lines: Vec<QueueLine>,
        /// Where the listing goes on; `None` at its end.
        next: Option<u32>,
    },
    /// A checkpoint will be written; it is when [`Figures::checkpoints`] has reached this.
    CheckpointAsked(u64),
    /// The shard's figures.
    Figures(Box<Figures>),
    /// How long the stages of commands took.
    Latency(Box<StageTimes>),
}

impl Outcome {
    /// Bytes of the body that it carries.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        match self {
            Outcome::Message(taken) => taken.body.len(),
            _ => 0,
        }
    }

    /// Whether it may be told only when the log is safe up to here.
    #[must_use]
    pub fn waits_for_commit(&self) -> bool {
        match self {
            Outcome::Stored | Outcome::Message(_) | Outcome::Deleted | Outcome::Done => true,
            Outcome::NotStored
            | Outcome::NoRoom
            | Outcome::Empty
            | Outcome::NotFound
            | Outcome::Queues { .. }
            | Outcome::CheckpointAsked(_)
            | Outcome::Figures(_)
            | Outcome::Latency(_) => false,
        }
    }
}

/// How an operation is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// This came of it.
    Now(Outcome),
    /// Its outcome comes to the connection's [gather](crate::GatherId): from another shard, or when a wait has ended.
    Later,
    /// It must wait for the disk. Nothing was done.
    Stalled,
}
