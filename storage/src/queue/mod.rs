//! A queue in memory: its record, and its messages in runs of consecutive numbers.

pub(crate) mod slots;
pub(crate) mod table;

use std::collections::VecDeque;
use std::ops::Range;

use smallvec::SmallVec;

use crate::log::Place;
use crate::log::Position;
use crate::log::entry::{QueueId, Record, Seq, put_bytes, record_bytes};

/// Messages in a full run. Runs bound what is moved or walked at once, however deep a queue is.
pub(crate) const RUN_MESSAGES_MAX: usize = 1024;
/// A drained queue keeps room for so many messages, so that one that is filled and drained all day allocates nothing,
/// and a million drained ones cost little.
const DRAINED_CAPACITY_MAX: usize = 4;
/// What the allocator adds to a body, roughly; counted against the memory budget.
const BODY_OVERHEAD_BYTES: usize = 16;

/// A message that was taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its number in its queue.
    pub seq: Seq,
    /// The flags it was put with.
    pub flags: u32,
    /// Its body.
    pub body: Box<[u8]>,
}

/// A message that waits: where it is in the log, and its body when that is in memory.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) place: Place,
    pub(crate) flags: u32,
    pub(crate) body: Option<Box<[u8]>>,
}

// A message beyond the memory budget costs this, and nothing else.
const _: () = assert!(size_of::<Message>() == 32);

impl Message {
    /// What the body counts against the memory budget; 0 when it is not in memory.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.body.as_ref().map_or(0, |body| resident_bytes(body.len()))
    }
}

/// What a body of this size counts against the memory budget.
pub(crate) fn resident_bytes(body_bytes: usize) -> usize {
    body_bytes + BODY_OVERHEAD_BYTES
}

/// Messages with consecutive numbers.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) first: Seq,
    pub(crate) messages: VecDeque<Message>,
    /// Sum of [`Message::resident_bytes`].
    resident_bytes: usize,
}

impl Run {
    fn end(&self) -> Seq {
        self.first + self.messages.len() as u64
    }

    fn index(&self, seq: Seq) -> Option<usize> {
        (self.first <= seq && seq < self.end()).then(|| (seq - self.first) as usize)
    }
}

/// Counts the flushes of all queues. A queue whose epoch is not its store's has yet to drop its messages.
pub(crate) type Epoch = u32;

/// The messages of a queue that was deleted or flushed. Taken out of the queue as they are, however many they are, and
/// given back one by one.
#[derive(Debug)]
pub(crate) struct Dropped {
    front: Run,
    #[allow(clippy::box_collection)] // as the queue had them
    rest: Option<Box<VecDeque<Run>>>,
}

impl Dropped {
    /// The next message; `None` when all are given back.
    pub(crate) fn pop(&mut self) -> Option<Message> {
        if self.front.messages.is_empty() {
            self.front = self.rest.as_mut()?.pop_front()?;
        }
        self.front.messages.pop_front()
    }
}

