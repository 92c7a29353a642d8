//! Lists of queues, and all that there is to one of them.

use std::time::Instant;

use serde::Serialize;
use shards::{GateCurve, GateFigures, GateState, Op, Outcome, QueueFigures, Search, SortBy, names};

use crate::admin::acts::figures;
use crate::admin::asking::Shards;
use crate::admin::queue::Named;
use crate::admin::search::{OneAtATime, search};
use crate::web::response::{Refusal, Response, json};
use crate::web::text::{Query, decode, id_of, lossy};
use hyper::StatusCode;

/// Queues on a page without a `limit`, and the most that there are.
const LIMIT: u64 = 50;
const LIMIT_MAX: u64 = 500;

/// What queues can be sorted by, as a query says it.
const SORTS: [(&str, SortBy); 11] = [
    ("name", SortBy::Name),
    ("waiting", SortBy::Waiting),
    ("open", SortBy::Open),
    ("delayed", SortBy::Delayed),
    ("dead", SortBy::Dead),
    ("oldest", SortBy::Oldest),
    ("in", SortBy::In),
    ("out", SortBy::Out),
    ("bytes", SortBy::Bytes),
    ("waiters", SortBy::Waiters),
    ("children", SortBy::Children),
];

/// A page of queues.
#[derive(Debug, Serialize)]
struct Queues {
    matched: u64,
    total: u64,
    took_ms: f64,
    queues: Vec<Line>,
    next: Option<String>,
}

/// A queue as a line.
#[derive(Debug, Serialize)]
struct Line {
    id: String,
    name: String,
    waiting: u64,
    open: u64,
    delayed: u64,
    dead: u64,
    oldest_s: u64,
    in_per_s: f64,
    out_per_s: f64,
    bytes: u64,
    waiters: u64,
    children: u64,
    paused: bool,
    gate: bool,
}

impl From<&QueueFigures> for Line {
    fn from(queue: &QueueFigures) -> Line {
        let name = names::shown(&queue.name);
        Line {
            id: id_of(&name),
            name: lossy(&name).into_owned(),
            waiting: queue.waiting,
            open: queue.open,
            delayed: queue.delayed,
            dead: queue.dead,
            oldest_s: queue.oldest_age_s,
            in_per_s: queue.in_per_1000_s as f64 / 1000.0,
            out_per_s: queue.out_per_1000_s as f64 / 1000.0,
            bytes: queue.bytes,
            waiters: queue.waiters,
            children: queue.children,
            paused: queue.paused,
            gate: queue.is_gate,
        }
    }
}

/// A queue, and all that there is to it.
#[derive(Debug, Serialize)]
struct Queue {
    #[serde(flatten)]
    line: Line,
    sets: u64,
    gets: u64,
    acked: u64,
    returned: u64,
    expired: u64,
    refused: u64,
    open_full: u64,
    tries: u64,
    settings: String,
    children_names: Vec<String>,
    gate: Option<Gate>,
}

#[derive(Debug, Serialize)]
struct Gate {
    tickets: u64,
    given: u64,
    paid: u64,
    held: u64,
    returned: u64,
    lapsed: u64,
    line: u64,
    refused: u64,
    repeats: u64,
    state: &'static str,
    first: f64,
    last: f64,
    curve: Curve,
}

#[derive(Debug, Serialize)]
struct Curve {
    start: f64,
    width_s: f64,
    given: Vec<u64>,
    refused: Vec<u64>,
}

impl From<GateFigures> for Gate {
    fn from(gate: GateFigures) -> Gate {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let GateCurve { start_ms, width_ms, given, refused } = gate.curve;
        Gate {
            tickets: gate.tickets,
            given: gate.given,
            paid: gate.paid,
            held: gate.held,
            returned: gate.returned,
            lapsed: gate.lapsed,
            line: gate.line,
            refused: gate.refused,
            repeats: gate.repeats,
            state: match gate.state {
                GateState::None => "none",
                GateState::Before => "before",
                GateState::Open => "open",
                GateState::SoldOut => "sold_out",
                GateState::Closed => "closed",
            },
            first: seconds(gate.first_ms),
            last: seconds(gate.last_ms),
            curve: Curve { start: seconds(start_ms), width_s: seconds(width_ms), given, refused },
        }
    }
}

