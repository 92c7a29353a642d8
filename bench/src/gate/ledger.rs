//! What every buyer was told, as it comes.

use hdrhistogram::Histogram;

use super::check::{Ask, Buyer, Told};
use crate::tally::latencies;

/// The kind of a buyer's first answer, and how long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct First {
    pub(crate) heard_ns: u64,
    pub(crate) latency_ns: u64,
    pub(crate) is_seat: bool,
}

/// All that was sent and told.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) asks: Vec<Ask>,
    /// Each buyer's first answer, in the order in which they came.
    pub(crate) firsts: Vec<First>,
    /// Of the first answers.
    pub(crate) seats_ns: Histogram<u64>,
    pub(crate) refusals_ns: Histogram<u64>,
    /// Buyers that were told a seat, in the order in which they were.
    pub(crate) winners: Vec<Buyer>,
    /// Some that were refused.
    pub(crate) some_refused: Vec<Buyer>,
    /// When the first request was sent.
    pub(crate) began_ns: Option<u64>,
    /// Requests whose answers never came, since their connections broke or were dropped.
    pub(crate) unanswered: u64,
    /// Answers that it cannot be said now.
    pub(crate) not_now: u64,
}

/// Refused buyers that are remembered.
const REFUSED_KEPT: usize = 1000;

impl Ledger {
    pub(crate) fn new() -> Ledger {
        Ledger {
            asks: Vec::new(),
            firsts: Vec::new(),
            seats_ns: latencies(),
            refusals_ns: latencies(),
            winners: Vec::new(),
            some_refused: Vec::new(),
            began_ns: None,
            unanswered: 0,
            not_now: 0,
        }
    }

    /// A request of a buyer was sent. That of another may have been sent before, and is told of later.
    pub(super) fn sent(&mut self, sent_ns: u64) {
        self.began_ns = Some(self.began_ns.map_or(sent_ns, |began_ns| began_ns.min(sent_ns)));
    }

    /// It brought no answer, or none that tells anything.
    pub(super) fn untold(&mut self, buyer: Buyer, sent_ns: u64) {
        self.asks.push(Ask { buyer, sent_ns, told: None });
    }

    /// A buyer's first answer came, to a request that was due at `due_ns`.
    pub(super) fn first(&mut self, ask: Ask, due_ns: u64) {
        let Some((heard_ns, told)) = ask.told else { return };
        let latency_ns = heard_ns.saturating_sub(due_ns);
        let is_seat = told != Told::Refused;
        if is_seat {
            self.seats_ns.saturating_record(latency_ns);
            self.winners.push(ask.buyer);
        } else {
            self.refusals_ns.saturating_record(latency_ns);
            if self.some_refused.len() < REFUSED_KEPT {
                self.some_refused.push(ask.buyer);
            }
        }
        self.firsts.push(First { heard_ns, latency_ns, is_seat });
        self.asks.push(ask);
    }

    /// When the first seat was told, and when the last.
    pub(crate) fn seats_told(&self) -> Option<(u64, u64)> {
        let mut seats = self.firsts.iter().filter(|first| first.is_seat);
        let first_ns = seats.next()?.heard_ns;
        Some((first_ns, seats.next_back().map_or(first_ns, |last| last.heard_ns)))
    }

    /// From the first request to when so many seats were told, in nanoseconds.
    pub(crate) fn sold_out_ns(&self, tickets: u32) -> Option<u64> {
        let last = self.firsts.iter().filter(|first| first.is_seat).nth(tickets as usize - 1)?;
        Some(last.heard_ns - self.began_ns?)
    }

    /// Refusals a second, from the first to the last.
    pub(crate) fn refusals_per_second(&self) -> f64 {
        let mut refusals = self.firsts.iter().filter(|first| !first.is_seat);
        let Some((first, last)) = refusals.next().zip(refusals.next_back()) else { return 0.0 };
        (self.refusals_ns.len() - 1) as f64 * 1e9 / (last.heard_ns - first.heard_ns).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(told: &[(u64, Told)]) -> Ledger {
        let mut ledger = Ledger::new();
        ledger.sent(1_200);
        ledger.sent(1_000);
        for (buyer, (heard_ns, told)) in told.iter().enumerate() {
            let ask = Ask { buyer: buyer as Buyer, sent_ns: 1_000, told: Some((*heard_ns, *told)) };
            ledger.first(ask, 500);
        }
        ledger
    }

    #[test]
    fn seats_and_refusals_are_apart() {
        let told =
            [(2_000, Told::Seat(1)), (3_000, Told::Refused), (4_000, Told::Seat(2)), (1_000_003_000, Told::Refused)];
        let ledger = ledger(&told);
        assert_eq!((ledger.seats_ns.len(), ledger.refusals_ns.len(), ledger.asks.len()), (2, 2, 4));
        assert_eq!((&ledger.winners[..], &ledger.some_refused[..]), (&[0, 2][..], &[1, 3][..]));
        assert_eq!(
            (ledger.seats_told(), ledger.sold_out_ns(2), ledger.sold_out_ns(3)),
            (Some((2_000, 4_000)), Some(3_000), None)
        );
        assert_eq!((ledger.refusals_per_second(), ledger.firsts[0].latency_ns), (1.0, 1_500));
    }

    #[test]
    fn a_gate_without_answers_has_no_figures() {
        let ledger = ledger(&[]);
        assert_eq!((ledger.seats_told(), ledger.sold_out_ns(1), ledger.refusals_per_second()), (None, None, 0.0));
    }
}
