//! Rushes on gates side by side, by case and server.

use std::fmt::Write;

use serde_json::Value;

use super::several::{Named, entry, median, split};
use super::{gate, number, text};

/// A server's figures in one case: medians of its runs.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) server: String,
    /// From the first request to the answer with the last seat.
    sold_out_ms: f64,
    /// The longest of that.
    sold_out_ms_max: f64,
    /// The runs in which all tickets were told.
    sold_out: usize,
    seat_p99_ms: f64,
    refusal_p99_ms: f64,
    refusals_per_second: f64,
    kills: u64,
    violations: u64,
    /// The baseline's time to the last seat, to this one's.
    ratio: Option<f64>,
    runs: usize,
}

#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) cases: Vec<Case>,
    baseline: String,
    warnings: Vec<String>,
}

/// The title, the unit and the figure of each plot.
type Figure = (&'static str, &'static str, fn(&Row) -> f64);
pub(super) const FIGURES: [Figure; 3] = [
    ("Sold out", "ms from the first request to the answer with the last seat", |row| row.sold_out_ms),
    ("Refusals", "per second", |row| row.refusals_per_second),
    ("Violations", "of what a gate promises", |row| row.violations as f64),
];

impl Comparison {
    /// Labels are CASE/SERVER. Without a baseline it is the first server.
    ///
    /// # Errors
    /// When a document is no rush's, or there is none of the baseline.
    pub(super) fn new(documents: &[Value], baseline: Option<&str>) -> Result<Comparison, String> {
        if !documents.iter().all(gate::is) {
            return Err(String::from("results of --gate with --buyers and of other runs have nothing to compare"));
        }
        let server = |document| split(text(document, "/label")).1;
        if let Some(name) = baseline.filter(|name| documents.iter().all(|document| server(document) != *name)) {
            return Err(format!("there is no result of {name} to compare to"));
        }
        let baseline = baseline.unwrap_or_else(|| documents.first().map_or("", server));
        let mut cases: Named<'_, Named<'_, Vec<&Value>>> = Vec::new();
        let mut warnings = Vec::new();
        for document in documents {
            let label = text(document, "/label");
            let (case, server) = split(label);
            entry(entry(&mut cases, case), server).push(document);
            let said = document["warnings"].as_array().into_iter().flatten().chain([&document["failure"]]);
            let said = said.filter_map(Value::as_str).map(String::from);
            warnings.extend(said.chain(gate::violations(document)).map(|line| format!("{label}: {line}")));
        }
        let cases = cases.iter().map(|(name, servers)| case(name, servers, baseline)).collect();
        Ok(Comparison { cases, baseline: String::from(baseline), warnings })
    }

    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = self.write_table(&mut out);
        out
    }

    fn write_table(&self, out: &mut String) -> std::fmt::Result {
        let to = format!("{} /", self.baseline);
        for case in &self.cases {
            write!(out, "{:<22}{:>6}{:>10}{:>13}{:>10}", case.name, "runs", "sold out", "p50 ms to it", "max ms")?;
            write!(out, "{:>14}{:>16}{:>13}", "seat p99 ms", "refusal p99 ms", "refusals/s")?;
            writeln!(out, "{:>7}{:>12}{to:>14}", "kills", "violations")?;
            for row in &case.rows {
                let Row { server, runs, sold_out, sold_out_ms, sold_out_ms_max, .. } = row;
                write!(out, "  {server:<20}{runs:>6}{sold_out:>10}{sold_out_ms:>13.3}{sold_out_ms_max:>10.3}")?;
                let Row { seat_p99_ms, refusal_p99_ms, refusals_per_second, kills, violations, .. } = row;
                write!(out, "{seat_p99_ms:>14.3}{refusal_p99_ms:>16.3}{refusals_per_second:>13.0}")?;
                let ratio = row.ratio.map_or(String::from("-"), |ratio| format!("{ratio:.2}"));
                writeln!(out, "{kills:>7}{violations:>12}{ratio:>14}")?;
            }
            writeln!(out)?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(out, "WARNING: {warning}"))
    }
}

fn sold_out_ms(runs: &[&Value]) -> Vec<f64> {
    runs.iter().filter_map(|run| run["gate"]["sold_out_ms"].as_f64()).collect()
}

fn case(name: &str, servers: &Named<'_, Vec<&Value>>, baseline: &str) -> Case {
    let base = servers.iter().find(|(server, _)| *server == baseline);
    let base_ms = base.and_then(|(_, runs)| median(sold_out_ms(runs)));
    let row = |(server, runs): &(&str, Vec<&Value>)| {
        let middle = |path: &str| median(runs.iter().map(|run| number(run, path)).collect()).unwrap_or(0.0);
        let all_ms = sold_out_ms(runs);
        let sold_out = all_ms.len();
        let sold_out_ms_max = all_ms.iter().copied().fold(0.0, f64::max);
        let own_ms = median(all_ms);
        let violations = |run: &&Value| {
            let sentences = run["checked"]["sentences"].as_array().into_iter().flatten();
            sentences.filter_map(|sentence| sentence["violations"].as_u64()).sum::<u64>()
        };
        Row {
            server: String::from(*server),
            sold_out_ms: own_ms.unwrap_or(0.0),
            sold_out_ms_max,
            sold_out,
            seat_p99_ms: middle("/gate/seat_ms/p99"),
            refusal_p99_ms: middle("/gate/refusal_ms/p99"),
            refusals_per_second: middle("/gate/refusals_per_second"),
            kills: runs.iter().map(|run| run["kills"].as_array().map_or(0, Vec::len) as u64).sum(),
            violations: runs.iter().map(violations).sum(),
            ratio: own_ms.zip(base_ms).map(|(own, base)| base / own).filter(|ratio| ratio.is_finite()),
            runs: runs.len(),
        }
    };
    Case { name: String::from(name), rows: servers.iter().map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::super::gate::tests::example;
    use super::*;

    #[test]
    fn rushes_are_compared_by_their_medians_and_their_faults_added_up() {
        let mut slow = example("--label one/slow");
        slow["gate"]["sold_out_ms"] = 20.0.into();
        let mut unsold = example("--label one/slow");
        unsold["gate"]["sold_out_ms"] = Value::Null;
        let documents = [example("--label one/fast"), slow, unsold];
        let comparison = Comparison::new(&documents, Some("slow")).unwrap();
        let [fast, slow] = &comparison.cases[0].rows[..] else { panic!("{comparison:?}") };
        assert_eq!((fast.runs, fast.sold_out, fast.sold_out_ms, fast.ratio), (1, 1, 5.0, Some(4.0)));
        assert_eq!((slow.runs, slow.sold_out, slow.sold_out_ms, slow.ratio), (2, 1, 20.0, Some(1.0)));
        assert_eq!((slow.kills, slow.violations, slow.refusals_per_second), (2, 2, 1000.0));
        let table = comparison.table();
        assert!(table.contains("slow /") && table.contains("WARNING: one/fast: violated 1 times"), "{table}");
    }

    #[test]
    fn only_rushes_are_compared_with_rushes() {
        let other = super::super::json::tests::example("--label one/other");
        let documents = [example("--label one/fast"), other];
        assert!(Comparison::new(&documents, None).unwrap_err().contains("nothing to compare"));
        assert!(Comparison::new(&documents[..1], Some("x")).unwrap_err().contains("no result of x"));
    }
}
