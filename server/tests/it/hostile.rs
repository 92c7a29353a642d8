//! Clients that do harm, by malice or by mistake, while a good one checks that it is served.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::{Client, write_set};
use crate::process::{Launch, Server, random_seed, wait_until};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const EVENT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a good client waits for an answer at the most, on a machine that is busy with other tests.
const SERVED_WITHIN: Duration = Duration::from_secs(3);

/// A client that sets and gets all the time, and notes how long it waited at the longest.
struct GoodClient {
    stop: Arc<AtomicBool>,
    longest_us: Arc<AtomicU64>,
    served: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl GoodClient {
    fn start(server: &Server) -> GoodClient {
        let stop = Arc::new(AtomicBool::new(false));
        let (longest_us, served) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut client = server.connect();
        let (stopped, longest, count) = (Arc::clone(&stop), Arc::clone(&longest_us), Arc::clone(&served));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let number = count.load(Ordering::Relaxed);
                let began = Instant::now();
                let (queue, body) = (format!("good-{}", number % 4), format!("{number}"));
                assert_eq!(client.set(&queue, body.as_bytes()), "STORED");
                assert_eq!(client.get(&queue), Some(body.into_bytes()));
                longest.fetch_max(began.elapsed().as_micros() as u64, Ordering::Relaxed);
                count.store(number + 1, Ordering::Relaxed);
            }
        });
        GoodClient { stop, longest_us, served, thread }
    }

    /// Waits until it was served some more times, whatever has become of the others.
    fn finish(self) {
        let served = || self.served.load(Ordering::Relaxed);
        let enough = served() + 20;
        wait_until("the good client to be served", EVENT_TIMEOUT, || served() >= enough || self.thread.is_finished());
        self.stop.store(true, Ordering::Relaxed);
        let longest = Duration::from_micros(self.longest_us.load(Ordering::Relaxed));
        println!("the good client was served {} times, and waited {longest:?} at the longest", served());
        self.thread.join().unwrap();
        assert!(longest <= SERVED_WITHIN, "{longest:?} at the longest");
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    stream
}

/// Sends as much as the server takes. A close is an answer too.
fn push(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

fn nonsense(random: &mut Rng) -> Vec<u8> {
    const WORDS: [&[u8]; 22] = [
        b"set ",
        b"get ",
        b"gets ",
        b"delete ",
        b"flush ",
        b"q",
        b" 0",
        b" 0 0 ",
        b"18446744073709551616",
        b"-1",
        b"\r\n",
        b"\n",
        b"\r",
        b"noreply",
        b"cas q 0 0 1 1\r\n",
        b"stats queue",
        b"stats",
        b"99999999999",
        b"4294967295",
        b"\0",
        b"add q 0 0 5\r\nhello\r\n",
        b"set q 0 0 1048576\r\n",
    ];
    let mut bytes = Vec::new();
    while bytes.len() < 2000 {
        match random.u8(0..4) {
            0 => bytes.extend((0..random.usize(1..200)).map(|_| random.u8(..))),
            _ => bytes.extend_from_slice(WORDS[random.usize(0..WORDS.len())]),
        }
    }
    bytes
}

#[test]
fn streams_of_nonsense() {
    let mut random = Rng::with_seed(random_seed());
    let server = Launch::new().start();
    let good = GoodClient::start(&server);
    for _ in 0..300 {
        let mut stream = connect(server.address());
        for _ in 0..random.usize(1..20) {
            push(&mut stream, &nonsense(&mut random));
        }
    }
    good.finish();
}

/// What they make the server hold is one round of replies each, however much they ask for.
#[test]
fn clients_that_never_read() {
    const CLIENTS: usize = 50;
    const BODY: usize = 100_000;
    let server = Launch::new().with(&["-m", "16"]).start();
    let mut filler = server.connect();
    for number in 0..1500 {
        let mut bytes = Vec::new();
        write_set(&mut bytes, &format!("large-{}", number % 10), &[b'x'; BODY]);
        filler.send(bytes);
        filler.expect("STORED\r\n");
    }
    let good = GoodClient::start(&server);
    let before = server.rss_bytes();
    let names: String = (0..10).map(|queue| format!(" large-{queue}")).collect();
    let line = format!("get{}\r\n", names.repeat(100));
    let mut streams: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(server.address())).collect();
    for stream in &mut streams {
        push(stream, line.repeat(10).as_bytes());
    }
    let mut counter = server.connect();
    let mut taken = None;
    // Each has taken what it may, and the rest stays in its queue. The good client's queues are others.
    wait_until("the server to stop handing out", EVENT_TIMEOUT, || {
        thread::sleep(Duration::from_millis(300));
        let large = counter.queue_counters().into_iter().filter(|(name, ..)| name.starts_with("large-"));
        let now = Some(large.map(|(_, _, gets)| gets).sum::<u64>());
        std::mem::replace(&mut taken, now) == now
    });
    let grown = server.rss_bytes().saturating_sub(before);
    // 32 messages of other shards, 256 KiB of its own shard's, and as much again in copies.
    let bound = CLIENTS as u64 * 2 * (32 * BODY as u64 + 512 * KIB);
    println!("{CLIENTS} clients that do not read: {} MiB", grown / MIB);
    assert!(grown <= bound, "{grown} bytes, {bound} are allowed");
    good.finish();
}

