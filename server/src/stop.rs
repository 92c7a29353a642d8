//! The word that all shards wait for: stop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Said once, by the main thread; heard by all shards.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    said: Mutex<bool>,
    changed: Condvar,
    quiet: AtomicUsize,
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

    /// How many shards have said so. None needs another once all have.
    pub(crate) fn quiet(&self) -> usize {
        self.quiet.load(Ordering::SeqCst)
    }
}
