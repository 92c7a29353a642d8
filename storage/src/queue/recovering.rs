//! What only recovery does with a queue: messages come in the order of the log, which is not that of their numbers once
//! some were copied forward, the same one may come several times, and what is gone is told apart from what is missing.

use std::ops::Range;

use super::{Beyond, Queue};
use crate::log::Place;
use crate::log::entry::Seq;
use crate::queue::gone::Gone;
use crate::queue::message::Message;
use crate::queue::run::Run;

/// What is known of a queue that is being recovered, beyond what a queue has.
#[derive(Debug, Default)]
pub(crate) struct Recovering {
    /// Numbers from the head on that are gone.
    gone: Gone,
    /// The segment where the list begins that stands in front of the next record; 0: there is none.
    listed_in: u32,
}

impl Queue {
    fn recovering(&mut self) -> &mut Recovering {
        self.beyond.get_or_insert_default().recovering.get_or_insert_default()
    }

    fn gone(&self) -> Option<&Gone> {
        self.beyond.as_ref()?.recovering.as_ref().map(|recovering| &recovering.gone)
    }

    /// Messages that are there; fewer than wait when some are lost.
    pub(crate) fn stored(&self) -> u64 {
        self.runs().map(|run| run.len() as u64).sum()
    }

    /// Notes where a message is; a later place replaces an earlier one.
    pub(crate) fn place(&mut self, seq: Seq, place: Place) {
        if seq < self.head || self.gone().is_some_and(|gone| gone.contains(seq)) {
            return;
        }
        let mut is_known = false;
        self.change(seq, |run| {
            if let Some(message) = run.get_mut(seq) {
                message.place = place;
                is_known = true;
            }
            0
        });
        if is_known {
            return;
        }
        let message = || Message { place, flags: 0, body: None };
        let end = self.rest().next_back().map_or(self.front.end(), Run::end);
        if self.front.is_empty() || seq >= end {
            self.append(seq, message());
            return;
        }
        if seq < self.front.first() {
            // Others follow it, up to where the run begins that was the first one.
            let behind = std::mem::take(&mut self.front);
            self.front.append(seq, message());
            self.insert_run(0, behind);
        } else if seq < self.front.end() {
            if !self.front.insert(seq, message()) {
                let behind = self.front.split();
                self.insert_run(0, behind);
                self.place(seq, place);
            }
        } else {
            self.place_in_rest(seq, place);
        }
    }

    /// Notes where a message is whose number is between the last of the front run and the last of all.
    fn place_in_rest(&mut self, seq: Seq, place: Place) {
        let message = Message { place, flags: 0, body: None };
        let beyond = self.beyond.as_mut().expect("there is a run behind the front one");
        let at = beyond.rest.partition_point(|run| run.end() <= seq);
        let run = beyond.rest.get_mut(at).expect("it is before the end of the last run");
        if seq >= run.first() {
            if !run.insert(seq, message) {
                let behind = run.split();
                beyond.rest.insert(at + 1, behind);
                self.place_in_rest(seq, place);
            }
            return;
        }
        let before = if at == 0 { &mut self.front } else { &mut beyond.rest[at - 1] };
        if before.takes(seq) {
            before.append(seq, message);
        } else {
            let mut run = Run::default();
            run.append(seq, message);
            beyond.rest.insert(at, run);
        }
    }

    fn insert_run(&mut self, at: usize, run: Run) {
        if !run.is_empty() {
            let beyond: &mut Beyond = self.beyond.get_or_insert_default();
            beyond.resident_bytes += run.resident_bytes();
            beyond.rest.insert(at, run);
        }
    }

    /// Notes that the message with this number was taken. Returns whether that is new.
    pub(crate) fn note_taken(&mut self, seq: Seq) -> bool {
        if seq < self.head || self.gone().is_some_and(|gone| gone.contains(seq)) {
            return false;
        }
        self.note_gone(seq..seq + 1);
        true
    }

    /// Notes that these numbers are gone.
    pub(crate) fn note_gone(&mut self, range: Range<Seq>) {
        self.next = self.next.max(range.end);
        if range.end <= self.head {
            return;
        }
        if range.start <= self.head {
            self.raise_head(range.end);
            return;
        }
        self.drop_messages(range.clone());
        self.recovering().gone.add(range);
    }

    /// Forgets the messages with these numbers, of which there may be few however many numbers these are.
    fn drop_messages(&mut self, range: Range<Seq>) {
        let first = |queue: &Queue| queue.messages_from(range.start).next().map(|(seq, _)| seq);
        while let Some(seq) = first(self).filter(|seq| *seq < range.end) {
            self.extract(seq);
        }
    }

    /// Raises the head and forgets what is below it, and what is gone right behind it.
    pub(crate) fn raise_head(&mut self, head: Seq) {
        if head <= self.head {
            return;
        }
        let gone_on = self.gone().and_then(|gone| gone.range_of(head)).map_or(head, |range| range.end);
        self.head = gone_on;
        self.next = self.next.max(gone_on);
        while !self.front.is_empty() && self.front.first() < gone_on {
            if self.front.end() <= gone_on {
                self.front = Run::default();
                self.next_run();
            } else {
                self.front.drop_below(gone_on);
            }
        }
        if let Some(recovering) = self.beyond.as_mut().and_then(|beyond| beyond.recovering.as_mut()) {
            recovering.gone.drop_below(gone_on);
        }
    }

    /// Notes that a list of numbers that are gone begins in a segment. The record that it belongs to follows, unless it
    /// was never written and another list begins.
    pub(crate) fn begin_list(&mut self, segment: u32) {
        self.recovering().listed_in = segment;
    }

    /// Notes that a record is in a segment, behind the lists that belong to it.
    pub(crate) fn note_record(&mut self, segment: u32) {
        self.record_segment = segment;
        if let Some(recovering) = self.beyond.as_mut().and_then(|beyond| beyond.recovering.as_mut()) {
            let listed_in = std::mem::take(&mut recovering.listed_in);
            if listed_in > 0 && !recovering.gone.is_empty() {
                self.record_segment = listed_in;
            }
        }
    }

    /// The first number in `head..next` of which there is neither a message nor word that it is gone.
    pub(crate) fn missing(&self) -> Option<Seq> {
        let mut missing = None;
        self.gaps_from(self.head, usize::MAX, |range| {
            let mut seq = range.start;
            while missing.is_none() && seq < range.end {
                match self.gone().and_then(|gone| gone.range_of(seq)) {
                    Some(gone) => seq = gone.end,
                    None => missing = Some(seq),
                }
            }
        });
        missing
    }

    /// Numbers in `head..next` of which there is neither a message nor word that it is gone.
    pub(crate) fn lost(&self) -> u64 {
        self.next - self.head - self.stored() - self.gone().map_or(0, Gone::count)
    }

    /// Ends the recovery of a queue from which nothing is missing.
    pub(crate) fn end_recovery(&mut self) {
        assert_eq!(self.lost(), 0, "a queue from which a message is missing is no store's");
        let stored = self.stored();
        self.bytes = self.messages().map(|(_, message)| u64::from(message.place.body_bytes)).sum();
        self.head = if self.front.is_empty() { self.next } else { self.front.first() };
        let gaps = self.next - self.head - stored;
        if gaps > 0 || self.beyond.is_some() {
            let beyond = self.beyond.get_or_insert_default();
            (beyond.gaps, beyond.recovering) = (gaps, None);
            self.forget_needless();
        }
    }
}
