//! Whether messages come in the order in which they were sent.
//!
//! Two consumers that get at the same time may be answered in any order, so that a message which comes behind a later
//! one proves nothing. It does if the later one was received before the get that brought it was sent; and if both came
//! on the same connection, which is answered in the order in which it asked.

use std::collections::VecDeque;

use hashbrown::HashMap;

pub(crate) type Tick = u64;
/// The messages of one producer in one queue: the queue, and the producer.
pub(super) type Stream = (u32, u32);

/// How many messages are received before it is looked again which get is the oldest that is not answered.
const LOOK_EVERY: u64 = 4096;

#[derive(Debug, Default)]
struct History {
    /// The highest number that was received before any get was sent that is not answered yet.
    settled: Option<u64>,
    /// When higher numbers were received. Both grow.
    recent: VecDeque<(Tick, u64)>,
}

#[derive(Debug, Default)]
struct Consumer {
    /// When the oldest get was sent that is not answered; None: all are.
    oldest: Option<Tick>,
    /// The highest number of each stream that came while there was a get that was not answered.
    highest: HashMap<Stream, u64>,
}

#[derive(Debug, Default)]
pub(super) struct Order {
    now: Tick,
    /// No get that is not answered was sent before.
    all_since: Tick,
    consumers: Vec<Consumer>,
    streams: HashMap<Stream, History>,
}

impl Order {
    pub(super) fn consumer(&mut self) -> usize {
        self.consumers.push(Consumer::default());
        self.consumers.len() - 1
    }

    pub(super) fn now(&self) -> Tick {
        self.now
    }

    pub(super) fn sending(&mut self, consumer: usize) -> Tick {
        self.now += 1;
        self.consumers[consumer].oldest.get_or_insert(self.now);
        self.now
    }

    pub(super) fn answered(&mut self, consumer: usize, oldest: Option<Tick>) {
        let consumer = &mut self.consumers[consumer];
        consumer.oldest = oldest;
        if oldest.is_none() {
            // What is sent from now on is judged by the ticks.
            consumer.highest.clear();
        }
    }

    /// A get that was sent at `sent` brought a message. False: it comes too late.
    pub(super) fn received(&mut self, consumer: usize, sent: Tick, stream: Stream, number: u64) -> bool {
        self.now += 1;
        if self.now.is_multiple_of(LOOK_EVERY) {
            self.all_since = self.consumers.iter().filter_map(|it| it.oldest).min().unwrap_or(self.now);
        }
        let highest = self.consumers[consumer].highest.entry(stream).or_insert(number);
        let is_behind_own = number < *highest;
        *highest = number.max(*highest);
        let history = self.streams.entry(stream).or_default();
        let known = history.recent.partition_point(|(tick, _)| *tick < sent);
        let before = if known > 0 { Some(history.recent[known - 1].1) } else { history.settled };
        if history.recent.back().map(|(_, last)| *last).or(history.settled).is_none_or(|last| last < number) {
            history.recent.push_back((self.now, number));
        }
        while history.recent.front().is_some_and(|(tick, _)| *tick < self.all_since) {
            history.settled = history.recent.pop_front().map(|(_, number)| number);
        }
        !is_behind_own && before.is_none_or(|before| before < number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: Stream = (0, 0);

    #[test]
    fn history_is_forgotten_and_its_highest_is_not() {
        let mut order = Order::default();
        let (first, second) = (order.consumer(), order.consumer());
        let early = order.sending(first);
        for number in 1..100_000 {
            let sent = order.sending(second);
            assert!(order.received(second, sent, STREAM, number));
            order.answered(second, None);
        }
        // Everything came while the first get was on its way.
        assert!(order.received(first, early, STREAM, 0));
        order.answered(first, None);
        for number in 100_000..200_000 {
            let sent = order.sending(second);
            assert!(order.received(second, sent, STREAM, number));
            order.answered(second, None);
        }
        assert!(order.streams[&STREAM].recent.len() <= LOOK_EVERY as usize);
        let sent = order.sending(first);
        assert!(!order.received(first, sent, STREAM, 5000));
    }

    #[test]
    fn streams_have_nothing_to_do_with_each_other() {
        let mut order = Order::default();
        let consumer = order.consumer();
        for stream in [(0, 0), (0, 1), (1, 0)] {
            let sent = order.sending(consumer);
            assert!(order.received(consumer, sent, stream, 10));
            assert!(!order.received(consumer, sent, stream, 9));
        }
    }

    #[test]
    fn a_later_number_that_was_received_before_proves_it() {
        let mut order = Order::default();
        let (first, second) = (order.consumer(), order.consumer());
        let at_once = [order.sending(first), order.sending(second)];
        assert!(order.received(first, at_once[0], STREAM, 5));
        assert!(order.received(second, at_once[1], STREAM, 4));
        let later = order.sending(second);
        assert!(!order.received(second, later, STREAM, 3));
    }
}
