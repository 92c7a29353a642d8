//! Draining: an instance that is taken out of a fleet takes no messages and still gives those that it has.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::process::{Launch, Server, wait_until};

fn drains(server: &Server) -> bool {
    let stats = server.connect().stats("");
    let (_, value) = stats.iter().find(|(name, _)| name == "draining").expect("stats says it");
    value == "1"
}

#[test]
fn sets_are_refused_and_gets_served_until_it_ends() {
    let server = Launch::new().start();
    let mut client = server.connect();
    let queues: Vec<String> = (0..8).map(|number| format!("q{number}")).collect();
    for queue in &queues {
        assert_eq!(client.set(queue, b"before"), "STORED");
    }
    assert!(!drains(&server));

    server.signal(Signal::SIGUSR1);
    wait_until("stats to say that it drains", Duration::from_secs(10), || drains(&server));
    for queue in &queues {
        assert_eq!(client.set(queue, b"refused"), "NOT_STORED");
        assert_eq!(client.get(queue).as_deref(), Some(&b"before"[..]));
        assert_eq!(client.get(queue), None);
    }

    server.signal(Signal::SIGUSR2);
    wait_until("stats to say that it takes sets", Duration::from_secs(10), || !drains(&server));
    for queue in &queues {
        assert_eq!(client.set(queue, b"after"), "STORED");
        assert_eq!(client.get(queue).as_deref(), Some(&b"after"[..]));
    }
}
