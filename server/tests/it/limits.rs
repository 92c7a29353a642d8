//! Memory, disk and time for more than fits: a backlog beyond the memory budget, names that do not exist, and queues
//! without number. The test command runs a small form; `scripts/limits.sh` sets the variables for the long ones.

use std::fs;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, write_set};
use crate::process::{Launch, Server, disk_bytes, wait_until};

const MIB: u64 = 1 << 20;
const QUEUES: u64 = 200;
const BODY_BYTES: usize = 1024;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

/// A backlog of 1 KiB messages and what the server may need for it.
#[derive(Debug)]
struct Backlog {
    megabytes: u64,
    memory_megabytes: u64,
    segment_bytes: u64,
    disk_bytes_after: u64,
}

impl Backlog {
    fn chosen() -> Backlog {
        match from_environment("RUSHQ_BACKLOG_MB") {
            Some(megabytes) => {
                Backlog { megabytes, memory_megabytes: 64, segment_bytes: 64 * MIB, disk_bytes_after: 400_000_000 }
            }
            None => {
                Backlog { megabytes: 200, memory_megabytes: 8, segment_bytes: 4 * MIB, disk_bytes_after: 100_000_000 }
            }
        }
    }

    fn per_queue(&self) -> u64 {
        self.megabytes * 1024 / QUEUES
    }

    /// The budget for bodies, 32 bytes for each message's place, and the program itself: 197 MB for 2 GB and `-m 64`.
    fn rss_bytes_max(&self) -> u64 {
        self.memory_megabytes * MIB + 32 * self.megabytes * 1024 + 60 * MIB
    }

    fn assert_rss(&self, server: &Server) {
        let (rss, most) = (server.rss_bytes(), self.rss_bytes_max());
        assert!(rss <= most, "RSS is {rss} bytes, {most} are allowed for {self:?}");
    }

    fn build(&self, server: &Server) {
        let mut client = server.connect();
        for number in 0..self.per_queue() {
            let mut bytes = Vec::new();
            for queue in 0..QUEUES {
                write_set(&mut bytes, &format!("backlog-{queue}"), &body(queue, number));
            }
            client.send(bytes);
            client.expect(&"STORED\r\n".repeat(QUEUES as usize));
            if number % 16 == 0 {
                self.assert_rss(server);
            }
        }
    }

    /// Takes these numbers out of all queues, each with one get that names them all.
    fn drain(&self, server: &Server, numbers: Range<u64>) {
        let mut client = server.connect();
        let names: Vec<String> = (0..QUEUES).map(|queue| format!("backlog-{queue}")).collect();
        let names = names.join(" ");
        for number in numbers {
            let values = client.try_get(&names).unwrap();
            assert_eq!(values.len() as u64, QUEUES, "message {number} is missing in some queue");
            for (queue, value) in values.iter().enumerate() {
                assert!(value.body == body(queue as u64, number), "{}: not message {number}", value.queue);
            }
            if number % 16 == 0 {
                self.assert_rss(server);
            }
        }
    }

    /// kill -9 and a start that must be quick because it need not read the log.
    fn restart(&self, server: &mut Server) {
        server.kill_9();
        let took = server.start();
        println!("restart after kill -9: {took:?}");
        assert!(took < Duration::from_secs(2), "the restart took {took:?}");
        self.assert_rss(server);
    }
}

fn body(queue: u64, number: u64) -> Vec<u8> {
    let mut body = format!("{queue}:{number}:").into_bytes();
    body.resize(BODY_BYTES, b'a' + (number % 26) as u8);
    body
}

/// How long another client may wait while all queues are listed.
const STALL_MAX: Duration = Duration::from_millis(20);
const LISTINGS: usize = 5;

fn delete_indexes(server: &Server) {
    let mut deleted = 0;
    for shard in fs::read_dir(server.directory().join("data-1")).unwrap().flatten() {
        let index = shard.path().join("index");
        if index.exists() {
            fs::remove_dir_all(index).unwrap();
            deleted += 1;
        }
    }
    assert_eq!(deleted, 2, "every shard has an index");
}

#[test]
fn a_backlog_larger_than_memory() {
    let backlog = Backlog::chosen();
    let megabytes = backlog.memory_megabytes.to_string();
    let launch = Launch::new().with(&["-m", &megabytes]).segment_bytes(backlog.segment_bytes);
    let mut server = launch.start();
    backlog.build(&server);
    println!("built: RSS {} MB, disk {} MB", server.rss_bytes() / MIB, disk_bytes(server.directory()) / MIB);
    backlog.restart(&mut server);

    let (third, all) = (backlog.per_queue() / 3, backlog.per_queue());
    backlog.drain(&server, 0..third);
    backlog.restart(&mut server);
    backlog.drain(&server, third..2 * third);

    server.kill_9();
    delete_indexes(&server);
    println!("start without an index: {:?}", server.start());
    backlog.assert_rss(&server);
    backlog.drain(&server, 2 * third..all);
    let mut client = server.connect();
    for queue in 0..QUEUES {
        assert_eq!(client.get(&format!("backlog-{queue}")), None, "more than was put in");
    }
    let most = backlog.disk_bytes_after;
    let what = format!("the directory back under {most} bytes");
    wait_until(&what, Duration::from_secs(20), || disk_bytes(server.directory()) < most);
    println!("drained: RSS {} MB, disk {} MB", server.rss_bytes() / MIB, disk_bytes(server.directory()) / MIB);
}

