//! Where a sentence does not hold: who, which seat, when.

use std::collections::BTreeMap;

use super::sentence::{Sentence, Verdict};
use super::{Buyer, Evidence, Message, Told};

/// What is known of one buyer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// When it first asked.
    asked_ns: u64,
    /// The first seat that it was told, and when.
    seat: Option<(u32, u64)>,
    /// When it was first refused.
    refused_ns: Option<u64>,
    /// When it was told that it had paid.
    paid_ns: Option<u64>,
    /// Messages of its own in the queue.
    messages: u32,
}

const NOTHING: Known = Known { asked_ns: u64::MAX, seat: None, refused_ns: None, paid_ns: None, messages: 0 };

impl Known {
    /// The buyer has a ticket for all that is known.
    fn has_ticket(&self) -> bool {
        self.seat.is_some() || self.messages > 0
    }
}

/// A time, in milliseconds since the start.
fn at(ns: u64) -> String {
    format!("{:.3} ms", ns as f64 / 1e6)
}

/// Goes through what the buyers were told, and finds what contradicts itself.
pub(super) fn told(evidence: &Evidence<'_>, verdict: &mut Verdict) -> Vec<Known> {
    let mut buyers = vec![NOTHING; evidence.buyers as usize];
    for ask in evidence.asks {
        let known = &mut buyers[ask.buyer as usize];
        known.asked_ns = known.asked_ns.min(ask.sent_ns);
        if let Some((heard_ns, told)) = ask.told {
            hear(verdict, ask.buyer, known, heard_ns, told);
        }
    }
    for message in evidence.queue {
        if let Message::Of(buyer) = message
            && let Some(known) = buyers.get_mut(*buyer as usize)
        {
            known.messages += 1;
        }
    }
    verdict.winners = buyers.iter().filter(|known| known.seat.is_some()).count() as u64;
    verdict.refused = buyers.iter().filter(|known| known.refused_ns.is_some()).count() as u64;
    buyers
}

fn hear(verdict: &mut Verdict, buyer: Buyer, known: &mut Known, heard_ns: u64, told: Told) {
    let stays = if known.paid_ns.is_some() { Sentence::PaidStays } else { Sentence::Stays };
    match (told, known.seat) {
        (Told::Seat(seat) | Told::Paid(seat), Some((first, first_ns))) if seat != first => {
            let (first_ns, heard_ns) = (at(first_ns), at(heard_ns));
            let example =
                || format!("buyer {buyer} was told seat {first} at {first_ns}, and seat {seat} at {heard_ns}");
            verdict.violated(Sentence::OneABuyer, example);
        }
        (Told::Refused, Some((seat, first_ns))) => verdict.violated(stays, || {
            let (first_ns, heard_ns) = (at(first_ns), at(heard_ns));
            format!("buyer {buyer} was told seat {seat} at {first_ns}, and that all is sold out at {heard_ns}")
        }),
        (Told::NotHeld, seat) => verdict.violated(stays, || {
            let seat = seat.map_or(0, |(seat, _)| seat);
            format!("buyer {buyer} paid for seat {seat}, and was told at {} that there is none", at(heard_ns))
        }),
        (Told::Seat(seat) | Told::Paid(seat), None) => {
            known.seat = Some((seat, heard_ns));
            if let Some(refused_ns) = known.refused_ns {
                verdict.violated(Sentence::RefusedMeansGiven, || {
                    let (refused_ns, heard_ns) = (at(refused_ns), at(heard_ns));
                    format!(
                        "buyer {buyer} was told that all is sold out at {refused_ns}, and seat {seat} at {heard_ns}"
                    )
                });
            }
        }
        _ => {}
    }
    match told {
        Told::Refused => _ = known.refused_ns.get_or_insert(heard_ns),
        Told::Paid(_) => _ = known.paid_ns.get_or_insert(heard_ns),
        Told::Seat(_) | Told::NotHeld => {}
    }
}

/// Seats that there are not, that two buyers have, and tickets beyond those that there are.
pub(super) fn seats(evidence: &Evidence<'_>, buyers: &[Known], verdict: &mut Verdict) {
    let mut owners: BTreeMap<u32, (usize, u64)> = BTreeMap::new();
    for (buyer, known) in buyers.iter().enumerate() {
        let Some((seat, heard_ns)) = known.seat else { continue };
        if !(1..=evidence.tickets).contains(&seat) {
            let (tickets, heard_ns) = (evidence.tickets, at(heard_ns));
            let example = || format!("buyer {buyer} was told seat {seat} of {tickets} at {heard_ns}");
            verdict.violated(Sentence::NotTooMany, example);
        }
        let &mut (other, other_ns) = owners.entry(seat).or_insert((buyer, heard_ns));
        if other != buyer {
            let (other_ns, heard_ns) = (at(other_ns), at(heard_ns));
            let example =
                || format!("seat {seat} was told to buyer {other} at {other_ns}, and to buyer {buyer} at {heard_ns}");
            verdict.violated(Sentence::Distinct, example);
        }
    }
    let with_ticket = buyers.iter().filter(|known| known.has_ticket()).count();
    if with_ticket > evidence.tickets as usize {
        let example = || format!("{with_ticket} buyers have a ticket, of which there are {}", evidence.tickets);
        verdict.violated(Sentence::NotTooMany, example);
    }
}

