//! Draining: an instance refuses new messages and still hands out those that it has, so that it can be taken out of a fleet
//! without losing any.

use std::future::poll_fn;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Whether the server drains. SIGUSR1 begins it, SIGUSR2 ends it.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    is_on: AtomicBool,
    /// Of the shards, until it begins.
    waiting: Mutex<Vec<Waker>>,
}

impl Drain {
    pub(crate) fn set(&self, drains: bool) {
        let before = self.is_on.swap(drains, Ordering::Relaxed);
        if drains && !before {
            let waiting = mem::take(&mut *self.waiting());
            waiting.into_iter().for_each(Waker::wake);
            log::info!("draining: sets are refused, gets go on; SIGUSR2 ends it");
        } else if before && !drains {
            log::info!("draining has ended: sets are taken");
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Waits until the server drains.
    pub(crate) async fn begun(&self) {
        poll_fn(|context| {
            // Looked at under the lock, so that a beginning finds the waker or is found.
            let mut waiting = self.waiting();
            if self.is_on() {
                return Poll::Ready(());
            }
            waiting.retain(|waker| !waker.will_wake(context.waker()));
            waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waker>> {
        // Nothing panics while it is held.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
