//! Making queues out of entries: the part of recovery that knows what an entry means.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;

use smallvec::SmallVec;

use crate::gate::all::Telling;
use crate::index::items::write_directory;
use crate::index::segment_puts::{Located, SegmentPuts};
use crate::index::{Index, IndexError, Written};
use crate::log::Place;
use crate::log::Position;
use crate::log::Times;
use crate::log::codec::Reader;
use crate::log::entry::{Entry, QueueId, Seq, State, TicketEntry, Time};
use crate::log::pairs::pairs;
use crate::log::ranges::ranges;
use crate::queue::ids::{Ids, Remembered};
use crate::queue::table::{Queues, UNKNOWN_SLOT};
use crate::queue::{Epoch, Queue};

/// The queues so far. Entries may come again, and records and directories of a checkpoint may know more than the
/// entries that are applied over them: nothing ever goes back.
#[derive(Debug)]
pub(crate) struct Rebuild {
    /// A queue that has no name yet is one whose record comes later in the log, or was dropped later.
    pub(crate) queues: Queues,
    /// Directories of the segments that were walked through, if an index wants them.
    pub(crate) directories: VecDeque<SegmentPuts>,
    indexed: bool,
    /// Flushes of all queues that records of the index know, as those came: a queue's epoch below their number is the place
    /// of one of them. The first is none.
    known: Vec<Position>,
    /// The last flush of all queues that was replayed, as an epoch behind all those, and its place.
    epoch: Epoch,
    flushed_at: Position,
    /// What messages have beside their bodies; some are of messages that are gone.
    pub(crate) states: BTreeMap<(QueueId, Seq), State>,
    /// When the puts were made.
    pub(crate) times: Times,
    /// The last second that any of them was made in.
    last_second: u32,
    /// What puts were called; some are of queues that are gone.
    pub(crate) ids: Ids,
    /// Puts that are messages of several queues, and the one that each of them names.
    pub(crate) shared: BTreeMap<Position, (QueueId, Seq)>,
    /// The messages that the next put is, beside the one that it names.
    also: Vec<(QueueId, Seq)>,
    /// What buyers have; some are of queues that are gone.
    pub(crate) gates: Telling,
    /// The put that a directory of the index told of last.
    located: Option<Located>,
    /// Leases may have got numbers below this one.
    pub(crate) leases: u64,
    /// The segment of the last entry that says so; 0: there is none.
    pub(crate) leases_said_in: u32,
}

impl Rebuild {
    pub(crate) fn new(indexed: bool) -> Rebuild {
        Rebuild {
            queues: Queues::default(),
            directories: VecDeque::new(),
            indexed,
            known: vec![Position::default()],
            epoch: 0,
            flushed_at: Position::default(),
            states: BTreeMap::new(),
            times: Times::default(),
            last_second: 0,
            ids: Ids::default(),
            shared: BTreeMap::new(),
            also: Vec::new(),
            gates: Telling::default(),
            located: None,
            leases: 0,
            leases_said_in: 0,
        }
    }

    /// Applies all entries of a frame whose body is at `at`. False: the bytes are no entries.
    pub(crate) fn apply_frame(&mut self, body: &[u8], at: Position) -> bool {
        let mut reader = Reader::new(body);
        // The message of a new ticket is right behind it.
        let mut with_ticket = None;
        while !reader.is_empty() {
            let offset = at.offset + (body.len() - reader.remaining()) as u32;
            let Some(entry) = Entry::decode(&mut reader) else {
                return false;
            };
            // Of more messages than one is said right in front of their put, and of each once.
            match entry {
                _ if self.also.is_empty() => {}
                Entry::Put { queue, seq, .. } if self.names_each_once(queue, seq) => {}
                _ => return false,
            }
            match entry {
                Entry::Also { .. } => {}
                Entry::Put { queue, seq, .. } if with_ticket == Some((queue, seq)) => with_ticket = None,
                _ if with_ticket.is_some() => return false,
                Entry::Ticket(TicketEntry { queue, terms, with_message: true, .. }) => {
                    with_ticket = Some((queue, terms.seq));
                }
                _ => {}
            }
            self.apply(&entry, Position { offset, ..at });
        }
        self.also.is_empty() && with_ticket.is_none()
    }

