//! A run: up to 1,024 messages of a queue in the order of their numbers.
//!
//! Nearly all runs have no gap, and a message's number follows from where it stands. In a run with gaps the numbers stand
//! beside the messages, two bytes each, so a message that was taken out of its order costs nothing once it is gone.

use std::collections::VecDeque;

use crate::log::entry::Seq;
use crate::queue::message::Message;

/// Messages in a full run. Runs bound what is moved or walked at once, however deep a queue is.
pub(crate) const RUN_MESSAGES_MAX: usize = 1024;
/// From the first number of a run to its last is at most this far.
const SPAN_MAX: u64 = u16::MAX as u64;
/// A run that has lost messages from its middle gives back memory when it has room for more than so many times what is
/// left.
const SPARE_RATIO: usize = 4;
/// Less room than for so many messages is not given back.
const SPARE_MESSAGES_MIN: usize = 16;

/// Messages with ascending numbers.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// The number of the first message.
    first: Seq,
    messages: VecDeque<Message>,
    /// The messages' numbers; `None`: they are consecutive.
    numbers: Option<Box<Numbers>>,
    /// Sum of [`Message::resident_bytes`].
    resident_bytes: usize,
}

/// Ascending numbers, as distances from one that is not above the first.
#[derive(Debug)]
struct Numbers {
    base: Seq,
    offsets: VecDeque<u16>,
}

impl Numbers {
    fn at(&self, index: usize) -> Seq {
        self.base + u64::from(self.offsets[index])
    }

    /// Where a number stands, or where it would.
    fn search(&self, seq: Seq) -> Result<usize, usize> {
        match seq.checked_sub(self.base).map(u16::try_from) {
            None => Err(0),
            Some(Err(_)) => Err(self.offsets.len()),
            Some(Ok(offset)) => self.search_offset(offset),
        }
    }

