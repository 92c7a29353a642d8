//! A clean stop beside clients that are reading, slowly or not at all: a message is either with its client, or still there.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, write_set};
use crate::process::{Launch, Server, wait_until};

const QUEUE: &str = "letters";

/// A server with so many messages in a queue.
fn filled(launch: Launch, messages: usize, body_bytes: usize) -> Server {
    let server = launch.segment_bytes(16 << 20).start();
    let mut client = server.connect();
    for number in 0..messages {
        let mut set = Vec::new();
        write_set(&mut set, QUEUE, &body(number, body_bytes));
        client.send(set);
        client.expect("STORED\r\n");
    }
    server
}

/// Its number, and filling.
fn body(number: usize, body_bytes: usize) -> Vec<u8> {
    let mut body = format!("{number:08}").into_bytes();
    body.resize(body_bytes, b'x');
    body
}

fn number_of(body: &[u8]) -> usize {
    std::str::from_utf8(&body[..8]).unwrap().parse().unwrap()
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends all of it, which may be more than the server reads before it has sent the first replies.
fn ask(mut stream: impl Write + Send + 'static, gets: &str) {
    let gets = gets.to_owned();
    thread::spawn(move || drop(stream.write_all(gets.as_bytes())));
}

/// Reads so many bytes a second until the server closes, or a reset: then what it has sent before must be here.
fn read_slowly(stream: &mut impl Read, bytes_per_second: usize) -> Vec<u8> {
    let (mut came, began) = (Vec::new(), Instant::now());
    let mut piece = vec![0; 64 << 10];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return came,
            Ok(n) => came.extend_from_slice(&piece[..n]),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
                return came;
            }
        }
        let due = Duration::from_secs_f64(came.len() as f64 / bytes_per_second as f64);
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
}

/// The numbers of the messages that have come as a whole.
fn numbers(mut came: &[u8]) -> Vec<usize> {
    let mut numbers = Vec::new();
    while let Some((used, response)) = protocol::response::next(came) {
        if let protocol::response::Response::Value { body, .. } = response {
            numbers.push(number_of(body));
        }
        came = &came[used..];
    }
    numbers
}

/// Stops the server while a client reads all messages, at so many bytes a second. Each of them must have come to the
/// client, in order, or wait behind the last of those after the next start.
fn nothing_is_lost(messages: usize, body_bytes: usize, gets: &str, bytes_per_second: usize) {
    let server = filled(Launch::new(), messages, body_bytes);
    let stream = connect(&server);
    nothing_is_lost_on(server, stream.try_clone().unwrap(), stream, messages, body_bytes, gets, bytes_per_second);
}

fn nothing_is_lost_on(
    mut server: Server,
    writer: impl Write + Send + 'static,
    mut stream: impl Read + Send + 'static,
    messages: usize,
    body_bytes: usize,
    gets: &str,
    bytes_per_second: usize,
) {
    ask(writer, gets);
    let mut first = vec![0; body_bytes];
    stream.read_exact(&mut first).unwrap();
    let began = Instant::now();
    let reader = thread::spawn(move || {
        let mut came = first;
        came.extend(read_slowly(&mut stream, bytes_per_second));
        came
    });
    server.terminate();
    let took = began.elapsed();
    let came = numbers(&reader.join().unwrap());
    server.start();
    let mut client = server.connect();
    let left: Vec<usize> = std::iter::from_fn(|| client.get(QUEUE)).map(|body| number_of(&body)).collect();
    println!("{} messages have come, {} were left; the stop took {took:?}", came.len(), left.len());
    let all: Vec<usize> = came.iter().chain(&left).copied().collect();
    assert_eq!(all, (0..messages).collect::<Vec<_>>(), "{} came and {} were left", came.len(), left.len());
    assert!(!came.is_empty() && !left.is_empty(), "the stop came when all was over");
    assert!(took < Duration::from_secs(20), "the stop took {took:?}");
}

/// It takes the client longer than a client is given that reads nothing.
#[test]
fn a_client_that_reads_slowly_loses_nothing() {
    nothing_is_lost(60, 500_000, &format!("get {QUEUE}\r\n").repeat(60), 2_000_000);
}

#[test]
fn on_a_unix_socket_too() {
    let launch = Launch::new();
    let socket = launch.scratch().join("s");
    let server = filled(launch.with(&["-s", socket.to_str().unwrap()]), 60, 500_000);
    let stream = UnixStream::connect(&socket).unwrap();
    let gets = format!("get {QUEUE}\r\n").repeat(60);
    nothing_is_lost_on(server, stream.try_clone().unwrap(), stream, 60, 500_000, &gets, 2_000_000);
}

