//! What a client felt beside loads: the document, its table, and several of them side by side.

use std::fmt::Write;

use serde_json::{Value, json};

use super::several::{Named, entry, median, split};
use super::{json as run_json, number, text};
use crate::beside::{Beside, Measured};
use crate::options::{Arguments, Load};
use crate::usage;

/// A client that waited for a CPU for more than this share of the time felt that, and not the server alone.
const WAITED_SHARE_MAX: f64 = 0.1;

/// A document is of this kind.
pub(super) fn is(document: &Value) -> bool {
    document["beside"].is_array()
}

pub(super) fn document(options: &Arguments, outcome: &Beside) -> Value {
    let mut document = run_json::head(options, outcome.began);
    let figures = json!({
        "configuration": {
            "server": options.server,
            "port": options.port,
            "test_time": options.time_max().as_secs_f64(),
            "data_size": options.data_size,
            "key_prefix": options.key_prefix,
        },
        "beside": outcome.loads.iter().map(one).collect::<Vec<Value>>(),
        "warnings": outcome.loads.iter().flat_map(warnings).collect::<Vec<String>>(),
    });
    run_json::extend(&mut document, figures);
    document
}

fn one(measured: &Measured) -> Value {
    let mut value = json!({ "load": measured.load.name() });
    let figures = match &measured.outcome {
        Err(reason) => json!({ "failure": reason }),
        Ok((felt, pressed)) => {
            let seconds = pressed.took.as_secs_f64().max(1e-9);
            json!({
                "pairs": felt.latency_ns.len(),
                "seconds": felt.took.as_secs_f64(),
                "latency_ms": run_json::latency(&felt.latency_ns),
                "distribution_ms": run_json::distribution(&felt.latency_ns),
                "waited_for_cpu_seconds": felt.waited.map(|waited| waited.as_secs_f64()),
                "requests_per_second": pressed.requests as f64 / seconds,
                "sent_mb_per_second": pressed.bytes_sent as f64 / 1e6 / seconds,
                "received_mb_per_second": pressed.bytes_received as f64 / 1e6 / seconds,
                "load_generator_cores": pressed.cpu_share,
            })
        }
    };
    run_json::extend(&mut value, figures);
    value
}

/// What makes the figures less than they seem.
fn warnings(measured: &Measured) -> Vec<String> {
    let name = measured.load.name();
    let Ok((felt, pressed)) = &measured.outcome else { return vec![] };
    let waited = felt.waited.unwrap_or_default().as_secs_f64() / felt.took.as_secs_f64().max(1e-9);
    let mut warnings = Vec::new();
    if waited > WAITED_SHARE_MAX {
        let percent = waited * 100.0;
        warnings.push(format!("{name}: for {percent:.0} % of the time the client waited for a CPU of this machine"));
    }
    if pressed.cpu_share > usage::SHARE_MAX && measured.load != Load::None {
        let percent = pressed.cpu_share * 100.0;
        warnings.push(format!("{name}: the load used {percent:.0} % of a core, so the server could be loaded more"));
    }
    warnings
}

/// The report as text.
pub(super) fn table(document: &Value) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write_table(&mut out, document);
    out
}

fn write_table(out: &mut String, document: &Value) -> std::fmt::Result {
    let seconds = number(document, "/configuration/test_time");
    writeln!(out, "a set and the get behind it, one client, {seconds} s beside each load")?;
    write!(out, "{:<14}{:>10}{:>11}{:>11}{:>11}{:>11}", "load", "pairs", "p50 ms", "p99 ms", "p99.9 ms", "max ms")?;
    writeln!(out, "{:>14}{:>12}{:>12}{:>8}", "requests/s", "MB/s sent", "received", "cores")?;
    for load in document["beside"].as_array().into_iter().flatten() {
        if let Some(reason) = load["failure"].as_str() {
            writeln!(out, "{:<14}FAILED: {reason}", text(load, "/load"))?;
            continue;
        }
        write!(out, "{:<14}{:>10}", text(load, "/load"), load["pairs"])?;
        for name in ["p50", "p99", "p99.9", "max"] {
            write!(out, "{:>11.3}", number(load, &format!("/latency_ms/{name}")))?;
        }
        write!(out, "{:>14.0}", number(load, "/requests_per_second"))?;
        write!(out, "{:>12.1}", number(load, "/sent_mb_per_second"))?;
        write!(out, "{:>12.1}", number(load, "/received_mb_per_second"))?;
        writeln!(out, "{:>8.2}", number(load, "/load_generator_cores"))?;
    }
    for warning in document["warnings"].as_array().into_iter().flatten() {
        writeln!(out, "WARNING: {}", warning.as_str().unwrap_or(""))?;
    }
    Ok(())
}

/// A server's figures beside one load: medians where it was measured more than once, and of the longest times the longest.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) server: String,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
    pub(super) requests_per_second: f64,
    /// Of the median, to the baseline's.
    pub(super) ratio: Option<f64>,
    pub(super) runs: usize,
}

#[derive(Debug)]
pub(super) struct Compared {
    pub(super) name: String,
    pub(super) rows: Vec<Row>,
}

/// Servers beside each other, load by load.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) loads: Vec<Compared>,
    baseline: String,
    warnings: Vec<String>,
}

