//! Gates: what a buyer asks is answered by the state in memory, and what it changes is written down, a ticket in one frame
//! with its message.
//!
//! What a buyer is told waits until what it rests on is safe: of a refusal that is the last ticket that was given, and how
//! many there are to be; of all else the last change of the gate.

use crate::attempt::Attempt;
use crate::error::Result;
use crate::gate::asking::{GateAct, GateAnswer, GateAnswered, GateFigures};
use crate::gate::state::{Gate, Gets};
use crate::gate::ticket::Ticket;
use crate::log::Purpose;
use crate::log::entry::{Entry, FREED_BYTES, QueueId, STATE_BYTES, State, TAKE_BYTES, TicketEntry, ticket_bytes};
use crate::log::tickets::{BUYER_BYTES_MAX, Freed, Key, Terms};
use crate::queue::states::Out;
use crate::queue::table::Slot;
use crate::settings::{GateSettings, PutWhen, Settings};
use crate::store::Store;
use crate::store::puts::{Front, PutWith};

/// A message is kept back until then that is kept back until a ticket is paid: for ever, if nothing comes of it.
pub(super) const KEPT_BACK_MS: u64 = 1 << 62;

/// A ticket or a place in line that is to be given with the message that stands behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewTicket<'a> {
    pub(super) buyer: &'a [u8],
    /// Its seat or place.
    key: Key,
    /// The message gets its number when it is put.
    pub(super) terms: Terms,
}

impl Store {
    /// Asks the gate of a queue for a buyer. [`Attempt::NoRoom`]: nothing was changed, since the disk is full, or the queue
    /// by its settings.
    ///
    /// # Errors
    /// When the disk fails otherwise; the caller must stop.
    ///
    /// # Panics
    /// When the buyer's name is empty or longer than [`BUYER_BYTES_MAX`], or the body of a message
    /// larger than [`StoreOptions::body_bytes_max`](crate::StoreOptions::body_bytes_max).
    #[inline]
    pub fn ask_gate(&mut self, name: &[u8], buyer: &[u8], act: GateAct<'_>) -> Result<Attempt<GateAnswered>> {
        assert!((1..=BUYER_BYTES_MAX).contains(&buyer.len()), "the caller checks the size");
        let slot = self.live.queues.find(name);
        let id = slot.map(|slot| self.live.queues.at(slot).id);
        // The buyer first, then the stock: who has a ticket is never told that none is left.
        let found = id.and_then(|id| Some((id, self.gates.get(id)?.find(buyer)?)));
        match (act, found, slot) {
            (GateAct::Join { .. }, Some((id, key)), _) => {
                let gate = self.gates.get_mut(id).expect("the buyer was found in it");
                gate.repeats += 1;
                let answer = match (key.as_seat(), key.as_place()) {
                    (Some(seat), _) => GateAnswer::Seat(seat),
                    (None, place) => GateAnswer::InLine(gate.place_in_line(place.unwrap_or_default())),
                };
                Ok(self.told(id, answer))
            }
            (GateAct::Join { message, admits }, None, _) => Ok(self.join((name, slot), buyer, message, admits)),
            (_, None, _) => Ok(match id {
                Some(id) => self.told(id, GateAnswer::Unknown),
                None => Attempt::Done(GateAnswered { answer: GateAnswer::Unknown, waits: false }),
            }),
            (GateAct::Look, Some((id, key)), _) => Ok(self.told(id, self.look(id, key))),
            (GateAct::Pay, Some((id, key)), Some(slot)) => Ok(self.pay(slot, id, key)),
            (GateAct::Extend { seconds }, Some((id, key)), Some(slot)) => Ok(self.extend(slot, id, key, seconds)),
            (GateAct::Return, Some((id, key)), Some(slot)) => {
                let why = if key.as_seat().is_some() { Freed::Returned } else { Freed::Left };
                if let Some(held_up) = self.free_ticket(slot, key, why).held_up() {
                    return Ok(held_up);
                }
                // What is held up now is tried again in time.
                let _ = self.serve_line(slot);
                Ok(self.told(id, GateAnswer::Done))
            }
            (_, Some(_), None) => unreachable!("the buyer was found in the queue's gate"),
        }
    }

