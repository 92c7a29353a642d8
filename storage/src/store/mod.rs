//! A shard's storage: its queues, their log, and what is known to be on the disk.

pub(crate) mod adopting;
pub(crate) mod appending;
mod checkpoint;
pub(crate) mod chore;
pub(crate) mod complaints;
mod dedup;
mod due;
pub(crate) mod families;
mod fanout;
pub(crate) mod figures;
pub(crate) mod find;
mod flush;
mod gates;
pub(crate) mod inspecting;
mod leases;
mod offline;
pub(crate) mod open;
pub(crate) mod opens;
pub(crate) mod peeking;
pub(crate) mod purge;
pub(crate) mod puts;
mod reclaim;
mod rewriting;
mod settings;

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::attempt::Attempt;
use crate::disk::Disk;
use crate::error::Result;
use crate::gate::all::Gates;
use crate::index::Index;
use crate::index::segment_puts::SegmentPuts;
use crate::log::commit::{Commit, Fsync};
use crate::log::entry::{DROP_BYTES, Entry, GATE_BYTES, Seq, TAKE_BYTES, TIME_BYTES, put_bytes, record_bytes};
use crate::log::frame::FrameNumber;
use crate::log::{Log, Purpose};
use crate::memory::Memory;
use crate::names;
use crate::options::{Durability, StoreOptions};
use crate::queue::ids::Ids;
use crate::queue::live::Live;
use crate::queue::rates::Rates;
use crate::queue::sums::Sums;
use crate::queue::table::Slot;
use crate::queue::{Message, Queue, Taken, resident_bytes};
use crate::recovery::Restored;
use crate::settings::Patterns;
use crate::store::appending::{append_put, append_record};
use crate::store::checkpoint::Checkpoint;
use crate::store::complaints::Complaints;
use crate::store::families::Families;
use crate::store::leases::Leases;
use crate::store::puts::PutWith;
use crate::store::reclaim::Copying;
use crate::store::rewriting::Rewriting;

/// A queue's line in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueLine {
    /// The queue's name.
    pub name: Box<[u8]>,
    /// Messages put since the queue was made.
    pub sets: u64,
    /// Messages taken since the queue was made.
    pub gets: u64,
}

/// Figures of a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Queues that exist, empty ones included.
    pub queues: u64,
    /// Messages that wait.
    pub messages: u64,
    /// Bytes of their bodies that are in memory, with what the allocator adds.
    pub resident_bytes: u64,
    /// From the oldest needed byte of the log to its end.
    pub log_bytes: u64,
    /// Bytes in it that are still needed.
    pub live_bytes: u64,
    /// Of the messages, those that are kept back, or on their way to the dead letters.
    pub delayed: u64,
    /// Of the messages, those among dead letters.
    pub dead: u64,
    /// Open messages that were acknowledged since the start.
    pub acked: u64,
    /// Times that an open message was given up since the start.
    pub returned: u64,
    /// Messages that were too old since the start.
    pub expired: u64,
}

impl Totals {
    /// Adds another store's figures.
    pub fn add(&mut self, other: &Totals) {
        self.queues += other.queues;
        self.messages += other.messages;
        self.resident_bytes += other.resident_bytes;
        self.log_bytes += other.log_bytes;
        self.live_bytes += other.live_bytes;
        self.delayed += other.delayed;
        self.dead += other.dead;
        self.acked += other.acked;
        self.returned += other.returned;
        self.expired += other.expired;
    }
}

