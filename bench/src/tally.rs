//! What came of the load, in numbers.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

const LATENCY_NS_MAX: u64 = 1_000_000_000_000;

/// The counts of one thread, or of all.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Sets that were stored.
    pub(crate) sets: u64,
    /// Sets that the server refused.
    pub(crate) refused: u64,
    /// Gets that brought a message.
    pub(crate) hits: u64,
    /// Gets that brought none.
    pub(crate) misses: u64,
    /// Commands that were answered with an error.
    pub(crate) errors: u64,
    /// The last error's words.
    pub(crate) last_error: Option<String>,
    /// From the sending of a batch to its last answer.
    pub(crate) latency_ns: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        let latency_ns = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("the bounds are good");
        Tally { sets: 0, refused: 0, hits: 0, misses: 0, errors: 0, last_error: None, latency_ns }
    }

    pub(crate) fn batch(&mut self, latency: Duration) {
        self.latency_ns.saturating_record(latency.as_nanos() as u64);
    }

    pub(crate) fn error(&mut self, line: &[u8]) {
        self.errors += 1;
        self.last_error = Some(line.escape_ascii().to_string());
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        self.sets += other.sets;
        self.refused += other.refused;
        self.hits += other.hits;
        self.misses += other.misses;
        self.errors += other.errors;
        if other.last_error.is_some() {
            self.last_error.clone_from(&other.last_error);
        }
        self.latency_ns.add(&other.latency_ns).expect("the bounds are the same");
    }
}

/// A finished run, to be displayed.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) tally: Tally,
    pub(crate) took: Duration,
    /// Requests were asked for, but the time was up before.
    pub(crate) cut_short: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        let gets = tally.hits + tally.misses;
        let seconds = self.took.as_secs_f64().max(1e-9);
        writeln!(f, "{:<8} {:>14} {:>14}", "", "in all", "per second")?;
        // What was refused or failed is no operation done, however fast the answer was.
        for (name, count) in [
            ("ops", tally.sets + gets),
            ("sets", tally.sets),
            ("gets", gets),
            ("hits", tally.hits),
            ("misses", tally.misses),
            ("refused", tally.refused),
            ("errors", tally.errors),
        ] {
            writeln!(f, "{name:<8} {count:>14} {:>14.0}", count as f64 / seconds)?;
        }
        let us = |quantile| tally.latency_ns.value_at_quantile(quantile) as f64 / 1000.0;
        let (p50, p99, p999) = (us(0.5), us(0.99), us(0.999));
        writeln!(f, "latency of a batch, us: p50 {p50:.1}  p99 {p99:.1}  p99.9 {p999:.1}")?;
        if let Some(error) = &tally.last_error {
            writeln!(f, "last error: {error}")?;
        }
        if self.cut_short {
            writeln!(f, "stopped after {seconds:.1} s, before all requests were made")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up_and_are_displayed() {
        let mut tally = Tally::new();
        (tally.sets, tally.refused, tally.hits, tally.misses) = (10, 1, 6, 4);
        tally.batch(Duration::from_micros(100));
        let mut other = Tally::new();
        other.sets = 10;
        other.error(b"SERVER_ERROR no");
        other.batch(Duration::from_micros(300));
        tally.add(&other);
        let report = Report { tally, took: Duration::from_secs(2), cut_short: false }.to_string();
        let rows: Vec<Vec<&str>> = report.lines().map(|line| line.split_whitespace().collect()).collect();
        for row in [["ops", "30", "15"], ["sets", "20", "10"], ["gets", "10", "5"], ["hits", "6", "3"]] {
            assert!(rows.contains(&row.to_vec()), "{row:?} in\n{report}");
        }
        for row in [["misses", "4", "2"], ["refused", "1", "0"], ["errors", "1", "0"]] {
            assert!(rows.contains(&row.to_vec()), "{row:?} in\n{report}");
        }
        assert!(report.contains("p50 100.0") && report.contains("p99.9 300."), "{report}");
        assert!(report.contains("last error: SERVER_ERROR no"), "{report}");
    }
}
