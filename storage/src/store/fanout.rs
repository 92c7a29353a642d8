//! Puts into a queue that has children: one put that is a message of each of them, and of the queue, unless its settings
//! say that only they get it. All of them get it, or none.

use smallvec::SmallVec;

use crate::attempt::Attempt;
use crate::log::Purpose;
use crate::log::entry::{STATE_BYTES, Seq, State, TAKE_BYTES, TIME_BYTES, record_bytes};
use crate::queue::table::Slot;
use crate::queue::{Message, resident_bytes};
use crate::settings::Settings;
use crate::store::Store;
use crate::store::appending::{Holders, append_shared_put, shared_put_bytes};
use crate::store::puts::{Front, PutWith};

/// A queue that gets a message, and what the message has there beside its body.
type Target = (Slot, State);

impl Store {
    /// Puts a message into the children of a queue, which is made when it does not exist, and into the queue, unless its
    /// rules say that only they get it.
    pub(super) fn put_to_family(
        &mut self,
        (name, found): (&[u8], Option<Slot>),
        rules: Option<&Settings>,
        flags: u32,
        body: &[u8],
        (with, front): (PutWith<'_>, Front<'_>),
    ) -> Attempt<()> {
        let is_for_all = front.is_ticket() || !rules.is_some_and(|rules| rules.fanout_only);
        let own = if is_for_all { self.state_of_put(rules, with) } else { None };
        let mut children: SmallVec<[Target; 8]> = SmallVec::new();
        for at in 0..self.families.children(name).len() {
            let child = self.families.children(name)[at];
            self.live.follow_flush(child);
            let state = self.state_of_put(self.live.queues.at(child).rules().map(|rules| &**rules), with);
            children.extend(state.map(|state| (child, state)));
        }
        let record = if found.is_none() { record_bytes(name, b"") } else { 0 };
        let messages = children.len() + usize::from(own.is_some());
        let put = TIME_BYTES + shared_put_bytes(messages, body.len()) + messages * STATE_BYTES;
        let mut bytes = record + front.bytes() + put;
        if bytes > self.log.entry_bytes_max() {
            return Attempt::NoRoom;
        }
        // Nothing is dropped anywhere for a put that another queue refuses.
        let mut in_the_way: Vec<(Slot, Seq)> = Vec::new();
        let limited = children.iter().map(|(child, _)| Some(*child)).chain(own.map(|_| found));
        for limited in limited {
            let its_rules = match limited {
                Some(slot) => self.live.queues.at(slot).rules().map(|rules| &**rules),
                None => rules,
            };
            let Some(oldest) = self.in_its_way(limited, its_rules, body.len(), bytes) else {
                self.count_refused(limited);
                return Attempt::NoRoom;
            };
            bytes += oldest.len() * TAKE_BYTES;
            in_the_way.extend(limited.into_iter().flat_map(|slot| oldest.iter().map(move |seq| (slot, *seq))));
        }
        if let Some(held_up) = self.log.make_room(bytes, Purpose::Set).held_up() {
            return held_up;
        }
        for (slot, seq) in in_the_way {
            self.live.count(slot, |counts| counts.dropped += 1);
            self.remove(slot, seq);
        }
        let slot = found.unwrap_or_else(|| self.create_queue(name));
        self.append_front(slot, front);
        let own = own.map(|state| (slot, front.keep_back(state)));
        let targets: SmallVec<[Target; 8]> = own.into_iter().chain(children).collect();
        self.push_to(&targets, flags, body);
        targets.iter().filter(|(target, state)| *target != slot && state.not_before == 0).for_each(|(child, _)| {
            self.live.wake(*child);
        });
        Attempt::Done(())
    }

    /// Appends a message to each of these queues; there is room for it.
    fn push_to(&mut self, targets: &[Target], flags: u32, body: &[u8]) {
        if targets.is_empty() {
            return;
        }
        self.log.put_now();
        let of = |(slot, _): &Target| {
            let queue = self.live.queues.at(*slot);
            (queue.id, *slot, queue.next)
        };
        let holders: Holders = targets.iter().map(of).collect();
        let indexed = self.index.is_some();
        let place = append_shared_put(&mut self.log, &mut self.directories, indexed, &holders, flags, body);
        for (slot, state) in targets {
            self.live.queues.at_mut(*slot).push(Message { place, flags, body: Some(body.into()) });
            self.live.messages += 1;
            self.live.resident += resident_bytes(body.len());
            self.begin_state(*slot, *state);
            self.time_age(*slot);
        }
        self.memory.keep_to_budget(&mut self.live, &self.log);
    }
}
