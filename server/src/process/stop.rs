//! The word that all shards wait for: stop.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Said once, by the main thread; heard by all shards.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    said: Mutex<bool>,
    changed: Condvar,
    quiet: AtomicUsize,
    queues: AtomicU64,
    messages: AtomicU64,
}

impl Stop {
    /// Says it.
    pub(crate) fn begin(&self) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Blocks the thread until it is said.
    pub(crate) fn wait(&self) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        while !*said {
            said = self.changed.wait(said).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A shard says that it serves no connection any more.
    pub(crate) fn is_quiet(&self) {
        self.quiet.fetch_add(1, Ordering::SeqCst);
    }

    /// Adds what waits in a shard that nothing is taken from any more.
    pub(crate) fn add_waiting(&self, queues: u64, messages: u64) {
        self.queues.fetch_add(queues, Ordering::Relaxed);
        self.messages.fetch_add(messages, Ordering::Relaxed);
    }

    /// The queues and the messages in all shards, once these have ended.
    pub(crate) fn waiting(&self) -> (u64, u64) {
        (self.queues.load(Ordering::Relaxed), self.messages.load(Ordering::Relaxed))
    }

    /// How many shards have said so. None needs another once all have.
    pub(crate) fn quiet(&self) -> usize {
        self.quiet.load(Ordering::SeqCst)
    }
}
