//! Lines of the log that any client could have written, again and again.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// How long two of its lines are apart, at the least.
const LINES_APART: Duration = Duration::from_secs(1);

/// When one kind of line was logged last, by any thread.
#[derive(Debug)]
pub(crate) struct Rarely {
    /// Milliseconds of the machine's clock; 0: never.
    last_ms: AtomicU64,
}

impl Rarely {
    pub(crate) const fn new() -> Rarely {
        Rarely { last_ms: AtomicU64::new(0) }
    }

    /// Whether the next line is to be logged: none was for a while. The caller logs it.
    pub(crate) fn is_due(&self) -> bool {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
        self.is_due_at(now.as_millis() as u64)
    }

    fn is_due_at(&self, now_ms: u64) -> bool {
        let last_ms = self.last_ms.load(Relaxed);
        let is_due = last_ms == 0 || now_ms.saturating_sub(last_ms) >= LINES_APART.as_millis() as u64;
        is_due && self.last_ms.compare_exchange(last_ms, now_ms.max(1), Relaxed, Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_once_a_second() {
        let rarely = Rarely::new();
        let due: Vec<u64> = (5000..8000).step_by(10).filter(|ms| rarely.is_due_at(*ms)).collect();
        assert_eq!(due, [5000, 6000, 7000]);
        assert!(Rarely::new().is_due(), "the first is");
    }
}
