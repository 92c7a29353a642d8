//! Keeps the measured client and the preparation of a load apart.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct State {
    /// The load is on.
    is_open: bool,
    /// The client has something in flight.
    is_busy: bool,
    is_over: bool,
}

/// The client sends only while the load is on; the load is prepared only while the client has nothing in flight.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The load is on.
    pub(super) fn open(&self) {
        self.state().is_open = true;
        self.changed.notify_all();
    }

    /// The load ends: waits until the client has nothing in flight.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_open = false;
        while state.is_busy && !state.is_over {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the load is on, and begins. False: all is over.
    pub(super) fn enter(&self) -> bool {
        let mut state = self.state();
        while !state.is_open && !state.is_over {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_busy = !state.is_over;
        state.is_busy
    }

    /// The client has its answers.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        state.is_busy = false;
        if !state.is_open {
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Both sides end.
    pub(super) fn end(&self) {
        self.state().is_over = true;
        self.changed.notify_all();
    }

    pub(super) fn is_over(&self) -> bool {
        self.state().is_over
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_load_is_not_prepared_beside_the_client() {
        let (gate, is_prepared) = (Gate::default(), AtomicBool::new(false));
        gate.open();
        assert!(gate.enter());
        thread::scope(|scope| {
            let closing = scope.spawn(|| {
                gate.close();
                is_prepared.store(true, Ordering::SeqCst);
            });
            while gate.state().is_open {
                thread::yield_now();
            }
            assert!(!is_prepared.load(Ordering::SeqCst));
            gate.leave();
            closing.join().unwrap();
        });
        assert!(is_prepared.load(Ordering::SeqCst));
    }

    #[test]
    fn the_end_wakes_both() {
        let gate = Gate::default();
        thread::scope(|scope| {
            let entering = scope.spawn(|| gate.enter());
            gate.end();
            assert!(!entering.join().unwrap());
        });
        gate.close();
        assert!(gate.is_over());
    }
}
