//! Taking over a queue that was elsewhere before: it keeps its name, settings and counters, and each message its number.

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::Purpose;
use crate::log::entry::{
    Entry, GATE_BYTES, SETTINGS_BYTES_MAX, STATE_BYTES, Seq, TIME_BYTES, gone_bytes, put_bytes, record_bytes,
    ticket_bytes,
};
use crate::log::ranges::{RANGE_BYTES_MAX, RangesWriter};
use crate::queue::Kept;
use crate::queue::table::Slot;
use crate::recovery::survey::{SurveyedGate, SurveyedTicket};
use crate::store::Store;

/// What a queue is that comes from elsewhere, without its messages.
#[derive(Debug, Clone, Copy)]
pub struct Adopted<'a> {
    /// Its name: any, since what was once stored under it is moved, and not lost.
    pub name: &'a [u8],
    /// What it was told; empty when it was told nothing.
    pub settings: &'a [u8],
    /// Messages put since it was made, those that follow apart.
    pub sets: u64,
    /// Messages taken since it was made.
    pub gets: u64,
    /// The number of its first message, or of its next one when there is none.
    pub head: Seq,
}

impl Store {
    /// Makes a queue that was elsewhere before. Its messages follow by [`adopt_message`](Self::adopt_message).
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    ///
    /// # Panics
    /// When there is such a queue, or its settings are too long.
    pub fn adopt(&mut self, adopted: Adopted<'_>) -> Result<Attempt<()>> {
        let Adopted { name, settings, sets, gets, head } = adopted;
        assert!(self.live.queues.find(name).is_none() && head > 0, "a queue is adopted once");
        assert!(settings.len() <= SETTINGS_BYTES_MAX, "settings have a largest size");
        if let Some(held_up) = self.log.make_room(record_bytes(name, settings), Purpose::Set).held_up() {
            return Ok(held_up);
        }
        self.add_queue(name, |queue| {
            (queue.head, queue.next, queue.sets, queue.gets) = (head, head, sets, gets);
            queue.set_settings(settings);
        });
        Ok(Attempt::Done(()))
    }

    /// Puts a message of a queue that was adopted. Its number is above those of all before it.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    ///
    /// # Panics
    /// When there is no such queue, the number is too low, or the body too large.
    pub fn adopt_message(
        &mut self,
        name: &[u8],
        seq: Seq,
        flags: u32,
        body: &[u8],
        kept: &Kept,
    ) -> Result<Attempt<()>> {
        assert!(body.len() <= self.options.body_bytes_max, "the caller checks the size");
        let slot = self.live.queues.find(name).expect("the queue was adopted");
        if let Some(held_up) = self.skip_to(slot, seq, TIME_BYTES + put_bytes(body.len()) + STATE_BYTES).held_up() {
            return Ok(held_up);
        }
        self.push_at(slot, flags, body, kept.put_second);
        self.adopt_state(slot, kept.state);
        Ok(Attempt::Done(()))
    }

    /// Takes over what was counted of the gate of a queue that was [adopted](Self::adopt), as far as that is less than what is
    /// there.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    ///
    /// # Panics
    /// When there is no such queue.
    pub fn adopt_gate(&mut self, name: &[u8], gate: &SurveyedGate) -> Result<Attempt<()>> {
        let slot = self.live.queues.find(name).expect("the queue was adopted");
        let room = self.log.make_room(GATE_BYTES, Purpose::Set);
        if room.is_done() {
            let mut tally = gate.tally;
            tally.given = gate.given_at_least();
            let queue = self.live.queues.at(slot).id;
            self.gates.make(queue).tally = tally;
            self.log.append(&Entry::Gate { queue, tally });
        }
        Ok(room)
    }

    /// Takes over a ticket, or a place in line, of a queue that was [adopted](Self::adopt). Its message has the number that it
    /// had.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    ///
    /// # Panics
    /// When there is no such queue.
    pub fn adopt_ticket(&mut self, name: &[u8], ticket: &SurveyedTicket<'_>) -> Result<Attempt<()>> {
        let slot = self.live.queues.find(name).expect("the queue was adopted");
        let SurveyedTicket { key, ticket } = ticket;
        let buyer = &ticket.buyer;
        let room = self.log.make_room(ticket_bytes(buyer.len()), Purpose::Set);
        if room.is_done() {
            self.append_ticket(slot, *key, buyer, ticket.terms(), (false, false));
        }
        Ok(room)
    }

    /// Ends the messages of a queue that was adopted: its next message gets the number `next`.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    ///
    /// # Panics
    /// When there is no such queue, or a message has that number already.
    pub fn adopt_end(&mut self, name: &[u8], next: Seq) -> Result<Attempt<()>> {
        let slot = self.live.queues.find(name).expect("the queue was adopted");
        Ok(self.skip_to(slot, next, 0))
    }

    /// Has the queue's next message get the number `next`; the numbers before it are gone. What follows takes so many
    /// bytes.
    fn skip_to(&mut self, slot: Slot, next: Seq, bytes: usize) -> Attempt<()> {
        let room = self.log.make_room(gone_bytes(RANGE_BYTES_MAX) + bytes, Purpose::Set);
        if let Some(held_up) = room.held_up() {
            return held_up;
        }
        let queue = self.live.queues.at_mut(slot);
        assert!(next >= queue.next, "messages are adopted in their order");
        if next > queue.next {
            let mut ranges = RangesWriter::default();
            ranges.push(queue.next..next);
            self.log.append(&Entry::Gone { queue: queue.id, begins: false, ranges: ranges.bytes() });
            queue.skip_to(next);
        }
        Attempt::Done(())
    }
}
