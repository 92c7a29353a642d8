//! Messages that are opened and acknowledged, by consumers of which some drop their connections.

use crate::fake::{Fake, Mischief};
use crate::fake_opens::Lapse;
use crate::faults::{FAULTS, check};
use crate::program::{Run, bench};

const WAYS: [&str; 3] = ["open-close", "close-open", "named"];
const LINE: &str = "--verify --producers 2 --consumers 4 -n 5000 --key-maximum 3 -d 60";

fn run(fake: &Fake, way: &str, line: &str) -> Run {
    bench(fake.port(), &format!("{LINE} --reliable {way} {line}"))
}

fn assert_good(run: &Run) {
    assert!(FAULTS.iter().all(|fault| run.number(&format!("/verify/{fault}")) == 0.0), "{run:#?}");
    assert_eq!((run.code, run.number("/verify/stored")), (Some(0), 10_000.0), "{run:#?}");
    assert_eq!(run.number("/totals/errors"), 0.0, "{run:#?}");
}

#[test]
fn each_way_acknowledges_every_message_once() {
    for way in WAYS {
        for pipeline in [1, 8] {
            let fake = Fake::start(Mischief::None);
            let run = run(&fake, way, &format!("--pipeline {pipeline}"));
            assert_good(&run);
            assert_eq!(run.number("/verify/redelivered"), 0.0, "{way}: {run:#?}");
            // The rest was taken by gets at the end.
            let taken = run.number("/verify/acknowledged") + run.number("/verify/drained");
            assert_eq!((taken, fake.len()), (10_000.0, 0), "{way}: {run:#?}");
            assert!(run.number("/verify/acknowledged") > 0.0, "{way}: {run:#?}");
        }
    }
}

#[test]
fn sets_and_opens_are_mixed_on_one_connection() {
    for way in WAYS {
        let fake = Fake::start(Mischief::None);
        let run = bench(fake.port(), &format!("--verify -c 4 -n 5000 --key-maximum 3 --pipeline 16 --reliable {way}"));
        assert_eq!((run.code, run.number("/totals/errors"), fake.len()), (Some(0), 0.0, 0), "{way}: {run:#?}");
        assert!(run.number("/verify/acknowledged") > 1000.0, "{way}: {run:#?}");
    }
}

#[test]
fn what_dropped_connections_had_open_comes_again_and_nothing_is_lost() {
    for way in WAYS {
        for pipeline in [1, 8] {
            let fake = Fake::start(Mischief::None);
            let run = run(&fake, way, &format!("--kill-consumers 50 --pipeline {pipeline}"));
            assert_good(&run);
            assert!(run.number("/kills") > 20.0, "{way}: {run:#?}");
            assert!(run.number("/verify/redelivered") > 0.0, "{way}: {run:#?}");
            assert!(run.stdout.contains("connections were dropped with messages open"), "{run:#?}");
        }
    }
}

/// A name whose reply was lost asks again, and has the same message.
#[test]
fn what_was_asked_under_a_name_is_asked_again() {
    let fake = Fake::start(Mischief::None);
    let run = run(&fake, "named", "--kill-consumers 100");
    assert_good(&run);
    assert_eq!(run.number("/unanswered"), 0.0, "{run:#?}");
    // Deletes that counted the first time are told so the second time.
    assert!(run.number("/acks/not_held") > 0.0, "{run:#?}");
}

#[test]
fn consumers_wait_and_the_gets_that_empty_the_queues_do_not() {
    for way in ["", "--reliable open-close"] {
        let fake = Fake::start(Mischief::None);
        let run =
            bench(fake.port(), &format!("--verify --producers 1 --consumers 1 -n 10 --key-maximum 9 --wait 300 {way}"));
        assert_eq!((run.code, run.number("/verify/received"), fake.len()), (Some(0), 10.0, 0), "{run:#?}");
        assert!(run.number("/gets/latency_ms/max") > 299.0 || run.number("/gets/misses") == 0.0, "{run:#?}");
        assert!(run.number("/verify/drain_seconds") < 0.3, "{run:#?}");
    }
}

#[test]
fn a_message_that_is_lost_with_a_connection_is_found() {
    let fake = Fake::start_lapsing(Lapse::Forget);
    let run = run(&fake, "open-close", "--kill-consumers 25");
    assert!(fake.is_done());
    check(&run, "lost");
}

#[test]
fn a_message_with_two_holders_is_found() {
    for way in WAYS {
        let fake = Fake::start_lapsing(Lapse::Share(3000));
        // Who opens the message next need not be another consumer, and need not come while the first one has it.
        let run = run(&fake, way, "");
        assert!(fake.is_done());
        let count = |fault: &str| run.number(&format!("/verify/{fault}"));
        assert_eq!((run.code, count("shared") + count("doubled")), (Some(1), 1.0), "{way}: {run:#?}");
        assert_eq!(count("lost") + count("reordered"), 0.0, "{way}: {run:#?}");
    }
}

#[test]
fn a_message_that_comes_after_its_acknowledgement_is_found() {
    for way in WAYS {
        let fake = Fake::start_lapsing(Lapse::Undo(3000));
        let run = run(&fake, way, "");
        assert!(fake.is_done());
        // The next consumer may have it before the first has the answer to its acknowledgement.
        let count = |fault: &str| run.number(&format!("/verify/{fault}"));
        assert_eq!((run.code, count("doubled") + count("shared")), (Some(1), 1.0), "{way}: {run:#?}");
        assert_eq!(count("lost") + count("reordered"), 0.0, "{way}: {run:#?}");
    }
}
