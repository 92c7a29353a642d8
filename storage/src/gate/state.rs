//! One gate: its tickets, its line, who has what, and what is due.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use super::asking::{GateFigures, GateState};
use super::curve::Curve;
use super::seats::Seats;
use super::ticket::Ticket;
use crate::log::entry::ticket_bytes;
use crate::log::frame::FrameNumber;
use crate::log::tickets::{Key, Tally};
use crate::settings::GateSettings;

/// An entry of a ticket in the log that is no longer needed: its segment, and its bytes.
pub(crate) type Needless = (u32, usize);

/// In a list of who has what, the bit that tells a place in line from a seat.
const IS_PLACE: u32 = 1 << 31;

/// What a buyer gets who has nothing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gets {
    Seat(u32),
    /// A place in line, the nth that was ever given.
    Place(u64),
    /// Nothing: all tickets are given, or the gate is closed.
    Nothing,
    /// Nothing yet.
    NotNow,
}

/// The state of a gate.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    seats: Seats,
    /// Buyers in line, by which place they got.
    line: BTreeMap<u64, Ticket>,
    /// Where each buyer's ticket or place is found: a hash of the name, and a seat, or a place's low bits with
    /// [`IS_PLACE`]. Two buyers may have the same hash.
    by_buyer: BTreeSet<(u32, u32)>,
    hasher: RandomState,
    /// When tickets lapse.
    lapses: BTreeSet<(u64, u32)>,
    pub(crate) tally: Tally,
    /// Joins that were refused, and those of buyers who had something, since the start.
    pub(crate) refused: u64,
    pub(crate) repeats: u64,
    curve: Curve,
    /// The frame in which a ticket was given last, and the one in which anything changed last.
    pub(crate) given_in: FrameNumber,
    pub(crate) changed_in: FrameNumber,
    /// Its line may get seats from then on, in milliseconds since 1970; `None`: no moment is known.
    pub(super) opens_at: Option<u64>,
    /// When it is to be looked at, by the list of all gates.
    pub(super) timed_at: Option<u64>,
}

impl Gate {
    /// What a buyer has.
    pub(crate) fn find(&self, buyer: &[u8]) -> Option<Key> {
        let hash = self.hash(buyer);
        self.by_buyer.range((hash, 0)..=(hash, u32::MAX)).find_map(|(_, id)| {
            let key = self.key_of(*id)?;
            self.get(key).filter(|ticket| *ticket.buyer == *buyer).map(|_| key)
        })
    }

    fn hash(&self, buyer: &[u8]) -> u32 {
        self.hasher.hash_one(buyer) as u32
    }

    fn key_of(&self, id: u32) -> Option<Key> {
        if id & IS_PLACE == 0 {
            return Some(Key::seat(id));
        }
        // The places in line are fewer than half of what the low bits tell apart.
        let first = *self.line.first_key_value()?.0;
        let distance = id.wrapping_sub(first as u32) & !IS_PLACE;
        Some(Key::place(first + u64::from(distance)))
    }