    /// The offsets differ, so each stands at most as far from the first, and from the last, as it differs from that. Few
    /// gaps leave few places to look at.
    fn search_offset(&self, offset: u16) -> Result<usize, usize> {
        let (Some(first), Some(last)) = (self.offsets.front(), self.offsets.back()) else { return Err(0) };
        let end = self.offsets.len() - 1;
        let Some(from_first) = offset.checked_sub(*first) else { return Err(0) };
        let Some(to_last) = last.checked_sub(offset) else { return Err(end + 1) };
        let (mut low, mut high) = (end.saturating_sub(usize::from(to_last)), end.min(usize::from(from_first)));
        while low < high {
            let middle = low.midpoint(high);
            if self.offsets[middle] < offset {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if self.offsets[low] == offset { Ok(low) } else { Err(low) }
    }
}

impl Run {
    /// An empty run with room for so many messages.
    pub(crate) fn with_capacity(messages: usize) -> Run {
        Run { messages: VecDeque::with_capacity(messages), ..Run::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Messages that there is room for without another allocation.
    pub(crate) fn capacity(&self) -> usize {
        self.messages.capacity()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.messages.len() >= RUN_MESSAGES_MAX
    }

    /// The number of the first message; of an empty run it means nothing.
    pub(crate) fn first(&self) -> Seq {
        self.first
    }

    /// One more than the last number; of an empty run it means nothing.
    pub(crate) fn end(&self) -> Seq {
        match &self.numbers {
            None => self.first + self.messages.len() as u64,
            Some(numbers) => numbers.at(numbers.offsets.len() - 1) + 1,
        }
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        self.resident_bytes
    }

    pub(crate) fn has_gaps(&self) -> bool {
        self.numbers.is_some()
    }

    fn seq_at(&self, index: usize) -> Seq {
        self.numbers.as_ref().map_or(self.first + index as u64, |numbers| numbers.at(index))
    }

    /// Where a number stands, or where it would.
    fn search(&self, seq: Seq) -> Result<usize, usize> {
        match &self.numbers {
            Some(numbers) => numbers.search(seq),
            None if seq < self.first => Err(0),
            None if seq < self.end() => Ok((seq - self.first) as usize),
            None => Err(self.messages.len()),
        }
    }

    /// The message at the front.
    pub(crate) fn front(&self) -> Option<&Message> {
        self.messages.front()
    }

    pub(crate) fn get(&self, seq: Seq) -> Option<&Message> {
        self.messages.get(self.search(seq).ok()?)
    }

    pub(crate) fn get_mut(&mut self, seq: Seq) -> Option<&mut Message> {
        let index = self.search(seq).ok()?;
        self.messages.get_mut(index)
    }

    /// The messages with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Seq, &Message)> {
        self.messages.iter().enumerate().map(|(index, message)| (self.seq_at(index), message))
    }

    /// The messages from a number on.
    pub(crate) fn iter_from(&self, seq: Seq) -> impl Iterator<Item = (Seq, &Message)> {
        let start = self.search(seq).unwrap_or_else(|index| index);
        (start..self.messages.len()).map(|index| (self.seq_at(index), &self.messages[index]))
    }

    /// Whether [`append`](Self::append) takes a message of this number.
    pub(crate) fn takes(&self, seq: Seq) -> bool {
        self.is_empty() || (!self.is_full() && seq >= self.end() && seq - self.first <= SPAN_MAX)
    }

    /// Adds a message behind all others. The run [takes](Self::takes) it.
    pub(crate) fn append(&mut self, seq: Seq, message: Message) {
        if self.messages.is_empty() {
            (self.first, self.numbers) = (seq, None);
            if self.messages.capacity() == 0 {
                self.messages.reserve_exact(1);
            }
        } else if self.numbers.is_some() || seq != self.end() {
            self.number(seq);
        }
        self.resident_bytes += message.resident_bytes();
        self.messages.push_back(message);
    }

    /// Notes that a message with this number comes behind all others.
    #[cold]
    fn number(&mut self, seq: Seq) {
        assert!(seq >= self.end() && seq - self.first <= SPAN_MAX, "the run takes it");
        let (first, len) = (self.first, self.messages.len());
        let numbers = self.numbers.get_or_insert_with(|| Box::new(Numbers::consecutive(first, len)));
        if seq - numbers.base > SPAN_MAX {
            let shift = (first - numbers.base) as u16;
            numbers.offsets.iter_mut().for_each(|offset| *offset -= shift);
            numbers.base = first;
        }
        numbers.offsets.push_back((seq - numbers.base) as u16);
    }

    /// Adds a message anywhere within the run or in front of it; only recovery does. `false`: it does not fit.
    pub(crate) fn insert(&mut self, seq: Seq, message: Message) -> bool {
        let (first, end) = (self.first.min(seq), self.end().max(seq + 1));
        if self.is_full() || end - first > SPAN_MAX {
            return false;
        }
        let Err(index) = self.search(seq) else { return false };
        let numbers = (0..self.messages.len()).map(|index| (self.seq_at(index) - first) as u16);
        let mut offsets: VecDeque<u16> = numbers.collect();
        offsets.insert(index, (seq - first) as u16);
        self.resident_bytes += message.resident_bytes();
        self.messages.insert(index, message);
        self.first = first;
        self.numbers = Some(Box::new(Numbers { base: first, offsets }));
        self.drop_numbers();
        true
    }

    /// Takes the message at the front.
    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<(Seq, Message)> {
        let message = self.messages.pop_front()?;
        let seq = self.first;
        self.resident_bytes -= message.resident_bytes();
        match &mut self.numbers {
            None => self.first += 1,
            Some(_) => self.forget_number(0),
        }
        Some((seq, message))
    }

    /// Takes the message with this number.
    pub(crate) fn remove(&mut self, seq: Seq) -> Option<Message> {
        let index = self.search(seq).ok()?;
        if index == 0 {
            return self.pop_front().map(|(_, message)| message);
        }
        let is_inside = index + 1 < self.messages.len();
        if self.numbers.is_none() && is_inside {
            self.numbers = Some(Box::new(Numbers::consecutive(self.first, self.messages.len())));
        }
        let message = self.messages.remove(index)?;
        self.resident_bytes -= message.resident_bytes();
        if self.numbers.is_some() {
            self.forget_number(index);
        }
        if self.messages.capacity() > SPARE_MESSAGES_MIN.max(SPARE_RATIO * self.messages.len()) {
            self.messages.shrink_to(2 * self.messages.len());
        }
        Some(message)
    }

    fn forget_number(&mut self, index: usize) {
        let numbers = self.numbers.as_mut().expect("the caller looked");
        numbers.offsets.remove(index);
        if numbers.offsets.capacity() > SPARE_MESSAGES_MIN.max(SPARE_RATIO * numbers.offsets.len()) {
            numbers.offsets.shrink_to(2 * numbers.offsets.len());
        }
        if let Some(offset) = numbers.offsets.front() {
            self.first = numbers.base + u64::from(*offset);
        }
        self.drop_numbers();
    }

    /// Forgets the numbers when they are consecutive.
    fn drop_numbers(&mut self) {
        if self.messages.is_empty() || self.end() - self.first == self.messages.len() as u64 {
            self.numbers = None;
        }
    }

    /// Cuts the run in two, each with half of its messages.
    pub(crate) fn split(&mut self) -> Run {
        let at = self.messages.len() / 2;
        let mut behind = Run::with_capacity(self.messages.len() - at);
        let seqs: Vec<Seq> = (at..self.messages.len()).map(|index| self.seq_at(index)).collect();
        let messages = self.messages.split_off(at);
        if let Some(numbers) = &mut self.numbers {
            numbers.offsets.truncate(at);
        }
        for (seq, message) in seqs.into_iter().zip(messages) {
            self.resident_bytes -= message.resident_bytes();
            behind.append(seq, message);
        }
        self.drop_numbers();
        behind
    }

    /// Forgets all messages below a number.
    pub(crate) fn drop_below(&mut self, seq: Seq) {
        while !self.is_empty() && self.first < seq {
            self.pop_front();
        }
    }

    /// Gives a message its body. Returns how many resident bytes that added: none when it was there.
    pub(crate) fn fill(&mut self, seq: Seq, flags: u32, body: &[u8]) -> usize {
        let Some(message) = self.get_mut(seq).filter(|message| message.body.is_none()) else { return 0 };
        message.body = Some(body.into());
        message.flags = flags;
        let added = message.resident_bytes();
        self.resident_bytes += added;
        added
    }

    /// Takes the body of a message out of memory; `None`: it is not there.
    pub(crate) fn let_body_go(&mut self, seq: Seq) -> Option<Box<[u8]>> {
        let message = self.get_mut(seq)?;
        let bytes = message.resident_bytes();
        let body = message.body.take()?;
        self.resident_bytes -= bytes;
        Some(body)
    }

    /// Drops bodies from memory, the last first, as long as `goes` says so of a message. Returns the bytes that went, and
    /// whether `goes` has ended it.
    pub(crate) fn evict(&mut self, mut goes: impl FnMut(&Message, usize) -> Eviction) -> (usize, bool) {
        let mut freed = 0;
        for message in self.messages.iter_mut().rev() {
            match goes(message, freed) {
                Eviction::End => return (freed, true),
                Eviction::Stay => {}
                Eviction::Go => {
                    let bytes = message.resident_bytes();
                    message.body = None;
                    self.resident_bytes -= bytes;
                    freed += bytes;
                }
            }
        }
        (freed, false)
    }
}

/// What becomes of a body in a search for those that may leave memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eviction {
    Go,
    Stay,
    /// The search is over.
    End,
}

impl Numbers {
    fn consecutive(first: Seq, len: usize) -> Numbers {
        assert!(len <= RUN_MESSAGES_MAX);
        Numbers { base: first, offsets: (0..len as u16).collect() }
    }
}

const _: () = assert!(RUN_MESSAGES_MAX as u64 <= SPAN_MAX);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::log::Place;

    fn message(offset: u32) -> Message {
        Message { place: Place { segment: 1, offset, body_bytes: 3 }, flags: 0, body: Some((*b"abc").into()) }
    }

    /// A plain generator (Steele and others' SplitMix64), so that each run of the test is the same.
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[track_caller]
    fn assert_is(run: &Run, expected: &BTreeMap<Seq, u32>) {
        assert!(
            run.iter().map(|(seq, message)| (seq, message.place.offset)).eq(expected.iter().map(|(a, b)| (*a, *b)))
        );
        assert_eq!(run.resident_bytes(), run.messages.iter().map(Message::resident_bytes).sum::<usize>());
        if let (Some((first, _)), Some((last, _))) = (expected.first_key_value(), expected.last_key_value()) {
            assert_eq!((run.first(), run.end()), (*first, last + 1));
            assert_eq!(run.has_gaps(), last - first + 1 != expected.len() as u64);
        }
    }

    #[test]
    fn it_is_what_a_plain_map_is() {
        for seed in 0..300 {
            let (mut state, mut run, mut expected) = (seed, Run::default(), BTreeMap::new());
            let mut end = 1 + next(&mut state) % 100_000;
            for step in 0..400u32 {
                let pick = |state: &mut u64, of: &BTreeMap<Seq, u32>| {
                    let at = next(state) as usize % of.len().max(1);
                    of.keys().nth(at).copied().unwrap_or(7)
                };
                match next(&mut state) % 10 {
                    0..4 => {
                        end += [0, 0, 0, 1, 5, 40_000][next(&mut state) as usize % 6];
                        let fits = expected.first_key_value().is_none_or(|(first, _)| end - first <= SPAN_MAX);
                        assert_eq!(run.takes(end), fits && expected.len() < RUN_MESSAGES_MAX);
                        if run.takes(end) {
                            run.append(end, message(step));
                            expected.insert(end, step);
                        }
                        end += 1;
                    }
                    4 => {
                        let popped = run.pop_front().map(|(seq, message)| (seq, message.place.offset));
                        assert_eq!(popped, expected.pop_first());
                    }
                    5..8 => {
                        let seq = pick(&mut state, &expected);
                        let removed = run.remove(seq).map(|message| message.place.offset);
                        assert_eq!(removed, expected.remove(&seq));
                        assert!(run.remove(seq).is_none());
                    }
                    8 => {
                        let seq = pick(&mut state, &expected).saturating_sub(next(&mut state) % 3).max(1);
                        let free = !expected.is_empty() && !expected.contains_key(&seq);
                        if free && run.insert(seq, message(step)) {
                            expected.insert(seq, step);
                        }
                    }
                    _ if expected.len() > 1 => {
                        let mut behind = run.split();
                        let keys: Vec<Seq> = expected.keys().skip(expected.len() / 2).copied().collect();
                        let other = expected.split_off(&keys[0]);
                        assert_is(&behind, &other);
                        if next(&mut state).is_multiple_of(2) {
                            (run, expected) = (std::mem::take(&mut behind), other);
                        }
                        end = end.max(run.end());
                    }
                    _ => {}
                }
                assert_is(&run, &expected);
                let seq = pick(&mut state, &expected);
                let from: Vec<Seq> = run.iter_from(seq).map(|(seq, _)| seq).collect();
                assert!(expected.range(seq..).map(|(seq, _)| *seq).eq(from));
                assert_eq!(run.get(seq).is_some(), expected.contains_key(&seq));
            }
        }
    }

    #[test]
    fn what_was_taken_out_of_the_middle_gives_its_memory_back() {
        let mut run = Run::with_capacity(RUN_MESSAGES_MAX);
        (1..=RUN_MESSAGES_MAX as u64).for_each(|seq| run.append(seq, message(1)));
        for seq in (2..=RUN_MESSAGES_MAX as u64).rev() {
            run.remove(seq).expect("it waits");
        }
        assert_eq!((run.len(), run.first(), run.has_gaps()), (1, 1, false));
        assert!(run.capacity() <= SPARE_MESSAGES_MIN, "room for {} messages", run.capacity());
    }
}
