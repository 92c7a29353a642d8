//! What right each command needs, where clients log in. A command without a line here does not compile.

use protocol::{Act, Command, Key, Queues};

/// The right that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need<'a> {
    /// To be logged in.
    Login,
    /// To put messages into this queue.
    Put(&'a [u8]),
    /// To take messages from this queue.
    Take(&'a [u8]),
    /// To take messages from all of these.
    TakeAll(Queues<'a>),
    /// To put into this queue, or to take from it.
    PutOrTake(&'a [u8]),
    /// To do everything.
    Admin,
}

/// What a command needs. Names are as a client says them: with a child's, without options and `/dead`.
#[inline]
pub(crate) fn of<'a>(command: &Command<'a>) -> Need<'a> {
    match command {
        Command::Set { queue, .. } => Need::Put(queue),
        Command::Get { queues, .. } => Need::TakeAll(*queues),
        Command::SetWith { key, .. } => Need::Put(key.name()),
        Command::Consume { key, act, .. } => of_act(key, act),
        // What is open was taken.
        Command::Acknowledge { key, .. } | Command::Touch { key, .. } => Need::Take(key.name()),
        // The side that sells, which the queue of a gate has its messages from.
        Command::Join { key, .. }
        | Command::Pay { key, .. }
        | Command::Extend { key, .. }
        | Command::Return { key, .. } => Need::Put(key.name()),
        Command::Configure { .. }
        | Command::Unconfigure { .. }
        | Command::Delete { .. }
        | Command::Flush { .. }
        | Command::FlushAll { .. }
        | Command::StatsConns
        | Command::StatsSettings
        | Command::StatsReset
        | Command::Verbosity { .. }
        | Command::DbCheckpoint
        | Command::DbArchive => Need::Admin,
        Command::Stats
        | Command::StatsQueue
        | Command::StatsQueues { .. }
        | Command::StatsGate { .. }
        | Command::StatsCores
        | Command::StatsLatency
        | Command::StatsOfCache
        | Command::Version
        | Command::Quit => Need::Login,
    }
}

fn of_act<'a>(key: &Key<'a>, act: &Act<'_>) -> Need<'a> {
    match act {
        Act::Take { .. } | Act::Open { .. } | Act::Peek | Act::End { .. } | Act::Kick { .. } => Need::Take(key.name()),
        Act::Join { .. } | Act::Pay { .. } => Need::Put(key.name()),
        Act::Look { .. } | Act::Config => Need::PutOrTake(key.name()),
        Act::Gate => Need::Login,
    }
}
