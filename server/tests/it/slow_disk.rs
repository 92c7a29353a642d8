//! A disk that is slow holds up those clients that change something, and no others. strace makes single calls slow in a
//! server that runs. `RUSHQ_SLOW_DISK=1` runs every call with every delay.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::client::{Client, write_set};
use crate::injection::Injection;
use crate::process::{Launch, Server};

/// How long a command may take that needs nothing of the disk.
const ANSWER_MAX: Duration = Duration::from_millis(20);
/// On a machine that is busy with other tests it takes longer, now and then. The short form only says that no answer waits
/// for slow calls: there are more than ten of them in a segment.
const ANSWER_MAX_BESIDE_OTHERS: Duration = Duration::from_millis(100);
const TRIES: usize = 3;
/// A stop takes no longer than this and the calls of two commits: of the one that is under way, and of the one that holds
/// what was read. Where one of them goes on in the next segment, it has two.
const STOP_MAX: Duration = Duration::from_secs(2);
const STOP_CALLS: u32 = 3;
const WRITERS: usize = 8;
/// A few of them fill a segment.
const BODY_BYTES: usize = 400_000;
const QUEUES: usize = 4;
/// More than all gets take.
const BACKLOG: usize = 12 * WRITERS;

/// Sets large bodies, one after the other, until it is over or the server ends; and takes one for each, if it is to.
fn write(mut client: Client, writer: usize, takes: bool, sets: &AtomicU64, over: &AtomicBool) {
    let (mut bytes, queue) = (Vec::new(), format!("written-{}", writer % QUEUES));
    write_set(&mut bytes, &queue, &vec![b'.'; BODY_BYTES]);
    while !over.load(Ordering::Relaxed) && client.try_send(&bytes).is_ok() {
        match client.try_line() {
            Ok(line) => assert!(line == "STORED" || line == "NOT_STORED", "{line}"),
            // It ends, or the disk is slower than a client's patience.
            Err(_) => return,
        }
        if takes && client.try_get(&queue).is_err() {
            return;
        }
        sets.fetch_add(1, Ordering::Relaxed);
    }
}

/// The longest that `version` and a get of an empty queue take, until `last` sets were made.
fn longest_answer(server: &Server, sets: &AtomicU64, last: u64) -> Duration {
    // Connections of both shards, and names of both.
    let mut clients: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    let mut longest = Duration::ZERO;
    let began = Instant::now();
    for round in 0.. {
        let client = &mut clients[round % 4];
        let asked = Instant::now();
        if round % 2 == 0 {
            assert!(client.command("version").starts_with("VERSION "));
        } else {
            assert_eq!(client.get(&format!("nothing-{round}")), None);
        }
        longest = longest.max(asked.elapsed());
        if sets.load(Ordering::Relaxed) >= last {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{} of {last} sets after a minute",
            sets.load(Ordering::Relaxed)
        );
        // The tracer sees every call of the server; it is not to be what is measured.
        thread::sleep(Duration::from_micros(500));
    }
    longest
}

fn segments(server: &Server) -> usize {
    let log = |shard: usize| server.directory().join(format!("data-1/shard-{shard:03}/log"));
    (0..2).map(|shard| fs::read_dir(log(shard)).unwrap().count()).sum()
}

/// Tells the writers that it is over, also when the test fails.
#[derive(Debug)]
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn is_long_form() -> bool {
    std::env::var("RUSHQ_SLOW_DISK").is_ok()
}