    /// Applies the entry that is at `at`.
    pub(crate) fn apply(&mut self, entry: &Entry<'_>, at: Position) {
        match *entry {
            Entry::Record(record) => {
                let queue = self.queue(record.queue);
                if queue.name.is_empty() {
                    queue.name = SmallVec::from_slice(record.name);
                }
                queue.raise_head(record.head);
                queue.next = queue.next.max(record.next);
                queue.sets = queue.sets.max(record.sets);
                queue.gets = queue.gets.max(record.gets);
                queue.set_settings(record.settings);
                queue.note_record(at.segment);
            }
            Entry::Put { queue: id, seq, body, .. } => {
                let place = Place { segment: at.segment, offset: at.offset, body_bytes: body.len() as u32 };
                self.apply_put(id, seq, place);
                if !self.also.is_empty() {
                    self.shared.insert(at, (id, seq));
                    let also = std::mem::take(&mut self.also);
                    also.into_iter().for_each(|(id, seq)| self.apply_put(id, seq, place));
                }
            }
            Entry::Also { pairs: bytes } => self.also.extend(pairs(bytes).flatten()),
            Entry::Id { queue, until_s, token } => self.know_id(queue, until_s, token, at.segment),
            Entry::Take { queue, seq } => {
                let in_queue = self.queue(queue);
                in_queue.gets += u64::from(in_queue.note_taken(seq));
                if !self.states.is_empty() {
                    self.states.remove(&(queue, seq));
                }
            }
            Entry::Time(Time { second, leases }) => {
                self.times.note(at, second);
                self.last_second = self.last_second.max(second);
                while self.ids.forget_ended(self.last_second).is_some() {}
                self.leases_said_in = at.segment;
                self.leases = self.leases.max(leases);
            }
            Entry::State { queue, seq, state } => self.know_state(queue, seq, state),
            Entry::Gone { queue, begins, ranges: bytes } => {
                let queue = self.queue(queue);
                if begins {
                    queue.begin_list(at.segment);
                }
                ranges(bytes).flatten().for_each(|range| queue.note_gone(range));
            }
            Entry::Told { queue, settings } => self.queue(queue).set_settings(settings),
            Entry::Drop { queue } => {
                self.queues.remove_unnamed(queue);
                self.ids.forget_queue(queue);
                while self.ids.give_back().is_some() {}
                if !self.gates.is_empty() {
                    self.gates.drop_queue(queue);
                }
            }
            Entry::Ticket(TicketEntry { queue, key, buyer, terms, given, at_ms, .. }) => {
                self.queue(queue);
                self.gates.know(queue, key, buyer, terms, at.segment);
                if given > 0 {
                    self.gates.tally(queue).note_given(given, at_ms);
                }
            }
            Entry::Freed { queue, key, why, count } => {
                self.queue(queue);
                self.gates.tickets.remove(&(queue, key));
                let tally = self.gates.tally(queue);
                tally.note_freed(why, count);
                tally.places = tally.places.max(key.as_place().map_or(0, |place| place + 1));
            }
            Entry::Gate { queue, tally } => {
                self.queue(queue);
                self.gates.tally(queue).raise(&tally);
            }
            Entry::Flush => {
                self.flushed_at = at;
                match self.epoch.checked_add(1) {
                    Some(epoch) => self.epoch = epoch.max(self.known.len() as Epoch),
                    None => self.follow_flushes(),
                }
            }
        }
    }

    /// Whether a put of this message, and of those that were said in front of it, names none of them twice.
    fn names_each_once(&self, queue: QueueId, seq: Seq) -> bool {
        let mut named: SmallVec<[(QueueId, Seq); 8]> = self.also.iter().copied().chain([(queue, seq)]).collect();
        named.sort_unstable();
        named.windows(2).all(|two| two[0] != two[1])
    }

