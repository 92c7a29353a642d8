//! Hours in small: mixed load over cycles of filling, draining and restarting, and what is left after each. The test
//! command runs two short cycles; `scripts/soak.sh` runs for as long as it is told.

use std::collections::VecDeque;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::client::{Client, write_set};
use crate::process::{Launch, Server, disk_bytes, random_seed, wait_until};

const CLIENTS: usize = 6;
/// Queues of each client. No other client uses them, so what is in each is known exactly.
const QUEUES: usize = 8;
/// The deep ones wait beyond what stays in memory.
const DEPTHS: [usize; QUEUES] = [1, 1, 4, 16, 64, 256, 1024, 4096];
const MIB: u64 = 1 << 20;
const BODY_BYTES_MAX: usize = 1 << 20;

/// From nothing to the limit, most of them small.
fn body_bytes(rng: &mut Rng) -> usize {
    match rng.u32(0..1000) {
        0 => BODY_BYTES_MAX,
        1..10 => rng.usize(0..BODY_BYTES_MAX),
        10..100 => rng.usize(0..20_000),
        100..150 => 0,
        _ => rng.usize(0..300),
    }
}

fn body(seed: u64) -> Vec<u8> {
    let mut rng = Rng::with_seed(seed);
    let mut body = vec![0; body_bytes(&mut rng)];
    // The first kilobyte is enough to tell it from any other, and quick to make.
    let telling = body.len().min(1024);
    rng.fill(&mut body[..telling]);
    body
}

/// What one client does, and what it knows must be there.
struct Worker {
    name: usize,
    rng: Rng,
    queues: [VecDeque<u64>; QUEUES],
    sets: u64,
    gets: u64,
}

impl Worker {
    fn queue_name(&self, queue: usize) -> String {
        format!("soak-{}-{queue}", self.name)
    }

    /// Fills and takes until the time is up.
    fn work(&mut self, client: &mut Client, until: Instant) {
        while Instant::now() < until {
            let queue = self.rng.usize(0..QUEUES);
            let target = self.rng.usize(0..=DEPTHS[queue]);
            while self.queues[queue].len() < target && Instant::now() < until {
                let batch = self.rng.usize(1..=16);
                self.put(client, queue, batch);
            }
            while self.queues[queue].len() > target && Instant::now() < until {
                let batch = self.rng.usize(1..=16);
                self.take(client, queue, batch);
            }
        }
    }

    fn put(&mut self, client: &mut Client, queue: usize, count: usize) {
        let mut bytes = Vec::new();
        for _ in 0..count {
            let seed = self.rng.u64(..);
            write_set(&mut bytes, &self.queue_name(queue), &body(seed));
            self.queues[queue].push_back(seed);
        }
        client.send(bytes);
        for _ in 0..count {
            assert_eq!(client.line(), "STORED");
        }
        self.sets += count as u64;
    }

    fn take(&mut self, client: &mut Client, queue: usize, count: usize) {
        let count = count.min(self.queues[queue].len());
        client.send(format!("get {}\r\n", self.queue_name(queue)).repeat(count));
        for _ in 0..count {
            let values = client.try_values().unwrap();
            let seed = self.queues[queue].pop_front().unwrap();
            assert!(values.len() == 1 && values[0].body == body(seed), "the head of {}", self.queue_name(queue));
        }
        self.gets += count as u64;
    }

    fn drain(&mut self, client: &mut Client) {
        for queue in 0..QUEUES {
            while !self.queues[queue].is_empty() {
                self.take(client, queue, 16);
            }
            assert_eq!(client.get(&self.queue_name(queue)), None);
        }
    }
}

/// What a server costs when nothing waits.
#[derive(Debug, Clone, Copy)]
struct Cost {
    rss_bytes: u64,
    files: usize,
    disk_bytes: u64,
}

