//! What a client can ask for.

use super::act::{Act, Which};
use super::key::Key;
use super::tokens::Tokens;

/// A command, borrowed from the input.
///
/// Names of queues are 1 to [`QUEUE_NAME_BYTES_MAX`](crate::QUEUE_NAME_BYTES_MAX) bytes without spaces and control
/// characters. Where there is a name instead of a [`Key`], it is a queue's and no child's. With `noreply`, nothing is answered, whatever comes of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Appends a message to a queue. The body is whole and was well terminated.
    Set {
        /// The queue's name.
        queue: &'a [u8],
        /// The client's own, to be handed out with the message.
        flags: u32,
        /// What the client said, in the range of an i32. It means nothing to a queue.
        exptime: i64,
        /// The message.
        body: &'a [u8],
        /// No reply is sent.
        noreply: bool,
    },
    /// Appends a message to a queue or a child, with what its key says.
    SetWith {
        /// The key. It means no dead letters.
        key: Key<'a>,
        /// As a set's.
        flags: u32,
        /// As a set's.
        exptime: i64,
        /// The message.
        body: &'a [u8],
        /// It is not to be had before so many seconds have passed; `None`: as the queue has it.
        delay_s: Option<u32>,
        /// Of several messages with the same id one is stored. Empty: it has none.
        id: &'a [u8],
        /// No reply is sent.
        noreply: bool,
    },
    /// Gives a queue its settings.
    Configure {
        /// The key. It means no dead letters.
        key: Key<'a>,
        /// The settings, as the client wrote them.
        words: &'a [u8],
        /// No reply is sent.
        noreply: bool,
    },
    /// Takes one message from each named queue in turn.
    Get {
        /// The names, at least one.
        queues: Queues<'a>,
        /// It was a gets: each message's number is part of the answer.
        with_number: bool,
    },
    /// Does what a key's options say, and answers as a get does.
    Consume {
        /// The key.
        key: Key<'a>,
        /// What is done.
        act: Act<'a>,
        /// It was a gets or a gats: a number is part of the answer.
        with_number: bool,
    },
    /// Drops a queue with all that belongs to it, or its dead letters.
    Delete {
        /// The key.
        key: Key<'a>,
        /// No reply is sent.
        noreply: bool,
    },
    /// Acknowledges an open message.
    Acknowledge {
        /// The key.
        key: Key<'a>,
        /// Which one. Never what the connection has open.
        which: Which<'a>,
        /// No reply is sent.
        noreply: bool,
    },
    /// Takes a queue's settings back.
    Unconfigure {
        /// The key. It means no dead letters.
        key: Key<'a>,
        /// No reply is sent.
        noreply: bool,
    },
    /// Has a lease end at another time.
    Touch {
        /// The key.
        key: Key<'a>,
        /// Which open message it is. Never what the connection has open.
        which: Which<'a>,
        /// In so many seconds, at most [`SECONDS_MAX`](crate::SECONDS_MAX). 0: as the queue has it. Less: now.
        lease_s: i64,
        /// No reply is sent.
        noreply: bool,
    },
    /// Asks a queue's gate for a ticket. With a message it was an add, without one an incr.
    Join {
        /// The key. It means no child, and no dead letters.
        key: Key<'a>,
        /// The buyer's name, of 1 byte or more.
        buyer: &'a [u8],
        /// The flags and the body of the message that goes into the queue with the ticket; `None`: the buyer's name.
        message: Option<(u32, &'a [u8])>,
        /// No reply is sent.
        noreply: bool,
    },
    /// Tells a queue's gate that a buyer has paid.
    Pay {
        /// As a join's.
        key: Key<'a>,
        /// As a join's.
        buyer: &'a [u8],
        /// No reply is sent.
        noreply: bool,
    },
    /// Gives a buyer more time to pay.
    Extend {
        /// As a join's.
        key: Key<'a>,
        /// As a join's.
        buyer: &'a [u8],
        /// So many seconds, 1 to [`SECONDS_MAX`](crate::SECONDS_MAX).
        seconds: u32,
        /// No reply is sent.
        noreply: bool,
    },
    /// Gives a buyer's ticket or place in line back.
    Return {
        /// As a join's.
        key: Key<'a>,
        /// As a join's.
        buyer: &'a [u8],
        /// No reply is sent.
        noreply: bool,
    },
    /// Drops a queue's messages, or its dead letters.
    Flush {
        /// The key.
        key: Key<'a>,
    },
    /// Drops the messages of all queues. A delay was read and forgotten.
    FlushAll {
        /// No reply is sent.
        noreply: bool,
    },
    /// The server's figures.
    Stats,
    /// What went into each queue and came out.
    StatsQueue,
    /// Figures of each queue.
    StatsQueues {
        /// What the names begin with. Empty: of all.
        prefix: &'a [u8],
    },
    /// Figures of a queue's gate.
    StatsGate {
        /// The key. It means no child, and no dead letters.
        key: Key<'a>,
    },
    /// Figures of each connection.
    StatsConns,
    /// Figures by shard.
    StatsCores,
    /// How long the stages of commands took.
    StatsLatency,
    /// Sets the server's counters to zero.
    StatsReset,
    /// Every option with its value.
    StatsSettings,
    /// memcached's figures of what a cache is made of. Dashboards ask for them, and PHP's memcache takes a server that
    /// answers an error for dead; a queue server has none.
    StatsOfCache,
    /// The server's version.
    Version,
    /// How much the server logs.
    Verbosity {
        /// 0 for the least.
        level: u32,
        /// No reply is sent.
        noreply: bool,
    },
    /// Closes the connection.
    Quit,
    /// Writes a checkpoint.
    DbCheckpoint,
    /// Frees segments that can go.
    DbArchive,
}

