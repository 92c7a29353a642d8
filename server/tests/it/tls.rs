//! Clients over TLS: whatever the records, they are served as others are, and none holds up another.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use crate::client::{Client, write_set};
use crate::process::{Launch, Server, wait_until};
use crate::secure::{Papers, Secure};

const EVENT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the server lets a handshake take.
const PATIENCE: Duration = Duration::from_secs(10);

fn start(more: &[&str]) -> (Server, Papers) {
    let launch = Launch::new();
    let papers = Papers::new(&launch);
    let options = papers.options();
    let options: Vec<&str> = options.iter().map(String::as_str).chain(more.iter().copied()).collect();
    (launch.with(&options).start(), papers)
}

/// A pipeline, and what comes back.
fn pipeline() -> (Vec<u8>, Vec<u8>) {
    let (mut sent, mut expected) = (Vec::new(), Vec::new());
    for number in 0..12 {
        let body = format!("body {number}\r\nEND\r\n");
        write_set(&mut sent, &format!("q{number}"), body.as_bytes());
        expected.extend_from_slice(b"STORED\r\n");
        sent.extend_from_slice(format!("get q{number}\r\n").as_bytes());
        let length = body.len();
        expected.extend_from_slice(format!("VALUE q{number} 0 {length}\r\n{body}\r\nEND\r\n").as_bytes());
    }
    sent.extend_from_slice(b"nonsense\r\nget none\r\n");
    expected.extend_from_slice(b"ERROR\r\nEND\r\n");
    (sent, expected)
}

/// In records of so many bytes, and with the records' bytes in segments of so many.
#[test]
fn a_pipeline_is_answered_however_it_is_cut() {
    let (mut server, papers) = start(&[]);
    let (sent, expected) = pipeline();
    for versions in [&[&TLS13], &[&TLS12]] {
        let config = papers.client(None, versions);
        for piece in [1, 2, 7, 100, usize::MAX] {
            let mut client = Secure::connect(server.address(), &config).unwrap();
            for part in sent.chunks(piece) {
                client.send(part);
            }
            client.expect(&expected);
            let records = client.sealed(&sent);
            for part in records.chunks(piece) {
                client.socket.write_all(part).unwrap();
            }
            client.expect(&expected);
            client.end(true);
            client.expect_end();
        }
    }
    server.terminate();
}

/// More than records, buffers and sockets hold, there and back; and the client reads late.
#[test]
fn large_bodies_and_long_pipelines_come_back_whole() {
    let (mut server, papers) = start(&[]);
    let bodies: Vec<Vec<u8>> =
        (0..6_u8).map(|seed| (0..1_000_000_u32).map(|at| (at / 251) as u8 ^ seed).collect()).collect();
    let mut sets = Vec::new();
    bodies.iter().for_each(|body| write_set(&mut sets, "large", body));
    let mut client = papers.connect(server.address());
    client.send(&sets);
    client.expect("STORED\r\n".repeat(bodies.len()));
    client.send("get large\r\n".repeat(bodies.len() + 1));
    for body in &bodies {
        client.expect(format!("VALUE large 0 {}\r\n", body.len()));
        client.expect(body);
        client.expect("\r\nEND\r\n");
    }
    client.expect("END\r\n");
    let mut many = Vec::new();
    (0..3000)
        .for_each(|number| write_set(&mut many, &format!("many-{}", number % 50), format!("{number:0100}").as_bytes()));
    assert!(many.len() > 20 * (16 << 10));
    client.send(&many);
    client.expect("STORED\r\n".repeat(3000));
    for number in 0..3000 {
        client.send(format!("get many-{}\r\n", number % 50));
    }
    for number in 0..3000 {
        client.expect(format!("VALUE many-{} 0 100\r\n{number:0100}\r\nEND\r\n", number % 50));
    }
    server.terminate();
}

/// It has all answers, and TLS' word for the end.
#[test]
fn a_client_that_ends_its_side_has_all_answers() {
    let (mut server, papers) = start(&[]);
    let (sent, expected) = pipeline();
    for closes in [true, false] {
        let mut client = papers.connect(server.address());
        client.send(&sent);
        client.end(closes);
        client.expect(&expected);
        client.expect_end();
    }
    let mut client = papers.connect(server.address());
    client.send("get none\r\nquit\r\n");
    client.expect("END\r\n");
    client.expect_end();
    server.terminate();
}

