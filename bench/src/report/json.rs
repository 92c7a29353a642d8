//! Everything about a run as one JSON document. The table and the pages are made from it, so that they say the same.

use std::time::{SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::findings;
use crate::options::{Arguments, Pattern, Protocol, Reliable};
use crate::run::Outcome;
use crate::tally::{Second, Side};

/// Of the document's form.
pub(super) const VERSION: u64 = 1;
/// Steps of the distributions per halving of the distance to 100 %.
const TICKS_PER_HALF: u32 = 5;

pub(super) fn document(options: &Arguments, outcome: &Outcome) -> Value {
    let seconds = outcome.took.as_secs_f64().max(1e-9);
    let tally = &outcome.tally;
    let all = tally.latency_of_all();
    let ended = |of: fn(&crate::worker::Ended) -> u64| outcome.sum(of);
    let mut document = head(options, outcome.began);
    let run = json!({
        "seconds": seconds,
        "configuration": configuration(options),
        "totals": {
            "messages": tally.messages(),
            "messages_per_second": tally.messages() as f64 / seconds,
            "ops": tally.ops(),
            "ops_per_second": tally.ops() as f64 / seconds,
            "kb_per_second": (tally.sets.bytes + tally.gets.bytes) as f64 / 1000.0 / seconds,
            "errors": tally.errors(),
            "latency_ms": latency(&all),
        },
        "sets": side(&tally.sets, seconds, &[("refused", tally.refused)]),
        "gets": side(&tally.gets, seconds, &[("hits", tally.hits), ("misses", tally.misses())]),
        "acks": side(&tally.acks, seconds, &[("not_held", tally.not_held)]),
        "first_error": tally.first_error,
        "unsent": ended(|it| it.unsent),
        "unanswered": ended(|it| it.unanswered),
        "reconnects": ended(|it| it.reconnects),
        "kills": ended(|it| it.kills),
        "load_generator_cores": outcome.threads.iter().map(|it| it.cpu_share).collect::<Vec<f64>>(),
        "server_cpu": outcome.server_cpu.map(|cpu| json!({
            "seconds": cpu.as_secs_f64(),
            "us_per_op": cpu.as_secs_f64() * 1e6 / tally.answers().max(1) as f64,
        })),
        "restart": findings::restart(outcome),
        "rush": findings::rush(options, outcome),
        "verify": findings::verdict(options, outcome),
        "warnings": findings::warnings(options, outcome),
        "failure": outcome.failure(),
        "course": course(&outcome.seconds, seconds),
        "distribution_ms": {
            "sets": distribution(&tally.sets.latency_ns),
            "gets": distribution(&tally.gets.latency_ns),
            "acks": distribution(&tally.acks.latency_ns),
        },
    });
    extend(&mut document, run);
    document
}

/// What every document begins with.
pub(super) fn head(options: &Arguments, began: SystemTime) -> Value {
    json!({
        "rushq_bench": VERSION,
        "version": env!("CARGO_PKG_VERSION"),
        "label": options.label,
        "command_line": std::env::args().collect::<Vec<String>>(),
        "began_unix_seconds": began.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
    })
}

/// Adds the figures of `more` to an object.
pub(super) fn extend(document: &mut Value, more: Value) {
    if let (Value::Object(document), Value::Object(more)) = (document, more) {
        document.extend(more);
    }
}

fn configuration(options: &Arguments) -> Value {
    let sizes = options.sizes();
    json!({
        "server": options.server,
        "port": options.port,
        "protocol": match options.protocol { Protocol::Memcache => "memcache_text", Protocol::Redis => "redis" },
        "threads": options.threads,
        "connections": options.roles().len(),
        "producers": options.producers,
        "consumers": options.consumers,
        "requests": options.requests,
        "test_time": options.time_max().as_secs_f64(),
        "ratio": [options.ratio.sets, options.ratio.gets],
        "pipeline": options.batch(),
        "data_size": [sizes.min, sizes.max],
        "key_prefix": options.key_prefix,
        "key_minimum": options.key_minimum,
        "queues": options.queues(),
        "key_pattern": match options.key_pattern { Pattern::Random => "R:R", Pattern::Sequential => "S:S" },
        "rate": options.rate,
        "rate_limiting": options.rate_limiting,
        "consumer_rate": options.consumer_rate,
        "reliable": options.reliable.map(Reliable::name),
        "kill_consumers": options.kill_consumers,
        "wait_ms": options.wait,
        "verify": options.verifies(),
        "gate_refusals": options.gate.filter(|_| options.gate_refusals),
        "rush": options.rush,
    })
}

fn side(side: &Side, seconds: f64, counts: &[(&str, u64)]) -> Value {
    let mut value = json!({
        "count": side.done,
        "per_second": side.done as f64 / seconds,
        "errors": side.errors,
        "kb_per_second": side.bytes as f64 / 1000.0 / seconds,
        "latency_ms": latency(&side.latency_ns),
    });
    for (name, count) in counts {
        value[*name] = json!(count);
        value[format!("{name}_per_second")] = json!(*count as f64 / seconds);
    }
    value
}

pub(super) fn latency(histogram: &Histogram<u64>) -> Value {
    let at = |quantile| milliseconds(histogram.value_at_quantile(quantile));
    json!({
        "avg": histogram.mean() / 1e6,
        "min": milliseconds(if histogram.is_empty() { 0 } else { histogram.min() }),
        "p50": at(0.5),
        "p90": at(0.9),
        "p99": at(0.99),
        "p99.9": at(0.999),
        "p99.99": at(0.9999),
        "max": milliseconds(histogram.max()),
    })
}

fn milliseconds(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// Percentiles that come closer and closer to 100, and the latency at each.
pub(super) fn distribution(histogram: &Histogram<u64>) -> Vec<[f64; 2]> {
    let steps = histogram.iter_quantiles(TICKS_PER_HALF);
    let mut points: Vec<[f64; 2]> = Vec::new();
    for step in steps.filter(|_| !histogram.is_empty()) {
        let point = [step.quantile_iterated_to() * 100.0, milliseconds(step.value_iterated_to())];
        match points.last_mut() {
            // A step with no new value only moves the last one on.
            Some(last) if last[1] == point[1] => last[0] = point[0],
            _ => points.push(point),
        }
    }
    points
}

fn course(seconds: &[Second], took: f64) -> Vec<Value> {
    let line = |second: &Second| {
        let length = (took - second.number as f64).clamp(0.0, 1.0);
        json!({
            "second": second.number,
            "length": length,
            "sets": second.sets,
            "gets": second.gets,
            "hits": second.hits,
            "misses": second.gets - second.hits,
            "refused": second.refused,
            "errors": second.errors,
            "p50_ms": milliseconds(second.p50_ns),
            "p99_ms": milliseconds(second.p99_ns),
            "max_ms": milliseconds(second.max_ns),
        })
    };
    seconds.iter().map(line).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::options::tests::parse;
    use crate::tally::Tally;
    use crate::worker::Ended;
    use crate::workload::Act;

    /// A run of two seconds with a few of everything.
    pub(in crate::report) fn example(line: &str) -> Value {
        let mut tally = Tally::new();
        (tally.sets.done, tally.gets.done, tally.hits, tally.refused) = (20, 10, 6, 3);
        (tally.sets.bytes, tally.gets.bytes) = (2000, 600);
        for ms in 1..=20 {
            tally.sets.latency_ns.saturating_record(ms * 1_000_000);
        }
        tally.gets.latency_ns.saturating_record_n(5_000_000, 10);
        (tally.acks.done, tally.not_held) = (if line.contains("--reliable") { 4 } else { 0 }, 0);
        tally.error(Act::Set, b"SERVER_ERROR <no>");
        let seconds = vec![Second::new(0, &tally), Second::new(1, &tally)];
        let outcome = Outcome {
            began: UNIX_EPOCH + Duration::from_secs(7),
            took: Duration::from_secs(2),
            tally,
            seconds,
            threads: vec![Ended { cpu_share: 0.625, unsent: 4, ..Ended::default() }],
            server_cpu: Some(Duration::from_millis(34)),
            restarted: None,
            drained: None,
            verdict: None,
        };
        document(&parse(line).unwrap(), &outcome)
    }

    #[test]
    fn a_document_survives_its_text() {
        let document = example("--label a/b");
        let read: Value = serde_json::from_str(&document.to_string()).unwrap();
        assert_eq!((&read["configuration"], &read["course"]), (&document["configuration"], &document["course"]));
        assert_eq!((document["sets"]["per_second"].as_f64(), document["label"].as_str()), (Some(10.0), Some("a/b")));
        assert_eq!((document["gets"]["misses"].as_u64(), document["sets"]["refused"].as_u64()), (Some(4), Some(3)));
        let p50 = document["sets"]["latency_ms"]["p50"].as_f64().unwrap();
        assert!((9.9..10.1).contains(&p50), "{p50}");
        assert_eq!(document["server_cpu"]["us_per_op"].as_f64(), Some(1000.0));
    }

    #[test]
    fn distributions_rise_to_100() {
        let document = example("");
        let points = document["distribution_ms"]["sets"].as_array().unwrap();
        let at = |point: &Value, place: usize| point[place].as_f64().unwrap();
        assert!(points.len() > 5 && at(points.last().unwrap(), 0) == 100.0);
        assert!(points.windows(2).all(|pair| at(&pair[0], 0) < at(&pair[1], 0) && at(&pair[0], 1) < at(&pair[1], 1)));
        assert_eq!(document["distribution_ms"]["gets"].as_array().unwrap().len(), 1);
    }
}
