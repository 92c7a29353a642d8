//! Another number of shards: the next start moves every queue to its new owner.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::client::{Client, write_set};
use crate::disk_full::SmallDisk;
use crate::process::{Launch, Server, random_seed};
use crate::root::is_root;

/// Messages of each test; `scripts/crash.sh` sets more.
fn messages() -> u64 {
    std::env::var("RUSHQ_MOVED_MESSAGES").map_or(20_000, |count| count.parse().unwrap())
}

const QUEUES: u64 = 37;
const BATCH: u64 = 500;

fn body(number: u64) -> Vec<u8> {
    let mut body = format!("message {number} ").into_bytes();
    body.resize(body.len() + (number % 97) as usize, b'.');
    body
}

/// Puts messages, and takes the first tenth of them again.
fn fill(client: &mut Client) {
    for start in (0..messages()).step_by(BATCH as usize) {
        let batch = start..messages().min(start + BATCH);
        let mut bytes = Vec::new();
        for number in batch.clone() {
            let queue = format!("queue-{}", number % QUEUES);
            let head = format!("set {queue} {} 0 {}\r\n", number % 1000, body(number).len());
            bytes.extend_from_slice(&[head.as_bytes(), &body(number), b"\r\n"].concat());
        }
        client.send(bytes);
        batch.for_each(|_| client.expect("STORED\r\n"));
    }
    for number in 0..messages() / 10 {
        assert_eq!(client.get(&format!("queue-{}", number % QUEUES)), Some(body(number)));
    }
    let mut bytes = Vec::new();
    write_set(&mut bytes, "flushed", b"x");
    write_set(&mut bytes, "empty", b"x");
    client.send(bytes);
    client.expect("STORED\r\nSTORED\r\n");
    client.send("flush flushed\r\nget empty\r\n");
    client.expect("END\r\nVALUE empty 0 1\r\nx\r\nEND\r\n");
}

fn counters(client: &mut Client) -> BTreeMap<String, (u64, u64)> {
    client.queue_counters().into_iter().map(|(queue, sets, gets)| (queue, (sets, gets))).collect()
}

/// Everything that `fill` has left is there, in order, with flags and the numbers it had.
fn check_and_drain(client: &mut Client) {
    for start in (messages() / 10..messages()).step_by(BATCH as usize) {
        let batch = start..messages().min(start + BATCH);
        client.send(batch.clone().map(|number| format!("gets queue-{}\r\n", number % QUEUES)).collect::<String>());
        for number in batch {
            let (queue, body, seq) = (number % QUEUES, body(number), number / QUEUES + 1);
            client.expect(&format!("VALUE queue-{queue} {} {} {seq}\r\n", number % 1000, body.len()));
            client.expect(&format!("{}\r\nEND\r\n", String::from_utf8(body).unwrap()));
        }
    }
    let left: Vec<_> = counters(client).into_iter().filter(|(_, (sets, gets))| sets != gets).collect();
    assert_eq!(left, [(String::from("flushed"), (1, 0))]);
    assert_eq!(client.figure("curr_items"), 0);
}

fn restart(server: &mut Server, shards: u32) -> Duration {
    server.set_shards(shards);
    server.start()
}

#[test]
fn queues_move_to_any_number_of_shards() {
    let mut server = Launch::new().shards(1).start();
    fill(&mut server.connect());
    let before = counters(&mut server.connect());
    for shards in [2, 3, 1] {
        server.terminate();
        let took = restart(&mut server, shards);
        println!("{} messages to {shards} shards: a start of {took:?}", messages());
        let mut client = server.connect();
        assert_eq!(client.figure("threads"), u64::from(shards));
        assert_eq!(counters(&mut client), before);
        let spread = client.stats("cores");
        let queues = spread.iter().filter(|(name, _)| name.ends_with(":queues"));
        assert!(queues.clone().all(|(_, count)| count != "0"), "{spread:?}");
        let generations = fs::read_dir(server.directory()).unwrap().flatten();
        let generations = generations.filter(|entry| entry.file_name().to_string_lossy().starts_with("data-"));
        assert_eq!(generations.count(), 1, "the old one is gone");
    }
    server.terminate();
    restart(&mut server, 3);
    check_and_drain(&mut server.connect());
}

/// What was taken or put since the last move is in the next one.
#[test]
fn work_goes_on_between_moves() {
    let mut server = Launch::new().shards(2).start();
    for round in 0..6 {
        let mut client = server.connect();
        for queue in 0..10 {
            assert_eq!(client.set(&format!("q{queue}"), format!("{round} a").as_bytes()), "STORED");
            assert_eq!(client.set(&format!("q{queue}"), format!("{round} b").as_bytes()), "STORED");
            if round > 0 {
                let last = format!("{} b", round - 1);
                assert_eq!(client.get(&format!("q{queue}")), Some(last.into_bytes()));
            }
            assert_eq!(client.get(&format!("q{queue}")), Some(format!("{round} a").into_bytes()));
        }
        // Also after a kill, with a log that was not closed.
        if round % 2 == 0 {
            server.kill_9()
        } else {
            server.terminate()
        }
        restart(&mut server, [3, 1, 4, 2, 5, 2][round]);
    }
    let mut client = server.connect();
    for queue in 0..10 {
        assert_eq!(client.get(&format!("q{queue}")).as_deref(), Some(&b"5 b"[..]));
        assert_eq!(client.get(&format!("q{queue}")), None);
    }
}

/// kill -9 at any moment of the move, again and again.
#[test]
fn a_move_that_is_killed_loses_and_doubles_nothing() {
    let rounds: u64 = std::env::var("RUSHQ_MOVE_KILLS").map_or(12, |rounds| rounds.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(random_seed());
    let mut server = Launch::new().shards(2).start();
    fill(&mut server.connect());
    let before = counters(&mut server.connect());
    server.terminate();
    let mut shards = 2;
    for _ in 0..rounds {
        // How long a whole one takes, to spread the kills over it.
        shards = if shards == 3 { 1 } else { shards + 1 };
        let whole = restart(&mut server, shards);
        assert_eq!(counters(&mut server.connect()), before);
        server.terminate();
        for _ in 0..3 {
            shards = random.u32(1..=4);
            server.set_shards(shards);
            server.start_and_kill_9_after(whole.mul_f64(random.f64() * 1.2));
        }
    }
    restart(&mut server, 2);
    check_and_drain(&mut server.connect());
}

/// There is no room for a second copy: the start says so, and one as before works.
#[test]
fn a_disk_that_has_no_room_for_the_move() {
    if !is_root("only root can mount a small disk") {
        return;
    }
    let launch = Launch::new();
    let mount = launch.scratch().join("small");
    fs::create_dir(&mount).unwrap();
    let _disk = SmallDisk::mount(&mount, 40);
    let mut server = launch.directory(mount.join("data")).start();
    let mut client = server.connect();
    let mut stored = 0;
    while client.set(&format!("q{}", stored % 10), &vec![b'x'; 1 << 20]) == "STORED" {
        stored += 1;
    }
    assert!(stored > 10, "{stored}");
    server.terminate();
    let refusal = server.launch().clone().shards(3).refused();
    let last = refusal.stderr.lines().last().unwrap();
    assert!(!refusal.status.success() && last.contains("no room") && last.contains("-t"), "{refusal:?}");
    server.start();
    let mut client = server.connect();
    for number in 0..stored {
        assert_eq!(client.get(&format!("q{}", number % 10)).unwrap().len(), 1 << 20);
    }
}