    /// What an operator sees of the gate of a queue. `None`: the queue has none, and never had.
    #[must_use]
    pub fn gate_figures(&self, name: &[u8]) -> Option<GateFigures> {
        let queue = self.live.queues.at(self.live.queues.find(name)?);
        let rules = queue.rules().map_or_else(GateSettings::default, |rules| rules.gate);
        let figures = self.gates.get(queue.id).map(|gate| gate.figures(&rules, self.log.now_ms));
        figures.or_else(|| rules.tickets.map(|_| Gate::default().figures(&rules, self.log.now_ms)))
    }

    /// An answer that rests on all that the gate of a queue is.
    fn told(&self, id: QueueId, answer: GateAnswer) -> Attempt<GateAnswered> {
        let changed_in = self.gates.get(id).map_or(0, |gate| gate.changed_in);
        Attempt::Done(GateAnswered { answer, waits: changed_in > self.acknowledged() })
    }

    fn look(&self, id: QueueId, key: Key) -> GateAnswer {
        let gate = self.gates.get(id).expect("the buyer was found in it");
        let ticket = gate.get(key).expect("the buyer was found there");
        match (key.as_seat(), ticket.terms().until) {
            (Some(seat), 0) => GateAnswer::Paid { seat },
            (Some(seat), until) => {
                GateAnswer::Held { seat, left_s: until.saturating_sub(self.log.now_ms).div_ceil(1000) }
            }
            (None, _) => GateAnswer::InLine(gate.place_in_line(key.as_place().unwrap_or_default())),
        }
    }

    /// Lets a buyer in who has nothing yet, if there is something to get.
    fn join(
        &mut self,
        (name, slot): (&[u8], Option<Slot>),
        buyer: &[u8],
        message: Option<(u32, &[u8])>,
        admits: bool,
    ) -> Attempt<GateAnswered> {
        const NOT_NOW: Attempt<GateAnswered> = Attempt::Done(GateAnswered { answer: GateAnswer::NotNow, waits: false });
        let now_ms = self.log.now_ms;
        let (acknowledged, ruled_in) = (self.acknowledged(), self.gates.ruled_in);
        let (rules, id) = match slot {
            Some(slot) => {
                if self.gates.get(self.live.queues.at(slot).id).is_some_and(Gate::has_line) {
                    // It may be their time by now. What is held up is tried again.
                    let _ = self.serve_line(slot);
                }
                let queue = self.live.queues.at(slot);
                let Some(rules) = queue.rules() else { return NOT_NOW };
                // Most of a crowd is told this, and nothing is copied for it.
                if let Some(gate) = self.gates.get_mut(queue.id)
                    && gate.gets(&rules.gate, now_ms) == Gets::Nothing
                {
                    gate.note_refused(now_ms);
                    let waits = gate.given_in.max(ruled_in) > acknowledged;
                    return Attempt::Done(GateAnswered { answer: GateAnswer::SoldOut, waits });
                }
                (rules.clone(), Some(queue.id))
            }
            None => match self.rules_of(name, b"") {
                Some(rules) => (rules, None),
                None => return NOT_NOW,
            },
        };
        let none = Gate::default();
        let gate = id.and_then(|id| self.gates.get(id)).unwrap_or(&none);
        let key = match gate.gets(&rules.gate, now_ms) {
            Gets::Seat(seat) => Key::seat(seat),
            Gets::Place(nth) => Key::place(nth),
            // Of a gate that has given nothing so far.
            Gets::Nothing => {
                let waits = ruled_in > acknowledged;
                return Attempt::Done(GateAnswered { answer: GateAnswer::SoldOut, waits });
            }
            Gets::NotNow => return NOT_NOW,
        };
        if !admits {
            return NOT_NOW;
        }
        if let Some(slot) = slot {
            self.live.follow_flush(slot);
        }
        let (flags, body) = message.unwrap_or((0, buyer));
        assert!(body.len() <= self.options.body_bytes_max, "the caller checks the size");
        let terms = self.terms_of(&rules, key);
        let front = Front::Ticket(NewTicket { buyer, key, terms });
        let put = self.put_behind((name, slot), Some(&rules), flags, body, (PutWith::default(), front));
        if let Some(held_up) = put.held_up() {
            return held_up;
        }
        let id = self.id_of(name).expect("a message was put into it");
        let answer = match (key.as_seat(), key.as_place()) {
            (Some(seat), _) => GateAnswer::Seat(seat),
            (None, place) => {
                let gate = self.gates.get(id).expect("it was made with the place");
                GateAnswer::InLine(gate.place_in_line(place.unwrap_or_default()))
            }
        };
        self.told(id, answer)
    }

