//! Messages that are open: out with a client, until it acknowledges them or they come back. Who holds them is the caller's
//! to keep; an open writes nothing, so after a restart none is open.

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::Purpose;
use crate::log::entry::{BURIED, Entry, QueueId, STATE_BYTES, Seq, State, TAKE_BYTES};
use crate::log::frame::FRAME_HEADER_BYTES;
use crate::names;
use crate::queue::states::Out;
use crate::queue::table::Slot;
use crate::queue::{Taken, resident_bytes};
use crate::settings::{Dead, Expire, Settings};
use crate::store::Store;

/// What an open finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening {
    /// A message.
    Message(Opened),
    /// There is none to be handed out, or the queue is paused.
    Empty,
    /// As many are open as may be.
    Full,
}

/// A message that was opened.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its queue. A queue of the same name that is made later has another id.
    pub queue: QueueId,
    /// Its number in its queue.
    pub seq: Seq,
    /// The number of this delivery, which no other has, of any queue and over restarts; below 2^53. Its low 8 bits are the
    /// try: 1 for the first, 255 for all from there on.
    pub lease: u64,
    /// Whether the number may be told only when [`Store::changed`] is safe.
    pub waits: bool,
    /// The flags it was put with.
    pub flags: u32,
    /// Its body.
    pub body: Box<[u8]>,
}

/// How an open message comes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GiveBack {
    /// Whether the try counts as one that has failed.
    pub counts: bool,
    /// It is not handed out before, in milliseconds since 1970; `None`: as the queue's settings say.
    pub not_before: Option<u64>,
    /// It goes to the dead letters, whatever its tries. If it is one, it goes back to its place.
    pub bury: bool,
}

impl Store {
    /// Opens the message of a queue that is to be handed out next: the queue keeps it, and hands it out to no other.
    ///
    /// # Errors
    /// When the disk fails, or the message's bytes are damaged; the caller must stop.
    pub fn open_next(&mut self, name: &[u8]) -> Result<Attempt<Opening>> {
        let Some(slot) = self.live.queues.find(name) else {
            return Ok(Attempt::Done(Opening::Empty));
        };
        self.live.follow_flush(slot);
        self.open_in(slot, None)
    }

    /// [Acknowledges](Self::acknowledge) an open message, and opens the next of its queue: the first also where there is no
    /// next, and where the first is not there any more, only the second.
    ///
    /// # Errors
    /// When the disk fails, or the next message's bytes are damaged; the caller must stop.
    pub fn acknowledge_and_open(&mut self, queue: QueueId, seq: Seq) -> Result<Attempt<Opening>> {
        if let Some(slot) = self.find_open(queue, seq) {
            return self.open_in(slot, Some(seq));
        }
        match self.live.queues.find_id(queue) {
            Some(slot) => self.open_in(slot, None),
            None => Ok(Attempt::Done(Opening::Empty)),
        }
    }

    /// Opens the next message of the queue in a slot, and acknowledges one that is open. What has to be waited for is found
    /// out first.
    fn open_in(&mut self, slot: Slot, acknowledged: Option<Seq>) -> Result<Attempt<Opening>> {
        let queue = self.live.queues.at_mut(slot);
        let open = queue.delivery().map_or(0, |delivery| delivery.open) - u64::from(acknowledged.is_some());
        let open_max = queue.rules().map_or(Settings::OPEN_MAX, |rules| rules.open);
        let next = if queue.is_paused() { None } else { queue.next_available() };
        let is_full = next.is_some() && open >= u64::from(open_max);
        let mut taken = None;
        if let Some(seq) = next.filter(|_| !is_full) {
            taken = self.read(slot, seq)?;
            if taken.is_none() {
                return Ok(Attempt::Wait);
            }
            if let Some(held_up) = self.reserve_leases().held_up() {
                return Ok(held_up);
            }
        }
        if let Some(seq) = acknowledged {
            if let Some(held_up) = self.log.make_room(TAKE_BYTES, Purpose::Take).held_up() {
                return Ok(held_up);
            }
            self.live.count(slot, |counts| counts.acked += 1);
            self.remove(slot, seq);
        }
        let Some(Taken { seq, flags, body }) = taken else {
            if !is_full {
                return Ok(Attempt::Done(Opening::Empty));
            }
            self.live.count(slot, |counts| counts.open_full += 1);
            return Ok(Attempt::Done(Opening::Full));
        };
        let queue = self.live.queues.at_mut(slot);
        let delivery = queue.delivery_mut();
        delivery.leave(seq, Some(seq));
        delivery.open += 1;
        let has_states = delivery.states > 0;
        let id = queue.id;
        let state = if has_states { self.live.states.get(id, seq) } else { None };
        let (lease, waits) = self.next_lease(state.unwrap_or_default().tries);
        self.ease_memory(slot, seq);
        Ok(Attempt::Done(Opening::Message(Opened { queue: id, seq, lease, waits, flags, body })))
    }

