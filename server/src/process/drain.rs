//! Draining: an instance refuses new messages and still hands out those that it has, so that it can be taken out of a fleet
//! without losing any.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the server drains. SIGUSR1 begins it, SIGUSR2 ends it.
#[derive(Debug, Default)]
pub(crate) struct Drain(AtomicBool);

impl Drain {
    pub(crate) fn set(&self, drains: bool) {
        let before = self.0.swap(drains, Ordering::Relaxed);
        if drains && !before {
            log::info!("draining: sets are refused, gets go on; SIGUSR2 ends it");
        } else if before && !drains {
            log::info!("draining has ended: sets are taken");
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
