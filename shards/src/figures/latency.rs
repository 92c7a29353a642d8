//! Where time goes: how long each stage of a command takes, for operators.
//!
//! Nothing here reads a clock, and nothing is decided by what is here: the pump and the server report times, once for
//! all operations that were done together. So this costs some nanoseconds a batch and nothing a command. The simulator
//! reports no times, and so runs the same way every time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use storage::{CommitTimes, FrameNumber};

/// The longest time that is told apart from longer ones, in microseconds.
const TIME_US_MAX: u64 = 60_000_000;
/// Of each time: one part in a hundred is near enough, and makes a histogram of 20 KiB.
const SIGNIFICANT_DIGITS: u8 = 2;

/// What a command's time is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// From the poll that found the command's last byte to the write of its reply; for a `noreply`, to the end of the
    /// write that follows it. A get that is answered in several rounds counts with the first. Commands for statistics
    /// do not count.
    ParseToReply,
    /// From the same poll until the queue's owner had applied the operation, of which a get has one for each name. All
    /// operations of a turn or a piece of a batch count as applied at its end. On the shard that has read it that is
    /// next to nothing; for a forwarded one it is the way to the owner, with the wait for a credit.
    Queue,
    /// From when an operation that changed something was applied until its frame was safe, on the queue's owner. Then its
    /// outcome may be told.
    CommitWait,
    /// The write of a commit.
    Write,
    /// The fdatasync of a commit. Where a change is safe once it is written, the fdatasync of each second holds up no reply
    /// and does not count.
    Fsync,
    /// From the reactor's look with which a turn began to the end of the last thing that was done in it, commits on the
    /// shard's own thread among them. A client's command is seen after that time at the latest. Turns in which nothing was
    /// done do not count.
    Turn,
    /// Of each read of the log that a get waits for since only the disk has the body: from the moment another thread
    /// has it to its return to the shard, which goes on meanwhile.
    Read,
}

/// How many stages there are.
const STAGES: usize = 7;
const _: () = assert!(Stage::Read as usize + 1 == STAGES, "the last stage");

/// How long each stage took, as histograms of 140 KiB together, however much is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct StageTimes {
    histograms: [Histogram<u64>; STAGES],
    /// All times of a stage together, in microseconds: a histogram has no more than what its digits leave of each.
    sums_us: [u64; STAGES],
}

impl Eq for StageTimes {}

impl Default for StageTimes {
    fn default() -> StageTimes {
        let none = Histogram::new_with_bounds(1, TIME_US_MAX, SIGNIFICANT_DIGITS).expect("the bounds are good");
        StageTimes { histograms: std::array::from_fn(|_| none.clone()), sums_us: [0; STAGES] }
    }
}

impl StageTimes {
    fn record(&mut self, stage: Stage, took: Duration, count: u64) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(TIME_US_MAX).min(TIME_US_MAX);
        self.histograms[stage as usize].saturating_record_n(took_us, count);
        let sum_us = &mut self.sums_us[stage as usize];
        *sum_us = sum_us.saturating_add(took_us.saturating_mul(count));
    }

    /// Adds what another shard has recorded, as if it had been recorded here.
    pub fn add(&mut self, other: &StageTimes) {
        for (mine, others) in self.histograms.iter_mut().zip(&other.histograms) {
            mine.add(others).expect("all have the same bounds");
        }
        for (mine, others) in self.sums_us.iter_mut().zip(other.sums_us) {
            *mine = mine.saturating_add(others);
        }
    }

    /// How many times a stage was recorded.
    #[must_use]
    pub fn count(&self, stage: Stage) -> u64 {
        self.histograms[stage as usize].len()
    }

    /// How many of a stage's times do not exceed so many microseconds, as near as one part in a hundred.
    #[must_use]
    pub fn count_up_to(&self, stage: Stage, us: u64) -> u64 {
        self.histograms[stage as usize].count_between(0, us)
    }

    /// All times of a stage together, in microseconds. A time of more than a minute counts as one.
    #[must_use]
    pub fn sum_us(&self, stage: Stage) -> u64 {
        self.sums_us[stage as usize]
    }

    /// What so large a part of a stage's times, from 0 to 1, does not exceed, in microseconds. 0 when there are none.
    #[must_use]
    pub fn quantile_us(&self, stage: Stage, quantile: f64) -> u64 {
        self.histograms[stage as usize].value_at_quantile(quantile)
    }

    /// The longest of a stage's times, in microseconds. 0 when there are none.
    #[must_use]
    pub fn max_us(&self, stage: Stage) -> u64 {
        self.histograms[stage as usize].max()
    }

    fn reset(&mut self) {
        self.histograms.iter_mut().for_each(Histogram::reset);
        self.sums_us = [0; STAGES];
    }
}

