//! Where a commit runs: on the shard's own thread, or on another.
//!
//! On its own is the fastest by far while an fdatasync takes tens of microseconds: no thread has to be woken. While it
//! takes milliseconds, all connections of the shard would stand still for as long, so the commit runs on another
//! thread. The first commits run there too: only they show how fast the disk is.

use std::time::Duration;

/// What the operator asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitMode {
    /// By what the last commits took.
    Auto,
    /// Always on the shard's thread.
    Inline,
    /// Always on another.
    Thread,
}

/// Commits that the choice looks back at.
const WINDOW: usize = 9;
/// A median beyond this, and commits go to another thread.
const SLOW: Duration = Duration::from_micros(400);
/// A median below this, and they come back. The distance keeps the choice from flapping.
const FAST: Duration = Duration::from_micros(250);
/// One commit that takes so long is enough: the disk has become slow.
const STALL: Duration = Duration::from_millis(5);

const _: () = assert!(FAST.as_nanos() < SLOW.as_nanos() && SLOW.as_nanos() < STALL.as_nanos());
const _: () = assert!(WINDOW % 2 == 1, "so there is one in the middle");

/// Chooses by the last commits.
#[derive(Debug)]
pub struct CommitPolicy {
    mode: CommitMode,
    last: [Duration; WINDOW],
    next: usize,
    inline: bool,
    /// The first commits, by which it is seen how fast the disk is, are not over.
    begins: bool,
}

impl CommitPolicy {
    /// Begins with commits on another thread, unless the mode is [`CommitMode::Inline`].
    #[must_use]
    pub fn new(mode: CommitMode) -> CommitPolicy {
        // None was made so far, so none counts as quick.
        let last = [STALL; WINDOW];
        CommitPolicy { mode, last, next: 0, inline: mode == CommitMode::Inline, begins: true }
    }

    /// Whether the next commit runs on the shard's own thread.
    #[must_use]
    pub fn is_inline(&self) -> bool {
        self.inline
    }

    /// Notes how long a commit took, its waiting for a thread apart.
    pub fn record(&mut self, took: Duration) {
        if self.mode != CommitMode::Auto {
            return;
        }
        if took >= STALL {
            self.last = [took; WINDOW];
        }
        self.last[self.next] = took;
        self.next = (self.next + 1) % WINDOW;
        let mut sorted = self.last;
        sorted.sort_unstable();
        let median = sorted[WINDOW / 2];
        self.inline = median <= if self.inline || self.begins { SLOW } else { FAST };
        self.begins &= !self.inline && self.next != 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(policy: &mut CommitPolicy, us: u64, times: usize) {
        (0..times).for_each(|_| policy.record(Duration::from_micros(us)));
    }

    #[test]
    fn a_slow_disk_moves_commits_away_and_a_fast_one_brings_them_back() {
        let mut policy = CommitPolicy::new(CommitMode::Auto);
        record(&mut policy, 60, 100);
        record(&mut policy, 900, WINDOW / 2);
        assert!(policy.is_inline(), "some slow ones are no reason");
        record(&mut policy, 900, 1);
        assert!(!policy.is_inline());
        record(&mut policy, 300, 100);
        assert!(!policy.is_inline(), "between the marks it stays");
        record(&mut policy, 60, WINDOW);
        assert!(policy.is_inline());
    }

    #[test]
    fn a_disk_that_is_slow_from_the_start_stops_no_client() {
        let mut policy = CommitPolicy::new(CommitMode::Auto);
        for _ in 0..100 {
            assert!(!policy.is_inline());
            policy.record(Duration::from_secs(1));
        }
        let mut policy = CommitPolicy::new(CommitMode::Auto);
        record(&mut policy, 60, WINDOW / 2);
        assert!(!policy.is_inline());
        record(&mut policy, 60, 1);
        assert!(policy.is_inline());
    }

    /// Where it would stay on the shard's thread, it comes to it.
    #[test]
    fn the_first_commits_are_held_to_the_mark_of_those_inline() {
        let mut policy = CommitPolicy::new(CommitMode::Auto);
        record(&mut policy, 350, WINDOW);
        assert!(policy.is_inline());
        let mut policy = CommitPolicy::new(CommitMode::Auto);
        record(&mut policy, 900, WINDOW);
        record(&mut policy, 350, 100);
        assert!(!policy.is_inline(), "then it has to be quicker");
    }

    #[test]
    fn one_stall_is_enough() {
        let mut policy = CommitPolicy::new(CommitMode::Auto);
        record(&mut policy, 60, 100);
        record(&mut policy, 5_000, 1);
        assert!(!policy.is_inline());
    }

    #[test]
    fn the_operator_has_the_last_word() {
        let mut inline = CommitPolicy::new(CommitMode::Inline);
        record(&mut inline, 50_000, 100);
        assert!(inline.is_inline());
        let mut thread = CommitPolicy::new(CommitMode::Thread);
        record(&mut thread, 10, 100);
        assert!(!thread.is_inline());
    }
}