/// A connection that the server closes, while its client has not read yet what came before and sends on and on.
#[test]
fn replies_before_a_close_arrive() {
    let server = filled(Launch::new(), 20, 500_000);
    let mut stream = connect(&server);
    let junk = format!("set {QUEUE} 0 0 x\r\n{}", "flush_all\r\n".repeat(1_000_000));
    ask(stream.try_clone().unwrap(), &(format!("get {QUEUE}\r\n").repeat(20) + &junk));
    let came = read_slowly(&mut stream, 5_000_000);
    assert_eq!(numbers(&came), (0..20).collect::<Vec<_>>());
    assert!(came.ends_with(b"END\r\nCLIENT_ERROR bad command line format\r\n"), "{} bytes", came.len());
}

/// More input than a read takes, so that there is some that was not read: it must not cut off the replies.
#[test]
fn a_client_that_has_asked_for_more_than_was_read_loses_nothing() {
    let get = format!("get {QUEUE}{:100}\r\n", "");
    nothing_is_lost(3000, 10_000, &get.repeat(3000), 4_000_000);
}

/// A get that has begun to be answered is answered to its end: a client that reads a part of an answer has nothing.
#[test]
fn a_get_of_many_names_is_answered_whole() {
    let get = format!("get{}\r\n", format!(" {QUEUE}").repeat(20));
    let mut server = filled(Launch::new(), 60, 500_000);
    let mut stream = connect(&server);
    ask(stream.try_clone().unwrap(), &get.repeat(3));
    let mut first = vec![0; 500_000];
    stream.read_exact(&mut first).unwrap();
    let reader = thread::spawn(move || [first, read_slowly(&mut stream, 4_000_000)].concat());
    server.terminate();
    let came = reader.join().unwrap();
    assert!(came.ends_with(b"\r\nEND\r\n"), "{} bytes came", came.len());
    assert_eq!(numbers(&came).len() % 20, 0);
    server.start();
    assert_eq!(server.connect().figure("curr_items"), 60 - numbers(&came).len() as u64);
}

#[test]
fn a_client_that_keeps_up_is_answered_all_that_was_read() {
    let mut server = filled(Launch::new(), 0, 0);
    let mut client = server.connect();
    let mut sets = Vec::new();
    (0..3000).for_each(|number| write_set(&mut sets, QUEUE, &body(number, 10)));
    client.send(&sets);
    client.expect("STORED\r\n");
    let reader =
        thread::spawn(move || 1 + (0..).take_while(|_| client.try_line().is_ok_and(|line| line == "STORED")).count());
    server.terminate();
    let answered = reader.join().unwrap();
    server.start();
    assert_eq!(server.connect().figure("curr_items"), answered as u64, "what was not answered was not done");
}

/// How long a stop takes beside a client that has asked for all and reads at this rate.
fn stop_beside(arguments: &[&str], bytes_per_second: Option<usize>) -> Duration {
    let mut server = filled(Launch::new().with(arguments), 60, 500_000);
    let mut stream = connect(&server);
    ask(stream.try_clone().unwrap(), &format!("get {QUEUE}\r\n").repeat(60));
    let mut first = vec![0; 500_000];
    stream.read_exact(&mut first).unwrap();
    let reader = bytes_per_second.map(|rate| {
        let mut stream = stream.try_clone().unwrap();
        thread::spawn(move || read_slowly(&mut stream, rate))
    });
    if bytes_per_second.is_none() {
        // Until the kernel takes no more of the replies.
        let (mut monitor, mut written, mut same) = (server.connect(), 0, 0);
        wait_until("the client's replies to be held up", Duration::from_secs(20), || {
            let now = monitor.figure("bytes_written");
            // What the monitor itself is told is little.
            same = if now - written < 100_000 { same + 1 } else { 0 };
            written = now;
            same > 5
        });
    }
    let began = Instant::now();
    server.terminate();
    let took = began.elapsed();
    // What is left of its replies is in the kernel: the client reads no more.
    let _ = stream.shutdown(std::net::Shutdown::Both);
    reader.map(|reader| reader.join().unwrap());
    took
}

#[test]
fn a_client_that_does_not_read_is_cut_off_soon() {
    let took = stop_beside(&[], None);
    assert!((3..12).contains(&took.as_secs()), "{took:?}");
}

#[test]
fn a_stop_has_a_limit() {
    let took = stop_beside(&["--stop-timeout", "1"], Some(300_000));
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// systemd kills what has not stopped in time.
#[test]
fn systemd_waits_for_longer_than_the_server() {
    let unit = include_str!("../../../scripts/rushq.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).expect("it has a limit");
    let mut settings = Client::connect(Launch::new().start().address()).stats("settings");
    settings.retain(|(name, _)| name == "stop_timeout");
    let ours: u64 = settings[0].1.parse().unwrap();
    assert!(line.parse::<u64>().unwrap() >= ours + 20, "{line} s, and a stop takes up to {ours} s and a checkpoint");
}
