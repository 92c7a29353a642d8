//! What the buyers of one gate were told, held against what a gate promises.
//!
//! Of each buyer one thing is under way at a time, so what was told last still holds until the next thing is asked.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// What kind of gate it is, and so what must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A ticket is final at once, and nothing comes back.
    Final,
    /// Tickets are returned, and there is a line.
    Returns,
    /// What is not paid lapses, and its message with it.
    Paid,
    /// How many there are changes, and nothing comes back.
    Changes,
}

/// What a join is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Seat(u32),
    /// By an add: a ticket, without its seat.
    Ticket,
    Nothing,
}

/// What a buyer has who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Held(u32),
    Paid(u32),
    InLine(u32),
}

impl Place {
    pub(crate) fn seat(self) -> Option<u32> {
        match self {
            Place::Held(seat) | Place::Paid(seat) => Some(seat),
            Place::InLine(_) => None,
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Buyer {
    /// When it asked first, and when it was answered first.
    asked: Option<Instant>,
    told: Option<Instant>,
    /// It was told that it has a ticket, and has not begun to return it.
    has: bool,
    seat: Option<u32>,
    refused: bool,
    paying: bool,
    paid: bool,
    /// It had a ticket for sure when it began to return it, and has begun once.
    must_return: bool,
}

/// The buyers of a gate, by their numbers.
#[derive(Debug)]
pub(crate) struct GateModel {
    kind: Kind,
    tickets: u32,
    buyers: Vec<Buyer>,
    /// Who has a seat for sure.
    sure: HashMap<u32, usize>,
}

/// What there is in the end.
#[derive(Debug)]
pub(crate) struct End {
    /// Of each buyer.
    pub(crate) places: Vec<Option<Place>>,
    /// The messages that were drained: their numbers, and whose they are.
    pub(crate) messages: Vec<(u64, usize)>,
    pub(crate) figures: HashMap<String, String>,
    /// Messages that were ever put.
    pub(crate) puts: u64,
}

impl GateModel {
    pub(crate) fn new(kind: Kind, tickets: u32, buyers: usize) -> GateModel {
        GateModel { kind, tickets, buyers: vec![Buyer::default(); buyers], sure: HashMap::new() }
    }

    pub(crate) fn joining(&mut self, buyer: usize, now: Instant) {
        self.buyers[buyer].asked.get_or_insert(now);
    }

    pub(crate) fn joined(&mut self, buyer: usize, told: Told, now: Instant) -> Result<(), String> {
        let it = &mut self.buyers[buyer];
        it.told.get_or_insert(now);
        // Nothing but its own return takes a final ticket away, and nothing at all a paid one.
        let keeps = it.has && self.kind != Kind::Paid || it.paid;
        match told {
            Told::Nothing if keeps => {
                return Err(format!("buyer {buyer} has a ticket and was told that there is none"));
            }
            Told::Nothing => {
                it.refused = true;
                (it.has, it.seat) = (false, None);
            }
            _ if self.kind == Kind::Final && it.refused => {
                return Err(format!("buyer {buyer} got {told:?} and was told before that nothing is left"));
            }
            Told::Ticket => {
                it.has = true;
                // What it had before may have lapsed.
                it.seat = it.seat.filter(|_| keeps);
            }
            Told::Seat(seat) => {
                if !(1..=self.tickets).contains(&seat) {
                    return Err(format!("buyer {buyer} got seat {seat} of {}", self.tickets));
                }
                if let Some(before) = it.seat.filter(|before| keeps && *before != seat) {
                    return Err(format!("buyer {buyer} got seat {seat} after seat {before}"));
                }
                (it.has, it.seat) = (true, Some(seat));
                if let Some(other) = self.sure.get(&seat).filter(|other| **other != buyer) {
                    return Err(format!("seat {seat} was told to buyers {other} and {buyer}"));
                }
                if self.kind != Kind::Paid || it.paid {
                    self.sure.insert(seat, buyer);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn returning(&mut self, buyer: usize) {
        let it = &mut self.buyers[buyer];
        it.must_return = it.has;
        it.has = false;
        if let Some(seat) = it.seat.take().filter(|seat| self.sure.get(seat) == Some(&buyer)) {
            self.sure.remove(&seat);
        }
    }

    /// `done`: it was told that the ticket is returned.
    pub(crate) fn returned(&mut self, buyer: usize, done: bool) -> Result<(), String> {
        let must = std::mem::take(&mut self.buyers[buyer].must_return);
        if must && !done { Err(format!("buyer {buyer} had a ticket and could not return it")) } else { Ok(()) }
    }

    pub(crate) fn paying(&mut self, buyer: usize) {
        self.buyers[buyer].paying = true;
    }

    /// `done`: it was told that the ticket is paid, with its seat where that was told.
    pub(crate) fn paid(&mut self, buyer: usize, done: bool, seat: Option<u32>) -> Result<(), String> {
        let it = &mut self.buyers[buyer];
        if it.paid && !done {
            return Err(format!("buyer {buyer} has paid and was told that there is no ticket"));
        }
        it.paid |= done;
        it.seat = seat.or(it.seat);
        if let Some(seat) = it.seat.filter(|_| done) {
            match self.sure.insert(seat, buyer) {
                Some(other) if other != buyer => return Err(format!("seat {seat} is paid by {other} and {buyer}")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether some of the tickets were told to buyers and not all, of a gate that will give all and get none back.
    pub(crate) fn is_amid(&self) -> bool {
        let told = self.buyers.iter().filter(|buyer| buyer.has).count();
        self.kind == Kind::Final
            && self.buyers.len() > self.tickets as usize
            && (1..self.tickets as usize).contains(&told)
    }

    /// Whether what there is in the end agrees with what was told.
    pub(crate) fn finished(&self, end: &End) -> Result<(), String> {
        let figure = |name: &str| end.figures.get(name).and_then(|value| value.parse::<u64>().ok());
        let seats: Vec<(u32, usize)> =
            end.places.iter().enumerate().filter_map(|(buyer, place)| Some(((*place)?.seat()?, buyer))).collect();
        let distinct: HashSet<u32> = seats.iter().map(|(seat, _)| *seat).collect();
        let valid = seats.len() as u64;
        check(distinct.len() == seats.len(), || format!("a seat has two buyers: {seats:?}"))?;
        check(valid <= u64::from(self.tickets), || format!("{valid} tickets of {}", self.tickets))?;
        let given = figure("given").ok_or("no figure of given tickets")?;
        let gone = figure("returned").unwrap_or(0) + figure("lapsed").unwrap_or(0);
        check(given == valid + gone, || format!("{valid} valid tickets, {given} given and {gone} gone again"))?;
        if self.kind != Kind::Changes && self.buyers.iter().any(|buyer| buyer.refused) {
            check(given >= self.tickets.into(), || format!("refused, and only {given} were given"))?;
        }
        for (buyer, (it, place)) in self.buyers.iter().zip(&end.places).enumerate() {
            let keeps = it.has && self.kind != Kind::Paid || it.paid;
            let seat = place.and_then(Place::seat);
            check(!keeps || seat.is_some(), || format!("buyer {buyer} was told a ticket and has {place:?}"))?;
            let same = !keeps || it.seat.is_none() || it.seat == seat;
            check(same, || format!("buyer {buyer} was told {:?} and has {place:?}", it.seat))?;
            let was_refused = self.kind == Kind::Final && it.refused;
            check(!was_refused || place.is_none(), || format!("buyer {buyer} was refused and has {place:?}"))?;
            let must_pay = self.kind == Kind::Paid && place.is_some();
            let has_paid = it.paying && matches!(place, Some(Place::Paid(_)));
            check(!must_pay || has_paid, || format!("buyer {buyer} has {place:?}, paying: {}", it.paying))?;
        }
        let messages: HashSet<usize> = end.messages.iter().map(|(_, buyer)| *buyer).collect();
        let count = end.messages.len() as u64;
        if let Some((seat, buyer)) = seats.iter().find(|(_, buyer)| !messages.contains(buyer)) {
            return Err(format!("seat {seat} of buyer {buyer} has no message"));
        }
        match self.kind {
            Kind::Final => {
                check(end.puts == given && count == given, || {
                    format!("{given} tickets, {} messages put, {count} there", end.puts)
                })?;
                let by_seat: HashMap<u64, usize> = seats.iter().map(|(seat, buyer)| ((*seat).into(), *buyer)).collect();
                // None comes back, so the seats are given in the order of the messages.
                let other = end.messages.iter().find(|(number, buyer)| by_seat.get(number) != Some(buyer));
                check(other.is_none(), || format!("message {other:?} is not in the order of the seats"))?;
                self.in_order(&end.places)
            }
            Kind::Returns => {
                let in_line = end.places.iter().flatten().any(|place| place.seat().is_none());
                check(!in_line || valid == u64::from(self.tickets), || {
                    format!("buyers are in line while {valid} of {} tickets are given", self.tickets)
                })?;
                check(count == given, || format!("{given} tickets were given, and {count} messages are there"))
            }
            Kind::Changes => check(end.puts == given && count == given, || {
                format!("{given} tickets, {} messages put, {count} there", end.puts)
            }),
            Kind::Paid => {
                check(end.puts == given, || format!("{given} tickets, and {} messages put", end.puts))?;
                check(count == valid, || format!("{valid} are paid, and {count} messages are there"))
            }
        }
    }

    /// If one buyer had an answer before another asked, that one was before.
    fn in_order(&self, places: &[Option<Place>]) -> Result<(), String> {
        let seat = |buyer: usize| places[buyer].and_then(Place::seat).unwrap_or(u32::MAX);
        let times = self.buyers.iter().enumerate().filter_map(|(buyer, it)| Some((buyer, it.asked?, it.told?)));
        let mut by_asked: Vec<(usize, Instant, Instant)> = times.collect();
        let mut by_told = by_asked.clone();
        by_asked.sort_by_key(|(_, asked, _)| *asked);
        by_told.sort_by_key(|(_, _, told)| *told);
        let mut told = by_told.iter().peekable();
        let mut last: Option<usize> = None;
        for (buyer, asked, _) in by_asked {
            while let Some((before, ..)) = told.next_if(|(_, _, told)| *told < asked) {
                last = Some(last.filter(|last| seat(*last) > seat(*before)).unwrap_or(*before));
            }
            if let Some(last) = last.filter(|last| seat(*last) > seat(buyer)) {
                let (before, after) = (seat(last), seat(buyer));
                return Err(format!("buyer {last} had {before} before buyer {buyer} asked, who got {after}"));
            }
        }
        Ok(())
    }
}

fn check(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn end(seats: &[u32], given: u32) -> End {
        let places = seats.iter().map(|seat| (*seat > 0).then_some(Place::Paid(*seat))).collect();
        let figures = [("given", given), ("returned", 0), ("lapsed", 0)];
        let figures = figures.map(|(name, value)| (name.to_owned(), value.to_string())).into();
        let holders = seats.iter().enumerate().filter(|(_, seat)| **seat > 0);
        let mut messages: Vec<(u64, usize)> = holders.map(|(buyer, seat)| ((*seat).into(), buyer)).collect();
        messages.sort_unstable();
        End { places, messages, figures, puts: given.into() }
    }

    /// Three buyers of a gate with two tickets, who ask one after the other and are told this.
    fn told(told: [Told; 3]) -> (GateModel, Result<(), String>) {
        let mut model = GateModel::new(Kind::Final, 2, 3);
        let start = Instant::now();
        let at = |step: u64| start + Duration::from_millis(step);
        let mut all = Ok(());
        for ((buyer, told), step) in told.into_iter().enumerate().zip([0, 2, 4]) {
            model.joining(buyer, at(step));
            all = all.and(model.joined(buyer, told, at(step + 1)));
        }
        (model, all)
    }

    const GOOD: [Told; 3] = [Told::Seat(1), Told::Ticket, Told::Nothing];

    #[test]
    fn what_is_promised_is_found_to_hold() {
        let (mut model, all) = told(GOOD);
        assert_eq!(all, Ok(()));
        let now = Instant::now();
        assert_eq!(model.joined(0, Told::Ticket, now), Ok(()));
        assert_eq!(model.joined(1, Told::Seat(2), now), Ok(()));
        assert_eq!(model.joined(2, Told::Nothing, now), Ok(()));
        assert_eq!(model.finished(&end(&[1, 2, 0], 2)), Ok(()));
    }

    #[test]
    fn what_is_told_wrong_is_found() {
        for bad in [
            [Told::Seat(1), Told::Seat(1), Told::Nothing],
            [Told::Seat(3), Told::Seat(1), Told::Nothing],
            [Told::Seat(0), Told::Seat(1), Told::Nothing],
        ] {
            assert!(told(bad).1.is_err(), "{bad:?}");
        }
        let now = Instant::now();
        for (buyer, again) in [(0, Told::Nothing), (0, Told::Seat(2)), (2, Told::Seat(2)), (2, Told::Ticket)] {
            assert!(told(GOOD).0.joined(buyer, again, now).is_err(), "{buyer} {again:?}");
        }
        let mut model = GateModel::new(Kind::Returns, 2, 2);
        model.joined(0, Told::Seat(1), now).unwrap();
        assert!(model.joined(1, Told::Seat(1), now).is_err());
        model.returning(0);
        assert!(model.joined(1, Told::Seat(1), now).is_ok(), "it may be returned by then");
        assert!(model.returned(0, false).is_err());
        let mut model = GateModel::new(Kind::Paid, 2, 2);
        model.paying(0);
        model.paid(0, true, Some(1)).unwrap();
        assert!(model.paid(0, false, None).is_err());
        assert!(model.joined(0, Told::Nothing, now).is_err());
        assert!(model.joined(1, Told::Seat(1), now).is_err());
    }

    #[test]
    fn what_is_wrong_in_the_end_is_found() {
        let (model, _) = told(GOOD);
        for (seats, given, why) in [
            ([1, 1, 0], 2, "a seat twice"),
            ([1, 2, 3], 3, "one too many"),
            ([1, 0, 0], 1, "a ticket is lost"),
            ([2, 1, 0], 2, "another seat than was told"),
            ([1, 2, 0], 3, "more given than there are"),
        ] {
            assert!(model.finished(&end(&seats, given)).is_err(), "{why}");
        }
        let good = || end(&[1, 2, 0], 2);
        let mut lost = good();
        lost.messages.pop();
        assert!(model.finished(&lost).is_err(), "a message is lost");
        assert!(model.finished(&End { puts: 3, ..good() }).is_err(), "a message too many");
        assert!(model.finished(&End { messages: vec![(1, 1), (2, 0)], ..good() }).is_err(), "another order");
        let (model, all) = told([Told::Ticket, Told::Ticket, Told::Nothing]);
        assert_eq!(all, Ok(()));
        assert!(model.finished(&end(&[2, 1, 0], 2)).is_err(), "who came first is not first");
        let (model, all) = told([Told::Ticket, Told::Nothing, Told::Ticket]);
        assert_eq!(all, Ok(()));
        assert!(model.finished(&end(&[1, 0, 2], 2)).is_err(), "refused before another got the last");
        let mut model = GateModel::new(Kind::Paid, 2, 1);
        model.joined(0, Told::Seat(1), Instant::now()).unwrap();
        assert!(model.finished(&end(&[1], 1)).is_err(), "nothing was paid");
        model.paying(0);
        assert_eq!(model.finished(&end(&[1], 1)), Ok(()));
    }
}