#[test]
fn clients_that_send_a_byte_at_a_time() {
    let server = Launch::new().start();
    let good = GoodClient::start(&server);
    let mut streams: Vec<TcpStream> = (0..200).map(|_| connect(server.address())).collect();
    let conversation = b"set slow 7 0 5\r\nhello\r\nget slow\r\n";
    for byte in conversation {
        for stream in &mut streams {
            stream.write_all(&[*byte]).unwrap();
        }
        thread::sleep(Duration::from_millis(2));
    }
    let expected = b"STORED\r\nVALUE slow 7 5\r\nhello\r\nEND\r\n";
    for stream in &mut streams {
        stream.set_read_timeout(Some(EVENT_TIMEOUT)).unwrap();
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, expected);
    }
    good.finish();
}

#[test]
fn clients_that_announce_a_body_and_stop() {
    let server = Launch::new().start();
    let good = GoodClient::start(&server);
    let before = server.rss_bytes();
    let mut streams: Vec<TcpStream> = (0..500).map(|_| connect(server.address())).collect();
    for stream in &mut streams {
        stream.write_all(b"set big 0 0 1048576\r\nonly this").unwrap();
    }
    let mut counter = server.connect();
    wait_until("all to be read", EVENT_TIMEOUT, || counter.figure("bytes_read") >= 500 * 30);
    let grown = server.rss_bytes().saturating_sub(before);
    assert!(grown <= 500 * 16 * KIB, "{grown} bytes for what was only announced");
    good.finish();
    drop(streams);
    wait_until("them to be gone", EVENT_TIMEOUT, || counter.figure("curr_connections") <= 2);
    assert!(counter.queue_counters().iter().all(|(queue, ..)| queue != "big"));
}

#[test]
fn clients_that_come_and_go() {
    let server = Launch::new().start();
    let good = GoodClient::start(&server);
    let files = || fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    let mut counter = server.connect();
    let (before, rss) = (files(), server.rss_bytes());
    for number in 0..5000 {
        let mut stream = connect(server.address());
        if number % 2 == 0 {
            push(&mut stream, b"get q\r\nset q 0 0 100\r\n");
        }
    }
    wait_until("them to be gone", EVENT_TIMEOUT, || counter.figure("curr_connections") <= 2);
    good.finish();
    wait_until("their files to be closed", EVENT_TIMEOUT, || files() <= before + 4);
    let grown = server.rss_bytes().saturating_sub(rss);
    assert!(grown <= 8 * MIB, "{grown} bytes stay of clients that have gone");
}

/// Both ends of a connection are this machine's, and the test needs its own for each.
#[test]
fn idle_connections_cost_little() {
    let count: u64 = std::env::var("RUSHQ_IDLE_CONNECTIONS").map_or(2000, |count| count.parse().unwrap());
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    assert!(most > count + 500, "the limit of open files is {most}; set RUSHQ_IDLE_CONNECTIONS to less");
    let server = Launch::new().with(&["-c", &(count + 10).to_string()]).start();
    let mut counter = server.connect();
    assert_eq!(counter.set("q", b"x"), "STORED");
    let before = server.rss_bytes();
    let mut streams: Vec<Client> = (0..count).map(|_| server.connect()).collect();
    for stream in &mut streams {
        // Not just accepted: each has talked.
        assert_eq!(stream.command("get nothing"), "END");
    }
    assert!(counter.figure("curr_connections") >= count);
    let each = server.rss_bytes().saturating_sub(before) / count;
    println!("{count} idle connections: {each} bytes each");
    assert!(each < 8 * KIB, "{each} bytes for an idle connection");
}

