//! What the clients of a gate were told, and whether it can all be true. Of the gate nothing else is known here.
//!
//! A buyer may ask on several connections at once, and on such that are gone: what came in between is counted, and what is
//! told is held against what was known before only where nothing can have changed it.

use shards::{GateAnswer, Moment};

use super::asks::Act;
use super::tickets::Tickets;

/// What is known of a buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// No ticket, and none is asked for.
    Nothing,
    /// A ticket was asked for since then, and none was told.
    Asked { since: Moment, tick: u64 },
    /// A ticket with this seat, until then at least; `None`: for good. It was asked for at this tick, as far as that is
    /// known.
    Has { seat: u32, until: Option<Moment>, tick: Option<u64> },
    /// A ticket may be there or not.
    Unsure,
}

#[derive(Debug)]
pub(crate) struct Buyer {
    pub(crate) known: Known,
    /// Grows with all that may take a ticket away: a return that is asked for, a hold that may have ended.
    changes: u64,
    /// What was asked, and what of that is under way: all, and returns.
    asked: u64,
    under_way: u32,
    returns: u32,
    /// When a ticket was asked for, and told of, for the first time.
    pub(crate) first_asked: Option<u64>,
    pub(crate) first_told: Option<u64>,
    /// The ticket was asked for once, as far as is known.
    pub(crate) has_one: bool,
    pub(crate) has_paid: bool,
    pub(crate) has_returned: bool,
    /// When it was told first that the buyer is in line, and what had changed by then.
    in_line: Option<(u64, u64)>,
}

/// What was known when something was asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    pub(crate) tick: u64,
    at: Moment,
    known: Known,
    changes: u64,
    asked: u64,
    is_alone: bool,
    returns: u32,
}

/// A gate, as its clients see it.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) name: u8,
    pub(crate) hold_s: u32,
    pub(crate) line: u32,
    pub(crate) pays_first: bool,
    pub(crate) tickets: Tickets,
    pub(crate) buyers: Vec<Buyer>,
}

impl Buyer {
    fn new() -> Buyer {
        Buyer {
            known: Known::Nothing,
            changes: 0,
            asked: 0,
            under_way: 0,
            returns: 0,
            first_asked: None,
            first_told: None,
            has_one: true,
            has_paid: false,
            has_returned: false,
            in_line: None,
        }
    }

    /// The tick since which it is known to be in line, if it is.
    pub(crate) fn in_line_since(&self) -> Option<u64> {
        self.in_line.filter(|(_, changes)| *changes == self.changes).map(|(tick, _)| tick)
    }

    /// Notes that it has no ticket. Where they lapse, one may have come and gone.
    fn has_nothing(&mut self, hold_s: u32) {
        self.has_one &= hold_s == 0 || self.known == Known::Nothing;
        (self.known, self.first_asked) = (Known::Nothing, None);
    }

    /// Notes that what is known may be so no more.
    fn lose(&mut self) {
        self.known = Known::Unsure;
        self.changes += 1;
        self.has_one = false;
    }
}

impl Gate {
    pub(crate) fn new(name: u8, buyers: usize, (hold_s, line, pays_first): (u32, u32, bool)) -> Gate {
        let buyers = (0..buyers).map(|_| Buyer::new()).collect();
        Gate { name, hold_s, line, pays_first, tickets: Tickets::default(), buyers }
    }

    /// Notes what a buyer asks.
    pub(crate) fn ask(&mut self, buyer: usize, act: Act, tick: u64, now: Moment) -> Before {
        let buyer = &mut self.buyers[buyer];
        let known = buyer.known;
        buyer.asked += 1;
        // After a place there may have been a ticket, which has lapsed, and then another place.
        if matches!(act, Act::Join { .. }) {
            buyer.in_line = None;
        }
        match act {
            Act::Return => {
                buyer.changes += 1;
                (buyer.has_returned, buyer.has_one) = (true, false);
                if known != Known::Nothing {
                    buyer.known = Known::Unsure;
                }
            }
            Act::Join { .. } if known == Known::Nothing => {
                buyer.known = Known::Asked { since: now, tick };
                buyer.first_asked.get_or_insert(tick);
            }
            Act::Pay => buyer.has_paid = true,
            _ => {}
        }
        let (changes, asked) = (buyer.changes, buyer.asked);
        let before =
            Before { tick, at: now, known, changes, asked, is_alone: buyer.under_way == 0, returns: buyer.returns };
        buyer.under_way += 1;
        buyer.returns += u32::from(act == Act::Return);
        before
    }

