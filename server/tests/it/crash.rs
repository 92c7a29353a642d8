//! kill -9 under load, again and again on the same data, and a ledger of what every client was told. The number of shards
//! changes from round to round. `scripts/crash.sh` is the long form.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::client::{Client, write_set};
use crate::model::{QueueModel, Stamp, body_of, in_producers_order, stamp_of};
use crate::process::{Launch, Server, random_seed, wait_until};

/// How often; `RUSHQ_KILLS` sets another number.
const ROUNDS: usize = 20;
const LOAD_AT_MOST: Duration = Duration::from_secs(1);
const QUEUES: usize = 8;
/// Not in the ledger: a test may fill it beside the load.
pub(crate) const BESIDE: &str = "beside";
/// No client takes from this queue until the very end, so its messages have to be copied forward in the log.
const SLOW_QUEUE: usize = 0;
/// How many sets each producer has under way at a time.
const PRODUCERS: [usize; 4] = [1, 1, 8, 32];
/// How many gets each consumer has under way at a time.
const CONSUMERS: [usize; 4] = [1, 1, 4, 16];

fn name_of(queue: usize) -> String {
    format!("crash-{queue}")
}

/// What the clients of a round share.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    queues: [Mutex<QueueModel>; QUEUES],
    killed: AtomicBool,
    answers: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Ledger {
    fn queue(&self, queue: usize) -> MutexGuard<'_, QueueModel> {
        self.queues[queue].lock().unwrap()
    }

    fn fail(&self, why: String) {
        self.failures.lock().unwrap().push(why);
    }

    /// A connection ended. That is right only when the server was killed.
    fn connection_ended(&self, error: &std::io::Error) {
        if !self.killed.load(Ordering::SeqCst) {
            self.fail(format!("a connection failed although the server was not killed yet: {error}"));
        }
    }

    fn assert_no_failures(&self) {
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}

