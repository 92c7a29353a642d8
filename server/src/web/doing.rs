//! Acts, done: each with its checks, and a line in the log that says who did what.

use hyper::StatusCode;
use serde_json::{Value, json};
use shards::{Client, Fate, Op, Outcome, Which};

use crate::admin::acts::{self, Done, Stopped, one, purgeable};
use crate::admin::ask;
use crate::admin::asking::Shards;
use crate::admin::queue::Named;
use crate::web::acts::Asked;
use crate::web::desk::Desk;
use crate::web::guard::Who;
use crate::web::queues::no_such_queue;
use crate::web::response::Refusal;

/// What an act has come to.
type Result<T> = std::result::Result<T, Refusal>;

/// Does what an act asks for. Returns what is answered.
///
/// # Errors
/// When it cannot be done, or not to its end.
pub(super) async fn act(desk: &Desk, asked: Asked, who: &Who) -> Result<Value> {
    let shards = &desk.asking();
    match asked {
        Asked::Close(client) => close(desk, client, who),
        Asked::Drain(on) => {
            log::info!("{}: {}", who.logged(), if on { "draining begins" } else { "draining ends" });
            desk.context.drain.set(on);
            Ok(json!({ "draining": on }))
        }
        Asked::Checkpoint => {
            log::info!("{}: a checkpoint is written", who.logged());
            ask::checkpoint(shards.handle, &shards.gather).await;
            Ok(json!({ "done": true }))
        }
        Asked::Put { .. } if desk.context.drain.is_on() => {
            Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "draining: no message is taken"))
        }
        Asked::Config { .. } | Asked::Unconfig { .. } if !desk.context.settings.config => {
            Err(Refusal::forbidden("--no-config: queues have their settings from --queue-config alone"))
        }
        Asked::Config { .. } if desk.context.drain.is_on() => {
            Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "draining: no queue is made"))
        }
        Asked::Put { queue, body, flags, delay_s } => {
            let done = put(shards, &queue, &body, flags, delay_s, who).await;
            desk.context.handle.count(|counters| {
                counters.sets += 1;
                counters.set_hits += u64::from(done.is_ok());
            });
            done
        }
        of_queue => on_queue(shards, of_queue, who).await,
    }
}

/// Does what asks the shards alone.
async fn on_queue(shards: &impl Shards, asked: Asked, who: &Who) -> Result<Value> {
    let by = who.logged();
    match asked {
        Asked::Purge { queue, count } => purge(shards, &queue, count, who).await,
        Asked::Delete { queue } => {
            done(one(shards, &queue, Op::Delete { queue: &queue.stored }).await, &queue)?;
            log::info!("{by}: {} is deleted", queue.logged());
            Ok(json!({ "deleted": true }))
        }
        Asked::Move { from, to, count } => {
            acts::figures(shards, &to).await.ok_or_else(|| no_such_queue(&to))?;
            if acts::figures(shards, &from).await.ok_or_else(|| no_such_queue(&from))?.paused {
                return Err(Refusal::new(
                    StatusCode::CONFLICT,
                    "the queue is paused, and gives no message: resume it first",
                ));
            }
            let (moved, stopped) = acts::move_all(shards, &from, &to, count).await;
            log::info!("{by}: {moved} messages moved from {} to {}", from.logged(), to.logged());
            to_its_end((moved, stopped), "moved")
        }
        Asked::Kick { queue, count } => {
            acts::figures(shards, &queue).await.ok_or_else(|| no_such_queue(&queue))?;
            let (kicked, stopped) = acts::kick(shards, &queue, count).await;
            log::info!("{by}: {kicked} dead letters are back in {}", queue.logged());
            to_its_end((kicked, stopped), "kicked")
        }
        Asked::Release { queue, lease } => {
            let (which, fate) = (Which::Lease(lease), Fate::Release { delay_s: None });
            let outcome = one(shards, &queue, Op::End { queue: &queue.stored, which, fate }).await;
            if matches!(outcome, Outcome::Empty | Outcome::NotFound) {
                return Err(Refusal::new(StatusCode::NOT_FOUND, "no message is open by this lease"));
            }
            done(outcome, &queue)?;
            log::info!("{by}: lease {lease} of {} is given back", queue.logged());
            Ok(json!({ "released": true }))
        }
        Asked::Pause { queue, pauses } => {
            done(one(shards, &queue, Op::Pause { queue: &queue.stored, pause: pauses }).await, &queue)?;
            log::info!("{by}: {} is {}", queue.logged(), if pauses { "paused" } else { "resumed" });
            Ok(json!({ "paused": pauses }))
        }
        Asked::Config { queue, words } => {
            done(one(shards, &queue, Op::Configure { queue: &queue.stored, words: words.as_bytes() }).await, &queue)?;
            log::info!("{by}: {} is told: {}", queue.logged(), words.escape_debug());
            Ok(json!({ "done": true }))
        }
        Asked::Unconfig { queue } => {
            done(one(shards, &queue, Op::Unconfigure { queue: &queue.stored }).await, &queue)?;
            log::info!("{by}: {} has the default settings", queue.logged());
            Ok(json!({ "done": true }))
        }
        other => unreachable!("{other:?} asks more than the shards"),
    }
}

