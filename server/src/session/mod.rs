//! What a client's session is to the rest of the server, in any protocol: it goes through input, submits operations and
//! returns why it has stopped. It touches no socket and awaits nothing, so it is tested with byte strings.

pub(crate) mod peer;
pub(crate) mod pending;
pub(crate) mod roster;
pub(crate) mod stored;

use std::io;

use shards::{Answer, Moment, Op, ShardId};

/// Where a session's operations go.
pub(crate) trait Backend {
    /// Whether sets are refused because the server is to be emptied.
    fn is_draining(&self) -> bool;

    /// What time it is.
    fn now(&self) -> Moment;

    /// Has an operation done. An outcome that comes [later](Answer::Later) is delivered to the session, in the order of the
    /// operations.
    fn submit(&mut self, to: ShardId, op: Op<'_>) -> Answer;
}

/// Why a session has stopped looking at its input. All replies so far must be sent before it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is no whole command left.
    NeedInput,
    /// Enough for one round of replies.
    RoundFull,
    /// The next operation waits for the disk. It is tried again when the session goes on.
    Stalled,
    /// A get waits for a message, and all that is behind it for the get. It ends when its outcome is there, or when its
    /// client is gone.
    Waiting,
    /// The client has sent a name and a password: the conversation has them checked, and the session answers.
    LogIn,
    /// A command that concerns all shards: the conversation asks them, and answers it.
    Control(Control),
    /// The connection ends.
    Close,
}

/// Commands that look at the server rather than at a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    Stats,
    StatsQueue,
    /// Of the queues whose names begin as [`Session::prefix`](crate::memcache::session::Session::prefix) says.
    StatsQueues,
    StatsConns,
    StatsCores,
    StatsLatency,
    StatsReset,
    StatsSettings,
    Checkpoint,
}

/// Takes the replies to a client.
pub(crate) trait ReplySink {
    /// Sends replies. Adds to `sent` the bytes that went, those before an error too.
    ///
    /// # Errors
    /// When the client has gone, or takes no more.
    async fn send(&mut self, replies: &[u8], sent: &mut u64) -> io::Result<()>;
}