/// Sets in flight while one call takes so long: all others are served, and a stop is quick.
fn slow(call: &str, delay_ms: u64) {
    let delay = Duration::from_millis(delay_ms);
    let answer_max = if is_long_form() { ANSWER_MAX } else { ANSWER_MAX_BESIDE_OTHERS.max(delay / 2) };
    // What is read is a backlog that has left memory; for all other calls, nothing is read.
    let reads = call.starts_with("pread");
    let mut server = Launch::new().with(if reads { &["-m", "1"] } else { &["-m", "1024"] }).start();
    if reads {
        let mut client = server.connect();
        for number in 0..BACKLOG {
            assert_eq!(client.set(&format!("written-{}", number % QUEUES), &vec![b'.'; BODY_BYTES]), "STORED");
        }
    }
    // A commit that was slow once is made on another thread the next time; before the first, a shard cannot tell.
    let slowness = Injection::begin(&server, &[(call, &format!("delay_enter={}", delay.as_micros()))]);
    for queue in 0..QUEUES {
        assert_eq!(server.connect().set(&format!("written-{queue}"), b"the first"), "STORED");
    }
    let (sets, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let before = segments(&server);
    thread::scope(|scope| {
        let over = Over(&over);
        for writer in 0..WRITERS {
            let (client, sets, over) = (server.connect(), &sets, over.0);
            scope.spawn(move || write(client, writer, reads, sets, over));
        }
        // Each try takes so many sets that more than one segment is filled and made meanwhile.
        let mut longest = Duration::MAX;
        for tried in 1..=TRIES as u64 {
            longest = longest.min(longest_answer(&server, &sets, tried * 3 * WRITERS as u64));
            println!(
                "{call} {delay_ms} ms slower: {} sets, an answer takes {longest:.1?}",
                sets.load(Ordering::Relaxed)
            );
            if longest <= answer_max {
                break;
            }
        }
        assert!(reads || segments(&server) > before, "no segment was made meanwhile");
        assert!(longest <= answer_max, "an answer that needs no disk took {longest:?}");
        let asked = Instant::now();
        server.signal(Signal::SIGTERM);
        server.wait_for_line("stopped: ");
        let took = asked.elapsed();
        println!("{call} {delay_ms} ms slower: a stop takes {took:.1?}");
        assert!(took <= STOP_MAX + STOP_CALLS * delay, "a stop took {took:?}");
        // A process whose call strace holds up does not end before strace.
        drop(slowness);
        server.wait_for_end(Signal::SIGTERM);
    });
}

#[test]
fn an_fdatasync_of_10_ms_holds_up_those_who_change_something() {
    slow("fdatasync", 10);
}

#[test]
fn an_fdatasync_of_100_ms_holds_up_those_who_change_something() {
    slow("fdatasync", 100);
}

#[test]
fn an_fdatasync_of_a_second_holds_up_those_who_change_something() {
    slow("fdatasync", 1000);
}

#[test]
fn a_pwrite_of_100_ms_holds_up_those_who_change_something() {
    slow("pwrite64", 100);
}

/// A read that would wait for the disk is another thread's, and is timed.
#[test]
fn a_body_that_only_the_disk_has_is_read_on_another_thread_and_timed() {
    let server = Launch::new().shards(1).with(&["-m", "1"]).start();
    let mut client = server.connect();
    for number in 0..12u8 {
        assert_eq!(client.set("backlog", &vec![number; BODY_BYTES]), "STORED");
    }
    let reads = |client: &mut Client| {
        let latency = client.stats("latency");
        let count = latency.iter().find(|(name, _)| name == "read_count").expect("it is a stage");
        count.1.parse::<u64>().unwrap()
    };
    assert_eq!(reads(&mut client), 0);
    let _nothing_is_in_memory = Injection::begin(&server, &[("preadv2", "error=EAGAIN")]);
    for number in 0..12u8 {
        assert_eq!(client.get("backlog"), Some(vec![number; BODY_BYTES]));
    }
    assert!(reads(&mut client) > 5, "most of the bodies had left memory");
}

#[test]
fn any_call_however_slow() {
    let calls: &[&str] =
        if is_long_form() { &["fdatasync", "pwrite64", "pread64", "sync_file_range"] } else { &["pread64"] };
    let delays: &[u64] = if is_long_form() { &[10, 100, 1000] } else { &[100] };
    for call in calls {
        delays.iter().for_each(|delay| slow(call, *delay));
    }
}
