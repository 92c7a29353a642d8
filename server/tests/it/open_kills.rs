//! kill -9 of the server while messages are open, again and again on the same data, with workers that are gone in the middle
//! of their work. The number of shards changes from round to round. `scripts/crash.sh` is the long form.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::client::{Client, Value, write_set};
use crate::crash::{arguments_of, drain_queue};
use crate::model::{Stamp, body_of, stamp_of};
use crate::open_model::{Life, OpenModel};
use crate::process::{Launch, Server, random_seed, wait_until};

/// How often; `RUSHQ_OPEN_KILLS` sets another number.
const ROUNDS: usize = 12;
const QUEUES: usize = 6;
const PRODUCERS: usize = 2;
/// Two of each way to open.
const WORKERS: usize = 8;
const LEASE_S: u64 = 1;
const LOAD_AT_MOST: Duration = Duration::from_secs(1);

fn name_of(queue: usize) -> String {
    format!("open-{queue}")
}

/// What the clients have in common.
#[derive(Debug, Default)]
struct Ledger {
    queues: [Mutex<OpenModel>; QUEUES],
    /// No two deliveries have the same.
    numbers: Mutex<HashSet<u64>>,
    lives: AtomicU64,
    killed: AtomicBool,
    acknowledged: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Ledger {
    fn queue(&self, queue: usize) -> MutexGuard<'_, OpenModel> {
        self.queues[queue].lock().unwrap()
    }

    fn check(&self, queue: usize, outcome: Result<(), String>) {
        if let Err(why) = outcome {
            self.failures.lock().unwrap().push(format!("{}: {why}", name_of(queue)));
        }
    }

    fn assert_no_failures(&self) {
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}

/// Sets until the server dies, and returns the next unused number.
fn produce(ledger: &Ledger, mut client: Client, mut rng: Rng, producer: u32, mut next: u64) -> io::Result<u64> {
    loop {
        let mut bytes = Vec::new();
        let batch: Vec<(usize, Stamp)> =
            (0..rng.u64(1..=8)).map(|step| (rng.usize(..QUEUES), (producer, next + step))).collect();
        next += batch.len() as u64;
        for (queue, stamp) in &batch {
            ledger.queue(*queue).sending(*stamp);
            write_set(&mut bytes, &name_of(*queue), &body_of(*stamp));
        }
        if client.try_send(&bytes).is_err() {
            return Ok(next);
        }
        for (queue, stamp) in batch {
            match client.try_line() {
                Ok(line) if line == "STORED" => ledger.queue(queue).stored(stamp),
                Ok(line) => return Err(io::Error::other(format!("a set was answered {line}"))),
                Err(_) => return Ok(next),
            }
        }
    }
}

/// How a worker opens and acknowledges.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    OpenClose,
    CloseOpen,
    Named,
    Numbered,
}

const WAYS: [Way; 4] = [Way::OpenClose, Way::CloseOpen, Way::Named, Way::Numbered];

/// What a worker has in hand.
#[derive(Debug)]
struct Task {
    queue: usize,
    stamp: Stamp,
    /// What acknowledges it.
    line: String,
    answer: &'static str,
}

/// A worker with one connection, in one of its lives.
struct Worker<'a> {
    ledger: &'a Ledger,
    server: &'a dyn Fn() -> Option<Client>,
    client: Client,
    rng: Rng,
    way: Way,
    life: Life,
    task: Option<Task>,
}

