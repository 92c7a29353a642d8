//! Several results side by side, by case and server.

use std::fmt::Write;

use serde_json::Value;

use super::{number, text};

/// The servers' figures in one case: medians, where a server was run more than once.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) server: String,
    /// Sets that were stored, and gets that brought a message; or misses.
    pub(super) messages_per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p999_ms: f64,
    pub(super) server_us: Option<f64>,
    /// To the baseline's throughput.
    pub(super) ratio: Option<f64>,
    pub(super) runs: usize,
    /// One of the results, for what cannot be a median.
    pub(super) document: usize,
}

/// Things by name, in the order in which the names first came.
pub(super) type Named<'a, T> = Vec<(&'a str, T)>;

#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    /// Gets that brought nothing are what is counted, since none of the runs had anything else.
    pub(super) is_of_misses: bool,
    pub(super) rows: Vec<Row>,
}

impl Case {
    /// What is counted, in a word.
    pub(super) fn counts(&self) -> &'static str {
        if self.is_of_misses { "misses" } else { "messages" }
    }
}

#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) cases: Vec<Case>,
    /// The server that the others are compared to, where there is one for all.
    baseline: Option<String>,
    warnings: Vec<String>,
}

impl Comparison {
    /// Labels are CASE/SERVER. Cases and servers stay in the order in which they first come.
    pub(super) fn new(documents: &[Value], baseline: Option<&str>) -> Result<Comparison, String> {
        let mut cases: Named<'_, Named<'_, Vec<usize>>> = Vec::new();
        for (number, document) in documents.iter().enumerate() {
            let (case, server) = split(text(document, "/label"));
            let case = entry(&mut cases, case);
            entry(case, server).push(number);
        }
        let known = |name: &str| cases.iter().any(|(_, servers)| servers.iter().any(|(server, _)| *server == name));
        if let Some(name) = baseline.filter(|name| !known(name)) {
            return Err(format!("there is no result of {name} to compare to"));
        }
        let cases = cases.iter().map(|(name, servers)| case(documents, name, servers, baseline)).collect();
        Ok(Comparison { cases, baseline: baseline.map(String::from), warnings: warnings(documents) })
    }

    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = self.write_table(&mut out);
        out
    }

    fn write_table(&self, out: &mut String) -> std::fmt::Result {
        for case in &self.cases {
            let first = case.rows.first().map_or("", |row| row.server.as_str());
            let to = format!("/ {}", self.baseline.as_deref().unwrap_or(first));
            writeln!(
                out,
                "{:<22}{:>6}{:>12}{:>10}{:>10}{:>11}{:>12}{to:>14}",
                case.name,
                "runs",
                format!("{}/s", case.counts()),
                "p50 ms",
                "p99 ms",
                "p99.9 ms",
                "cpu us"
            )?;
            for row in &case.rows {
                let Row { server, runs, messages_per_second: messages, p50_ms, p99_ms, p999_ms, .. } = row;
                let cpu = row.server_us.map_or(String::from("-"), |us| format!("{us:.3}"));
                let ratio = row.ratio.map_or(String::from("-"), |ratio| format!("{ratio:.2}"));
                write!(out, "  {server:<20}{runs:>6}{messages:>12.0}{p50_ms:>10.3}{p99_ms:>10.3}{p999_ms:>11.3}")?;
                writeln!(out, "{cpu:>12}{ratio:>14}")?;
            }
            writeln!(out)?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(out, "WARNING: {warning}"))
    }
}

/// A label's case and server; either may be missing.
pub(super) fn split(label: &str) -> (&str, &str) {
    match label.split_once('/') {
        Some(parts) => parts,
        None if label.is_empty() => ("all", "-"),
        None => ("all", label),
    }
}

pub(super) fn entry<'a, 'b, T: Default>(entries: &'b mut Named<'a, T>, name: &'a str) -> &'b mut T {
    let at = entries.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
        entries.push((name, T::default()));
        entries.len() - 1
    });
    &mut entries[at].1
}

