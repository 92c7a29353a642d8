//! What came of the requests, in numbers: second by second, and in all.

use hdrhistogram::Histogram;

use crate::workload::Act;

/// Shorter latencies are counted as this, and none is told apart from another more closely.
const LATENCY_NS_MIN: u64 = 64;
const LATENCY_NS_MAX: u64 = 1_000_000_000_000;

/// How long answers took, in nanoseconds.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, 3).expect("the bounds are good")
}

/// Requests of one kind.
#[derive(Debug)]
pub(crate) struct Side {
    /// Sets that were stored, gets that were answered with a message or with none, or acknowledgements that counted.
    pub(crate) done: u64,
    pub(crate) errors: u64,
    /// Bytes of the messages.
    pub(crate) bytes: u64,
    pub(crate) latency_ns: Histogram<u64>,
}

/// The counts of some time.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) sets: Side,
    /// Opens too, also those that acknowledge what was open before.
    pub(crate) gets: Side,
    /// Requests that acknowledge and no more.
    pub(crate) acks: Side,
    /// Acknowledgements that came too late.
    pub(crate) not_held: u64,
    /// Gets that brought a message.
    pub(crate) hits: u64,
    /// Sets that the server refused.
    pub(crate) refused: u64,
    pub(crate) first_error: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        let side = || Side { done: 0, errors: 0, bytes: 0, latency_ns: latencies() };
        Tally { sets: side(), gets: side(), acks: side(), not_held: 0, hits: 0, refused: 0, first_error: None }
    }

    fn side(&mut self, act: Act) -> &mut Side {
        match act {
            Act::Set => &mut self.sets,
            Act::Close | Act::Delete | Act::Pay => &mut self.acks,
            Act::Get | Act::Open | Act::CloseOpen | Act::OpenNamed | Act::Join => &mut self.gets,
        }
    }

    /// Gets that brought nothing.
    pub(crate) fn misses(&self) -> u64 {
        self.gets.done - self.hits
    }

    /// Messages that came into a queue or out of one: what a queue server is for.
    pub(crate) fn messages(&self) -> u64 {
        self.sets.done + self.hits
    }

    /// What was refused or failed is no operation done, however fast the answer was.
    pub(crate) fn ops(&self) -> u64 {
        self.sets.done + self.gets.done + self.acks.done
    }

    /// All requests that were answered, whatever the answer was.
    pub(crate) fn answers(&self) -> u64 {
        self.ops() + self.refused + self.not_held + self.errors()
    }

    pub(crate) fn errors(&self) -> u64 {
        self.sets.errors + self.gets.errors + self.acks.errors
    }

    pub(crate) fn error(&mut self, act: Act, line: &[u8]) {
        self.side(act).errors += 1;
        self.first_error.get_or_insert_with(|| line.escape_ascii().to_string());
    }

    /// The latencies of all requests together.
    pub(crate) fn latency_of_all(&self) -> Histogram<u64> {
        let mut all = self.sets.latency_ns.clone();
        for side in [&self.gets, &self.acks] {
            all.add(&side.latency_ns).expect("the bounds are the same");
        }
        all
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        for (side, other) in
            [(&mut self.sets, &other.sets), (&mut self.gets, &other.gets), (&mut self.acks, &other.acks)]
        {
            side.done += other.done;
            side.errors += other.errors;
            side.bytes += other.bytes;
            side.latency_ns.add(&other.latency_ns).expect("the bounds are the same");
        }
        self.hits += other.hits;
        self.not_held += other.not_held;
        self.refused += other.refused;
        if self.first_error.is_none() {
            self.first_error.clone_from(&other.first_error);
        }
    }
}

/// Latencies that are mostly the same, since answers come many at a time: they are counted together.
#[derive(Debug, Default)]
pub(crate) struct Run {
    latency_ns: u64,
    sets: u64,
    gets: u64,
    acks: u64,
}

impl Run {
    #[inline]
    pub(crate) fn add(&mut self, tally: &mut Tally, act: Act, latency_ns: u64) {
        if self.latency_ns != latency_ns {
            self.finish(tally);
            self.latency_ns = latency_ns;
        }
        match act {
            Act::Set => self.sets += 1,
            Act::Close | Act::Delete | Act::Pay => self.acks += 1,
            Act::Get | Act::Open | Act::CloseOpen | Act::OpenNamed | Act::Join => self.gets += 1,
        }
    }

    pub(crate) fn finish(&mut self, tally: &mut Tally) {
        let latency_ns = self.latency_ns.clamp(LATENCY_NS_MIN, LATENCY_NS_MAX);
        for (side, count) in
            [(&mut tally.sets, &mut self.sets), (&mut tally.gets, &mut self.gets), (&mut tally.acks, &mut self.acks)]
        {
            if *count > 0 {
                side.latency_ns.saturating_record_n(latency_ns, *count);
                *count = 0;
            }
        }
    }
}

/// One line of the run's course.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Second {
    pub(crate) number: u64,
    pub(crate) sets: u64,
    pub(crate) gets: u64,
    pub(crate) hits: u64,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) max_ns: u64,
}

impl Second {
    pub(crate) fn new(number: u64, tally: &Tally) -> Second {
        let all = tally.latency_of_all();
        Second {
            number,
            sets: tally.sets.done,
            gets: tally.gets.done,
            hits: tally.hits,
            refused: tally.refused,
            errors: tally.errors(),
            p50_ns: all.value_at_quantile(0.5),
            p99_ns: all.value_at_quantile(0.99),
            max_ns: all.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up() {
        let (mut tally, mut other) = (Tally::new(), Tally::new());
        (tally.sets.done, tally.gets.done, tally.hits, tally.refused) = (10, 8, 6, 1);
        (other.sets.done, other.gets.bytes) = (10, 100);
        (other.acks.done, other.not_held) = (5, 2);
        other.error(Act::Set, b"SERVER_ERROR no");
        other.error(Act::Open, b"ERROR");
        other.error(Act::Close, b"ERROR");
        tally.add(&other);
        assert_eq!((tally.ops(), tally.misses(), tally.errors(), tally.answers()), (33, 2, 3, 39));
        assert_eq!(tally.messages(), 26);
        assert_eq!((tally.gets.bytes, tally.first_error.as_deref()), (100, Some("SERVER_ERROR no")));
    }

    #[test]
    fn runs_of_latencies_are_counted_each() {
        let (mut tally, mut run) = (Tally::new(), Run::default());
        let acts = [Act::Set, Act::Get, Act::Close, Act::OpenNamed, Act::Set, Act::Set];
        for (act, latency_ns) in acts.into_iter().zip([1000, 1000, 1000, 1000, 5000, 0]) {
            run.add(&mut tally, act, latency_ns);
        }
        run.finish(&mut tally);
        run.finish(&mut tally);
        let counts = [&tally.sets, &tally.gets, &tally.acks].map(|side| side.latency_ns.len());
        assert_eq!(counts, [3, 2, 1]);
        assert!((4990..5100).contains(&tally.sets.latency_ns.max()));
        let second = Second::new(3, &tally);
        assert!((990..1030).contains(&second.p50_ns) && second.max_ns >= 4990, "{second:?}");
    }
}
