//! Moving over: takes all messages out of a running server that speaks the protocol, and puts them into the data
//! directory. A message is durable here before the next is taken there, so one message at most is between the two.

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use protocol::QUEUE_NAME_BYTES_MAX;
use protocol::response::{self, Response};
use shards::{DataDirectory, Op, Outcome, Shard, owner_of};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::settings::Settings;

/// How long the other server may take for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How often a full disk is tried again.
const FULL_PAUSE: Duration = Duration::from_secs(1);
const READ_BYTES: usize = 64 << 10;
/// What kestrel counts for each queue besides its items; its figures are named `queue_<queue>_<figure>`.
const KESTREL_OTHER_ITEMS: [&[u8]; 3] = [b"_total", b"_expired", b"_mem"];

/// A queue of the other server.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    name: Vec<u8>,
    /// As far as the other server knows.
    waiting: u64,
}

/// A message in hand: nowhere else any more.
#[derive(Debug)]
struct Message {
    flags: u32,
    body: Vec<u8>,
}

/// Takes over all messages of `queues` at `source`, a host and port; no queues means all that it lists. Says on standard
/// output what it moved.
///
/// # Errors
/// One line, which says what became of the message in hand. What was moved before stays here.
pub(crate) fn run(settings: &Settings, source: &str, queues: &[String]) -> Result<(), String> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|e| format!("signals cannot be handled: {e}"))?;
    }
    let directory = DataDirectory::lock(&settings.directory).map_err(|e| e.to_string())?;
    if let Some(identity) = &settings.identity {
        directory.give_to(identity.uid(), identity.gid()).map_err(|e| e.to_string())?;
        identity.assume(settings.core_files)?;
    }
    let opened = directory.open(settings.shards, settings.storage).map_err(|e| e.to_string())?;
    let mut import = Import {
        source: Source::connect(source)?,
        shards: opened.into_iter().map(|(shard, _)| shard).collect(),
        body_bytes_max: settings.storage.body_bytes_max,
        stop,
        moved: 0,
    };
    let queues = match queues {
        [] => import.source.list()?,
        given => given.iter().map(|name| named(name)).collect::<Result<_, _>>()?,
    };
    let began = Instant::now();
    let moved = import.all(&queues);
    let closed = import.shards.into_iter().try_for_each(|mut shard| shard.store().close());
    let (messages, took) = (import.moved, began.elapsed());
    println!(
        "moved {messages} messages of {} queues from {source} to {} in {took:.1?}",
        queues.len(),
        settings.directory.display()
    );
    moved.and(closed.map_err(|e| e.to_string()))
}

struct Import {
    source: Source,
    shards: Vec<Shard>,
    body_bytes_max: usize,
    stop: Arc<AtomicBool>,
    moved: u64,
}

