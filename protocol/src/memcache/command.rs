//! What a client can ask for.

use super::tokens::Tokens;

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
    /// Drops a queue with all that belongs to it.
    Delete {
        /// The queue's name.
        queue: &'a [u8],
        /// No reply is sent.
        noreply: bool,
    },
    /// Drops a queue's messages.
    Flush {
        /// The queue's name.
        queue: &'a [u8],
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
/// assert_eq!(Queues::resume(rest).collect::<Vec<_>>(), [b"b", b"c"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues<'a> {
    names: Tokens<'a>,
    line_end_bytes: usize,
}

impl<'a> Queues<'a> {
    /// The caller has checked that `names` yields at least one name, and good names only.
    pub(crate) fn new(names: Tokens<'a>, line_end_bytes: usize) -> Self {
        Queues { names, line_end_bytes }
    }

    /// How many bytes the names that are left take on their line, with the line's end.
    #[must_use]
    #[inline]
    pub fn rest_bytes(&self) -> usize {
        self.names.rest_bytes() + self.line_end_bytes
    }

    /// The names of which `rest` is the last [`rest_bytes`](Queues::rest_bytes) bytes, with the line's end. They are not
    /// checked again, and there may be none left.
    #[must_use]
    #[inline]
    pub fn resume(rest: &'a [u8]) -> Self {
        let (names, line_end_bytes) = without_end(rest);
        Queues { names: Tokens::new(names), line_end_bytes }
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