/// The page of queues that a query asks for. `total`: how many queues there are.
///
/// # Errors
/// When the query is none, when too many others are asked for at the same time, or the server stops.
pub(super) async fn page(
    shards: &impl Shards,
    searches: &OneAtATime,
    query: &Query<'_>,
    total: u64,
) -> Result<Response, Refusal> {
    let (filter, after) = (query.get("filter"), query.get("after"));
    let behind = behind(&after)?;
    let asked = Search {
        filter: &filter,
        sort: sort_by(query)?,
        descending: is_descending(query)?,
        behind: behind.as_ref().map(|(key, name)| (*key, &name[..])),
        before: None,
        limit: limit(query, LIMIT, LIMIT_MAX)? as u32,
    };
    let mut began = Instant::now();
    let found = searches.run(async {
        // The wait for others is theirs.
        began = Instant::now();
        search(shards, &asked).await
    });
    let busy = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many searches wait; ask again in some seconds");
    let stopping = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "stopping");
    let (lines, matched) = found.await.ok_or_else(busy)?.ok_or_else(stopping)?;
    let took_ms = (began.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
    let is_full = lines.len() as u32 == asked.limit;
    let next = lines.last().filter(|_| is_full).map(|last| format!("{}~{}", last.sort_key, id_of(&last.name)));
    Ok(json(&Queues { matched, total, took_ms, queues: lines.iter().map(Line::from).collect(), next }))
}

fn sort_by(query: &Query<'_>) -> Result<SortBy, Refusal> {
    let asked = query.get("sort");
    if asked.is_empty() {
        return Ok(SortBy::Waiting);
    }
    let found = SORTS.iter().find(|(word, _)| word.as_bytes() == asked).map(|(_, sort)| *sort);
    found.ok_or_else(|| {
        Refusal::bad(format!("sort={}: it is one of {}", lossy(&asked), SORTS.map(|(word, _)| word).join(" ")))
    })
}

fn is_descending(query: &Query<'_>) -> Result<bool, Refusal> {
    match &query.get("order")[..] {
        b"" | b"desc" => Ok(true),
        b"asc" => Ok(false),
        other => Err(Refusal::bad(format!("order={}: it is asc or desc", lossy(other)))),
    }
}

/// How many things are asked for, 1 to `most`.
pub(super) fn limit(query: &Query<'_>, default: u64, most: u64) -> Result<u64, Refusal> {
    let name = if query.get("count").is_empty() { "limit" } else { "count" };
    let limit = query.number(name, default).map_err(Refusal::bad)?;
    match (1..=most).contains(&limit) {
        true => Ok(limit),
        false => Err(Refusal::bad(format!("{name}={limit} is not possible; it is 1 to {most}"))),
    }
}

/// The key and the stored name of the last queue on the page before.
fn behind(token: &[u8]) -> Result<Option<(u64, Vec<u8>)>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let parts = std::str::from_utf8(token).ok().and_then(|token| token.split_once('~'));
    let parts = parts.and_then(|(key, id)| Some((key.parse().ok()?, decode(id.as_bytes()))));
    parts.map(Some).ok_or_else(|| Refusal::bad("after= is no token of a page before"))
}

/// All that there is to a queue.
///
/// # Errors
/// When there is no such queue.
pub(super) async fn one(shards: &impl Shards, named: &Named) -> Result<Response, Refusal> {
    let queue = &*named.stored;
    let Some(figures) = figures(shards, named).await else { return Err(no_such_queue(named)) };
    let mut answer = Queue {
        line: Line::from(&figures),
        sets: figures.sets,
        gets: figures.gets,
        acked: figures.acked,
        returned: figures.returned,
        expired: figures.expired,
        refused: figures.refused,
        open_full: figures.open_full,
        tries: figures.head_tries,
        settings: String::new(),
        children_names: Vec::new(),
        gate: None,
    };
    if !named.is_dead {
        let ops = [Op::Config { queue }, Op::ListChildren { queue }, Op::GateFigures { queue }];
        for outcome in shards.ask(&ops.map(|op| (named.owner, op))).await {
            match outcome {
                Outcome::Words(words) => answer.settings = lossy(&words).into_owned(),
                Outcome::Names(names) => {
                    answer.children_names = names.iter().map(|name| id_of(&names::shown(name))).collect();
                }
                Outcome::GateFigures(gate) => answer.gate = gate.map(|gate| Gate::from(*gate)),
                other => unreachable!("a queue was looked at, and {other:?} came"),
            }
        }
    }
    Ok(json(&answer))
}

/// The refusal of who names a queue that is not there.
pub(super) fn no_such_queue(named: &Named) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("there is no queue {}", lossy(&named.shown())))
}

#[cfg(test)]
mod tests;