impl Import {
    fn all(&mut self, queues: &[Listed]) -> Result<(), String> {
        let bar = ProgressBar::new(queues.iter().map(|queue| queue.waiting).sum());
        let style = "{elapsed_precise} {wide_bar} {pos}/{len} messages, {per_sec}, {msg}";
        bar.set_style(ProgressStyle::with_template(style).map_err(|e| e.to_string())?);
        for queue in queues {
            let name = String::from_utf8_lossy(&queue.name).into_owned();
            bar.set_message(name.clone());
            let mut moved = 0;
            while self.one(&queue.name).map_err(|what| format!("queue {name}: {what}"))? {
                moved += 1;
                self.moved += 1;
                if self.moved > bar.length().unwrap_or(0) {
                    bar.set_length(self.moved);
                }
                bar.inc(1);
            }
            if moved > 0 {
                bar.suspend(|| println!("moved {moved} messages of queue {name}"));
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Moves a message of a queue. False: there was none.
    fn one(&mut self, queue: &[u8]) -> Result<bool, String> {
        if self.stop.load(Ordering::Relaxed) {
            return Err("stopped by a signal; start again for the rest".to_string());
        }
        let Some(message) = self.source.take(queue)? else { return Ok(false) };
        if message.body.len() > self.body_bytes_max {
            let (size, most) = (message.body.len(), self.body_bytes_max);
            return self.give_back(queue, &message, format!("a message has {size} bytes, and -B allows {most}"));
        }
        let owner = owner_of(queue, self.shards.len() as u16).index();
        let mut has_warned = false;
        loop {
            let shard = &mut self.shards[owner];
            let put = Op::Put { queue, flags: message.flags, body: &message.body };
            match shard.apply(put).and_then(|outcome| shard.store().settle().map(|()| outcome)) {
                Ok(Some(Outcome::Stored)) => return Ok(true),
                // The disk was slow, and has caught up.
                Ok(None) => continue,
                Ok(_) if self.stop.load(Ordering::Relaxed) => {
                    return self.give_back(queue, &message, "stopped by a signal, with a full disk".to_string());
                }
                Ok(_) => {}
                Err(error) => return self.give_back(queue, &message, error.to_string()),
            }
            if !has_warned {
                log::warn!("the disk is full; a message waits in memory until there is room");
                has_warned = true;
            }
            sleep(FULL_PAUSE);
            shard.store().retry_when_full();
        }
    }

    /// Puts a message that cannot be kept here back where it came from.
    fn give_back(&mut self, queue: &[u8], message: &Message, why: String) -> Result<bool, String> {
        let fate = match self.source.put(queue, message) {
            Ok(()) => "it is back there, at the end of its queue".to_string(),
            Err(error) => format!("and it could not be put back there, so it is lost: {error}"),
        };
        Err(format!("{why}; {fate}"))
    }
}

/// A connection to the server that is drained.
struct Source {
    address: String,
    stream: TcpStream,
    input: Vec<u8>,
}

impl Source {
    fn connect(address: &str) -> Result<Source, String> {
        let failed =
            |error: std::io::Error| format!("--import {address}: {error}; it is host:port of a running server");
        let stream = TcpStream::connect(address).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT)).map_err(failed)?;
        Ok(Source { address: address.to_string(), stream, input: Vec::new() })
    }

    fn failed(&self, what: impl std::fmt::Display) -> String {
        format!("{}: {what}", self.address)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).map_err(|error| self.failed(error))
    }

