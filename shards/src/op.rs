//! What a shard can be asked to do.

use storage::{GateAct, GateAnswer, GateAnswered, QueueId, Search, Seq};

use crate::client::Client;
use crate::moment::Moment;
use crate::outcome::Outcome;

/// Something to be done by the shard that owns a queue, or by each shard.
///
/// A queue's name is the one that is stored: a space in it marks what rushq has made of a client's name.
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
    /// Appends a message of which more is told.
    PutWith {
        /// The queue's name.
        queue: &'a [u8],
        /// The message's flags.
        flags: u32,
        /// The message.
        body: &'a [u8],
        /// Seconds until it is available; `None`: as many as the queue's settings say.
        delay_s: Option<u32>,
        /// When it expires, by memcached's rule. The queue's settings say whether it counts.
        exptime: i64,
        /// Of two messages with the same id the second is none. Empty: it has none.
        id: &'a [u8],
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
    /// Looks at the message at the head.
    Peek {
        /// The queue's name.
        queue: &'a [u8],
    },
    /// Opens a message: it is out with its holder, and comes back unless it is acknowledged.
    Open(Open<'a>),
    /// Ends what is open.
    End {
        /// The queue's name.
        queue: &'a [u8],
        /// What of it is ended.
        which: Which<'a>,
        /// What becomes of the messages.
        fate: Fate,
    },
    /// Sets when a lease ends, counted from now.
    Touch {
        /// The queue's name.
        queue: &'a [u8],
        /// The lease.
        which: Which<'a>,
        /// Seconds; 0: as many as the queue's settings say; negative: it ends now.
        lease_s: i64,
    },
    /// Puts dead letters of a queue back into it.
    Kick {
        /// The queue's name.
        queue: &'a [u8],
        /// So many at most.
        count: u32,
    },
    /// Sets some of a queue's settings. The queue is made if it does not exist.
    Configure {
        /// The queue's name.
        queue: &'a [u8],
        /// The settings, as the client wrote them.
        words: &'a [u8],
    },
    /// Looks at a queue's settings.
    Config {
        /// The queue's name.
        queue: &'a [u8],
    },
    /// Gives a queue the default settings again.
    Unconfigure {
        /// The queue's name.
        queue: &'a [u8],
    },
    /// Has a queue hand out no message, or hand them out again, and leaves all else that it was told as it is. The queue must
    /// exist.
    Pause {
        /// The queue's name.
        queue: &'a [u8],
        /// Whether it is paused from now on.
        pause: bool,
    },
    /// Asks the gate of a queue for a buyer.
    Gate {
        /// The queue's name.
        queue: &'a [u8],
        /// The buyer's name, of up to [`BUYER_BYTES_MAX`](crate::BUYER_BYTES_MAX) bytes.
        buyer: &'a [u8],
        /// What is asked.
        act: GateAct<'a>,
    },
    /// Looks at the gate of a queue.
    GateFigures {
        /// The queue's name.
        queue: &'a [u8],
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
    /// Lists the figures of some of the shard's queues.
    ListFigures {
        /// 0, or what the listing before said.
        cursor: u32,
        /// Of queues whose names begin so.
        prefix: &'a [u8],
    },
    /// The figures of one queue: [`Outcome::QueueFigures`] with one line, or none.
    QueueFigures {
        /// The queue's name.
        queue: &'a [u8],
    },
    /// Lists the children of a queue, which need not exist itself.
    ListChildren {
        /// The queue's name.
        queue: &'a [u8],
    },
    /// Finds queues among some of the shard's. A [`Page`](crate::Page) puts the pieces together.
    Find {
        /// 0, or what the piece before said.
        cursor: u32,
        /// Which, and in what order.
        search: Search<'a>,
    },
    /// Looks at the first message of a queue whose number is above one. It stays as it is.
    PeekAt {
        /// The queue's name.
        queue: &'a [u8],
        /// Numbers are from 1 on.
        after: Seq,
        /// Of its body no more bytes are told.
        body_bytes_max: u32,
    },
    /// Lists some of what is open of a queue, the oldest first.
    ListOpens {
        /// The queue's name.
        queue: &'a [u8],
        /// 0, or what the listing before said: the number of a lease.
        after: u64,
    },
    /// Drops the oldest messages of a queue that are not open, a piece of them. The one who asks goes on with what is left
    /// of the count, and behind what the outcome says.
    Purge {
        /// The queue's name.
        queue: &'a [u8],
        /// 0, or what the piece before said.
        after: Seq,
        /// So many at most.
        count: u32,
    },
    /// Counts what the connections of some clients have open on the shard.
    ListHolders {
        /// Where it begins: this client's messages of this queue, or what the listing before said.
        from: (Client, QueueId),
        /// The last client.
        to: Client,
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

/// How a message is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open<'a> {
    /// The queue's name.
    pub queue: &'a [u8],
    /// What holds the message.
    pub holder: Holding<'a>,
    /// Seconds until the lease ends; `None`: as the queue's settings say.
    pub lease_s: Option<u32>,
    /// First acknowledges all that the client's connection has open of the queue.
    pub close: bool,
    /// Until when it waits for a message; `None`: not at all.
    pub until: Option<Moment>,
}

/// What holds an open message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding<'a> {
    /// The client's connection. The message comes back when that ends.
    Connection {
        /// Messages of the queue that it may have open at once.
        max: u32,
    },
    /// A name that the client has made up. Asked for again, it gives the same message again.
    Name(&'a [u8]),
    /// The number of the lease, and nothing else.
    Number,
}

/// Which of a queue's open messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// All that the client's connection holds, the oldest first.
    Mine,
    /// The one that a name holds.
    Name(&'a [u8]),
    /// The one with a lease of this number, whatever holds it.
    Lease(u64),
}

/// What becomes of an open message when it is open no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is taken for good.
    Acknowledge,
    /// It goes back to its place, and the try counts.
    Abort {
        /// Seconds until it is available; `None`: as many as the queue's settings say.
        delay_s: Option<u32>,
    },
    /// It goes back to its place, and the try does not count.
    Release {
        /// Seconds until it is available; `None`: none.
        delay_s: Option<u32>,
    },
    /// It goes to the dead letters.
    Bury,
}

impl Op<'_> {
    /// Bytes of the body that it carries.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        match self {
            Op::Put { body, .. }
            | Op::PutWith { body, .. }
            | Op::Gate { act: GateAct::Join { message: Some((_, body)), .. }, .. } => body.len(),
            _ => 0,
        }
    }

    /// Whether its outcome may come later than what was asked behind it.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        matches!(self, Op::TakeWait { .. } | Op::Open(Open { until: Some(_), .. }))
    }

    /// Whether something of it may stay open on its shard, until its client is gone.
    #[must_use]
    pub fn stays_open(&self) -> bool {
        self.may_wait() || matches!(self, Op::Open(Open { holder: Holding::Connection { .. }, .. }))
    }

    /// What is said when the disk has no room for it, and when it would have to wait for the disk while the server stops.
    #[must_use]
    pub fn refused(&self) -> Outcome {
        match self {
            Op::Put { .. } | Op::PutWith { .. } | Op::Create { .. } | Op::Configure { .. } => Outcome::NotStored,
            // What was to be acknowledged was not.
            Op::Open(Open { close: true, .. }) => Outcome::NoRoom,
            // A message that cannot be taken is one that is not there for now.
            Op::Take { .. } | Op::TakeWait { .. } | Op::Peek { .. } | Op::Open(_) | Op::Leave => Outcome::Empty,
            Op::PeekAt { .. } => Outcome::PeekedAt(None),
            Op::End { .. }
            | Op::Touch { .. }
            | Op::Kick { .. }
            | Op::Purge { .. }
            | Op::Pause { .. }
            | Op::Unconfigure { .. }
            | Op::Delete { .. }
            | Op::Flush { .. }
            | Op::FlushAll => Outcome::NoRoom,
            // A buyer must not take it for sold out.
            Op::Gate { .. } => Outcome::Gate(GateAnswered { answer: GateAnswer::NotNow, waits: false }),
            Op::Config { .. }
            | Op::GateFigures { .. }
            | Op::List { .. }
            | Op::ListFigures { .. }
            | Op::ListHolders { .. }
            | Op::QueueFigures { .. }
            | Op::ListChildren { .. }
            | Op::Find { .. }
            | Op::ListOpens { .. }
            | Op::Checkpoint
            | Op::Figures
            | Op::Latency
            | Op::ResetFigures => {
                unreachable!("{self:?} changes nothing, and needs no room")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_holds_or_waits_for_stays_open() {
        let open = |holder, until: Option<u64>| {
            Op::Open(Open { queue: b"q", holder, lease_s: None, close: false, until: until.map(Moment::from_ms) })
        };
        let kinds = |op: Op<'_>| (op.may_wait(), op.stays_open());
        assert_eq!(kinds(Op::Take { queue: b"q" }), (false, false));
        assert_eq!(kinds(Op::TakeWait { queue: b"q", until: Moment::from_ms(9) }), (true, true));
        assert_eq!(kinds(open(Holding::Connection { max: 1 }, None)), (false, true));
        assert_eq!(kinds(open(Holding::Connection { max: 1 }, Some(9))), (true, true));
        assert_eq!(kinds(open(Holding::Name(b"n"), None)), (false, false));
        assert_eq!(kinds(open(Holding::Name(b"n"), Some(9))), (true, true));
        assert_eq!(kinds(open(Holding::Number, None)), (false, false));
    }

    /// The client would take the messages for acknowledged, and they come back.
    #[test]
    fn a_close_that_was_refused_does_not_look_like_an_empty_queue() {
        let open = |close| {
            Op::Open(Open { queue: b"q", holder: Holding::Connection { max: 1 }, lease_s: None, close, until: None })
        };
        assert_eq!((open(true).refused(), open(false).refused()), (Outcome::NoRoom, Outcome::Empty));
    }
}