#[test]
fn what_is_open_comes_back_when_a_client_goes_without_a_word() {
    let (mut server, papers) = start(&[]);
    let mut client = papers.connect(server.address());
    assert_eq!(client.command("set q 0 0 1\r\nx"), "STORED");
    assert_eq!(client.command("get q/open"), "VALUE q/open 0 1");
    client.expect("x\r\nEND\r\n");
    let mut other = papers.connect(server.address());
    assert_eq!(other.command("get q/open"), "END");
    drop(client);
    wait_until("the message to come back", EVENT_TIMEOUT, || {
        let first = other.command("get q/open");
        if first != "END" {
            other.expect("x\r\nEND\r\n");
        }
        first != "END"
    });
    server.terminate();
}

/// By TLS' word for it alone: TCP's end does not come. What it has sent behind its get stays its own until then.
#[test]
fn a_client_that_waits_is_seen_to_end() {
    let (mut server, papers) = start(&["-t", "1"]);
    let mut other = papers.connect(server.address());
    let mut client = papers.connect(server.address());
    client.send("get q/t=60000\r\n");
    wait_until("the client to wait", EVENT_TIMEOUT, || other.figure("waiters") == 1);
    client.send("get none\r\n");
    assert_eq!(other.command("set q 0 0 1\r\nx"), "STORED");
    client.expect("VALUE q/t=60000 0 1\r\nx\r\nEND\r\nEND\r\n");
    client.send("get q/t=60000\r\n");
    wait_until("the client to wait", EVENT_TIMEOUT, || other.figure("waiters") == 1);
    client.end(false);
    wait_until("the client to be gone", EVENT_TIMEOUT, || other.figure("waiters") == 0);
    client.expect_end();
    assert_eq!(other.command("set q 0 0 1\r\ny"), "STORED");
    assert_eq!(other.command("get q"), "VALUE q 0 1", "the client that is gone has not got it");
    server.terminate();
}

/// Behind a command comes half a message of TLS itself, a change of keys: there is nothing to do but to wait for the rest.
/// rustls ends the process when it is not given what it has of such a message.
#[test]
fn half_a_message_of_tls_holds_up_no_answer() {
    const HANDSHAKE: u8 = 22;
    const COMMANDS: u8 = 23;
    let (mut server, papers) = start(&[]);
    let client = Secure::connect(server.address(), &papers.client(None, &[&TLS13])).unwrap();
    let (sealed, mut socket) = client.seal_by_hand(&[(COMMANDS, b"set half 0 0 1\r\nx\r\n"), (HANDSHAKE, &[24, 0, 0])]);
    socket.write_all(&sealed).unwrap();
    let mut other = papers.connect(server.address());
    wait_until("the message to be there", EVENT_TIMEOUT, || {
        let first = other.command("get half");
        if first != "END" {
            other.expect("x\r\nEND\r\n");
        }
        first != "END"
    });
    drop(socket);
    assert_eq!(other.command("get half"), "END");
    server.terminate();
}

/// A client that comes again spares the expensive half, on whatever shard.
#[test]
fn sessions_are_resumed() {
    let (mut server, papers) = start(&[]);
    for version in [&TLS12, &TLS13] {
        let config = papers.client(None, &[version]);
        let mut kinds = Vec::new();
        for _ in 0..6 {
            let mut client = Secure::connect(server.address(), &config).unwrap();
            assert_eq!(client.command("get none"), "END");
            kinds.push(client.tls.handshake_kind());
        }
        assert_eq!(kinds[0], Some(HandshakeKind::Full));
        assert!(kinds[1..].iter().all(|kind| *kind == Some(HandshakeKind::Resumed)), "{kinds:?}");
    }
    server.terminate();
}

