//! Moving over from a server that knows opens: nothing is lost, whatever is killed.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::{Client, write_set};
use crate::import::{Importing, failure, import, said};
use crate::process::{Launch, Server, wait_until};

const MESSAGES: usize = 3000;
const KILLS: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(30);

fn fill(client: &mut Client, queue: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        assert_eq!(client.set(queue, number.to_string().as_bytes()), "STORED");
    }
}

/// The numbers that are in a queue, in their order.
fn numbers(server: &Server, queue: &str) -> Vec<usize> {
    let mut client = server.connect();
    let bodies = std::iter::from_fn(|| client.get(queue));
    bodies.map(|body| String::from_utf8(body).unwrap().parse().unwrap()).collect()
}

#[test]
fn kills_in_the_middle_lose_nothing() {
    let old = Launch::new().start();
    fill(&mut old.connect(), "q", 0..MESSAGES);
    let launch = Launch::new();
    for kill in 1..=KILLS {
        let mut importing = Importing::start(&launch, old.address());
        let left = (MESSAGES - MESSAGES * kill / (KILLS + 1)) as u64;
        let mut client = old.connect();
        wait_until("a part is moved", TIMEOUT, || client.figure("curr_items") < left);
        importing.0.kill().unwrap();
        importing.0.wait().unwrap();
        assert!(client.figure("curr_items") > 0, "killed in the middle");
    }
    said(&import(&launch, old.address(), &[]));
    assert_eq!(old.connect().figure("curr_items"), 0);
    let mut moved = numbers(&launch.start(), "q");
    let all = moved.len();
    moved.dedup();
    assert_eq!(moved, (0..MESSAGES).collect::<Vec<_>>(), "each in its place");
    // The one that was safe here and not acknowledged there, for each kill.
    assert!(all - moved.len() <= KILLS, "{} came twice", all - moved.len());
}

#[test]
fn a_message_that_is_too_large_stays_in_its_place() {
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
    let error = failure(&output);
    assert!(error.contains("-B allows 1000") && error.contains("the message stays there, in its place"), "{error}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("moved 1 messages"), "{output:?}");
    wait_until("the message is back", TIMEOUT, || client.figure("curr_items") == 2);
    let mut first = None;
    wait_until("the message is back in its place", TIMEOUT, || {
        client.send("get q/peek\r\n");
        first = client.try_values().unwrap().pop();
        first.as_ref().is_some_and(|value| value.body.len() == 2000)
    });
    assert_eq!(launch.start().connect().get("q").as_deref(), Some(&b"small"[..]));
}

#[test]
fn children_and_dead_letters_are_what_they_were() {
    let old = Launch::new().start();
    let mut client = old.connect();
    client.send("get q+child\r\n");
    client.expect("END\r\n");
    assert_eq!(client.set("q+child", b"of the child"), "STORED");
    assert_eq!(client.set("q", b"poison"), "STORED");
    client.send("get q/open\r\n");
    client.expect("VALUE q/open 0 6\r\npoison\r\nEND\r\n");
    client.send("get q/bury\r\n");
    client.expect("END\r\n");
    let launch = Launch::new();
    said(&import(&launch, old.address(), &[]));
    let new = launch.start();
    let mut client = new.connect();
    client.send("get q/dead\r\n");
    client.expect("VALUE q/dead 0 6\r\npoison\r\nEND\r\n");
    let mut bodies = std::iter::from_fn(|| client.get("q+child"));
    assert!(bodies.any(|body| body == b"of the child"));
}

/// A server with messages in queue q that answers the listing and says on the channel which get has come. It answers each
/// with what the test sends back.
fn prompted() -> (SocketAddr, Receiver<String>, Sender<&'static str>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, gets) = channel();
    let (answers, said) = channel::<&'static str>();
    thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut line = String::new();
        while stream.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            let answer = if line.starts_with("stats") {
                "STAT cmd_peek 0\r\nSTAT queue_q_items 2\r\nEND\r\n"
            } else {
                asked.send(line.trim_end().to_string()).unwrap();
                said.recv().unwrap_or("")
            };
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            line.clear();
        }
    });
    (address, gets, answers)
}

#[test]
fn a_signal_acknowledges_what_is_safe_here_and_opens_nothing_more() {
    let (address, gets, answers) = prompted();
    let launch = Launch::new();
    let mut importing = Importing::start(&launch, address);
    assert_eq!(gets.recv_timeout(TIMEOUT).unwrap(), "get q/open");
    kill(Pid::from_raw(importing.0.id().cast_signed()), Signal::SIGTERM).unwrap();
    answers.send("VALUE q 0 3\r\none\r\nEND\r\n").unwrap();
    assert_eq!(gets.recv_timeout(TIMEOUT).unwrap(), "get q/close");
    answers.send("END\r\n").unwrap();
    assert_eq!(importing.0.wait().unwrap().code(), Some(1));
    let error = io::read_to_string(importing.0.stderr.take().unwrap()).unwrap();
    assert!(error.contains("stopped by a signal; start again for the rest"), "{error}");
    assert_eq!(launch.start().connect().get("q").as_deref(), Some(&b"one"[..]));
}

#[test]
fn a_signal_amid_a_message_leaves_it_there() {
    let (address, gets, answers) = prompted();
    let launch = Launch::new();
    let importing = Importing::start(&launch, address);
    gets.recv_timeout(TIMEOUT).unwrap();
    answers.send("VALUE q 0 3\r\no").unwrap();
    let error = importing.stop();
    assert!(
        error.contains("stopped by a signal") && error.contains("the message stays there, in its place"),
        "{error}"
    );
    assert!(launch.start().connect().queue_counters().is_empty());
}
