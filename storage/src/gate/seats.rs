//! The tickets of a gate by their seats, and the seats that are free. Both grow by little, so that no growth takes longer
//! than another.

use std::collections::BTreeMap;

use super::ticket::Ticket;

/// Seats of a chunk: some 3 KB.
const CHUNK_SEATS: u32 = 64;

/// Tickets by their seats, from 1.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    chunks: BTreeMap<u32, Box<[Option<Ticket>]>>,
    /// The highest seat that was ever taken.
    highest: u32,
    /// Seats below the highest that are free: where a range begins, and its last one.
    free: BTreeMap<u32, u32>,
    taken: u64,
}

fn place_of(seat: u32) -> (u32, usize) {
    (seat / CHUNK_SEATS, (seat % CHUNK_SEATS) as usize)
}

impl Seats {
    pub(crate) fn get(&self, seat: u32) -> Option<&Ticket> {
        let (chunk, at) = place_of(seat);
        self.chunks.get(&chunk)?[at].as_ref()
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// The lowest seat that is free.
    pub(crate) fn lowest_free(&self) -> u32 {
        self.free.first_key_value().map_or(self.highest + 1, |(seat, _)| *seat)
    }

    /// Gives a seat a ticket in place of the one that it has.
    pub(crate) fn set(&mut self, seat: u32, ticket: Ticket) -> Option<Ticket> {
        let (chunk, at) = place_of(seat);
        let chunk = self.chunks.entry(chunk).or_insert_with(|| (0..CHUNK_SEATS).map(|_| None).collect());
        let before = chunk[at].replace(ticket);
        if before.is_none() {
            self.taken += 1;
            self.note_taken(seat);
        }
        before
    }

    fn note_taken(&mut self, seat: u32) {
        if seat > self.highest {
            if seat - self.highest > 1 {
                self.free.insert(self.highest + 1, seat - 1);
            }
            self.highest = seat;
            return;
        }
        let (start, end) =
            self.free.range(..=seat).next_back().map(|(start, end)| (*start, *end)).expect("it was free");
        self.free.remove(&start);
        if start < seat {
            self.free.insert(start, seat - 1);
        }
        if seat < end {
            self.free.insert(seat + 1, end);
        }
    }

    /// Frees a seat.
    pub(crate) fn remove(&mut self, seat: u32) -> Option<Ticket> {
        let (chunk, at) = place_of(seat);
        let ticket = self.chunks.get_mut(&chunk)?[at].take()?;
        self.taken -= 1;
        self.free.insert(seat, seat);
        Some(ticket)
    }

    /// The tickets from a seat on, in order.
    pub(crate) fn from(&self, seat: u32) -> impl Iterator<Item = (u32, &Ticket)> {
        let of_chunk = |(chunk, tickets)| (chunk * CHUNK_SEATS..).zip(Iterator::flatten(std::iter::once(tickets)));
        let all =
            self.chunks.range(place_of(seat).0..).map(|(chunk, tickets)| (*chunk, tickets.iter())).flat_map(of_chunk);
        all.filter_map(move |(at, ticket)| Some((at, ticket.as_ref()?))).skip_while(move |(at, _)| *at < seat)
    }

    /// Takes a ticket away, whichever is last.
    pub(crate) fn pop(&mut self) -> Option<Ticket> {
        while let Some(mut last) = self.chunks.last_entry() {
            if let Some(ticket) = last.get_mut().iter_mut().rev().find_map(Option::take) {
                return Some(ticket);
            }
            last.remove();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::log::tickets::Terms;

    fn ticket(seq: u64) -> Ticket {
        Ticket::new(b"b".as_slice().into(), Terms { seq, ..Terms::default() }, 1)
    }

    /// Held against a plain map.
    #[test]
    fn seats_are_what_a_plain_map_is() {
        let mut state = 3u64;
        let mut below = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % n) as u32
        };
        for _ in 0..50 {
            let (mut seats, mut plain) = (Seats::default(), BTreeMap::new());
            for step in 0..400 {
                let lowest = (1..).find(|seat| !plain.contains_key(seat)).expect("there is always one");
                assert_eq!(seats.lowest_free(), lowest);
                let any = below(300) + 1;
                match below(4) {
                    0 => assert_eq!(seats.remove(any), plain.remove(&any)),
                    1 => assert_eq!(seats.set(any, ticket(step)), plain.insert(any, ticket(step))),
                    _ => assert_eq!(seats.set(lowest, ticket(step)), plain.insert(lowest, ticket(step))),
                }
                assert_eq!((seats.taken(), seats.get(any)), (plain.len() as u64, plain.get(&any)));
                assert!(seats.from(any).eq(plain.range(any..).map(|(seat, ticket)| (*seat, ticket))));
            }
            let all = std::iter::from_fn(|| seats.pop()).count();
            assert_eq!(all, plain.len());
        }
    }

    #[test]
    fn a_seat_that_is_far_out_costs_no_more_than_another() {
        let mut seats = Seats::default();
        seats.set(u32::MAX / 2, ticket(1));
        assert_eq!((seats.lowest_free(), seats.chunks.len()), (1, 1));
        seats.set(1, ticket(2));
        assert_eq!((seats.lowest_free(), seats.taken()), (2, 2));
    }
}