    fn id_of(key: Key) -> u32 {
        match (key.as_seat(), key.as_place()) {
            (Some(seat), _) => seat,
            (None, place) => place.unwrap_or_default() as u32 | IS_PLACE,
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Ticket> {
        match (key.as_seat(), key.as_place()) {
            (Some(seat), _) => self.seats.get(seat),
            (None, Some(place)) => self.line.get(&place),
            (None, None) => None,
        }
    }

    /// Counts a join that is refused.
    #[inline]
    pub(crate) fn note_refused(&mut self, now_ms: u64) {
        self.refused += 1;
        self.curve.at(now_ms).refused += 1;
    }

    /// Counts a ticket that is given now, the nth.
    pub(crate) fn note_given(&mut self, nth: u64, now_ms: u64) {
        self.tally.note_given(nth, now_ms);
        self.curve.at(now_ms).given += 1;
    }

    /// What a buyer gets who has nothing, at a moment in milliseconds since 1970.
    pub(crate) fn gets(&self, rules: &GateSettings, now_ms: u64) -> Gets {
        match self.state(rules, now_ms) {
            GateState::None | GateState::Before => Gets::NotNow,
            GateState::Closed => Gets::Nothing,
            GateState::Open => Gets::Seat(self.seats.lowest_free()),
            GateState::SoldOut if self.line.len() as u64 >= u64::from(rules.line) => Gets::Nothing,
            // The first has not moved while so many have come and gone.
            GateState::SoldOut if self.place_in_line(self.tally.places) >= IS_PLACE.into() => Gets::NotNow,
            GateState::SoldOut => Gets::Place(self.tally.places),
        }
    }

    /// What the gate is at. While buyers are in line, what is free is theirs.
    pub(crate) fn state(&self, rules: &GateSettings, now_ms: u64) -> GateState {
        let Some(tickets) = rules.tickets else { return GateState::None };
        let now_s = now_ms / 1000;
        if now_s < rules.opens {
            GateState::Before
        } else if rules.closes > 0 && now_s >= rules.closes {
            GateState::Closed
        } else if self.seats.taken() < tickets.into() && self.line.is_empty() {
            GateState::Open
        } else {
            GateState::SoldOut
        }
    }

    /// The seat for the first in line, if there is one free for them, and the key of their place.
    pub(crate) fn next_of_line(&self, rules: &GateSettings, now_ms: u64) -> Option<(Key, u32)> {
        let (place, _) = self.line.first_key_value()?;
        let is_free = self.state(rules, now_ms) == GateState::SoldOut
            && rules.tickets.is_some_and(|tickets| self.seats.taken() < tickets.into());
        is_free.then(|| (Key::place(*place), self.seats.lowest_free()))
    }

    /// When the line may get seats that it cannot get yet, in milliseconds since 1970: the gate's time has not come.
    pub(crate) fn opens_for_line(&self, rules: &GateSettings, now_ms: u64) -> Option<u64> {
        let is_before = self.has_line() && self.state(rules, now_ms) == GateState::Before;
        is_before.then(|| rules.opens.saturating_mul(1000))
    }

    /// How many are in line up to a place, at most: those who left it count until all before them have gone.
    pub(crate) fn place_in_line(&self, place: u64) -> u64 {
        self.line.first_key_value().map_or(1, |(first, _)| place - first + 1)
    }

    /// Gives a key a ticket in place of the one that it has.
    pub(crate) fn set(&mut self, key: Key, ticket: Ticket) -> Option<Needless> {
        let before = self.remove(key);
        self.by_buyer.insert((self.hash(&ticket.buyer), Gate::id_of(key)));
        match (key.as_seat(), key.as_place()) {
            (Some(seat), _) => {
                if ticket.terms().until > 0 {
                    self.lapses.insert((ticket.terms().until, seat));
                }
                self.seats.set(seat, ticket);
            }
            (None, place) => {
                let place = place.unwrap_or_default();
                self.tally.places = self.tally.places.max(place + 1);
                self.line.insert(place, ticket);
            }
        }
        before.map(|ticket| (ticket.segment, ticket_bytes(ticket.buyer.len())))
    }

    /// Takes the ticket of a key away.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Ticket> {
        let ticket = match (key.as_seat(), key.as_place()) {
            (Some(seat), _) => {
                let ticket = self.seats.remove(seat)?;
                self.lapses.remove(&(ticket.terms().until, seat));
                ticket
            }
            (None, place) => self.line.remove(&place?)?,
        };
        self.by_buyer.remove(&(self.hash(&ticket.buyer), Gate::id_of(key)));
        Some(ticket)
    }

    /// The ticket that lapses first, and when.
    pub(crate) fn next_lapse(&self) -> Option<(u64, u32)> {
        self.lapses.first().copied()
    }

    /// The tickets and places from a key on, in order.
    pub(crate) fn from(&self, key: Key) -> impl Iterator<Item = (Key, &Ticket)> {
        let seats = key.as_seat().into_iter().flat_map(|seat| self.seats.from(seat));
        let places = self.line.range(key.as_place().unwrap_or(0)..);
        seats
            .map(|(seat, ticket)| (Key::seat(seat), ticket))
            .chain(places.map(|(place, ticket)| (Key::place(*place), ticket)))
    }

    /// Takes any ticket or place away, of a gate that is no more.
    pub(super) fn pop(&mut self) -> Option<Needless> {
        let ticket = self.seats.pop().or_else(|| self.line.pop_last().map(|(_, ticket)| ticket))?;
        // What finds it goes with the gate, a little at a time, too.
        self.by_buyer.pop_last();
        self.lapses.pop_last();
        Some((ticket.segment, ticket_bytes(ticket.buyer.len())))
    }

    pub(crate) fn figures(&self, rules: &GateSettings, now_ms: u64) -> GateFigures {
        let Tally { given, returned, lapsed, first_ms, last_ms, .. } = self.tally;
        let held = self.lapses.len() as u64;
        GateFigures {
            tickets: rules.tickets.unwrap_or(0).into(),
            given,
            paid: self.seats.taken() - held,
            held,
            returned,
            lapsed,
            line: self.line.len() as u64,
            refused: self.refused,
            repeats: self.repeats,
            state: self.state(rules, now_ms),
            first_ms,
            last_ms,
            curve: self.curve.shown(),
        }
    }

    /// Whether buyers are in line.
    pub(crate) fn has_line(&self) -> bool {
        !self.line.is_empty()
    }
}
