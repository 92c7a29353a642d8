//! `rushq purge`: drops messages, after a look at how many there are.

use std::io::{self, BufRead, IsTerminal};

use serde_json::json;

use super::http::Admin;
use super::queue::{Queue, id};
use super::server::{self, Server};
use super::{print, queue_name, text};
use crate::process::commands::Line;

/// Messages of a purge by the admin port: a piece has its answer in time.
const PIECE: u64 = 100_000;

/// What a purge would drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct There {
    waiting: u64,
    delayed: u64,
    /// Dead letters, which the memcache port's `flush` drops too.
    dead: u64,
}

impl There {
    fn count(self) -> u64 {
        self.waiting + self.delayed + self.dead
    }

    fn shown(self) -> String {
        let dead = if self.dead > 0 { format!(", {} dead", self.dead) } else { String::new() };
        format!("{} ({} waiting, {} delayed{dead})", text::counted(self.count(), "message"), self.waiting, self.delayed)
    }
}

/// Drops messages.
///
/// # Errors
/// When the count that was given is not what there is; nothing is dropped then.
pub(super) fn run(line: &Line) -> Result<(), String> {
    let queue = queue_name(line, 0)?;
    let given = line.number("--count", 1, u64::MAX)?;
    let server = server::open(line)?;
    let shown = text::line(&queue);
    let dropped = match server {
        Server::Memcache(mut memcache) => {
            let there = there(&memcache.queue(&queue)?, true);
            let Some(count) = agreed(&shown, there, given, true)? else { return Ok(()) };
            memcache.expect(&[b"flush ", queue.as_slice()].concat(), b"END")?;
            count
        }
        Server::Admin(admin) => {
            let found: Queue = admin.get(&format!("/api/queue?queue={}", id(&queue)))?;
            let Some(count) = agreed(&shown, there(&found, false), given, false)? else { return Ok(()) };
            by_admin(&admin, &queue, count)?
        }
    };
    print(&format!("{} of {shown} dropped\n", text::counted(dropped, "message")))
}

/// Drops the oldest so many, in pieces. Fewer are dropped when others take them meanwhile.
fn by_admin(admin: &Admin, queue: &[u8], count: u64) -> Result<u64, String> {
    let mut dropped = 0;
    while dropped < count {
        let piece = (count - dropped).min(PIECE);
        let purged = match admin.post("/api/queue/purge", &json!({"queue": id(queue), "count": piece})) {
            Ok(answer) => answer["purged"].as_u64().unwrap_or(0),
            // There are not as many any more.
            Err(_) if dropped > 0 => break,
            Err(what) => return Err(what),
        };
        dropped += purged;
        if purged < piece {
            break;
        }
    }
    Ok(dropped)
}

fn there(queue: &Queue, with_dead: bool) -> There {
    There { waiting: queue.waiting, delayed: queue.delayed, dead: if with_dead { queue.dead } else { 0 } }
}

/// How many are to be dropped: the count that was given, or is typed. `None`: there are none.
///
/// # Errors
/// When it is not what there is, or there is no terminal to ask at.
fn agreed(queue: &str, there: There, given: Option<u64>, is_exact: bool) -> Result<Option<u64>, String> {
    let count = there.count();
    if let Some(given) = given {
        let is_good = if is_exact { given == count } else { given <= count };
        return match is_good {
            true => Ok(Some(given)),
            false => Err(format!("--count {given}: {queue} has {} now; nothing was dropped", there.shown())),
        };
    }
    if count == 0 {
        print(&format!("{queue} has no message to drop\n"))?;
        return Ok(None);
    }
    if !io::stdin().is_terminal() {
        return Err(format!(
            "{queue} has {}; --count {count} drops them where there is no terminal to ask at",
            there.shown()
        ));
    }
    eprint!("{queue} has {}. Type that number to drop them: ", there.shown());
    let mut typed = String::new();
    io::stdin().lock().read_line(&mut typed).map_err(|error| format!("standard input: {error}"))?;
    match typed.trim().parse::<u64>() {
        Ok(number) if number == count => Ok(Some(count)),
        _ => Err(format!("that is not {count}; nothing was dropped")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_must_be_what_there_is() {
        let there = There { waiting: 3, delayed: 1, dead: 2 };
        assert_eq!(there.shown(), "6 messages (3 waiting, 1 delayed, 2 dead)");
        assert_eq!(agreed("q", there, Some(6), true), Ok(Some(6)));
        for (given, is_exact) in [(5, true), (7, true), (7, false)] {
            let error = agreed("q", there, Some(given), is_exact).expect_err("it is another");
            assert!(error.contains("q has 6 messages") && error.contains("nothing was dropped"), "{error}");
        }
        // The admin port drops the oldest so many.
        assert_eq!(agreed("q", there, Some(5), false), Ok(Some(5)));
    }
}