/// Operations that were read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Read {
    at: Instant,
    ops: u64,
}

impl Read {
    /// Adds operations that were read at this time.
    pub(crate) fn push_to(reads: &mut Vec<Read>, at: Instant, ops: u64) {
        match reads.last_mut() {
            Some(last) if last.at == at => last.ops += ops,
            _ => reads.push(Read { at, ops }),
        }
    }

    /// Moves the first so many operations from one list to another.
    fn move_first(from: &mut Vec<Read>, mut ops: u64, to: &mut Vec<Read>) {
        from.retain_mut(|read| {
            let moved = read.ops.min(ops);
            ops -= moved;
            read.ops -= moved;
            if moved > 0 {
                to.push(Read { at: read.at, ops: moved });
            }
            read.ops > 0
        });
    }
}

/// Operations that were applied at once, and wait for a frame.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    frame: FrameNumber,
    since: Instant,
    ops: u64,
}

/// Operations that were applied, and whose time was not reported yet.
#[derive(Debug, Default)]
struct Applied {
    /// When they were read.
    reads: Vec<Read>,
    /// How many of them wait for which frame. The frames ascend.
    changes: Vec<(FrameNumber, u64)>,
}

/// A shard's times, and what of it is being timed.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    times: StageTimes,
    /// What waits for a commit; the frames ascend. One entry at most for all connections that had their turn at once,
    /// and each batch of other shards under way.
    waiting: VecDeque<Waiting>,
    /// The last frame that is safe.
    safe: FrameNumber,
    applied: Applied,
}

impl Latency {
    /// What was recorded so far.
    #[must_use]
    pub(crate) fn times(&self) -> &StageTimes {
        &self.times
    }

    /// Forgets what was recorded. What is under way is recorded when it ends.
    pub(crate) fn reset(&mut self) {
        self.times.reset();
    }

    /// Notes that the replies to `commands` that were read together have been written.
    pub(crate) fn note_answered(&mut self, read_at: Instant, now: Instant, commands: u64) {
        self.times.record(Stage::ParseToReply, now - read_at, commands);
    }

    /// Notes that `ops` operations of one of the shard's own clients were applied, of which `changes` wait for `frame`.
    /// [`note_applied_at`](Self::note_applied_at) stamps them, once for all clients that had their turn together.
    pub(crate) fn note_applied(&mut self, read_at: Instant, ops: u64, changes: u64, frame: FrameNumber) {
        Read::push_to(&mut self.applied.reads, read_at, ops);
        self.note_changes(changes, frame);
    }

    /// Notes that `ops` operations of another shard's batch were applied, of which `changes` wait for `frame`. Moves their
    /// read times out of `reads`. Does nothing when the batch carries no read times.
    pub(crate) fn note_applied_for_others(
        &mut self,
        reads: &mut Vec<Read>,
        ops: u64,
        changes: u64,
        frame: FrameNumber,
    ) {
        if !reads.is_empty() {
            Read::move_first(reads, ops, &mut self.applied.reads);
            self.note_changes(changes, frame);
        }
    }

    fn note_changes(&mut self, ops: u64, frame: FrameNumber) {
        match self.applied.changes.last_mut() {
            _ if ops == 0 => {}
            Some((last, before)) if *last == frame => *before += ops,
            _ => self.applied.changes.push((frame, ops)),
        }
    }

    /// Whether operations were applied that have no time yet.
    pub(crate) fn has_untimed(&self) -> bool {
        !self.applied.reads.is_empty()
    }

    /// Stamps all operations that have no time yet with `now`. Called before their frame is safe.
    pub(crate) fn note_applied_at(&mut self, now: Instant) {
        for read in self.applied.reads.drain(..) {
            self.times.record(Stage::Queue, now - read.at, read.ops);
        }
        for (frame, ops) in self.applied.changes.drain(..) {
            if frame <= self.safe {
                self.times.record(Stage::CommitWait, Duration::ZERO, ops);
            } else {
                debug_assert!(self.waiting.back().is_none_or(|last| last.frame <= frame), "frames ascend");
                self.waiting.push_back(Waiting { frame, since: now, ops });
            }
        }
    }

    /// Notes that the log is safe up to a frame.
    pub(crate) fn note_safe(&mut self, frame: FrameNumber, now: Instant) {
        self.safe = frame;
        while let Some(waiting) = self.waiting.pop_front_if(|waiting| waiting.frame <= frame) {
            self.times.record(Stage::CommitWait, now - waiting.since, waiting.ops);
        }
    }