/// A queue. Invariant outside of recovery: its runs hold exactly the messages `head..next`.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    /// In place when it is short, so that comparing it costs no cache miss beyond the queue's own.
    pub(crate) name: SmallVec<[u8; 16]>,
    pub(crate) head: Seq,
    pub(crate) next: Seq,
    pub(crate) sets: u64,
    pub(crate) gets: u64,
    /// The segment that holds the newest copy of the record; 0 while there is none.
    pub(crate) record_segment: u32,
    /// The last flush of all queues that it has followed.
    pub(crate) epoch: Epoch,
    resident_bytes: usize,
    /// The run at the head, in place so that a shallow queue needs no list of runs.
    front: Run,
    /// The runs behind it. Boxed, since nearly all queues of a million have none.
    #[allow(clippy::box_collection)] // 8 bytes instead of 32 in every queue
    rest: Option<Box<VecDeque<Run>>>,
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
            record_segment: 0,
            epoch,
            resident_bytes: 0,
            front: Run::default(),
            rest: None,
        }
    }

    pub(crate) fn record(&self) -> Record<'_> {
        Record {
            queue: self.id,
            name: &self.name,
            options: b"",
            head: self.head,
            next: self.next,
            sets: self.sets,
            gets: self.gets,
        }
    }

    pub(crate) fn record_bytes(&self) -> usize {
        record_bytes(&self.name)
    }

    /// Messages that wait, by the record.
    pub(crate) fn depth(&self) -> u64 {
        self.next - self.head
    }

    /// Messages that are known; fewer than wait by the record when some are lost.
    pub(crate) fn stored(&self) -> u64 {
        self.runs().map(|run| run.messages.len() as u64).sum()
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        self.resident_bytes
    }

    fn rest(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.rest.iter().flat_map(|rest| rest.iter())
    }

    fn runs(&self) -> impl Iterator<Item = &Run> {
        std::iter::once(&self.front).filter(|run| !run.messages.is_empty()).chain(self.rest())
    }

    /// Appends the message that has the number `next`, and counts it.
    pub(crate) fn push(&mut self, message: Message) {
        let seq = self.next;
        self.next += 1;
        self.sets += 1;
        self.append(seq, message);
    }

    /// Takes the message at the head, and counts it. The queue's messages must be complete.
    pub(crate) fn pop(&mut self) -> Option<(Seq, Message)> {
        let message = self.front.messages.pop_front()?;
        let seq = self.front.first;
        assert_eq!(seq, self.head, "the runs begin at the head");
        let bytes = message.resident_bytes();
        self.front.first += 1;
        self.front.resident_bytes -= bytes;
        self.resident_bytes -= bytes;
        self.head += 1;
        self.gets += 1;
        if self.front.messages.is_empty() {
            self.next_run();
        }
        Some((seq, message))
    }

    /// Replaces an empty front run by the one behind it.
    fn next_run(&mut self) {
        debug_assert!(self.front.messages.is_empty());
        if let Some(rest) = &mut self.rest {
            self.front = rest.pop_front().unwrap_or_default();
            if rest.is_empty() {
                self.rest = None;
            }
        } else if self.front.messages.capacity() > DRAINED_CAPACITY_MAX {
            self.front.messages = VecDeque::new();
        }
    }

    /// Drops all messages; the caller gives them back little by little. `None`: there were none.
    pub(crate) fn clear(&mut self) -> Option<Dropped> {
        self.head = self.next;
        self.resident_bytes = 0;
        let dropped = Dropped { front: std::mem::take(&mut self.front), rest: self.rest.take() };
        (!dropped.front.messages.is_empty() || dropped.rest.is_some()).then_some(dropped)
    }

    fn append(&mut self, seq: Seq, message: Message) {
        let bytes = message.resident_bytes();
        self.resident_bytes += bytes;
        let run = match &mut self.rest {
            Some(rest) => rest.back_mut(),
            None => Some(&mut self.front),
        };
        let run = match run {
            Some(run) if run.messages.is_empty() => {
                run.first = seq;
                if run.messages.capacity() == 0 {
                    run.messages.reserve_exact(1);
                }
                run
            }
            Some(run) if run.end() == seq && run.messages.len() < RUN_MESSAGES_MAX => run,
            _ => {
                let rest = self.rest.get_or_insert_default();
                // A queue that needs another run will fill it: growing it by steps would leave holes in the heap.
                let messages = VecDeque::with_capacity(RUN_MESSAGES_MAX);
                rest.push_back(Run { first: seq, messages, resident_bytes: 0 });
                rest.back_mut().expect("just pushed")
            }
        };
        run.resident_bytes += bytes;
        run.messages.push_back(message);
    }

    fn run_mut(&mut self, seq: Seq) -> Option<&mut Run> {
        if self.front.index(seq).is_some() {
            return Some(&mut self.front);
        }
        let rest = self.rest.as_mut()?;
        let at = rest.partition_point(|run| run.end() <= seq);
        rest.get_mut(at).filter(|run| run.index(seq).is_some())
    }

    /// The message with this number, if it waits.
    pub(crate) fn message(&self, seq: Seq) -> Option<&Message> {
        let run = match self.front.index(seq) {
            Some(_) => &self.front,
            None => {
                let rest = self.rest.as_ref()?;
                rest.get(rest.partition_point(|run| run.end() <= seq))?
            }
        };
        run.messages.get(run.index(seq)?)
    }

    /// Gives a message another place and keeps its body in memory, if it was not there yet. Returns how many resident
    /// bytes that added.
    pub(crate) fn move_message(&mut self, seq: Seq, place: Place, flags: u32, body: &[u8]) -> usize {
        let added = self.fill(seq, flags, body);
        let run = self.run_mut(seq).expect("the caller looked it up");
        let index = (seq - run.first) as usize;
        run.messages[index].place = place;
        added
    }

    /// Brings a body into memory. Returns how many resident bytes that added.
    pub(crate) fn fill(&mut self, seq: Seq, flags: u32, body: &[u8]) -> usize {
        let Some(run) = self.run_mut(seq) else { return 0 };
        let index = (seq - run.first) as usize;
        let message = &mut run.messages[index];
        if message.body.is_some() {
            return 0;
        }
        message.body = Some(body.into());
        message.flags = flags;
        let added = message.resident_bytes();
        run.resident_bytes += added;
        self.resident_bytes += added;
        added
    }

    /// Drops bodies from memory, those farthest from the head first, until at most `keep` resident bytes are left or
    /// `wanted` are freed. Only bodies whose place is in this part of the log; the search ends at one that is before it.
    /// Returns how many bytes went.
    pub(crate) fn evict(&mut self, keep: usize, wanted: usize, part: Range<Position>) -> usize {
        let mut freed = 0;
        let rest = self.rest.iter_mut().flat_map(|rest| rest.iter_mut().rev());
        for run in rest.chain(std::iter::once(&mut self.front)) {
            // A run whose first message is not written yet is passed over as a whole: a slow disk leaves many of them, and
            // each put comes by here.
            let first = run.messages.front().map(|message| message.place.position());
            if run.resident_bytes == 0 || first.is_none_or(|first| first >= part.end) {
                continue;
            }
            for message in run.messages.iter_mut().rev() {
                let is_behind = message.place.position() < part.start;
                if is_behind || self.resident_bytes <= keep || freed >= wanted {
                    return freed;
                }
                let bytes = message.resident_bytes();
                if bytes > 0 && message.place.position() < part.end {
                    message.body = None;
                    run.resident_bytes -= bytes;
                    self.resident_bytes -= bytes;
                    freed += bytes;
                }
            }
        }
        freed
    }

    /// The message that is next to be taken.
    pub(crate) fn head_message(&self) -> Option<&Message> {
        self.front.messages.front()
    }

    /// The messages at the head, in order, with their numbers.
    pub(crate) fn upcoming(&self) -> impl Iterator<Item = (Seq, &Message)> {
        self.runs().flat_map(|run| (run.first..).zip(&run.messages))
    }
}