#[test]
fn idle_connections_are_closed_and_busy_ones_are_not() {
    let server = Launch::new().with(&["--idle-timeout", "2"]).start();
    let mut idle = server.connect();
    assert_eq!(idle.command("verbosity 0"), "OK");
    let mut silent = connect(server.address());
    silent.set_read_timeout(Some(EVENT_TIMEOUT)).unwrap();
    let mut unread = connect(server.address());
    assert_eq!(server.connect().set("large", &[b'x'; 1 << 20]), "STORED");
    push(&mut unread, "set large 0 0 3 noreply\r\nabc\r\nstats queue\r\n".repeat(200).as_bytes());
    let mut busy = server.connect();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        assert_eq!(busy.command("verbosity 0"), "OK");
        thread::sleep(Duration::from_millis(100));
    }
    idle.expect_close();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    wait_until("all but the busy one to be gone", EVENT_TIMEOUT, || {
        thread::sleep(Duration::from_millis(100));
        busy.figure("curr_connections") == 1
    });
}

/// There are no descriptors left, and then there are again.
#[test]
fn accept_survives_a_lack_of_descriptors() {
    let mut server = Launch::new().start();
    let mut client = server.connect();
    assert_eq!(client.set("q", b"before"), "STORED");
    let pid = server.pid().to_string();
    let limit = |files: usize| {
        let files = format!("--nofile={files}:");
        assert!(Command::new("prlimit").args(["--pid", &pid, &files]).status().unwrap().success());
    };
    let open = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    limit(open + 3);
    let mut waiting: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
    server.wait_for_line("cannot be accepted");
    // Who is in is served.
    assert_eq!(client.get("q").as_deref(), Some(&b"before"[..]));
    assert_eq!(client.set("q", b"meanwhile"), "STORED");
    limit(open + 1000);
    for stream in &mut waiting {
        stream.set_read_timeout(Some(EVENT_TIMEOUT)).unwrap();
        stream.write_all(b"version\r\n").unwrap();
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"VERSION ");
    }
    assert_eq!(client.get("q").as_deref(), Some(&b"meanwhile"[..]));
}

/// When sets come faster than the disk takes them, clients wait, and memory does not grow.
#[test]
fn a_slow_disk_slows_clients_and_takes_no_memory() {
    const CLIENTS: usize = 32;
    for commit in ["inline", "thread"] {
        let launch = Launch::new();
        let log = launch.scratch().join("strace");
        let delay = [
            "-f",
            "-qq",
            "-o",
            log.to_str().unwrap(),
            "-e",
            "trace=fdatasync",
            "-e",
            "inject=fdatasync:delay_exit=100000",
        ];
        let through = [&["strace"], &delay[..]].concat();
        // strace does not end in an exec: its child is the server, and is looked for by its statistics.
        let server = launch.through(&through).with(&["--commit", commit, "-m", "1"]).start();
        let mut counter = server.connect();
        let pid = counter.figure("pid");
        let rss = || {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * KIB
        };
        let before = rss();
        let mut streams: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(server.address())).collect();
        let mut burst = Vec::new();
        for number in 0..200 {
            let body = [b'x'; 1000];
            burst.extend_from_slice(format!("set q{number} 0 0 1000 noreply\r\n").as_bytes());
            burst.extend_from_slice(&body);
            burst.extend_from_slice(b"\r\n");
        }
        let (mut pushed, mut held_up) = (0, 0);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(4) {
            for stream in &mut streams {
                stream.set_nonblocking(true).unwrap();
                match stream.write(&burst) {
                    Ok(written) => pushed += written,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => held_up += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
        let grown = rss().saturating_sub(before);
        println!(
            "{commit}: {} MiB pushed, {held_up} writes held up, {} MiB of memory",
            pushed as u64 / MIB,
            grown / MIB
        );
        assert!(held_up > 0, "clients are slowed");
        // A read and a body each, in the frame on its way and in the one that fills, and in memory until they are written.
        assert!(grown <= CLIENTS as u64 * 1024 * KIB + 32 * MIB, "{grown} bytes");
        drop(streams);
        kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
    }
}