    /// Notes how long a turn of the shard took.
    pub(crate) fn note_turn(&mut self, took: Duration) {
        self.times.record(Stage::Turn, took, 1);
    }

    /// Notes how long a read on another thread took.
    pub(crate) fn note_read_of_log(&mut self, took: Duration) {
        self.times.record(Stage::Read, took, 1);
    }

    /// Notes how long a commit took.
    pub(crate) fn note_commit(&mut self, took: CommitTimes) {
        self.times.record(Stage::Write, took.write, 1);
        if took.sync > Duration::ZERO {
            self.times.record(Stage::Fsync, took.sync, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Stage; STAGES] =
        [Stage::ParseToReply, Stage::Queue, Stage::CommitWait, Stage::Write, Stage::Fsync, Stage::Turn, Stage::Read];

    fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    fn counts(latency: &Latency) -> [u64; STAGES] {
        ALL.map(|stage| latency.times().count(stage))
    }

    /// Within what the digits leave open.
    #[track_caller]
    fn assert_about(us: u64, expected: u64) {
        assert!(us >= expected && us <= expected + expected / 100, "{us} where {expected} is due");
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut times = StageTimes::default();
        (1..=10_000).for_each(|took| times.record(Stage::Write, us(took), 1));
        for (quantile, expected) in [(0.5, 5000), (0.99, 9900), (0.999, 9990)] {
            assert_about(times.quantile_us(Stage::Write, quantile), expected);
        }
        assert_about(times.max_us(Stage::Write), 10_000);
        assert_eq!(times.count(Stage::Write), 10_000);
        for stage in ALL.into_iter().filter(|stage| *stage != Stage::Write) {
            assert_eq!((times.count(stage), times.quantile_us(stage, 0.99), times.max_us(stage)), (0, 0, 0));
        }
    }

    #[test]
    fn times_are_counted_up_to_a_bound_and_summed() {
        let mut times = StageTimes::default();
        for (took, count) in [(0, 2), (40, 3), (60, 4), (5_000, 5)] {
            times.record(Stage::Write, us(took), count);
        }
        let counts = [0, 50, 100, 4_000, 6_000, u64::MAX].map(|bound| times.count_up_to(Stage::Write, bound));
        assert_eq!(counts, [2, 5, 9, 9, 14, 14]);
        assert_eq!(times.sum_us(Stage::Write), 40 * 3 + 60 * 4 + 5_000 * 5);
        let mut both = times.clone();
        both.add(&times);
        assert_eq!(both.sum_us(Stage::Write), 2 * times.sum_us(Stage::Write));
        both.record(Stage::Write, us(TIME_US_MAX + 1), 1);
        assert_eq!(both.count_up_to(Stage::Write, TIME_US_MAX), both.count(Stage::Write), "one that is too long, too");
        both.reset();
        assert_eq!((both.count_up_to(Stage::Write, u64::MAX), both.sum_us(Stage::Write)), (0, 0));
    }

    #[test]
    fn what_takes_no_time_or_for_ever_counts_too() {
        let mut times = StageTimes::default();
        times.record(Stage::Queue, Duration::ZERO, 3);
        assert_eq!((times.count(Stage::Queue), times.max_us(Stage::Queue)), (3, 0));
        times.record(Stage::Queue, Duration::MAX, 1);
        times.record(Stage::Queue, us(TIME_US_MAX + 1_000_000), 1);
        assert_eq!(times.count(Stage::Queue), 5);
        assert_about(times.max_us(Stage::Queue), TIME_US_MAX);
    }

    /// Nine hundred and ninety fast ones on one shard and ten slow ones on another: percentiles of the percentiles would
    /// lie in the middle.
    #[test]
    fn shards_are_added_as_if_they_were_one() {
        let (mut fast, mut slow, mut one) = (StageTimes::default(), StageTimes::default(), StageTimes::default());
        for (shard, took, count) in [(&mut fast, 100, 990), (&mut slow, 50_000, 10)] {
            shard.record(Stage::Fsync, us(took), count);
            one.record(Stage::Fsync, us(took), count);
        }
        let mut sum = StageTimes::default();
        sum.add(&fast);
        sum.add(&slow);
        assert_eq!(sum, one);
        assert_eq!(sum.count(Stage::Fsync), 1000);
        assert_about(sum.quantile_us(Stage::Fsync, 0.99), 100);
        assert_about(sum.quantile_us(Stage::Fsync, 0.991), 50_000);
        assert_about(sum.max_us(Stage::Fsync), 50_000);
    }

    #[test]
    fn a_change_waits_until_its_frame_is_safe() {
        let (mut latency, start) = (Latency::default(), Instant::now());
        latency.note_applied(start, 4, 3, 7);
        latency.note_applied_at(start + us(5));
        latency.note_applied(start + us(10), 2, 2, 8);
        latency.note_applied_at(start + us(20));
        // Three empty queues: nothing waits for a frame.
        latency.note_applied(start + us(20), 3, 0, 0);
        latency.note_applied_at(start + us(21));
        assert_eq!(counts(&latency), [0, 9, 0, 0, 0, 0, 0]);
        latency.note_safe(6, start + us(100));
        assert_eq!(counts(&latency), [0, 9, 0, 0, 0, 0, 0], "another frame");
        latency.note_safe(7, start + us(205));
        assert_eq!(counts(&latency), [0, 9, 3, 0, 0, 0, 0]);
        assert_about(latency.times().max_us(Stage::CommitWait), 200);
        latency.note_safe(9, start + us(1020));
        assert_eq!(counts(&latency), [0, 9, 5, 0, 0, 0, 0]);
        assert_about(latency.times().max_us(Stage::CommitWait), 1000);
        // A flush of a queue that does not exist changes nothing, and its frame is an old one.
        latency.note_applied(start, 1, 1, 9);
        latency.note_applied_at(start + us(2));
        assert_eq!(counts(&latency), [0, 10, 6, 0, 0, 0, 0]);
        assert!(latency.waiting.is_empty());
    }

    /// Two connections' turns, the second of which has filled a frame and begun another, and one that came a look later.
    #[test]
    fn turns_at_once_are_timed_at_once() {
        let (mut latency, start) = (Latency::default(), Instant::now());
        assert!(!latency.has_untimed());
        latency.note_applied(start, 2, 1, 1);
        latency.note_applied(start, 3, 2, 2);
        latency.note_applied(start + us(30), 1, 1, 2);
        assert!(latency.has_untimed());
        assert_eq!(counts(&latency), [0; STAGES], "no time was reported");
        latency.note_applied_at(start + us(50));
        assert!(!latency.has_untimed());
        assert_eq!(counts(&latency), [0, 6, 0, 0, 0, 0, 0]);
        assert_about(latency.times().quantile_us(Stage::Queue, 0.1), 20);
        assert_about(latency.times().quantile_us(Stage::Queue, 0.2), 50);
        assert_eq!(latency.waiting.len(), 2, "one for each frame");
        latency.note_safe(1, start + us(150));
        assert_eq!(counts(&latency), [0, 6, 1, 0, 0, 0, 0]);
        latency.note_safe(2, start + us(250));
        assert_eq!(counts(&latency), [0, 6, 4, 0, 0, 0, 0]);
        assert_about(latency.times().quantile_us(Stage::CommitWait, 0.25), 100);
        assert_about(latency.times().quantile_us(Stage::CommitWait, 0.5), 200);
    }

    #[test]
    fn another_shards_operations_count_from_when_they_were_read() {
        let (mut latency, start) = (Latency::default(), Instant::now());
        let mut reads = Vec::new();
        for at in [0, 0, 0, 60] {
            Read::push_to(&mut reads, start + us(at), 1);
        }
        assert_eq!(reads.len(), 2, "one for what was read at once");
        latency.note_applied_for_others(&mut reads, 5, 2, 1);
        assert!(reads.is_empty());
        assert_eq!(counts(&latency), [0; STAGES], "no time was reported");
        latency.note_applied_at(start + us(160));
        assert_eq!(counts(&latency), [0, 4, 0, 0, 0, 0, 0]);
        assert_about(latency.times().quantile_us(Stage::Queue, 0.25), 100);
        assert_about(latency.times().quantile_us(Stage::Queue, 0.5), 160);
        latency.note_safe(1, start + us(260));
        assert_eq!(counts(&latency), [0, 4, 2, 0, 0, 0, 0]);
        assert_about(latency.times().max_us(Stage::CommitWait), 100);
    }

    #[test]
    fn a_reset_forgets_all_but_what_is_under_way() {
        let (mut latency, start) = (Latency::default(), Instant::now());
        latency.note_answered(start, start + us(9), 2);
        latency.note_commit(CommitTimes { write: us(1), sync: us(2) });
        latency.note_commit(CommitTimes { write: us(1), sync: Duration::ZERO });
        latency.note_applied(start, 1, 1, 1);
        latency.note_applied_at(start);
        assert_eq!(counts(&latency), [2, 1, 0, 2, 1, 0, 0], "a commit without an fdatasync has none that took no time");
        latency.reset();
        assert_eq!(latency.times(), &StageTimes::default());
        latency.note_safe(1, start + us(5));
        assert_eq!(counts(&latency), [0, 0, 1, 0, 0, 0, 0]);
    }
}
