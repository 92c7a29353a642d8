//! The gates of a store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::state::{Gate, Needless};
use super::ticket::Ticket;
use crate::log::entry::{QueueId, ticket_bytes};
use crate::log::frame::FrameNumber;
use crate::log::tickets::{Key, Tally, Terms};

/// All gates that ever gave a ticket, by their queues.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    by_queue: BTreeMap<QueueId, Gate>,
    /// When tickets lapse, or a line may get seats: one time a gate.
    timed: BTreeSet<(u64, QueueId)>,
    /// Gates whose line may have a seat to get.
    unserved: BTreeSet<QueueId>,
    /// Of queues that are gone, whose tickets still count as live in the log.
    forgotten: VecDeque<Gate>,
    /// The frame in which any gate's settings were changed last.
    pub(crate) ruled_in: FrameNumber,
}

impl Gates {
    pub(crate) fn get(&self, queue: QueueId) -> Option<&Gate> {
        self.by_queue.get(&queue)
    }

    pub(crate) fn get_mut(&mut self, queue: QueueId) -> Option<&mut Gate> {
        self.by_queue.get_mut(&queue)
    }

    /// The gate of a queue, made where there is none.
    pub(crate) fn make(&mut self, queue: QueueId) -> &mut Gate {
        self.by_queue.entry(queue).or_default()
    }

    /// Whether a queue has a gate.
    pub(crate) fn has(&self, queue: QueueId) -> bool {
        self.by_queue.contains_key(&queue)
    }

    /// Has a gate be looked at when its next ticket lapses, or its line may get seats. To be called when one was changed.
    pub(crate) fn time(&mut self, queue: QueueId) {
        let Some(gate) = self.by_queue.get_mut(&queue) else { return };
        let next = gate.next_lapse().map(|(at_ms, _)| at_ms).into_iter().chain(gate.opens_at).min();
        if next != gate.timed_at {
            if let Some(before) = std::mem::replace(&mut gate.timed_at, next) {
                self.timed.remove(&(before, queue));
            }
            self.timed.extend(next.map(|at_ms| (at_ms, queue)));
        }
    }

    /// Of all gates the one that is to be looked at first: when, and of which queue.
    pub(crate) fn next_due(&self) -> Option<(u64, QueueId)> {
        self.timed.first().copied()
    }

    /// Notes that the line of a gate may have a seat to get, if there is one.
    pub(crate) fn note_unserved(&mut self, queue: QueueId) {
        if self.get(queue).is_some_and(Gate::has_line) {
            self.unserved.insert(queue);
        }
    }

    /// A gate whose line may have a seat to get.
    pub(crate) fn next_unserved(&self) -> Option<QueueId> {
        self.unserved.first().copied()
    }

    /// Notes that the line of a gate has got what there was; it may get seats from this moment on, if there is one.
    pub(crate) fn note_served(&mut self, queue: QueueId, opens_at: Option<u64>) {
        self.unserved.remove(&queue);
        if let Some(gate) = self.get_mut(queue) {
            gate.opens_at = opens_at;
            self.time(queue);
        }
    }

    /// Has a queue have no gate any more. What it holds is given back [one by one](Self::give_back).
    pub(crate) fn forget_queue(&mut self, queue: QueueId) {
        if let Some(gate) = self.by_queue.remove(&queue) {
            if let Some(at_ms) = gate.timed_at {
                self.timed.remove(&(at_ms, queue));
            }
            self.unserved.remove(&queue);
            self.forgotten.push_back(gate);
        }
    }

    /// Whether there is something to give back.
    pub(crate) fn has_forgotten(&self) -> bool {
        !self.forgotten.is_empty()
    }

    /// Gives back one of the tickets of queues that are gone.
    pub(crate) fn give_back(&mut self) -> Option<Needless> {
        while let Some(gate) = self.forgotten.front_mut() {
            if let Some(needless) = gate.pop() {
                return Some(needless);
            }
            self.forgotten.pop_front();
        }
        None
    }

    /// The gates from that of a queue on, in order.
    pub(crate) fn from(&self, queue: QueueId) -> impl Iterator<Item = (QueueId, &Gate)> {
        self.by_queue.range(queue..).map(|(queue, gate)| (*queue, gate))
    }

    /// The segments of all entries of tickets that are needed, and their bytes.
    pub(crate) fn needed(&self) -> impl Iterator<Item = (u32, usize)> {
        let tickets = self.by_queue.values().flat_map(|gate| gate.from(Key::seat(1)));
        tickets.map(|(_, ticket)| (ticket.segment, ticket_bytes(ticket.buyer.len())))
    }
}

/// The gates as entries tell them, which may come again, and over what a checkpoint knows already: the last that is said
/// of a seat counts, and tallies only grow.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    pub(crate) tickets: BTreeMap<(QueueId, Key), Ticket>,
    pub(crate) tallies: BTreeMap<QueueId, Tally>,
}

impl Telling {
    pub(crate) fn is_empty(&self) -> bool {
        self.tickets.is_empty() && self.tallies.is_empty()
    }

    /// Notes what a buyer has.
    pub(crate) fn know(&mut self, queue: QueueId, key: Key, buyer: &[u8], terms: Terms, segment: u32) {
        self.tickets.insert((queue, key), Ticket::new(buyer.into(), terms, segment));
        if let Some(place) = key.as_place() {
            let tally = self.tallies.entry(queue).or_default();
            tally.places = tally.places.max(place + 1);
        }
    }

    pub(crate) fn tally(&mut self, queue: QueueId) -> &mut Tally {
        self.tallies.entry(queue).or_default()
    }

    /// Forgets the gate of a queue that was dropped.
    pub(crate) fn drop_queue(&mut self, queue: QueueId) {
        let keys: Vec<Key> = self.of_queue(queue).map(|(key, _)| key).collect();
        keys.into_iter().for_each(|key| drop(self.tickets.remove(&(queue, key))));
        self.tallies.remove(&queue);
    }

    /// What the buyers of a queue's gate have, in order.
    pub(crate) fn of_queue(&self, queue: QueueId) -> impl Iterator<Item = (Key, &Ticket)> {
        let first = (queue, Key::seat(0));
        let rest = self.tickets.range(first..).take_while(move |((of, _), _)| *of == queue);
        rest.map(|((_, key), ticket)| (*key, ticket))
    }

    /// The gates that came of it, of the queues that there are.
    pub(crate) fn finish(mut self, is_there: impl Fn(QueueId) -> bool) -> Gates {
        let mut gates = Gates::default();
        self.tallies.retain(|queue, _| is_there(*queue));
        self.tickets.retain(|(queue, _), _| is_there(*queue));
        for (queue, tally) in self.tallies {
            gates.make(queue).tally = tally;
        }
        for ((queue, key), ticket) in self.tickets {
            gates.make(queue).set(key, ticket);
        }
        let queues: Vec<QueueId> = gates.by_queue.keys().copied().collect();
        for queue in queues {
            gates.time(queue);
            gates.note_unserved(queue);
        }
        gates
    }
}
