//! A page that needs nothing but itself.

use std::fmt::Write;

use serde_json::Value;

use super::plot::{self, Events, Line, escape};
use super::several::Comparison;
use super::{beside, gate, number, rushes, table, text};

const STYLE: &str = include_str!("page.css");

/// The page of one run.
pub(super) fn of_one(document: &Value) -> String {
    let label = text(document, "/label");
    let title = if label.is_empty() { String::from("rushq-bench") } else { format!("rushq-bench: {label}") };
    let mut body = summary(document);
    let course = &document["course"];
    body += &plot::over_time(
        "Throughput",
        "per second",
        &[per_second(course, "sets"), per_second(course, "hits"), per_second(course, "misses")],
        false,
    );
    let over = |name: &str, field: &str| Line {
        name: String::from(name),
        points: points(course, |it| number(it, &format!("/{field}"))),
    };
    let latencies = [over("p50", "p50_ms"), over("p99", "p99_ms"), over("max", "max_ms")];
    body += &plot::over_time("Latency over time", "ms", &latencies, true);
    let kinds = [distribution(document, "sets"), distribution(document, "gets")];
    body += &plot::percentiles("Latency by percentile", "ms", &kinds);
    body += &figures(document, &table::of(document, false));
    page(&title, &body)
}

/// The page of a rush on a gate.
pub(super) fn of_rush(document: &Value) -> String {
    let label = text(document, "/label");
    let title = if label.is_empty() { String::from("a rush") } else { format!("a rush: {label}") };
    let mut body = String::from("<dl>");
    let figure = |path: &str, places: usize| match document.pointer(path).and_then(Value::as_f64) {
        Some(value) => format!("{value:.places$}"),
        None => String::from("-"),
    };
    for (name, value) in [
        ("tickets", figure("/gate/tickets", 0)),
        ("buyers", figure("/gate/buyers", 0)),
        ("sold out after ms", figure("/gate/sold_out_ms", 1)),
        ("refusals per second", figure("/gate/refusals_per_second", 0)),
        ("kills", document["kills"].as_array().map_or(0, Vec::len).to_string()),
        ("violations", violations(document).to_string()),
    ] {
        let _ = write!(body, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    body.push_str("</dl>\n");
    body += &warned(document);
    for violation in gate::violations(document) {
        let _ = writeln!(body, "<p class=\"warning\">{}</p>", escape(&violation));
    }
    // Milliseconds for a short rush.
    let end_ms = document["course"]["seats"].as_array().and_then(|it| it.last()).map_or(0.0, |last| number(last, "/0"));
    let (time, unit_ms) = if end_ms < 3000.0 { ("milliseconds", 1.0) } else { ("seconds", 1000.0) };
    let line = |name: &str, path: &str, place: usize| {
        let points = document["course"][path].as_array().into_iter().flatten();
        let points = points.map(|it| (number(it, "/0") / unit_ms, number(it, &format!("/{place}"))));
        Line { name: String::from(name), points: points.collect() }
    };
    let kills = document["kills"].as_array().into_iter().flatten().map(|kill| number(kill, "/at_ms") / unit_ms);
    let events = Events { name: "kills", at: kills.collect(), until: end_ms / unit_ms };
    body += &plot::course("Seats given", "told by then", time, &[line("seats", "seats", 1)], &events, false);
    body += &plot::course("Refusals", "told by then", time, &[line("refusals", "refusals", 1)], &events, false);
    let seats = [line("median", "seat_ms", 1), line("longest", "seat_ms", 2)];
    body += &plot::course("Latency of seats", "ms", time, &seats, &events, true);
    let refusals = [line("median", "refusal_ms", 1), line("longest", "refusal_ms", 2)];
    body += &plot::course("Latency of refusals", "ms", time, &refusals, &events, true);
    let kinds = [distribution(document, "seats"), distribution(document, "refusals")];
    body += &plot::percentiles("Latency by percentile", "ms", &kinds);
    body += &figures(document, &gate::table(document));
    page(&title, &body)
}

fn violations(document: &Value) -> u64 {
    let sentences = document["checked"]["sentences"].as_array().into_iter().flatten();
    sentences.filter_map(|sentence| sentence["violations"].as_u64()).sum()
}

/// What the report has as text, and how it was made.
fn figures(document: &Value, table: &str) -> String {
    let words = document["command_line"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let line: Vec<&str> = words.collect();
    let (table, line) = (escape(table), escape(&line.join(" ")));
    format!("<h2>Figures</h2>\n<pre>{table}</pre>\n<h2>Command line</h2>\n<pre>{line}</pre>\n")
}

/// The page of a comparison.
pub(super) fn of_several(comparison: &Comparison, documents: &[Value]) -> String {
    let mut body = String::new();
    for case in &comparison.cases {
        let _ = writeln!(body, "<h2>{}</h2>", escape(&case.name));
        let values = |of: fn(&super::several::Row) -> f64| -> Vec<(String, f64)> {
            case.rows.iter().map(|row| (row.server.clone(), of(row))).collect()
        };
        let unit = format!("{} per second", case.counts());
        body += &plot::bars("Throughput", &unit, &values(|row| row.messages_per_second));
        body += &plot::bars("99th percentile", "ms", &values(|row| row.p99_ms));
        if case.rows.iter().any(|row| row.server_us.is_some()) {
            body += &plot::bars("Server", "us of CPU time per answer", &values(|row| row.server_us.unwrap_or(0.0)));
        }
        let lines: Vec<Line> = case.rows.iter().map(|row| both(&documents[row.document], &row.server)).collect();
        body += &plot::percentiles("Latency of gets by percentile", "ms", &lines);
    }
    let _ = writeln!(body, "<h2>Figures</h2>\n<pre>{}</pre>", escape(&comparison.table()));
    page("rushq-bench: comparison", &body)
}

/// The page of several rushes.
pub(super) fn of_rushes(comparison: &rushes::Comparison) -> String {
    let mut body = String::new();
    for case in &comparison.cases {
        let _ = writeln!(body, "<h2>{}</h2>", escape(&case.name));
        for (title, unit, of) in rushes::FIGURES {
            let bars: Vec<(String, f64)> = case.rows.iter().map(|row| (row.server.clone(), of(row))).collect();
            body += &plot::bars(title, unit, &bars);
        }
    }
    let _ = writeln!(body, "<h2>Figures</h2>\n<pre>{}</pre>", escape(&comparison.table()));
    page("rushes, compared", &body)
}

/// The page of what was felt beside loads.
pub(super) fn of_beside(document: &Value) -> String {
    let loads = || document["beside"].as_array().into_iter().flatten();
    let bars = |figure: &str| -> Vec<(String, f64)> {
        let value = |load: &Value| (String::from(text(load, "/load")), number(load, &format!("/latency_ms/{figure}")));
        loads().map(value).collect()
    };
    let mut body = plot::bars("Median of a set and its get", "ms", &bars("p50"));
    body += &plot::bars("Longest", "ms", &bars("max"));
    let line = |load: &Value| {
        let points = load["distribution_ms"].as_array().into_iter().flatten();
        let points = points.map(|it| (number(it, "/0"), number(it, "/1"))).collect();
        Line { name: String::from(text(load, "/load")), points }
    };
    body += &plot::percentiles("By percentile", "ms", &loads().map(line).collect::<Vec<_>>());
    let _ = writeln!(body, "<h2>Figures</h2>\n<pre>{}</pre>", escape(&beside::table(document)));
    page("rushq-bench: a client beside loads", &body)
}

/// The page of a comparison of that.
pub(super) fn of_several_beside(comparison: &beside::Comparison) -> String {
    let mut body = String::new();
    for load in &comparison.loads {
        let _ = writeln!(body, "<h2>beside {}</h2>", escape(&load.name));
        let values = |of: fn(&beside::Row) -> f64| -> Vec<(String, f64)> {
            load.rows.iter().map(|row| (row.server.clone(), of(row))).collect()
        };
        body += &plot::bars("Median of a set and its get", "ms", &values(|row| row.p50_ms));
        body += &plot::bars("Longest", "ms", &values(|row| row.max_ms));
    }
    let _ = writeln!(body, "<h2>Figures</h2>\n<pre>{}</pre>", escape(&comparison.table()));
    page("rushq-bench: a client beside loads, compared", &body)
}

fn summary(document: &Value) -> String {
    let mut out = String::from("<dl>");
    let entries = [
        ("messages per second", format!("{:.0}", number(document, "/totals/messages_per_second"))),
        ("sets per second", format!("{:.0}", number(document, "/sets/per_second"))),
        ("hits per second", format!("{:.0}", number(document, "/gets/hits_per_second"))),
        ("misses per second", format!("{:.0}", number(document, "/gets/misses_per_second"))),
        ("p50 ms", format!("{:.3}", number(document, "/totals/latency_ms/p50"))),
        ("p99 ms", format!("{:.3}", number(document, "/totals/latency_ms/p99"))),
        ("max ms", format!("{:.3}", number(document, "/totals/latency_ms/max"))),
    ];
    for (name, figure) in entries {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{figure}</dd></div>");
    }
    out.push_str("</dl>\n");
    out + &warned(document)
}

fn warned(document: &Value) -> String {
    let mut out = String::new();
    for warning in document["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let _ = writeln!(out, "<p class=\"warning\">{}</p>", escape(warning));
    }
    out
}

/// The seconds' ends, and a figure of each. The last second may be too short to say anything.
fn points(course: &Value, of: impl Fn(&Value) -> f64) -> Vec<(f64, f64)> {
    let long_enough = |second: &&Value| number(second, "/length") >= 0.2 || number(second, "/second") == 0.0;
    let seconds = course.as_array().into_iter().flatten().filter(long_enough);
    seconds.map(|second| (number(second, "/second") + number(second, "/length"), of(second))).collect()
}

fn per_second(course: &Value, field: &str) -> Line {
    let rate = |second: &Value| number(second, &format!("/{field}")) / number(second, "/length").max(1e-3);
    Line { name: String::from(field), points: points(course, rate) }
}

fn distribution(document: &Value, kind: &str) -> Line {
    let points = document["distribution_ms"][kind].as_array().into_iter().flatten();
    Line { name: String::from(kind), points: points.map(|it| (number(it, "/0"), number(it, "/1"))).collect() }
}

/// A server's latencies: those of gets, or of sets where there are no gets.
fn both(document: &Value, server: &str) -> Line {
    let gets = distribution(document, "gets");
    let line = if gets.points.is_empty() { distribution(document, "sets") } else { gets };
    Line { name: String::from(server), ..line }
}

fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style></head>\n<body><h1>{title}</h1>\n{body}</body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::json::tests::example;
    use super::*;

    /// Every element that is opened is closed, in its order.
    fn check(page: &str) {
        let mut open: Vec<&str> = Vec::new();
        for tag in page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
            let name = tag.split([' ', '\n']).next().unwrap();
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if tag.ends_with('/') || ["!doctype", "meta"].contains(&name) => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
        for outside in ["http:", "https:", "<script", "<link", "url(", "@import", "src="] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_page_is_whole_and_needs_nothing_else() {
        let page = of_one(&example("--label <b>x</b>/y"));
        check(&page);
        assert!(page.contains("&lt;b&gt;x") && page.contains("SERVER_ERROR &lt;no&gt;"));
        assert_eq!(page.matches("<svg").count(), 3);
        // 10 sets, 3 hits and 2 misses a second: what found nothing is no message.
        let headline = "<dt>messages per second</dt><dd>13</dd></div><div><dt>sets per second</dt><dd>10</dd></div>\
                        <div><dt>hits per second</dt><dd>3</dd></div><div><dt>misses per second</dt><dd>2</dd>";
        assert!(page.contains(headline), "{page}");
        assert!(page.contains("prefers-color-scheme"));
    }

    #[test]
    fn the_page_of_a_rush_is_whole_and_has_its_kills_and_violations() {
        let page = of_rush(&gate::tests::example("--label <b>"));
        check(&page);
        assert_eq!((page.matches("<svg").count(), page.matches("<path class=\"event\"").count()), (5, 4));
        let violation = "<p class=\"warning\">violated 1 times: a buyer has one ticket; buyer 0 was told seat 1";
        assert!(page.contains("&lt;b&gt;") && page.contains(violation), "{page}");
        assert!(page.contains("<dt>violations</dt><dd>1</dd>") && page.contains(">milliseconds</text>"), "{page}");
    }

    #[test]
    fn a_comparison_is_whole_too() {
        let documents = [example("--label a/<x>"), example("--label a/y"), example("--label b/y")];
        let comparison = Comparison::new(&documents, None).unwrap();
        let page = of_several(&comparison, &documents);
        check(&page);
        assert_eq!(page.matches("<svg").count(), 8);
    }
}
