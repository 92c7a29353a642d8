//! A stop of the server: one request for all shards, and what each of them reports on its way to the end.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Requested once, by the main thread; all shards wait for it.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    requested: Mutex<bool>,
    changed: Condvar,
    quiet_shards: AtomicUsize,
    queues: AtomicU64,
    messages: AtomicU64,
}

impl Stop {
    /// Requests the stop.
    pub(crate) fn request(&self) {
        *self.requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Blocks the thread until the stop is requested.
    pub(crate) fn wait(&self) {
        let mut requested = self.requested.lock().unwrap_or_else(PoisonError::into_inner);
        while !*requested {
            requested = self.changed.wait(requested).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes that a shard serves no connection any more.
    pub(crate) fn note_quiet(&self) {
        self.quiet_shards.fetch_add(1, Ordering::SeqCst);
    }

    /// How many shards serve no connection any more. When all are quiet, none needs an answer of another.
    pub(crate) fn quiet_shards(&self) -> usize {
        self.quiet_shards.load(Ordering::SeqCst)
    }

    /// Adds what is left in a shard that no message is taken from any more.
    pub(crate) fn add_left(&self, queues: u64, messages: u64) {
        self.queues.fetch_add(queues, Ordering::Relaxed);
        self.messages.fetch_add(messages, Ordering::Relaxed);
    }

    /// The queues and the messages that are left in all shards, once these have ended.
    pub(crate) fn left(&self) -> (u64, u64) {
        (self.queues.load(Ordering::Relaxed), self.messages.load(Ordering::Relaxed))
    }
}
