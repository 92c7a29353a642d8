//! Latencies that count from when a request was due.

use std::time::Duration;

use crate::fake::{Fake, Mischief};
use crate::program::bench;

const STALL: Mischief = Mischief::Stall(200, Duration::from_millis(200));

#[test]
fn a_stall_shows_in_an_open_loop_for_all_who_came_meanwhile() {
    for rate in ["--rate 800", "--rate-limiting 100", "--rate 800 --consumer-rate 400 --producers 6 --consumers 2"] {
        let connections = if rate.contains("producers") { "" } else { "-c 8" };
        let run = bench(Fake::start(STALL).port(), &format!("{rate} {connections} --test-time 1"));
        // A fifth of the second was stalled, and so was a fifth of the requests, for half of that time in the mean.
        assert!(run.number("/totals/latency_ms/p99") > 150.0, "{rate}: {run:#?}");
        assert!(run.number("/totals/latency_ms/p90") > 50.0, "{rate}: {run:#?}");
        let (wanted, made) = (if rate.contains("consumer") { 1200.0 } else { 800.0 }, run.number("/totals/ops"));
        assert!((wanted - 2.0..=wanted + 2.0).contains(&made), "{rate}: {run:#?}");
    }
}

#[test]
fn a_closed_loop_does_not_know_what_it_has_not_asked() {
    let run = bench(Fake::start(STALL).port(), "-c 1 --test-time 1");
    assert!(run.number("/totals/latency_ms/p99") < 100.0, "{run:#?}");
    assert!(run.number("/totals/latency_ms/max") > 199.0, "{run:#?}");
}

#[test]
fn a_rate_ends_with_the_requests() {
    let fake = Fake::start(Mischief::None);
    let run = bench(fake.port(), "--rate 10000 -c 5 -n 100 -t 2 --ratio 1:0");
    assert_eq!((run.code, fake.len()), (Some(0), 1000), "{run:#?}");
    let took = run.number("/seconds");
    assert!((0.09..2.0).contains(&took), "{run:#?}");
}
