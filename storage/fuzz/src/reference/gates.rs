//! A gate as the frames of a log tell it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::format::{self, FIRST_PLACE, NUMBER_END};
use super::super::gates::{Gate, Ticket};
use super::Why;

/// Why a ticket is no more.
const RETURNED: u8 = 1;
const LAPSED: u8 = 2;

#[derive(Debug, Default)]
pub(super) struct GateTold {
    pub(super) gate: Gate,
    /// The segments of the entries that say last who has what.
    segments: BTreeMap<u64, u32>,
    /// Its entries say what no store writes.
    contradicts: bool,
}

impl GateTold {
    /// A buyer has this from now on.
    pub(super) fn ticket(&mut self, told: &format::Ticket<'_>, segment: u32) {
        let gate = &mut self.gate;
        let ticket = Ticket {
            buyer: told.buyer.to_vec(),
            until: told.until,
            seq: told.seq,
            extended: told.extended,
            kept_back: told.what & 2 > 0,
        };
        let (is_new, is_given) = (told.what & 1 == 1, told.given > 0);
        self.contradicts |= is_given && told.given <= gate.given;
        // What is paid is not kept back, and what is in line has no time, and is.
        self.contradicts |= match told.key.checked_sub(FIRST_PLACE) {
            Some(place) => is_given || ticket.until > 0 || !ticket.kept_back || (is_new && place < gate.places),
            None => (ticket.until == 0 && ticket.kept_back) || (is_new && !is_given),
        };
        if is_given {
            gate.first_ms = if gate.first_ms == 0 { told.at } else { gate.first_ms.min(told.at) };
            gate.last_ms = gate.last_ms.max(told.at);
            gate.given = gate.given.max(told.given);
        }
        let before = match told.key.checked_sub(FIRST_PLACE) {
            Some(place) => {
                gate.places = gate.places.max(place + 1);
                gate.line.insert(place, ticket)
            }
            None => gate.seats.insert(told.key, ticket),
        };
        self.contradicts |= match before {
            Some(before) => is_new || is_given || before.buyer != told.buyer,
            None => false,
        };
        self.segments.insert(told.key, segment);
    }

    /// What stands behind a record of its queue. Without what was counted, that is gone with the segments before.
    pub(super) fn stands_behind_record(&mut self, entry: &format::Entry<'_>) {
        self.contradicts |= !matches!(entry, format::Entry::Gate { .. });
    }

    /// There is no ticket of this key any more.
    pub(super) fn freed(&mut self, key: u64, why: u8, count: u64) {
        let gate = &mut self.gate;
        self.segments.remove(&key);
        if let Some(place) = key.checked_sub(FIRST_PLACE) {
            self.contradicts |= why <= LAPSED;
            gate.places = gate.places.max(place + 1);
            gate.line.remove(&place);
        } else {
            self.contradicts |= why > LAPSED;
            gate.seats.remove(&key);
        }
        let counted = match why {
            RETURNED => &mut gate.returned,
            LAPSED => &mut gate.lapsed,
            _ => return,
        };
        self.contradicts |= count <= *counted;
        *counted = count.max(*counted);
    }

    /// So much was counted.
    pub(super) fn counted(&mut self, counted: [u64; 6]) {
        let gate = &mut self.gate;
        let [given, .., first_ms, last_ms] = counted;
        self.contradicts |= (gate.first_ms > 0 && first_ms > gate.first_ms) || last_ms < gate.last_ms;
        if given > 0 && (gate.first_ms == 0 || first_ms < gate.first_ms) {
            gate.first_ms = first_ms;
        }
        gate.last_ms = gate.last_ms.max(last_ms);
        let so_far = [&mut gate.given, &mut gate.returned, &mut gate.lapsed, &mut gate.places];
        for (so_far, counted) in so_far.into_iter().zip(counted) {
            self.contradicts |= counted < *so_far;
            *so_far = counted.max(*so_far);
        }
    }

    /// No ticket may be in a segment that is gone.
    pub(super) fn complete(&self, needed: u32) -> Result<(), Why> {
        match self.segments.iter().find(|(_, segment)| **segment < needed) {
            Some((key, _)) => Err(format!("the ticket {key} is in a segment that is gone")),
            None => Ok(()),
        }
    }

    /// Whether no store writes such a gate, of a queue whose next message gets this number.
    pub(super) fn is_impossible(&self, next: u64) -> bool {
        let Gate { given, returned, lapsed, places, seats, line, .. } = &self.gate;
        let tickets = || seats.values().chain(line.values());
        let buyers: BTreeSet<&[u8]> = tickets().map(|ticket| &*ticket.buyer).collect();
        let ends = |number: &u64| *number > NUMBER_END / 2;
        let is_at_its_end =
            [given, returned, lapsed, places].into_iter().any(ends) || tickets().any(|ticket| ends(&ticket.until));
        // A line is never as long as that.
        let is_far =
            line.keys().next_back().zip(line.keys().next()).is_some_and(|(last, first)| last - first >= 1 << 31);
        self.contradicts
            || is_at_its_end
            || is_far
            || buyers.len() < tickets().count()
            || *given != seats.len() as u64 + returned + lapsed
            || tickets().any(|ticket| ticket.seq == 0 || ticket.seq >= next)
    }
}
