//! Gets that wait for a message, over connections of which some end meanwhile. Queues `q0` to `q7` are spread over both
//! shards, and so are connections.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::client::Client;
use crate::process::{Launch, Server, wait_until};
use crate::transcript::{run, run_on};

const LONG: Duration = Duration::from_secs(20);

/// Waits until so many gets were begun since the start.
fn gets_begun(server: &Server, gets: u64) {
    let mut client = server.connect();
    wait_until("gets to be begun", LONG, || client.figure("get_cmds") >= gets);
}

fn open_connections(server: &Server) -> u64 {
    server.connect().figure("curr_connections") - 1
}

fn queues() -> impl Iterator<Item = String> {
    (0..8).map(|number| format!("q{number}"))
}

#[test]
fn a_get_waits_no_longer_than_it_says() {
    run(r"
        > get $q/t=30
        < END
        > gets $q/t=0
        < END
        > set $q 7 0 5
        > hello
        < STORED
        > get $q/t=20000
        < VALUE $q/t=20000 7 5
        < hello
        < END
        > get $q/t=30
        < END
    ");
    let since = Instant::now();
    let server = Launch::new().start();
    queues().for_each(|queue| assert_eq!(server.connect().get(&format!("{queue}/t=50")), None));
    assert!(since.elapsed() >= Duration::from_millis(8 * 50), "{:?}", since.elapsed());
    // One behind the other, they wait one behind the other.
    let (mut client, since) = (server.connect(), Instant::now());
    client.send("get q0/t=100\r\nget q1/t=100\r\nget q2/t=100\r\n");
    client.expect("END\r\nEND\r\nEND\r\n");
    assert!(since.elapsed() >= Duration::from_millis(3 * 100), "{:?}", since.elapsed());
}

#[test]
fn the_server_has_a_limit_for_waits() {
    run_on(Launch::new().with(&["--wait-max", "0"]), 2, "> get $q/t=60000\n< END");
}

/// And what comes behind it on the connection waits too.
#[test]
fn a_message_that_is_put_goes_to_the_client_that_waits() {
    let server = Launch::new().start();
    let mut producer = server.connect();
    for (number, queue) in (1..).zip(queues()) {
        let mut consumer = server.connect();
        consumer.send(format!("get {queue}/t=20000\r\nversion\r\nget {queue}/t=20000\r\nget {queue}\r\n"));
        gets_begun(&server, 3 * number - 2);
        assert_eq!(producer.set(&queue, b"first"), "STORED");
        consumer.expect(&format!("VALUE {queue}/t=20000 0 5\r\nfirst\r\nEND\r\nVERSION 1.0.0\r\n"));
        gets_begun(&server, 3 * number - 1);
        assert_eq!(producer.set(&queue, b"second"), "STORED");
        consumer.expect(&format!("VALUE {queue}/t=20000 0 6\r\nsecond\r\nEND\r\nEND\r\n"));
    }
}

/// The replies to what was before it are not held back.
#[test]
fn what_comes_before_a_wait_is_answered_at_once() {
    let server = Launch::new().start();
    for queue in queues() {
        let mut client = server.connect();
        client.send(format!("set {queue} 0 0 1\r\nx\r\nget {queue}\r\nget {queue}/t=20000\r\n"));
        client.expect(&format!("STORED\r\nVALUE {queue} 0 1\r\nx\r\nEND\r\n"));
        assert_eq!(server.connect().set(&queue, b"y"), "STORED");
        client.expect(&format!("VALUE {queue}/t=20000 0 1\r\ny\r\nEND\r\n"));
    }
}

#[test]
fn the_first_in_line_is_served_first() {
    let server = Launch::new().start();
    let mut begun = 0;
    for queue in queues() {
        let mut line: Vec<Client> = (0..4).map(|_| server.connect()).collect();
        for client in &mut line {
            client.send(format!("get {queue}/t=20000\r\n"));
            begun += 1;
            gets_begun(&server, begun);
            // A get behind it goes the same way, so the line has the client by then.
            assert_eq!(server.connect().get("nothing-in-it"), None);
            begun += 1;
        }
        let mut producer = server.connect();
        for (number, client) in line.iter_mut().enumerate() {
            assert_eq!(producer.set(&queue, &[b'0' + number as u8]), "STORED");
            client.expect(&format!("VALUE {queue}/t=20000 0 1\r\n{number}\r\nEND\r\n"));
        }
    }
}

/// A client that is gone gets nothing, however it went and whatever it had sent behind its get.
#[test]
fn a_client_that_is_gone_takes_no_message() {
    let server = Launch::new().start();
    let mut gets = 0;
    for queue in queues() {
        for ending in ["closes", "closes with input that was not read", "resets"] {
            let mut client = server.connect();
            client.send(format!("get {queue}/t=200000\r\n"));
            gets += 1;
            gets_begun(&server, gets);
            match ending {
                "closes" => drop(client),
                "resets" => client.reset_now(),
                _ => {
                    client.send(format!("set {queue} 0 0 9000\r\n{:9000}\r\n", "").repeat(7));
                    drop(client);
                }
            }
            wait_until("the connection to be gone", LONG, || open_connections(&server) == 0);
            assert_eq!(server.connect().set(&queue, ending.as_bytes()), "STORED");
            assert_eq!(server.connect().get(&queue).as_deref(), Some(ending.as_bytes()), "{queue}");
            assert_eq!(server.connect().get(&queue), None, "what came behind the wait was done");
            gets += 2;
        }
    }
}

#[test]
fn on_a_unix_socket_too() {
    let launch = Launch::new();
    let path = launch.scratch().join("socket");
    let server = launch.clone().with(&["-p", "0", "-s", path.to_str().unwrap()]).start();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"get q0/t=200000\r\nversion\r\n").unwrap();
    gets_begun(&server, 1);
    drop(stream);
    wait_until("the connection to be gone", LONG, || open_connections(&server) == 0);
    assert_eq!(server.connect().set("q0", b"x"), "STORED");
    assert_eq!(server.connect().get("q0").as_deref(), Some(&b"x"[..]));
}

