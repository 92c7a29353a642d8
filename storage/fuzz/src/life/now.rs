//! What a store holds now, with its gates, by the changes that it went through.

use storage::settings::{GateSettings, PutWhen, Settings};
use storage::{GateAnswer, Standing};
use storage_testing::{Expected, Kept, Message, Op, Passed};

use super::super::gates::{Gate, Gates, Has, Ticket};

/// What is kept back for a ticket is kept back until then.
const KEPT_BACK_MS: u64 = 1 << 62;

type Name = Vec<u8>;

/// A change of a store.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Op(Op<Name>),
    Gate { name: Name, act: Act },
}

/// A change of a gate, or what would be one.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Join {
        buyer: Vec<u8>,
        flags: u32,
        body: Vec<u8>,
        admits: bool,
    },
    Pay {
        buyer: Vec<u8>,
    },
    Extend {
        buyer: Vec<u8>,
        seconds: u32,
    },
    Return {
        buyer: Vec<u8>,
    },
    /// A ticket is not paid in time.
    Lapse,
    /// The first of the line gets a seat.
    Serve,
}

#[derive(Debug, Default)]
pub(super) struct Now {
    pub(super) model: Expected<Name>,
    pub(super) gates: Gates,
}

impl Now {
    /// Applies a change. Returns the message that a take takes, and what a buyer is told; `None`: there is no room for the
    /// buyer's message.
    pub(super) fn apply(&mut self, change: &Change) -> (Option<Message>, Option<GateAnswer>) {
        match change {
            Change::Op(op) => {
                if let Op::Delete { name } = op {
                    self.gates.remove(name);
                    self.gates.remove(&*storage::names::dead(name));
                }
                (self.model.apply(op), None)
            }
            Change::Gate { name, act } => (None, self.act(name, act)),
        }
    }

    fn act(&mut self, name: &Name, act: &Act) -> Option<GateAnswer> {
        let found = |buyer: &[u8]| self.gates.get(name).and_then(|gate| gate.find(buyer));
        match act {
            Act::Join { buyer, flags, body, admits } => return self.join(name, buyer, (*flags, body), *admits),
            Act::Pay { buyer } => {
                let Some(Has::Seat(seat)) = found(buyer) else { return Some(GateAnswer::Unknown) };
                let ticket = self.ticket(name, seat);
                let (seq, was_kept_back) = (ticket.seq, ticket.kept_back);
                (ticket.until, ticket.kept_back) = (0, false);
                if was_kept_back {
                    self.release(name, seq);
                }
                return Some(GateAnswer::Seat(seat as u32));
            }
            Act::Extend { buyer, seconds } => {
                let Some(Has::Seat(seat)) = found(buyer) else { return Some(GateAnswer::Unknown) };
                let rules = self.model.rules(name);
                // A queue that was told nothing gives no more time.
                let most = if rules == Settings::default() { 0 } else { rules.gate.hold_max };
                let ticket = self.ticket(name, seat);
                if ticket.until > 0 && ticket.extended >= most {
                    return Some(GateAnswer::NoMoreTime);
                }
                if ticket.until > 0 {
                    ticket.until += u64::from(*seconds) * 1000;
                    ticket.extended += 1;
                }
            }
            Act::Return { buyer } => {
                let Some(has) = found(buyer) else { return Some(GateAnswer::Unknown) };
                let gate = self.gates.get_mut(name).expect("the buyer was found in it");
                let ticket = match has {
                    Has::Seat(seat) => {
                        gate.returned += 1;
                        gate.seats.remove(&seat)
                    }
                    Has::Place(place) => gate.line.remove(&place),
                };
                self.drop_kept_back(name, &ticket.expect("it was found there"));
            }
            Act::Lapse => {
                let now_ms = self.model.now_ms;
                let (_, seat) = self.next_lapse(name).filter(|(until, _)| *until <= now_ms).expect("one is due");
                let gate = self.gates.get_mut(name).expect("there is a ticket");
                gate.lapsed += 1;
                let ticket = gate.seats.remove(&seat).expect("looked up before");
                self.drop_kept_back(name, &ticket);
            }
            Act::Serve => {
                assert!(self.is_to_serve(name), "nothing is free for the line of {}", name.escape_ascii());
                let (rules, now_ms) = (self.model.rules(name).gate, self.model.now_ms);
                let gate = self.gates.get_mut(name).expect("there is a line");
                let (_, first) = gate.line.pop_first().expect("there is a line");
                let (until, kept_back) = terms(&rules, now_ms);
                let seq = first.seq;
                give(gate, Ticket { until, kept_back, ..first }, now_ms);
                if !kept_back {
                    self.release(name, seq);
                }
            }
        }
        Some(GateAnswer::Done)
    }

    fn ticket(&mut self, name: &Name, seat: u64) -> &mut Ticket {
        self.gates.get_mut(name).and_then(|gate| gate.seats.get_mut(&seat)).expect("it was found there")
    }

