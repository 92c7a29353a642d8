//! The report as text, in memtier_benchmark's shape.

use std::fmt::Write;

use serde_json::Value;

use super::{number, text};
use crate::verify::Fault;

const LATENCIES: [&str; 5] = ["avg", "p50", "p99", "p99.9", "max"];

/// The whole report.
pub(super) fn of(document: &Value, with_histogram: bool) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write_all(&mut out, document, with_histogram);
    out
}

fn write_all(out: &mut String, document: &Value, with_histogram: bool) -> std::fmt::Result {
    write_figures(out, document)?;
    for (name, title) in [("sets", "Set"), ("gets", "Get"), ("acks", "Acknowledgement")] {
        if with_histogram && number(document, &format!("/{name}/count")) > 0.0 {
            write_distribution(out, title, &document["distribution_ms"][name])?;
        }
    }
    writeln!(out)?;
    write_refusals(out, document)?;
    write_rush(out, &document["rush"])?;
    write_restart(out, document)?;
    write_kills(out, document)?;
    write_verdict(out, &document["verify"])?;
    write_usage(out, document)?;
    if let Some(error) = document["first_error"].as_str() {
        writeln!(out, "first error: {error}")?;
    }
    for warning in document["warnings"].as_array().into_iter().flatten() {
        writeln!(out, "WARNING: {}", warning.as_str().unwrap_or(""))?;
    }
    if let Some(failure) = document["failure"].as_str() {
        writeln!(out, "FAILED: {failure}")?;
    }
    Ok(())
}

fn write_figures(out: &mut String, document: &Value) -> std::fmt::Result {
    let configuration = &document["configuration"];
    writeln!(
        out,
        "{} connections, threads: {}, pipeline: {}, queues: {}, {:.2} s",
        configuration["connections"],
        configuration["threads"],
        configuration["pipeline"],
        configuration["queues"],
        number(document, "/seconds")
    )?;
    // memtier counts a get that found nothing as an operation; a queue server has done nothing then.
    write!(out, "{:<7}{:>12}{:>12}{:>12}{:>10}{:>8}", "", "messages/s", "hits/s", "misses/s", "refused", "errors")?;
    for name in LATENCIES {
        write!(out, "{:>11}", format!("{name} ms"))?;
    }
    writeln!(out, "{:>12}", "KB/s")?;
    for (title, name) in [("Sets", "sets"), ("Gets", "gets"), ("Acks", "acks"), ("Totals", "totals")] {
        let row = &document[name];
        if name == "acks" && number(row, "/count") + number(row, "/errors") + number(row, "/not_held") == 0.0 {
            continue;
        }
        let messages = match name {
            "sets" | "acks" => "per_second",
            "gets" => "hits_per_second",
            _ => "messages_per_second",
        };
        let has_gets = ["gets", "totals"].contains(&name);
        let from_gets = |figure: &str| if has_gets { number(document, &format!("/gets/{figure}")) } else { 0.0 };
        let refused = match name {
            "gets" => 0.0,
            "acks" => number(row, "/not_held"),
            _ => number(document, "/sets/refused"),
        };
        write!(out, "{title:<7}{:>12.0}", number(row, &format!("/{messages}")))?;
        write!(out, "{:>12.0}{:>12.0}", from_gets("hits_per_second"), from_gets("misses_per_second"))?;
        write!(out, "{refused:>10.0}{:>8.0}", number(row, "/errors"))?;
        for name in LATENCIES {
            write!(out, "{:>11.3}", number(row, &format!("/latency_ms/{name}")))?;
        }
        writeln!(out, "{:>12.0}", number(row, "/kb_per_second"))?;
    }
    Ok(())
}

fn write_distribution(out: &mut String, title: &str, points: &Value) -> std::fmt::Result {
    writeln!(out, "\n{title} latency\n{:>11}{:>13}", "<= ms", "percent")?;
    for point in points.as_array().into_iter().flatten() {
        writeln!(out, "{:>11.3}{:>13.5}", number(point, "/1"), number(point, "/0"))?;
    }
    Ok(())
}

fn write_refusals(out: &mut String, document: &Value) -> std::fmt::Result {
    let tickets = &document["configuration"]["gate_refusals"];
    if tickets.is_null() {
        return Ok(());
    }
    let per_second = number(document, "/gets/misses_per_second");
    writeln!(
        out,
        "refusals: {per_second:.0} per second, of a gate whose {tickets} tickets were sold; they are the misses"
    )
}

fn write_rush(out: &mut String, rush: &Value) -> std::fmt::Result {
    if rush.is_null() {
        return Ok(());
    }
    writeln!(
        out,
        "rush: {} messages from {} connections were stored {:.1} ms after the start",
        rush["messages"],
        rush["connections"],
        number(rush, "/last_stored_ms")
    )?;
    writeln!(
        out,
        "      and {} worked off in {:.3} s, {:.0} per second",
        rush["worked_off"],
        number(rush, "/worked_off_seconds"),
        number(rush, "/worked_off_per_second")
    )
}

