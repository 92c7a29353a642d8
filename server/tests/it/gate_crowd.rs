//! Many buyers on some connections, of whom each does one thing at a time, and does it again when the server has gone.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::client::Client;
use crate::gate_model::{End, GateModel, Kind, Place, Told};
use crate::process::{Server, wait_until};

/// Where clients connect from; the kernel says which shard each is served by, so most gates are asked from both sides.
const CONNECTIONS: usize = 12;
/// Commands that a connection has under way at most.
const PIPELINED: usize = 6;
const RUSH_AT_MOST: Duration = Duration::from_secs(120);

/// A gate and its buyers.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) name: String,
    kind: Kind,
    pub(crate) words: &'static str,
    model: Mutex<GateModel>,
    pub(crate) buyers: usize,
    /// No buyer keeps a ticket.
    pub(crate) all_return: bool,
    /// Of the buyers who are told a ticket that is to be paid, so many pay next.
    pub(crate) pay_percent: u8,
}

impl Gate {
    pub(crate) fn new(name: String, kind: Kind, (tickets, buyers): (u32, usize), words: &'static str) -> Gate {
        let model = Mutex::new(GateModel::new(kind, tickets, buyers));
        Gate { name, kind, words, model, buyers, all_return: false, pay_percent: 66 }
    }

    /// Gives the gate its settings.
    pub(crate) fn tell(&self, client: &mut Client, words: &str) {
        assert_eq!(client.set(&format!("{}/config", self.name), words.as_bytes()), "STORED");
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, GateModel> {
        self.model.lock().unwrap()
    }

    pub(crate) fn places(&self, client: &mut Client) -> Vec<Option<Place>> {
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
pub(crate) fn place_of(client: &mut Client) -> Option<Place> {
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
pub(crate) struct Rush {
    pub(crate) gates: Vec<Gate>,
    tasks: Mutex<Vec<Task>>,
    /// Tasks that are there or under way.
    left: AtomicUsize,
    /// Joins that were told a ticket.
    pub(crate) told: AtomicU64,
    pub(crate) refused: AtomicBool,
    pub(crate) killed: AtomicBool,
    /// What cannot be said now is asked again.
    pub(crate) may_be_drained: bool,
    /// How often that was so.
    pub(crate) not_now: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Rush {
    /// Each buyer joins, and then does fewer than `left_max` further things.
    pub(crate) fn new(gates: Vec<Gate>, left_max: u8, rng: &mut Rng) -> Rush {
        let mut tasks: Vec<Task> = Vec::new();
        for (gate, it) in gates.iter().enumerate() {
            tasks.extend((0..it.buyers).map(|buyer| Task { gate, buyer, what: join(rng), left: rng.u8(..left_max) }));
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
            may_be_drained: false,
            not_now: AtomicU64::new(0),
            failures: Mutex::default(),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
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
        let line = client.try_line()?;
        let seat = if line.starts_with("VALUE ") { Some(client.rest_of_seat()?) } else { None };
        let other = || io::Error::other(format!("{task:?} was answered {line:?}"));
        let now = Instant::now();
        let gate_of = &self.gates[gate];
        let mut model = gate_of.model();
        if line == "SERVER_ERROR try again" && self.may_be_drained {
            drop(model);
            self.not_now.fetch_add(1, Ordering::SeqCst);
            self.put_back([task].into_iter(), rng);
            return Ok(());
        }
        let mut has_ticket = false;
        let checked = match (what, line.as_str()) {
            (What::Get | What::Incr | What::Add, line) => {
                let told = match (what, line) {
                    (What::Get, _) if seat.is_some() => Told::Seat(seat.unwrap_or_default()),
                    (What::Get, "END") => Told::Nothing,
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
            (What::GetPaid, line) if seat.is_some() || line == "END" => model.paid(buyer, seat.is_some(), seat),
            (What::Return, "DELETED") => model.returned(buyer, true),
            (What::Return, "NOT_FOUND") => model.returned(buyer, false),
            _ => return Err(other()),
        };
        drop(model);
        if let Err(why) = checked {
            self.fail(format!("{}: {why}", gate_of.name));
        }
        let next = match gate_of.kind {
            Kind::Returns if has_ticket && (gate_of.all_return || left > 0 && rng.bool()) => {
                // At once, so that others get it.
                let what = What::Return;
                self.tasks.lock().unwrap().push(Task { what, left: left.saturating_sub(1), ..task });
                return Ok(());
            }
            _ if left == 0 => {
                self.left.fetch_sub(1, Ordering::SeqCst);
                return Ok(());
            }
            Kind::Paid if has_ticket && rng.u8(..100) < gate_of.pay_percent => {
                *rng.choice(&[What::Pay, What::GetPaid]).unwrap()
            }
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
    /// The seat in the answer to a get of which the first line was read.
    fn rest_of_seat(&mut self) -> io::Result<u32> {
        let (seat, end) = (self.try_line()?, self.try_line()?);
        match seat.parse() {
            Ok(seat) if end == "END" => Ok(seat),
            _ => Err(io::Error::other(format!("{seat} and {end} where a seat and an end were due"))),
        }
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

/// Lets the buyers in, and does something once `is_time` says so, if that is before the last is done.
pub(crate) fn let_in(
    address: SocketAddr,
    rush: &Arc<Rush>,
    rng: &mut Rng,
    is_time: impl Fn(&Rush) -> bool,
    meanwhile: impl FnOnce(),
) {
    rush.killed.store(false, Ordering::SeqCst);
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (rush, rng) = (Arc::clone(rush), rng.fork());
            thread::spawn(move || run_connection(&rush, address, rng))
        })
        .collect();
    let began = Instant::now();
    while !rush.is_done() && !is_time(rush) {
        assert!(began.elapsed() < RUSH_AT_MOST, "the buyers have still {:?} things to do", rush.left);
        thread::sleep(Duration::from_micros(50));
    }
    if !rush.is_done() {
        meanwhile();
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    rush.assert_no_failures();
}

/// The same, with a kill -9.
pub(crate) fn let_in_and_kill(server: &mut Server, rush: &Arc<Rush>, rng: &mut Rng, is_time: impl Fn(&Rush) -> bool) {
    let_in(server.address(), rush, rng, is_time, || {
        rush.killed.store(true, Ordering::SeqCst);
        server.kill_9();
    });
}

/// Looks at what there is in the end, takes it, and checks it. Returns what each buyer has.
pub(crate) fn finish(gate: &Gate, client: &mut Client) -> Vec<Option<Place>> {
    let name = &gate.name;
    let figures = |client: &mut Client| client.stats(&format!("gate {name}")).into_iter().collect::<HashMap<_, _>>();
    wait_until("all that is not paid to lapse", Duration::from_secs(20), || figures(client)["held"] == "0");
    let (figures, places) = (figures(client), gate.places(client));
    let (_, puts, _) = client.queue_counters().into_iter().find(|(queue, ..)| queue == name).unwrap();
    let mut messages = Vec::new();
    loop {
        client.send(format!("gets{}\r\n", format!(" {name}").repeat(100)));
        let values = client.try_values().unwrap();
        if values.is_empty() {
            break;
        }
        messages.extend(values.into_iter().map(|value| {
            let buyer = String::from_utf8(value.body).unwrap().strip_prefix('b').unwrap().parse().unwrap();
            (value.number.unwrap(), buyer)
        }));
    }
    let end = End { places, messages, figures, puts };
    if let Err(why) = gate.model().finished(&end) {
        panic!("{name}, {}: {why}\n{end:?}", gate.words);
    }
    end.places
}
