//! A rush on a gate: the document, and its table.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{json as run_json, number, text};
use crate::gate::{Checked, First, Rushed, Sentence};
use crate::options::{Arguments, Protocol};
use crate::usage;

/// Points of a course over time.
const POINTS_MAX: usize = 400;
/// Parts of the time whose latencies are shown apart.
const PARTS: usize = 80;

/// A document is of this kind.
pub(super) fn is(document: &Value) -> bool {
    document["gate"].is_object()
}

pub(super) fn document(options: &Arguments, outcome: &Rushed) -> Value {
    let ledger = &outcome.ledger;
    let began_ns = ledger.began_ns.unwrap_or(0);
    let ms = |ns: u64| ns.saturating_sub(began_ns) as f64 / 1e6;
    let seats = ledger.seats_told();
    let tickets = options.gate.unwrap_or(0);
    let mut document = run_json::head(options, outcome.began);
    let figures = json!({
        "configuration": configuration(options),
        "seconds": outcome.took.as_secs_f64(),
        "gate": {
            "queue": options.gate_queue(),
            "tickets": tickets,
            "buyers": options.buyers,
            "seats": ledger.seats_ns.len(),
            "refusals": ledger.refusals_ns.len(),
            "first_seat_ms": seats.map(|(first_ns, _)| ms(first_ns)),
            "last_seat_ms": seats.map(|(_, last_ns)| ms(last_ns)),
            "sold_out_ms": ledger.sold_out_ns(tickets).map(|ns| ns as f64 / 1e6),
            "refusals_per_second": ledger.refusals_per_second(),
            "unanswered": ledger.unanswered,
            "not_now": ledger.not_now,
            "seat_ms": run_json::latency(&ledger.seats_ns),
            "refusal_ms": run_json::latency(&ledger.refusals_ns),
        },
        "kills": outcome.kills.iter().map(|kill| json!({
            "at_ms": ms(kill.at.as_nanos() as u64),
            "command_seconds": kill.took.as_secs_f64(),
            "failure": kill.failure,
        })).collect::<Vec<Value>>(),
        "kills_between_first_and_last_seat": outcome.kills_between(),
        "load_generator_cores": outcome.cpu_share,
        "server_cpu_seconds": outcome.server_cpu.map(|cpu| cpu.as_secs_f64()),
        "checked": outcome.checked.as_ref().map(checked),
        "failure": outcome.failure,
        "warnings": warnings(outcome),
        "course": course(&ledger.firsts, began_ns),
        "distribution_ms": {
            "seats": run_json::distribution(&ledger.seats_ns),
            "refusals": run_json::distribution(&ledger.refusals_ns),
        },
    });
    run_json::extend(&mut document, figures);
    document
}

fn configuration(options: &Arguments) -> Value {
    json!({
        "server": options.server,
        "port": options.port,
        "protocol": match options.protocol { Protocol::Memcache => "memcache_text", Protocol::Redis => "redis" },
        "connections": options.clients.min(options.buyers.unwrap_or(0) as usize),
        "rate": options.rate,
        "gate_config": options.gate_body(),
        "gate_unread": options.gate_unread,
    })
}

fn warnings(outcome: &Rushed) -> Vec<String> {
    let percent = outcome.cpu_share * 100.0;
    let is_busy = outcome.cpu_share > usage::SHARE_MAX;
    let warning = format!("the buyers used {percent:.0} % of a core: the figures are theirs, not the server's");
    is_busy.then_some(warning).into_iter().collect()
}

/// Each sentence that does not hold, with an example, in a line.
pub(super) fn violations(document: &Value) -> Vec<String> {
    let sentences = document["checked"]["sentences"].as_array().into_iter().flatten();
    let violated = sentences.filter(|sentence| number(sentence, "/violations") > 0.0);
    let line = |sentence: &Value| {
        let (words, example) = (text(sentence, "/sentence"), text(sentence, "/examples/0"));
        format!("violated {} times: {words}; {example}", sentence["violations"])
    };
    violated.map(line).collect()
}

