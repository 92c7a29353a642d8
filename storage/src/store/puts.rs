//! Puts into queues that have rules, and puts that have something of their own: a delay, an end.

use std::sync::Arc;

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::Purpose;
use crate::log::entry::{
    BURIED, Entry, ID_BYTES_MAX, STATE_BYTES, State, TAKE_BYTES, TIME_BYTES, id_bytes, put_bytes, record_bytes,
};
use crate::queue::table::Slot;
use crate::settings::{Full, Settings, Ttl};
use crate::store::Store;
use crate::store::dedup::Lookup;

/// Messages that are dropped for one put, at most. What needs more room than that is refused.
const DROPPED_AT_ONCE: usize = 1000;
/// An exptime up to this is a number of seconds from now, and a moment since 1970 beyond: memcached's rule, 30 days.
const EXPTIME_RELATIVE_MAX: i64 = 60 * 60 * 24 * 30;

/// What a put may have beside flags and body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PutWith<'a> {
    /// The message is handed out so many seconds later; `None`: as the queue's settings say.
    pub delay_s: Option<u32>,
    /// When the message is worth nothing any more, by memcached's rule, where the queue's settings have it count; 0: never.
    pub exptime: i64,
    /// What the put is called, [`ID_BYTES_MAX`](crate::ID_BYTES_MAX) bytes at most: another put into the queue that is called
    /// the same puts nothing, for as long as the queue's settings say. Empty: it has no name.
    pub id: &'a [u8],
}

impl Store {
    /// As [`put`](Store::put), with more than flags and body. A message that is worth nothing from the beginning is not
    /// kept. A queue that is full by its settings refuses it, as if there were no room.
    ///
    /// # Errors
    /// When the disk fails otherwise; the caller must stop.
    ///
    /// # Panics
    /// When the body is larger than [`StoreOptions::body_bytes_max`](crate::StoreOptions::body_bytes_max), or the id too long.
    pub fn put_with(&mut self, name: &[u8], flags: u32, body: &[u8], with: PutWith<'_>) -> Result<Attempt<()>> {
        assert!(body.len() <= self.options.body_bytes_max, "the caller checks the size");
        assert!(with.id.len() <= ID_BYTES_MAX, "the caller checks the size");
        let found = self.live.queues.find(name);
        if let Some(slot) = found {
            self.live.follow_flush(slot);
        }
        let rules = match found {
            Some(slot) => self.live.queues.at(slot).rules().cloned(),
            None => self.rules_of(name, b""),
        };
        let id = match self.look_up_id(found, rules.as_deref(), with.id) {
            Lookup::Known => return Ok(Attempt::Done(())),
            Lookup::Full => return Ok(Attempt::NoRoom),
            Lookup::None => None,
            Lookup::New(id) => Some(id),
        };
        if found.is_none() && self.has_too_many_siblings(name) {
            return Ok(Attempt::NoRoom);
        }
        let is_for_children = rules.as_ref().is_some_and(|rules| rules.fanout_only);
        if is_for_children || !self.families.children(name).is_empty() {
            return Ok(self.put_to_family((name, found), rules.as_deref(), flags, body, (with, id)));
        }
        let Some(state) = self.state_of_put(rules.as_deref(), with) else {
            return Ok(Attempt::Done(()));
        };
        if let Some(rules) = &rules
            && let Some(held_up) = self.keep_to_limits(found, rules, body.len()).held_up()
        {
            return Ok(held_up);
        }
        let record = if found.is_none() { record_bytes(name, b"") } else { 0 };
        let bytes =
            record + id.map_or(0, |_| id_bytes(with.id.len())) + TIME_BYTES + put_bytes(body.len()) + STATE_BYTES;
        if let Some(held_up) = self.log.make_room(bytes, Purpose::Set).held_up() {
            return Ok(held_up);
        }
        let slot = found.unwrap_or_else(|| self.create_queue(name));
        self.remember(slot, with.id, id);
        self.push(slot, flags, body);
        self.begin_state(slot, state);
        self.time_age(slot);
        Ok(Attempt::Done(()))
    }

    /// What a message has beside its body that is put now; `None`: it is worth nothing.
    pub(super) fn state_of_put(&self, rules: Option<&Settings>, with: PutWith<'_>) -> Option<State> {
        let now_ms = self.log.now_ms;
        let delay_s = with.delay_s.unwrap_or_else(|| rules.map_or(0, |rules| rules.delay));
        let not_before = if delay_s > 0 { now_ms + u64::from(delay_s) * 1000 } else { 0 };
        let counts = rules.is_some_and(|rules| rules.ttl == Ttl::Client) && with.exptime != 0;
        let expires = match with.exptime {
            _ if !counts => 0,
            ..=0 => return None,
            exptime if exptime <= EXPTIME_RELATIVE_MAX => now_ms + exptime as u64 * 1000,
            exptime => exptime as u64 * 1000,
        };
        (expires == 0 || expires > now_ms).then_some(State { tries: 0, not_before, expires })
    }

