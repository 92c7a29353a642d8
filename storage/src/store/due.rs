//! What happens because time has passed: delays run out, messages grow too old, and those on their way to the dead letters
//! get there. A little at a time, however much is due.

use std::collections::BTreeMap;

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::entry::{
    BURIED, Entry, QueueId, STATE_BYTES, Seq, State, TAKE_BYTES, TIME_BYTES, put_bytes, record_bytes,
};
use crate::log::{Purpose, Times};
use crate::names;
use crate::queue::states::{Due, Out};
use crate::queue::table::Slot;
use crate::settings::{Dead, Expire};
use crate::store::Store;

impl Store {
    /// Says what time it is, in milliseconds since 1970. It never goes back.
    #[inline]
    pub fn set_time(&mut self, unix_ms: u64) {
        if self.started_ms == 0 {
            self.started_ms = unix_ms;
        }
        self.log.set_now(unix_ms);
    }

    /// When [`pass_time`](Self::pass_time) has something to do, in milliseconds since 1970; `None`: at no time, as things
    /// are. What the disk holds up is tried again when a chore has ended, and at a [`tick`](Self::tick).
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        if self.due_is_held_up {
            return None;
        }
        let now = (self.live.states.has_dying() || self.gates.next_unserved().is_some()).then_some(0);
        let message_ms = self.live.states.next_due().map(|(at_ms, _)| at_ms);
        now.or_else(|| message_ms.into_iter().chain(self.next_id_end_ms()).chain(self.next_of_gates_ms()).min())
    }

    /// Does what is due by now, up to so many messages. Returns whether there is more to do at once.
    ///
    /// # Errors
    /// When the disk fails, or a message's bytes are damaged; the caller must stop.
    pub fn pass_time(&mut self, limit: usize) -> Result<bool> {
        if self.due_is_held_up {
            return Ok(false);
        }
        let mut left = limit;
        while left > 0 && self.forget_ended_id() {
            left -= 1;
        }
        // On a full disk there may be no room for these, and what needs none goes on.
        let are_gates_held_up = !self.pass_time_of_gates(&mut left);
        while left > 0
            && let Some((at_ms, due)) = self.live.states.next_due().filter(|(at_ms, _)| *at_ms <= self.log.now_ms)
        {
            let before = left;
            let done = match due {
                Due::Delay(queue, seq) => {
                    self.end_delay(queue, seq);
                    Attempt::Done(())
                }
                Due::Expiry(queue, seq) => self.end_worth(queue, seq),
                Due::Age(queue) => self.end_ages(queue, at_ms, &mut left),
            };
            left = left.min(before - 1);
            if !done.is_done() {
                self.due_is_held_up = true;
                return Ok(false);
            }
        }
        let mut behind = (0, 0);
        while left > 0
            && let Some((queue, seq)) = self.live.states.next_dying(behind)
        {
            left -= 1;
            match self.move_to_dead(queue, seq)? {
                Attempt::Done(()) => behind = (0, 0),
                // The others may be in memory.
                Attempt::Wait => {
                    self.due_is_held_up = true;
                    behind = (queue, seq);
                }
                Attempt::NoRoom => {
                    self.due_is_held_up = true;
                    return Ok(false);
                }
            }
        }
        self.due_is_held_up |= are_gates_held_up;
        Ok(!self.due_is_held_up && self.next_due().is_some_and(|at_ms| at_ms <= self.log.now_ms))
    }

    /// Has a message handed out whose delay has run out.
    fn end_delay(&mut self, queue: QueueId, seq: Seq) {
        let slot = self.live.queues.find_id(queue);
        if let Some(slot) = slot.filter(|slot| self.live.queues.at(*slot).epoch == self.live.epoch())
            && self.live.queues.at(slot).message(seq).is_some()
            && self.live.why_out(slot, seq) == Some(Out::Delayed)
        {
            self.live.queues.at_mut(slot).delivery_mut().delayed -= 1;
            self.live.sums.delayed -= 1;
            self.live.states.pop_due();
            self.come_back(slot, seq);
        } else {
            self.live.states.pop_due();
        }
    }

    /// Ends a message that is worth nothing any more, unless it is open: then it ends when it comes back.
    fn end_worth(&mut self, queue: QueueId, seq: Seq) -> Attempt<()> {
        if let Some(slot) = self.live.queues.find_id(queue) {
            self.live.follow_flush(slot);
            let is_there = self.live.queues.at(slot).message(seq).is_some();
            if is_there && matches!(self.live.why_out(slot, seq), None | Some(Out::Delayed)) {
                let done = self.expire(slot, seq);
                if !done.is_done() {
                    return done;
                }
            }
        }
        // Unless it went with the message.
        if self.live.states.next_due().is_some_and(|(_, due)| due == Due::Expiry(queue, seq)) {
            self.live.states.pop_due();
        }
        Attempt::Done(())
    }

    /// Ends the messages of a queue that are too old, the oldest first, up to so many.
    fn end_ages(&mut self, queue: QueueId, at_ms: u64, left: &mut usize) -> Attempt<()> {
        let Some(slot) = self.live.queues.find_id(queue) else {
            self.live.states.pop_due();
            return Attempt::Done(());
        };
        self.live.follow_flush(slot);
        loop {
            let queue = self.live.queues.at_mut(slot);
            let next = queue.next_available();
            let end_ms = next.and_then(|seq| self.too_old_at_ms(slot, seq));
            match (next, end_ms) {
                (Some(seq), Some(end_ms)) if end_ms <= self.log.now_ms => {
                    if *left == 0 {
                        return Attempt::Done(());
                    }
                    *left -= 1;
                    let done = self.expire(slot, seq);
                    if !done.is_done() {
                        return done;
                    }
                }
                (_, end_ms) => {
                    debug_assert_eq!(
                        self.live.states.next_due(),
                        Some((at_ms, Due::Age(self.live.queues.at(slot).id)))
                    );
                    self.live.states.pop_due();
                    self.live.queues.at_mut(slot).set_age_timed_at(None);
                    if end_ms.is_some() {
                        self.time_age(slot);
                    }
                    return Attempt::Done(());
                }
            }
        }
    }

    /// When a message is too old by the settings of its queue.
    fn too_old_at_ms(&self, slot: Slot, seq: Seq) -> Option<u64> {
        let queue = self.live.queues.at(slot);
        let age_s = queue.rules()?.age?;
        let put_s = self.put_second(queue.message(seq)?.place);
        Some((u64::from(put_s) + u64::from(age_s)) * 1000)
    }

    /// The second since 1970 in which a message was put. One that an earlier build has put counts from the start on.
    pub(super) fn put_second(&self, place: crate::log::Place) -> u32 {
        self.log.times.of(place).filter(|second| *second > 0).unwrap_or(Times::whole_seconds(self.started_ms))
    }

    /// Has the age of a queue's messages looked at when the first of them is too old, unless it is looked at before. That
    /// may be sooner than it was to be: an old message has come back, or the queue was told another age.
    pub(super) fn time_age(&mut self, slot: Slot) {
        let queue = self.live.queues.at_mut(slot);
        if queue.rules().is_none_or(|rules| rules.age.is_none()) {
            return;
        }
        let Some(seq) = queue.next_available() else { return };
        let at_ms = self.too_old_at_ms(slot, seq).expect("the queue has an age");
        let queue = self.live.queues.at_mut(slot);
        let before_ms = queue.age_timed_at();
        if before_ms.is_none_or(|before_ms| at_ms < before_ms) {
            queue.set_age_timed_at(Some(at_ms));
            self.live.states.time_age(queue.id, before_ms, at_ms);
        }
    }

    /// Ends a message that waits or is delayed: it goes, or is put on its way to the dead letters.
    fn expire(&mut self, slot: Slot, seq: Seq) -> Attempt<()> {
        let queue = self.live.queues.at(slot);
        let (id, name) = (queue.id, &queue.name);
        let dies = queue.rules().is_some_and(|rules| rules.expire == Expire::Dead) && !names::is_dead(name);
        if dies {
            let before = self.live.states.get(id, seq).unwrap_or_default();
            let state = State { tries: BURIED, not_before: 0, expires: before.expires };
            let room = self.log.make_room(STATE_BYTES, Purpose::Set);
            if !room.is_done() {
                return room;
            }
            self.log.append(&Entry::State { queue: id, seq, state });
            self.begin_dying(slot, seq, state);
        } else {
            let room = self.log.make_room(TAKE_BYTES, Purpose::Take);
            if !room.is_done() {
                return room;
            }
            self.remove(slot, seq);
        }
        self.live.count(slot, |counts| counts.expired += 1);
        Attempt::Done(())
    }

    /// Puts a message that waits or is delayed on its way to the dead letters.
    pub(crate) fn begin_dying(&mut self, slot: Slot, seq: Seq, state: State) {
        let out = self.live.why_out(slot, seq);
        let queue = self.live.queues.at_mut(slot);
        let id = queue.id;
        match out {
            Some(out) => {
                *queue.delivery_mut().count_mut(out) -= 1;
                self.live.sums.delayed -= u64::from(out != Out::Open);
            }
            None => {
                let next = queue.next_available();
                queue.delivery_mut().leave(seq, next);
            }
        }
        queue.delivery_mut().dying += 1;
        self.live.sums.delayed += 1;
        self.set_state(slot, seq, state);
        self.live.states.bury(id, seq);
    }

    /// Takes over what recovery found that messages have beside their bodies: all of it at once, since it may be much.
    pub(crate) fn restore_states(&mut self, mut states: BTreeMap<(QueueId, Seq), State>) {
        states.retain(|_, state| *state != State::default());
        let mut last = None;
        for ((id, seq), state) in &states {
            let slot = last.filter(|(of, _)| of == id).map(|(_, slot)| slot);
            let slot = slot.or_else(|| self.live.queues.find_id(*id)).expect("recovery keeps what is there");
            last = Some((*id, slot));
            let queue = self.live.queues.at_mut(slot);
            let out = Out::of_restored(*state);
            let next = if out.is_some() { queue.next_available() } else { None };
            let delivery = queue.delivery_mut();
            delivery.states += 1;
            if let Some(out) = out {
                delivery.leave(*seq, next);
                *delivery.count_mut(out) += 1;
                // None is open after a start.
                self.live.sums.delayed += 1;
            }
        }
        self.live.states.restore(states);
    }

    /// Moves a message to the dead letters of its queue: a put and a take in one frame.
    fn move_to_dead(&mut self, id: QueueId, seq: Seq) -> Result<Attempt<()>> {
        let slot = self.live.queues.find_id(id);
        if let Some(slot) = slot {
            self.live.follow_flush(slot);
        }
        let Some(slot) = slot.filter(|slot| self.live.queues.at(*slot).message(seq).is_some()) else {
            self.live.states.remove(id, seq);
            return Ok(Attempt::Done(()));
        };
        let queue = self.live.queues.at(slot);
        let name = names::dead(&queue.name);
        // Of a queue whose name no client can say, dead letters could never be read.
        if queue.rules().is_some_and(|rules| rules.dead == Dead::Drop) || !names::is_stored_name(&name) {
            let room = self.log.make_room(TAKE_BYTES, Purpose::Take);
            if room.is_done() {
                self.remove(slot, seq);
            }
            return Ok(room);
        }
        self.move_message(slot, seq, &name)
    }

    /// Moves a message to the end of another queue, which is made when it does not exist.
    pub(super) fn move_message(&mut self, slot: Slot, seq: Seq, to: &[u8]) -> Result<Attempt<()>> {
        if !self.bring_in(slot, seq)? {
            return Ok(Attempt::Wait);
        }
        let found = self.live.queues.find(to);
        if found.is_none() && self.has_too_many_siblings(to) {
            return Ok(Attempt::NoRoom);
        }
        let message = self.live.queues.at(slot).message(seq).expect("the caller looked it up");
        let record = if found.is_none() { record_bytes(to, b"") } else { 0 };
        let bytes = record + TIME_BYTES + put_bytes(message.place.body_bytes as usize) + TAKE_BYTES;
        let room = self.log.make_room(bytes, Purpose::Set);
        if !room.is_done() {
            return Ok(room);
        }
        let message = self.remove(slot, seq);
        let body = message.body.expect("brought in before");
        let target = found.unwrap_or_else(|| self.create_queue(to));
        self.live.follow_flush(target);
        self.push(target, message.flags, &body);
        self.time_age(target);
        self.live.wake(target);
        Ok(Attempt::Done(()))
    }

    /// Puts dead letters of a queue back into it, as messages that were never tried: up to so many, and a thousand at most.
    /// Returns how many.
    ///
    /// # Errors
    /// When the disk fails, or a message's bytes are damaged; the caller must stop.
    pub fn kick(&mut self, name: &[u8], count: u32) -> Result<Attempt<u64>> {
        let mut kicked = 0;
        let dead = names::dead(name);
        while kicked < u64::from(count).min(KICKED_AT_ONCE)
            && let Some(slot) = self.live.queues.find(&dead)
        {
            self.live.follow_flush(slot);
            let Some(seq) = self.live.queues.at_mut(slot).next_available() else { break };
            match self.move_message(slot, seq, name)? {
                Attempt::Done(()) => kicked += 1,
                Attempt::Wait if kicked == 0 => return Ok(Attempt::Wait),
                Attempt::NoRoom if kicked == 0 => return Ok(Attempt::NoRoom),
                Attempt::Wait | Attempt::NoRoom => break,
            }
        }
        Ok(Attempt::Done(kicked))
    }
}

/// Dead letters that are put back in one piece.
const KICKED_AT_ONCE: u64 = 1000;
