//! The Unix socket and UDP.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::process::{Launch, Server, end, the_one_that_runs};
use crate::root::is_root;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Long enough for an answer that must not come to come.
const SILENCE: Duration = Duration::from_millis(300);

fn socket_of(launch: &Launch) -> PathBuf {
    launch.scratch().join("s")
}

fn on_unix_socket(launch: Launch, more: &[&str]) -> (Server, PathBuf) {
    let path = socket_of(&launch);
    let arguments = [&["-s", path.to_str().unwrap()], more].concat();
    (launch.without_port().with(&arguments).start(), path)
}

/// Sends a conversation that ends in `quit`, and returns all that came back.
fn converse(path: &Path, input: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).unwrap();
    stream.write_all(input.as_bytes()).unwrap();
    let mut output = String::new();
    stream.read_to_string(&mut output).unwrap();
    output
}

#[test]
fn a_unix_socket_speaks_the_protocol_on_all_shards() {
    let (server, path) = on_unix_socket(Launch::new(), &[]);
    for number in 0..8 {
        let input = format!("set q{number} 5 0 3\r\nabc\r\nget q{number}\r\nget q{number}\r\nquit\r\n");
        assert_eq!(converse(&path, &input), format!("STORED\r\nVALUE q{number} 5 3\r\nabc\r\nEND\r\nEND\r\n"));
    }
    let cores = converse(&path, "stats cores\r\nquit\r\n");
    for shard in 0..2 {
        let served = cores.lines().find_map(|line| line.strip_prefix(&format!("STAT {shard}:total_connections ")));
        assert_eq!(served.unwrap().parse::<u64>().unwrap() / 4, 1, "each has half of them: {cores}");
    }
    drop(server);
}

#[test]
fn a_unix_socket_alone_opens_no_port() {
    let (server, path) = on_unix_socket(Launch::new(), &[]);
    assert!(server.said().iter().any(|line| line.ends_with(&format!("listening on {}", path.display()))));
    let tables = ["tcp", "tcp6", "udp", "udp6"].map(|table| fs::read_to_string(format!("/proc/net/{table}")).unwrap());
    let inodes = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().flatten();
    for inode in inodes.filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_string())
    }) {
        let column = format!(" {inode} ");
        assert!(tables.iter().all(|table| !table.contains(&column)), "a socket of the network");
    }
    // With a port as well when that is asked for.
    let launch = Launch::new();
    let path = socket_of(&launch);
    let server = launch.with(&["-s", path.to_str().unwrap()]).start();
    assert_eq!(server.connect().set("q", b"x"), "STORED");
    assert_eq!(converse(&path, "get q\r\nquit\r\n"), "VALUE q 0 1\r\nx\r\nEND\r\n");
}

#[test]
fn the_mask_says_who_may_use_a_unix_socket() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (server, path) = on_unix_socket(Launch::new(), &[]);
    assert_eq!(mode(&path), 0o700);
    drop(server);
    let (server, path) = on_unix_socket(Launch::new(), &["-a", "0770"]);
    assert_eq!(mode(&path), 0o770);
    drop(server);
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let (mut server, path) = on_unix_socket(Launch::new(), &[]);
    server.kill_9();
    assert!(fs::metadata(&path).unwrap().file_type().is_socket(), "left behind");
    server.start();
    assert_eq!(converse(&path, "verbosity 0\r\nquit\r\n"), "OK\r\n");
    let other = Launch::new().without_port().with(&["-s", path.to_str().unwrap()]);
    other.refused().assert_one_line(&[path.to_str().unwrap(), "-s", "runs", &server.pid().to_string()]);
    assert_eq!(converse(&path, "verbosity 0\r\nquit\r\n"), "OK\r\n");
    server.terminate();
    assert!(!path.exists(), "gone with a clean end");

    let launch = Launch::new();
    let foreign = launch.scratch().join("foreign");
    let _listener = UnixListener::bind(&foreign).unwrap();
    launch.clone().without_port().with(&["-s", foreign.to_str().unwrap()]).refused().assert_one_line(&["listens"]);
    let file = launch.scratch().join("file");
    fs::write(&file, "precious").unwrap();
    let refusal = launch.clone().without_port().with(&["-s", file.to_str().unwrap()]).refused();
    refusal.assert_one_line(&["no socket", "-s"]);
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

fn unix_argument(path: &Path) -> [&str; 2] {
    ["-s", path.to_str().unwrap()]
}