/// Sends one line for each number, a thousand at a time, and checks all that comes back.
fn pipelined(client: &mut Client, numbers: Range<u64>, line: impl Fn(u64) -> String, reply: impl Fn(u64) -> String) {
    for start in numbers.clone().step_by(1000) {
        let batch = start..numbers.end.min(start + 1000);
        client.send(batch.clone().map(&line).collect::<String>());
        client.expect(&batch.map(&reply).collect::<String>());
    }
}

#[test]
fn names_that_do_not_exist_cost_nothing() {
    let count = from_environment("RUSHQ_ABSENT_NAMES").unwrap_or(300_000);
    let server = Launch::new().start();
    let mut client = server.connect();
    let mut get = |kind: &str, count: u64| {
        pipelined(&mut client, 0..count, |number| format!("get {kind}-{number}\r\n"), |_| String::from("END\r\n"));
    };
    get("warm", 50_000);
    let (rss, disk) = (server.rss_bytes(), disk_bytes(server.directory()));
    get("absent", count);
    let (rss_now, disk_now) = (server.rss_bytes(), disk_bytes(server.directory()));
    println!("{count} names: RSS {rss} -> {rss_now}, disk {disk} -> {disk_now}");
    assert!(rss_now <= rss + 4 * MIB, "RSS went from {rss} to {rss_now}");
    assert!(disk_now <= disk + MIB / 4, "the data went from {disk} to {disk_now} bytes");
    assert_eq!(server.connect().queue_counters(), []);
}

#[test]
fn empty_queues_cost_little() {
    let count = from_environment("RUSHQ_EMPTY_QUEUES").unwrap_or(100_000);
    // 400 MiB for a million; a smaller number has the program itself to pay for as well.
    let most = if count >= 1_000_000 { 400 * MIB } else { 60 * MIB + count * 400 * MIB / 1_000_000 };
    let mut server = Launch::new().with(&["-m", "64"]).segment_bytes(64 * MIB).start();
    let line = |number| format!("set empty-{number} 0 0 1\r\nx\r\nget empty-{number}\r\n");
    let reply = |number| format!("STORED\r\nVALUE empty-{number} 0 1\r\nx\r\nEND\r\n");
    pipelined(&mut server.connect(), 0..count, line, reply);
    check_empty_queues(&server, count, most);
    listing_is_in_no_clients_way(&server);
    server.kill_9();
    println!("restart: {:?}", server.start());
    check_empty_queues(&server, count, most);
}

/// Each has sent a command, and waits with its next one.
#[test]
fn idle_clients_cost_little() {
    const COUNT: u64 = 800;
    const EACH_BYTES_MAX: u64 = 1500;
    let server = Launch::new().shards(1).start();
    let clients = |count: u64| -> Vec<Client> {
        let served = |_| {
            let mut client = server.connect();
            assert_eq!(client.get("nothing"), None);
            client
        };
        (0..count).map(served).collect()
    };
    let _warm = clients(50);
    let rss = server.rss_bytes();
    let _idle = clients(COUNT);
    let each = server.rss_bytes().saturating_sub(rss) / COUNT;
    println!("{COUNT} idle clients: {each} bytes each");
    assert!(each <= EACH_BYTES_MAX, "an idle client costs {each} bytes");
}

/// The longest that another client waits while `stats queue` is answered; and the answer is never held whole.
fn listing_is_in_no_clients_way(server: &Server) {
    let mut unread = server.connect();
    let rss = server.rss_bytes();
    let mut longest = Duration::MAX;
    // What a busy machine adds to the wait is not there each time; a stall of the server's would be.
    for _ in 0..LISTINGS {
        let mut lister = server.connect();
        let listing = thread::spawn(move || lister.stats("queue").len());
        let mut client = server.connect();
        let mut longest_now = Duration::ZERO;
        while !listing.is_finished() {
            let began = Instant::now();
            assert_eq!(client.get("nothing"), None);
            longest_now = longest_now.max(began.elapsed());
        }
        assert!(listing.join().unwrap() > 0);
        longest = longest.min(longest_now);
        if longest <= STALL_MAX {
            break;
        }
    }
    println!("a get waits {longest:.1?} at the longest while all queues are listed");
    assert!(longest <= STALL_MAX, "another client waited {longest:?} while queues were listed");
    unread.send("stats queue\r\n");
    unread.read_once().unwrap();
    let grown = server.rss_bytes().saturating_sub(rss);
    assert!(grown <= 8 * MIB, "an answer that its client does not read takes {grown} bytes");
}

fn check_empty_queues(server: &Server, count: u64, rss_bytes_max: u64) {
    let rss = server.rss_bytes();
    println!("{count} empty queues: RSS {} MiB", rss / MIB);
    assert!(rss <= rss_bytes_max, "RSS is {rss} bytes, {rss_bytes_max} are allowed for {count} empty queues");
    let counters = server.connect().queue_counters();
    assert_eq!(counters.len() as u64, count);
    let wrong = counters.iter().find(|(_, sets, gets)| (*sets, *gets) != (1, 1));
    assert_eq!(wrong, None);
}

/// The kernel makes it larger while a shard stands still, which a crowd would notice.
#[test]
fn the_table_of_descriptors_has_room_for_all_connections_from_the_beginning() {
    let server = Launch::new().with(&["-c", "3000"]).start();
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
    assert!(size.trim().parse::<u64>().unwrap() >= 3000, "{size}");
}