    /// Notes what a buyer is told, and holds it against what was told before. `may_fail`: that it is not now may have been
    /// the disk.
    pub(crate) fn tell(
        &mut self,
        buyer: usize,
        (act, before): (Act, Before),
        answer: GateAnswer,
        (tick, now): (u64, Moment),
        may_fail: bool,
    ) {
        let (number, hold_s, most) = (buyer, self.hold_s, self.tickets.most());
        let buyer = &mut self.buyers[number];
        buyer.under_way -= 1;
        buyer.returns -= u32::from(act == Act::Return);
        // Nothing that takes a ticket away can have come in between, and nothing at all.
        let is_same = buyer.changes == before.changes && before.returns == 0;
        let is_alone = before.is_alone && buyer.asked == before.asked;
        let had = match before.known {
            Known::Has { seat, until, .. } if is_same && until.is_none_or(|until| now < until) => Some((seat, until)),
            _ => None,
        };
        let what = || format!("buyer {number} asks {act:?}, had {had:?}, and is told {answer:?}");
        match answer {
            GateAnswer::Seat(seat) | GateAnswer::Held { seat, .. } | GateAnswer::Paid { seat } => {
                assert!((1..=most).contains(&seat), "{}: there were never more than {most}", what());
                assert!(had.is_none_or(|(told, _)| told == seat), "{}: a seat once told stays", what());
            }
            GateAnswer::SoldOut | GateAnswer::InLine(_) | GateAnswer::Unknown => {
                assert!(had.is_none(), "{}: a seat once told stays", what());
            }
            GateAnswer::NotNow => {
                let tells = matches!(act, Act::Join { .. } | Act::Look);
                assert!(had.is_none() || !tells, "{}: a repeat and a look are always answered", what());
            }
            GateAnswer::Done | GateAnswer::NoMoreTime => {}
        }
        match (act, answer) {
            (Act::Join { admits, .. }, GateAnswer::Seat(seat)) => {
                let had_nothing = before.known == Known::Nothing && is_alone;
                assert!(admits || !had_nothing, "{}: while the server is drained", what());
                buyer.first_told.get_or_insert(tick);
                match buyer.known {
                    Known::Asked { since, tick } if is_same => {
                        let until = (hold_s > 0).then(|| since.after_ms(u64::from(hold_s) * 1000));
                        self.has(number, seat, until, Some(tick), now);
                    }
                    _ if is_same && hold_s == 0 => self.has(number, seat, None, None, now),
                    _ => {}
                }
            }
            (Act::Join { .. }, GateAnswer::InLine(_)) => {
                buyer.first_told.get_or_insert(tick);
                // A ticket may come and go, and another one be asked for.
                buyer.has_one &= hold_s == 0;
                if is_same && is_alone {
                    buyer.in_line = Some((tick, buyer.changes));
                }
            }
            (Act::Join { .. }, GateAnswer::SoldOut) => {
                if is_alone {
                    buyer.has_nothing(hold_s);
                }
                self.tickets.refused(before.tick, tick);
            }
            (Act::Join { admits, .. }, GateAnswer::NotNow) => {
                assert!(!admits || may_fail || !self.tickets.is_told(before.tick), "{}: it is open", what());
            }
            (Act::Look, GateAnswer::Held { seat, left_s }) => {
                assert!(had.is_none_or(|(_, until)| until.is_some()), "{}: paid never lapses", what());
                if is_same && left_s > 0 {
                    let until = before.at.after_ms((left_s - 1) * 1000);
                    self.has(number, seat, Some(until), None, now);
                }
            }
            (Act::Look, GateAnswer::Paid { seat }) | (Act::Pay, GateAnswer::Seat(seat)) => {
                if is_same {
                    self.has(number, seat, None, None, now);
                }
            }
            // The buyer may be in line.
            (Act::Pay | Act::Extend { .. }, GateAnswer::Unknown) => {}
            (Act::Look, GateAnswer::Unknown) | (Act::Return, GateAnswer::Done | GateAnswer::Unknown) => {
                if is_alone {
                    buyer.has_nothing(hold_s);
                }
            }
            (Act::Look, GateAnswer::InLine(_)) => {}
            (Act::Extend { seconds }, GateAnswer::Done) => {
                if let (Some((seat, Some(until))), Known::Has { until: Some(_), .. }) = (had, buyer.known) {
                    self.has(number, seat, Some(until.after_ms(u64::from(seconds) * 1000)), None, now);
                }
            }
            (Act::Extend { .. }, GateAnswer::NoMoreTime) => {
                assert!(had.is_none_or(|(_, until)| until.is_some()), "{}: it is for good", what());
            }
            (Act::Pay | Act::Extend { .. } | Act::Return, GateAnswer::NotNow) if may_fail => {}
            _ => panic!("{}: that is no answer", what()),
        }
    }

    /// Notes that a buyer has a seat until then, if that is still to come.
    fn has(&mut self, number: usize, seat: u32, until: Option<Moment>, tick: Option<u64>, now: Moment) {
        let known = self.buyers[number].known;
        if until.is_some_and(|until| until <= now) {
            // What is told is old.
            if !matches!(known, Known::Has { .. }) {
                self.buyers[number].lose();
            }
            return;
        }
        let (until, tick) = match known {
            Known::Has { seat: of_known, until: known, tick: asked } => {
                assert_eq!(seat, of_known, "of buyer {number}, who has one");
                (until.zip(known).map(|(told, known)| told.max(known)), tick.or(asked))
            }
            _ => (until, tick),
        };
        for (other, buyer) in self.buyers.iter().enumerate() {
            let is_others = matches!(buyer.known, Known::Has { seat: of_other, .. } if of_other == seat);
            assert!(!is_others || other == number, "buyers {number} and {other} have seat {seat}");
        }
        self.buyers[number].known = Known::Has { seat, until, tick };
    }

    /// Some time has passed: holds may have ended.
    pub(crate) fn pass(&mut self, now: Moment) {
        for buyer in &mut self.buyers {
            if let Known::Has { until: Some(until), .. } = buyer.known
                && until <= now
            {
                buyer.lose();
            }
        }
    }

    /// Nothing is under way any more. The clock may go back with that.
    pub(crate) fn rest(&mut self, now: Moment) {
        for buyer in &mut self.buyers {
            (buyer.under_way, buyer.returns) = (0, 0);
            // What was asked must not look as if it were alone.
            buyer.asked += 1;
            if let Known::Asked { since, .. } = &mut buyer.known {
                *since = now.min(*since);
            }
        }
    }
}
