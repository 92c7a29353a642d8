//! What is found beyond the figures: warnings, faults, and how the scenarios went.

use serde_json::{Value, json};

use crate::options::Arguments;
use crate::run::Outcome;
use crate::usage;
use crate::verify::{Fault, Verdict};

/// What makes the figures less than they seem.
pub(super) fn warnings(options: &Arguments, outcome: &Outcome) -> Vec<String> {
    let mut warnings = Vec::new();
    let busiest = outcome.threads.iter().map(|thread| thread.cpu_share).fold(0.0, f64::max);
    if busiest > usage::SHARE_MAX {
        let share = busiest * 100.0;
        warnings.push(format!(
            "a thread of the load generator used {share:.0} % of a core: the figures are its, not the server's; \
             use more --threads, or more --pipeline"
        ));
    }
    let unsent = outcome.sum(|thread| thread.unsent);
    if unsent > 0 {
        warnings.push(format!("the server fell behind: {unsent} requests were due and never sent"));
    }
    let unlimited = options.test_time.is_none() && options.requests.is_some();
    if unlimited && outcome.took >= options.time_max() {
        let seconds = options.time_max().as_secs();
        warnings.push(format!("stopped after {seconds} s, before all requests were made"));
    }
    warnings
}

pub(super) fn restart(outcome: &Outcome) -> Option<Value> {
    let (restarted, gap) = outcome.restarted.as_ref()?;
    Some(json!({
        "at_seconds": restarted.at.as_secs_f64(),
        "command_seconds": restarted.took.as_secs_f64(),
        "failure": restarted.failure,
        "gap_began_seconds": gap.began_ns as f64 / 1e9,
        "gap_seconds": gap.longest_ns as f64 / 1e9,
    }))
}

pub(super) fn rush(options: &Arguments, outcome: &Outcome) -> Option<Value> {
    let last_ns = outcome.threads.iter().map(|thread| thread.last_set_ns).max()?;
    let drained = outcome.drained.unwrap_or_default();
    let seconds = drained.took.as_secs_f64();
    options.rush.then(|| {
        json!({
            "connections": options.roles().len(),
            "messages": outcome.tally.sets.done,
            "last_stored_ms": last_ns as f64 / 1e6,
            "worked_off": drained.messages,
            "worked_off_seconds": seconds,
            "worked_off_per_second": drained.messages as f64 / seconds.max(1e-9),
        })
    })
}

pub(super) fn verdict(options: &Arguments, outcome: &Outcome) -> Option<Value> {
    let verdict = outcome.verdict.as_ref()?;
    let drained = outcome.drained.unwrap_or_default();
    let mut value = json!({
        "clean": verdict.is_clean(),
        "stored": verdict.stored,
        "received": verdict.received,
        "acknowledged": verdict.acknowledged,
        "redelivered": verdict.redelivered,
        "drained": drained.messages,
        "drain_seconds": drained.took.as_secs_f64(),
        "excused": verdict.excused,
        "not_drained": verdict.not_drained,
    });
    for fault in Fault::ALL {
        value[fault.name()] = json!(verdict.count(fault));
        value["examples"][fault.name()] = json!(examples(options, verdict, fault));
    }
    Some(value)
}

fn examples(options: &Arguments, verdict: &Verdict, fault: Fault) -> Vec<String> {
    let words = verdict.examples(fault).iter();
    words.map(|example| example.describe(&options.key_prefix, options.key_minimum)).collect()
}
