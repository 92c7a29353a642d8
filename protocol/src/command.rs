//! What a client can ask for.

use crate::tokens::Tokens;

/// A command, borrowed from the input.
///
/// Names of queues are 1 to [`QUEUE_NAME_BYTES_MAX`](crate::QUEUE_NAME_BYTES_MAX) bytes without spaces and control
/// characters. With `noreply`, nothing is answered, whatever comes of the command.
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
        /// The client wants no answer.
        noreply: bool,
    },
    /// Takes one message from each named queue in turn.
    Get {
        /// The names, at least one.
        queues: Queues<'a>,
        /// It was a gets: each message's number is part of the answer.
        with_number: bool,
    },
    /// Drops a queue with all that belongs to it.
    Delete {
        /// The queue's name.
        queue: &'a [u8],
        /// The client wants no answer.
        noreply: bool,
    },
    /// Drops a queue's messages.
    Flush {
        /// The queue's name.
        queue: &'a [u8],
    },
    /// Drops the messages of all queues. A delay was read and forgotten.
    FlushAll {
        /// The client wants no answer.
        noreply: bool,
    },
    /// The server's figures.
    Stats,
    /// What went into each queue and came out.
    StatsQueue,
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
        /// The client wants no answer.
        noreply: bool,
    },
    /// Closes the connection.
    Quit,
    /// Writes a checkpoint.
    DbCheckpoint,
    /// Frees segments that can go.
    DbArchive,
}

/// The names on a get's line, in their order. All of them are good names, and there is at least one to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues<'a> {
    names: Tokens<'a>,
}

impl<'a> Queues<'a> {
    /// The caller has checked that `names` yields at least one name, and good names only.
    pub(crate) fn new(names: Tokens<'a>) -> Self {
        Queues { names }
    }
}

impl<'a> Iterator for Queues<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.names.next()
    }
}