    /// Notes where a message is.
    fn apply_put(&mut self, id: QueueId, seq: Seq, place: Place) {
        let queue = self.queue(id);
        // A number that is known is a copy of a message, or one that the checkpoint knew.
        if seq >= queue.next {
            queue.next = seq + 1;
            queue.sets += 1;
        }
        queue.place(seq, place);
        if self.indexed {
            self.directory(place.segment).push(id, UNKNOWN_SLOT, seq, place.offset, place.body_bytes);
        }
    }

    /// Notes what a put of a queue was called, in place of what is known of it. By the log's own time it may be over.
    pub(crate) fn know_id(&mut self, queue: QueueId, until_s: u32, token: &[u8], segment: u32) {
        self.ids.set(queue, token, Remembered { until_s, segment });
    }

    /// The queue of this id as the last flush has left it, made if there is none.
    fn queue(&mut self, id: QueueId) -> &mut Queue {
        let (known, epoch, flushed_at) = (&self.known, self.epoch, self.flushed_at);
        let slot = self.queues.find_id(id);
        let slot = slot.unwrap_or_else(|| self.queues.add_unnamed(Queue::new(id, b"", epoch)));
        let queue = self.queues.at_mut(slot);
        follow_flush(queue, known, epoch, flushed_at);
        queue
    }

    /// Notes numbers of a queue that are gone, which the index knows.
    pub(crate) fn know_gone(&mut self, queue: QueueId, ranges_of_it: &[u8]) {
        let queue = self.queue(queue);
        ranges(ranges_of_it).flatten().for_each(|range| queue.note_gone(range));
    }

    /// Notes what a message has beside its body, in place of what it had.
    pub(crate) fn know_state(&mut self, queue: QueueId, seq: Seq, state: State) {
        self.states.insert((queue, seq), state);
    }

    /// Notes when the puts from a position on were made, which the index knows.
    pub(crate) fn know_time(&mut self, at: Position, second: u32) {
        self.times.note(at, second);
    }

    /// Forgets the states of messages that are gone.
    pub(crate) fn drop_needless_states(&mut self) {
        let queues = &self.queues;
        self.states.retain(|(queue, seq), _| {
            queues.find_id(*queue).is_some_and(|slot| queues.at(slot).message(*seq).is_some())
        });
    }

    /// Forgets the ids of queues that are gone, and those that had ended when their segments went: these are left.
    pub(crate) fn drop_needless_ids(&mut self, segments: RangeInclusive<u32>) {
        let queues = &self.queues;
        self.ids.retain(|queue, id| segments.contains(&id.segment) && queues.find_id(queue).is_some());
    }

    /// Notes that the records that come from the index from now on know this flush of all queues.
    pub(crate) fn know_flush(&mut self, at: Position) {
        self.epoch = self.known.len() as Epoch;
        self.known.push(at);
    }

    /// Notes that all records of the index are there: a queue that comes from now on knows none of their flushes.
    pub(crate) fn end_records(&mut self) {
        self.epoch = self.known.len() as Epoch;
    }

    /// Has all queues follow the last flush of all of them. They count from 0 again.
    pub(crate) fn follow_flushes(&mut self) {
        for slot in 0..self.queues.slots() {
            if let Some(queue) = self.queues.get_mut(slot) {
                follow_flush(queue, &self.known, self.epoch, self.flushed_at);
                queue.epoch = 0;
            }
        }
        (self.known, self.epoch, self.flushed_at) = (vec![Position::default()], 0, Position::default());
    }

    fn directory(&mut self, segment: u32) -> &mut SegmentPuts {
        if self.directories.back().is_none_or(|directory| directory.segment != segment) {
            self.directories.push_back(SegmentPuts::new(segment));
        }
        self.directories.back_mut().expect("just made")
    }

