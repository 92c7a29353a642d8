//! Lines in the log about what a client can bring about as often as it likes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How far apart two lines are at least.
const APART: Duration = Duration::from_secs(1);

/// Says when to write a line, and how often the thing has happened since the line before.
#[derive(Debug)]
pub(crate) struct Seldom(Mutex<Since>);

#[derive(Debug)]
struct Since {
    last: Option<Instant>,
    happened: u64,
}

impl Seldom {
    pub(crate) const fn new() -> Seldom {
        Seldom(Mutex::new(Since { last: None, happened: 0 }))
    }

    /// Counts one more. Returns how many have no line yet, when one is to be written now.
    pub(crate) fn count(&self, now: Instant) -> Option<u64> {
        // Nothing panics while it is held.
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.happened += 1;
        if since.last.is_some_and(|last| now.saturating_duration_since(last) < APART) {
            return None;
        }
        since.last = Some(now);
        Some(std::mem::take(&mut since.happened))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_second_has_the_count_of_all() {
        let (seldom, now) = (Seldom::new(), Instant::now());
        let at = |ms| now + Duration::from_millis(ms);
        assert_eq!(seldom.count(at(0)), Some(1));
        assert_eq!([1, 2, 999].map(|ms| seldom.count(at(ms))), [None; 3]);
        assert_eq!((seldom.count(at(1000)), seldom.count(at(1001))), (Some(4), None));
    }
}
