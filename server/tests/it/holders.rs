//! Who holds a message that is open, where there is more than one connection, and when a connection or the server ends.

use crate::client::Client;
use crate::process::{Launch, Server};

const QUEUES: [&str; 6] = ["q0", "q1", "q2", "q3", "q4", "q5"];

/// The number behind the bytes of the only value of a reply.
fn number(client: &mut Client, line: &str) -> u64 {
    let value = client.command(line);
    let number = value.rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{line}: {value}"));
    client.line();
    assert_eq!(client.line(), "END");
    number
}

fn with_a_message_each() -> Server {
    let server = Launch::new().start();
    QUEUES.iter().for_each(|queue| assert_eq!(server.connect().set(queue, b"a"), "STORED"));
    server
}

#[test]
fn the_number_of_a_lease_is_one_delivery_s() {
    let server = with_a_message_each();
    for queue in QUEUES {
        let (mut one, mut other) = (server.connect(), server.connect());
        let first = number(&mut one, &format!("gats 30 {queue}"));
        assert!(first < 1 << 53 && first & 0xff == 1, "{first:x}");
        assert_eq!(other.command(&format!("get {queue}/abort/lease={first}")), "END");
        let second = number(&mut other, &format!("gets {queue}/open"));
        assert!(second != first && second & 0xff == 2, "{second:x}");
        assert_eq!(one.command(&format!("delete {queue}/lease={first}")), "NOT_FOUND");
        assert_eq!(one.command(&format!("touch {queue}/lease={second} 60")), "TOUCHED");
        // Whatever holds it.
        assert_eq!(one.command(&format!("delete {queue}/lease={second}")), "DELETED");
        assert_eq!(one.command(&format!("delete {queue}/lease={second}")), "NOT_FOUND");
        assert_eq!(other.command(&format!("get {queue}/close/open")), "END");
    }
    assert_eq!(server.connect().figure("curr_items"), 0);
}

#[test]
fn a_try_that_was_released_does_not_count() {
    let server = with_a_message_each();
    for queue in QUEUES {
        let (mut one, mut other) = (server.connect(), server.connect());
        let first = number(&mut one, &format!("gats 30 {queue}"));
        assert_eq!(other.command(&format!("get {queue}/release/lease={first}")), "END");
        let second = number(&mut one, &format!("gats 30 {queue}"));
        assert!(second != first && second & 0xff == 1, "{second:x}");
        assert_eq!(other.command(&format!("get {queue}/bury/lease={first}")), "END");
        assert_eq!(other.command(&format!("get {queue}/close/lease={first}")), "END");
        assert_eq!(other.command(&format!("get {queue}/bury/lease={second}")), "END");
        let dead = number(&mut one, &format!("gets {queue}/dead/open/for=30/t=9000"));
        assert_eq!(other.command(&format!("get {queue}/dead/close/lease={dead}")), "END");
        assert_eq!(other.command(&format!("delete {queue}/dead/lease={dead}")), "NOT_FOUND");
        assert_eq!((one.get(queue), one.get(&format!("{queue}/dead"))), (None, None));
    }
}

#[test]
fn what_a_connection_has_open_comes_back_when_it_ends() {
    let server = with_a_message_each();
    let mut holder = server.connect();
    let mut waiting: Vec<Client> = QUEUES.iter().map(|_| server.connect()).collect();
    for (queue, waiting) in QUEUES.iter().zip(&mut waiting) {
        assert_eq!(holder.get(&format!("{queue}/open")).as_deref(), Some(&b"a"[..]));
        assert_eq!(waiting.get(queue), None);
        waiting.send(format!("get {queue}/t=60000\r\n"));
    }
    drop(holder);
    for (queue, waiting) in QUEUES.iter().zip(&mut waiting) {
        waiting.expect(&format!("VALUE {queue}/t=60000 0 1\r\na\r\nEND\r\n"));
    }
}

/// A name's, a number's, and those of which a plain get took the message for good, do not.
#[test]
fn what_a_name_has_open_outlives_its_connection() {
    let server = with_a_message_each();
    let mut holder = server.connect();
    for queue in QUEUES {
        assert_eq!(holder.get(&format!("{queue}/open/as=w1")).as_deref(), Some(&b"a"[..]));
    }
    drop(holder);
    let mut other = server.connect();
    for queue in QUEUES {
        assert_eq!(other.get(queue), None);
        assert_eq!(other.get(&format!("{queue}/open/as=w1")).as_deref(), Some(&b"a"[..]));
        assert_eq!(other.command(&format!("delete {queue}/as=w1")), "DELETED");
    }
}

#[test]
fn what_was_not_acknowledged_is_there_after_a_restart() {
    let mut server = with_a_message_each();
    let mut client = server.connect();
    for queue in QUEUES {
        assert_eq!(client.set(queue, b"b"), "STORED");
        assert_eq!(client.get(&format!("{queue}/open")).as_deref(), Some(&b"a"[..]));
        assert_eq!(client.get(&format!("{queue}/open/as=w1")).as_deref(), Some(&b"b"[..]));
        assert_eq!(client.command(&format!("get {queue}/close")), "END");
    }
    server.kill_9();
    server.start();
    let mut client = server.connect();
    for queue in QUEUES {
        assert_eq!(client.command(&format!("delete {queue}/as=w1")), "NOT_FOUND");
        assert_eq!(client.get(queue).as_deref(), Some(&b"b"[..]), "{queue}");
        assert_eq!(client.get(queue), None, "{queue}");
    }
}

#[test]
fn opens_and_touches_are_counted() {
    let server = with_a_message_each();
    let mut client = server.connect();
    for queue in QUEUES {
        assert_eq!(client.get(&format!("{queue}/open/as=w1")).as_deref(), Some(&b"a"[..]));
        assert_eq!(client.get(&format!("{queue}/open/as=w2/t=1")), None);
        assert_eq!(client.get(&format!("{queue}/peek")), None);
        assert_eq!(client.command(&format!("touch {queue}/as=w1 60")), "TOUCHED");
        assert_eq!(client.command(&format!("touch {queue}/as=w2 60")), "NOT_FOUND");
        assert_eq!(client.command(&format!("touch {queue}/as=w3 60")), "NOT_FOUND");
    }
    let figures = [("cmd_get", 12), ("get_hits", 6), ("get_misses", 6), ("cmd_touch", 18), ("touch_hits", 6)];
    for (name, value) in figures.into_iter().chain([("touch_misses", 12), ("cmd_set", 6)]) {
        assert_eq!(client.figure(name), value, "{name}");
    }
}
