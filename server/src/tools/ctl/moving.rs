//! `rushq move`: messages go to another queue. One is open until the other queue has it, so a kill loses none.

use serde_json::json;

use super::http::Admin;
use super::memcache::{Memcache, Stored};
use super::queue::{Queue, id};
use super::server::{self, Server};
use super::{print, queue_name, text};
use crate::process::commands::Line;

/// Messages of a move by the admin port: a piece has its answer in time.
const PIECE: u64 = 1_000;

/// Moves messages.
///
/// # Errors
/// When a queue is not there, or the other one takes no more. The line tells how many were moved before.
pub(super) fn run(line: &Line) -> Result<(), String> {
    let (from, to) = (queue_name(line, 0)?, queue_name(line, 1)?);
    let count = line.number("--count", 1, u64::MAX)?;
    if from == to {
        return Err(format!("{}: it is moved to itself", text::line(&from)));
    }
    match server::open(line)? {
        Server::Memcache(memcache) => by_memcache(memcache, &from, &to, count),
        Server::Admin(admin) => by_admin(&admin, &from, &to, count),
    }
}

fn by_memcache(mut memcache: Memcache, from: &[u8], to: &[u8], count: Option<u64>) -> Result<(), String> {
    memcache.queue(to)?;
    let waiting = memcache.queue(from)?.waiting;
    let count = count.unwrap_or(waiting).min(waiting);
    let mut moved = 0;
    // What is open is acknowledged by the same command that opens the next.
    let mut command: &[u8] = b"/open";
    while moved < count {
        let opened = memcache.get("get", &[from, command].concat()).map_err(|what| amid(&what, moved))?;
        let Some(message) = opened else { return told(from, to, moved) };
        match memcache.set(to, message.flags, &message.body).map_err(|what| amid(&what, moved))? {
            Stored::Yes => moved += 1,
            Stored::No(why) => {
                memcache.get("get", &[from, b"/release"].concat())?;
                let failed = memcache.failed(format!("{}: {why}", text::line(to)));
                return Err(amid(&failed, moved));
            }
        }
        command = b"/close/open";
        if moved == count {
            memcache.get("get", &[from, b"/close"].concat()).map_err(|what| amid(&what, moved - 1))?;
        }
    }
    told(from, to, moved)
}

fn by_admin(admin: &Admin, from: &[u8], to: &[u8], count: Option<u64>) -> Result<(), String> {
    let found: Queue = admin.get(&format!("/api/queue?queue={}", id(from)))?;
    let count = count.unwrap_or(found.waiting).min(found.waiting);
    let mut moved = 0;
    while moved < count {
        let piece = (count - moved).min(PIECE);
        let asked = json!({"queue": id(from), "to": id(to), "count": piece});
        let answer = admin.post("/api/queue/move", &asked).map_err(|what| amid(&what, moved))?;
        let done = answer["moved"].as_u64().unwrap_or(0);
        moved += done;
        if done < piece {
            break;
        }
    }
    told(from, to, moved)
}

fn amid(what: &str, moved: u64) -> String {
    match moved {
        0 => what.to_string(),
        moved => format!("{what}; {} moved before that", text::counted(moved, "message")),
    }
}

fn told(from: &[u8], to: &[u8], moved: u64) -> Result<(), String> {
    print(&format!("{} moved from {} to {}\n", text::counted(moved, "message"), text::line(from), text::line(to)))
}
