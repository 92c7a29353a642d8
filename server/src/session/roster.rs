//! The connections that are open, for an operator who asks: any shard can look at those of all.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::socket::{Shutdown, shutdown};
use shards::{Client, ShardId};

use crate::access::Account;
use crate::session::peer::Peer;

type OfShard = BTreeMap<Client, Arc<Figures>>;

/// The open connections of all shards.
#[derive(Debug)]
pub(crate) struct Roster {
    started: Instant,
    /// Each is changed by its shard alone, and by no command.
    shards: Box<[Mutex<OfShard>]>,
}

/// What is seen of a connection. Its own thread writes it; others may see a figure a moment later than another.
#[derive(Debug)]
pub(crate) struct Figures {
    /// The number of its socket in this process: no other open connection has it.
    pub(crate) socket: RawFd,
    pub(crate) peer: Peer,
    /// Once it has logged in.
    user: OnceLock<Arc<Account>>,
    /// When it was opened and was last active, in milliseconds of the roster.
    opened_ms: u64,
    active_ms: AtomicU64,
    commands: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
    /// Whether it waits for a message.
    waits: AtomicBool,
}

/// What is shown of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) client: Client,
    pub(crate) socket: RawFd,
    pub(crate) peer: Peer,
    /// The user that it has logged in as.
    pub(crate) user: Option<Arc<Account>>,
    pub(crate) age: Duration,
    /// Since its last command came or was answered.
    pub(crate) idle: Duration,
    pub(crate) commands: u64,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
    pub(crate) waits: bool,
}

impl Roster {
    pub(crate) fn new(shards: u16) -> Roster {
        Roster { started: Instant::now(), shards: (0..shards).map(|_| Mutex::default()).collect() }
    }

    /// Enters a connection, until what this returns is dropped.
    pub(crate) fn enter(self: &Arc<Roster>, client: Client, socket: RawFd, peer: Peer) -> Entry {
        let now_ms = self.ms(Instant::now());
        let figures = Arc::new(Figures {
            socket,
            peer,
            user: OnceLock::new(),
            opened_ms: now_ms,
            active_ms: AtomicU64::new(now_ms),
            commands: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
            bytes_written: AtomicU64::new(0),
            waits: AtomicBool::new(false),
        });
        let before = self.lock(client.shard()).insert(client, Arc::clone(&figures));
        assert!(before.is_none(), "a client has one connection");
        Entry { roster: Arc::clone(self), client, figures }
    }

    /// Some connections of a shard, in the order in which they were opened, behind `after` or from the first on. None:
    /// there are no more.
    pub(crate) fn some(&self, shard: ShardId, after: Option<Client>, limit: usize) -> Vec<Seen> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let now_ms = self.ms(Instant::now());
        let of_shard = self.lock(shard);
        let some = of_shard.range((from, Bound::Unbounded)).take(limit);
        some.map(|(client, figures)| figures.seen(*client, now_ms)).collect()
    }

    /// The connection of a client, if it is open.
    pub(crate) fn find(&self, client: Client) -> Option<Seen> {
        let of_shard = self.shards.get(client.shard().index()).map(|_| self.lock(client.shard()))?;
        let now_ms = self.ms(Instant::now());
        of_shard.get(&client).map(|figures| figures.seen(client, now_ms))
    }

    /// Ends the connection of a client, whatever it is at: what comes of it is what comes of one that its client ends.
    /// Returns what was to be seen of it; `None`: there is no such connection.
    pub(crate) fn close(&self, client: Client) -> Option<Seen> {
        let of_shard = self.shards.get(client.shard().index()).map(|_| self.lock(client.shard()))?;
        let figures = of_shard.get(&client)?;
        // Its entry is removed before its socket is closed, and not while this holds them: the number is still that socket's.
        if let Err(error) = shutdown(figures.socket, Shutdown::Both) {
            log::debug!("a connection that is to be closed has gone by itself: {error}");
        }
        Some(figures.seen(client, self.ms(Instant::now())))
    }

    fn lock(&self, shard: ShardId) -> MutexGuard<'_, OfShard> {
        // Nothing panics while it is held, the assertion that a client enters once apart.
        self.shards[shard.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ms(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.started).as_millis() as u64
    }
}

impl Figures {
    fn seen(&self, client: Client, now_ms: u64) -> Seen {
        let since = |ms: u64| Duration::from_millis(now_ms.saturating_sub(ms));
        Seen {
            client,
            socket: self.socket,
            peer: self.peer,
            user: self.user.get().cloned(),
            age: since(self.opened_ms),
            idle: since(self.active_ms.load(Relaxed)),
            commands: self.commands.load(Relaxed),
            bytes_read: self.bytes_read.load(Relaxed),
            bytes_written: self.bytes_written.load(Relaxed),
            waits: self.waits.load(Relaxed),
        }
    }
}

/// A connection's entry in the roster; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    roster: Arc<Roster>,
    client: Client,
    figures: Arc<Figures>,
}

impl Entry {
    /// Counts what was read from the client.
    pub(crate) fn count_read(&self, commands: u64, bytes: u64) {
        add(&self.figures.commands, commands);
        add(&self.figures.bytes_read, bytes);
    }

    /// Counts what was sent to the client.
    pub(crate) fn count_written(&self, bytes: u64) {
        add(&self.figures.bytes_written, bytes);
    }

    /// How long the connection has been open.
    pub(crate) fn age(&self) -> Duration {
        Duration::from_millis(self.roster.ms(Instant::now()).saturating_sub(self.figures.opened_ms))
    }

    /// Notes that the client has logged in. It does so once.
    pub(crate) fn note_user(&self, user: &Arc<Account>) {
        let noted = self.figures.user.set(Arc::clone(user));
        assert!(noted.is_ok(), "a client logs in once");
    }

    /// Notes that a command came or was answered.
    pub(crate) fn note_active(&self, now: Instant) {
        self.figures.active_ms.store(self.roster.ms(now), Relaxed);
    }

    /// Notes whether the connection waits for a message.
    pub(crate) fn note_waits(&self, waits: bool) {
        self.figures.waits.store(waits, Relaxed);
    }
}

/// Adds to a figure that nothing else writes: a load and a store cost less than an addition that other threads could take
/// part in.
fn add(figure: &AtomicU64, n: u64) {
    figure.store(figure.load(Relaxed) + n, Relaxed);
}

impl Drop for Entry {
    fn drop(&mut self) {
        let left = self.roster.lock(self.client.shard()).remove(&self.client);
        assert!(left.is_some(), "an entry goes once");
    }
}
