//! Queries for queues, on shards that answer what a test says.

use futures_lite::future::block_on;
use protocol::KeyRules;
use serde_json::{Value, json};
use shards::ShardId;

use super::*;
use crate::admin::testing::Fake;

fn line(name: &str, waiting: u64) -> QueueFigures {
    let name = name.as_bytes().into();
    QueueFigures { name, waiting, sort_key: waiting, in_per_1000_s: 1500, is_gate: true, ..QueueFigures::default() }
}

/// The answer to a query, and how the shards were asked.
fn ask(query: &str, lines: Vec<QueueFigures>) -> (Result<Value, u16>, String) {
    let asked = std::cell::RefCell::new(String::new());
    let fake = Fake::new(1, |_: ShardId, op: &Op<'_>| {
        *asked.borrow_mut() = format!("{op:?}");
        Outcome::Found { lines: lines.clone(), matched: 9, next: None }
    });
    let answer = block_on(page(&fake, &OneAtATime::new(), &Query::new(Some(query)), 12));
    let value = answer.map_err(|refusal| refusal.status.as_u16());
    (value.map(|answer| serde_json::from_slice(answer.body()).expect("JSON")), asked.take())
}

#[test]
fn a_page_has_its_lines_and_where_the_next_one_begins() {
    let (answer, asked) = ask("filter=a%2Bb&sort=oldest&order=asc&limit=2", vec![line("a", 1), line("b +c dead", 7)]);
    for words in ["descending: false", "sort: Oldest", "limit: 2", "behind: None", &format!("{:?}", b"a+b")] {
        assert!(asked.contains(words), "no {words} in {asked}");
    }
    let answer = answer.expect("good");
    assert_eq!((&answer["matched"], &answer["total"]), (&json!(9), &json!(12)));
    assert!(answer["took_ms"].is_number());
    let second = &answer["queues"][1];
    assert_eq!((&second["id"], &second["name"]), (&json!("b%2Bc%2Fdead"), &json!("b+c/dead")));
    assert_eq!((&second["waiting"], &second["in_per_s"], &second["gate"]), (&json!(7), &json!(1.5), &json!(true)));
    assert_eq!(answer["next"], json!("7~b%20%2Bc%20dead"));
    let (answer, asked) = ask("after=7~b%2520%252Bc%2520dead", vec![line("a", 1)]);
    assert!(asked.contains(&format!("behind: Some((7, {:?}))", b"b +c dead")), "{asked}");
    assert_eq!(answer.expect("good")["next"], Value::Null, "the page is not full, so it is the last");
}

#[test]
fn a_name_that_is_no_text_can_be_named() {
    let name: &[u8] = b"a\xff<b>";
    let queue = QueueFigures { name: name.into(), ..QueueFigures::default() };
    let answer = ask("", vec![queue]).0.expect("good");
    assert_eq!(answer["queues"][0]["name"], json!("a\u{fffd}<b>"));
    assert_eq!(decode(answer["queues"][0]["id"].as_str().expect("text").as_bytes()), name);
}

#[test]
fn a_query_that_is_none_is_refused() {
    for query in ["sort=size", "order=up", "limit=0", "limit=501", "limit=x", "after=7", "after=x~a", "after=~a"] {
        assert_eq!(ask(query, Vec::new()).0, Err(400), "{query}");
    }
}

#[test]
fn a_queue_has_its_settings_children_and_gate() {
    let queue = Named::read(b"c", KeyRules::default(), 1).expect("good");
    let fake = Fake::new(1, |_: ShardId, op: &Op<'_>| match op {
        Op::QueueFigures { .. } => Outcome::QueueFigures { lines: vec![line("c", 3)], next: None },
        Op::Config { .. } => Outcome::Words(b"tickets=9 depth=5".to_vec()),
        Op::ListChildren { .. } => Outcome::Names(vec![b"c +a".as_slice().into()]),
        Op::GateFigures { .. } => {
            let curve = GateCurve { start_ms: 2500, width_ms: 500, given: vec![1, 2], refused: vec![0, 9] };
            Outcome::GateFigures(Some(Box::new(GateFigures {
                tickets: 9,
                given: 3,
                paid: 1,
                held: 2,
                returned: 0,
                lapsed: 0,
                line: 0,
                refused: 9,
                repeats: 0,
                state: GateState::SoldOut,
                first_ms: 2600,
                last_ms: 3000,
                curve,
            })))
        }
        other => panic!("{other:?}"),
    });
    let answer = block_on(one(&fake, &queue)).expect("it is there");
    let answer: Value = serde_json::from_slice(answer.body()).expect("JSON");
    assert_eq!((&answer["waiting"], &answer["settings"]), (&json!(3), &json!("tickets=9 depth=5")));
    assert_eq!(answer["children_names"], json!(["c%2Ba"]));
    let curve = json!({"start": 2.5, "width_s": 0.5, "given": [1, 2], "refused": [0, 9]});
    assert_eq!((&answer["gate"]["state"], &answer["gate"]["curve"]), (&json!("sold_out"), &curve));
    assert_eq!((&answer["gate"]["first"], &answer["gate"]["held"]), (&json!(2.6), &json!(2)));
}

#[test]
fn a_queue_that_is_not_there_is_not_found() {
    let queue = Named::read(b"q+c", KeyRules::default(), 1).expect("good");
    let fake = Fake::new(1, |_: ShardId, _: &Op<'_>| Outcome::QueueFigures { lines: Vec::new(), next: None });
    let refusal = block_on(one(&fake, &queue)).expect_err("it is not there");
    assert_eq!((refusal.status.as_u16(), &*refusal.error), (404, "there is no queue q+c"));
}
