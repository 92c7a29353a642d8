//! What is summed up over all queues of a store as it changes, since a sum that is asked for must not look at all of them.

use super::Queue;
use super::extras::Counts;
use crate::names;

/// Sums over all queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Messages that are delayed, or on their way to the dead letters.
    pub(crate) delayed: u64,
    /// Messages among dead letters.
    pub(crate) dead: u64,
    /// What is counted since the start.
    pub(crate) counts: Counts,
}

impl Sums {
    /// Of queues as recovery leaves them: it tells later which messages are delayed.
    pub(crate) fn of<'a>(queues: impl Iterator<Item = &'a Queue>) -> Sums {
        let dead = queues.filter(|queue| names::is_dead(&queue.name)).map(Queue::depth).sum();
        Sums { dead, ..Sums::default() }
    }

    /// Notes that a queue has one message more.
    #[inline]
    pub(crate) fn note_put(&mut self, queue: &Queue) {
        self.dead += u64::from(names::is_dead(&queue.name));
    }

    /// Notes that a message has left a queue. Whether it was delayed is noted apart.
    #[inline]
    pub(crate) fn note_gone(&mut self, queue: &Queue) {
        self.dead -= u64::from(names::is_dead(&queue.name));
    }

    /// Notes that a queue drops all its messages but so many, none of which is delayed.
    pub(crate) fn note_cleared(&mut self, queue: &Queue, kept: u64) {
        if names::is_dead(&queue.name) {
            self.dead -= queue.depth() - kept;
        }
        self.delayed -= queue.delivery().map_or(0, |delivery| delivery.delayed + delivery.dying);
    }

    /// Notes that all queues have dropped all their messages.
    pub(crate) fn note_all_cleared(&mut self) {
        (self.delayed, self.dead) = (0, 0);
    }
}
