//! The figures of single queues and connections, each with its name: what `stats queues` and `stats conns` show. Data only,
//! as in [`report`](super::report).

use shards::{Client, QueueFigures, ShardId};

use crate::admin::report::Value;
use crate::session::peer::Peer;
use crate::session::roster::{Roster, Seen};

/// Connections that are looked at in one piece.
const CONNECTIONS_AT_ONCE: usize = 512;

/// A figure of a queue, with its name.
type OfQueue = (&'static str, fn(&QueueFigures) -> u64);

/// The figures of a queue, in the order in which they are shown.
const OF_QUEUE: [OfQueue; 15] = [
    ("waiting", |queue| queue.waiting),
    ("open", |queue| queue.open),
    ("delayed", |queue| queue.delayed),
    ("dead", |queue| queue.dead),
    ("oldest", |queue| queue.oldest_age_s),
    ("bytes", |queue| queue.bytes),
    ("sets", |queue| queue.sets),
    ("gets", |queue| queue.gets),
    ("acked", |queue| queue.acked),
    ("returned", |queue| queue.returned),
    ("expired", |queue| queue.expired),
    ("refused", |queue| queue.refused),
    ("open_full", |queue| queue.open_full),
    ("waiters", |queue| queue.waiters),
    ("tries", |queue| queue.head_tries),
];

/// Gives every figure of a queue to `show`, with its name.
pub(crate) fn queue(queue: &QueueFigures, mut show: impl FnMut(&'static str, u64)) {
    for (name, figure) in OF_QUEUE {
        show(name, figure(queue));
    }
}

/// The figure of a queue that has this name.
///
/// # Panics
/// When none has.
pub(crate) fn of_queue(name: &str) -> fn(&QueueFigures) -> u64 {
    let figure = OF_QUEUE.into_iter().find(|(candidate, _)| *candidate == name);
    figure.unwrap_or_else(|| panic!("no figure of a queue is called {name}")).1
}

/// Gives every figure of a connection to `show`, with its name. `open`: messages that it has open.
pub(crate) fn connection(seen: &Seen, open: u64, mut show: impl FnMut(&'static str, Value)) {
    show("peer", Value::Text(peer_word(seen.peer)));
    if let Some(user) = &seen.user {
        show("user", Value::Text(user.name().to_string()));
    }
    for (name, figure) in [
        ("shard", u64::from(seen.client.shard().0)),
        ("age", seen.age.as_secs()),
        ("idle", seen.idle.as_secs()),
        ("commands", seen.commands),
        ("bytes_read", seen.bytes_read),
        ("bytes_written", seen.bytes_written),
        ("open", open),
        ("waiting", u64::from(seen.waits)),
    ] {
        show(name, Value::Number(figure));
    }
}

/// A peer without blanks, as the value of a figure is read by programs.
fn peer_word(peer: Peer) -> String {
    match peer {
        Peer::Unknown => "unknown".to_string(),
        Peer::Tcp(address) | Peer::Udp(address) => address.to_string(),
        Peer::Unix(process, user) => format!("unix:{process}:{user}"),
    }
}

/// A walk over all connections of all shards. One that is open all the while is met once.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    shard: u16,
    /// The last one of the shard that was met.
    last: Option<Client>,
}

impl Connections {
    /// The next connections, a few at a time and at times none. `None`: there are no more.
    pub(crate) fn next(&mut self, roster: &Roster, shards: u16) -> Option<Vec<Seen>> {
        if self.shard >= shards {
            return None;
        }
        let some = roster.some(ShardId(self.shard), self.last, CONNECTIONS_AT_ONCE);
        self.last = some.last().map(|seen| seen.client);
        self.shard += u16::from(some.is_empty());
        Some(some)
    }
}
