//! What a client feels beside a load.

use std::time::Duration;

use serde_json::Value;

use crate::fake::{Fake, Mischief};
use crate::program::{Run, bench, command, path};

const LOADS: [&str; 9] =
    ["none", "sets-noreply", "sets", "gets-empty", "gets-large", "version", "long-get", "bursts", "errors"];

fn load<'a>(run: &'a Run, name: &str) -> &'a Value {
    let loads = run.document["beside"].as_array().unwrap_or_else(|| panic!("{run:#?}"));
    loads.iter().find(|load| load["load"] == name).unwrap_or_else(|| panic!("no {name} in {run:#?}"))
}

#[test]
fn each_load_is_put_on_and_leaves_nothing() {
    let fake = Fake::start(Mischief::None);
    let run = bench(fake.port(), "--beside all --seconds 0.1 --key-prefix x");
    assert_eq!(run.code, Some(0), "{run:#?}");
    for name in LOADS {
        let load = load(&run, name);
        let figure = |path: &str| load.pointer(path).and_then(Value::as_f64).unwrap();
        assert!(figure("/pairs") > 0.0 && figure("/latency_ms/p50") > 0.0, "{name}: {run:#?}");
        assert!(figure("/latency_ms/max") >= figure("/latency_ms/p50"), "{name}: {run:#?}");
        assert_eq!(figure("/requests_per_second") > 0.0, name != "none", "{name}: {run:#?}");
        assert!(run.stdout.lines().any(|line| line.starts_with(&format!("{name} "))), "{run:#?}");
    }
    assert_eq!(fake.len(), 0, "{run:#?}");
}

#[test]
fn the_longest_time_is_seen() {
    let fake = Fake::start(Mischief::StallEach(10, Duration::from_millis(50)));
    let run = bench(fake.port(), "--beside none --seconds 0.5");
    let ms = |figure: &str| load(&run, "none")["latency_ms"][figure].as_f64().unwrap();
    assert!(ms("max") > 49.0 && ms("p99") > 49.0 && ms("p50") < 49.0, "{run:#?}");
}

#[test]
fn a_load_that_is_not_taken_fails_and_the_next_is_measured() {
    let run = bench(Fake::start(Mischief::Refuse).port(), "--beside sets,none --seconds 0.1");
    assert_eq!(run.code, Some(1), "{run:#?}");
    // Whether the load or the client beside it is refused first is chance.
    let sets = load(&run, "sets")["failure"].as_str().unwrap();
    assert!(sets.contains("answered NOT_STORED, not STORED") || sets.contains("answered NotStored"), "{run:#?}");
    assert!(load(&run, "none")["failure"].as_str().unwrap().contains("NotStored"), "{run:#?}");
}

#[test]
fn servers_are_compared() {
    let fake = Fake::start(Mischief::None);
    let (first, second, page) = (path("a.json"), path("b.json"), path("page.html"));
    for (label, json) in [("one", &first), ("<two>", &second)] {
        let line = format!("--beside none,version --seconds 0.1 -p {} --label {label} --json-out-file", fake.port());
        let output = command(&line).arg(json).arg("--html").arg(&page).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(std::fs::read_to_string(&page).unwrap().contains("<svg"));
    }
    let mut command = command("--baseline one --html");
    let output = command.arg(&page).arg("--compare").args([&first, &second]).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && table.contains("beside version") && table.contains("p50 / one"), "{table}");
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(text.contains("&lt;two&gt;") && !text.contains("<two>"), "{text}");
    for file in [first, second, page] {
        std::fs::remove_file(file).unwrap();
    }
}