/// A client that says nothing, one that says half of it, and one that does not speak TLS.
#[test]
fn bad_handshakes_hold_up_none_and_end() {
    let (mut server, papers) = start(&["-v"]);
    let began = Instant::now();
    let silent: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
    let mut halves: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
    for half in &mut halves {
        // A hello of 512 bytes, of which a few come.
        half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]).unwrap();
    }
    let mut client = papers.connect(server.address());
    assert_eq!(client.command("get none"), "END");
    for bytes in [&b"get q\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", b"\x80\x0a"] {
        assert_eq!(closes_with(server.address(), bytes), "CLIENT_ERROR this port takes TLS\r\n");
    }
    // What begins as TLS does and is none has TLS' alert.
    let alert = closes_with(server.address(), &[0x16, 0x03, 0x01, 0x00, 0x04, 0x05, 0x00, 0x00, 0x00]);
    assert_eq!(alert.as_bytes()[0], 0x15, "{alert:?}");
    assert!(began.elapsed() < PATIENCE, "and none of them has waited for the others");
    assert_eq!(client.figure("ssl_handshake_errors"), 4);
    for mut socket in silent.into_iter().chain(halves) {
        socket.set_read_timeout(Some(PATIENCE * 2)).unwrap();
        assert_eq!(socket.read(&mut [0; 16]).unwrap(), 0, "after {:?}", began.elapsed());
    }
    assert!(began.elapsed() >= PATIENCE);
    assert_eq!(client.figure("ssl_handshake_errors"), 204);
    server.wait_for_line("no TLS: nothing has come of it in 10s");
    server.terminate();
}

/// What comes back, up to the close.
fn closes_with(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(EVENT_TIMEOUT)).unwrap();
    socket.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_hello_on_a_plain_port_is_a_hint_in_the_log() {
    let mut server = Launch::new().start();
    let hello = [0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0x01, 0x03];
    assert_eq!(closes_with(server.address(), &hello), "");
    let line = server.wait_for_line("begins with TLS");
    assert!(line.contains("--tls-cert"), "{line}");
    server.terminate();
}

/// A client that reads late has all of its answers although the server stops, and TLS' word for the end.
#[test]
fn a_stop_waits_for_a_client_that_reads() {
    let (mut server, papers) = start(&[]);
    let mut client = papers.connect(server.address());
    let body = vec![b'b'; 1_000_000];
    let mut sets = Vec::new();
    (0..4).for_each(|_| write_set(&mut sets, "large", &body));
    client.send(&sets);
    client.expect("STORED\r\n".repeat(4));
    client.send("get large\r\n");
    client.expect("VALUE large 0 1000000\r\n");
    server.signal(Signal::SIGTERM);
    server.wait_for_line("finishing what was read");
    client.expect(&body);
    client.expect("\r\nEND\r\n");
    client.expect_end();
    server.wait_for_end(Signal::SIGTERM);
}

#[test]
fn a_unix_socket_stays_plain() {
    let launch = Launch::new();
    let papers = Papers::new(&launch);
    let socket = std::env::temp_dir().join(format!("rushq-tls-{}.sock", std::process::id()));
    let options = papers.options();
    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
    options.extend(["-s", socket.to_str().unwrap()]);
    let mut server = launch.with(&options).start();
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    stream.write_all(b"get none\r\n").unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"END\r\n");
    assert_eq!(papers.connect(server.address()).command("get none"), "END");
    server.terminate();
}

/// Beside a flood of whole hellos, whose answers nothing reads, a plain client of the Unix socket is served at once.
#[test]
fn a_flood_of_hellos_holds_up_none() {
    let launch = Launch::new().shards(1);
    let papers = Papers::new(&launch);
    let options = papers.options();
    let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
    options.extend(["-c", "2000"]);
    let mut server = launch.with(&options).start();
    let mut client = papers.connect(server.address());
    let config = papers.client(None, &[&TLS13]);
    let mut flood = Vec::new();
    for _ in 0..500 {
        let mut tls = rustls::ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap();
        let mut socket = TcpStream::connect(server.address()).unwrap();
        tls.write_tls(&mut socket).unwrap();
        flood.push(socket);
    }
    let began = Instant::now();
    assert_eq!(client.command("get none"), "END");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(papers.connect(server.address()).command("get none"), "END", "a new one has its turn");
    drop(flood);
    server.terminate();
}

/// The server's plain ports take no notice of any of this.
#[test]
fn plain_ports_say_nothing_of_tls() {
    let mut server = Launch::new().start();
    let mut client: Client = server.connect();
    assert!(client.stats("").iter().all(|(name, _)| name != "ssl_handshake_errors"));
    server.terminate();
}
