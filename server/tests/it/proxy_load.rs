//! Load through HAProxy while the instances behind it are stopped and started again, one after the other, and a ledger of
//! what every client was told.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;

use fastrand::Rng;

use crate::client::{Client, write_set};
use crate::crash::drain_queue;
use crate::model::{QueueModel, Stamp, body_of, in_producers_order, stamp_of};
use crate::process::{Server, random_seed, wait_until};
use crate::proxy::{EVENT_TIMEOUT, Fleet};

const QUEUES: usize = 4;
/// How many sets each producer has under way at a time.
const PRODUCERS: [usize; 6] = [1, 1, 1, 1, 8, 32];
const CONSUMERS: usize = 6;
/// Replies after which a client connects again: a connection stays where it is, and an instance that comes back gets
/// new ones only.
const REPLIES_PER_CONNECTION: usize = 500;
/// What each phase must bring before the next one begins.
const ANSWERS_PER_PHASE: u64 = 1000;

fn name_of(queue: usize) -> String {
    format!("fleet-{queue}")
}

/// What a client may see of a stop, and mends by another try.
fn is_cut(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionRefused | ConnectionReset | UnexpectedEof)
}

/// What all clients share. A queue's model is of the whole fleet.
#[derive(Debug)]
struct Ledger {
    address: SocketAddr,
    queues: [Mutex<QueueModel>; QUEUES],
    answers: AtomicU64,
    cut: AtomicU64,
    acknowledged: AtomicU64,
    received: Mutex<Vec<Stamp>>,
    /// Sets without an answer: those that were alone on their connection, and how many there were in all.
    alone: Mutex<Vec<Stamp>>,
    unanswered: AtomicU64,
    over: AtomicBool,
    failures: Mutex<Vec<String>>,
}

impl Ledger {
    fn new(address: SocketAddr) -> Ledger {
        Ledger {
            address,
            queues: Default::default(),
            answers: AtomicU64::default(),
            cut: AtomicU64::default(),
            acknowledged: AtomicU64::default(),
            received: Mutex::default(),
            alone: Mutex::default(),
            unanswered: AtomicU64::default(),
            over: AtomicBool::default(),
            failures: Mutex::default(),
        }
    }

