//! A queue in memory: its record, and its messages in runs of ascending numbers.

mod delivery;
mod extras;
pub(crate) mod gone;
pub(crate) mod ids;
pub(crate) mod live;
pub(crate) mod message;
pub(crate) mod rates;
mod recovering;
pub(crate) mod run;
pub(crate) mod slots;
pub(crate) mod states;
pub(crate) mod sums;
pub(crate) mod table;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::log::entry::{QueueId, Record, Seq, record_bytes};
use crate::log::{Place, Position};
use crate::queue::table::Slot;
use crate::settings::Settings;

use delivery::Delivery;
pub(crate) use extras::Counts;
pub use message::{Kept, Taken};
pub(crate) use message::{Message, resident_bytes};
use recovering::Recovering;
use run::{Eviction, RUN_MESSAGES_MAX, Run};

/// A drained queue keeps room for so many messages, so that one that is filled and drained all day allocates nothing,
/// and a million drained ones cost little.
const DRAINED_CAPACITY_MAX: usize = 4;

/// Counts the flushes of all queues. A queue whose epoch is not its store's has yet to drop its messages.
pub(crate) type Epoch = u32;

/// The messages of a queue that was deleted or flushed. Taken out of the queue as they are, however many they are, and
/// given back one by one.
#[derive(Debug)]
pub(crate) struct Dropped {
    front: Run,
    rest: VecDeque<Run>,
}

impl Dropped {
    /// The next message; `None` when all are given back.
    pub(crate) fn pop(&mut self) -> Option<Message> {
        if self.front.is_empty() {
            self.front = self.rest.pop_front()?;
        }
        self.front.pop_front().map(|(_, message)| message)
    }
}

/// A queue: a set of messages with ascending numbers. Invariants outside of recovery: `head` is the number of the first
/// message, or `next` when there is none; of the numbers `head..next`, [`gaps`](Self::gaps) are gone.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    /// In place when it is short, so that comparing it costs no cache miss beyond the queue's own.
    pub(crate) name: SmallVec<[u8; 16]>,
    pub(crate) head: Seq,
    pub(crate) next: Seq,
    pub(crate) sets: u64,
    pub(crate) gets: u64,
    /// Bytes of all bodies, in memory or not.
    pub(crate) bytes: u64,
    /// From this segment on the log holds all that says what the queue is, apart from its messages: the record, the numbers
    /// above the head that are gone, and the settings. 0 while there is none.
    pub(crate) record_segment: u32,
    /// The last flush of all queues that it has followed.
    pub(crate) epoch: Epoch,
    /// The run at the head, in place so that a shallow queue needs no list of runs.
    front: Run,
    /// What few queues have. Boxed, since nearly all queues of a million have none of it.
    beyond: Option<Box<Beyond>>,
}

/// What a queue has that is deep, or was not taken from in order, or has settings, or messages that are out.
#[derive(Debug, Default)]
struct Beyond {
    /// The runs behind the front one. None of them is empty.
    rest: VecDeque<Run>,
    /// Sum of their [`Run::resident_bytes`].
    resident_bytes: usize,
    /// Numbers above the head that are gone.
    gaps: u64,
    settings: Box<[u8]>,
    /// What holds for the queue, where it is not the default: its settings over those of a pattern.
    rules: Option<Arc<Settings>>,
    /// The queues that have every message put into this one.
    children: Vec<Slot>,
    delivery: Option<Box<Delivery>>,
    counts: Option<Box<Counts>>,
    /// When the age of its messages is looked at, in milliseconds since 1970.
    age_timed_at: Option<u64>,
    recovering: Option<Box<Recovering>>,
}

impl Beyond {
    fn is_needless(&self) -> bool {
        let has_rules = self.rules.is_some() || !self.settings.is_empty() || !self.children.is_empty();
        let has_extras = self.delivery.is_some() || self.counts.is_some() || self.age_timed_at.is_some();
        self.rest.is_empty() && self.gaps == 0 && !has_rules && !has_extras && self.recovering.is_none()
    }
}

impl Queue {
    /// An empty queue, which has followed all flushes of all queues up to `epoch`.
    pub(crate) fn new(id: QueueId, name: &[u8], epoch: Epoch) -> Queue {
        Queue {
            id,
            name: SmallVec::from_slice(name),
            head: 1,
            next: 1,
            sets: 0,
            gets: 0,
            bytes: 0,
            record_segment: 0,
            epoch,
            front: Run::default(),
            beyond: None,
        }
    }