    /// What is agreed with a buyer who gets a seat or a place now.
    fn terms_of(&self, rules: &Settings, key: Key) -> Terms {
        let is_seat = key.as_seat().is_some();
        let is_held = is_seat && rules.gate.hold > 0;
        let until = if is_held { self.log.now_ms + u64::from(rules.gate.hold) * 1000 } else { 0 };
        let kept_back = !is_seat || (is_held && rules.gate.put == PutWhen::Paid);
        Terms { until, seq: 0, extended: 0, kept_back }
    }

    /// Appends a ticket, or a place in line, that is given with the next message of a queue; there is room for it.
    pub(super) fn append_new_ticket(&mut self, slot: Slot, NewTicket { buyer, key, terms }: NewTicket<'_>) {
        // Nothing is to come between a ticket and its message.
        self.log.put_now();
        let terms = Terms { seq: self.live.queues.at(slot).next, ..terms };
        self.append_ticket(slot, key, buyer, terms, (true, key.as_seat().is_some()));
    }

    /// Appends what a buyer has from now on; there is room for it. `with_message`: its message is appended next; `is_given`: it
    /// is a ticket that was given now.
    pub(super) fn append_ticket(
        &mut self,
        slot: Slot,
        key: Key,
        buyer: &[u8],
        terms: Terms,
        (with_message, is_given): (bool, bool),
    ) {
        let queue = self.live.queues.at(slot).id;
        let now_ms = self.log.now_ms;
        let gate = self.gates.make(queue);
        let given = if is_given { gate.tally.given + 1 } else { 0 };
        let at_ms = if is_given { now_ms } else { 0 };
        let entry = TicketEntry { queue, key, buyer, terms, with_message, given, at_ms };
        let segment = self.log.append(&Entry::Ticket(entry)).segment;
        self.log.add_live(segment, ticket_bytes(buyer.len()));
        if is_given {
            gate.note_given(given, at_ms);
        }
        let changed_in = self.changed();
        let gate = self.gates.make(queue);
        gate.changed_in = changed_in;
        if is_given {
            gate.given_in = changed_in;
        }
        let ticket = Ticket::new(buyer.into(), terms, segment);
        if let Some((segment, bytes)) = gate.set(key, ticket) {
            self.log.sub_live(segment, bytes);
        }
        self.gates.time(queue);
    }

    /// Appends what a buyer has, who had something else before; there is room for it.
    fn change_ticket(&mut self, slot: Slot, key: Key, terms: Terms) {
        let queue = self.live.queues.at(slot).id;
        let gate = self.gates.get(queue).expect("the buyer was found in it");
        let buyer = gate.get(key).expect("the buyer was found there").buyer.clone();
        self.append_ticket(slot, key, &buyer, terms, (false, false));
    }