    fn join(&mut self, name: &Name, buyer: &[u8], (flags, body): (u32, &[u8]), admits: bool) -> Option<GateAnswer> {
        let none = Gate::default();
        let gate = self.gates.get(name).unwrap_or(&none);
        match gate.find(buyer) {
            Some(Has::Seat(seat)) => return Some(GateAnswer::Seat(seat as u32)),
            Some(Has::Place(place)) => return Some(GateAnswer::InLine(gate.position(place))),
            None => {}
        }
        let (rules, now_ms) = (self.model.rules(name).gate, self.model.now_ms);
        let Some(tickets) = rules.tickets.filter(|_| now_ms / 1000 >= rules.opens) else {
            return Some(GateAnswer::NotNow);
        };
        let gets_seat = (gate.seats.len() as u64) < u64::from(tickets) && gate.line.is_empty();
        let is_closed = rules.closes > 0 && now_ms / 1000 >= rules.closes;
        if is_closed || (!gets_seat && gate.line.len() as u64 >= u64::from(rules.line)) {
            return Some(GateAnswer::SoldOut);
        }
        if !admits {
            return Some(GateAnswer::NotNow);
        }
        self.model.make_room(name, body.len())?;
        let (until, kept_back) = if gets_seat { terms(&rules, now_ms) } else { (0, true) };
        // Kept back, though only for a second at first.
        let delay_s = kept_back.then_some(1);
        self.model.apply(&Op::PutWith { name: name.clone(), flags, body: body.to_vec(), delay_s, exptime: 0 });
        let seq = self.model.queues[name].messages.back().expect("just put").seq;
        if kept_back {
            self.kept(name, seq).not_before = KEPT_BACK_MS;
        }
        let ticket = Ticket { buyer: buyer.to_vec(), until, seq, extended: 0, kept_back };
        let gate = self.gates.entry(name.clone()).or_default();
        if gets_seat {
            return Some(GateAnswer::Seat(give(gate, ticket, now_ms) as u32));
        }
        let place = gate.places;
        gate.places += 1;
        gate.line.insert(place, ticket);
        Some(GateAnswer::InLine(gate.position(place)))
    }

    fn kept(&mut self, name: &Name, seq: u64) -> &mut Kept {
        self.model.kept.entry(name.clone()).or_default().entry(seq).or_default()
    }

    fn is_kept_back(&self, name: &Name, seq: u64) -> bool {
        self.model.standing(name, seq) == Standing::Delayed
    }

    /// What is kept back for a ticket is handed out.
    fn release(&mut self, name: &Name, seq: u64) {
        if self.is_kept_back(name, seq) {
            self.kept(name, seq).not_before = 0;
            self.model.apply(&Op::Pass { name: name.clone(), seq, what: Passed::Waits });
        }
    }

    /// What is kept back for a ticket goes with it.
    fn drop_kept_back(&mut self, name: &Name, ticket: &Ticket) {
        if ticket.kept_back && self.is_kept_back(name, ticket.seq) {
            self.model.apply(&Op::TakeMessage { name: name.clone(), seq: ticket.seq });
        }
    }

    /// Of the tickets of a gate the one that lapses first: when, and its seat.
    fn next_lapse(&self, name: &Name) -> Option<(u64, u64)> {
        let seats = self.gates.get(name)?.seats.iter();
        seats.filter(|(_, ticket)| ticket.until > 0).map(|(seat, ticket)| (ticket.until, *seat)).min()
    }

    /// Whether the first of the line is to get a seat.
    pub(super) fn is_to_serve(&self, name: &Name) -> bool {
        let (rules, now_s) = (self.model.rules(name).gate, self.model.now_ms / 1000);
        let is_open = now_s >= rules.opens && (rules.closes == 0 || now_s < rules.closes);
        let tickets = u64::from(rules.tickets.filter(|_| is_open).unwrap_or(0));
        self.gates.get(name).is_some_and(|gate| !gate.line.is_empty() && (gate.seats.len() as u64) < tickets)
    }

    /// Whether something comes of a gate by the time that has passed.
    pub(super) fn gate_is_due(&self) -> bool {
        let lapses = |name: &Name| self.next_lapse(name).is_some_and(|(until, _)| until <= self.model.now_ms);
        self.gates.keys().any(|name| lapses(name) || self.is_to_serve(name))
    }
}

/// Until when a ticket is to be paid that is given now, and whether its message is kept back.
fn terms(rules: &GateSettings, now_ms: u64) -> (u64, bool) {
    match rules.hold {
        0 => (0, false),
        hold => (now_ms + u64::from(hold) * 1000, rules.put == PutWhen::Paid),
    }
}

/// Gives the lowest free seat.
fn give(gate: &mut Gate, ticket: Ticket, now_ms: u64) -> u64 {
    let seat = (1..).find(|seat| !gate.seats.contains_key(seat)).expect("there is always one");
    gate.given += 1;
    gate.first_ms = if gate.given == 1 { now_ms } else { gate.first_ms };
    gate.last_ms = now_ms;
    gate.seats.insert(seat, ticket);
    seat
}
