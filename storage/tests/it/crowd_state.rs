//! What a gate and its crowd are by plain collections: the model that [`Crowd`](crate::crowd) holds a store against.

use std::collections::{BTreeMap, VecDeque};

use storage::GateAnswer;

pub(crate) fn name(buyer: u8) -> Vec<u8> {
    format!("buyer-{buyer}").into_bytes()
}

/// What a gate is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) tickets: u64,
    pub(crate) hold_s: u64,
    pub(crate) hold_max: u64,
    pub(crate) line: u64,
    pub(crate) put_paid: bool,
}

impl Rules {
    pub(crate) fn words(&self) -> String {
        let Rules { tickets, hold_s, hold_max, line, put_paid } = self;
        let put = if *put_paid { "paid" } else { "given" };
        format!("tickets={tickets} hold={hold_s} hold_max={hold_max} line={line} put={put}")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) seat: u64,
    pub(crate) until: u64,
    pub(crate) extended: u64,
    /// The number of its message, as the model counts messages.
    pub(crate) message: u64,
    pub(crate) kept_back: bool,
}

/// What is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) rules: Rules,
    pub(crate) is_told: bool,
    pub(crate) tickets: BTreeMap<u8, Ticket>,
    /// Buyers in line, with their places and their messages.
    pub(crate) line: VecDeque<(u8, u64, u64)>,
    pub(crate) places: u64,
    pub(crate) given: u64,
    pub(crate) returned: u64,
    pub(crate) lapsed: u64,
    pub(crate) put: u64,
    /// Of these, those since the queue was made.
    pub(crate) sets: u64,
    /// What waits in the queue: body, and whether it is kept back.
    pub(crate) messages: BTreeMap<u64, (Vec<u8>, bool)>,
}

impl State {
    pub(crate) fn lowest_free(&self) -> u64 {
        (1..).find(|seat| self.tickets.values().all(|ticket| ticket.seat != *seat)).expect("there is always one")
    }

    pub(crate) fn admit(&mut self, buyer: u8, message: u64, now_ms: u64) -> u64 {
        let seat = self.lowest_free();
        let until = if self.rules.hold_s > 0 { now_ms + self.rules.hold_s * 1000 } else { 0 };
        let kept_back = self.rules.put_paid && until > 0;
        if let Some(message) = self.messages.get_mut(&message) {
            message.1 = kept_back;
        }
        self.tickets.insert(buyer, Ticket { seat, until, extended: 0, message, kept_back });
        self.given += 1;
        seat
    }

    pub(crate) fn put(&mut self, body: Vec<u8>) -> u64 {
        self.put += 1;
        self.sets += 1;
        self.messages.insert(self.put, (body, true));
        self.put
    }

    pub(crate) fn place(&self, place: u64) -> u64 {
        self.line.front().map_or(1, |(_, first, _)| place - first + 1)
    }

    /// What a buyer has, as a join is told of it.
    pub(crate) fn has(&self, buyer: u8) -> Option<GateAnswer> {
        let in_line = || self.line.iter().find(|(of, ..)| *of == buyer).map(|(_, place, _)| self.place(*place));
        match self.tickets.get(&buyer) {
            Some(ticket) => Some(GateAnswer::Seat(ticket.seat as u32)),
            None => in_line().map(GateAnswer::InLine),
        }
    }

    pub(crate) fn look(&self, buyer: u8, now_ms: u64) -> GateAnswer {
        match self.tickets.get(&buyer) {
            Some(Ticket { seat, until: 0, .. }) => GateAnswer::Paid { seat: *seat as u32 },
            Some(Ticket { seat, until, .. }) => {
                GateAnswer::Held { seat: *seat as u32, left_s: until.saturating_sub(now_ms).div_ceil(1000) }
            }
            None => self.has(buyer).unwrap_or(GateAnswer::Unknown),
        }
    }

    pub(crate) fn join(&mut self, buyer: u8, body: &[u8], now_ms: u64) -> GateAnswer {
        if let Some(has) = self.has(buyer) {
            return has;
        }
        if self.line.is_empty() && (self.tickets.len() as u64) < self.rules.tickets {
            let message = self.put(body.to_vec());
            return GateAnswer::Seat(self.admit(buyer, message, now_ms) as u32);
        }
        if (self.line.len() as u64) < self.rules.line {
            let message = self.put(body.to_vec());
            self.line.push_back((buyer, self.places, message));
            self.places += 1;
            return GateAnswer::InLine(self.place(self.places - 1));
        }
        GateAnswer::SoldOut
    }

    pub(crate) fn pay(&mut self, buyer: u8) -> GateAnswer {
        let Some(ticket) = self.tickets.get_mut(&buyer) else { return GateAnswer::Unknown };
        ticket.until = 0;
        if std::mem::take(&mut ticket.kept_back)
            && let Some(message) = self.messages.get_mut(&ticket.message)
        {
            message.1 = false;
        }
        GateAnswer::Seat(ticket.seat as u32)
    }

    pub(crate) fn extend(&mut self, buyer: u8, seconds: u32) -> GateAnswer {
        let most = self.rules.hold_max;
        let Some(ticket) = self.tickets.get_mut(&buyer) else { return GateAnswer::Unknown };
        if ticket.until > 0 {
            if ticket.extended >= most {
                return GateAnswer::NoMoreTime;
            }
            ticket.until += u64::from(seconds) * 1000;
            ticket.extended += 1;
        }
        GateAnswer::Done
    }

    pub(crate) fn free(&mut self, buyer: u8) {
        if let Some(ticket) = self.tickets.remove(&buyer)
            && ticket.kept_back
        {
            self.messages.remove(&ticket.message);
        }
    }

    pub(crate) fn give_back(&mut self, buyer: u8) -> GateAnswer {
        if self.tickets.contains_key(&buyer) {
            self.free(buyer);
            self.returned += 1;
            return GateAnswer::Done;
        }
        let Some(at) = self.line.iter().position(|(of, ..)| *of == buyer) else { return GateAnswer::Unknown };
        let (.., message) = self.line.remove(at).expect("it was found");
        self.messages.remove(&message);
        GateAnswer::Done
    }

    /// Gives the first in line a seat if there is one. Returns whether it did.
    pub(crate) fn serve_line(&mut self, now_ms: u64) -> bool {
        if self.line.is_empty() || self.tickets.len() as u64 >= self.rules.tickets {
            return false;
        }
        let (buyer, _, message) = self.line.pop_front().expect("it is not empty");
        self.admit(buyer, message, now_ms);
        true
    }

    /// Frees the first ticket that lapses by now, or else gives the first in line a seat. Returns whether there was one.
    pub(crate) fn pass_time(&mut self, now_ms: u64) -> bool {
        let due = self.tickets.iter().filter(|(_, ticket)| ticket.until > 0 && ticket.until <= now_ms);
        let first = due.min_by_key(|(_, ticket)| (ticket.until, ticket.seat)).map(|(buyer, _)| *buyer);
        if let Some(buyer) = first {
            self.free(buyer);
            self.lapsed += 1;
            return true;
        }
        self.serve_line(now_ms)
    }

    pub(crate) fn available(&self) -> Vec<Vec<u8>> {
        self.messages.values().filter(|(_, kept_back)| !kept_back).map(|(body, _)| body.clone()).collect()
    }
}