fn write_restart(out: &mut String, document: &Value) -> std::fmt::Result {
    let restart = &document["restart"];
    if restart.is_null() {
        return Ok(());
    }
    let (at, took) = (number(restart, "/at_seconds"), number(restart, "/command_seconds"));
    let (gap, began) = (number(restart, "/gap_seconds"), number(restart, "/gap_began_seconds"));
    writeln!(out, "restart: at {at:.2} s, the command took {took:.2} s; nothing was answered for {gap:.3} s")?;
    writeln!(
        out,
        "         from {began:.2} s; {} connections made again, {} requests unanswered",
        document["reconnects"], document["unanswered"]
    )?;
    match restart["failure"].as_str() {
        Some(failure) => writeln!(out, "FAILED: the restart command: {failure}"),
        None => Ok(()),
    }
}

fn write_kills(out: &mut String, document: &Value) -> std::fmt::Result {
    match number(document, "/kills") {
        0.0 => Ok(()),
        _ => writeln!(out, "kills: {} connections were dropped with messages open", document["kills"]),
    }
}

fn write_verdict(out: &mut String, verdict: &Value) -> std::fmt::Result {
    if verdict.is_null() {
        return Ok(());
    }
    write!(out, "verify: {} stored, {} received", verdict["stored"], verdict["received"])?;
    if number(verdict, "/acknowledged") > 0.0 {
        write!(out, ", {} acknowledged, {} redelivered", verdict["acknowledged"], verdict["redelivered"])?;
    }
    for fault in Fault::ALL {
        write!(out, ", {} {}", verdict[fault.name()], fault.name())?;
    }
    writeln!(out)?;
    if number(verdict, "/excused") > 0.0 {
        writeln!(out, "        {} missing, perhaps taken by gets that were never answered", verdict["excused"])?;
    }
    for fault in Fault::ALL {
        for example in verdict["examples"][fault.name()].as_array().into_iter().flatten() {
            writeln!(out, "        {}: {}", fault.name(), example.as_str().unwrap_or(""))?;
        }
    }
    if number(verdict, "/foreign") > 0.0 {
        writeln!(out, "        what is foreign was there before, or is of other clients: try another --key-prefix")?;
    }
    if let Some(reason) = verdict["not_drained"].as_str() {
        writeln!(out, "FAILED: the queues were not emptied, so that lost messages are not known: {reason}")?;
    }
    Ok(())
}

fn write_usage(out: &mut String, document: &Value) -> std::fmt::Result {
    let shares: Vec<f64> =
        document["load_generator_cores"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let busiest = shares.iter().copied().fold(0.0, f64::max) * 100.0;
    match shares.len() {
        1 => writeln!(out, "the load generator used {busiest:.0} % of a core")?,
        threads => writeln!(out, "the load generator's {threads} threads used up to {busiest:.0} % of a core each")?,
    }
    if !document["server_cpu"].is_null() {
        let us = number(document, "/server_cpu/us_per_op");
        writeln!(out, "the server used {us:.3} us of CPU time per answer")?;
    }
    let label = text(document, "/label");
    if label.is_empty() { Ok(()) } else { writeln!(out, "label: {label}") }
}

#[cfg(test)]
mod tests {
    use super::super::json::tests::example;
    use super::*;

    #[test]
    fn figures_are_in_their_rows() {
        let report = of(&example(""), false);
        let rows: Vec<Vec<&str>> = report.lines().map(|line| line.split_whitespace().collect()).collect();
        let row = |name: &str| rows.iter().find(|row| row.first() == Some(&name)).unwrap().clone();
        assert_eq!(row("Sets")[1..6], ["10", "0", "0", "3", "1"]);
        assert_eq!(row("Gets")[1..6], ["3", "3", "2", "0", "0"]);
        assert_eq!(row("Totals")[1..6], ["13", "3", "2", "3", "1"]);
        assert!(rows.iter().all(|row| row.first() != Some(&"Acks")), "{report}");
        assert!(of(&example("--reliable open-close"), false).contains("\nAcks              2 "), "{report}");
        assert!(report.contains("used 62 % of a core") && report.contains("1000.000 us"), "{report}");
        let refusals = of(&example("--gate 7 --gate-refusals"), false);
        assert!(refusals.contains("refusals: 2 per second, of a gate whose 7 tickets were sold"), "{refusals}");
        assert!(!report.contains("refusals") && report.contains("first error: SERVER_ERROR <no>"), "{report}");
        assert!(report.contains("WARNING: the server fell behind: 4 requests"), "{report}");
    }

    #[test]
    fn the_distribution_is_shown_unless_hidden() {
        assert!(of(&example(""), true).contains("Set latency"));
        assert!(!of(&example(""), false).contains("Set latency"));
    }
}