    /// Gives a message that is open once more; `None` when it is not there any more.
    ///
    /// # Errors
    /// When the disk fails, or the message's bytes are damaged; the caller must stop.
    pub fn read_open(&mut self, queue: QueueId, seq: Seq) -> Result<Attempt<Option<Taken>>> {
        let Some(slot) = self.find_open(queue, seq) else {
            return Ok(Attempt::Done(None));
        };
        let taken = self.read(slot, seq)?;
        self.memory.keep_to_budget(&mut self.live, &self.log);
        Ok(taken.map_or(Attempt::Wait, |taken| Attempt::Done(Some(taken))))
    }

    /// Looks at the message of a queue that is to be handed out next, and changes nothing.
    ///
    /// # Errors
    /// When the disk fails, or the message's bytes are damaged; the caller must stop.
    pub fn peek(&mut self, name: &[u8]) -> Result<Attempt<Option<Taken>>> {
        let Some(slot) = self.live.queues.find(name) else {
            return Ok(Attempt::Done(None));
        };
        self.live.follow_flush(slot);
        let Some(seq) = self.live.queues.at_mut(slot).next_available() else {
            return Ok(Attempt::Done(None));
        };
        let taken = self.read(slot, seq)?;
        self.memory.keep_to_budget(&mut self.live, &self.log);
        Ok(taken.map_or(Attempt::Wait, |taken| Attempt::Done(Some(taken))))
    }