fn checked(checked: &Checked) -> Value {
    let verdict = &checked.verdict;
    let sentence = |sentence: Sentence| {
        let found = verdict.of(sentence);
        json!({
            "name": sentence.name(),
            "sentence": sentence.text(),
            "violations": found.count,
            "examples": found.examples,
        })
    };
    json!({
        "clean": verdict.is_clean(),
        "winners": verdict.winners,
        "refused": verdict.refused,
        "messages": checked.messages,
        "asked_again": checked.asked_again,
        "figures": checked.figures,
        "sentences": Sentence::ALL.map(sentence),
    })
}

/// How many seats and refusals were told by when, and how long they took, part by part. Times are milliseconds since the
/// first request.
fn course(firsts: &[First], began_ns: u64) -> Value {
    let ms = |ns: u64| ns.saturating_sub(began_ns) as f64 / 1e6;
    let told = |is_seat: bool| -> Vec<&First> { firsts.iter().filter(|first| first.is_seat == is_seat).collect() };
    let (seats, refusals) = (told(true), told(false));
    let end_ns = firsts.last().map_or(0, |last| last.heard_ns - began_ns);
    // In steps, from the first request to the last answer.
    let sums = |told: &[&First]| -> Vec<[f64; 2]> {
        let step = told.len().div_ceil(POINTS_MAX).max(1);
        let mut points = vec![[0.0, 0.0]];
        for place in (0..told.len()).filter(|place| (place + 1).is_multiple_of(step) || place + 1 == told.len()) {
            let (at_ms, before) = (ms(told[place].heard_ns), points[points.len() - 1][1]);
            points.extend([[at_ms, before], [at_ms, (place + 1) as f64]]);
        }
        points.push([end_ns as f64 / 1e6, told.len() as f64]);
        points
    };
    json!({
        "seats": sums(&seats),
        "refusals": sums(&refusals),
        "seat_ms": parts(&seats, began_ns, end_ns),
        "refusal_ms": parts(&refusals, began_ns, end_ns),
    })
}

/// The median and the longest latency of each part of the time, at its end.
fn parts(told: &[&First], began_ns: u64, end_ns: u64) -> Vec<[f64; 3]> {
    let part_ns = end_ns / PARTS as u64 + 1;
    let part = |first: &&First| (first.heard_ns - began_ns) / part_ns;
    let figures = |some: &[&First]| {
        let mut latencies_ns: Vec<u64> = some.iter().map(|first| first.latency_ns).collect();
        latencies_ns.sort_unstable();
        let end_ms = (part(&some[0]) + 1) as f64 * part_ns as f64 / 1e6;
        let at = |place: usize| latencies_ns[place] as f64 / 1e6;
        [end_ms, at(latencies_ns.len() / 2), at(latencies_ns.len() - 1)]
    };
    told.chunk_by(|one, next| part(one) == part(next)).map(figures).collect()
}

/// The report as text.
pub(super) fn table(document: &Value) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write_table(&mut out, document);
    out
}

fn write_table(out: &mut String, document: &Value) -> std::fmt::Result {
    let gate = &document["gate"];
    writeln!(
        out,
        "{} buyers, {} tickets, {} connections, {:.2} s",
        gate["buyers"],
        gate["tickets"],
        document["configuration"]["connections"],
        number(document, "/seconds")
    )?;
    write!(out, "{:<10}{:>10}", "", "count")?;
    let latencies = ["p50", "p90", "p99", "p99.9", "max"];
    latencies.iter().try_for_each(|name| write!(out, "{:>11}", format!("{name} ms")))?;
    writeln!(out)?;
    for (title, count, latency) in [("Seats", "seats", "seat_ms"), ("Refusals", "refusals", "refusal_ms")] {
        write!(out, "{title:<10}{:>10}", number(gate, &format!("/{count}")))?;
        latencies.iter().try_for_each(|name| write!(out, "{:>11.3}", number(gate, &format!("/{latency}/{name}"))))?;
        writeln!(out)?;
    }
    writeln!(out)?;
    match gate["sold_out_ms"].as_f64() {
        Some(ms) => writeln!(out, "sold out: {ms:.3} ms from the first request to the answer with the last seat")?,
        None => writeln!(out, "not sold out: {} of {} tickets were told", gate["seats"], gate["tickets"])?,
    }
    writeln!(out, "refusals: {:.0} per second", number(gate, "/refusals_per_second"))?;
    let (unanswered, not_now) = (&gate["unanswered"], &gate["not_now"]);
    writeln!(out, "{unanswered} requests came to nothing, {not_now} of them with the words to try again")?;
    let kills = document["kills"].as_array().map_or(0, Vec::len);
    if kills > 0 {
        let between = &document["kills_between_first_and_last_seat"];
        writeln!(out, "kills: {kills}, {between} of them between the first seat and the last")?;
    }
    let percent = number(document, "/load_generator_cores") * 100.0;
    writeln!(out, "the buyers used {percent:.0} % of a core")?;
    write_verdict(out, &document["checked"])?;
    for warning in document["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        writeln!(out, "WARNING: {warning}")?;
    }
    match document["failure"].as_str() {
        Some(failure) => writeln!(out, "FAILED: {failure}"),
        None => Ok(()),
    }
}

