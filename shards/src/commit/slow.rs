//! Which slow commits are worth a line in the log: a disk that dies must not fill another one with lines about it.

use std::time::{Duration, Instant};

/// A commit that takes longer is slow: some disk or hypervisor has stalled.
const SLOW: Duration = Duration::from_millis(100);
/// Lines are at least so far apart.
const LINES_APART: Duration = Duration::from_secs(1);

/// One shard's slow commits.
#[derive(Debug, Default)]
pub(crate) struct SlowCommits {
    last_line: Option<Instant>,
    /// Slow commits since then.
    passed_over: u64,
}

impl SlowCommits {
    /// Whether a commit that has taken so long is slow.
    pub(crate) fn is_slow(took: Duration) -> bool {
        took > SLOW
    }

    /// Notes a slow commit. `Some`: it is worth a line, and so many others since the last line had none.
    pub(crate) fn note(&mut self, now: Instant) -> Option<u64> {
        if self.last_line.is_some_and(|last| now - last < LINES_APART) {
            self.passed_over += 1;
            return None;
        }
        self.last_line = Some(now);
        Some(std::mem::take(&mut self.passed_over))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_says_how_many_had_none() {
        let mut slow = SlowCommits::default();
        let start = Instant::now();
        let ms = Duration::from_millis;
        assert!(SlowCommits::is_slow(ms(101)) && !SlowCommits::is_slow(ms(100)));
        assert_eq!(slow.note(start), Some(0), "the first is said at once");
        for at in [150, 400, 999] {
            assert_eq!(slow.note(start + ms(at)), None, "after {at} ms");
        }
        assert_eq!(slow.note(start + ms(1001)), Some(3));
        assert_eq!(slow.note(start + ms(2000)), None, "a second counts from the last line, not from the first");
        assert_eq!(slow.note(start + ms(9000)), Some(1));
        assert_eq!(slow.note(start + ms(20_000)), Some(0), "each is counted once");
    }
}