impl Command<'_> {
    /// Whether nothing is answered, whatever comes of the command.
    #[must_use]
    pub fn noreply(&self) -> bool {
        match self {
            Command::Set { noreply, .. }
            | Command::SetWith { noreply, .. }
            | Command::Configure { noreply, .. }
            | Command::Delete { noreply, .. }
            | Command::Acknowledge { noreply, .. }
            | Command::Unconfigure { noreply, .. }
            | Command::Touch { noreply, .. }
            | Command::Join { noreply, .. }
            | Command::Pay { noreply, .. }
            | Command::Extend { noreply, .. }
            | Command::Return { noreply, .. }
            | Command::FlushAll { noreply }
            | Command::Verbosity { noreply, .. } => *noreply,
            Command::Get { .. }
            | Command::Consume { .. }
            | Command::Flush { .. }
            | Command::Stats
            | Command::StatsQueue
            | Command::StatsQueues { .. }
            | Command::StatsGate { .. }
            | Command::StatsConns
            | Command::StatsCores
            | Command::StatsLatency
            | Command::StatsReset
            | Command::StatsSettings
            | Command::StatsOfCache
            | Command::Version
            | Command::Quit
            | Command::DbCheckpoint
            | Command::DbArchive => false,
        }
    }
}

/// The names on a get's line, in their order. All of them are good names, and there is at least one to begin with.
///
/// A get of many names may be done in parts, and its line is checked once: what is left of it is kept, and taken up again.
///
/// ```
/// use protocol::{Command, Parse, Parser, Queues};
///
/// let input = b"get a b c\r\n";
/// let (used, parsed) = Parser::new(1024).next(input);
/// let Parse::Command(Command::Get { mut queues, .. }) = parsed else { unreachable!("it is a get") };
/// assert_eq!(queues.next(), Some(&b"a"[..]));
/// let rest = &input[used - queues.rest_bytes()..used];
/// assert_eq!(Queues::resume(rest, false).collect::<Vec<_>>(), [b"b", b"c"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues<'a> {
    names: Tokens<'a>,
    line_end_bytes: usize,
    has_children: bool,
}

impl<'a> Queues<'a> {
    /// The caller has checked that `names` yields at least one name, and good names only.
    pub(crate) fn new(names: Tokens<'a>, line_end_bytes: usize, has_children: bool) -> Self {
        Queues { names, line_end_bytes, has_children }
    }

    /// Whether one of the names on the line is that of a child. If so, each of them is taken apart by [`Key::of_name`];
    /// if not, they are names of queues as they are.
    #[must_use]
    #[inline]
    pub fn has_children(&self) -> bool {
        self.has_children
    }

    /// How many bytes the names that are left take on their line, with the line's end.
    #[must_use]
    #[inline]
    pub fn rest_bytes(&self) -> usize {
        self.names.rest_bytes() + self.line_end_bytes
    }

    /// The names of which `rest` is the last [`rest_bytes`](Queues::rest_bytes) bytes, with the line's end. They are not
    /// checked again, so whether the line [has children](Queues::has_children) is for the caller to keep; and there may
    /// be none left.
    #[must_use]
    #[inline]
    pub fn resume(rest: &'a [u8], has_children: bool) -> Self {
        let (names, line_end_bytes) = without_end(rest);
        Queues { names: Tokens::new(names), line_end_bytes, has_children }
    }
}

/// A line without its end, and how many bytes that end has.
#[inline]
pub(crate) fn without_end(line: &[u8]) -> (&[u8], usize) {
    match line {
        [names @ .., b'\r', b'\n'] => (names, 2),
        [names @ .., b'\n'] => (names, 1),
        names => (names, 0),
    }
}

impl<'a> Iterator for Queues<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.names.next()
    }
}
