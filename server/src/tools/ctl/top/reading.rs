//! What `rushq top` shows: one look at a server, by either of its ports.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::tools::ctl::memcache::{Memcache, QUEUES_MAX};
use crate::tools::ctl::queue::{self, Queue, Sort, id, name_of};
use crate::tools::ctl::server::Server;
use crate::tools::ctl::text;

/// Which queues are to be shown, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) filter: String,
    pub(super) sort: Sort,
    pub(super) descending: bool,
    pub(super) limit: usize,
}

/// One look.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    pub(super) server: Overview,
    /// Queues whose names match.
    pub(super) matched: u64,
    /// The first of them.
    pub(super) queues: Vec<Queue>,
    /// What the look has cost the server, which is asked the less often for it.
    pub(super) took: Duration,
}

/// Figures of the server as a whole.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Overview {
    pub(super) version: String,
    pub(super) uptime_s: u64,
    pub(super) connections: u64,
    pub(super) draining: bool,
    pub(super) full: bool,
    pub(super) totals: Totals,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Totals {
    pub(super) queues: u64,
    pub(super) waiting: u64,
    pub(super) open: u64,
    pub(super) delayed: u64,
    pub(super) dead: u64,
    pub(super) waiters: u64,
}

/// The admin port's answer about queues.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Listing {
    matched: u64,
    took_ms: f64,
    queues: Vec<Queue>,
}

/// The server that is looked at, and what the last look has counted.
#[derive(Debug)]
pub(super) struct Source {
    server: Server,
    before: Before,
}

/// The counters of the last look, from which rates are made.
#[derive(Debug, Default)]
struct Before {
    at: Option<Instant>,
    /// Sets and gets of each queue.
    counters: HashMap<Vec<u8>, (u64, u64)>,
}

impl Source {
    pub(super) fn of(server: Server) -> Source {
        Source { server, before: Before::default() }
    }

    /// Looks.
    ///
    /// # Errors
    /// When the server does not answer, or has too many queues for its memcache port to list.
    pub(super) fn look(&mut self, question: &Question) -> Result<Reading, String> {
        match &mut self.server {
            Server::Memcache(memcache) => by_memcache(memcache, &mut self.before, question),
            Server::Admin(admin) => {
                let Question { filter, sort, descending, limit } = question;
                let order = if *descending { "desc" } else { "asc" };
                let path = format!(
                    "/api/queues?filter={}&sort={}&order={order}&limit={limit}",
                    id(filter.as_bytes()),
                    sort.name()
                );
                let mut listing: Listing = admin.get(&path)?;
                listing.queues.iter_mut().for_each(|queue| queue.name = name_of(&queue.id));
                let took = Duration::try_from_secs_f64(listing.took_ms / 1000.0).unwrap_or_default();
                let server = admin.get("/api/overview")?;
                Ok(Reading { server, matched: listing.matched, queues: listing.queues, took })
            }
        }
    }
}

fn by_memcache(memcache: &mut Memcache, before: &mut Before, question: &Question) -> Result<Reading, String> {
    let mut server = Overview { version: memcache.version.clone(), ..Overview::default() };
    memcache.stats(b"", |name, value| {
        let number = || str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0);
        match name {
            b"version" => server.version = text::line(value),
            b"uptime" => server.uptime_s = number(),
            b"curr_connections" => server.connections = number(),
            b"draining" => server.draining = number() > 0,
            b"shards_full" => server.full = number() > 0,
            b"queues" => server.totals.queues = number(),
            b"open" => server.totals.open = number(),
            b"delayed" => server.totals.delayed = number(),
            b"dead" => server.totals.dead = number(),
            b"waiters" => server.totals.waiters = number(),
            b"curr_items" => server.totals.waiting = number(),
            _ => {}
        }
        Ok(())
    })?;
    let Totals { open, delayed, dead, .. } = server.totals;
    // All that are there, in `curr_items`, but these.
    server.totals.waiting = server.totals.waiting.saturating_sub(open + delayed + dead);
    if server.totals.queues > QUEUES_MAX {
        return Err(memcache.failed(format!(
            "it has {} queues, and the memcache port lists at most {QUEUES_MAX}; name the admin port by -p",
            server.totals.queues
        )));
    }
    let begun = Instant::now();
    let all = memcache.queues(b"")?;
    let took = begun.elapsed();
    let (matched, queues) = before.choose(all, begun, question);
    Ok(Reading { server, matched, queues, took })
}

impl Before {
    /// Gives queues their rates, and takes those out that are asked for.
    fn choose(&mut self, mut all: Vec<Queue>, now: Instant, question: &Question) -> (u64, Vec<Queue>) {
        let elapsed = self.at.map(|at| now.duration_since(at).as_secs_f64()).filter(|elapsed| *elapsed > 0.0);
        for queue in &mut all {
            // A queue that is new has put all it has since then.
            let (sets, gets) = self.counters.get(&queue.name).copied().unwrap_or_default();
            let rate = |now: u64, before: u64| elapsed.map(|elapsed| now.saturating_sub(before) as f64 / elapsed);
            (queue.in_per_s, queue.out_per_s) = (rate(queue.sets, sets), rate(queue.gets, gets));
        }
        self.at = Some(now);
        self.counters = all.iter().map(|queue| (queue.name.clone(), (queue.sets, queue.gets))).collect();
        let filter = question.filter.as_bytes();
        all.retain(|queue| filter.is_empty() || queue.name.windows(filter.len()).any(|part| part == filter));
        queue::sort(&mut all, question.sort, question.descending);
        let matched = all.len() as u64;
        all.truncate(question.limit);
        (matched, all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str, sets: u64, gets: u64) -> Queue {
        Queue { name: name.into(), sets, gets, waiting: sets - gets, ..Queue::default() }
    }

    #[test]
    fn rates_are_what_came_since_the_last_look() {
        let question = Question { filter: "o".into(), sort: Sort::In, descending: true, limit: 2 };
        let mut before = Before::default();
        let begun = Instant::now();
        let (matched, first) = before.choose(vec![queue("jobs", 10, 2), queue("x", 1, 1)], begun, &question);
        assert_eq!((matched, first[0].in_per_s), (1, None));
        let all = vec![queue("jobs", 14, 8), queue("log", 100, 0), queue("top", 1, 1), queue("x", 9, 9)];
        let (matched, second) = before.choose(all, begun + Duration::from_secs(2), &question);
        assert_eq!(matched, 3);
        let shown: Vec<_> = second.iter().map(|it| (it.name.as_slice(), it.in_per_s, it.out_per_s)).collect();
        assert_eq!(shown, [(&b"log"[..], Some(50.0), Some(0.0)), (b"jobs", Some(2.0), Some(3.0))]);
    }

    #[test]
    fn an_overview_may_have_more_and_less() {
        let overview: Overview =
            serde_json::from_str(r#"{"version":"1.2.3","new":[1],"totals":{"waiting":7,"x":null}}"#)
                .expect("it is one");
        assert_eq!((overview.version.as_str(), overview.totals.waiting, overview.full), ("1.2.3", 7, false));
    }
}
