//! What the gates of a store hold, said plainly, and held against a store.

use std::collections::BTreeMap;

use storage::{Attempt, GateAct, GateAnswer, Store};

/// A ticket, or a place in line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) buyer: Vec<u8>,
    /// It lapses then, in milliseconds since 1970; 0: it is paid, or final, or a place.
    pub(crate) until: u64,
    /// The message that came with it.
    pub(crate) seq: u64,
    /// How often the buyer was given more time.
    pub(crate) extended: u8,
    /// Its message is kept back.
    pub(crate) kept_back: bool,
}

/// A gate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Gate {
    /// Tickets that were ever given, returned, have lapsed, and places that were ever given.
    pub(crate) given: u64,
    pub(crate) returned: u64,
    pub(crate) lapsed: u64,
    pub(crate) places: u64,
    /// When the first ticket and the last were given, in milliseconds since 1970.
    pub(crate) first_ms: u64,
    pub(crate) last_ms: u64,
    /// The tickets by their seats.
    pub(crate) seats: BTreeMap<u64, Ticket>,
    /// The line by its places, of which the first that was ever given is 0.
    pub(crate) line: BTreeMap<u64, Ticket>,
}

/// Gates by the whole names of their queues.
pub(crate) type Gates = BTreeMap<Vec<u8>, Gate>;

/// What is found of a buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Has {
    Seat(u64),
    Place(u64),
}

/// A store tells places apart by so many of their bits.
const PLACE_BITS: u32 = 31;

impl Gate {
    /// What a buyer has.
    pub(crate) fn find(&self, buyer: &[u8]) -> Option<Has> {
        let of = |tickets: &BTreeMap<u64, Ticket>| tickets.iter().find(|(_, it)| it.buyer == buyer).map(|(at, _)| *at);
        of(&self.seats).map(Has::Seat).or_else(|| of(&self.line).map(Has::Place))
    }

    /// Where a place is in the line: those count that were given behind the first that is there.
    pub(crate) fn position(&self, place: u64) -> u64 {
        place - self.line.first_key_value().map_or(place, |(first, _)| *first) + 1
    }

    /// What a buyer is told who looks.
    pub(crate) fn look(&self, buyer: &[u8], now_ms: u64) -> GateAnswer {
        match self.find(buyer) {
            None => GateAnswer::Unknown,
            Some(Has::Place(place)) => GateAnswer::InLine(self.position(place)),
            Some(Has::Seat(seat)) => match self.seats[&seat].until {
                0 => GateAnswer::Paid { seat: seat as u32 },
                until => GateAnswer::Held { seat: seat as u32, left_s: until.saturating_sub(now_ms).div_ceil(1000) },
            },
        }
    }

    /// Whether a store finds what this buyer has: not in a line that is longer than any, or that has a buyer twice.
    fn is_found(&self, buyer: &[u8]) -> bool {
        let (Some((first, _)), Some((last, _))) = (self.line.first_key_value(), self.line.last_key_value()) else {
            return true;
        };
        let places = self.line.values().filter(|ticket| ticket.buyer == buyer).count();
        let is_once = places == 1 || first >> PLACE_BITS == last >> PLACE_BITS;
        matches!(self.find(buyer), Some(Has::Seat(_))) || (last - first < 1 << PLACE_BITS && is_once)
    }
}

/// Asks a store's gate what waits for no room.
pub(crate) fn ask(store: &mut Store, name: &[u8], buyer: &[u8], act: GateAct<'_>) -> Option<GateAnswer> {
    match store.ask_gate(name, buyer, act).expect("the disk is good") {
        Attempt::Done(answered) => Some(answered.answer),
        Attempt::Wait | Attempt::NoRoom => None,
    }
}

/// Holds the gates of a store against these.
pub(crate) fn check(store: &mut Store, gates: &Gates, now_ms: u64) {
    let names: Vec<Vec<u8>> = store.names().map(<[u8]>::to_vec).collect();
    let none = Gate::default();
    for name in &names {
        let gate = gates.get(name).unwrap_or(&none);
        let figures = store.gate_figures(name);
        assert!(figures.is_some() || !gates.contains_key(name), "the gate of {} is gone", name.escape_ascii());
        if let Some(found) = figures {
            let held = gate.seats.values().filter(|ticket| ticket.until > 0).count() as u64;
            let paid = gate.seats.len() as u64 - held;
            assert_eq!(
                [found.given, found.paid, found.held, found.returned, found.lapsed, found.line],
                [gate.given, paid, held, gate.returned, gate.lapsed, gate.line.len() as u64],
                "given, paid, held, returned, lapsed, in line of {}",
                name.escape_ascii()
            );
            assert_eq!([found.first_ms, found.last_ms], [gate.first_ms, gate.last_ms], "{}", name.escape_ascii());
        }
        let buyers = gate.seats.values().chain(gate.line.values()).map(|ticket| &*ticket.buyer);
        for buyer in buyers.chain([b"has nothing".as_slice()]).filter(|buyer| gate.is_found(buyer)) {
            let answer = ask(store, name, buyer, GateAct::Look);
            assert_eq!(answer, Some(gate.look(buyer, now_ms)), "{} of {}", buyer.escape_ascii(), name.escape_ascii());
        }
    }
    assert!(gates.keys().all(|name| names.contains(name)), "a gate goes with its queue");
}
