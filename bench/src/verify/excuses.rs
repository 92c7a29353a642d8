//! Gets whose connection broke before they were answered: each may have taken a message, so that one that is missing is
//! not lost for certain. Not any message: it was sent before the connection broke, and nothing that was sent before it
//! to the same queue was still there afterwards, since a get takes the first.

use hashbrown::HashMap;

use super::order::{Stream, Tick};

/// How many gets had broken when a message was sent.
pub(super) type Epoch = u64;

#[derive(Debug, Default)]
pub(super) struct Excuses {
    /// Gets that have broken so far.
    broken: Epoch,
    /// When the last one did.
    last: Tick,
    /// Their numbers, by queue; they rise.
    gets: HashMap<u32, Vec<Epoch>>,
    /// The lowest number of each stream that a get brought which was sent after the last one had broken.
    left: HashMap<Stream, u64>,
}

/// When a producer's messages were sent, in epochs.
#[derive(Debug, Default)]
pub(super) struct Epochs(Vec<(u64, Epoch)>);

impl Epochs {
    /// Messages from `number` on are sent in `epoch`.
    pub(super) fn sent(&mut self, number: u64, epoch: Epoch) {
        if self.0.last().map_or(0, |(_, last)| *last) != epoch {
            self.0.push((number, epoch));
        }
    }

    fn of(&self, number: u64) -> Epoch {
        let later = self.0.partition_point(|(first, _)| *first <= number);
        later.checked_sub(1).map_or(0, |at| self.0[at].1)
    }
}

impl Excuses {
    /// A get of this queue has broken at `now`.
    pub(super) fn broken(&mut self, queue: u32, now: Tick) {
        self.gets.entry(queue).or_default().push(self.broken);
        self.broken += 1;
        self.last = now;
        self.left.clear();
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.broken
    }

    /// A get that was sent at `sent` has brought a message.
    pub(super) fn received(&mut self, sent: Tick, stream: Stream, number: u64) {
        if self.broken > 0 && sent > self.last {
            let lowest = self.left.entry(stream).or_insert(number);
            *lowest = number.min(*lowest);
        }
    }

    /// Whether a get may have taken this message; if so, when it was sent.
    pub(super) fn may_excuse(&self, stream: Stream, number: u64, epochs: &Epochs) -> Option<Epoch> {
        let was_behind = self.left.get(&stream).is_some_and(|lowest| *lowest < number);
        (!was_behind && self.gets.contains_key(&stream.0)).then(|| epochs.of(number))
    }

    /// How many of the messages that are missing from a queue, given when they were sent, the gets may have taken. The
    /// earliest-sent are the excused ones.
    pub(super) fn count(&self, queue: u32, missing: &[Epoch]) -> usize {
        let Some(gets) = self.gets.get(&queue) else { return 0 };
        let mut missing = missing.to_vec();
        missing.sort_unstable();
        // A get that broke later may have taken whatever an earlier one may have: the latest for the latest.
        let mut gets = gets.iter().rev().peekable();
        missing.iter().rev().filter(|sent| gets.next_if(|get| *get >= *sent).is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_get_takes_what_was_sent_before_it_broke() {
        let mut excuses = Excuses::default();
        excuses.broken(7, 10);
        excuses.broken(7, 11);
        excuses.broken(8, 12);
        assert_eq!(excuses.count(7, &[0]), 1);
        assert_eq!(excuses.count(7, &[1, 0]), 2);
        assert_eq!(excuses.count(7, &[1, 1]), 1);
        assert_eq!(excuses.count(7, &[2, 0, 0, 0]), 2);
        assert_eq!((excuses.count(7, &[2]), excuses.count(9, &[0])), (0, 0));
    }

    #[test]
    fn what_was_left_behind_was_not_passed_by() {
        let mut excuses = Excuses::default();
        excuses.received(9, (7, 0), 1);
        excuses.broken(7, 10);
        excuses.received(9, (7, 0), 2);
        let may = |excuses: &Excuses, number| excuses.may_excuse((7, 0), number, &Epochs::default()).is_some();
        assert!(may(&excuses, 3));
        excuses.received(11, (7, 0), 4);
        assert!(may(&excuses, 3) && !may(&excuses, 5));
        excuses.broken(8, 12);
        assert!(may(&excuses, 5), "what came between two breaks may have been taken by the second");
    }

    #[test]
    fn epochs_go_with_the_numbers() {
        let mut epochs = Epochs::default();
        for (number, epoch) in [(0, 0), (1, 0), (2, 3), (3, 3), (4, 5)] {
            epochs.sent(number, epoch);
        }
        assert_eq!([0, 1, 2, 3, 4, 9].map(|number| epochs.of(number)), [0, 0, 3, 3, 5, 5]);
        assert_eq!(epochs.0.len(), 2);
    }
}
