//! What a survey found of one queue.

use crate::gate::ticket::Ticket;
use crate::log::entry::Seq;
use crate::log::tickets::{Key, Tally};
use crate::queue::Queue;

/// A queue of a survey.
#[derive(Debug, Clone, Copy)]
pub struct Surveyed<'a> {
    pub(super) queue: &'a Queue,
    pub(super) log_id: u64,
}

/// What a survey found of the gate of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SurveyedGate {
    pub(crate) tally: Tally,
    pub(crate) valid: u64,
    pub(super) line: u64,
    pub(super) sets: u64,
}

impl SurveyedGate {
    /// Tickets that were given, as far as that is known of a damaged log: what is there was given, and what went.
    #[must_use]
    pub fn given_at_least(&self) -> u64 {
        self.tally.given.max(self.valid.saturating_add(self.tally.returned).saturating_add(self.tally.lapsed))
    }

    /// Tickets that were given.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.tally.given
    }

    /// Tickets that were given back.
    #[must_use]
    pub fn returned(&self) -> u64 {
        self.tally.returned
    }

    /// Tickets that were not paid in time.
    #[must_use]
    pub fn lapsed(&self) -> u64 {
        self.tally.lapsed
    }

    /// Tickets that are there.
    #[must_use]
    pub fn valid(&self) -> u64 {
        self.valid
    }

    /// Buyers in line.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Whether each ticket that was given is there, or was given back, or has lapsed; and was put as a message.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.tally.given.checked_sub(self.tally.returned) == self.valid.checked_add(self.tally.lapsed)
            && self.sets >= self.tally.given
    }
}

/// A ticket that a survey found, or a place in line.
#[derive(Debug, Clone, Copy)]
pub struct SurveyedTicket<'a> {
    pub(crate) key: Key,
    pub(crate) ticket: &'a Ticket,
}

impl Surveyed<'_> {
    /// Its name. One whose name was lost gets one that no other queue has.
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        match &*self.queue.name {
            b"" => self.spare_name(),
            name => name.to_vec(),
        }
    }

    /// A name that no other queue has, for one whose own is lost or taken.
    #[must_use]
    pub fn spare_name(&self) -> Vec<u8> {
        format!("repaired-{:016x}-{}", self.log_id, self.queue.id).into_bytes()
    }

    /// Messages put since the queue was made.
    #[must_use]
    pub fn sets(&self) -> u64 {
        self.queue.sets
    }

    /// Messages taken since the queue was made.
    #[must_use]
    pub fn gets(&self) -> u64 {
        self.queue.gets
    }

    /// What it was told; empty when it was told nothing.
    #[must_use]
    pub fn settings(&self) -> &[u8] {
        self.queue.settings()
    }

    /// The number of its first message; that of the next one when there is none.
    #[must_use]
    pub fn first(&self) -> Seq {
        self.queue.messages().next().map_or(self.queue.next, |(seq, _)| seq)
    }

    /// The number that the next message gets.
    #[must_use]
    pub fn next(&self) -> Seq {
        self.queue.next
    }

    /// Messages that are there.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.queue.stored()
    }

    /// Bytes of their bodies.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.queue.messages().map(|(_, message)| u64::from(message.place.body_bytes)).sum()
    }

    /// Messages that should be there and are not.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.queue.lost()
    }

    /// Whether its name and all messages are there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.queue.name.is_empty() && self.lost() == 0
    }
}
