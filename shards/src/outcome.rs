//! What comes of an operation.

use storage::{GateAnswered, GateFigures, PeekedMessage, QueueId, QueueLine, Seq, Taken};

use crate::client::Client;
use crate::figures::counters::Figures;
use crate::figures::latency::StageTimes;
use crate::figures::opens::OpenLine;
use crate::figures::queues::QueueFigures;

/// What came of an [`Op`](crate::Op).
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message is in the queue, or the queue was made.
    Stored,
    /// The message was refused: the disk is full, or a limit of the queue is reached.
    NotStored,
    /// What was to be changed is as it was: the disk is full, and so is what is set aside on it.
    NoRoom,
    /// A message was taken.
    Message(Taken),
    /// A message is at the head. It stays there.
    Peeked(Taken),
    /// A message was opened, or is still open under the name that asks.
    Opened {
        /// The number of its lease, below 2^53. Its low 8 bits are the try, from 1.
        lease: u64,
        /// The message's flags.
        flags: u32,
        /// The message.
        body: Box<[u8]>,
        /// Whether the log must be safe before it may be told: with it something was acknowledged, or numbers of leases
        /// were set aside.
        waits: bool,
    },
    /// Refused: the client's connection has to end first what it has open of the queue.
    Held,
    /// What was open is open no more.
    Ended,
    /// The lease ends when it was told to.
    Touched,
    /// So many dead letters are back in their queue.
    Kicked(u64),
    /// There is no message to take, or nothing more to end.
    Empty,
    /// There is no message: the queue was made by this, and has each that is put from now on.
    Made,
    /// The queue was dropped, or its settings were.
    Deleted,
    /// There is no such queue, or nothing open of that name or number.
    NotFound,
    /// It is done.
    Done,
    /// The queue has the settings.
    Configured,
    /// Refused: this word is no setting.
    BadWord(Box<[u8]>),
    /// The settings that are not the default.
    Words(Vec<u8>),
    /// What a gate tells a buyer.
    Gate(GateAnswered),
    /// What a gate is at. `None`: the queue has no gate, and never had.
    GateFigures(Option<Box<GateFigures>>),
    /// Some queues.
    Queues {
        /// Their lines.
        lines: Vec<QueueLine>,
        /// Where the listing goes on; `None` at its end.
        next: Option<u32>,
    },
    /// The figures of some queues.
    QueueFigures {
        /// Their lines.
        lines: Vec<QueueFigures>,
        /// Where the listing goes on; `None` at its end.
        next: Option<u32>,
    },
    /// The stored names of some queues.
    Names(Vec<Box<[u8]>>),
    /// The first ones of a piece of a search, in their order.
    Found {
        /// Their figures.
        lines: Vec<QueueFigures>,
        /// How many queues of the piece have matched.
        matched: u64,
        /// Where the search goes on; `None` at its end.
        next: Option<u32>,
    },
    /// A message, if there was one. It stays as it is.
    PeekedAt(Option<Box<PeekedMessage>>),
    /// Some of what is open of a queue.
    Opens {
        /// The oldest first.
        lines: Vec<OpenLine>,
        /// Where the listing goes on; `None` at its end.
        next: Option<u64>,
    },
    /// Messages were dropped.
    Purged {
        /// So many.
        count: u64,
        /// Behind which message there may be more to drop; `None`: it is done.
        next: Option<Seq>,
    },
    /// How many messages connections have open.
    Holders {
        /// Clients that have some, and how many: a client more than once where it has some of several queues.
        counts: Vec<(Client, u64)>,
        /// Where the listing goes on; `None` at its end.
        next: Option<(Client, QueueId)>,
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
            Outcome::Message(taken) | Outcome::Peeked(taken) => taken.body.len(),
            Outcome::Opened { body, .. } => body.len(),
            Outcome::PeekedAt(Some(peeked)) => peeked.body.len(),
            _ => 0,
        }
    }

    /// Whether it may be told only when the log is safe up to here.
    #[must_use]
    pub fn waits_for_commit(&self) -> bool {
        match self {
            Outcome::Stored
            | Outcome::Message(_)
            | Outcome::Ended
            | Outcome::Kicked(_)
            | Outcome::Purged { .. }
            | Outcome::Made
            | Outcome::Deleted
            | Outcome::Done
            | Outcome::Configured => true,
            Outcome::Opened { waits, .. } | Outcome::Gate(GateAnswered { waits, .. }) => *waits,
            Outcome::NotStored
            | Outcome::NoRoom
            | Outcome::Peeked(_)
            | Outcome::Held
            | Outcome::Touched
            | Outcome::Empty
            | Outcome::NotFound
            | Outcome::BadWord(_)
            | Outcome::Words(_)
            | Outcome::GateFigures(_)
            | Outcome::Queues { .. }
            | Outcome::QueueFigures { .. }
            | Outcome::Holders { .. }
            | Outcome::Names(_)
            | Outcome::Found { .. }
            | Outcome::PeekedAt(_)
            | Outcome::Opens { .. }
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
    /// It must wait for the disk. Nothing was done, or a part that is not done again by another try.
    Stalled,
}