fn cost(server: &Server) -> Cost {
    let files = || fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    // Segments go, and are closed, within the moments after the last take.
    let mut last = (files(), disk_bytes(server.directory()));
    wait_until("the server to come to rest", Duration::from_secs(60), || {
        thread::sleep(Duration::from_millis(1500));
        let before = std::mem::replace(&mut last, (files(), disk_bytes(server.directory())));
        before == last
    });
    Cost { rss_bytes: server.rss_bytes(), files: last.0, disk_bytes: last.1 }
}

/// All clients at once.
fn each(server: &Server, workers: &mut [Worker], job: impl Fn(&mut Worker, &mut Client) + Sync) {
    thread::scope(|scope| {
        for worker in workers {
            let (mut client, job) = (server.connect(), &job);
            scope.spawn(move || job(worker, &mut client));
        }
    });
}

#[test]
fn nothing_grows_and_nothing_is_missing() {
    let setting = |name: &str, default: u64| std::env::var(name).map_or(default, |value| value.parse().unwrap());
    let (seconds, cycle_seconds) = (setting("RUSHQ_SOAK_SECONDS", 4), setting("RUSHQ_SOAK_CYCLE_SECONDS", 2));
    let mut rng = Rng::with_seed(random_seed());
    let mut server = Launch::new().segment_bytes(setting("RUSHQ_SOAK_SEGMENT_BYTES", 8 * MIB)).start();
    let mut workers: Vec<Worker> = (0..CLIENTS)
        .map(|name| Worker { name, rng: rng.fork(), queues: Default::default(), sets: 0, gets: 0 })
        .collect();
    let began = Instant::now();
    let mut costs = Vec::new();
    for cycle in 0.. {
        server.terminate();
        server.set_arguments(if cycle % 2 == 0 { &["-m", "16"] } else { &["-m", "16", "-N"] });
        server.start();
        let until = Instant::now() + Duration::from_secs(cycle_seconds);
        let middle = Instant::now() + Duration::from_secs(cycle_seconds) / 2;
        each(&server, &mut workers, |worker, client| worker.work(client, middle));
        // In the middle of it, with full queues.
        if cycle % 4 < 2 {
            server.kill_9();
            server.start();
        }
        each(&server, &mut workers, |worker, client| worker.work(client, until));
        each(&server, &mut workers, Worker::drain);
        let mut client = server.connect();
        let balance: u64 = client.queue_counters().iter().map(|(_, sets, gets)| sets - gets).sum();
        assert_eq!((balance, client.figure("curr_items")), (0, 0));
        drop(client);
        let now = cost(&server);
        println!(
            "after {:4} s: RSS {} MiB, {} files, disk {} MiB",
            began.elapsed().as_secs(),
            now.rss_bytes / MIB,
            now.files,
            now.disk_bytes / MIB
        );
        costs.push(now);
        if began.elapsed() >= Duration::from_secs(seconds) && costs.len() > 1 {
            break;
        }
    }
    let (sets, gets) = workers.iter().fold((0, 0), |(sets, gets), worker| (sets + worker.sets, gets + worker.gets));
    let counters = server.connect().queue_counters();
    let counted =
        counters.iter().fold((0, 0), |(all_sets, all_gets), (_, sets, gets)| (all_sets + sets, all_gets + gets));
    println!("{sets} messages put and {gets} taken, in {} cycles", costs.len());
    assert_eq!((sets, gets), counted);
    assert_eq!(sets, gets);
    let (first, last) = (costs[0], costs[costs.len() - 1]);
    assert!(last.rss_bytes <= first.rss_bytes + first.rss_bytes / 4 + 16 * MIB, "{first:?}, and at the end {last:?}");
    assert!(last.files <= first.files + 8, "{first:?}, and at the end {last:?}");
    assert!(
        last.disk_bytes <= first.disk_bytes + first.disk_bytes / 2 + 64 * MIB,
        "{first:?}, and at the end {last:?}"
    );
}
