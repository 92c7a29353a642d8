//! How many connections there may be, over all shards, and those that were refused.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};

/// How many connections there may be.
#[derive(Debug)]
pub(crate) struct Limit {
    open: AtomicUsize,
    max: usize,
    /// The last connection that came could not be taken.
    refusing: AtomicBool,
    unsaid: Mutex<Unsaid>,
}

/// Refused connections that the log has not said yet.
#[derive(Debug, Default)]
struct Unsaid {
    refused: u64,
    /// A task is at saying them.
    is_said: bool,
}

/// A connection that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The one before was not.
    pub(crate) is_first: bool,
    /// The caller has to see to it that [`Limit::take_unsaid`] is asked until it says `None`.
    pub(crate) is_to_be_said: bool,
}

impl Limit {
    pub(crate) fn new(max: usize) -> Limit {
        Limit { open: AtomicUsize::new(0), max, refusing: AtomicBool::new(false), unsaid: Mutex::default() }
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Whether the next connection would be taken.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Relaxed) < self.max && !self.refusing.load(Relaxed)
    }

    /// Takes a place for a connection, if there is one.
    ///
    /// # Errors
    /// When there is none: it is to be refused.
    pub(crate) fn enter(self: &Arc<Limit>) -> Result<Place, Refused> {
        let entered = self.open.fetch_update(Relaxed, Relaxed, |open| (open < self.max).then_some(open + 1));
        if entered.is_ok() {
            if self.refusing.load(Relaxed) {
                self.refusing.store(false, Relaxed);
            }
            return Ok(Place(Arc::clone(self)));
        }
        let mut unsaid = self.unsaid.lock().unwrap_or_else(PoisonError::into_inner);
        unsaid.refused += 1;
        let is_to_be_said = !std::mem::replace(&mut unsaid.is_said, true);
        Err(Refused { is_first: self.stop_accepting(), is_to_be_said })
    }

    /// Notes that no connection can be taken for now. Returns whether one could until now.
    pub(crate) fn stop_accepting(&self) -> bool {
        !self.refusing.swap(true, Relaxed)
    }

    /// How many connections were refused since this was asked last. `None`: none, and nobody says the next ones.
    pub(crate) fn take_unsaid(&self) -> Option<u64> {
        let mut unsaid = self.unsaid.lock().unwrap_or_else(PoisonError::into_inner);
        unsaid.is_said = unsaid.refused > 0;
        unsaid.is_said.then(|| std::mem::take(&mut unsaid.refused))
    }
}

/// A connection's place under the limit; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Limit>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
        self.0.refusing.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let limit = Arc::new(Limit::new(2));
        let (first, second) = (limit.enter(), limit.enter());
        assert!(first.is_ok() && second.is_ok() && !limit.is_open());
        assert!(limit.enter().is_err());
        drop(first);
        assert!(limit.is_open());
        assert!(limit.enter().is_ok());
    }

    #[test]
    fn refusals_are_counted_and_each_is_said_once() {
        let limit = Arc::new(Limit::new(1));
        let place = limit.enter();
        assert!(place.is_ok());
        let refused = |is_first, is_to_be_said| Some(Refused { is_first, is_to_be_said });
        assert_eq!(limit.enter().err(), refused(true, true));
        assert_eq!(limit.take_unsaid(), Some(1));
        assert_eq!(limit.enter().err(), refused(false, false), "a task is at it");
        assert_eq!(limit.enter().err(), refused(false, false));
        assert_eq!(limit.take_unsaid(), Some(2));
        assert_eq!(limit.take_unsaid(), None);
        drop(place);
        let place = limit.enter();
        assert!(place.is_ok());
        assert_eq!(limit.enter().err(), refused(true, true), "it has begun again");
        assert_eq!(limit.take_unsaid(), Some(1));
    }
}
