//! Moving over: takes all messages out of a running server that speaks the protocol, and puts them into the data
//! directory. A message is durable here before the next is taken there, so one message at most is between the two: a server
//! that knows opens has it until then, and from any other it is out for good.

mod listing;
mod naming;
mod source;
mod taking;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use protocol::KeyRules;
use shards::{DataDirectory, Shard, owner_of};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::process::data_directory;
use crate::process::settings::Settings;
use listing::{Listed, Listing, Unnameable, named};
use source::{Head, Source, text};

/// How often a full disk is tried again.
const FULL_PAUSE: Duration = Duration::from_secs(1);
const STOPPED: &str = "stopped by a signal; start again for the rest";

/// Takes over all messages of `queues` at `source`, a host and port; no queues means all that it lists. Prints
/// what it moved.
///
/// # Errors
/// When one of the two servers cannot go on, or a signal came; with what became of the message in hand. What was moved
/// before stays here.
pub(crate) fn run(settings: &Settings, source: &str, queues: &[String]) -> Result<(), String> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|e| format!("signals cannot be handled: {e}"))?;
    }
    let directory = DataDirectory::lock(&settings.directory).map_err(|error| data_directory::line(&error))?;
    if let Some(identity) = &settings.identity {
        directory.give_to(identity.uid(), identity.gid()).map_err(|error| data_directory::line(&error))?;
        identity.assume(settings.core_files)?;
    }
    let opened = data_directory::open(&directory, settings)?;
    let mut import = Import {
        source: Source::connect(source, &stop)?,
        shards: opened.into_iter().map(|(shard, _)| shard).collect(),
        rules: KeyRules { options: settings.options, fanout: settings.fanout },
        body_bytes_max: settings.storage.body_bytes_max,
        stop,
        moved: 0,
    };
    import.source.learn()?;
    let (queues, unnameable) = match queues {
        [] => import.list()?,
        given => (given.iter().map(|name| named(name)).collect::<Result<_, _>>()?, Unnameable::default()),
    };
    let began = Instant::now();
    let moved = import.all(&queues);
    let closed = import.shards.into_iter().try_for_each(|mut shard| shard.close());
    let (messages, took) = (import.moved, began.elapsed());
    println!(
        "moved {messages} messages of {} queues from {source} to {} in {took:.1?}",
        queues.len(),
        settings.directory.display()
    );
    moved.and(closed.map_err(|e| e.to_string())).and(unnameable.check())
}

struct Import {
    source: Source,
    shards: Vec<Shard>,
    /// How this server reads keys.
    rules: KeyRules,
    body_bytes_max: usize,
    stop: Arc<AtomicBool>,
    moved: u64,
}

impl Import {
    /// The queues that the other server lists.
    fn list(&mut self) -> Result<(Vec<Listed>, Unnameable), String> {
        self.source.send(b"stats queue\r\n")?;
        let mut listing = Listing::default();
        loop {
            let line = self.source.line()?;
            match line.strip_prefix(b"STAT ") {
                _ if self.stop.load(Ordering::Relaxed) => return Err(STOPPED.to_string()),
                Some(figure) => listing.add(figure).map_err(|what| self.source.failed(what))?,
                None if line == b"END" => return Ok(listing.finish()),
                None => {
                    let what = text(&line);
                    let what = format!("{what} in the answer to stats queue; name the queues by --import-queue");
                    return Err(self.source.failed(what));
                }
            }
        }
    }

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
            self.source.close(queue).map_err(|what| format!("{what}; the last message may come twice"))?;
            return Err(STOPPED.to_string());
        }
        let Some(head) = self.source.ask(queue)? else { return Ok(false) };
        if head.queue != queue {
            let why = format!("it was asked for, and a message of queue {} came", text(&head.queue));
            return self.hand_back(queue, &head, why);
        }
        if head.bytes > self.body_bytes_max {
            let why = format!("a message has {} bytes, and -B allows {}", head.bytes, self.body_bytes_max);
            return self.hand_back(queue, &head, why);
        }
        let mut body = Vec::new();
        let read = self.source.body(head.bytes, |piece| {
            body.extend_from_slice(piece);
            Ok(())
        });
        if self.source.opens(queue) {
            read.and_then(|()| self.source.end()).map_err(stays)?;
            self.keep(queue, head.flags, &body)?;
            self.source.is_safe(queue);
            return Ok(true);
        }
        read.map_err(|what| format!("{what}; the message that was under way is lost"))?;
        self.keep(queue, head.flags, &body)?;
        self.source.end()?;
        Ok(true)
    }

    /// Makes a message durable here.
    fn keep(&mut self, queue: &[u8], flags: u32, body: &[u8]) -> Result<(), String> {
        let stored = naming::stored(queue, self.source.knows_keys(), self.rules);
        let owner = owner_of(&stored, self.shards.len() as u16).index();
        let mut has_warned = false;
        loop {
            let shard = &mut self.shards[owner];
            match shard.put_now(&stored, flags, body) {
                Ok(true) => return Ok(()),
                Ok(_) if self.stop.load(Ordering::Relaxed) => {
                    return self.give_back(queue, flags, body, "stopped by a signal, with a full disk".to_string());
                }
                Ok(_) => {}
                Err(error) => return self.give_back(queue, flags, body, error.to_string()),
            }
            if !has_warned {
                log::warn!("the disk is full; a message waits in memory until there is room");
                has_warned = true;
            }
            sleep(FULL_PAUSE);
            shard.tick();
        }
    }

    /// Puts a message that could not be kept here back where it came from.
    fn give_back(&mut self, queue: &[u8], flags: u32, body: &[u8], why: String) -> Result<(), String> {
        if self.source.opens(queue) {
            return Err(stays(why));
        }
        let put = self.source.again().and_then(|mut there| there.set(queue, (flags, body.len()), |it| it.send(body)));
        Err(with_fate(why, put))
    }

    /// Puts a message of which only the head was read back where it came from, piece by piece: it may be larger than
    /// what fits into memory.
    fn hand_back(&mut self, queue: &[u8], head: &Head, why: String) -> Result<bool, String> {
        if self.source.opens(queue) {
            return Err(stays(why));
        }
        let put = self.source.again().and_then(|mut there| {
            there.set(queue, (head.flags, head.bytes), |there| self.source.body(head.bytes, |piece| there.send(piece)))
        });
        Err(with_fate(why, put))
    }
}

/// An error's line about a message that is open: the end of the connection, which follows, gives it back.
fn stays(why: String) -> String {
    format!("{why}; the message stays there, in its place")
}

/// An error's line, with what became of the message in hand.
fn with_fate(why: String, put: Result<(), String>) -> String {
    match put {
        Ok(()) => format!("{why}; it is back there, at the end of its queue"),
        Err(error) => format!("{why}; and it could not be put back there, so it is lost: {error}"),
    }
}
