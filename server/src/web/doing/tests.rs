//! Acts on shards that answer what a test says.

use std::cell::RefCell;

use futures_lite::future::block_on;
use protocol::KeyRules;
use shards::{QueueFigures, ShardId};

use super::*;
use crate::admin::testing::Fake;

fn queue(key: &str) -> Named {
    Named::read(key.as_bytes(), KeyRules::default(), 1).expect("good")
}

fn who() -> Who {
    Who { user: None, peer: "127.0.0.1:9".to_string() }
}

/// Does an act. Returns what is answered, or the status and the error; and what the shards heard.
fn run(asked: Asked, answer: impl Fn(&Op<'_>) -> Outcome) -> (std::result::Result<Value, (u16, String)>, Vec<String>) {
    let heard = RefCell::new(Vec::new());
    let fake = Fake::new(1, |_: ShardId, op: &Op<'_>| {
        heard.borrow_mut().push(format!("{op:?}"));
        answer(op)
    });
    let done = block_on(on_queue(&fake, asked, &who()));
    (done.map_err(|refusal| (refusal.status.as_u16(), refusal.error)), heard.take())
}

fn there(waiting: u64, delayed: u64, open: u64) -> Outcome {
    let line = QueueFigures { waiting, delayed, open, ..QueueFigures::default() };
    Outcome::QueueFigures { lines: vec![line], next: None }
}

fn missing() -> Outcome {
    Outcome::QueueFigures { lines: Vec::new(), next: None }
}

/// Planted once: without the look at what is there, a wrong count drops messages.
#[test]
fn a_purge_with_a_count_that_is_not_there_drops_nothing() {
    for count in [0, 8, u64::MAX] {
        let (done, heard) = run(Asked::Purge { queue: queue("q"), count }, |_| there(5, 2, 9));
        let (status, error) = done.expect_err("it is refused");
        assert_eq!((status, heard.len()), (409, 1), "{heard:?}");
        assert!(error.starts_with("7 messages are there"), "{error}");
    }
    let purge = |op: &Op<'_>| match op {
        Op::Purge { count, .. } => Outcome::Purged { count: u64::from(*count), next: None },
        _ => there(5, 2, 9),
    };
    let (done, _) = run(Asked::Purge { queue: queue("q"), count: 7 }, purge);
    assert_eq!(done, Ok(json!({ "purged": 7 })));
    let (done, _) = run(Asked::Purge { queue: queue("q"), count: 1 }, |_| missing());
    assert_eq!(done, Err((404, "there is no queue q".to_string())));
}

#[test]
fn messages_move_to_a_queue_that_is_there_and_nowhere_else() {
    let asked = || Asked::Move { from: queue("q"), to: queue("r"), count: 5 };
    let (done, heard) = run(asked(), |op| match op {
        Op::QueueFigures { queue: b"q" } => there(5, 0, 0),
        Op::QueueFigures { .. } => missing(),
        other => panic!("{other:?}"),
    });
    assert!(done == Err((404, "there is no queue r".to_string())) && heard.iter().all(|op| op.contains("Figures")));
    let (done, _) = run(asked(), |op| match op {
        Op::QueueFigures { .. } => there(0, 0, 0),
        _ => Outcome::Empty,
    });
    assert_eq!(done, Ok(json!({ "moved": 0 })));
}

#[test]
fn what_came_of_an_act_is_told_with_its_number_also_when_it_was_cut_short() {
    let (done, _) = run(Asked::Kick { queue: queue("q"), count: 5 }, |op| match op {
        Op::Kick { .. } => Outcome::NoRoom,
        _ => there(0, 0, 0),
    });
    assert_eq!(done, Err((507, "0 kicked, then the disk has no room for more".to_string())));
}

#[test]
fn a_queue_is_paused_by_one_operation_which_makes_none() {
    let answer = |op: &Op<'_>| match op {
        Op::Pause { queue: b"q", .. } => Outcome::Configured,
        other => panic!("{other:?}"),
    };
    for pauses in [true, false] {
        let (done, heard) = run(Asked::Pause { queue: queue("q"), pauses }, answer);
        assert_eq!((done, heard.len()), (Ok(json!({ "paused": pauses })), 1));
    }
    let (done, _) = run(Asked::Pause { queue: queue("q"), pauses: true }, |_| Outcome::NotFound);
    assert_eq!(done.expect_err("there is none").0, 404);
}

/// It gives no message to an open, so nothing would move, and that would look like success.
#[test]
fn nothing_moves_out_of_a_queue_that_is_paused() {
    let paused = |op: &Op<'_>| match (op, there(3, 0, 0)) {
        (Op::QueueFigures { .. }, Outcome::QueueFigures { mut lines, next }) => {
            lines.iter_mut().for_each(|line| line.paused = true);
            Outcome::QueueFigures { lines, next }
        }
        (other, _) => panic!("{other:?}"),
    };
    let (done, _) = run(Asked::Move { from: queue("q"), to: queue("r"), count: 3 }, paused);
    let (status, why) = done.expect_err("paused");
    assert!(status == 409 && why.contains("paused"), "{status} {why}");
}

#[test]
fn refusals_of_the_shards_have_words() {
    let config = || Asked::Config { queue: queue("q"), words: "depht=5".to_string() };
    let (done, _) = run(config(), |_| Outcome::BadWord(b"depht=5".as_slice().into()));
    assert_eq!(done, Err((400, "depht=5 is no setting".to_string())));
    let (done, _) = run(config(), |_| Outcome::NotStored);
    assert_eq!(done.expect_err("refused").0, 409);
    let (done, _) = run(Asked::Delete { queue: queue("q") }, |_| Outcome::NotFound);
    assert_eq!(done.expect_err("refused").0, 404);
    let (done, _) = run(Asked::Delete { queue: queue("q") }, |_| Outcome::NoRoom);
    assert_eq!(done.expect_err("refused").0, 507);
    let (done, _) = run(Asked::Release { queue: queue("q"), lease: 7 }, |_| Outcome::NotFound);
    assert_eq!(done.expect_err("refused"), (404, "no message is open by this lease".to_string()));
}
