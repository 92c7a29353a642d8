//! kill -9 of the server while buyers are at its gates, most often between the first and the last seat; then they ask again.
//! What each buyer was told, before and after, must agree with what is there in the end. The number of shards changes, and
//! so does whether the server waits for the disk. `scripts/crash.sh` is the long form.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::client::Client;
use crate::crash::arguments_of;
use crate::gate_model::{End, GateModel, Kind, Place, Told};
use crate::process::{Launch, Server, random_seed, wait_until};

/// How often; `RUSHQ_GATE_KILLS` sets another number.
const ROUNDS: usize = 10;
/// Where clients connect from; the kernel says which shard each is served by, so most gates are asked from both sides.
const CONNECTIONS: usize = 12;
/// Commands that a connection has under way at most.
const PIPELINED: usize = 6;
/// A round in so many has a gate of which tickets lapse, and waits until they have.
const ROUNDS_WITH_LAPSES: usize = 3;

const RUSH_AT_MOST: Duration = Duration::from_secs(120);

/// A gate of one round.
#[derive(Debug)]
struct Gate {
    name: String,
    kind: Kind,
    words: &'static str,
    model: Mutex<GateModel>,
    buyers: usize,
}

const KINDS: [(Kind, u32, usize, &str); 4] = [
    (Kind::Final, 100, 170, "tickets=100"),
    (Kind::Final, 60, 50, "tickets=60 put=paid"),
    (Kind::Returns, 20, 70, "tickets=20 line=10"),
    (Kind::Paid, 30, 60, "tickets=30 hold=1 put=paid"),
];

impl Gate {
    fn new(round: usize, number: usize) -> Gate {
        let (kind, tickets, buyers, words) = KINDS[number];
        let model = Mutex::new(GateModel::new(kind, tickets, buyers));
        Gate { name: format!("rush-{round}-{number}"), kind, words, model, buyers }
    }

    fn model(&self) -> MutexGuard<'_, GateModel> {
        self.model.lock().unwrap()
    }

    fn places(&self, client: &mut Client) -> Vec<Option<Place>> {
        let mut places = Vec::new();
        for first in (0..self.buyers).step_by(50) {
            let buyers = first..self.buyers.min(first + 50);
            client
                .send(buyers.clone().map(|buyer| format!("get {}/place=b{buyer}\r\n", self.name)).collect::<String>());
            places.extend(buyers.map(|_| place_of(client)));
        }
        places
    }
}