    /// Gives the message that a queue got last the state that it has had elsewhere; there is room for that.
    pub(super) fn adopt_state(&mut self, slot: Slot, state: State) {
        if state.tries == BURIED {
            let queue = self.live.queues.at(slot);
            let (id, seq) = (queue.id, queue.next - 1);
            self.log.append(&Entry::State { queue: id, seq, state });
            self.begin_dying(slot, seq, state);
        } else {
            self.begin_state(slot, state);
        }
    }

    /// Gives the message that a queue got last the state that it was put with; there is room for that.
    pub(super) fn begin_state(&mut self, slot: Slot, state: State) {
        if state == State::default() {
            return;
        }
        let queue = self.live.queues.at_mut(slot);
        let (id, seq) = (queue.id, queue.next - 1);
        self.log.append(&Entry::State { queue: id, seq, state });
        if state.not_before > 0 {
            self.begin_delay(slot, seq, state);
        } else {
            self.set_state(slot, seq, state);
        }
    }

    /// Has a message that may be handed out be handed out later.
    pub(crate) fn begin_delay(&mut self, slot: Slot, seq: u64, state: State) {
        let queue = self.live.queues.at_mut(slot);
        let (id, next) = (queue.id, queue.next_available());
        let delivery = queue.delivery_mut();
        delivery.leave(seq, next);
        delivery.delayed += 1;
        self.set_state(slot, seq, state);
        self.live.states.delay(id, seq);
    }

    /// Sees to it that a queue is within its limits with one more message: drops the oldest that wait, where its settings
    /// say so. `NoRoom`: it would not be.
    pub(super) fn keep_to_limits(&mut self, found: Option<Slot>, rules: &Settings, body_bytes: usize) -> Attempt<()> {
        let body_bytes = body_bytes as u64;
        for _ in 0..=DROPPED_AT_ONCE {
            let (depth, bytes) = found.map_or((0, 0), |slot| {
                let queue = self.live.queues.at(slot);
                (queue.depth(), queue.bytes)
            });
            let fits =
                rules.depth.is_none_or(|max| depth < max) && rules.bytes.is_none_or(|max| bytes + body_bytes <= max);
            if fits {
                return Attempt::Done(());
            }
            let oldest = found.filter(|_| rules.full == Full::Drop && rules.bytes.is_none_or(|max| body_bytes <= max));
            let Some((slot, seq)) =
                oldest.and_then(|slot| Some((slot, self.live.queues.at_mut(slot).next_available()?)))
            else {
                break;
            };
            let room = self.log.make_room(TAKE_BYTES, Purpose::Set);
            if !room.is_done() {
                return room;
            }
            self.live.queues.at_mut(slot).count(|counts| counts.dropped += 1);
            self.remove(slot, seq);
        }
        self.count_refused(found);
        Attempt::NoRoom
    }

    /// Whether a queue would be within its limits with one more message, or can get there by dropping some; `None`: one that
    /// is yet to be made, by its rules.
    pub(super) fn can_take(&self, found: Option<Slot>, rules: Option<&Settings>, body_bytes: usize) -> bool {
        let queue = found.map(|slot| self.live.queues.at(slot));
        let Some(rules) = queue.map_or(rules, |queue| queue.rules().map(|rules| &**rules)) else { return true };
        let (depth, bytes) = queue.map_or((0, 0), |queue| (queue.depth(), queue.bytes));
        let bytes_after = |bytes: u64| bytes + body_bytes as u64;
        if rules.depth.is_none_or(|max| depth < max) && rules.bytes.is_none_or(|max| bytes_after(bytes) <= max) {
            return true;
        }
        // Some have to go, and can unless they are open.
        let has_waiting = queue.is_some_and(|queue| queue.waiting() > 0);
        rules.full == Full::Drop && has_waiting && rules.bytes.is_none_or(|max| bytes_after(0) <= max)
    }

    /// Counts a put that a queue refused.
    pub(super) fn count_refused(&mut self, found: Option<Slot>) {
        if let Some(slot) = found {
            self.live.queues.at_mut(slot).count(|counts| counts.refused += 1);
        }
    }

    /// What holds for a queue of this name that was told `own`; `None`: the defaults.
    pub(crate) fn rules_of(&self, name: &[u8], own: &[u8]) -> Option<Arc<Settings>> {
        if own.is_empty() && self.patterns.is_empty() {
            return None;
        }
        let own = crate::settings::Words::parse(own).unwrap_or_default();
        let rules = Settings::of(name, &own, &self.patterns);
        (rules != Settings::default()).then(|| Arc::new(rules))
    }
}