#[test]
fn many_wait_and_each_message_has_one_taker() {
    const CLIENTS: usize = 1_000;
    let server = Launch::new().start();
    for name in [|_| String::from("all"), |number| format!("own-{number}")] {
        let mut clients: Vec<(String, Client)> = (0..CLIENTS).map(|number| (name(number), server.connect())).collect();
        for (queue, client) in &mut clients {
            client.send(format!("get {queue}/t=20000\r\n"));
        }
        let mut producer = server.connect();
        for (number, (queue, _)) in clients.iter().enumerate() {
            producer.send(format!("set {queue} 0 0 4 noreply\r\n{number:4}\r\n"));
        }
        let mut bodies: Vec<Vec<u8>> = Vec::new();
        for (_, client) in &mut clients {
            bodies.extend(client.try_values().unwrap().into_iter().map(|value| value.body));
        }
        bodies.sort();
        assert_eq!(bodies, (0..CLIENTS).map(|number| format!("{number:4}").into_bytes()).collect::<Vec<_>>());
        assert_eq!(server.connect().figure("curr_items"), 0);
    }
}

#[test]
fn waits_end_when_the_server_drains_and_when_it_stops() {
    let mut server = Launch::new().start();
    let mut clients: Vec<Client> = queues()
        .map(|queue| {
            let mut client = server.connect();
            client.send(format!("get {queue}/t=300000\r\n"));
            client
        })
        .collect();
    gets_begun(&server, 8);
    server.signal(Signal::SIGUSR1);
    clients.iter_mut().for_each(|client| client.expect("END\r\n"));
    // One that comes now finds what there is.
    for (queue, client) in queues().zip(&mut clients) {
        assert_eq!(client.get(&format!("{queue}/t=300000")), None);
    }
    server.signal(Signal::SIGUSR2);
    let mut client = server.connect();
    wait_until("the server to take sets", LONG, || client.set("other", b"x") == "STORED");
    for (queue, client) in queues().zip(&mut clients) {
        client.send(format!("get {queue}/t=300000\r\n"));
    }
    gets_begun(&server, 24);
    server.terminate();
    for client in &mut clients {
        client.expect("END\r\n");
        client.expect_close();
    }
}