    /// Reads one response, and has `look` make of it what it needs.
    fn response<T>(&mut self, look: impl FnOnce(Response<'_>) -> T) -> Result<T, String> {
        loop {
            if let Some((used, response)) = response::next(&self.input) {
                let looked = look(response);
                self.input.drain(..used);
                return Ok(looked);
            }
            let filled = self.input.len();
            self.input.resize(filled + READ_BYTES, 0);
            let read = self.stream.read(&mut self.input[filled..]);
            self.input.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Err(self.failed("it closed the connection")),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(self.failed(format!("no answer within {ANSWER_LIMIT:?}")));
                }
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// The queues that the server lists, by memcacheQ's `stats queue` or in kestrel's statistics.
    fn list(&mut self) -> Result<Vec<Listed>, String> {
        self.send(b"stats queue\r\n")?;
        let mut stats = Vec::new();
        loop {
            let stat = self.response(|response| match response {
                Response::Stat { name, value } => Ok(Some((name.to_vec(), value.to_vec()))),
                Response::End => Ok(None),
                other => {
                    Err(format!("{} in the answer to stats queue; name the queues by --import-queue", text(other)))
                }
            })?;
            match stat.map_err(|what| self.failed(what))? {
                Some(stat) => stats.push(stat),
                None => return Ok(listed(&stats)),
            }
        }
    }

    /// Takes a message; `None`: the queue is empty.
    fn take(&mut self, queue: &[u8]) -> Result<Option<Message>, String> {
        self.send(&[b"get ", queue, b"\r\n"].concat())?;
        let message = self.response(|response| match response {
            Response::Value { flags, body, .. } => Ok(Some(Message { flags, body: body.to_vec() })),
            Response::End => Ok(None),
            other => Err(format!("{} in the answer to a get", text(other))),
        })?;
        let message = message.map_err(|what| self.failed(what))?;
        if message.is_some() {
            let end = self.response(|response| response == Response::End)?;
            if !end {
                return Err(self.failed("no END behind a message; it is lost"));
            }
        }
        Ok(message)
    }

    fn put(&mut self, queue: &[u8], message: &Message) -> Result<(), String> {
        let line = format!(" {} 0 {}\r\n", message.flags, message.body.len());
        self.send(&[b"set ", queue, line.as_bytes(), &message.body, b"\r\n"].concat())?;
        let stored = self.response(|response| match response {
            Response::Stored => Ok(()),
            other => Err(format!("{} in the answer to a set", text(other))),
        })?;
        stored.map_err(|what| self.failed(what))
    }
}

/// A response that was not expected, for the person who reads it.
fn text(response: Response<'_>) -> String {
    match response {
        Response::Error(line) | Response::Other(line) => format!("{:?}", String::from_utf8_lossy(line)),
        known => format!("{known:?}"),
    }
}

/// A queue that the command line names.
fn named(name: &str) -> Result<Listed, String> {
    if name.len() > QUEUE_NAME_BYTES_MAX || name.is_empty() || name.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(format!(
            "--import-queue {name:?} is no queue's name: 1 to {QUEUE_NAME_BYTES_MAX} bytes, no spaces"
        ));
    }
    Ok(Listed { name: name.as_bytes().to_vec(), waiting: 0 })
}

/// The queues in an answer to `stats queue`.
fn listed(stats: &[(Vec<u8>, Vec<u8>)]) -> Vec<Listed> {
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.trim().parse::<u64>().ok();
    let mut queues = Vec::new();
    let mut kestrel = Vec::new();
    for (name, value) in stats {
        let counters = value.iter().position(|byte| *byte == b'/').map(|slash| value.split_at(slash));
        let of_kestrel = name.strip_prefix(b"queue_").and_then(|rest| rest.strip_suffix(b"_items"));
        match (counters, of_kestrel) {
            (Some((sets, gets)), _) => {
                let waiting = number(sets).unwrap_or(0).saturating_sub(number(&gets[1..]).unwrap_or(0));
                queues.push(Listed { name: name.clone(), waiting });
            }
            (None, Some(queue)) => {
                kestrel.push(Listed { name: queue.to_vec(), waiting: number(value).unwrap_or(0) });
            }
            // memcacheQ 0.1 lists bare names; any other figure has a value.
            (None, None) if value.is_empty() => queues.push(Listed { name: name.clone(), waiting: 0 }),
            (None, None) => {}
        }
    }
    let names: HashSet<Vec<u8>> = kestrel.iter().map(|queue| queue.name.clone()).collect();
    let is_other_figure = |name: &[u8]| {
        KESTREL_OTHER_ITEMS.iter().any(|figure| name.strip_suffix(*figure).is_some_and(|queue| names.contains(queue)))
    };
    queues.extend(kestrel.into_iter().filter(|queue| !is_other_figure(&queue.name)));
    queues.retain(|queue| queue.name.len() <= QUEUE_NAME_BYTES_MAX);
    queues
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(answer: &[(&str, &str)]) -> Vec<(String, u64)> {
        let stats: Vec<_> =
            answer.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
        let text = |name: Vec<u8>| String::from_utf8(name).expect("text");
        listed(&stats).into_iter().map(|queue| (text(queue.name), queue.waiting)).collect()
    }

    #[test]
    fn memcacheq_lists_counters() {
        let expected = [("a".to_string(), 3), ("queue_x_items".to_string(), 0)];
        assert_eq!(names(&[("a", "10/7"), ("queue_x_items", "4/4")]), expected);
        assert_eq!(names(&[("old", "")]), [("old".to_string(), 0)]);
    }

    #[test]
    fn kestrel_lists_figures() {
        let stats = [
            ("uptime", "7"),
            ("queue_work_items", "5"),
            ("queue_work_bytes", "500"),
            ("queue_work_total_items", "9"),
            ("queue_work_mem_items", "5"),
            ("queue_work_expired_items", "0"),
            ("queue_sum_total_items", "2"),
        ];
        assert_eq!(names(&stats), [("work".to_string(), 5), ("sum_total".to_string(), 2)]);
    }
}