/// Refusals that were here when fewer buyers than there are tickets had even asked of those who have one.
pub(super) fn early_refusals(evidence: &Evidence<'_>, buyers: &[Known], verdict: &mut Verdict) {
    let mut asked_ns: Vec<u64> = buyers.iter().filter(|it| it.has_ticket()).map(|it| it.asked_ns).collect();
    asked_ns.sort_unstable();
    let last_ns = asked_ns.get(evidence.tickets as usize - 1).copied().unwrap_or(u64::MAX);
    for ask in evidence.asks {
        let Some((heard_ns, Told::Refused)) = ask.told else { continue };
        if heard_ns < last_ns {
            let given = asked_ns.partition_point(|asked_ns| *asked_ns <= heard_ns);
            let (buyer, tickets, heard_ns) = (ask.buyer, evidence.tickets, at(heard_ns));
            verdict.violated(Sentence::RefusedMeansGiven, || {
                format!(
                    "buyer {buyer} was told that all is sold out at {heard_ns}, when at most {given} of {tickets} were"
                )
            });
        }
    }
}

/// Tickets without a message, and messages without a ticket.
pub(super) fn messages(evidence: &Evidence<'_>, buyers: &[Known], verdict: &mut Verdict) {
    let mut violated = |example: String| verdict.violated(Sentence::MessageOfEach, || example);
    for (buyer, known) in buyers.iter().enumerate() {
        match (known.seat, known.messages) {
            (Some((seat, heard_ns)), 0) => {
                let heard_ns = at(heard_ns);
                violated(format!("buyer {buyer} was told seat {seat} at {heard_ns}, and has no message in the queue"));
            }
            (None, 1..) => {
                let told = known.refused_ns.map_or(String::from("was told nothing"), |refused_ns| {
                    format!("was told that all is sold out at {}", at(refused_ns))
                });
                violated(format!("buyer {buyer} has a message in the queue, and {told}"));
            }
            _ => {}
        }
        if known.messages > 1 {
            violated(format!("buyer {buyer} has {} messages in the queue", known.messages));
        }
    }
    for (place, message) in evidence.queue.iter().enumerate() {
        let other = match message {
            Message::Of(buyer) if (*buyer as usize) < buyers.len() => continue,
            Message::Of(buyer) => format!("of buyer {buyer}"),
            Message::Other(text) => format!("{text:.80}"),
        };
        violated(format!("message {place} of the queue is no buyer's of this run: {other}"));
    }
    let messages = evidence.queue.len() as u64;
    if let Some(given) = evidence.given.filter(|given| *given != messages) {
        violated(format!(
            "the server has given {given} tickets by its own count, and the queue has {messages} messages"
        ));
    }
}

/// Buyers that are in the queue before one that had its answer before they asked.
pub(super) fn order(evidence: &Evidence<'_>, buyers: &[Known], verdict: &mut Verdict) {
    // The earliest answer behind the place that is looked at.
    let mut earliest: Option<(u64, Buyer)> = None;
    for (place, message) in evidence.queue.iter().enumerate().rev() {
        let Message::Of(buyer) = *message else { continue };
        let Some(known) = buyers.get(buyer as usize) else { continue };
        if let Some((heard_ns, first)) = earliest.filter(|(heard_ns, _)| *heard_ns < known.asked_ns) {
            verdict.violated(Sentence::FirstComeFirstServed, || {
                let seat = |buyer: Buyer| buyers[buyer as usize].seat.map_or(0, |(seat, _)| seat);
                format!(
                    "buyer {first} had seat {} at {}, before buyer {buyer}, who has seat {}, asked at {}, and stands \
                     behind message {place}, which is the latter's",
                    seat(first),
                    at(heard_ns),
                    seat(buyer),
                    at(known.asked_ns),
                )
            });
        }
        if let Some((_, heard_ns)) = known.seat
            && earliest.is_none_or(|(earliest_ns, _)| heard_ns < earliest_ns)
        {
            earliest = Some((heard_ns, buyer));
        }
    }
}
