//! What came of the requests, in numbers: second by second, and in all.

use hdrhistogram::Histogram;

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
    /// Sets that were stored, or gets that were answered with a message or with none.
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
    pub(crate) gets: Side,
    /// Gets that brought a message.
    pub(crate) hits: u64,
    /// Sets that the server refused.
    pub(crate) refused: u64,
    pub(crate) first_error: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        let side = || Side { done: 0, errors: 0, bytes: 0, latency_ns: latencies() };
        Tally { sets: side(), gets: side(), hits: 0, refused: 0, first_error: None }
    }

    pub(crate) fn side(&mut self, is_set: bool) -> &mut Side {
        if is_set { &mut self.sets } else { &mut self.gets }
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
        self.sets.done + self.gets.done
    }

    /// All requests that were answered, whatever the answer was.
    pub(crate) fn answers(&self) -> u64 {
        self.ops() + self.refused + self.errors()
    }

    pub(crate) fn errors(&self) -> u64 {
        self.sets.errors + self.gets.errors
    }

    pub(crate) fn error(&mut self, is_set: bool, line: &[u8]) {
        self.side(is_set).errors += 1;
        self.first_error.get_or_insert_with(|| line.escape_ascii().to_string());
    }

    /// The latencies of sets and gets together.
    pub(crate) fn latency_of_both(&self) -> Histogram<u64> {
        let mut both = self.sets.latency_ns.clone();
        both.add(&self.gets.latency_ns).expect("the bounds are the same");
        both
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        for (side, other) in [(&mut self.sets, &other.sets), (&mut self.gets, &other.gets)] {
            side.done += other.done;
            side.errors += other.errors;
            side.bytes += other.bytes;
            side.latency_ns.add(&other.latency_ns).expect("the bounds are the same");
        }
        self.hits += other.hits;
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
}

impl Run {
    #[inline]
    pub(crate) fn add(&mut self, tally: &mut Tally, is_set: bool, latency_ns: u64) {
        if self.latency_ns != latency_ns {
            self.finish(tally);
            self.latency_ns = latency_ns;
        }
        self.sets += u64::from(is_set);
        self.gets += u64::from(!is_set);
    }

    pub(crate) fn finish(&mut self, tally: &mut Tally) {
        let latency_ns = self.latency_ns.clamp(LATENCY_NS_MIN, LATENCY_NS_MAX);
        for (side, count) in [(&mut tally.sets, &mut self.sets), (&mut tally.gets, &mut self.gets)] {
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
        let both = tally.latency_of_both();
        Second {
            number,
            sets: tally.sets.done,
            gets: tally.gets.done,
            hits: tally.hits,
            refused: tally.refused,
            errors: tally.errors(),
            p50_ns: both.value_at_quantile(0.5),
            p99_ns: both.value_at_quantile(0.99),
            max_ns: both.max(),
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
        other.error(true, b"SERVER_ERROR no");
        other.error(false, b"ERROR");
        tally.add(&other);
        assert_eq!((tally.ops(), tally.misses(), tally.errors(), tally.answers()), (28, 2, 2, 31));
        assert_eq!(tally.messages(), 26);
        assert_eq!((tally.gets.bytes, tally.first_error.as_deref()), (100, Some("SERVER_ERROR no")));
    }

    #[test]
    fn runs_of_latencies_are_counted_each() {
        let (mut tally, mut run) = (Tally::new(), Run::default());
        for (is_set, latency_ns) in [(true, 1000), (false, 1000), (false, 1000), (true, 5000), (true, 0)] {
            run.add(&mut tally, is_set, latency_ns);
        }
        run.finish(&mut tally);
        run.finish(&mut tally);
        assert_eq!((tally.sets.latency_ns.len(), tally.gets.latency_ns.len()), (3, 2));
        assert!((4990..5100).contains(&tally.sets.latency_ns.max()));
        let second = Second::new(3, &tally);
        assert!((990..1030).contains(&second.p50_ns) && second.max_ns >= 4990, "{second:?}");
    }
}