fn write_verdict(out: &mut String, checked: &Value) -> std::fmt::Result {
    if checked.is_null() {
        return Ok(());
    }
    writeln!(
        out,
        "checked: {} winners, {} refused, {} messages; {} asked once more at the end",
        checked["winners"], checked["refused"], checked["messages"], checked["asked_again"]
    )?;
    if let Some(figures) = checked["figures"].as_str() {
        writeln!(out, "the server's own figures: {figures}")?;
    }
    for sentence in checked["sentences"].as_array().into_iter().flatten() {
        let (violations, words) = (number(sentence, "/violations"), text(sentence, "/sentence"));
        if violations == 0.0 {
            writeln!(out, "  holds: {words}")?;
            continue;
        }
        writeln!(out, "  VIOLATED {violations} times: {words}")?;
        for example in sentence["examples"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            writeln!(out, "      {example}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::gate::Told;
    use crate::gate::tests::rushed;
    use crate::options::tests::parse;

    const SEAT: fn(u32) -> Told = Told::Seat;

    /// Two tickets and four buyers, of whom one was told two seats, and a kill between the seats.
    pub(in crate::report) fn example(line: &str) -> Value {
        let options = parse(&format!("--gate 2 --buyers 4 {line}")).unwrap();
        let told = [(0, 2, SEAT(1)), (1, 6, SEAT(2)), (2, 7, Told::Refused), (3, 8, Told::Refused), (0, 9, SEAT(2))];
        document(&options, &rushed(&options, UNIX_EPOCH, &told, &[Duration::from_millis(4)]))
    }

    #[test]
    fn figures_are_in_their_rows() {
        let table = table(&example(""));
        let row = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().nth(1);
        assert_eq!((row("Seats"), row("Refusals")), (Some("2"), Some("2")), "{table}");
        for line in [
            "4 buyers, 2 tickets, 4 connections",
            "sold out: 5.000 ms from the first request",
            "refusals: 1000 per second",
            "kills: 1, 1 of them between the first seat and the last",
            "checked: 2 winners, 2 refused, 2 messages",
            "  holds: seats are distinct",
            "  VIOLATED 1 times: a buyer has one ticket",
            "      buyer 0 was told seat 1 at 2.000 ms, and seat 2 at 9.000 ms",
        ] {
            assert!(table.lines().any(|it| it.starts_with(line)), "{line} is not in\n{table}");
        }
    }

    #[test]
    fn the_course_is_in_steps_and_the_parts_have_their_latencies() {
        let document = example("");
        let points = document["course"]["seats"].to_string();
        assert_eq!(points, "[[0.0,0.0],[1.0,0.0],[1.0,1.0],[5.0,1.0],[5.0,2.0],[7.0,2.0]]");
        let parts = document["course"]["refusal_ms"].as_array().unwrap();
        assert_eq!(parts.len(), 2, "{parts:?}");
        assert_eq!((number(&parts[0], "/1"), number(&parts[1], "/2")), (6.0, 7.0), "{parts:?}");
        assert_eq!(document["checked"]["clean"], false);
        assert_eq!(violations(&document).len(), 1);
    }
}