    fn pay(&mut self, slot: Slot, id: QueueId, key: Key) -> Attempt<GateAnswered> {
        let Some(seat) = key.as_seat() else { return self.told(id, GateAnswer::Unknown) };
        let ticket = self.gates.get(id).and_then(|gate| gate.get(key)).expect("the buyer was found there");
        let terms = ticket.terms();
        if terms.until > 0 {
            let bytes = ticket_bytes(ticket.buyer.len()) + STATE_BYTES;
            if let Some(held_up) = self.log.make_room(bytes, Purpose::Take).held_up() {
                return held_up;
            }
            self.change_ticket(slot, key, Terms { until: 0, kept_back: false, ..terms });
            if terms.kept_back {
                self.release(slot, terms.seq);
            }
        }
        self.told(id, GateAnswer::Seat(seat))
    }

    fn extend(&mut self, slot: Slot, id: QueueId, key: Key, seconds: u32) -> Attempt<GateAnswered> {
        if key.as_seat().is_none() {
            return self.told(id, GateAnswer::Unknown);
        }
        let ticket = self.gates.get(id).and_then(|gate| gate.get(key)).expect("the buyer was found there");
        let terms = ticket.terms();
        if terms.until == 0 {
            return self.told(id, GateAnswer::Done);
        }
        let rules = self.live.queues.at(slot).rules();
        let most = rules.map_or_else(|| GateSettings::default().hold_max, |rules| rules.gate.hold_max);
        if terms.extended >= most {
            return self.told(id, GateAnswer::NoMoreTime);
        }
        if let Some(held_up) = self.log.make_room(ticket_bytes(ticket.buyer.len()), Purpose::Set).held_up() {
            return held_up;
        }
        let until = terms.until + u64::from(seconds) * 1000;
        self.change_ticket(slot, key, Terms { until, extended: terms.extended + 1, ..terms });
        self.told(id, GateAnswer::Done)
    }

    /// Frees a seat or a place, and says so: a message that was kept back for it goes, too.
    fn free_ticket(&mut self, slot: Slot, key: Key, why: Freed) -> Attempt<()> {
        if let Some(held_up) = self.log.make_room(FREED_BYTES + TAKE_BYTES, Purpose::Take).held_up() {
            return held_up;
        }
        let terms = self.append_freed(slot, key, why);
        if terms.kept_back && self.is_kept_back(slot, terms.seq) {
            self.remove(slot, terms.seq);
        }
        Attempt::Done(())
    }

    /// Appends that a ticket or a place is no more; there is room for it. Returns what was agreed.
    fn append_freed(&mut self, slot: Slot, key: Key, why: Freed) -> Terms {
        let queue = self.live.queues.at(slot).id;
        let gate = self.gates.get_mut(queue).expect("there is a ticket");
        let count = match why {
            Freed::Returned => gate.tally.returned + 1,
            Freed::Lapsed => gate.tally.lapsed + 1,
            Freed::Seated | Freed::Left => 0,
        };
        gate.tally.note_freed(why, count);
        let ticket = gate.remove(key).expect("there is a ticket");
        self.log.append(&Entry::Freed { queue, key, why, count });
        self.log.sub_live(ticket.segment, ticket_bytes(ticket.buyer.len()));
        let changed_in = self.changed();
        self.gates.make(queue).changed_in = changed_in;
        self.gates.time(queue);
        ticket.terms()
    }

    /// Whether a message waits in the queue of a slot that is kept back.
    fn is_kept_back(&mut self, slot: Slot, seq: u64) -> bool {
        self.live.follow_flush(slot);
        self.live.queues.at(slot).message(seq).is_some() && self.live.why_out(slot, seq) == Some(Out::Delayed)
    }

    /// Has a message be handed out that was kept back; there is room to say so.
    fn release(&mut self, slot: Slot, seq: u64) {
        if !self.is_kept_back(slot, seq) {
            return;
        }
        let queue = self.live.queues.at(slot).id;
        let before = self.live.states.get(queue, seq).unwrap_or_default();
        let state = State { not_before: 0, ..before };
        self.log.append(&Entry::State { queue, seq, state });
        self.set_state(slot, seq, state);
        self.live.queues.at_mut(slot).delivery_mut().delayed -= 1;
        self.live.sums.delayed -= 1;
        self.come_back(slot, seq);
    }

    // ---- the line, and time ----

