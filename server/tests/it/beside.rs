//! What a client feels beside one that streams, whatever that streams. The machine is busy with other tests, so the limits
//! are far from what the benchmark shows; before a turn of a shard had a bound, the times were beyond them all the same.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::{Client, write_set};
use crate::process::{Launch, wait_until};

/// Pairs of a set and a get that are timed beside each load.
const PAIRS: usize = 60;
/// The median of a pair. It was 200 ms beside a stream of sets, and more than that beside others.
const MEDIAN_MAX: Duration = Duration::from_millis(60);
/// The longest pair.
const LONGEST_MAX: Duration = Duration::from_secs(1);
const EVENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections that send the same bytes over and over, and read what is answered.
struct Load {
    stop: Arc<AtomicBool>,
    /// How often all bytes were sent.
    sent: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
    streams: Vec<TcpStream>,
}

impl Load {
    fn start(address: SocketAddr, connections: usize, bytes: &[u8]) -> Load {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut load = Load { stop, sent, threads: Vec::new(), streams: Vec::new() };
        for _ in 0..connections {
            let stream = TcpStream::connect(address).unwrap();
            let (mut reader, mut writer) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
            let (stop, sent, bytes) = (Arc::clone(&load.stop), Arc::clone(&load.sent), bytes.to_vec());
            load.threads.push(thread::spawn(move || {
                let mut buffer = vec![0; 1 << 18];
                while reader.read(&mut buffer).is_ok_and(|n| n > 0) {}
            }));
            load.threads.push(thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) && writer.write_all(&bytes).is_ok() {
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            }));
            load.streams.push(stream);
        }
        load
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        // A reset: what was sent and not read by the server is of no use any more.
        self.streams.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Times pairs of a set and a get, beside a load that goes on all the while.
fn pairs_beside(client: &mut Client, load: &Load) -> Vec<Duration> {
    let before = load.sent();
    wait_until("the load to begin", EVENT_TIMEOUT, || load.sent() > before + 1);
    let mut times: Vec<Duration> = (0..PAIRS)
        .map(|number| {
            // On both shards, where there are two.
            let (queue, body) = (format!("probe-{}", number % 8), number.to_string());
            let began = Instant::now();
            assert_eq!(client.set(&queue, body.as_bytes()), "STORED");
            assert_eq!(client.get(&queue), Some(body.into_bytes()));
            began.elapsed()
        })
        .collect();
    let during = load.sent();
    wait_until("the load to go on", EVENT_TIMEOUT, || load.sent() > during);
    times.sort_unstable();
    times
}

fn set(body_bytes: usize, noreply: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_set(&mut bytes, "fill", &vec![b'x'; body_bytes]);
    if noreply {
        let line_end = bytes.iter().position(|byte| *byte == b'\r').unwrap();
        bytes.splice(line_end..line_end, *b" noreply");
    }
    bytes
}

fn beside(name: &str, connections: usize, bytes: &[u8]) {
    for (shards, arguments) in [(1, &[][..]), (2, &["-N"])] {
        let mut server = Launch::new().shards(shards).with(arguments).start();
        let mut client = server.connect();
        let load = Load::start(server.address(), connections, bytes);
        let times = pairs_beside(&mut client, &load);
        load.end();
        let (median, longest) = (times[PAIRS / 2], times[PAIRS - 1]);
        println!("beside {name}, shards {shards}: median {median:.1?}, longest {longest:.1?}");
        assert!(
            median <= MEDIAN_MAX && longest <= LONGEST_MAX,
            "beside {name}: {median:?}, at the longest {longest:?}"
        );
        server.terminate();
    }
}

#[test]
fn sets_without_reply() {
    beside("sets without reply", 1, &set(100, true).repeat(500));
}

#[test]
fn sets() {
    beside("sets", 1, &set(100, false).repeat(500));
}

#[test]
fn gets_of_nothing() {
    beside("gets of nothing", 1, &b"get nothing\r\n".repeat(5000));
}

#[test]
fn versions() {
    beside("version", 1, &b"version\r\n".repeat(5000));
}

#[test]
fn large_bodies() {
    let pair = [set(1 << 20, false), b"get fill\r\n".to_vec()].concat();
    beside("sets and gets of 1 MiB", 1, &pair.repeat(2));
}

/// The longest line that a get may have.
#[test]
fn long_lines() {
    beside("gets of 32,000 names", 1, format!("get{}\r\n", " a".repeat(32_000)).as_bytes());
}

#[test]
fn bursts() {
    let burst = [b"get nothing\r\n".repeat(8000), set(10, false).repeat(8000)].concat();
    beside("bursts of 16,000 commands", 1, &burst);
}

#[test]
fn errors_of_many_connections() {
    beside("50 connections of errors", 50, &b"x\r\n".repeat(5000));
}
