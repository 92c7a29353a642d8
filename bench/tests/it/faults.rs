//! One fault among a million messages.

use crate::fake::{Fake, Mischief};
use crate::program::{Run, bench};

pub(crate) const FAULTS: [&str; 7] = ["lost", "doubled", "shared", "reordered", "corrupted", "misplaced", "foreign"];
const MIDDLE: u64 = 654_321;

/// A million messages through a server that does this.
fn million(mischief: Mischief, line: &str) -> Run {
    let fake = Fake::start(mischief);
    let run = bench(fake.port(), &format!("--verify --pipeline 256 -d 60 --key-maximum 7 {line}"));
    assert_eq!(run.number("/verify/stored"), 1_000_000.0, "{run:#?}");
    assert_eq!((fake.is_done(), fake.len()), (mischief != Mischief::None, 0));
    run
}

/// Exactly this fault is reported, exactly once, with an example.
pub(crate) fn check(run: &Run, fault: &str) {
    for name in FAULTS {
        let wanted = if name == fault { 1.0 } else { 0.0 };
        assert_eq!(run.number(&format!("/verify/{name}")), wanted, "{name} in {run:#?}");
    }
    assert_eq!(run.code, Some(1), "{run:#?}");
    assert!(run.stdout.contains(&format!("{fault}: queue q")), "{run:#?}");
}

#[test]
fn no_fault_is_reported_where_there_is_none() {
    let run = million(Mischief::None, "--producers 4 --consumers 4 -n 250000 -t 2");
    assert!(FAULTS.iter().all(|name| run.number(&format!("/verify/{name}")) == 0.0), "{run:#?}");
    assert_eq!((run.code, run.number("/verify/received")), (Some(0), 1_000_000.0), "{run:#?}");
}

#[test]
fn a_dropped_message_is_found() {
    check(&million(Mischief::Drop(MIDDLE), "--producers 2 --consumers 2 -n 500000"), "lost");
}

#[test]
fn a_doubled_message_is_found() {
    check(&million(Mischief::Double(MIDDLE), "-c 4 -n 500000"), "doubled");
}

#[test]
fn a_swapped_message_is_found() {
    check(&million(Mischief::Swap(MIDDLE), "--producers 2 --consumers 1 -n 500000"), "reordered");
}

#[test]
fn a_message_swapped_in_a_backlog_is_found() {
    check(&million(Mischief::Swap(MIDDLE), "-c 2 --ratio 1:0 -n 500000"), "reordered");
}

#[test]
fn a_corrupted_message_is_found() {
    check(&million(Mischief::Corrupt(MIDDLE), "-c 4 -n 500000"), "corrupted");
}

#[test]
fn a_message_of_an_earlier_run_is_told_apart() {
    let fake = Fake::start(Mischief::None);
    fake.put("q3", b"hello");
    let run = bench(fake.port(), "--verify -n 100 -c 2");
    assert_eq!(run.number("/verify/received"), 101.0);
    check(&run, "foreign");
    assert!(run.stdout.contains("queue q3, body hello"), "{run:#?}");
}

#[test]
fn a_rush_stores_each_message_once() {
    let fake = Fake::start(Mischief::None);
    let run = bench(fake.port(), "--rush -c 50 -n 20 -t 2");
    assert_eq!((run.code, run.number("/rush/messages"), fake.len()), (Some(0), 2000.0, 0), "{run:#?}");
    assert_eq!((run.number("/rush/worked_off"), run.number("/verify/received")), (2000.0, 2000.0));
    assert!(run.number("/rush/last_stored_ms") > 0.0 && run.stdout.contains("rush: 2000 messages"), "{run:#?}");
    check(&bench(Fake::start(Mischief::Drop(7)).port(), "--rush -c 10"), "lost");
}