    /// Notes a put that a directory of the checkpoint at `checkpoint` knows. One of a queue that has no record was
    /// dropped since.
    pub(crate) fn locate(&mut self, located: &Located, checkpoint: Position) {
        // The first of those at a place is the one that the put names.
        let first = self.located.filter(|first| first.place == located.place).unwrap_or(*located);
        if first != *located {
            self.shared.insert(first.place.position(), (first.queue, first.seq));
        }
        self.located = Some(first);
        if let Some(slot) = self.queues.find_id(located.queue) {
            self.queues.at_mut(slot).place(located.seq, located.place);
        }
        // That segment goes on filling, and its directory with it; what is behind the checkpoint is replayed.
        let place = located.place;
        if place.segment == checkpoint.segment && place.offset < checkpoint.offset {
            self.directory(place.segment).push(
                located.queue,
                UNKNOWN_SLOT,
                located.seq,
                place.offset,
                place.body_bytes,
            );
        }
    }

    /// Hands the directory of a segment that was walked through to the index, instead of keeping it. Returns what the index
    /// has then; `None` when it cannot be written.
    pub(crate) fn store_directory(&mut self, segment: u32, index: &Index, generation: u64) -> Option<Written> {
        let directory = self.directories.pop_back().filter(|directory| directory.segment == segment);
        let directory = directory.unwrap_or_else(|| SegmentPuts::new(segment));
        let written = write_directory(index, &directory, self.times.of_segment(segment), generation);
        written.map_err(|IndexError(what)| ::log::error!("the index cannot be written: {what}")).ok()
    }

    /// What is missing, once all queues [follow the flushes](Self::follow_flushes): `None` when every queue has its
    /// record, in a segment that is still needed, and a message of each number between its head and its next that is
    /// not gone, before the end of the log.
    pub(crate) fn incomplete(&self, first_segment: u32, end: Position) -> Option<String> {
        self.queues.iter().find_map(|queue| {
            let name = || String::from_utf8_lossy(&queue.name);
            if queue.name.is_empty() {
                return Some(format!("queue number {} has no record", queue.id));
            }
            if queue.record_segment < first_segment {
                return Some(format!("queue \"{}\" has no record in the segments that are left", name()));
            }
            if let Some(seq) = queue.missing() {
                return Some(format!("queue \"{}\" lacks message {seq} of {}..{}", name(), queue.head, queue.next));
            }
            // Of an index: what the log puts is before the next number by itself.
            if let Some((seq, _)) = queue.messages_from(queue.next).next() {
                return Some(format!(
                    "queue \"{}\" has a message {seq}, and its next number is {}",
                    name(),
                    queue.next
                ));
            }
            if queue.record_segment > end.segment {
                return Some(format!("the record of queue \"{}\" is behind the end of the log", name()));
            }
            if let Some(seat) = self.ticket_elsewhere(queue.id, first_segment..=end.segment) {
                return Some(format!(
                    "the ticket of seat or place {seat} of queue \"{}\" is in a part of the log that is gone",
                    name()
                ));
            }
            let is_elsewhere = |place: Place| place.segment < first_segment || place.position() >= end;
            let (seq, _) = queue.messages().find(|(_, message)| is_elsewhere(message.place))?;
            Some(format!("message {seq} of queue \"{}\" is in a part of the log that is gone", name()))
        })
    }

    /// A ticket of a queue, or a place in its line, that no segment says that is needed.
    fn ticket_elsewhere(&self, queue: QueueId, segments: RangeInclusive<u32>) -> Option<u64> {
        let mut tickets = self.gates.of_queue(queue);
        tickets.find(|(_, ticket)| !segments.contains(&ticket.segment)).map(|(key, _)| key.number())
    }

    /// One more than the highest id that was seen.
    pub(crate) fn next_queue_id(&self) -> QueueId {
        self.queues.iter().map(|queue| queue.id + 1).max().unwrap_or(1)
    }
}

/// Drops a queue's messages when a flush was replayed since it was used last, unless it came with a record that knows it.
fn follow_flush(queue: &mut Queue, known: &[Position], epoch: Epoch, flushed_at: Position) {
    let knows = known.get(queue.epoch as usize).is_some_and(|known| *known >= flushed_at);
    if queue.epoch != epoch && !knows {
        queue.raise_head(queue.next);
        queue.epoch = epoch;
    }
}
