//! A queue as the frames of a log tell it.

use std::collections::BTreeMap;

use storage_testing::{Kept, Message, Queue};

/// A queue as the frames so far tell it.
#[derive(Debug, Default)]
pub(super) struct Told<'a> {
    pub(super) name: &'a [u8],
    pub(super) contradicts: bool,
    pub(super) head: u64,
    pub(super) next: u64,
    pub(super) sets: u64,
    pub(super) gets: u64,
    pub(super) settings: &'a [u8],
    pub(super) record_segment: u32,
    /// Where the list begins that stands in front of the next record.
    pub(super) listed_in: Option<u32>,
    /// Numbers that are gone: ranges in any order.
    pub(super) gone: Vec<(u64, u64)>,
    pub(super) messages: BTreeMap<u64, Put<'a>>,
}

/// The newest copy of a message.
#[derive(Debug)]
pub(super) struct Put<'a> {
    pub(super) segment: u32,
    /// The second in which it was put; 0 when the segment says none before it.
    pub(super) second: u32,
    pub(super) flags: u32,
    pub(super) body: &'a [u8],
}

impl<'a> Told<'a> {
    /// Notes a message, or a copy of one.
    pub(super) fn put(&mut self, seq: u64, put: Put<'a>) {
        // A number that was there before is a copy.
        self.contradicts |= self.is_gone(seq) || (seq > self.next && !self.name.is_empty());
        if seq >= self.next {
            self.next = seq + 1;
            self.sets += 1;
        }
        self.messages.insert(seq, put);
    }

    /// Notes that these numbers are gone. The head is never among them.
    pub(super) fn lose(&mut self, start: u64, end: u64) {
        self.next = self.next.max(end);
        self.gone.push((start, end));
        self.pass_gone();
    }

    pub(super) fn pass_gone(&mut self) {
        while let Some((_, end)) = self.gone.iter().find(|(start, end)| (*start..*end).contains(&self.head)) {
            self.head = *end;
        }
    }

    pub(super) fn is_gone(&self, seq: u64) -> bool {
        seq < self.head || self.gone.iter().any(|(start, end)| (*start..*end).contains(&seq))
    }

    /// How many numbers from the head to the next one are gone.
    pub(super) fn gone_above_head(&self) -> u64 {
        let mut ranges = self.gone.clone();
        ranges.sort_unstable();
        let (mut counted_to, mut gone) = (self.head, 0);
        for (start, end) in ranges {
            gone += end.saturating_sub(start.max(counted_to));
            counted_to = counted_to.max(end);
        }
        gone
    }

    /// How many messages should wait.
    pub(super) fn waiting(&self) -> u64 {
        self.next - self.head - self.gone_above_head()
    }

    pub(super) fn waiting_messages(&self) -> impl Iterator<Item = (&u64, &Put<'a>)> {
        self.messages.range(self.head..).filter(|(seq, _)| !self.is_gone(**seq))
    }

    pub(super) fn state(&self) -> Queue {
        let message = |(seq, put): (&u64, &Put<'_>)| Message { seq: *seq, flags: put.flags, body: put.body.into() };
        let messages = self.waiting_messages().map(message).collect();
        Queue { sets: self.sets, gets: self.gets, settings: self.settings.to_vec(), messages }
    }

    /// What the messages of the queue with this id have beside their bodies.
    pub(super) fn kept(&self, id: u64, states: &BTreeMap<(u64, u64), (u32, Kept)>) -> BTreeMap<u64, Kept> {
        let kept = |(seq, put): (&u64, &Put<'_>)| {
            let state = states.get(&(id, *seq)).map(|(_, kept)| *kept).unwrap_or_default();
            (*seq, Kept { put_s: put.second, ..state })
        };
        self.waiting_messages().map(kept).collect()
    }
}