impl Comparison {
    /// A label's server tells the documents apart. Without a baseline it is the first.
    pub(super) fn new(documents: &[Value], baseline: Option<&str>) -> Result<Comparison, String> {
        let server = |document| split(text(document, "/label")).1;
        let known = |name: &str| documents.iter().any(|document| server(document) == name);
        if let Some(name) = baseline.filter(|name| !known(name)) {
            return Err(format!("there is no result of {name} to compare to"));
        }
        let baseline = baseline.unwrap_or_else(|| documents.first().map_or("", server));
        let mut loads: Named<'_, Named<'_, Vec<&Value>>> = Vec::new();
        let mut warnings = Vec::new();
        for document in documents {
            let server = server(document);
            for load in document["beside"].as_array().into_iter().flatten() {
                let name = text(load, "/load");
                match load["failure"].as_str() {
                    Some(reason) => warnings.push(format!("{server}: {name}: {reason}")),
                    None => entry(entry(&mut loads, name), server).push(load),
                }
            }
            let said = document["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
            warnings.extend(said.map(|warning| format!("{server}: {warning}")));
        }
        let loads = loads.iter().map(|(name, servers)| compared(name, servers, baseline)).collect();
        Ok(Comparison { loads, baseline: String::from(baseline), warnings })
    }

    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = self.write_table(&mut out);
        out
    }

    fn write_table(&self, out: &mut String) -> std::fmt::Result {
        let to = format!("p50 / {}", self.baseline);
        write!(out, "{:<22}{:>6}{:>11}{:>11}{:>11}", "a set and its get", "runs", "p50 ms", "p99 ms", "max ms")?;
        writeln!(out, "{to:>18}{:>18}", "load requests/s")?;
        for load in &self.loads {
            writeln!(out, "beside {}", load.name)?;
            for row in &load.rows {
                let Row { server, p50_ms, p99_ms, max_ms, requests_per_second: requests, ratio, runs } = row;
                let ratio = ratio.map_or(String::from("-"), |ratio| format!("{ratio:.2}"));
                write!(out, "  {server:<20}{runs:>6}{p50_ms:>11.3}{p99_ms:>11.3}{max_ms:>11.3}")?;
                writeln!(out, "{ratio:>18}{requests:>18.0}")?;
            }
        }
        self.warnings.iter().try_for_each(|warning| writeln!(out, "WARNING: {warning}"))
    }
}

fn compared(name: &str, servers: &Named<'_, Vec<&Value>>, baseline: &str) -> Compared {
    let middle = |runs: &[&Value], path: &str| median(runs.iter().map(|run| number(run, path)).collect());
    let base = servers.iter().find(|(server, _)| *server == baseline);
    let base_p50_ms = base.and_then(|(_, runs)| middle(runs, "/latency_ms/p50"));
    let row = |(server, runs): &(&str, Vec<&Value>)| {
        let p50_ms = middle(runs, "/latency_ms/p50").unwrap_or(0.0);
        Row {
            server: String::from(*server),
            p50_ms,
            p99_ms: middle(runs, "/latency_ms/p99").unwrap_or(0.0),
            max_ms: runs.iter().map(|run| number(run, "/latency_ms/max")).fold(0.0, f64::max),
            requests_per_second: middle(runs, "/requests_per_second").unwrap_or(0.0),
            ratio: base_p50_ms.map(|base| p50_ms / base).filter(|ratio| ratio.is_finite()),
            runs: runs.len(),
        }
    };
    Compared { name: String::from(name), rows: servers.iter().map(row).collect() }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::beside::{Felt, Pressed};
    use crate::options::tests::parse;
    use crate::tally;

    fn example(line: &str, ms: u64) -> Value {
        let mut latency_ns = tally::latencies();
        latency_ns.saturating_record_n(ms * 1_000_000, 99);
        latency_ns.saturating_record(10 * ms * 1_000_000);
        let took = Duration::from_secs(2);
        let felt = Felt { latency_ns, took, waited: Some(Duration::from_secs(1)) };
        let pressed = Pressed { requests: 500, took, ..Pressed::default() };
        let loads = vec![
            Measured { load: Load::Sets, outcome: Ok((felt, pressed)) },
            Measured { load: Load::Errors, outcome: Err(String::from("gone <b>")) },
        ];
        document(&parse(line).unwrap(), &Beside { began: UNIX_EPOCH, loads })
    }

    #[test]
    fn figures_are_in_their_rows() {
        let table = table(&example("--beside sets,errors", 3));
        let row: Vec<&str> = table.lines().find(|line| line.starts_with("sets")).unwrap().split_whitespace().collect();
        assert_eq!((row[1], row[6]), ("100", "250"), "{table}");
        assert!(row[2].starts_with("3.00") && row[5].starts_with("30.0"), "{table}");
        assert!(table.contains("FAILED: gone <b>") && table.contains("WARNING: sets: for 50 % of the time"), "{table}");
    }

    #[test]
    fn servers_are_compared_by_their_medians_and_their_longest_times() {
        let documents = [
            example("--label rushq", 6),
            example("--label memcached", 2),
            example("--label rushq", 4),
            example("--label memcached", 1),
        ];
        let comparison = Comparison::new(&documents, Some("memcached")).unwrap();
        let rushq = &comparison.loads[0].rows[0];
        assert_eq!((rushq.server.as_str(), rushq.runs, comparison.loads.len()), ("rushq", 2, 1));
        let ratio = rushq.ratio.unwrap();
        assert!((3.3..3.4).contains(&ratio) && (59.0..61.0).contains(&rushq.max_ms), "{rushq:?}");
        let table = comparison.table();
        assert!(table.contains("p50 / memcached") && table.contains("WARNING: rushq: errors: gone <b>"), "{table}");
        assert!(Comparison::new(&documents, Some("other")).is_err());
    }
}