/// Sets until the server dies, and returns the next unused number.
fn produce(ledger: &Ledger, mut client: Client, mut rng: Rng, producer: u32, depth: usize, mut next: u64) -> u64 {
    loop {
        let mut bytes = Vec::new();
        let mut batch: Vec<(usize, Stamp)> = Vec::new();
        for _ in 0..rng.usize(1..=depth) {
            let queue = rng.usize(..QUEUES);
            let stamp = (producer, next);
            next += 1;
            ledger.queue(queue).sending(stamp);
            write_set(&mut bytes, &name_of(queue), &body_of(stamp));
            batch.push((queue, stamp));
        }
        let mut ended = client.try_send(&bytes).err();
        for (queue, stamp) in batch {
            let answer = if ended.is_none() { client.try_line() } else { Ok(String::new()) };
            match answer {
                Ok(line) if line == "STORED" => ledger.queue(queue).stored(stamp),
                Ok(line) if !line.is_empty() => ledger.fail(format!("set was answered {line}")),
                Ok(_) => ledger.queue(queue).set_unanswered(),
                Err(error) => {
                    ended = Some(error);
                    ledger.queue(queue).set_unanswered();
                }
            }
            ledger.answers.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(error) = ended {
            ledger.connection_ended(&error);
            return next;
        }
    }
}

/// Gets until the server dies.
fn consume(ledger: &Ledger, mut client: Client, mut rng: Rng, depth: usize) {
    let mut seen: HashMap<usize, Vec<Stamp>> = HashMap::new();
    let mut ended = None;
    while ended.is_none() {
        let names = |rng: &mut Rng| (0..rng.usize(1..=3)).map(|_| rng.usize(1..QUEUES)).collect::<Vec<usize>>();
        let batch: Vec<Vec<usize>> = (0..rng.usize(1..=depth)).map(|_| names(&mut rng)).collect();
        let line = |queues: &Vec<usize>| {
            let names: Vec<String> = queues.iter().map(|queue| name_of(*queue)).collect();
            format!("get {}\r\n", names.join(" "))
        };
        let lines: String = batch.iter().map(line).collect();
        ended = client.try_send(lines.as_bytes()).err();
        for queues in batch {
            let values = if ended.is_none() { client.try_values() } else { Ok(Vec::new()) };
            if let Err(error) = &values {
                ended = Some(std::io::Error::new(error.kind(), error.to_string()));
            }
            if ended.is_some() {
                queues.iter().for_each(|queue| ledger.queue(*queue).get_unanswered());
                continue;
            }
            for value in values.unwrap() {
                let Some(queue) = queues.iter().copied().find(|queue| name_of(*queue) == value.queue) else {
                    ledger.fail(format!("{} was not asked for", value.queue));
                    continue;
                };
                match stamp_of(&value.body).and_then(|stamp| ledger.queue(queue).received(stamp).map(|()| stamp)) {
                    Ok(stamp) => seen.entry(queue).or_default().push(stamp),
                    Err(why) => ledger.fail(format!("{}: {why}", value.queue)),
                }
                ledger.answers.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    ledger.connection_ended(&ended.unwrap());
    for (queue, stamps) in seen {
        if let Err(why) = in_producers_order(&stamps) {
            ledger.fail(format!("{}: {why}", name_of(queue)));
        }
    }
}

/// The numbers of the producers' next messages.
pub(crate) type NextNumbers = [u64; PRODUCERS.len()];

/// Load from all sides, and an end in the middle of it.
pub(crate) fn load_until(
    server: &mut Server,
    ledger: &Arc<Ledger>,
    rng: &mut Rng,
    next: &mut NextNumbers,
    end: impl FnOnce(&mut Server),
) {
    load_for(LOAD_AT_MOST, server, ledger, rng, next, end);
}

/// The same, with an end after so long at most.
pub(crate) fn load_for(
    at_most: Duration,
    server: &mut Server,
    ledger: &Arc<Ledger>,
    rng: &mut Rng,
    next: &mut NextNumbers,
    end: impl FnOnce(&mut Server),
) {
    ledger.killed.store(false, Ordering::SeqCst);
    ledger.answers.store(0, Ordering::SeqCst);
    let mut producers = Vec::new();
    for (producer, depth) in PRODUCERS.into_iter().enumerate() {
        let (ledger, client, rng, next) = (Arc::clone(ledger), server.connect(), rng.fork(), next[producer]);
        producers.push(thread::spawn(move || produce(&ledger, client, rng, producer as u32, depth, next)));
    }
    let mut consumers = Vec::new();
    for depth in CONSUMERS {
        let (ledger, client, rng) = (Arc::clone(ledger), server.connect(), rng.fork());
        consumers.push(thread::spawn(move || consume(&ledger, client, rng, depth)));
    }
    let answers = rng.u64(500..50_000);
    let start = Instant::now();
    while ledger.answers.load(Ordering::Relaxed) < answers && start.elapsed() < at_most {
        thread::sleep(Duration::from_micros(200));
    }
    // The ledger is of no use when nothing was done. Beside other tests that may take longer.
    wait_until("an answer", Duration::from_secs(10), || ledger.answers.load(Ordering::Relaxed) > 0);
    ledger.killed.store(true, Ordering::SeqCst);
    end(server);
    for (producer, thread) in producers.into_iter().enumerate() {
        next[producer] = thread.join().unwrap();
    }
    consumers.into_iter().for_each(|thread| thread.join().unwrap());
    ledger.assert_no_failures();
}

/// Holds the counters of all queues and the content of those that are to be drained against the ledger.
pub(crate) fn verify(server: &Server, ledger: &Ledger, mut drain: impl FnMut(usize) -> bool) {
    let mut client = server.connect();
    let mut listed: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (queue, sets, gets) in client.queue_counters() {
        assert!(listed.insert(queue, (sets, gets)).is_none(), "a queue is listed twice");
    }
    let messages: u64 = listed.values().map(|(sets, gets)| sets.checked_sub(*gets).unwrap()).sum();
    assert_eq!(client.figure("curr_items"), messages, "against {listed:?}");
    for queue in 0..QUEUES {
        let name = name_of(queue);
        let (sets, gets) = listed.remove(&name).unwrap_or_default();
        let mut model = ledger.queue(queue);
        model.counters(sets, gets).unwrap_or_else(|why| panic!("{name} {sets}/{gets}: {why}"));
        if drain(queue) {
            let stamps = drain_queue(&mut client, &name);
            model.drained(&stamps).unwrap_or_else(|why| panic!("{name} {sets}/{gets}: {why}"));
            if sets > 0 {
                let after = client.queue_counters();
                assert!(after.contains(&(name.clone(), sets, sets)), "{name} is not {sets}/{sets} in {after:?}");
            }
        }
    }
    listed.remove(BESIDE);
    assert!(listed.is_empty(), "queues from nowhere: {listed:?}");
}

pub(crate) fn drain_queue(client: &mut Client, name: &str) -> Vec<Stamp> {
    let names = vec![name; 100].join(" ");
    let mut stamps = Vec::new();
    loop {
        let values = client.try_get(&names).unwrap();
        if values.is_empty() {
            return stamps;
        }
        for value in values {
            assert_eq!(value.queue, name);
            stamps.push(stamp_of(&value.body).unwrap_or_else(|why| panic!("{name}: {why}")));
        }
    }
}

/// Each round another way to commit, with and without waiting for the disk, with much and with hardly any memory, and a
/// checkpoint every second.
pub(crate) fn arguments_of(round: usize) -> Vec<&'static str> {
    let commit = ["inline", "thread", "auto"][round % 3];
    let memory = ["1", "64"][round / 2 % 2];
    let mut arguments = vec!["-C", "1", "--commit", commit, "-m", memory];
    if round % 2 == 1 {
        arguments.push("-N");
    }
    arguments
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_taken_comes_back() {
    let rounds = std::env::var("RUSHQ_KILLS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut rng = Rng::with_seed(random_seed());
    let ledger = Arc::new(Ledger::default());
    let mut next = NextNumbers::default();
    let mut server = Launch::new().with(&arguments_of(0)).start();
    for round in 0..rounds {
        println!("round {round}: {:?}", arguments_of(round));
        load_until(&mut server, &ledger, &mut rng, &mut next, Server::kill_9);
        server.set_arguments(&arguments_of(round + 1));
        if rng.u8(..4) == 0 {
            server.set_shards(rng.u32(1..=3));
        }
        if rng.u8(..3) == 0 {
            server.start_and_kill_9_after(Duration::from_millis(rng.u64(..150)));
        }
        server.start();
        let last = round + 1 == rounds;
        verify(&server, &ledger, |queue| last || (queue != SLOW_QUEUE && rng.bool()));
    }
    server.terminate();
    server.start();
    verify(&server, &ledger, |_| true);
}