/// One shard's queues and log. Plain and synchronous: changes are applied in memory and gathered in a frame, and the
/// slow parts come out as values ([`Commit`], [`Fsync`], [`Chore`](crate::Chore)) that may run on any thread.
#[derive(Debug)]
pub struct Store {
    pub(crate) options: StoreOptions,
    pub(crate) log: Log,
    pub(crate) live: Live,
    /// Directories that the index does not have yet; the last is the active segment's.
    pub(crate) directories: VecDeque<SegmentPuts>,
    pub(crate) index: Option<Arc<Index>>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) copying: Option<Copying>,
    pub(crate) rewriting: Option<Rewriting>,
    pub(crate) memory: Memory,
    pub(crate) leases: Leases,
    /// What puts were called.
    pub(crate) ids: Ids,
    /// The gates of queues.
    pub(crate) gates: Gates,
    /// The children of all queues, whether these exist or not.
    pub(crate) families: Families,
    pub(crate) complaints: Complaints,
    /// What queues are told by their names.
    pub(crate) patterns: Arc<Patterns>,
    /// The patterns do not hold yet for the queues in slots below this one.
    pub(crate) unruled: Slot,
    /// What is due waits for the disk.
    pub(crate) due_is_held_up: bool,
    /// How fast messages come and go, while that is asked for.
    pub(crate) rates: Rates,
    /// What time it was at the start, in milliseconds since 1970; 0 until it was said.
    pub(crate) started_ms: u64,
}

impl Store {
    fn new(options: StoreOptions, restored: Restored) -> Store {
        let Restored {
            log,
            queues,
            index,
            loaded,
            generation,
            contents,
            puts,
            directories_below,
            states,
            ids,
            gates,
            ..
        } = restored;
        let mut store = Store {
            leases: Leases::new(&log),
            ids,
            gates,
            families: Families::default(),
            complaints: Complaints::default(),
            patterns: Arc::default(),
            unruled: 0,
            due_is_held_up: false,
            rates: Rates::default(),
            started_ms: 0,
            live: Live::new(queues),
            directories: puts,
            index,
            checkpoint: Checkpoint::default(),
            copying: None,
            rewriting: None,
            memory: Memory::new(options.memory_bytes),
            options,
            log,
        };
        store.resume(loaded, generation, contents, directories_below);
        store.unruled = store.live.queues.slots();
        while store.follow_patterns() {}
        store.restore_states(states);
        store.find_families();
        store
    }

    /// The random number of this store's log.
    #[must_use]
    pub fn log_id(&self) -> u64 {
        self.log.id()
    }

    // ---- what clients ask for ----

    /// Appends a message to a queue, which is made when it does not exist.
    ///
    /// # Errors
    /// When the disk fails otherwise; the caller must stop.
    ///
    /// # Panics
    /// When the body is larger than [`StoreOptions::body_bytes_max`].
    pub fn put(&mut self, name: &[u8], flags: u32, body: &[u8]) -> Result<Attempt<()>> {
        assert!(body.len() <= self.options.body_bytes_max, "the caller checks the size");
        let found = self.live.queues.find(name);
        if self.has_rules_for(name, found) {
            return self.put_with(name, flags, body, PutWith::default());
        }
        let record = if found.is_none() { record_bytes(name, b"") } else { 0 };
        if let Some(held_up) = self.log.make_room(record + TIME_BYTES + put_bytes(body.len()), Purpose::Set).held_up() {
            return Ok(held_up);
        }
        let slot = found.unwrap_or_else(|| self.create_queue(name));
        self.live.follow_flush(slot);
        self.push(slot, flags, body);
        Ok(Attempt::Done(()))
    }

    /// Whether a put into a queue, which may have to be made, may be more than that.
    #[inline]
    fn has_rules_for(&self, name: &[u8], found: Option<Slot>) -> bool {
        match found {
            Some(slot) => !self.live.queues.at(slot).is_plain(),
            None => !self.patterns.is_empty() || !self.families.is_empty() || name.contains(&b' '),
        }
    }