/// Of all that start at once with one socket, one runs: at a socket that a kill has left, and where there is none.
#[test]
fn starts_that_race_for_one_unix_socket() {
    let scratch = Launch::new();
    let path = socket_of(&scratch);
    for is_stale in [false, true, true, true] {
        let mut stale = None;
        if is_stale {
            let mut left = Launch::new().shards(1).without_port().with(&unix_argument(&path)).start();
            left.kill_9();
            stale = Some(left);
            assert!(path.exists());
        }
        let launch = || Launch::new().shards(1).without_port().with(&unix_argument(&path));
        let (server, said) = the_one_that_runs((0..6).map(|_| launch()).collect());
        assert!(said.iter().all(|line| line.contains("-s ")), "{said:#?}");
        let pid = server.id().to_string();
        assert!(converse(&path, "stats\r\nquit\r\n").contains(&format!("STAT pid {pid}\r\n")));
        end(server);
        assert!(!path.exists(), "gone with a clean end");
        drop(stale);
    }
}

/// The end of a server leaves the socket alone that another program has at its path by then.
#[test]
fn a_unix_socket_of_another_program_stays() {
    let (mut server, path) = on_unix_socket(Launch::new(), &[]);
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    server.terminate();
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    UnixStream::connect(&path).unwrap();
    drop(other);
}

/// What another user has left is not rushq's to remove.
#[test]
fn a_stale_unix_socket_of_another_user_stays() {
    if !is_root("only root can make another user's socket") {
        return;
    }
    let launch = Launch::new();
    let path = socket_of(&launch);
    drop(UnixListener::bind(&path).unwrap());
    std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
    let refusal = launch.clone().without_port().with(&unix_argument(&path)).refused();
    refusal.assert_one_line(&["-s", "user 12345"]);
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
    assert!(!launch.scratch().join("s.lock").exists());
    std::os::unix::fs::chown(&path, Some(0), None).unwrap();
    launch.without_port().with(&unix_argument(&path)).start().terminate();
}

/// While the queues are recovered the socket is bound and nothing listens on it: it is not stale for that.
#[test]
fn a_unix_socket_is_not_stale_while_its_server_starts() {
    let launch = Launch::new();
    let path = socket_of(&launch);
    let mut server = launch.with(&unix_argument(&path)).without_port().start();
    server.signal(Signal::SIGSTOP);
    // It does not accept; the lock says that it lives.
    fs::remove_file(&path).unwrap();
    let refusal = Launch::new().without_port().with(&unix_argument(&path)).refused();
    refusal.assert_one_line(&["-s", &server.pid().to_string(), "runs"]);
    server.signal(Signal::SIGCONT);
    server.terminate();
}

#[test]
fn a_unix_socket_takes_no_name_of_rushqs_own() {
    let mut server = Launch::new().start();
    server.terminate();
    for name in ["lock", "layout", "data-1/socket"] {
        let path = server.directory().join(name);
        let refusal = server.launch().clone().without_port().with(&unix_argument(&path)).refused();
        refusal.assert_one_line(&["-s", "own"]);
    }
    server.start();
}

/// A port that was free a moment ago.
fn free_udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

struct Udp {
    socket: UdpSocket,
    server: SocketAddr,
}

impl Udp {
    fn new(server: SocketAddr) -> Udp {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(ANSWER_TIMEOUT)).unwrap();
        Udp { socket, server }
    }

    fn send(&self, header: [u16; 4], request: &[u8]) {
        let header = header.iter().flat_map(|word| word.to_be_bytes());
        let datagram: Vec<u8> = header.chain(request.iter().copied()).collect();
        self.socket.send_to(&datagram, self.server).unwrap();
    }

    /// The datagrams of an answer, put together by their numbers.
    fn answer(&self, id: u16) -> Vec<u8> {
        let mut pieces: Vec<Option<Vec<u8>>> = Vec::new();
        loop {
            let mut buffer = [0; 65536];
            let length = self.socket.recv(&mut buffer).unwrap();
            assert!(length <= 1400, "{length} bytes in a datagram");
            let word = |at: usize| u16::from_be_bytes([buffer[at], buffer[at + 1]]);
            assert_eq!((word(0), word(6)), (id, 0));
            pieces.resize(usize::from(word(4)), None);
            assert!(pieces[usize::from(word(2))].replace(buffer[8..length].to_vec()).is_none());
            if pieces.iter().all(Option::is_some) {
                return pieces.into_iter().flatten().flatten().collect();
            }
        }
    }

    fn request(&self, id: u16, request: &str) -> String {
        self.send([id, 0, 1, 0], request.as_bytes());
        String::from_utf8(self.answer(id)).unwrap()
    }
}

fn with_udp() -> (Server, SocketAddr) {
    let port = free_udp_port();
    let server = Launch::new().with(&["-U", &port.to_string()]).start();
    (server, SocketAddr::from(([127, 0, 0, 1], port)))
}

