//! The messages of a gate, held against its tickets in the end.

use std::collections::{BTreeMap, BTreeSet};

use shards::Taken as Message;

use super::GateSimulation;
use super::asks::buyer_of;
use super::told::{Gate, Known};

/// What workers have taken of a gate's queue.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The messages that were told, by their numbers.
    told: BTreeMap<u64, Vec<u8>>,
    /// Takes of which none was told what came of it: each may have had a message.
    pub(crate) unread: u64,
}

impl Taken {
    pub(crate) fn tell(&mut self, Message { seq, body, .. }: Message) {
        let before = self.told.insert(seq, body.into());
        assert_eq!(before, None, "message {seq} is taken twice");
    }
}

impl GateSimulation<'_> {
    /// Takes all messages that there are, and holds all that ever were against the tickets.
    pub(crate) fn drain_and_check(&mut self) {
        for at in 0..self.gates.len() {
            let drained = self.drain(at);
            let Taken { told, unread } = std::mem::take(&mut self.taken[at]);
            let mut messages = told;
            for (seq, body) in drained {
                assert_eq!(messages.insert(seq, body), None, "message {seq} was taken before");
            }
            let Some(figures) = self.figures(at) else {
                assert!(messages.is_empty(), "no gate, and no ticket: {messages:?}");
                continue;
            };
            self.counts.given += figures.given;
            self.counts.lapsed += figures.lapsed;
            self.counts.returned += figures.returned;
            let buyers: Vec<usize> = messages.values().map(|body| buyer_of(body)).collect();
            let gate = &self.gates[at];
            check_numbers(gate, &buyers, figures.given, unread);
            if unread == 0 {
                check_order(gate, &buyers);
            }
        }
    }
}

/// As many messages were ever put as tickets were given; those of tickets that have to be paid first, when they are.
/// `unread`: so many more may have been taken.
fn check_numbers(gate: &Gate, buyers: &[usize], given: u64, unread: u64) {
    let messages = buyers.len() as u64;
    assert!(messages <= given, "{messages} messages, and {given} tickets were given");
    let waits_for_pay = gate.pays_first && gate.hold_s > 0;
    assert!(waits_for_pay || messages + unread >= given, "{messages} and {unread} messages of {given} tickets");
    for (number, buyer) in gate.buyers.iter().enumerate() {
        let of_buyer = buyers.iter().filter(|other| **other == number).count();
        assert!(buyer.has_paid || !waits_for_pay || of_buyer == 0, "{number} has not paid, and has a message");
        let is_for_good = matches!(buyer.known, Known::Has { until: None, .. });
        if is_for_good && unread == 0 {
            assert!(of_buyer > 0, "{number} has a ticket for good, and no message");
            assert!(of_buyer == 1 || buyer.has_returned || gate.hold_s > 0, "{number} has one ticket");
        }
    }
}

/// If a buyer was told before another one asked, the message is before the other's. Of buyers who had one ticket.
fn check_order(gate: &Gate, buyers: &[usize]) {
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::<usize>::new());
    twice.extend(buyers.iter().copied().filter(|buyer| !seen.insert(*buyer)));
    let had_one = |buyer: usize| gate.buyers[buyer].has_one && !twice.contains(&buyer);
    let mut told_behind = u64::MAX;
    for number in buyers.iter().rev().copied().filter(|buyer| had_one(*buyer)) {
        let buyer = &gate.buyers[number];
        let asked = buyer.first_asked.unwrap_or(0);
        assert!(asked <= told_behind, "{number} asked when a buyer was told whose message is behind");
        told_behind = told_behind.min(buyer.first_told.unwrap_or(u64::MAX));
    }
}
