//! Acts, and what the shards hear of them.

use std::cell::RefCell;
use std::rc::Rc;

use futures_lite::future::block_on;
use protocol::KeyRules;
use shards::{OpenHolder, OpenLine, ShardId};

use super::*;
use crate::admin::testing::Fake;

fn named(key: &str) -> Named {
    Named::read(key.as_bytes(), KeyRules::default(), 2).expect("good")
}

/// What shards answer.
type Answers = Box<dyn Fn(ShardId, &Op<'_>) -> Outcome>;

/// Runs an act on shards that answer from a list, and returns what came of it and what they heard.
fn run<T>(answers: Vec<Outcome>, act: impl AsyncFnOnce(&Fake<Answers>) -> T) -> (T, Vec<String>) {
    let (answers, heard) = (RefCell::new(answers), Rc::new(RefCell::new(Vec::new())));
    let hears = Rc::clone(&heard);
    let answer: Answers = Box::new(move |_, op| {
        hears.borrow_mut().push(format!("{op:?}"));
        answers.borrow_mut().remove(0)
    });
    let done = block_on(act(&Fake::new(2, answer)));
    (done, heard.take())
}

fn opened(lease: u64) -> Outcome {
    Outcome::Opened { lease, flags: 7, body: b"m".as_slice().into(), waits: false }
}

fn opens(queue: u64, lease: u64, seq: u64) -> Outcome {
    let (holder, since_s, ends_in_s) = (OpenHolder::Number, Some(0), Some(60));
    let line = OpenLine { queue, seq, lease, holder, since_s, ends_in_s, try_number: 1 };
    Outcome::Opens { lines: vec![line], next: None }
}

/// Planted once: a purge that goes on until nothing is left drops what was put since the operator counted.
#[test]
fn a_purge_drops_so_many_and_no_more() {
    let pieces = vec![Outcome::Purged { count: 5, next: Some(9) }, Outcome::Purged { count: 2, next: Some(12) }];
    let (done, heard) = run(pieces, async |shards| purge(shards, &named("q"), 7).await);
    assert_eq!(done, (7, None));
    assert!(heard[0].contains("after: 0, count: 7") && heard[1].contains("after: 9, count: 2"), "{heard:?}");
    let (done, _) =
        run(vec![Outcome::Purged { count: 3, next: None }], async |shards| purge(shards, &named("q"), 7).await);
    assert_eq!(done, (3, None), "others have taken the rest");
    let (done, _) = run(vec![Outcome::NoRoom], async |shards| purge(shards, &named("q"), 7).await);
    assert_eq!(done, (0, Some(Stopped::NoRoom)));
}

#[test]
fn dead_letters_are_put_back_in_pieces() {
    let pieces = vec![Outcome::Kicked(1000), Outcome::Kicked(500)];
    let (done, heard) = run(pieces, async |shards| kick(shards, &named("q"), 1500).await);
    assert_eq!((done, heard.len()), ((1500, None), 2));
    let (done, _) =
        run(vec![Outcome::Kicked(4), Outcome::Kicked(0)], async |shards| kick(shards, &named("q"), 9).await);
    assert_eq!(done, (4, None));
}

#[test]
fn a_message_moves_in_an_order_that_loses_none() {
    let answers = vec![opened(256), opens(3, 256, 41), Outcome::Stored, Outcome::Ended, Outcome::Empty];
    let (done, heard) = run(answers, async |shards| move_all(shards, &named("a"), &named("b"), 9).await);
    assert_eq!(done, (1, None));
    assert!(heard[0].starts_with("Open(") && heard[0].contains("Number") && heard[0].contains("Some(60)"), "{heard:?}");
    assert!(heard[2].starts_with("PutWith") && heard[2].contains("flags: 7"), "{heard:?}");
    assert!(heard[3].contains("Lease(256)") && heard[3].contains("Acknowledge"), "{heard:?}");
}

/// The same message has the same id, so that it is stored once though its move was cut off and begun again.
#[test]
fn a_message_that_moves_again_has_the_same_id() {
    let id_of = |queue: u64, lease: u64, seq: u64| {
        let (id, _) = run(vec![opens(queue, lease, seq)], async |shards| id_of_move(shards, &named("a"), lease).await);
        id
    };
    assert_eq!(id_of(3, 256, 41), id_of(3, 513, 41));
    assert_ne!(id_of(3, 256, 41), id_of(3, 256, 42));
    // Deleted and made anew, the queue has the same numbers again.
    assert_ne!(id_of(3, 256, 41), id_of(4, 256, 41));
    assert!(id_of(u64::MAX, u64::MAX, u64::MAX).len() <= protocol::TOKEN_BYTES_MAX);
}

#[test]
fn a_message_that_is_refused_goes_back() {
    let answers = vec![opened(256), opens(3, 256, 41), Outcome::NotStored, Outcome::Ended];
    let (done, heard) = run(answers, async |shards| move_all(shards, &named("a"), &named("b"), 9).await);
    assert_eq!(done, (0, Some(Stopped::Refused)));
    assert!(heard[3].contains("Release"), "{heard:?}");
}

#[test]
fn what_is_long_ends_early_when_the_server_stops() {
    let answer = |_, _: &Op<'_>| Outcome::Purged { count: 1, next: Some(1) };
    let mut fake = Fake::new(1, answer);
    fake.stops_after = 3;
    assert_eq!(block_on(purge(&fake, &named("q"), 100)), (3, Some(Stopped::Stopping)));
}