    fn queue(&self, queue: usize) -> MutexGuard<'_, QueueModel> {
        self.queues[queue].lock().unwrap()
    }

    fn fail(&self, why: String) {
        self.failures.lock().unwrap().push(why);
        self.over.store(true, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// A connection ended before its replies came.
    fn cut(&self, error: &io::Error) {
        self.cut.fetch_add(1, Ordering::SeqCst);
        if !is_cut(error.kind()) {
            self.fail(format!("a client saw what another try does not mend: {error}"));
        }
    }

    fn connect(&self) -> Option<Client> {
        match TcpStream::connect(self.address) {
            Ok(stream) => Some(Client::over(stream)),
            Err(error) => {
                self.cut(&error);
                None
            }
        }
    }
}

/// Sets, with a stamp of its own for each attempt, until the load is over. Nothing is sent twice, so it is known of each
/// attempt whether it was acknowledged.
fn produce(ledger: &Ledger, mut rng: Rng, producer: u32, depth: usize) {
    let mut next = 0;
    while !ledger.is_over() {
        let Some(mut client) = ledger.connect() else { continue };
        let mut left = REPLIES_PER_CONNECTION;
        while left > 0 && !ledger.is_over() {
            let mut bytes = Vec::new();
            let batch: Vec<(usize, Stamp)> =
                (0..rng.usize(1..=depth)).map(|at| (rng.usize(..QUEUES), (producer, next + at as u64))).collect();
            for &(queue, stamp) in &batch {
                ledger.queue(queue).sending(stamp);
                write_set(&mut bytes, &name_of(queue), &body_of(stamp));
            }
            next += batch.len() as u64;
            left = left.saturating_sub(batch.len());
            let mut ended = client.try_send(&bytes).err();
            for (queue, stamp) in batch {
                // A send that failed may have replies before it.
                match client.try_line() {
                    Ok(line) if line == "STORED" => {
                        ledger.queue(queue).stored(stamp);
                        ledger.acknowledged.fetch_add(1, Ordering::Relaxed);
                        ledger.answers.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(line) => ledger.fail(format!("a set was answered {line}")),
                    Err(error) => {
                        ledger.queue(queue).set_unanswered();
                        ledger.unanswered.fetch_add(1, Ordering::Relaxed);
                        if depth == 1 {
                            ledger.alone.lock().unwrap().push(stamp);
                        }
                        ended.get_or_insert(error);
                    }
                }
            }
            if let Some(error) = ended {
                ledger.cut(&error);
                break;
            }
        }
    }
}

/// Gets until the load is over.
fn consume(ledger: &Ledger, mut rng: Rng) {
    while !ledger.is_over() {
        let Some(mut client) = ledger.connect() else { continue };
        let mut seen: [Vec<Stamp>; QUEUES] = Default::default();
        let mut left = REPLIES_PER_CONNECTION;
        while left > 0 && !ledger.is_over() {
            let queue = rng.usize(..QUEUES);
            let values = match client.try_get(&name_of(queue)) {
                Ok(values) => values,
                Err(error) => {
                    ledger.queue(queue).get_unanswered();
                    ledger.cut(&error);
                    break;
                }
            };
            // Where there is nothing it looks elsewhere sooner.
            left = left.saturating_sub(if values.is_empty() { 20 } else { 1 });
            for value in values {
                match stamp_of(&value.body).and_then(|stamp| ledger.queue(queue).received(stamp).map(|()| stamp)) {
                    Ok(stamp) => seen[queue].push(stamp),
                    Err(why) => ledger.fail(format!("{}: {why}", value.queue)),
                }
                ledger.answers.fetch_add(1, Ordering::Relaxed);
            }
        }
        for stamps in seen {
            // One connection is to one instance, and an instance keeps the order.
            if let Err(why) = in_producers_order(&stamps) {
                ledger.fail(why);
            }
            ledger.received.lock().unwrap().extend(stamps);
        }
    }
}

/// Waits until clients got this many answers more.
fn go_on(ledger: &Ledger, what: &str) {
    let before = ledger.answers.load(Ordering::Relaxed);
    wait_until(&format!("load with {what}"), EVENT_TIMEOUT, || {
        ledger.is_over() || ledger.answers.load(Ordering::Relaxed) > before + ANSWERS_PER_PHASE
    });
}

/// Stops an instance and starts it again under load.
fn stop_and_start(ledger: &Ledger, name: &str, instance: &mut Server) {
    instance.terminate();
    go_on(ledger, &format!("{name} stopped"));
    instance.start();
    let mut direct = instance.connect();
    wait_until(&format!("load on {name} again"), EVENT_TIMEOUT, || {
        ledger.is_over() || (direct.figure("cmd_set") > 100 && direct.figure("get_hits") > 100)
    });
}

/// Adds an instance's counters to the totals, and takes all that it has, in each producer's order.
fn drain(ledger: &Ledger, instance: &Server, totals: &mut [(u64, u64); QUEUES]) -> Vec<Stamp> {
    let mut client = instance.connect();
    let mut drained = Vec::new();
    for (queue, total) in totals.iter_mut().enumerate() {
        let name = name_of(queue);
        let stamps = drain_queue(&mut client, &name);
        for stamp in &stamps {
            ledger.queue(queue).received(*stamp).unwrap_or_else(|why| panic!("{name}: {why}"));
        }
        in_producers_order(&stamps).unwrap_or_else(|why| panic!("{name}: {why}"));
        drained.extend(stamps);
        let counters = client.queue_counters();
        let (_, sets, gets) = counters.iter().find(|(listed, ..)| *listed == name).expect("every queue was used");
        *total = (total.0 + sets, total.1 + gets);
    }
    drained
}

#[test]
fn no_message_is_lost_while_instances_are_stopped_and_started_one_after_the_other() {
    let mut rng = Rng::with_seed(random_seed());
    let mut fleet = Fleet::start();
    let ledger = Ledger::new(fleet.address());
    thread::scope(|scope| {
        for (producer, depth) in PRODUCERS.into_iter().enumerate() {
            let (rng, ledger) = (rng.fork(), &ledger);
            scope.spawn(move || produce(ledger, rng, producer as u32, depth));
        }
        for _ in 0..CONSUMERS {
            let (rng, ledger) = (rng.fork(), &ledger);
            scope.spawn(move || consume(ledger, rng));
        }
        // A panic of this thread must end the others too.
        let over = OverWhenDropped(&ledger);
        go_on(&ledger, "both");
        stop_and_start(&ledger, "a", &mut fleet.a);
        stop_and_start(&ledger, "b", &mut fleet.b);
        stop_and_start(&ledger, "a", &mut fleet.a);
        drop(over);
    });
    let failures = ledger.failures.lock().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));

    let mut totals = [(0, 0); QUEUES];
    let received = ledger.received.lock().unwrap();
    let mut drained = drain(&ledger, &fleet.a, &mut totals);
    drained.extend(drain(&ledger, &fleet.b, &mut totals));
    for (queue, (sets, gets)) in totals.into_iter().enumerate() {
        let mut model = ledger.queue(queue);
        model.counters(sets, gets).unwrap_or_else(|why| panic!("{} {sets}/{gets}: {why}", name_of(queue)));
        model.drained(&[]).unwrap_or_else(|why| panic!("{} {sets}/{gets}: {why}", name_of(queue)));
    }
    let acknowledged = ledger.acknowledged.load(Ordering::Relaxed);
    let (sets, gets) = totals.iter().fold((0, 0), |sum, total| (sum.0 + total.0, sum.1 + total.1));
    // Messages that were stored although no client got the reply, and taken although no client got the message.
    let stored = sets - acknowledged;
    let taken = gets - received.len() as u64 - drained.len() as u64;
    let (cut, unanswered) = (ledger.cut.load(Ordering::Relaxed), ledger.unanswered.load(Ordering::Relaxed));
    println!(
        "{acknowledged} sets acknowledged, {} messages received and {} left; {cut} connections cut: {unanswered} sets \
         without an answer, {stored} of them stored; {taken} messages taken by gets without an answer",
        received.len(),
        drained.len()
    );
    assert!(stored <= cut, "{stored} of {unanswered} sets without an answer were stored, {cut} connections cut");
    // What was read is answered, and a connection that has nothing else under way is not reset with its answer.
    assert_eq!(taken, 0, "messages taken by gets without an answer");
    let seen: HashSet<Stamp> = received.iter().chain(&drained).copied().collect();
    let alone = ledger.alone.lock().unwrap();
    let stored: Vec<&Stamp> = alone.iter().filter(|stamp| seen.contains(stamp)).collect();
    assert!(stored.is_empty(), "{stored:?} are stored, of {} sets that got no answer", alone.len());
}

struct OverWhenDropped<'a>(&'a Ledger);

impl Drop for OverWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}