    /// Makes a queue if it does not exist. `NoRoom` also stands for a child of a queue that has as many as it may have.
    ///
    /// # Errors
    /// When the disk fails otherwise; the caller must stop.
    pub fn create(&mut self, name: &[u8]) -> Result<Attempt<()>> {
        if self.live.queues.find(name).is_none() {
            if self.has_too_many_siblings(name) {
                return Ok(Attempt::NoRoom);
            }
            if let Some(held_up) = self.log.make_room(record_bytes(name, b""), Purpose::Set).held_up() {
                return Ok(held_up);
            }
            self.create_queue(name);
        }
        Ok(Attempt::Done(()))
    }

    /// Makes a queue that a client asked for.
    pub(super) fn create_queue(&mut self, name: &[u8]) -> Slot {
        assert!(
            names::is_stored_name(name),
            "a queue that no command can name could never be emptied: {}",
            name.escape_ascii()
        );
        self.add_queue(name, |_| {})
    }

    /// Makes a queue; there is room for its record. Its name is new.
    pub(crate) fn add_queue(&mut self, name: &[u8], set_up: impl FnOnce(&mut Queue)) -> Slot {
        let id = self.log.next_queue_id;
        self.log.next_queue_id += 1;
        let mut queue = Queue::new(id, name, self.live.epoch());
        set_up(&mut queue);
        queue.set_rules(self.rules_of(name, queue.settings()));
        append_record(&mut self.log, &mut queue, None);
        self.live.record_bytes += queue.record_bytes() as u64;
        let slot = self.live.queues.add(queue);
        self.join_family(slot);
        slot
    }

    /// Appends a message to a queue that is there; there is room for it.
    #[inline]
    pub(crate) fn push(&mut self, slot: Slot, flags: u32, body: &[u8]) {
        self.log.put_now();
        self.append_message(slot, flags, body);
    }

    /// Appends a message that was put elsewhere in this second, `None` if it is not known; there is room for it.
    pub(crate) fn push_at(&mut self, slot: Slot, flags: u32, body: &[u8], second: Option<u32>) {
        self.log.put_at(second);
        self.append_message(slot, flags, body);
    }

    #[inline]
    fn append_message(&mut self, slot: Slot, flags: u32, body: &[u8]) {
        let queue = self.live.queues.at_mut(slot);
        let place = append_put(
            &mut self.log,
            &mut self.directories,
            self.index.is_some(),
            (queue.id, slot),
            queue.next,
            flags,
            body,
        );
        queue.push(Message { place, flags, body: Some(body.into()) });
        self.live.sums.note_put(queue);
        self.live.messages += 1;
        self.live.resident += resident_bytes(body.len());
        self.memory.keep_to_budget(&mut self.live, &self.log);
    }

    /// Takes the message at the head of a queue; `None` when the queue is empty, paused, or does not exist. Only then
    /// nothing was changed.
    ///
    /// # Errors
    /// When the disk fails, or the message's bytes are damaged; the caller must stop.
    pub fn take(&mut self, name: &[u8]) -> Result<Attempt<Option<Taken>>> {
        let Some(slot) = self.live.queues.find(name) else {
            return Ok(Attempt::Done(None));
        };
        self.live.follow_flush(slot);
        let queue = self.live.queues.at(slot);
        let (head, Some(message)) = (queue.head, queue.head_message()) else {
            return Ok(Attempt::Done(None));
        };
        if queue.is_paused() {
            return Ok(Attempt::Done(None));
        }
        if queue.delivery().is_some() {
            return self.take_available(slot);
        }
        let in_memory = message.body.is_some();
        self.take_from(slot, head, in_memory)
    }

    /// Takes the next message of a queue in which some are out.
    fn take_available(&mut self, slot: Slot) -> Result<Attempt<Option<Taken>>> {
        let Some(seq) = self.live.queues.at_mut(slot).next_available() else {
            return Ok(Attempt::Done(None));
        };
        let in_memory = self.live.queues.at(slot).message(seq).is_some_and(|message| message.body.is_some());
        self.take_from(slot, seq, in_memory)
    }