/// What only recovery does: messages come in the order of the log, which is not that of their numbers once some were
/// copied forward, and the same one may come several times.
impl Queue {
    /// Notes where a message is; a later place replaces an earlier one.
    pub(crate) fn place(&mut self, seq: Seq, place: Place) {
        if seq < self.head {
            return;
        }
        if let Some(run) = self.run_mut(seq) {
            let index = (seq - run.first) as usize;
            run.messages[index].place = place;
            return;
        }
        let message = Message { place, flags: 0, body: None };
        let last_end = self.rest().next_back().map_or(self.front.end(), Run::end);
        if self.front.messages.is_empty() || seq >= last_end {
            self.append(seq, message);
            return;
        }
        // It belongs between or before the runs that are there.
        if self.front.first > seq {
            let front = std::mem::take(&mut self.front);
            self.rest.get_or_insert_default().push_front(front);
            self.front.first = seq;
            self.front.messages.push_back(message);
            return;
        }
        if self.front.end() == seq && self.front.messages.len() < RUN_MESSAGES_MAX {
            self.front.messages.push_back(message);
            return;
        }
        let rest = self.rest.get_or_insert_default();
        let at = rest.partition_point(|run| run.end() <= seq);
        match at.checked_sub(1).and_then(|before| rest.get_mut(before)) {
            Some(run) if run.end() == seq && run.messages.len() < RUN_MESSAGES_MAX => run.messages.push_back(message),
            _ => rest.insert(at, Run { first: seq, messages: VecDeque::from([message]), resident_bytes: 0 }),
        }
    }

    /// Raises the head and forgets what is below it.
    pub(crate) fn raise_head(&mut self, head: Seq) {
        if head <= self.head {
            return;
        }
        self.head = head;
        self.next = self.next.max(head);
        while !self.front.messages.is_empty() && self.front.first < head {
            if self.front.end() <= head {
                self.front.messages.clear();
                self.next_run();
            } else {
                let gone = (head - self.front.first) as usize;
                self.front.messages.drain(..gone);
                self.front.first = head;
            }
        }
    }

    /// The first number in `head..next` that has no message.
    pub(crate) fn missing(&self) -> Option<Seq> {
        let mut expected = self.head;
        for run in self.runs() {
            if run.first != expected {
                return Some(expected);
            }
            expected = run.end();
        }
        (expected != self.next).then_some(expected)
    }