/// What the next get says that has looked.
fn place_of(client: &mut Client) -> Option<Place> {
    let value = client.try_values().unwrap().pop()?;
    let text = String::from_utf8(value.body).unwrap();
    let (number, word) = text.split_once(' ').unwrap();
    let number = number.parse().unwrap();
    Some(match word {
        "paid" => Place::Paid(number),
        "line" => Place::InLine(number),
        word => {
            assert!(word.starts_with("held "), "{text}");
            Place::Held(number)
        }
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Get,
    Incr,
    Add,
    Pay,
    GetPaid,
    Return,
}

/// What a buyer is about to do, or doing. There is one of each buyer at most.
#[derive(Debug, Clone, Copy)]
struct Task {
    gate: usize,
    buyer: usize,
    what: What,
    /// Things that the buyer does after it.
    left: u8,
}

/// What the connections of a round have in common.
#[derive(Debug)]
struct Rush {
    gates: Vec<Gate>,
    tasks: Mutex<Vec<Task>>,
    /// Tasks that are there or under way.
    left: AtomicUsize,
    /// Joins that were told a ticket.
    told: AtomicU64,
    refused: AtomicBool,
    killed: AtomicBool,
    failures: Mutex<Vec<String>>,
}

impl Rush {
    fn new(round: usize, rng: &mut Rng) -> Rush {
        let numbers = 0..if round.is_multiple_of(ROUNDS_WITH_LAPSES) { 4 } else { 3 };
        let gates: Vec<Gate> = numbers.map(|number| Gate::new(round, number)).collect();
        let mut tasks: Vec<Task> = Vec::new();
        for (gate, it) in gates.iter().enumerate() {
            tasks.extend((0..it.buyers).map(|buyer| Task { gate, buyer, what: join(rng), left: rng.u8(..4) }));
        }
        rng.shuffle(&mut tasks);
        let left = AtomicUsize::new(tasks.len());
        Rush {
            gates,
            tasks: Mutex::new(tasks),
            left,
            told: AtomicU64::new(0),
            refused: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            failures: Mutex::default(),
        }
    }

    fn fail(&self, why: String) {
        self.failures.lock().unwrap().push(why);
    }

    fn assert_no_failures(&self) {
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    fn take(&self, most: usize) -> Vec<Task> {
        let mut tasks = self.tasks.lock().unwrap();
        let from = tasks.len().saturating_sub(most);
        tasks.split_off(from)
    }

    /// Has tasks be done again, somewhere among the others.
    fn put_back(&self, again: impl Iterator<Item = Task>, rng: &mut Rng) {
        let mut tasks = self.tasks.lock().unwrap();
        for task in again {
            let at = rng.usize(..=tasks.len());
            tasks.insert(at, task);
        }
    }

    /// Buys until nothing is left to do, or the server is gone.
    fn buy(&self, client: &mut Client, rng: &mut Rng) -> io::Result<()> {
        while self.left.load(Ordering::SeqCst) > 0 {
            let batch = self.take(rng.usize(1..=PIPELINED));
            if batch.is_empty() {
                // Those of others may bring more.
                thread::sleep(Duration::from_micros(200));
                continue;
            }
            let now = Instant::now();
            let bytes: String = batch.iter().map(|task| self.ask(*task, now)).collect();
            let mut answered = 0;
            let mut all = client.try_send(bytes.as_bytes());
            while all.is_ok() && answered < batch.len() {
                all = self.answer(client, batch[answered], rng);
                answered += usize::from(all.is_ok());
            }
            if all.is_err() {
                self.put_back(batch[answered..].iter().copied(), rng);
                return all;
            }
        }
        Ok(())
    }

    /// The command of a task, about to be sent.
    fn ask(&self, task: Task, now: Instant) -> String {
        let Task { gate, buyer, what, .. } = task;
        let gate = &self.gates[gate];
        let mut model = gate.model();
        match what {
            What::Get | What::Incr | What::Add => model.joining(buyer, now),
            What::Pay | What::GetPaid => model.paying(buyer),
            What::Return => model.returning(buyer),
        }
        let (name, body) = (&gate.name, format!("b{buyer}"));
        match what {
            What::Get => format!("get {name}/ticket=b{buyer}\r\n"),
            What::Incr => format!("incr {name}/ticket=b{buyer} 1\r\n"),
            What::Add => format!("add {name}/ticket=b{buyer} 7 0 {}\r\n{body}\r\n", body.len()),
            What::Pay => format!("touch {name}/ticket=b{buyer} 0\r\n"),
            What::GetPaid => format!("get {name}/paid=b{buyer}\r\n"),
            What::Return => format!("delete {name}/ticket=b{buyer}\r\n"),
        }
    }

    /// Reads and checks the answer to a task, and has what comes after it done.
    fn answer(&self, client: &mut Client, task: Task, rng: &mut Rng) -> io::Result<()> {
        let Task { gate, buyer, what, left } = task;
        let seat = match what {
            What::Get | What::GetPaid => client.try_get_seat()?,
            _ => None,
        };
        let line = match what {
            What::Get | What::GetPaid => String::new(),
            _ => client.try_line()?,
        };
        let other = || io::Error::other(format!("{task:?} was answered {line:?}"));
        let now = Instant::now();
        let gate_of = &self.gates[gate];
        let mut model = gate_of.model();
        let mut has_ticket = false;
        let checked = match (what, line.as_str()) {
            (What::Get | What::Incr | What::Add, line) => {
                let told = match (what, line) {
                    (What::Get, _) => seat.map_or(Told::Nothing, Told::Seat),
                    (What::Incr, "NOT_FOUND") | (What::Add, "NOT_STORED") => Told::Nothing,
                    (What::Incr, digits) => Told::Seat(digits.parse().map_err(|_| other())?),
                    (What::Add, "STORED") => Told::Ticket,
                    _ => return Err(other()),
                };
                has_ticket = told != Told::Nothing;
                self.told.fetch_add(u64::from(has_ticket), Ordering::SeqCst);
                self.refused.fetch_or(!has_ticket, Ordering::SeqCst);
                model.joined(buyer, told, now)
            }
            (What::Pay, "TOUCHED") => model.paid(buyer, true, None),
            (What::Pay, "NOT_FOUND") => model.paid(buyer, false, None),
            (What::GetPaid, _) => model.paid(buyer, seat.is_some(), seat),
            (What::Return, "DELETED") => model.returned(buyer, true),
            (What::Return, "NOT_FOUND") => model.returned(buyer, false),
            _ => return Err(other()),
        };
        drop(model);
        if let Err(why) = checked {
            self.fail(format!("{}: {why}", gate_of.name));
        }
        if left == 0 {
            self.left.fetch_sub(1, Ordering::SeqCst);
            return Ok(());
        }
        let next = match gate_of.kind {
            Kind::Returns if has_ticket && rng.bool() => What::Return,
            Kind::Paid if has_ticket && rng.u8(..3) > 0 => *rng.choice(&[What::Pay, What::GetPaid]).unwrap(),
            _ => join(rng),
        };
        self.put_back([Task { what: next, left: left - 1, ..task }].into_iter(), rng);
        Ok(())
    }
}

/// Any way to join.
fn join(rng: &mut Rng) -> What {
    *rng.choice(&[What::Get, What::Incr, What::Add]).unwrap()
}

impl Client {
    /// The seat in the answer to a get that was sent before.
    fn try_get_seat(&mut self) -> io::Result<Option<u32>> {
        let value = self.try_values()?.pop();
        value.map(|value| String::from_utf8_lossy(&value.body).parse().map_err(io::Error::other)).transpose()
    }
}

fn run_connection(rush: &Rush, address: SocketAddr, mut rng: Rng) {
    let Ok(stream) = std::net::TcpStream::connect(address) else { return };
    let mut client = Client::over(stream);
    if let Err(error) = rush.buy(&mut client, &mut rng)
        && (error.kind() == io::ErrorKind::Other || !rush.killed.load(Ordering::SeqCst))
    {
        rush.fail(error.to_string());
        rush.left.store(0, Ordering::SeqCst);
    }
}

/// Lets the buyers in, and kills the server once `is_time` says so, if that is before the last is done.
fn let_in(server: &mut Server, rush: &Arc<Rush>, rng: &mut Rng, is_time: impl Fn(&Rush) -> bool) {
    rush.killed.store(false, Ordering::SeqCst);
    let address = server.address();
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (rush, rng) = (Arc::clone(rush), rng.fork());
            thread::spawn(move || run_connection(&rush, address, rng))
        })
        .collect();
    let is_done = || rush.left.load(Ordering::SeqCst) == 0;
    let began = Instant::now();
    while !is_done() && !is_time(rush) {
        assert!(began.elapsed() < RUSH_AT_MOST, "the buyers have still {:?} things to do", rush.left);
        thread::sleep(Duration::from_micros(50));
    }
    if !is_done() {
        rush.killed.store(true, Ordering::SeqCst);
        server.kill_9();
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    rush.assert_no_failures();
}

/// Looks at what there is in the end, takes it, and checks it. Returns what each buyer has.
fn finish(gate: &Gate, client: &mut Client) -> Vec<Option<Place>> {
    let name = &gate.name;
    let figures = |client: &mut Client| client.stats(&format!("gate {name}")).into_iter().collect::<HashMap<_, _>>();
    wait_until("all that is not paid to lapse", Duration::from_secs(20), || figures(client)["held"] == "0");
    let (figures, places) = (figures(client), gate.places(client));
    let (_, puts, _) = client.queue_counters().into_iter().find(|(queue, ..)| queue == name).unwrap();
    let mut messages = Vec::new();
    client.send(format!("gets {name}\r\n").repeat(400));
    for _ in 0..400 {
        if let Some(value) = client.try_values().unwrap().pop() {
            let buyer = String::from_utf8(value.body).unwrap().strip_prefix('b').unwrap().parse().unwrap();
            messages.push((value.number.unwrap(), buyer));
        }
    }
    let end = End { places, messages, figures, puts };
    if let Err(why) = gate.model().finished(&end) {
        panic!("{name}, {}: {why}\n{end:?}", gate.words);
    }
    end.places
}

#[test]
fn what_a_gate_has_told_holds_after_any_kill() {
    let rounds = std::env::var("RUSHQ_GATE_KILLS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut rng = Rng::with_seed(random_seed());
    let mut server = Launch::new().with(&arguments_of(0)).start();
    let mut before: Option<(Arc<Rush>, Vec<Vec<Option<Place>>>)> = None;
    let (mut kills, mut amid) = (0, 0);
    for round in 0..rounds {
        let rush = Arc::new(Rush::new(round, &mut rng));
        let mut client = server.connect();
        for gate in &rush.gates {
            assert_eq!(client.set(&format!("{}/config", gate.name), gate.words.as_bytes()), "STORED");
        }
        // A kill or two, and then they have their way.
        for _ in 0..rng.u8(1..=2) {
            let tickets: u64 = rush.gates.iter().map(|gate| gate.buyers.min(60) as u64).sum();
            let (so_many, by_refusal) = (rush.told.load(Ordering::SeqCst) + rng.u64(..tickets), rng.u8(..5) == 0);
            rush.refused.store(false, Ordering::SeqCst);
            let_in(&mut server, &rush, &mut rng, |rush| {
                if by_refusal {
                    rush.refused.load(Ordering::SeqCst)
                } else {
                    rush.told.load(Ordering::SeqCst) > so_many
                }
            });
            if rush.killed.load(Ordering::SeqCst) {
                let is_amid = rush.gates.iter().any(|gate| gate.model().is_amid());
                (kills, amid) = (kills + 1, amid + usize::from(is_amid));
            } else {
                server.terminate();
            }
            println!("round {round}: {:?}, told {:?}", arguments_of(round), rush.told);
            server.set_arguments(&arguments_of(round + 1));
            if rng.u8(..3) == 0 {
                server.set_shards(rng.u32(1..=3));
            }
            server.start();
        }
        let_in(&mut server, &rush, &mut rng, |_| false);
        let mut client = server.connect();
        // The gates of the round before have been through a kill since, and perhaps to another shard.
        if let Some((rush, places)) = before.take() {
            for (gate, places) in rush.gates.iter().zip(&places) {
                assert_eq!(gate.places(&mut client), *places, "{} after another restart", gate.name);
                assert_eq!(client.command(&format!("delete {}", gate.name)), "DELETED");
            }
        }
        let places = rush.gates.iter().map(|gate| finish(gate, &mut client)).collect();
        before = Some((rush, places));
    }
    println!("{kills} kills, {amid} of them between a gate's first and last seat");
    assert!(amid * 2 > rounds, "only {amid} of {kills} kills were between a gate's first and last seat");
}