#[test]
fn udp_answers_with_the_header_of_the_request() {
    let (server, address) = with_udp();
    // Each client's datagrams go to one shard; of eight, both get some.
    for number in 0..8 {
        let client = Udp::new(address);
        assert_eq!(client.request(0xfffe, &format!("set u{number} 3 0 2\r\nhi\r\n")), "STORED\r\n");
        assert_eq!(
            client.request(1, &format!("get u{number} u{number}\r\n")),
            format!("VALUE u{number} 3 2\r\nhi\r\nEND\r\n")
        );
        assert_eq!(client.request(2, "nonsense\r\n"), "ERROR\r\n");
        assert!(client.request(3, "stats\r\n").ends_with("END\r\n"));
    }
    let mut over_tcp = server.connect();
    Udp::new(address).send([1, 0, 1, 0], b"set fire 0 0 6 noreply\r\nforget\r\n");
    while over_tcp.get("fire").is_none_or(|body| body != b"forget") {}
}

#[test]
fn udp_answers_are_cut_at_1400_bytes() {
    let (server, address) = with_udp();
    let body: Vec<u8> = (0..11_000).map(|number| b'a' + (number % 23) as u8).collect();
    assert_eq!(server.connect().set("large", &body), "STORED");
    let client = Udp::new(address);
    client.send([77, 0, 1, 0], b"get large\r\n");
    let expected = [b"VALUE large 0 11000\r\n", &body[..], b"\r\nEND\r\n"].concat();
    assert_eq!(client.answer(77), expected);
}

/// A sender can be forged, so a small request must not bring about a flood.
#[test]
fn udp_answers_are_bounded() {
    let (server, address) = with_udp();
    let mut over_tcp = server.connect();
    for number in 0..1000 {
        assert_eq!(over_tcp.set(&format!("a-queue-with-some-name-{number}"), b"x"), "STORED");
    }
    let client = Udp::new(address);
    let listings = [
        "stats queue",
        "stats queues",
        "stats queues q",
        "stats conns",
        "stats cores",
        "stats latency",
        "stats settings",
    ];
    for (id, listing) in (0..).zip(listings) {
        assert_eq!(client.request(id, &format!("{listing}\r\n")), "SERVER_ERROR not allowed by UDP, use TCP\r\n");
    }
    assert!(client.request(10, "stats\r\n").contains("STAT queues 1000\r\n"));
    assert_eq!(client.request(11, "stats reset\r\n"), "RESET\r\n");
    let too_long = "SERVER_ERROR answer too long for UDP, use TCP\r\n";
    assert_eq!(over_tcp.set("large", &[b'x'; 11_200]), "STORED");
    assert_eq!(client.request(12, "get large\r\n"), too_long);
    assert_eq!(client.request(13, &"stats\r\n".repeat(100)), too_long);
    assert_eq!(client.request(14, &"x\r\n".repeat(10_000)), too_long);
    // What comes before and behind a listing is done and answered.
    let mixed = client.request(15, "version\r\nstats queue\r\nversion\r\n");
    assert_eq!(
        mixed.lines().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(),
        ["VERSION", "SERVER_ERROR", "VERSION"]
    );
}

/// There is no connection that could hold a message or wait for one.
#[test]
fn udp_opens_nothing() {
    let (server, address) = with_udp();
    let client = Udp::new(address);
    assert_eq!(client.request(1, "set q/delay=0 0 0 1\r\nx\r\n"), "STORED\r\n");
    let bad_format = "CLIENT_ERROR bad command line format\r\n";
    for line in ["get q/open", "gets q/open/as=w1", "gat 30 q", "get q/t=60000", "get q/peek", "get q/close/open"] {
        assert_eq!(client.request(2, &format!("{line}\r\n")), bad_format, "{line}");
    }
    assert_eq!(server.connect().get("q/open/as=w1").as_deref(), Some(&b"x"[..]));
    assert_eq!(client.request(3, "touch q/as=w1 60\r\ndelete q/as=w1\r\n"), "TOUCHED\r\nDELETED\r\n");
}

#[test]
fn udp_takes_one_datagram_a_request() {
    let (server, address) = with_udp();
    let client = Udp::new(address);
    let refused = "SERVER_ERROR multi-packet request not supported\r\n";
    client.send([5, 0, 2, 0], b"set half 0 0 100\r\n");
    assert_eq!(String::from_utf8(client.answer(5)).unwrap(), refused);
    // It says that it is whole, and is not.
    assert_eq!(client.request(6, "set half 0 0 100\r\nonly a part"), refused);
    assert_eq!(server.connect().queue_counters(), []);
}

#[test]
fn udp_is_silent_where_silence_is_due() {
    let (server, address) = with_udp();
    let client = Udp::new(address);
    client.socket.set_read_timeout(Some(SILENCE)).unwrap();
    client.send([5, 0, 1, 0], b"set q 0 0 1 noreply\r\nx\r\n");
    client.socket.send_to(b"short", address).unwrap();
    client.send([5, 0, 1, 0], b"quit\r\n");
    client.socket.recv(&mut [0; 10]).unwrap_err();
    assert_eq!(server.connect().get("q").as_deref(), Some(&b"x"[..]));
}

#[test]
fn a_udp_port_that_is_taken() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    Launch::new().with(&["-U", &port]).refused().assert_one_line(&[&port, "UDP", "-U"]);
}