    pub(crate) fn record(&self) -> Record<'_> {
        Record {
            queue: self.id,
            name: &self.name,
            settings: self.settings(),
            head: self.head,
            next: self.next,
            sets: self.sets,
            gets: self.gets,
        }
    }

    /// Bytes that the record takes in the log.
    pub(crate) fn record_bytes(&self) -> usize {
        record_bytes(&self.name, self.settings())
    }

    /// What the queue was told, in a form of its own; empty when it was told nothing.
    pub(crate) fn settings(&self) -> &[u8] {
        self.beyond.as_ref().map_or(&[], |beyond| &beyond.settings)
    }

    pub(crate) fn set_settings(&mut self, settings: &[u8]) {
        if settings != self.settings() {
            self.beyond.get_or_insert_default().settings = settings.into();
            self.forget_needless();
        }
    }

    /// Messages that wait.
    pub(crate) fn depth(&self) -> u64 {
        self.next - self.head - self.gaps()
    }

    /// Numbers between the first message's and the next one's that are gone.
    pub(crate) fn gaps(&self) -> u64 {
        self.beyond.as_ref().map_or(0, |beyond| beyond.gaps)
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        self.front.resident_bytes() + self.beyond.as_ref().map_or(0, |beyond| beyond.resident_bytes)
    }

    fn rest(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.beyond.iter().flat_map(|beyond| beyond.rest.iter())
    }

    fn runs(&self) -> impl Iterator<Item = &Run> {
        std::iter::once(&self.front).filter(|run| !run.is_empty()).chain(self.rest())
    }

    /// The runs from the one on that holds a number, or would.
    fn runs_from(&self, seq: Seq) -> impl Iterator<Item = &Run> {
        let front = Some(&self.front).filter(|run| !run.is_empty() && run.end() > seq);
        let rest = self.beyond.as_ref().map(|beyond| {
            let start = beyond.rest.partition_point(|run| run.end() <= seq);
            beyond.rest.range(start..)
        });
        front.into_iter().chain(rest.into_iter().flatten())
    }

    fn forget_needless(&mut self) {
        self.beyond.take_if(|beyond| beyond.is_needless());
    }

    /// Appends the message that has the number `next`, and counts it.
    pub(crate) fn push(&mut self, message: Message) {
        let seq = self.next;
        self.next += 1;
        self.sets += 1;
        self.bytes += u64::from(message.place.body_bytes);
        self.append(seq, message);
    }

    /// Gives the next message the number `next`. Those before it are gone, and never had a message here.
    pub(crate) fn skip_to(&mut self, next: Seq) {
        assert!(next >= self.next);
        if self.front.is_empty() {
            (self.head, self.next) = (next, next);
        } else {
            self.beyond.get_or_insert_default().gaps += next - self.next;
            self.next = next;
            self.forget_needless();
        }
    }

    /// Takes the message at the head, and counts it.
    pub(crate) fn pop(&mut self) -> Option<(Seq, Message)> {
        let (seq, message) = self.front.pop_front()?;
        debug_assert_eq!(seq, self.head, "the head is the first message's number");
        self.gets += 1;
        self.bytes -= u64::from(message.place.body_bytes);
        if self.front.is_empty() {
            self.next_run();
        }
        self.raise_head_to_front();
        Some((seq, message))
    }

    /// Takes the message with this number, and counts it. `None`: it does not wait here.
    pub(crate) fn remove(&mut self, seq: Seq) -> Option<Message> {
        if seq == self.head {
            return self.pop().map(|(_, message)| message);
        }
        let message = self.extract(seq)?;
        self.gets += 1;
        self.bytes -= u64::from(message.place.body_bytes);
        self.beyond.get_or_insert_default().gaps += 1;
        Some(message)
    }

    /// Takes a message out of the runs.
    fn extract(&mut self, seq: Seq) -> Option<Message> {
        if !self.front.is_empty() && seq < self.front.end() {
            let message = self.front.remove(seq)?;
            if self.front.is_empty() {
                self.next_run();
            }
            return Some(message);
        }
        let beyond = self.beyond.as_mut()?;
        let at = beyond.rest.partition_point(|run| run.end() <= seq);
        let run = beyond.rest.get_mut(at)?;
        let message = run.remove(seq)?;
        beyond.resident_bytes -= message.resident_bytes();
        if run.is_empty() {
            beyond.rest.remove(at);
            self.forget_needless();
        }
        Some(message)
    }

    /// Raises the head to the first message that is left: the gaps before it are behind the head from then on.
    #[inline]
    fn raise_head_to_front(&mut self) {
        let head = if self.front.is_empty() { self.next } else { self.front.first() };
        if let Some(beyond) = &mut self.beyond {
            beyond.gaps -= head - self.head - 1;
            self.forget_needless();
        }
        self.head = head;
    }

    /// Replaces an empty front run by the one behind it.
    fn next_run(&mut self) {
        debug_assert!(self.front.is_empty());
        if let Some(run) = self.beyond.as_mut().and_then(|beyond| beyond.rest.pop_front()) {
            if let Some(beyond) = &mut self.beyond {
                beyond.resident_bytes -= run.resident_bytes();
            }
            self.front = run;
            self.forget_needless();
        } else if self.front.capacity() > DRAINED_CAPACITY_MAX {
            self.front = Run::default();
        }
    }

    /// Drops all messages; the caller gives them back little by little. `None`: there were none.
    pub(crate) fn clear(&mut self) -> Option<Dropped> {
        self.head = self.next;
        self.bytes = 0;
        let mut dropped = Dropped { front: std::mem::take(&mut self.front), rest: VecDeque::new() };
        if let Some(beyond) = &mut self.beyond {
            dropped.rest = std::mem::take(&mut beyond.rest);
            (beyond.resident_bytes, beyond.gaps, beyond.delivery) = (0, 0, None);
            self.forget_needless();
        }
        (!dropped.front.is_empty() || !dropped.rest.is_empty()).then_some(dropped)
    }

    /// Drops all messages but these, which are in order and there, and which are open then; so many of them have a state.
    pub(crate) fn clear_around(&mut self, open: &[Seq], states: u64) -> Option<Dropped> {
        let kept: Vec<(Seq, Message)> =
            open.iter().map(|seq| (*seq, self.extract(*seq).expect("an open message is there"))).collect();
        let dropped = self.clear();
        for (seq, message) in kept {
            self.bytes += u64::from(message.place.body_bytes);
            self.append(seq, message);
        }
        self.head = open.first().copied().unwrap_or(self.next);
        let gaps = self.next - self.head - open.len() as u64;
        let beyond = self.beyond.get_or_insert_default();
        beyond.gaps = gaps;
        beyond.delivery = Some(Box::new(Delivery::keep_open(self.next, open.len() as u64, states)));
        dropped
    }

    /// Adds a message behind all others.
    fn append(&mut self, seq: Seq, message: Message) {
        let bytes = message.resident_bytes();
        let last = match &mut self.beyond {
            Some(beyond) if !beyond.rest.is_empty() => {
                beyond.resident_bytes += bytes;
                beyond.rest.back_mut().expect("just looked")
            }
            _ => &mut self.front,
        };
        if last.takes(seq) {
            last.append(seq, message);
            return;
        }
        // A queue that needs another run since one is full will fill it: growing it by steps would leave holes in the heap.
        let mut run = if last.is_full() { Run::with_capacity(RUN_MESSAGES_MAX) } else { Run::default() };
        run.append(seq, message);
        let beyond = self.beyond.get_or_insert_default();
        if beyond.rest.is_empty() {
            beyond.resident_bytes += bytes;
        }
        beyond.rest.push_back(run);
    }

    /// The message with this number, if it waits.
    pub(crate) fn message(&self, seq: Seq) -> Option<&Message> {
        self.runs_from(seq).next()?.get(seq)
    }

    /// Has the run of a message change it. Returns how many resident bytes that added.
    fn change(&mut self, seq: Seq, change: impl FnOnce(&mut Run) -> usize) -> usize {
        if !self.front.is_empty() && seq < self.front.end() {
            return change(&mut self.front);
        }
        let Some(beyond) = &mut self.beyond else { return 0 };
        let at = beyond.rest.partition_point(|run| run.end() <= seq);
        let added = beyond.rest.get_mut(at).map_or(0, change);
        beyond.resident_bytes += added;
        added
    }

    /// Gives a message another place and keeps its body in memory, if it was not there yet. Returns how many resident
    /// bytes that added.
    pub(crate) fn move_message(&mut self, seq: Seq, place: Place, flags: u32, body: &[u8]) -> usize {
        self.change(seq, |run| {
            let added = run.fill(seq, flags, body);
            run.get_mut(seq).expect("the caller looked it up").place = place;
            added
        })
    }

    /// Brings a body into memory. Returns how many resident bytes that added.
    pub(crate) fn fill(&mut self, seq: Seq, flags: u32, body: &[u8]) -> usize {
        self.change(seq, |run| run.fill(seq, flags, body))
    }

    /// Takes the body of a message out of memory; `None`: it is not there.
    pub(crate) fn let_body_go(&mut self, seq: Seq) -> Option<Box<[u8]>> {
        if !self.front.is_empty() && seq < self.front.end() {
            return self.front.let_body_go(seq);
        }
        let beyond = self.beyond.as_mut()?;
        let at = beyond.rest.partition_point(|run| run.end() <= seq);
        let body = beyond.rest.get_mut(at)?.let_body_go(seq)?;
        beyond.resident_bytes -= resident_bytes(body.len());
        Some(body)
    }

    /// Drops bodies from memory, those farthest from the head first, until at most `keep` resident bytes are left or
    /// `bytes_to_free` are freed. Only bodies whose place is in this part of the log; the search ends at one that is
    /// before it. Returns how many bytes went.
    pub(crate) fn evict(&mut self, keep: usize, bytes_to_free: usize, part: Range<Position>) -> usize {
        let resident = self.resident_bytes();
        let mut freed = 0;
        let mut evict = |run: &mut Run| {
            // A run whose first message is not written yet is passed over as a whole: a slow disk leaves many of them, and
            // each put comes by here.
            let first = run.front().map(|message| message.place.position());
            if run.resident_bytes() == 0 || first.is_none_or(|first| first >= part.end) {
                return (0, false);
            }
            let (bytes, ends) = run.evict(|message, here| {
                let is_behind = message.place.position() < part.start;
                if is_behind || resident - freed - here <= keep || freed + here >= bytes_to_free {
                    Eviction::End
                } else if message.body.is_some() && message.place.position() < part.end {
                    Eviction::Go
                } else {
                    Eviction::Stay
                }
            });
            freed += bytes;
            (bytes, ends)
        };
        if let Some(beyond) = &mut self.beyond {
            for run in beyond.rest.iter_mut().rev() {
                let (bytes, ends) = evict(run);
                beyond.resident_bytes -= bytes;
                if ends {
                    return freed;
                }
            }
        }
        evict(&mut self.front);
        freed
    }

    /// The message that is next to be taken.
    pub(crate) fn head_message(&self) -> Option<&Message> {
        self.front.front()
    }

    /// All messages in order, with their numbers.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (Seq, &Message)> {
        self.runs().flat_map(Run::iter)
    }

    /// The messages from a number on, in order, with their numbers.
    pub(crate) fn messages_from(&self, seq: Seq) -> impl Iterator<Item = (Seq, &Message)> {
        self.runs_from(seq).flat_map(move |run| run.iter_from(seq))
    }

    /// Calls `each` with the ranges of numbers from `from` to `next` that are gone, in order. It looks at so many
    /// messages at most, or runs without a gap. Returns where to go on; `None` at the end.
    pub(crate) fn gaps_from(&self, from: Seq, looks: usize, mut each: impl FnMut(Range<Seq>)) -> Option<Seq> {
        let (mut expected, mut looked) = (from, 0);
        let mut gap = |seq: Seq, expected: Seq| {
            if seq > expected {
                each(expected..seq);
            }
        };
        for run in self.runs_from(from) {
            if looked >= looks {
                return Some(expected);
            }
            if !run.has_gaps() {
                gap(run.first(), expected);
                (expected, looked) = (run.end(), looked + 1);
                continue;
            }
            for (seq, _) in run.iter_from(from) {
                if looked >= looks {
                    return Some(expected);
                }
                gap(seq, expected);
                (expected, looked) = (seq + 1, looked + 1);
            }
        }
        gap(self.next, expected);
        None
    }
}

#[cfg(test)]
mod tests;
