//! Moving over from another server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Output, Stdio};
use std::thread::{self, JoinHandle};

use crate::client::write_set;
use crate::process::{Launch, Server};

fn import(launch: &Launch, from: SocketAddr, arguments: &[&str]) -> Output {
    let from = from.to_string();
    let arguments = [&["--import", &from], arguments].concat();
    launch.clone().with(&arguments).command().stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn fill(server: &Server, queues: u32, messages: u32) {
    let mut client = server.connect();
    for number in 0..messages {
        for queue in 0..queues {
            let body = format!("{queue} {number}");
            client.send(format!("set from{queue} {queue} 0 {}\r\n{body}\r\n", body.len()));
            client.expect("STORED\r\n");
        }
    }
}

fn check(server: &Server, queues: u32, messages: u32) {
    let mut client = server.connect();
    for queue in 0..queues {
        for number in 0..messages {
            let body = format!("{queue} {number}");
            client.send(format!("get from{queue}\r\n"));
            client.expect(&format!("VALUE from{queue} {queue} {}\r\n{body}\r\nEND\r\n", body.len()));
        }
        assert_eq!(client.get(&format!("from{queue}")), None);
    }
}

#[test]
fn all_queues_of_a_rushq_in_order_and_with_flags() {
    let old = Launch::new().start();
    fill(&old, 5, 40);
    // Counters from before are no messages.
    assert_eq!(old.connect().set("empty", b"x"), "STORED");
    assert_eq!(old.connect().get("empty").as_deref(), Some(&b"x"[..]));
    let launch = Launch::new().shards(3);
    let text = said(&import(&launch, old.address(), &[]));
    assert!(text.contains("moved 40 messages of queue from3\n"), "{text}");
    assert!(text.contains("moved 200 messages of 6 queues from"), "{text}");
    assert_eq!(old.connect().figure("curr_items"), 0);
    check(&launch.start(), 5, 40);
}

#[test]
fn only_the_queues_that_are_named() {
    let old = Launch::new().start();
    fill(&old, 4, 3);
    let launch = Launch::new();
    let text = said(&import(&launch, old.address(), &["--import-queue", "from1", "--import-queue", "from2"]));
    assert!(text.contains("moved 6 messages of 2 queues"), "{text}");
    assert_eq!(old.connect().figure("curr_items"), 6);
    assert_eq!(launch.start().connect().queue_counters().len(), 2);
}

#[test]
fn nothing_listens_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let launch = Launch::new().with(&["--import", &format!("127.0.0.1:{port}")]);
    launch.refused().assert_one_line(&["--import", &port.to_string(), "host:port"]);
}

#[test]
fn a_data_directory_in_use_is_left_alone() {
    let (old, new) = (Launch::new().start(), Launch::new().start());
    fill(&old, 1, 1);
    let launch = new.launch().clone().with(&["--import", &old.address().to_string()]);
    launch.refused().assert_one_line(&["in use", "-H"]);
    assert_eq!(old.connect().figure("curr_items"), 1);
}

/// It goes back to where it came from, behind what waits there.
#[test]
fn a_message_that_is_too_large_is_given_back() {
    let old = Launch::new().start();
    let mut client = old.connect();
    for body in [&b"small"[..], &[b'x'; 2000], b"behind"] {
        let mut bytes = Vec::new();
        write_set(&mut bytes, "q", body);
        client.send(bytes);
        client.expect("STORED\r\n");
    }
    let launch = Launch::new();
    let output = import(&launch, old.address(), &["-B", "1000"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("-B") && error.contains("back there"), "{error}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("moved 1 messages"));
    assert_eq!(client.get("q").as_deref(), Some(&b"behind"[..]));
    assert_eq!(client.get("q").unwrap().len(), 2000);
    assert_eq!(launch.start().connect().get("q").as_deref(), Some(&b"small"[..]));
}

/// A server that says what the script says: one answer for each line that it reads.
fn scripted(script: Vec<(&'static str, &'static str)>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = BufReader::new(stream);
        for (expected, answer) in script {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            assert_eq!(line, format!("{expected}\r\n"));
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "nothing else is asked");
    });
    (address, server)
}

/// Byte for byte what kestrel 2 answers: it has no `stats queue`, and takes it for `stats`.
#[test]
fn a_kestrel_is_drained() {
    let stats = "STAT uptime 5\r\nSTAT queue_work_items 2\r\nSTAT queue_work_total_items 9\r\n\
                 STAT queue_work_expired_items 0\r\nSTAT queue_work_mem_items 2\r\nEND\r\n";
    let (address, kestrel) = scripted(vec![
        ("stats queue", stats),
        ("get work", "VALUE work 0 5\r\nfirst\r\nEND\r\n"),
        ("get work", "VALUE work 3 6\r\nsecond\r\nEND\r\n"),
        ("get work", "END\r\n"),
    ]);
    let launch = Launch::new();
    assert!(said(&import(&launch, address, &[])).contains("moved 2 messages of 1 queues"));
    kestrel.join().unwrap();
    let server = launch.start();
    let mut client = server.connect();
    client.send("get work work\r\n");
    client.expect("VALUE work 0 5\r\nfirst\r\nVALUE work 3 6\r\nsecond\r\nEND\r\n");
}

/// What was moved before the other server went away stays moved.
#[test]
fn the_other_server_goes_away() {
    let (address, server) = scripted(vec![
        ("stats queue", "STAT q 7/4\r\nEND\r\n"),
        ("get q", "VALUE q 0 3\r\none\r\nEND\r\n"),
        ("get q", "SERVER_ERROR out of memory\r\n"),
    ]);
    let launch = Launch::new();
    let output = import(&launch, address, &[]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("out of memory") && error.contains("queue q"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    server.join().unwrap();
    assert_eq!(launch.start().connect().get("q").as_deref(), Some(&b"one"[..]));
}
