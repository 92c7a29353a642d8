//! Which of a queue's messages may be handed out: all, as long as none of them is open, delayed, or on its way to the dead
//! letters. Those that are *out* in one of these ways wait in their places like all others, and are passed over.
//!
//! Messages are handed out in the order of their numbers, so nearly all that are out lie below one number, the cursor, and
//! cost nothing here: what is below the cursor is out, unless it came back. What came back is listed, and so are the
//! ranges above the cursor that were out from the beginning, since they were put with a delay.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::log::entry::Seq;
use crate::queue::gone::Gone;
use crate::queue::states::Out;

/// What a queue has of which messages are out, or of which some have a state.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Messages from here on were not handed out.
    cursor: Seq,
    /// Numbers from the cursor on that are out all the same, unless they came back.
    out_ahead: Gone,
    /// What came back.
    returned: BTreeSet<Seq>,
    /// How many messages are open, delayed, and on their way to the dead letters.
    pub(crate) open: u64,
    pub(crate) delayed: u64,
    pub(crate) dying: u64,
    /// How many messages have a state, by which the store finds it.
    pub(crate) states: u64,
}

impl Delivery {
    /// All messages may be handed out, the first of which has the number `head`.
    pub(crate) fn new(head: Seq) -> Delivery {
        Delivery {
            cursor: head,
            out_ahead: Gone::default(),
            returned: BTreeSet::new(),
            open: 0,
            delayed: 0,
            dying: 0,
            states: 0,
        }
    }

    /// Messages that are not handed out.
    pub(crate) fn out(&self) -> u64 {
        self.open + self.delayed + self.dying
    }

    /// Whether a queue without this would be the same.
    pub(crate) fn is_needless(&self) -> bool {
        self.out() == 0 && self.states == 0 && self.returned.is_empty()
    }

    /// Ranges of numbers in which all messages that are out are. `head`: the first of all.
    pub(crate) fn out_ranges(&self, head: Seq) -> Vec<Range<Seq>> {
        std::iter::once(head..self.cursor).chain(self.out_ahead.iter()).collect()
    }

    /// Has all messages be open that are left, so many, of which some have a state.
    pub(crate) fn keep_open(next: Seq, open: u64, states: u64) -> Delivery {
        Delivery { open, states, ..Delivery::new(next) }
    }

    /// What came back.
    pub(crate) fn returned(&self) -> impl Iterator<Item = Seq> {
        self.returned.iter().copied()
    }

    /// From here on no message was handed out.
    pub(crate) fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Whether a message that waits in the queue may be handed out.
    pub(crate) fn is_available(&self, seq: Seq) -> bool {
        self.returned.contains(&seq) || (seq >= self.cursor && !self.out_ahead.contains(seq))
    }

    /// The message that is to be handed out next. `from`: the first message of the queue from a number on.
    pub(crate) fn next(&mut self, from: impl Fn(Seq) -> Option<Seq>) -> Option<Seq> {
        let ahead = loop {
            let Some(seq) = from(self.cursor) else { break None };
            let Some(range) = self.out_ahead.range_of(seq) else { break Some(seq) };
            // What lies before the range is out or gone, so the cursor may pass it: each range is passed once.
            self.pass(range.end);
        };
        match (self.returned.first(), ahead) {
            (Some(returned), Some(ahead)) => Some(ahead.min(*returned)),
            (returned, ahead) => returned.copied().or(ahead),
        }
    }

    fn pass(&mut self, cursor: Seq) {
        self.cursor = cursor;
        self.out_ahead.drop_below(cursor);
    }

    /// Notes that a message that was available is not any more: it was taken, or is out. Those before it, from the cursor
    /// on, are out or gone already.
    pub(crate) fn leave(&mut self, seq: Seq, next: Option<Seq>) {
        if self.returned.remove(&seq) {
            return;
        }
        if next == Some(seq) {
            self.pass(seq + 1);
        } else {
            self.out_ahead.add(seq..seq + 1);
        }
    }

    /// Notes that a message that was out may be handed out again.
    pub(crate) fn come_back(&mut self, seq: Seq) {
        self.returned.insert(seq);
    }

    /// How many messages are out for this reason.
    pub(crate) fn count_mut(&mut self, out: Out) -> &mut u64 {
        match out {
            Out::Open => &mut self.open,
            Out::Delayed => &mut self.delayed,
            Out::Dying => &mut self.dying,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Held against two plain sets: of what waits, and of what is out.
    #[test]
    fn it_is_what_plain_sets_are() {
        let mut state = 7u64;
        let mut below = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        for _ in 0..300 {
            let (mut delivery, mut next) = (Delivery::new(1), 1);
            let (mut live, mut out) = (BTreeSet::<Seq>::new(), BTreeSet::<Seq>::new());
            for _ in 0..80 {
                let pick = |set: &BTreeSet<Seq>, at: u64| set.iter().nth(at as usize % set.len().max(1)).copied();
                let first = |live: &BTreeSet<Seq>, out: &BTreeSet<Seq>| live.difference(out).next().copied();
                match below(7) {
                    0 | 1 => {
                        live.insert(next);
                        next += 1;
                    }
                    2 => {
                        live.insert(next);
                        let ahead = delivery.next(|from| live.range(from..).next().copied());
                        delivery.leave(next, ahead);
                        out.insert(next);
                        next += 1;
                    }
                    3 | 4 => {
                        let found = delivery.next(|from| live.range(from..).next().copied());
                        assert_eq!(found, first(&live, &out));
                        let Some(seq) = found else { continue };
                        delivery.leave(seq, found);
                        if below(2) == 0 {
                            out.insert(seq);
                        } else {
                            live.remove(&seq);
                        }
                    }
                    5 => {
                        if let Some(seq) = pick(&out, below(9)) {
                            out.remove(&seq);
                            delivery.come_back(seq);
                        }
                    }
                    _ => {
                        if let Some(seq) = pick(&out, below(9)) {
                            out.remove(&seq);
                            live.remove(&seq);
                        }
                    }
                }
                let found = delivery.next(|from| live.range(from..).next().copied());
                assert_eq!(found, first(&live, &out));
                assert!(live.iter().all(|seq| delivery.is_available(*seq) != out.contains(seq)));
            }
        }
    }
}
