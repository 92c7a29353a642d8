//! `rushq ping` and `rushq stats`.

use std::time::Instant;

use serde_json::Value;

use super::http::Admin;
use super::memcache::Memcache;
use super::place::Place;
use super::server::{self, Server};
use super::{print, text};
use crate::process::commands::Line;

/// Succeeds if a server answers in time.
///
/// # Errors
/// When none does.
pub(super) fn ping(line: &Line) -> Result<(), String> {
    let (place, timeout) = (Place::of(line)?, server::timeout(line)?);
    let begun = Instant::now();
    let what = match server::find(&place, timeout)? {
        Some(memcache) if memcache.version.is_empty() => "rushq, which asks for a login,".to_string(),
        Some(memcache) => format!("rushq {}", memcache.version),
        None => health(&Admin::at(&place, timeout, None))?,
    };
    let took = begun.elapsed();
    print(&format!("{what} at {place} answers after {:.1} ms\n", took.as_secs_f64() * 1000.0))
}

/// The admin port says so itself, without a login.
fn health(admin: &Admin) -> Result<String, String> {
    let answer = admin.request("GET", "/healthz", None)?;
    match (answer.status, answer.body.as_slice()) {
        (200, b"ok\n") => Ok("the admin port of rushq".to_string()),
        (200 | 404, _) => Err(admin.foreign(answer.status)),
        (status, _) => {
            Err(admin.failed(format!("its /healthz has status {status}, where a server that is well has 200")))
        }
    }
}

/// Prints figures.
///
/// # Errors
/// When the server has none of that kind.
pub(super) fn stats(line: &Line) -> Result<(), String> {
    let words: Vec<Vec<u8>> = (0..line.words()).map(|at| line.word(at)).collect::<Result<_, _>>()?;
    if let Some(word) = words.iter().find(|word| word.iter().any(|byte| *byte <= b' ' || *byte == 0x7f)) {
        return Err(format!("{}: it has blanks or control bytes, and no kind or queue does", text::line(word)));
    }
    if words.first().is_some_and(|kind| kind == b"reset") {
        return Err(
            "reset: it is no kind of figures, and would change them; the memcache command stats reset does".into()
        );
    }
    match server::open(line)? {
        Server::Memcache(mut memcache) => print(&of_memcache(&mut memcache, &words.join(&b' '))?),
        Server::Admin(admin) if words.is_empty() => {
            let overview: Value = admin.get("/api/overview")?;
            print(&text::columns(&flattened(&overview)))
        }
        Server::Admin(admin) => {
            let kind = text::line(&words[0]);
            Err(admin.failed(format!("{kind}: figures of a kind come from the memcache port; -p names it")))
        }
    }
}

fn of_memcache(memcache: &mut Memcache, kind: &[u8]) -> Result<String, String> {
    let mut pairs = Vec::new();
    memcache.stats(kind, |name, value| {
        pairs.push((text::line(name), text::line(value)));
        Ok(())
    })?;
    Ok(text::columns(&pairs))
}

/// Each number and text of an answer, by where it stands: `totals.waiting`, `shards.0.queues`.
fn flattened(value: &Value) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    flatten("", value, &mut pairs);
    pairs
}

fn flatten(path: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    let below = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| flatten(&below(name), value, pairs)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| flatten(&below(&at.to_string()), item, pairs))
        }
        Value::String(string) => pairs.push((path.to_string(), text::line(string.as_bytes()))),
        Value::Null => pairs.push((path.to_string(), "-".to_string())),
        other => pairs.push((path.to_string(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_named_by_where_they_stand() {
        let value = serde_json::json!({"a": {"b": 1, "c": "x\u{1b}"}, "d": [{"e": true}, {"e": null}]});
        let pairs = flattened(&value);
        let shown: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["a.b=1", "a.c=x\\u{1b}", "d.0.e=true", "d.1.e=-"]);
    }
}