    /// Gives the first in line of a queue's gate a seat, if there is one. It is tried again in time if there is no room now.
    fn serve_line(&mut self, slot: Slot) -> Attempt<bool> {
        let queue = self.live.queues.at(slot);
        let id = queue.id;
        let rules = queue.rules().cloned().unwrap_or_default();
        let Some(gate) = self.gates.get(id) else { return Attempt::Done(false) };
        let Some((place, seat)) = gate.next_of_line(&rules.gate, self.log.now_ms) else {
            let opens_at = gate.opens_for_line(&rules.gate, self.log.now_ms);
            self.gates.note_served(id, opens_at);
            return Attempt::Done(false);
        };
        let ticket = gate.get(place).expect("it is the first of the line");
        let bytes = FREED_BYTES + ticket_bytes(ticket.buyer.len()) + STATE_BYTES;
        let buyer = ticket.buyer.clone();
        if let Some(held_up) = self.log.make_room(bytes, Purpose::Set).held_up() {
            self.gates.note_unserved(id);
            return held_up;
        }
        let before = self.append_freed(slot, place, Freed::Seated);
        let terms = Terms { seq: before.seq, ..self.terms_of(&rules, Key::seat(seat)) };
        self.append_ticket(slot, Key::seat(seat), &buyer, terms, (false, true));
        if !terms.kept_back {
            self.release(slot, terms.seq);
        }
        Attempt::Done(true)
    }

    /// When the next ticket lapses, or a line may get seats, in milliseconds since 1970.
    pub(super) fn next_of_gates_ms(&self) -> Option<u64> {
        self.gates.next_due().map(|(at_ms, _)| at_ms)
    }

    /// Has tickets lapse that were not paid in time, and gives lines what they are to get, up to so many. `false`: what is
    /// due is held up.
    pub(super) fn pass_time_of_gates(&mut self, left: &mut usize) -> bool {
        while *left > 0
            && let Some((_, queue)) = self.gates.next_due().filter(|(at_ms, _)| *at_ms <= self.log.now_ms)
        {
            *left -= 1;
            let gate = self.gates.get(queue).expect("it is timed");
            let Some((_, seat)) = gate.next_lapse().filter(|(at_ms, _)| *at_ms <= self.log.now_ms) else {
                // The time of its line has come.
                self.gates.note_served(queue, None);
                self.gates.note_unserved(queue);
                continue;
            };
            let slot = self.live.queues.find_id(queue).expect("a gate goes with its queue");
            if !self.free_ticket(slot, Key::seat(seat), Freed::Lapsed).is_done() {
                return false;
            }
            self.gates.note_unserved(queue);
        }
        while *left > 0
            && let Some(queue) = self.gates.next_unserved()
        {
            *left -= 1;
            let slot = self.live.queues.find_id(queue).expect("a gate goes with its queue");
            if !self.serve_line(slot).is_done() {
                return false;
            }
        }
        true
    }

    // ---- copying ----

    /// Copies a ticket forward that is in the segment `from`, if it is still needed.
    pub(super) fn copy_ticket(&mut self, from: u32, entry: &TicketEntry<'_>, purpose: Purpose) -> Attempt<bool> {
        let TicketEntry { queue, key, buyer, .. } = *entry;
        let ticket = self.gates.get(queue).and_then(|gate| gate.get(key));
        let Some(terms) = ticket.filter(|it| it.segment == from && *it.buyer == *buyer).map(Ticket::terms) else {
            return Attempt::Done(true);
        };
        let room = self.log.make_room(ticket_bytes(buyer.len()), purpose);
        if room.is_done() {
            let gate = self.gates.get(queue).expect("there is a ticket");
            let changed_in = gate.changed_in;
            let slot = self.live.queues.find_id(queue).expect("a gate goes with its queue");
            self.append_ticket(slot, key, buyer, terms, (false, false));
            // A copy is no change.
            self.gates.make(queue).changed_in = changed_in;
        }
        room.map(|()| true)
    }
}
