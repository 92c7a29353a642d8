//! `rushq kick` and `rushq config`.

use serde_json::json;

use super::memcache::Stored;
use super::queue::{Queue, id};
use super::server::{self, Server};
use super::{print, queue_name, text};
use crate::process::commands::Line;

/// Dead letters of one kick: the most that a key can ask for.
const KICK_MAX: u64 = 10_000;

/// Puts dead letters back.
///
/// # Errors
/// When the server refuses it.
pub(super) fn kick(line: &Line) -> Result<(), String> {
    let queue = queue_name(line, 0)?;
    let wanted = line.number("--count", 1, u64::MAX)?;
    let shown = text::line(&queue);
    let mut server = server::open(line)?;
    let (mut kicked, mut left) = (0, wanted.unwrap_or(u64::MAX));
    while left > 0 {
        let piece = left.min(KICK_MAX);
        let done = match &mut server {
            Server::Memcache(memcache) => {
                let value = memcache.get("get", &[queue.as_slice(), format!("/kick={piece}").as_bytes()].concat())?;
                value.and_then(|value| String::from_utf8_lossy(&value.body).trim().parse().ok()).unwrap_or(0)
            }
            Server::Admin(admin) => {
                let answer = admin.post("/api/queue/kick", &json!({"queue": id(&queue), "count": piece}))?;
                answer["kicked"].as_u64().unwrap_or(0)
            }
        };
        (kicked, left) = (kicked + done, left - done.min(left));
        if done < piece {
            break;
        }
    }
    print(&format!("{} of {shown} put back\n", text::counted(kicked, "dead letter")))
}

/// Shows the settings of a queue, or sets them.
///
/// # Errors
/// When a word is none, or the server refuses it.
pub(super) fn config(line: &Line) -> Result<(), String> {
    let queue = queue_name(line, 0)?;
    let words: Vec<String> = (1..line.words())
        .map(|at| line.word(at).map(|word| String::from_utf8_lossy(&word).into_owned()))
        .collect::<Result<_, _>>()?;
    let to_defaults = line.has("--default");
    if to_defaults && !words.is_empty() {
        return Err("--default: it brings the defaults back, and words are given too".to_string());
    }
    let shown = text::line(&queue);
    let key = [queue.as_slice(), b"/config"].concat();
    match server::open(line)? {
        Server::Memcache(mut memcache) if to_defaults => {
            match memcache.ask(&[b"delete ", key.as_slice()].concat())?.as_slice() {
                b"DELETED" => print(&format!("{shown} has its defaults\n")),
                b"NOT_FOUND" => Err(memcache.failed(format!("{shown} has no settings of its own"))),
                answer => Err(memcache.failed(format!("it answered \"{}\"", text::line(answer)))),
            }
        }
        Server::Memcache(mut memcache) if words.is_empty() => {
            let value = memcache.get("get", &key)?;
            // A queue that is not there has none.
            let words = value.map(|value| value.body).unwrap_or_default();
            print(&lines(&text::line(&words)))
        }
        Server::Memcache(mut memcache) => match memcache.set(&key, 0, words.join(" ").as_bytes())? {
            Stored::Yes => print(&format!("{shown} is told {}\n", words.join(" "))),
            Stored::No(why) => Err(memcache.failed(format!("{shown} is not told that: {why}"))),
        },
        Server::Admin(admin) if to_defaults => {
            admin.post("/api/queue/unconfig", &json!({"queue": id(&queue)}))?;
            print(&format!("{shown} has its defaults\n"))
        }
        Server::Admin(admin) if words.is_empty() => {
            let found: Queue = admin.get(&format!("/api/queue?queue={}", id(&queue)))?;
            print(&lines(&text::line(found.settings.as_bytes())))
        }
        Server::Admin(admin) => {
            admin.post("/api/queue/config", &json!({"queue": id(&queue), "words": words.join(" ")}))?;
            print(&format!("{shown} is told {}\n", words.join(" ")))
        }
    }
}

/// A word a line.
fn lines(words: &str) -> String {
    words.split(' ').filter(|word| !word.is_empty()).map(|word| format!("{word}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_a_word_a_line() {
        assert_eq!(lines("tries=5 lease=60"), "tries=5\nlease=60\n");
        assert_eq!(lines(""), "");
    }
}
