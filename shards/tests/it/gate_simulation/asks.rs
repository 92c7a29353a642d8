//! What the clients of a gate ask for.

use std::slice;

use shards::{GateAct, Op, owner_of};
use storage_testing::Random;

use super::GateSimulation;
use super::told::Before;
use crate::setup::BODY_BYTES_MAX;

/// Queues of which no gate is. What is put into them fills the log.
const OTHERS: &[u8] = b"tuvwxyz";

/// What a buyer asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Join { with_message: bool, admits: bool },
    Look,
    Pay,
    Extend { seconds: u32 },
    Return,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// A gate by its place in the list.
    Ask {
        gate: usize,
        buyer: usize,
        act: Act,
        before: Before,
    },
    Configure {
        gate: usize,
    },
    /// Takes a message of a gate's queue.
    Work {
        gate: usize,
    },
    Put,
    Take,
}

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) what: What,
    queue: u8,
    buyer: String,
    body: Vec<u8>,
}

/// How often buyers do what.
#[derive(Debug, Clone)]
pub(crate) struct Habits {
    /// Of a hundred acts, so many are not joins.
    afterwards: u64,
    /// They give back what they have.
    return_tickets: bool,
    /// One in so many requests is about the number of tickets; 0: it stays.
    changes: u64,
    /// Of a hundred requests, so many take a message, and so many are about other queues.
    work: u64,
    other: u64,
    /// Each gate's fewest tickets.
    tickets: u32,
}

impl Habits {
    pub(crate) fn choose(random: &mut Random) -> Habits {
        Habits {
            afterwards: random.pick(&[10, 40, 70]),
            return_tickets: random.chance(2),
            changes: random.pick(&[0, 0, 15, 60]),
            work: random.pick(&[0, 0, 10]),
            other: random.pick(&[0, 20, 60]),
            tickets: random.pick(&[1, 3, 10, 30]),
        }
    }

    pub(crate) fn buyers(&self, random: &mut Random) -> usize {
        2 + random.below(u64::from(self.tickets) * 3) as usize
    }
}

impl Request {
    pub(crate) fn owner(&self, shards: u16) -> usize {
        owner_of(slice::from_ref(&self.queue), shards).index()
    }

    pub(crate) fn op(&self) -> Op<'_> {
        let queue = slice::from_ref(&self.queue);
        match self.what {
            What::Ask { act, .. } => {
                let act = match act {
                    Act::Join { with_message, admits } => {
                        GateAct::Join { message: with_message.then_some((0, self.body.as_slice())), admits }
                    }
                    Act::Look => GateAct::Look,
                    Act::Pay => GateAct::Pay,
                    Act::Extend { seconds } => GateAct::Extend { seconds },
                    Act::Return => GateAct::Return,
                };
                Op::Gate { queue, buyer: self.buyer.as_bytes(), act }
            }
            What::Configure { .. } => Op::Configure { queue, words: &self.body },
            What::Put => Op::Put { queue, flags: 0, body: &self.body },
            What::Work { .. } | What::Take => Op::Take { queue },
        }
    }
}

/// The buyer whose ticket a message came with.
pub(crate) fn buyer_of(body: &[u8]) -> usize {
    let name = std::str::from_utf8(body).unwrap().split(' ').next().unwrap();
    name.strip_prefix('b').unwrap().parse().unwrap()
}

impl GateSimulation<'_> {
    /// What a client asks for next.
    pub(super) fn request(&mut self) -> Request {
        let gate = self.random.below(self.gates.len() as u64) as usize;
        let percent = self.random.below(100);
        let Habits { work, other, changes, .. } = self.habits;
        let is_changed = changes > 0 && self.random.chance(changes);
        let tickets = &self.gates[gate].tickets;
        if tickets.may_change() && (is_changed || tickets.settled().is_none()) {
            return self.configure(gate);
        }
        if percent < work {
            let queue = self.gates[gate].name;
            return Request { what: What::Work { gate }, queue, buyer: String::new(), body: Vec::new() };
        }
        if percent < work + other {
            let (queue, is_put) = (self.random.pick(OTHERS), self.random.chance(2));
            let bytes = self.random.below(BODY_BYTES_MAX as u64);
            let (what, body) = if is_put { (What::Put, vec![b'x'; bytes as usize]) } else { (What::Take, Vec::new()) };
            return Request { what, queue, buyer: String::new(), body };
        }
        let buyer = self.random.below(self.gates[gate].buyers.len() as u64) as usize;
        let act = self.act();
        self.ask(gate, buyer, act)
    }

    fn act(&mut self) -> Act {
        if self.random.below(100) >= self.habits.afterwards {
            return Act::Join { with_message: self.random.chance(3), admits: !self.is_drained };
        }
        match self.random.below(6) {
            0 | 1 => Act::Look,
            2 => Act::Extend { seconds: self.random.pick(&[1, 3]) },
            3 if self.habits.return_tickets => Act::Return,
            _ => Act::Pay,
        }
    }

    /// A buyer asks for something, now.
    pub(super) fn ask(&mut self, gate: usize, buyer: usize, act: Act) -> Request {
        self.tick += 1;
        let before = self.gates[gate].ask(buyer, act, self.tick, self.now);
        let name = format!("b{buyer}");
        let letter = "o".repeat(self.random.below(40) as usize);
        let body = format!("{name} and a letter: {letter}").into_bytes();
        Request { what: What::Ask { gate, buyer, act, before }, queue: self.gates[gate].name, buyer: name, body }
    }

    /// Another number of tickets, as far as possible.
    fn configure(&mut self, at: usize) -> Request {
        let gate = &mut self.gates[at];
        let before = gate.tickets.settled();
        let mut tickets = self.habits.tickets + self.random.below(4) as u32;
        if Some(tickets) == before {
            tickets += 1;
        }
        self.tick += 1;
        gate.tickets.ask(self.tick, tickets);
        let put = if gate.pays_first { "paid" } else { "given" };
        let words = format!("tickets={tickets} hold={} hold_max=3 put={put} line={}", gate.hold_s, gate.line);
        let what = What::Configure { gate: at };
        Request { what, queue: gate.name, buyer: String::new(), body: words.into_bytes() }
    }
}