    /// Bytes that the waiting messages take in each segment.
    pub(crate) fn live(&self) -> impl Iterator<Item = (u32, usize)> {
        self.upcoming().map(|(_, message)| (message.place.segment, put_bytes(message.place.body_bytes as usize)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u32) -> Place {
        Place { segment: 1, offset, body_bytes: 3 }
    }

    fn to(offset: u32) -> Position {
        Position { segment: 1, offset }
    }

    fn message(offset: u32) -> Message {
        Message { place: at(offset), flags: 0, body: Some((*b"abc").into()) }
    }

    #[test]
    fn a_deep_queue_is_first_in_first_out() {
        let mut queue = Queue::new(1, b"q", 0);
        let depth = RUN_MESSAGES_MAX as u32 * 3 + 5;
        for n in 0..depth {
            queue.push(message(n));
        }
        assert_eq!(queue.missing(), None);
        assert_eq!(queue.depth(), u64::from(depth));
        for n in 0..depth {
            let (seq, message) = queue.pop().expect("a message");
            assert_eq!((seq, message.place.offset), (u64::from(n) + 1, n));
        }
        assert!(queue.pop().is_none());
        assert_eq!((queue.sets, queue.gets, queue.resident_bytes()), (u64::from(depth), u64::from(depth), 0));
        assert!(queue.front.messages.capacity() <= DRAINED_CAPACITY_MAX);
    }

    #[test]
    fn eviction_begins_at_the_far_end_and_spares_what_may_not_go() {
        let mut queue = Queue::new(1, b"q", 0);
        for n in 0..10 {
            queue.push(message(n));
        }
        let each = resident_bytes(3);
        let freed = queue.evict(0, 3 * each, to(0)..to(8));
        assert_eq!(freed, 3 * each);
        let resident: Vec<_> = queue.upcoming().map(|(_, m)| m.body.is_some()).collect();
        assert_eq!(resident, [true, true, true, true, true, false, false, false, true, true]);
        assert_eq!(queue.evict(0, usize::MAX, to(4)..to(8)), each, "the search ends at what is before that part");
        assert_eq!(queue.evict(4 * each, usize::MAX, to(0)..to(10)), 2 * each, "keep bounds it too");
        assert_eq!(queue.fill(9, 7, b"abc"), each);
        assert_eq!(queue.fill(9, 7, b"abc"), 0, "it is there already");
    }

    #[test]
    fn eviction_looks_at_no_message_of_a_run_that_is_not_written() {
        let mut queue = Queue::new(1, b"q", 0);
        let run = RUN_MESSAGES_MAX as u32;
        for n in 0..3 * run {
            queue.push(message(n));
        }
        // Were the messages of the last run looked at, this one would go.
        let there = Place { offset: run - 1, ..at(0) };
        queue.move_message(u64::from(3 * run), there, 0, b"abc");
        assert_eq!(queue.evict(0, usize::MAX, to(0)..to(run + 1)), (run as usize + 1) * resident_bytes(3));
        assert!(queue.message(u64::from(3 * run)).is_some_and(|message| message.body.is_some()));
        assert_eq!(queue.evict(0, usize::MAX, to(0)..to(3 * run)), (2 * run as usize - 1) * resident_bytes(3));
    }

    #[test]
    fn recovery_takes_places_in_any_order() {
        let mut queue = Queue::new(1, b"q", 0);
        queue.next = 3001;
        for seq in (1001..2001).chain(1..1001).chain(2500..3001).chain(2001..2500).chain(5..10) {
            queue.place(seq, at(seq as u32));
        }
        assert_eq!(queue.missing(), None);
        queue.raise_head(1500);
        assert_eq!(queue.missing(), None);
        queue.place(1499, at(0));
        assert_eq!(queue.upcoming().next().map(|(seq, _)| seq), Some(1500), "what was taken stays taken");
        queue.raise_head(3001);
        assert_eq!(queue.upcoming().count(), 0);
        assert_eq!(queue.missing(), None);
    }

    #[test]
    fn a_hole_is_found() {
        let mut queue = Queue::new(1, b"q", 0);
        queue.next = 11;
        for seq in (1..6).chain(7..11) {
            queue.place(seq, at(seq as u32));
        }
        assert_eq!(queue.missing(), Some(6));
        queue.place(6, at(6));
        assert_eq!(queue.missing(), None);
        queue.next = 12;
        assert_eq!(queue.missing(), Some(11));
    }
}