    /// Takes the message of this number out of a queue, wherever it stands; `None` when it does not wait there. Only then
    /// nothing was changed.
    ///
    /// # Errors
    /// When the disk fails, or the message's bytes are damaged; the caller must stop.
    pub fn take_message(&mut self, name: &[u8], seq: Seq) -> Result<Attempt<Option<Taken>>> {
        let Some(slot) = self.live.queues.find(name) else {
            return Ok(Attempt::Done(None));
        };
        self.live.follow_flush(slot);
        let Some(message) = self.live.queues.at(slot).message(seq) else {
            return Ok(Attempt::Done(None));
        };
        let in_memory = message.body.is_some();
        self.take_from(slot, seq, in_memory)
    }

    /// Takes a message that waits in the queue of a slot, and whose body is in memory or not.
    #[inline]
    fn take_from(&mut self, slot: Slot, seq: Seq, in_memory: bool) -> Result<Attempt<Option<Taken>>> {
        if !in_memory && !self.memory.read_ahead(&mut self.live, &self.log, slot, seq)? {
            return Ok(Attempt::Wait);
        }
        if let Some(held_up) = self.log.make_room(TAKE_BYTES, Purpose::Take).held_up() {
            // Even what is set aside for takes is used up. The message stays.
            return Ok(held_up);
        }
        let message = self.remove(slot, seq);
        let body = message.body.expect("read ahead before");
        Ok(Attempt::Done(Some(Taken { seq, flags: message.flags, body })))
    }

    /// Takes a message out of the queue of a slot, whether its body is in memory or not; there is room to say so.
    #[inline]
    pub(crate) fn remove(&mut self, slot: Slot, seq: Seq) -> Message {
        self.live.note_leaving(slot, seq);
        let queue = self.live.queues.at_mut(slot);
        let id = queue.id;
        let message = queue.remove(seq).expect("the caller looked it up");
        if queue.delivery().is_some() {
            queue.settle_delivery();
        }
        self.log.append(&Entry::Take { queue: id, seq });
        self.checkpoint.listings.note_take(slot, seq);
        self.live.sums.note_gone(queue);
        self.live.messages -= 1;
        self.live.resident -= message.resident_bytes();
        self.log.release(message.place);
        self.memory.keep_to_budget(&mut self.live, &self.log);
        message
    }

