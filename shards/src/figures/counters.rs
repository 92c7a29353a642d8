//! A shard's figures, for operators.

use storage::Totals;

/// What a shard has counted since it started, or since the last reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections that were refused, since there were as many as there may be.
    pub rejected_connections: u64,
    /// How often connections began to be refused.
    pub listen_disabled: u64,
    /// Commands that came in on this shard's connections.
    pub commands: u64,
    /// Of them, operations that went to other shards.
    pub forwarded: u64,
    /// Operations that came from other shards.
    pub served: u64,
    /// Names that were asked for by get, gets, gat and gats, to take or open a message.
    pub gets: u64,
    /// Messages that were handed out.
    pub get_hits: u64,
    /// Sets.
    pub sets: u64,
    /// Sets that were stored.
    pub set_hits: u64,
    /// Queues that were deleted.
    pub delete_hits: u64,
    /// Deletes of queues that were not there.
    pub delete_misses: u64,
    /// Leases that were to end at another time.
    pub touches: u64,
    /// Of them, those that do now.
    pub touch_hits: u64,
    /// Flushes, of one queue and of all.
    pub flushes: u64,
    /// Bytes read from clients.
    pub bytes_read: u64,
    /// Bytes written to clients.
    pub bytes_written: u64,
    /// Commits.
    pub commits: u64,
    /// Commits that ran on the shard's own thread.
    pub commits_inline: u64,
    /// Bytes written to the log.
    pub log_bytes_written: u64,
}

impl Counters {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Counters) {
        self.connections += other.connections;
        self.rejected_connections += other.rejected_connections;
        self.listen_disabled += other.listen_disabled;
        self.commands += other.commands;
        self.forwarded += other.forwarded;
        self.served += other.served;
        self.gets += other.gets;
        self.get_hits += other.get_hits;
        self.sets += other.sets;
        self.set_hits += other.set_hits;
        self.delete_hits += other.delete_hits;
        self.delete_misses += other.delete_misses;
        self.touches += other.touches;
        self.touch_hits += other.touch_hits;
        self.flushes += other.flushes;
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
        self.commits += other.commits;
        self.commits_inline += other.commits_inline;
        self.log_bytes_written += other.log_bytes_written;
    }
}

/// A snapshot of a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Since the start, or the last reset.
    pub counters: Counters,
    /// Connections that are open.
    pub curr_connections: u64,
    /// Messages that are out with a worker.
    pub open: u64,
    /// Clients that wait for a message.
    pub waiters: u64,
    /// Of an fdatasync, the median, in microseconds.
    pub fsync_p50_us: u64,
    /// Of an fdatasync, the 99th percentile, in microseconds.
    pub fsync_p99_us: u64,
    /// The store's.
    pub totals: Totals,
    /// Checkpoints since the start.
    pub checkpoints: u64,
    /// Whether sets are refused because the disk is full.
    pub full: bool,
}
