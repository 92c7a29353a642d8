//! How many connections the process may have, over all shards, and those that were refused.

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
    unlogged: Mutex<Unlogged>,
}

/// Refused connections that are not in the log yet.
#[derive(Debug, Default)]
struct Unlogged {
    refused: u64,
    /// A task writes them to the log.
    has_task: bool,
}

/// A connection that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The connection before it was taken.
    pub(crate) is_first: bool,
    /// No task writes refusals to the log: the caller starts one, which calls [`Limit::take_unlogged`] until that is
    /// `None`.
    pub(crate) needs_task: bool,
}

impl Limit {
    pub(crate) fn new(max: usize) -> Limit {
        Limit { open: AtomicUsize::new(0), max, refusing: AtomicBool::new(false), unlogged: Mutex::default() }
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Whether the next connection would be taken.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Relaxed) < self.max && !self.refusing.load(Relaxed)
    }

    /// Takes a permit for a connection, if one is left.
    ///
    /// # Errors
    /// When none is left: the connection is to be refused.
    pub(crate) fn enter(self: &Arc<Limit>) -> Result<Permit, Refused> {
        let entered = self.open.fetch_update(Relaxed, Relaxed, |open| (open < self.max).then_some(open + 1));
        if entered.is_ok() {
            if self.refusing.load(Relaxed) {
                self.refusing.store(false, Relaxed);
            }
            return Ok(Permit(Arc::clone(self)));
        }
        let mut unlogged = self.unlogged.lock().unwrap_or_else(PoisonError::into_inner);
        unlogged.refused += 1;
        let needs_task = !std::mem::replace(&mut unlogged.has_task, true);
        Err(Refused { is_first: self.stop_accepting(), needs_task })
    }

    /// Notes that no connection can be taken for now. Returns whether one could until now.
    pub(crate) fn stop_accepting(&self) -> bool {
        !self.refusing.swap(true, Relaxed)
    }

    /// How many connections were refused since the last call. `None`: none, and the task that writes them to the log ends.
    pub(crate) fn take_unlogged(&self) -> Option<u64> {
        let mut unlogged = self.unlogged.lock().unwrap_or_else(PoisonError::into_inner);
        unlogged.has_task = unlogged.refused > 0;
        unlogged.has_task.then(|| std::mem::take(&mut unlogged.refused))
    }
}

/// A connection's permit under the limit; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Limit>);

impl Drop for Permit {
    fn drop(&mut self) {
        let open = self.0.open.fetch_sub(1, Relaxed);
        assert!(open > 0, "a permit is given back once");
        self.0.refusing.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_given_back() {
        let limit = Arc::new(Limit::new(2));
        let (first, second) = (limit.enter(), limit.enter());
        assert!(first.is_ok() && second.is_ok() && !limit.is_open());
        assert!(limit.enter().is_err());
        drop(first);
        assert!(limit.is_open());
        assert!(limit.enter().is_ok());
    }

    #[test]
    fn refusals_are_counted_and_each_is_logged_once() {
        let limit = Arc::new(Limit::new(1));
        let permit = limit.enter();
        assert!(permit.is_ok());
        let refused = |is_first, needs_task| Some(Refused { is_first, needs_task });
        assert_eq!(limit.enter().err(), refused(true, true));
        assert_eq!(limit.take_unlogged(), Some(1));
        assert_eq!(limit.enter().err(), refused(false, false), "a task is at it");
        assert_eq!(limit.enter().err(), refused(false, false));
        assert_eq!(limit.take_unlogged(), Some(2));
        assert_eq!(limit.take_unlogged(), None);
        drop(permit);
        let permit = limit.enter();
        assert!(permit.is_ok());
        assert_eq!(limit.enter().err(), refused(true, true), "it has begun again");
        assert_eq!(limit.take_unlogged(), Some(1));
    }
}
