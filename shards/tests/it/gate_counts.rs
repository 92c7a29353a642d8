//! What a simulation of gates has done.

use std::fmt;

use shards::GateAnswer;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct GateCounts {
    pub(crate) kills: u64,
    pub(crate) power_cuts: u64,
    /// Requests that found a shard's disk slow, and such of which no client read what came of them.
    pub(crate) stalled: u64,
    pub(crate) unread: u64,
    /// What clients were told.
    seats: u64,
    places: u64,
    refusals: u64,
    not_now: u64,
    others: u64,
    /// What there was in the end.
    pub(crate) given: u64,
    pub(crate) lapsed: u64,
    pub(crate) returned: u64,
}

impl GateCounts {
    pub(crate) fn add_answer(&mut self, answer: GateAnswer) {
        match answer {
            GateAnswer::Seat(_) => self.seats += 1,
            GateAnswer::InLine(_) => self.places += 1,
            GateAnswer::SoldOut => self.refusals += 1,
            GateAnswer::NotNow => self.not_now += 1,
            _ => self.others += 1,
        }
    }

    pub(crate) fn add(&mut self, other: &GateCounts) {
        self.kills += other.kills;
        self.power_cuts += other.power_cuts;
        self.stalled += other.stalled;
        self.unread += other.unread;
        self.seats += other.seats;
        self.places += other.places;
        self.refusals += other.refusals;
        self.not_now += other.not_now;
        self.others += other.others;
        self.given += other.given;
        self.lapsed += other.lapsed;
        self.returned += other.returned;
    }
}

impl fmt::Display for GateCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GateCounts { kills, power_cuts, stalled, unread, seats, places, refusals, .. } = self;
        let GateCounts { not_now, others, given, lapsed, returned, .. } = self;
        write!(
            f,
            "{kills} kills, {power_cuts} power cuts; {given} tickets, {lapsed} lapsed, {returned} returned; told: "
        )?;
        write!(f, "{seats} seats, {places} places, {refusals} refusals, {not_now} not now, {others} other things; ")?;
        write!(f, "{unread} unread; {stalled} stalled")
    }
}
