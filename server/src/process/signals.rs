//! Signals: which thread gets them, and what each of them means.

use nix::sys::signal::{SigSet, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals as Received;

use crate::process::drain::Drain;
use crate::process::logging;

/// The signals that the server handles. SIGQUIT ends it as it ends a memcacheQ.
const HANDLED: [i32; 6] = [SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2];
/// The kernel sends these to the thread that has made a fault, and they must reach it.
const FAULTS: [Signal; 6] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGTRAP, Signal::SIGABRT];

/// The signals of the server, which only the thread gets that has made this: they interrupt no system call of another
/// thread. glommio takes some interrupted calls for failed ones, and panics.
#[derive(Debug)]
pub(crate) struct Signals(Received);

impl Signals {
    /// Keeps signals from the threads that this one starts from now on. None is lost: what comes meanwhile is handled after
    /// [`receive`](Self::receive).
    ///
    /// # Errors
    /// When the kernel refuses a handler, or to change the thread's mask of signals.
    pub(crate) fn hold() -> Result<Signals, String> {
        let failed = |error: String| format!("signals cannot be handled: {error}");
        let received = Received::new(HANDLED).map_err(|error| failed(error.to_string()))?;
        outer().thread_block().map_err(|error| failed(error.to_string()))?;
        Ok(Signals(received))
    }

    /// Has this thread get signals, once the others are started.
    ///
    /// # Errors
    /// When the kernel refuses to change the thread's mask of signals.
    pub(crate) fn receive(&self) -> Result<(), String> {
        outer().thread_unblock().map_err(|error| format!("signals cannot be handled: {error}"))
    }

    /// Waits for a signal that ends the server, and handles the others meanwhile. Returns its number. `read_again`: reads
    /// the files of options that are read again at SIGHUP.
    pub(crate) fn wait_for_end(&mut self, drain: &Drain, read_again: impl Fn()) -> i32 {
        for signal in self.0.forever() {
            match signal {
                SIGUSR1 => drain.set(true),
                SIGUSR2 => drain.set(false),
                SIGHUP => {
                    logging::reopen();
                    read_again();
                }
                ending => return ending,
            }
        }
        unreachable!("the signals are never closed")
    }
}

/// The signals that come from outside of the process.
fn outer() -> SigSet {
    let mut signals = SigSet::all();
    FAULTS.into_iter().for_each(|fault| signals.remove(fault));
    signals
}
