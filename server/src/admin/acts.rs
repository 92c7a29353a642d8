//! What an operator does to queues, each in pieces that hold nothing up.

use shards::{Fate, Holding, Op, Open, Outcome, QueueFigures, Which};

use crate::admin::asking::Shards;
use crate::admin::queue::Named;

/// Seconds for which a message that moves is open: when this process dies meanwhile, it comes back after a start.
const MOVE_LEASE_S: u32 = 60;
/// Dead letters that are put back in one piece.
const KICKED_AT_ONCE: u64 = 1000;

/// Why something was not done, or not all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The disk has no room for it.
    NoRoom,
    /// The queue that the messages move to has refused one.
    Refused,
    /// The server stops.
    Stopping,
}

/// How far something has come, and why no further. Without a reason it has come to its end.
pub(crate) type Done = (u64, Option<Stopped>);

/// Has the shard of a queue do something.
pub(crate) async fn one(shards: &impl Shards, queue: &Named, op: Op<'_>) -> Outcome {
    shards.ask(&[(queue.owner, op)]).await.remove(0)
}

/// The figures of a queue. `None`: there is no such queue.
pub(crate) async fn figures(shards: &impl Shards, queue: &Named) -> Option<QueueFigures> {
    match one(shards, queue, Op::QueueFigures { queue: &queue.stored }).await {
        Outcome::QueueFigures { lines, .. } => lines.into_iter().next(),
        other => unreachable!("figures of a queue were asked for, and {other:?} came"),
    }
}

/// Messages of a queue that a purge can drop: those that are not open.
pub(crate) fn purgeable(queue: &QueueFigures) -> u64 {
    queue.waiting + queue.delayed
}

/// Drops so many messages of a queue, the oldest that are not open.
pub(crate) async fn purge(shards: &impl Shards, queue: &Named, count: u64) -> Done {
    let (mut purged, mut after) = (0, 0);
    while purged < count {
        let left = u32::try_from(count - purged).unwrap_or(u32::MAX);
        match one(shards, queue, Op::Purge { queue: &queue.stored, after, count: left }).await {
            Outcome::Purged { count, next } => {
                purged += count;
                match next {
                    Some(next) => after = next,
                    None => break,
                }
            }
            Outcome::NoRoom => return (purged, Some(Stopped::NoRoom)),
            other => unreachable!("messages were to be dropped, and {other:?} came"),
        }
        if !shards.pass().await {
            return (purged, Some(Stopped::Stopping));
        }
    }
    (purged, None)
}

/// Puts dead letters of a queue back into it, so many at most.
pub(crate) async fn kick(shards: &impl Shards, queue: &Named, count: u64) -> Done {
    let mut kicked = 0;
    while kicked < count {
        let at_once = (count - kicked).min(KICKED_AT_ONCE) as u32;
        match one(shards, queue, Op::Kick { queue: &queue.stored, count: at_once }).await {
            Outcome::Kicked(0) | Outcome::Empty | Outcome::NotFound => break,
            Outcome::Kicked(count) => kicked += count,
            Outcome::NoRoom => return (kicked, Some(Stopped::NoRoom)),
            other => unreachable!("dead letters were to be put back, and {other:?} came"),
        }
        if !shards.pass().await {
            return (kicked, Some(Stopped::Stopping));
        }
    }
    (kicked, None)
}

/// Moves messages of a queue that wait to another one, so many at most. A crash meanwhile leaves the message that is on its
/// way in one of the two, or in both, and in both for as long as the other queue remembers no ids.
pub(crate) async fn move_all(shards: &impl Shards, from: &Named, to: &Named, count: u64) -> Done {
    let mut moved = 0;
    while moved < count {
        match move_one(shards, from, to).await {
            Ok(true) => moved += 1,
            Ok(false) => break,
            Err(stopped) => return (moved, Some(stopped)),
        }
        if !shards.pass().await {
            return (moved, Some(Stopped::Stopping));
        }
    }
    (moved, None)
}

/// Moves a message. `false`: there is none.
async fn move_one(shards: &impl Shards, from: &Named, to: &Named) -> Result<bool, Stopped> {
    let queue = &*from.stored;
    let open = Open { queue, holder: Holding::Number, lease_s: Some(MOVE_LEASE_S), close: false, until: None };
    let (lease, flags, body) = match one(shards, from, Op::Open(open)).await {
        Outcome::Opened { lease, flags, body, .. } => (lease, flags, body),
        Outcome::NoRoom => return Err(Stopped::NoRoom),
        _ => return Ok(false),
    };
    let id = id_of_move(shards, from, lease).await;
    let put = Op::PutWith { queue: &to.stored, flags, body: &body, delay_s: None, exptime: 0, id: id.as_bytes() };
    let stored = one(shards, to, put).await == Outcome::Stored;
    let fate = if stored { Fate::Acknowledge } else { Fate::Release { delay_s: None } };
    let ended = one(shards, from, Op::End { queue, which: Which::Lease(lease), fate }).await;
    match (stored, ended) {
        (false, _) => Err(Stopped::Refused),
        (true, Outcome::NoRoom) => Err(Stopped::NoRoom),
        (true, _) => Ok(true),
    }
}

/// The id under which a message is put that moves: the same for one that came back since its move was cut off, and moves
/// again. Empty: it is not open any more.
async fn id_of_move(shards: &impl Shards, from: &Named, lease: u64) -> String {
    let line = match one(shards, from, Op::ListOpens { queue: &from.stored, after: lease - 1 }).await {
        Outcome::Opens { lines, .. } => lines.into_iter().find(|line| line.lease == lease),
        other => unreachable!("what is open was asked for, and {other:?} came"),
    };
    // The queue by its id and not by its name: made anew under that, it begins with the same numbers, and its messages
    // would be taken for ones that were moved before.
    line.map_or_else(String::new, |line| format!("move-{}-{}-{}", from.owner.0, line.queue, line.seq))
}

#[cfg(test)]
mod tests;
