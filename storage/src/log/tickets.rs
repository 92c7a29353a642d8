//! What entries say of tickets, and of places in line.

use std::fmt;

use crate::log::entry::Seq;

/// Bytes of the longest name of a buyer: one byte tells how many.
pub const BUYER_BYTES_MAX: usize = 250;
/// Places in line have keys from here on, in the order in which they were given.
const FIRST_PLACE: u64 = 1 << 32;

/// Names a ticket of a gate by its seat, or a place in its line. A seat's number is used again, a place's never.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64);

impl Key {
    /// The key before all others. It is the first seat's.
    pub(crate) const FIRST: Key = Key(1);

    /// The ticket of this seat, from 1.
    pub(crate) fn seat(seat: u32) -> Key {
        Key(seat.into())
    }

    /// The place that was given as the nth, from 0.
    pub(crate) fn place(nth: u64) -> Key {
        Key(FIRST_PLACE + nth)
    }

    /// The key that is written so. `None`: none is.
    pub(crate) fn from_number(number: u64) -> Option<Key> {
        (number > 0 && (number <= u64::from(u32::MAX / 2) || number >= FIRST_PLACE)).then_some(Key(number))
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// The seat; `None`: it is a place in line.
    pub(crate) fn as_seat(self) -> Option<u32> {
        u32::try_from(self.0).ok()
    }

    /// Which place it is; `None`: it is a seat.
    pub(crate) fn as_place(self) -> Option<u64> {
        self.0.checked_sub(FIRST_PLACE)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_seat() {
            Some(seat) => write!(f, "seat {seat}"),
            None => write!(f, "place {}", self.0 - FIRST_PLACE),
        }
    }
}

/// What is known of a buyer, apart from the name: as the log says it last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The ticket lapses then, in milliseconds since 1970; 0: it is paid, or final, or a place in line.
    pub(crate) until: u64,
    /// The message that came with it, in the gate's queue.
    pub(crate) seq: Seq,
    /// How often the buyer was given more time.
    pub(crate) extended: u8,
    /// The message is kept back until the ticket is paid, or given.
    pub(crate) kept_back: bool,
}

/// Why a ticket is no more, or a place in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freed {
    /// The buyer gave the ticket back.
    Returned = 1,
    /// It was not paid in time.
    Lapsed = 2,
    /// The buyer has got a ticket for the place.
    Seated = 3,
    /// The buyer has left the line.
    Left = 4,
}

impl Freed {
    pub(crate) fn from_byte(byte: u8) -> Option<Freed> {
        [Freed::Returned, Freed::Lapsed, Freed::Seated, Freed::Left].into_iter().find(|why| *why as u8 == byte)
    }
}

/// What was counted of a gate since it was made. These only grow, and each is in the entry that makes it grow, so that
/// an entry that is replayed counts nothing twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tickets that were given.
    pub(crate) given: u64,
    /// Tickets that were given back.
    pub(crate) returned: u64,
    /// Tickets that were not paid in time.
    pub(crate) lapsed: u64,
    /// Places in line that were given.
    pub(crate) places: u64,
    /// When the first ticket was given and the last one, in milliseconds since 1970; 0: none was.
    pub(crate) first_ms: u64,
    pub(crate) last_ms: u64,
}

impl Tally {
    /// Takes over what another one has counted further.
    pub(crate) fn raise(&mut self, other: &Tally) {
        if other.given > 0 && (self.first_ms == 0 || other.first_ms < self.first_ms) {
            self.first_ms = other.first_ms;
        }
        self.last_ms = self.last_ms.max(other.last_ms);
        self.given = self.given.max(other.given);
        self.returned = self.returned.max(other.returned);
        self.lapsed = self.lapsed.max(other.lapsed);
        self.places = self.places.max(other.places);
    }

    /// Counts a ticket that was given at a time, as the nth.
    pub(crate) fn note_given(&mut self, nth: u64, at_ms: u64) {
        self.raise(&Tally { given: nth, first_ms: at_ms, last_ms: at_ms, ..Tally::default() });
    }

    /// Counts a ticket that is no more, as the nth that went for this reason.
    pub(crate) fn note_freed(&mut self, why: Freed, nth: u64) {
        match why {
            Freed::Returned => self.returned = self.returned.max(nth),
            Freed::Lapsed => self.lapsed = self.lapsed.max(nth),
            Freed::Seated | Freed::Left => {}
        }
    }
}
