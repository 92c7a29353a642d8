//! Puts into queues that have rules, and puts that have something of their own: a delay, an end.

use std::sync::Arc;

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::Purpose;
use crate::log::entry::{
    BURIED, Entry, ID_BYTES_MAX, STATE_BYTES, Seq, State, TAKE_BYTES, TIME_BYTES, id_bytes, put_bytes, record_bytes,
    ticket_bytes,
};
use crate::queue::Queue;
use crate::queue::table::Slot;
use crate::settings::{Full, Settings, Ttl};
use crate::store::Store;
use crate::store::dedup::{Lookup, NewId};
use crate::store::gates::{KEPT_BACK_MS, NewTicket};

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
    /// What the put is called, [`ID_BYTES_MAX`] bytes at most: another put into the queue that is called
    /// the same puts nothing, for as long as the queue's settings say. Empty: it has no name.
    pub id: &'a [u8],
}

/// What stands in front of a message in its frame.
#[derive(Debug, Clone, Copy)]
pub(super) enum Front<'a> {
    None,
    /// What the put is called.
    Id(&'a [u8], NewId),
    /// The ticket that it is of.
    Ticket(NewTicket<'a>),
}

impl Front<'_> {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Front::None => 0,
            Front::Id(token, _) => id_bytes(token.len()),
            Front::Ticket(ticket) => ticket_bytes(ticket.buyer.len()),
        }
    }

    pub(super) fn is_ticket(&self) -> bool {
        matches!(self, Front::Ticket(_))
    }

    /// What the message has beside its body in its own queue.
    pub(super) fn keep_back(&self, state: State) -> State {
        match self {
            Front::Ticket(ticket) if ticket.terms.kept_back => State { not_before: KEPT_BACK_MS, ..state },
            _ => state,
        }
    }
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
        let front = match self.look_up_id(found, rules.as_deref(), with.id) {
            Lookup::Known => return Ok(Attempt::Done(())),
            Lookup::Full => return Ok(Attempt::NoRoom),
            Lookup::None => Front::None,
            Lookup::New(id) => Front::Id(with.id, id),
        };
        Ok(self.put_behind((name, found), rules.as_deref(), flags, body, (with, front)))
    }

    /// Puts a message, in one frame with what stands in front of it.
    pub(super) fn put_behind(
        &mut self,
        (name, found): (&[u8], Option<Slot>),
        rules: Option<&Settings>,
        flags: u32,
        body: &[u8],
        (with, front): (PutWith<'_>, Front<'_>),
    ) -> Attempt<()> {
        if found.is_none() && self.has_too_many_siblings(name) {
            return Attempt::NoRoom;
        }
        let is_for_children = rules.is_some_and(|rules| rules.fanout_only) && !front.is_ticket();
        if is_for_children || !self.families.children(name).is_empty() {
            return self.put_to_family((name, found), rules, flags, body, (with, front));
        }
        let Some(state) = self.state_of_put(rules, with) else {
            return Attempt::Done(());
        };
        let record = if found.is_none() { record_bytes(name, b"") } else { 0 };
        let bytes = record + front.bytes() + TIME_BYTES + put_bytes(body.len()) + STATE_BYTES;
        let Some(oldest) = self.in_its_way(found, rules, body.len(), bytes) else {
            self.count_refused(found);
            return Attempt::NoRoom;
        };
        // All in one frame: no message goes for one that does not come.
        if let Some(held_up) = self.log.make_room(bytes + oldest.len() * TAKE_BYTES, Purpose::Set).held_up() {
            return held_up;
        }
        if let Some(slot) = found {
            for seq in &oldest {
                self.live.count(slot, |counts| counts.dropped += 1);
                self.remove(slot, *seq);
            }
        }
        let slot = found.unwrap_or_else(|| self.create_queue(name));
        self.append_front(slot, front);
        self.push(slot, flags, body);
        self.begin_state(slot, front.keep_back(state));
        self.time_age(slot);
        Attempt::Done(())
    }

    /// Appends what stands in front of the next message of a queue; there is room for it.
    pub(super) fn append_front(&mut self, slot: Slot, front: Front<'_>) {
        match front {
            Front::None => {}
            Front::Id(token, id) => self.remember(slot, token, id),
            Front::Ticket(ticket) => self.append_new_ticket(slot, ticket),
        }
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
        self.live.sums.delayed += 1;
        self.set_state(slot, seq, state);
        self.live.states.delay(id, seq);
    }

    /// The oldest messages of a queue that have to go so that it is within its limits with one more message, which takes so
    /// many bytes in the log. `None`: it is not to be put.
    pub(super) fn in_its_way(
        &self,
        found: Option<Slot>,
        rules: Option<&Settings>,
        body_bytes: usize,
        log_bytes: usize,
    ) -> Option<Vec<Seq>> {
        let Some(rules) = rules else { return Some(Vec::new()) };
        let queue = found.map(|slot| self.live.queues.at(slot));
        let (mut depth, mut bytes) =
            queue.map_or((0, body_bytes as u64), |it| (it.depth(), it.bytes + body_bytes as u64));
        let fits = |depth: u64, bytes: u64| {
            rules.depth.is_none_or(|max| depth < max) && rules.bytes.is_none_or(|max| bytes <= max)
        };
        let dropped_max = DROPPED_AT_ONCE.min(self.log.entry_bytes_max().saturating_sub(log_bytes) / TAKE_BYTES);
        let may_drop = rules.full == Full::Drop && rules.bytes.is_none_or(|max| body_bytes as u64 <= max);
        let mut oldest = Vec::new();
        let mut available = queue.filter(|_| may_drop).into_iter().flat_map(Queue::available).take(dropped_max);
        while !fits(depth, bytes) {
            let (seq, message) = available.next()?;
            oldest.push(seq);
            (depth, bytes) = (depth - 1, bytes - u64::from(message.place.body_bytes));
        }
        Some(oldest)
    }

    /// Counts a put that a queue refused.
    pub(super) fn count_refused(&mut self, found: Option<Slot>) {
        if let Some(slot) = found {
            self.live.count(slot, |counts| counts.refused += 1);
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