fn case(documents: &[Value], name: &str, servers: &Named<'_, Vec<usize>>, baseline: Option<&str>) -> Case {
    let to = match baseline {
        Some(baseline) => servers.iter().find(|(server, _)| *server == baseline),
        None => servers.first(),
    };
    let messages = |document: &Value| number(document, "/sets/per_second") + number(document, "/gets/hits_per_second");
    let mut all = servers.iter().flat_map(|(_, runs)| runs);
    let is_of_misses = all.all(|run| messages(&documents[*run]) == 0.0);
    let messages = |run: usize| {
        let document = &documents[run];
        if is_of_misses { number(document, "/gets/misses_per_second") } else { messages(document) }
    };
    let row = |(server, runs): &(&str, Vec<usize>)| {
        let middle =
            |path: &str| median(runs.iter().map(|run| number(&documents[*run], path)).collect()).unwrap_or(0.0);
        let known = runs.iter().filter(|run| documents[**run]["server_cpu"].is_object());
        // Round by round, since a machine is not as fast in every one.
        let pairs = to.map(|(_, others)| runs.iter().zip(others).map(|(run, other)| messages(*run) / messages(*other)));
        Row {
            server: String::from(*server),
            messages_per_second: median(runs.iter().map(|run| messages(*run)).collect()).unwrap_or(0.0),
            p50_ms: middle("/totals/latency_ms/p50"),
            p99_ms: middle("/totals/latency_ms/p99"),
            p999_ms: middle("/totals/latency_ms/p99.9"),
            server_us: median(known.map(|run| number(&documents[*run], "/server_cpu/us_per_op")).collect()),
            ratio: pairs.and_then(|pairs| median(pairs.filter(|ratio| ratio.is_finite()).collect())),
            runs: runs.len(),
            document: runs[runs.len() / 2],
        }
    };
    Case { name: String::from(name), is_of_misses, rows: servers.iter().map(row).collect() }
}

pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().saturating_sub(1) / 2)?, values.get(values.len() / 2)?);
    Some((low + high) / 2.0)
}

fn warnings(documents: &[Value]) -> Vec<String> {
    let of = |document: &Value| -> Vec<String> {
        let label = String::from(text(document, "/label"));
        let warnings = document["warnings"].as_array().into_iter().flatten();
        let failure = document["failure"].as_str().map(|failure| format!("{label}: {failure}"));
        let unclean = document["verify"]["clean"].as_bool() == Some(false);
        let unclean = unclean.then(|| format!("{label}: not all messages came through"));
        warnings
            .filter_map(|warning| Some(format!("{label}: {}", warning.as_str()?)))
            .chain(failure)
            .chain(unclean)
            .collect()
    };
    documents.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result(label: &str, messages: f64) -> Value {
        let gets = json!({"hits_per_second": messages / 2.0, "misses_per_second": 12345.0});
        json!({"label": label, "sets": {"per_second": messages / 2.0}, "gets": gets, "totals": {"latency_ms": {"p50": 1.0, "p99": 2.0, "p99.9": 3.0}}})
    }

    #[test]
    fn results_are_grouped_and_compared_round_by_round() {
        let documents = [
            result("pl1/rushq", 100.0),
            result("pl1/redis", 50.0),
            result("pl1/rushq", 300.0),
            result("pl1/redis", 100.0),
            result("pl16/redis", 10.0),
        ];
        let comparison = Comparison::new(&documents, Some("redis")).unwrap();
        let names: Vec<&str> = comparison.cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names, ["pl1", "pl16"]);
        let rushq = &comparison.cases[0].rows[0];
        assert_eq!((rushq.messages_per_second, rushq.ratio, rushq.runs), (200.0, Some(2.5), 2));
        assert_eq!((comparison.cases[0].rows[1].ratio, rushq.server_us), (Some(1.0), None));
        assert!(comparison.table().contains("/ redis"));
        assert!(Comparison::new(&documents, Some("other")).is_err());
    }

    #[test]
    fn without_a_baseline_the_first_is_it() {
        let documents = [result("a", 100.0), result("b", 50.0), result("", 1.0)];
        let comparison = Comparison::new(&documents, None).unwrap();
        let ratios: Vec<Option<f64>> = comparison.cases[0].rows.iter().map(|row| row.ratio).collect();
        assert_eq!(ratios, [Some(1.0), Some(0.5), Some(0.01)]);
        assert_eq!(comparison.cases[0].name, "all");
    }

    #[test]
    fn runs_that_brought_nothing_are_compared_by_their_misses() {
        let mut many = result("sold/rushq", 0.0);
        many["gets"]["misses_per_second"] = json!(24690.0);
        let documents = [many, result("sold/memcached", 0.0), result("bought/rushq", 7.0)];
        let comparison = Comparison::new(&documents, Some("memcached")).unwrap();
        let figures =
            |case: usize| (comparison.cases[case].counts(), comparison.cases[case].rows[0].messages_per_second);
        assert_eq!((figures(0), figures(1)), (("misses", 24690.0), ("messages", 7.0)));
        assert_eq!(comparison.cases[0].rows[0].ratio, Some(2.0));
        assert!(comparison.table().contains("misses/s"));
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn what_is_wrong_with_a_result_is_said_again() {
        let mut document = result("a/b", 1.0);
        document["failure"] = json!("gone");
        document["warnings"] = json!(["slow"]);
        let table = Comparison::new(&[document], None).unwrap().table();
        assert!(table.contains("WARNING: a/b: gone") && table.contains("WARNING: a/b: slow"), "{table}");
    }
}