    /// Drops a queue with its messages, its counters and its dead letters. `Done(false)`: there is neither.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn delete(&mut self, name: &[u8]) -> Result<Attempt<bool>> {
        let dead = if names::is_dead(name) { None } else { self.live.queues.find(&names::dead(name)) };
        let slots: SmallVec<[Slot; 2]> = self.live.queues.find(name).into_iter().chain(dead).collect();
        if slots.is_empty() {
            return Ok(Attempt::Done(false));
        }
        if let Some(held_up) = self.log.make_room(slots.len() * DROP_BYTES, Purpose::Drop).held_up() {
            return Ok(held_up);
        }
        slots.into_iter().for_each(|slot| self.drop_queue(slot));
        Ok(Attempt::Done(true))
    }

    /// Drops the queue in a slot; there is room to say so.
    fn drop_queue(&mut self, slot: Slot) {
        self.live.follow_flush(slot);
        self.empty(slot);
        self.leave_family(slot);
        let queue = self.live.queues.remove(slot);
        self.ids.forget_queue(queue.id);
        self.gates.forget_queue(queue.id);
        self.log.append(&Entry::Drop { queue: queue.id });
        self.log.sub_live(queue.record_segment, queue.record_bytes());
        self.live.record_bytes -= queue.record_bytes() as u64;
    }

    /// Writes a queue's record as it is now; there is room. What says which numbers above the head are gone is in the
    /// log from segment `listed_in` on. The copy before is no longer live.
    pub(crate) fn rewrite_record(&mut self, slot: Slot, listed_in: Option<u32>) {
        self.live.follow_flush(slot);
        let queue = self.live.queues.at_mut(slot);
        assert!(queue.gaps() == 0 || listed_in.is_some(), "a record stands behind the list of what is gone");
        self.log.sub_live(queue.record_segment, queue.record_bytes());
        append_record(&mut self.log, queue, listed_in);
        let id = queue.id;
        if let Some(gate) = self.gates.get(id) {
            self.log.append(&Entry::Gate { queue: id, tally: gate.tally });
        }
    }

    /// Bytes that a queue's record takes in the log as it is now, with what was counted of its gate.
    pub(crate) fn rewritten_bytes(&self, slot: Slot) -> usize {
        let queue = self.live.queues.at(slot);
        queue.record_bytes() + if self.gates.has(queue.id) { GATE_BYTES } else { 0 }
    }

    /// Lists up to `limit` queues, beginning at a cursor: 0, or what the call before returned. A queue that exists all
    /// the while is listed once. Returns where to go on; `None` at the end.
    pub fn list(&self, cursor: u32, limit: u32, mut each: impl FnMut(QueueLine)) -> Option<u32> {
        let end = cursor.saturating_add(limit).min(self.live.queues.slots());
        for slot in cursor..end {
            if let Some(queue) = self.live.queues.get(slot) {
                each(QueueLine { name: (&*queue.name).into(), sets: queue.sets, gets: queue.gets });
            }
        }
        (end < self.live.queues.slots()).then_some(end)
    }

    /// The names of all queues.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.live.queues.slots()).filter_map(|slot| self.live.queues.get(slot)).map(|queue| &*queue.name)
    }

    /// Figures of the store.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let Sums { delayed, dead, counts } = self.live.sums;
        Totals {
            queues: self.live.queues.len() as u64,
            messages: self.live.messages,
            resident_bytes: self.live.resident as u64,
            log_bytes: self.log.bytes(),
            live_bytes: self.log.live_bytes(),
            delayed,
            dead,
            acked: counts.acked,
            returned: counts.returned,
            expired: counts.expired,
        }
    }

    /// Whether sets are refused because the disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.log.is_full()
    }

    /// To be called about once a second: chores that failed are tried again, a full disk is looked at anew, and what was
    /// made ready for a burst is given back little by little.
    pub fn tick(&mut self) {
        self.log.tick();
        self.rates.forget_unlooked(self.log.now_ms);
        self.due_is_held_up = false;
    }

    // ---- committing ----

    /// The frame that holds what was changed last: the change is safe once [`acknowledged`](Self::acknowledged) has
    /// reached it. That frame exists, so a wait for it ends with a commit that will come.
    #[must_use]
    pub fn changed(&self) -> FrameNumber {
        self.log.filling_number() - u64::from(!self.log.has_unsealed())
    }

    /// The last frame that is safe, by the store's [`Durability`].
    #[must_use]
    pub fn acknowledged(&self) -> FrameNumber {
        match self.options.durability {
            Durability::Synced => self.log.durable(),
            Durability::Written => self.log.written(),
        }
    }

    /// Whether [`begin_commit`](Self::begin_commit) would give something.
    #[must_use]
    pub fn wants_commit(&self) -> bool {
        self.log.wants_commit()
    }

    /// Seals the frame that was filled so far. One commit is under way at a time: `None` while there is, or when
    /// nothing was changed.
    pub fn begin_commit(&mut self) -> Option<Commit> {
        self.log.begin_commit()
    }

    /// Notes that a commit has run without an error.
    pub fn finish_commit(&mut self, commit: Commit) {
        self.log.finish_commit(commit);
    }

    /// An fdatasync of what was acknowledged after its write only; `None` when everything is durable.
    #[must_use]
    pub fn begin_sync(&self) -> Option<Fsync> {
        self.log.begin_sync()
    }

    /// Notes that a sync has run without an error.
    pub fn finish_sync(&mut self, sync: &Fsync) {
        self.log.finish_sync(sync);
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.log.disk
    }
}
