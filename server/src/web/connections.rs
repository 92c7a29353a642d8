//! The connections of clients.

use serde::Serialize;
use shards::{Client, ShardId};

use crate::admin::ask;
use crate::session::roster::{Roster, Seen};
use crate::web::desk::Desk;
use crate::web::queues::limit;
use crate::web::response::{Refusal, Response, json};
use crate::web::text::{Query, lossy};

/// Connections without a `limit`, and the most that there are.
const LIMIT: u64 = 100;
const LIMIT_MAX: u64 = 500;

#[derive(Debug, Serialize)]
struct Connections {
    connections: Vec<Connection>,
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Connection {
    id: String,
    peer: String,
    user: Option<String>,
    shard: u16,
    age_s: u64,
    idle_s: u64,
    commands: u64,
    bytes_read: u64,
    bytes_written: u64,
    open: u64,
    waiting: bool,
}

impl Connection {
    fn new(seen: &Seen, open: u64) -> Connection {
        Connection {
            id: seen.client.to_string(),
            peer: seen.peer.to_string(),
            user: seen.user.as_ref().map(|user| user.name().to_string()),
            shard: seen.client.shard().0,
            age_s: seen.age.as_secs(),
            idle_s: seen.idle.as_secs(),
            commands: seen.commands,
            bytes_read: seen.bytes_read,
            bytes_written: seen.bytes_written,
            open,
            waiting: seen.waits,
        }
    }
}

/// Connections behind one, shard by shard.
///
/// # Errors
/// When the query is none.
pub(super) async fn list(desk: &Desk, query: &Query<'_>) -> Result<Response, Refusal> {
    let (after, limit) = (after(query)?, limit(query, LIMIT, LIMIT_MAX)? as usize);
    let seen = some(&desk.context.roster, desk.context.handle.shards(), after, limit);
    let clients: Vec<Client> = seen.iter().map(|connection| connection.client).collect();
    let asking = desk.asking();
    let opens = ask::opens(asking.handle, &asking.gather, &clients).await;
    let open = |seen: &Seen| opens.get(&seen.client).copied().unwrap_or(0);
    let connections: Vec<Connection> = seen.iter().map(|seen| Connection::new(seen, open(seen))).collect();
    let next = seen.last().filter(|_| seen.len() == limit).map(|last| last.client.to_string());
    Ok(json(&Connections { connections, next }))
}

/// So many connections at most, behind one or from the first on.
fn some(roster: &Roster, shards: u16, after: Option<Client>, limit: usize) -> Vec<Seen> {
    let (first, mut after) = (after.map_or(0, |after| after.shard().0), after);
    let mut seen = Vec::new();
    for shard in first..shards {
        seen.extend(roster.some(ShardId(shard), after.take(), limit - seen.len()));
    }
    seen
}

fn after(query: &Query<'_>) -> Result<Option<Client>, Refusal> {
    let token = query.get("after");
    if token.is_empty() {
        return Ok(None);
    }
    client(&lossy(&token)).map(Some)
}

/// The client of a connection's id.
///
/// # Errors
/// When it is none.
pub(super) fn client(id: &str) -> Result<Client, Refusal> {
    id.parse().map_err(|_| Refusal::bad(format!("{id} is no id of a connection")))
}
