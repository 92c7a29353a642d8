//! The gate: a transcript for what its queue is told, and for what becomes of its tickets then; what cannot be said now.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::client::Client;
use crate::process::{Launch, wait_until};
use crate::transcript::{run, run_on};

/// With the ticket by default; else once it is paid, and never when it comes back.
#[test]
fn the_message_can_be_kept_back_until_it_is_paid() {
    run(r"
        > set $c/config 0 0 26
        > tickets=3 hold=60 put=paid
        < STORED
        > incr $c/ticket=ann 1
        < 1
        > incr $c/ticket=bob 1
        < 2
        > get $c
        < END
        > touch $c/ticket=bob 0
        < TOUCHED
        > gets $c
        < VALUE $c 0 3 2
        < bob
        < END
        > delete $c/ticket=ann
        < DELETED
        > touch $c/ticket=ann 0
        < NOT_FOUND
        > get $c
        < END
        > set $c/config 0 0 27
        > tickets=3 hold=60 put=given
        < STORED
        > incr $c/ticket=cat 1
        < 1
        > delete $c/ticket=cat
        < DELETED
        > get $c $c
        < VALUE $c 0 3
        < cat
        < END
    ");
}

/// Not there, not told, not yet, and no more.
#[test]
fn what_cannot_be_said_now_is_the_same_by_every_door() {
    run(r"
        > get $c/ticket=ann
        < SERVER_ERROR try again
        > incr $c/ticket=ann 1
        < SERVER_ERROR try again
        > add $c/ticket=ann 0 0 1
        > a
        < SERVER_ERROR try again
        > incr $c/ticket=ann 1 noreply
        > set $c 0 0 1
        > a
        < STORED
        > get $c/ticket=ann
        < SERVER_ERROR try again
        > set $c/config 0 0 25
        > tickets=2 open=4000000000
        < STORED
        > get $c/ticket=ann
        < SERVER_ERROR try again
        > get $c/place=ann
        < END
        > set $c/config 0 0 26
        > tickets=2 close=1000000000
        < STORED
        > get $c/ticket=ann
        < END
        > incr $c/ticket=ann 1
        < NOT_FOUND
        > set $c/config 0 0 25
        > tickets=2 open=1000000000
        < STORED
        > incr $c/ticket=ann 1
        < 1
        > delete $c/config
        < DELETED
        > incr $c/ticket=bob 1
        < SERVER_ERROR try again
        > incr $c/ticket=ann 1
        < 1
        > get $c $c $c
        < VALUE $c 0 1
        < a
        < VALUE $c 0 3
        < ann
        < END
    ");
}

#[test]
fn tickets_are_raised_and_lowered() {
    run(r"
        > set $c/config 0 0 9
        > tickets=1
        < STORED
        > incr $c/ticket=ann 1
        < 1
        > incr $c/ticket=bob 1
        < NOT_FOUND
        > set $c/config 0 0 9
        > tickets=3
        < STORED
        > incr $c/ticket=bob 1
        < 2
        > set $c/config 0 0 9
        > tickets=1
        < STORED
        > incr $c/ticket=cat 1
        < NOT_FOUND
        > incr $c/ticket=bob 1
        < 2
        > delete $c/ticket=ann
        < DELETED
        > incr $c/ticket=cat 1
        < NOT_FOUND
        > delete $c/ticket=bob
        < DELETED
        > incr $c/ticket=cat 1
        < 1
    ");
}

#[test]
fn a_flush_keeps_tickets_and_a_delete_ends_them() {
    run(r"
        > set $c/config 0 0 9
        > tickets=1
        < STORED
        > incr $c/ticket=ann 1
        < 1
        > flush $c
        < END
        > get $c
        < END
        > incr $c/ticket=ann 1
        < 1
        > incr $c/ticket=bob 1
        < NOT_FOUND
        > delete $c
        < DELETED
        > get $c/place=ann
        < END
        > get $c/gate
        < END
        > set $c/config 0 0 9
        > tickets=1
        < STORED
        > incr $c/ticket=bob 1
        < 1
    ");
}

#[test]
fn a_key_without_options_has_no_gate() {
    let launch = Launch::new().with(&["--no-options"]);
    run_on(
        launch,
        2,
        r"
        > get $c/ticket=ann
        < END
        > incr $c/ticket=ann 1
        < ERROR
        > add $c/ticket=ann 0 0 5
        > get x
        < ERROR
        > set $c/ticket=ann 0 0 1
        > x
        < STORED
        > get $c/ticket=ann
        < VALUE $c/ticket=ann 0 1
        < x
        < END
    ",
    );
}

#[test]
fn a_client_can_have_the_bare_name() {
    let launch = Launch::new().with(&["--kestrel-keys"]);
    run_on(
        launch,
        2,
        r"
        > set $c/config 0 0 9
        > tickets=1
        < STORED
        > get $c/ticket=ann
        < VALUE $c 0 1
        < 1
        < END
    ",
    );
}

/// By the shard's timer, and not when a command comes: the figures change by themselves.
#[test]
fn a_hold_lapses_by_itself() {
    let server = Launch::new().start();
    let mut client = server.connect();
    for name in ["c0", "c1", "c2", "c3"] {
        assert_eq!(client.set(&format!("{name}/config"), b"tickets=1 hold=1 put=paid line=1"), "STORED");
        assert_eq!(client.command(&format!("incr {name}/ticket=ann 1")), "1");
        assert_eq!(client.command(&format!("incr {name}/ticket=bob 1")), "NOT_FOUND");
    }
    for name in ["c0", "c1", "c2", "c3"] {
        let lapsed = |client: &mut Client| {
            let stats = client.stats(&format!("gate {name}"));
            stats.iter().any(|(figure, value)| figure == "lapsed" && value != "0")
        };
        wait_until("a ticket to lapse", Duration::from_secs(20), || lapsed(&mut client));
        assert_eq!(client.command(&format!("touch {name}/ticket=ann 0")), "NOT_FOUND", "her message is gone too");
    }
}

#[test]
fn a_server_that_drains_tells_what_was_given_and_gives_nothing() {
    let server = Launch::new().start();
    let mut client = server.connect();
    assert_eq!(client.set("c/config", b"tickets=2 hold=60"), "STORED");
    assert_eq!(client.command("incr c/ticket=ann 1"), "1");
    server.signal(Signal::SIGUSR1);
    wait_until("the server to drain", Duration::from_secs(10), || server.connect().figure("draining") == 1);
    assert_eq!(client.command("get c/ticket=bob"), "SERVER_ERROR try again");
    assert_eq!(client.command("incr c/ticket=bob 1"), "SERVER_ERROR try again");
    client.send("add c/ticket=bob 0 0 1\r\nx\r\n");
    assert_eq!(client.line(), "SERVER_ERROR try again");
    assert_eq!(client.command("incr c/ticket=ann 1"), "1");
    assert_eq!(client.get("c/place=bob"), None);
    assert_eq!(client.command("touch c/ticket=ann 0"), "TOUCHED");
    server.signal(Signal::SIGUSR2);
    wait_until("the server to give", Duration::from_secs(10), || server.connect().figure("draining") == 0);
    assert_eq!(client.command("incr c/ticket=bob 1"), "2");
    server.signal(Signal::SIGUSR1);
    wait_until("the server to drain", Duration::from_secs(10), || server.connect().figure("draining") == 1);
    assert_eq!(client.command("incr c/ticket=cat 1"), "NOT_FOUND", "all are given, and that stays so");
}