impl Worker<'_> {
    /// Works until the server dies.
    fn work(&mut self) -> io::Result<()> {
        loop {
            self.open()?;
            match self.rng.u8(..20) {
                0 if !self.die() => return Ok(()),
                1 => self.give_back()?,
                // A worker that closes when it opens has something in hand all the time.
                _ if self.way != Way::CloseOpen => self.acknowledge()?,
                _ => {}
            }
        }
    }

    fn get(&mut self, verb: &str, key: &str) -> io::Result<Option<Value>> {
        self.client.try_send(format!("{verb} {key}\r\n").as_bytes())?;
        Ok(self.client.try_values()?.pop())
    }

    fn open(&mut self) -> io::Result<()> {
        let closed = if self.way == Way::CloseOpen { self.task.take() } else { None };
        let queue = closed.as_ref().map_or_else(|| self.rng.usize(..QUEUES), |task| task.queue);
        let wait = if self.rng.bool() { "/t=20" } else { "" };
        let name = format!("w{}-{}", self.life, self.rng.u64(..));
        let (verb, options) = match self.way {
            Way::OpenClose => ("get", String::from("/open")),
            Way::CloseOpen if closed.is_none() => ("get", String::from("/open")),
            Way::CloseOpen => ("get", String::from("/close/open")),
            Way::Named => ("get", format!("/open/as={name}/for={LEASE_S}")),
            Way::Numbered => ("gets", format!("/open/for={LEASE_S}")),
        };
        if let Some(task) = &closed {
            self.ledger.queue(queue).acknowledging(self.life, task.stamp);
        }
        let asked = Instant::now();
        let value = match self.get(verb, &format!("{}{options}{wait}", name_of(queue))) {
            Ok(value) => value,
            Err(error) => {
                self.task = closed;
                return Err(error);
            }
        };
        if let Some(task) = closed {
            self.ledger.check(queue, self.ledger.queue(queue).acknowledged(self.life, task.stamp));
            self.ledger.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        let Some(value) = value else { return Ok(()) };
        let stamp = stamp_of(&value.body).map_err(io::Error::other)?;
        let lease = Some((asked, Duration::from_secs(LEASE_S)));
        let (line, answer, lease) = match self.way {
            Way::OpenClose | Way::CloseOpen => (format!("get {}/close", name_of(queue)), "END", None),
            Way::Named => (format!("delete {}/as={name}", name_of(queue)), "DELETED", lease),
            Way::Numbered => {
                let number = value.number.ok_or_else(|| io::Error::other("a gets without a number"))?;
                let is_new = self.ledger.numbers.lock().unwrap().insert(number);
                let why = format!("the lease {number} is not new, or its try {} is none", number & 0xff);
                self.ledger.check(queue, if is_new && number & 0xff > 0 { Ok(()) } else { Err(why) });
                (format!("delete {}/lease={number}", name_of(queue)), "DELETED", lease)
            }
        };
        self.ledger.check(queue, self.ledger.queue(queue).opened(self.life, stamp, lease));
        self.task = Some(Task { queue, stamp, line, answer });
        Ok(())
    }

    fn acknowledge(&mut self) -> io::Result<()> {
        let Some(task) = self.task.take() else { return Ok(()) };
        self.ledger.queue(task.queue).acknowledging(self.life, task.stamp);
        let sent = self.client.try_send(format!("{}\r\n", task.line).as_bytes());
        let answer = match sent.and_then(|()| self.client.try_line()) {
            Ok(answer) => answer,
            Err(error) => {
                self.task = Some(task);
                return Err(error);
            }
        };
        let mut queue = self.ledger.queue(task.queue);
        match answer.as_str() {
            answer if answer == task.answer => {
                self.ledger.check(task.queue, queue.acknowledged(self.life, task.stamp));
                self.ledger.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            // Its lease was over: another test's load can be in the way.
            "NOT_FOUND" => queue.let_go(self.life, task.stamp),
            answer => return Err(io::Error::other(format!("{} was answered {answer}", task.line))),
        }
        Ok(())
    }

    /// Puts the message back, as a worker does that has failed or is being stopped.
    fn give_back(&mut self) -> io::Result<()> {
        let Some(task) = self.task.take() else { return Ok(()) };
        let fate = if self.rng.bool() { "abort" } else { "release" };
        let which = match self.way {
            Way::OpenClose | Way::CloseOpen => "",
            Way::Named | Way::Numbered => task.line.split_once('/').map_or("", |(_, which)| which),
        };
        let slash = if which.is_empty() { "" } else { "/" };
        self.ledger.queue(task.queue).let_go(self.life, task.stamp);
        let value = self.get("get", &format!("{}/{fate}{slash}{which}", name_of(task.queue)))?;
        value.map_or(Ok(()), |value| Err(io::Error::other(format!("{fate} brought {value:?}"))))
    }

    /// As kill -9 of its process: the connection is gone, whatever is open. False: so is the server.
    fn die(&mut self) -> bool {
        self.end();
        let Some(client) = (self.server)() else { return false };
        self.client = client;
        true
    }

    fn end(&mut self) {
        if let Some(task) = self.task.take() {
            self.ledger.queue(task.queue).connection_gone(self.life, task.stamp);
        }
        self.life = self.ledger.lives.fetch_add(1, Ordering::Relaxed);
    }
}

fn run_worker(ledger: &Ledger, server: &dyn Fn() -> Option<Client>, rng: Rng, way: Way) {
    let Some(client) = server() else { return };
    let life = ledger.lives.fetch_add(1, Ordering::Relaxed);
    let mut worker = Worker { ledger, server, client, rng, way, life, task: None };
    if let Err(error) = worker.work()
        && (error.kind() == io::ErrorKind::Other || !ledger.killed.load(Ordering::SeqCst))
    {
        ledger.failures.lock().unwrap().push(format!("{way:?}: {error}"));
    }
}

/// Load from all sides, and a kill in the middle of it.
fn load_and_kill(server: &mut Server, ledger: &Arc<Ledger>, rng: &mut Rng, next: &mut [u64; PRODUCERS]) {
    ledger.killed.store(false, Ordering::SeqCst);
    ledger.acknowledged.store(0, Ordering::SeqCst);
    let address = server.address();
    let mut producers = Vec::new();
    for (producer, next) in next.iter().enumerate() {
        let (ledger, client, rng, next) = (Arc::clone(ledger), server.connect(), rng.fork(), *next);
        producers.push(thread::spawn(move || produce(&ledger, client, rng, producer as u32, next)));
    }
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        let (ledger, rng) = (Arc::clone(ledger), rng.fork());
        workers.push(thread::spawn(move || {
            let connect = || std::net::TcpStream::connect(address).ok().map(Client::over);
            run_worker(&ledger, &connect, rng, WAYS[number % WAYS.len()]);
        }));
    }
    let most = rng.u64(50..3000);
    let start = Instant::now();
    while ledger.acknowledged.load(Ordering::Relaxed) < most && start.elapsed() < LOAD_AT_MOST {
        thread::sleep(Duration::from_micros(200));
    }
    wait_until("an acknowledgement", Duration::from_secs(10), || ledger.acknowledged.load(Ordering::Relaxed) > 0);
    ledger.killed.store(true, Ordering::SeqCst);
    server.kill_9();
    for (next, thread) in next.iter_mut().zip(producers) {
        *next = thread.join().unwrap().unwrap();
    }
    workers.into_iter().for_each(|thread| thread.join().unwrap());
    (0..QUEUES).for_each(|queue| ledger.queue(queue).restarted());
    ledger.assert_no_failures();
}

#[test]
fn nothing_open_is_lost_and_nothing_acknowledged_comes_again() {
    let rounds = std::env::var("RUSHQ_OPEN_KILLS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut rng = Rng::with_seed(random_seed());
    let ledger = Arc::new(Ledger::default());
    let mut next = [0; PRODUCERS];
    let mut server = Launch::new().with(&arguments_of(0)).start();
    for round in 0..rounds {
        println!("round {round}: {:?}", arguments_of(round));
        load_and_kill(&mut server, &ledger, &mut rng, &mut next);
        server.set_arguments(&arguments_of(round + 1));
        if rng.u8(..4) == 0 {
            server.set_shards(rng.u32(1..=3));
        }
        server.start();
        let mut client = server.connect();
        for queue in (0..QUEUES).filter(|_| round + 1 == rounds || rng.bool()) {
            let stamps = drain_queue(&mut client, &name_of(queue));
            ledger.check(queue, ledger.queue(queue).drained(&stamps));
        }
        ledger.assert_no_failures();
    }
}