    /// Acknowledges an open message: it is taken. `Done(false)`: it is not there any more.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn acknowledge(&mut self, queue: QueueId, seq: Seq) -> Result<Attempt<bool>> {
        let Some(slot) = self.find_open(queue, seq) else {
            return Ok(Attempt::Done(false));
        };
        if let Some(held_up) = self.log.make_room(TAKE_BYTES, Purpose::Take).held_up() {
            return Ok(held_up);
        }
        self.live.count(slot, |counts| counts.acked += 1);
        self.remove(slot, seq);
        Ok(Attempt::Done(true))
    }

    /// Has an open message come back: to its place, after a delay, or on its way to the dead letters when its tries are
    /// used up. Nothing comes of it when it is not there any more. [`Attempt::Wait`]: it is still open. On a full disk it
    /// comes back all the same, and what a restart would have to be told is lost with one; to be buried is refused.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn give_back(&mut self, queue: QueueId, seq: Seq, back: GiveBack) -> Result<Attempt<()>> {
        let Some(slot) = self.find_open(queue, seq) else {
            return Ok(Attempt::Done(()));
        };
        let before = self.live.states.get(queue, seq).unwrap_or_default();
        let tries = before.tries.saturating_add(u8::from(back.counts)).min(BURIED - 1);
        let fate = self.fate_of(slot, before, tries, back);
        let state = match fate {
            Fate::Waits { not_before } => State { tries, not_before, ..before },
            Fate::Dies => State { tries: BURIED, not_before: 0, ..before },
            Fate::Goes => {
                let room = self.log.make_room(TAKE_BYTES, Purpose::Take);
                if room.is_done() {
                    self.count_end(slot, before);
                    self.remove(slot, seq);
                }
                return Ok(room);
            }
        };
        // What is over by now need not be told.
        let is_told = |state: State| State { not_before: state.not_before.max(self.log.now_ms), ..state };
        if is_told(state) != is_told(before) {
            match self.log.make_room(STATE_BYTES, Purpose::Set) {
                Attempt::Done(()) => {
                    self.log.append(&Entry::State { queue, seq, state });
                }
                Attempt::NoRoom if !back.bury => {}
                held_up => return Ok(held_up),
            }
        }
        self.live.count(slot, |counts| counts.returned += 1);
        if fate == Fate::Dies {
            self.begin_dying(slot, seq, state);
            return Ok(Attempt::Done(()));
        }
        self.set_state(slot, seq, state);
        let delivery = self.live.queues.at_mut(slot).delivery_mut();
        delivery.open -= 1;
        if state.not_before > 0 {
            delivery.delayed += 1;
            self.live.sums.delayed += 1;
            self.live.states.delay(queue, seq);
        } else {
            self.come_back(slot, seq);
        }
        Ok(Attempt::Done(()))
    }

    /// Makes room for so many open messages to be acknowledged, or to come back, one after the other: none of them has to
    /// wait for the disk.
    pub fn make_room_for_ends(&mut self, count: usize, are_acknowledged: bool) -> Attempt<()> {
        let (bytes, purpose) =
            if are_acknowledged { (TAKE_BYTES, Purpose::Take) } else { (STATE_BYTES.max(TAKE_BYTES), Purpose::Set) };
        // Each may be the first of another frame.
        self.log.make_room(count * (bytes + FRAME_HEADER_BYTES), purpose)
    }

    /// How long an open of a queue lasts that names no time, in milliseconds. `is_held`: by a connection, which needs no
    /// end of it; `None` then, unless the queue's settings have one.
    #[must_use]
    pub fn lease_ms(&self, name: &[u8], is_held: bool) -> Option<u64> {
        let rules = self.live.queues.find(name).and_then(|slot| self.live.queues.at(slot).rules());
        let lease_s = match (rules.and_then(|rules| rules.lease), is_held) {
            (Some(lease_s), _) => lease_s,
            (None, false) => crate::settings::LEASE_S,
            (None, true) => return None,
        };
        Some(u64::from(lease_s) * 1000)
    }

    /// The name of a queue; `None`: it is gone.
    #[must_use]
    pub fn name_of(&self, queue: QueueId) -> Option<&[u8]> {
        self.live.queues.find_id(queue).map(|slot| &*self.live.queues.at(slot).name)
    }

    /// The id of a queue; `None`: there is none of this name.
    #[must_use]
    pub fn id_of(&self, name: &[u8]) -> Option<QueueId> {
        self.live.queues.find(name).map(|slot| self.live.queues.at(slot).id)
    }

    /// Takes the names of queues that have got a message to hand out otherwise than by a put into them. One may come twice,
    /// and the message may be gone again.
    pub fn take_awake(&mut self) -> Vec<Box<[u8]>> {
        let awake = std::mem::take(&mut self.live.awake);
        awake.into_iter().filter_map(|queue| self.name_of(queue).map(Into::into)).collect()
    }

    /// Whether [`take_awake`](Self::take_awake) gives any.
    #[must_use]
    pub fn has_awake(&self) -> bool {
        !self.live.awake.is_empty()
    }

    // ---- what these have in common ----

    /// The slot of a queue in which a message is open.
    fn find_open(&mut self, queue: QueueId, seq: Seq) -> Option<Slot> {
        let slot = self.live.queues.find_id(queue)?;
        self.live.follow_flush(slot);
        self.live.queues.at(slot).message(seq)?;
        debug_assert_eq!(
            self.live.why_out(slot, seq),
            Some(Out::Open),
            "a message is open until it is acknowledged or back"
        );
        Some(slot)
    }

    /// What becomes of a message that comes back after so many failed tries.
    fn fate_of(&self, slot: Slot, before: State, tries: u8, back: GiveBack) -> Fate {
        let queue = self.live.queues.at(slot);
        let (rules, now_ms) = (queue.rules(), self.log.now_ms);
        let is_dead_letter = names::is_dead(&queue.name);
        if before.expires > 0 && before.expires <= now_ms {
            let dies = rules.is_some_and(|rules| rules.expire == Expire::Dead) && !is_dead_letter;
            return if dies { Fate::Dies } else { Fate::Goes };
        }
        let tries_max = rules.and_then(|rules| rules.tries);
        let ends = back.bury || (back.counts && tries_max.is_some_and(|max| tries >= max));
        // A dead letter is where it would go.
        if ends && !is_dead_letter {
            let goes = rules.is_some_and(|rules| rules.dead == Dead::Drop);
            return if goes { Fate::Goes } else { Fate::Dies };
        }
        let backoff_ms = || rules.filter(|_| back.counts).map_or(0, |rules| u64::from(rules.backoff_s(tries)) * 1000);
        let not_before = back.not_before.unwrap_or_else(|| now_ms + backoff_ms());
        Fate::Waits { not_before: if not_before > now_ms { not_before } else { 0 } }
    }

    /// Counts the end of a message that was not taken.
    fn count_end(&mut self, slot: Slot, state: State) {
        let is_expired = state.expires > 0 && state.expires <= self.log.now_ms;
        self.live.count(slot, |counts| {
            counts.returned += 1;
            counts.expired += u64::from(is_expired);
        });
    }

    /// Has a message that was out be handed out again.
    pub(super) fn come_back(&mut self, slot: Slot, seq: Seq) {
        let queue = self.live.queues.at_mut(slot);
        queue.delivery_mut().come_back(seq);
        self.live.wake(slot);
        self.time_age(slot);
    }

    /// Gives a message a state in memory.
    pub(super) fn set_state(&mut self, slot: Slot, seq: Seq, state: State) {
        let queue = self.live.queues.at_mut(slot);
        let (had, has) = self.live.states.set(queue.id, seq, state);
        if had != has {
            let states = &mut queue.delivery_mut().states;
            *states = *states + u64::from(has) - u64::from(had);
        }
    }

    /// Brings the body of a message into memory. `false`: another thread has to read it first.
    pub(super) fn bring_in(&mut self, slot: Slot, seq: Seq) -> Result<bool> {
        let message = self.live.queues.at(slot).message(seq).expect("the caller looked it up");
        Ok(message.body.is_some() || self.memory.read_ahead(&mut self.live, &self.log, slot, seq)?)
    }

    /// Has the body of a message leave memory that was opened now, unless there is much room: it is needed again when the
    /// message comes back only, and those that wait are needed sooner.
    #[inline]
    fn ease_memory(&mut self, slot: Slot, seq: Seq) {
        if self.memory.is_half_full(&self.live) {
            self.let_body_go(slot, seq);
        }
    }

    #[cold]
    fn let_body_go(&mut self, slot: Slot, seq: Seq) {
        let message = self.live.queues.at(slot).message(seq).expect("it was opened");
        if self.log.is_written(message.place)
            && let Some(body) = self.live.queues.at_mut(slot).let_body_go(seq)
        {
            self.live.resident -= resident_bytes(body.len());
        }
        self.memory.keep_to_budget(&mut self.live, &self.log);
    }

    /// A copy of a message. `None`: another thread has to read it first.
    fn read(&mut self, slot: Slot, seq: Seq) -> Result<Option<Taken>> {
        let copy = |store: &Store| {
            let message = store.live.queues.at(slot).message(seq).expect("the caller looked it up");
            Some(Taken { seq, flags: message.flags, body: message.body.clone()? })
        };
        match copy(self) {
            None if self.memory.read_ahead(&mut self.live, &self.log, slot, seq)? => Ok(copy(self)),
            taken => Ok(taken),
        }
    }
}

/// What becomes of a message that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It waits in its place. 0: it may be handed out at once.
    Waits { not_before: u64 },
    /// It goes to the dead letters.
    Dies,
    /// It is dropped.
    Goes,
}