async fn put(
    shards: &impl Shards,
    queue: &Named,
    body: &[u8],
    flags: u32,
    delay_s: Option<u32>,
    who: &Who,
) -> Result<Value> {
    let op = Op::PutWith { queue: &queue.stored, flags, body, delay_s, exptime: 0, id: b"" };
    done(one(shards, queue, op).await, queue)?;
    log::info!("{}: a message of {} bytes is put into {}", who.logged(), body.len(), queue.logged());
    Ok(json!({ "stored": true }))
}

/// Drops messages, if as many are there as who asks has seen.
async fn purge(shards: &impl Shards, queue: &Named, count: u64, who: &Who) -> Result<Value> {
    let there = acts::figures(shards, queue).await.map(|figures| purgeable(&figures));
    let there = there.ok_or_else(|| no_such_queue(queue))?;
    if !(1..=there).contains(&count) {
        let error = format!("{there} messages are there that are not open; count is 1 to that, and nothing is purged");
        return Err(Refusal::new(StatusCode::CONFLICT, error));
    }
    let (purged, stopped) = acts::purge(shards, queue, count).await;
    log::info!("{}: {purged} messages of {} are purged", who.logged(), queue.logged());
    to_its_end((purged, stopped), "purged")
}

fn close(desk: &Desk, client: Client, who: &Who) -> Result<Value> {
    let gone = || Refusal::new(StatusCode::NOT_FOUND, format!("there is no connection {client}"));
    let seen = desk.context.roster.close(client).ok_or_else(gone)?;
    log::info!("{}: connection {client} of {} is closed", who.logged(), seen.peer);
    Ok(json!({ "closed": true }))
}

/// The answer to what came to its end.
///
/// # Errors
/// When it did not.
fn to_its_end((count, stopped): Done, what: &str) -> Result<Value> {
    let (status, why) = match stopped {
        None => return Ok(json!({ what: count })),
        Some(Stopped::NoRoom) => (StatusCode::INSUFFICIENT_STORAGE, "the disk has no room for more"),
        Some(Stopped::Refused) => (StatusCode::CONFLICT, "the queue took no more: a limit of it, or the disk, is full"),
        Some(Stopped::Stopping) => (StatusCode::SERVICE_UNAVAILABLE, "the server stops"),
    };
    Err(Refusal::new(status, format!("{count} {what}, then {why}")))
}

/// Whether one operation has done what it was to.
///
/// # Errors
/// When it has not.
fn done(outcome: Outcome, queue: &Named) -> Result<()> {
    Err(match outcome {
        Outcome::Stored | Outcome::Deleted | Outcome::Ended | Outcome::Configured => return Ok(()),
        Outcome::NotStored => {
            Refusal::new(StatusCode::CONFLICT, "the queue took it not: a limit of it, or the disk, is full")
        }
        Outcome::NoRoom => Refusal::new(StatusCode::INSUFFICIENT_STORAGE, "the disk has no room for it"),
        Outcome::NotFound => no_such_queue(queue),
        Outcome::BadWord(word) => Refusal::bad(format!("{} is no setting", word.escape_ascii())),
        other => unreachable!("an act has come to {other:?}"),
    })
}

#[cfg(test)]
mod tests;
