//! The part of the account that is about messages which are opened first and acknowledged later.

use super::broken::Broken;
use super::holds::{Again, Message};
use super::order::Tick;
use super::{Account, Fault, Verifier, example};
use crate::message::Stamp;
use crate::workload::{Request, Slot};

/// Who opened a message, when it asked for it, and until when it holds it for certain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) consumer: usize,
    pub(crate) slot: Slot,
    pub(crate) sent: Tick,
    /// The lease's earliest end, in nanoseconds of the run.
    pub(crate) until_ns: u64,
    pub(crate) now_ns: u64,
}

impl Verifier {
    /// The server may be restarted in the middle of the run.
    pub(crate) fn expect_restart(&mut self) {
        self.holds.may_restart = true;
    }

    /// An open has brought `body` out of `queue`.
    pub(crate) fn opened(&mut self, opening: Opening, queue: u32, body: &[u8]) {
        self.verdict.received += 1;
        let Some(stamp) = self.expected(queue, body) else { return };
        let message = (stamp.producer, stamp.number);
        let account = &mut self.accounts[stamp.producer as usize];
        let was_delivered = account.received.set(stamp.number);
        let is_done = account.done.get(stamp.number);
        let (by, times) = ((opening.consumer, opening.slot), (opening.until_ns, opening.now_ns));
        match self.holds.opened(by, message, was_delivered, times) {
            Some(_) if is_done => self.fault(Fault::Doubled, example(queue, Some(stamp))),
            Some(again) => self.delivered_again(again, queue, stamp),
            None => self.delivered_first(opening.consumer, opening.sent, queue, stamp),
        }
    }

    /// A get has taken a message for good that was delivered before. False: it was acknowledged since.
    pub(super) fn taken_again(&mut self, now_ns: u64, queue: u32, stamp: Stamp) -> bool {
        let account = &mut self.accounts[stamp.producer as usize];
        let is_done = account.done.set(stamp.number);
        if !is_done {
            let again = self.holds.taken((stamp.producer, stamp.number), now_ns);
            self.delivered_again(again, queue, stamp);
        }
        !is_done
    }

    fn delivered_again(&mut self, again: Again, queue: u32, stamp: Stamp) {
        match again {
            Again::Repeated => {}
            Again::Promised => self.verdict.redelivered += 1,
            Again::Shared => {
                self.shared.insert((stamp.producer, stamp.number));
                self.fault(Fault::Shared, example(queue, Some(stamp)));
            }
        }
    }

    pub(super) fn delivered_first(&mut self, consumer: usize, sent: Tick, queue: u32, stamp: Stamp) {
        if self.order.received(consumer, sent, (stamp.queue, stamp.producer), stamp.number) {
            return;
        }
        // It may have been out before, with a consumer that never saw it.
        match self.unseen.get_mut(&stamp.queue).filter(|left| **left > 0) {
            Some(left) => {
                *left -= 1;
                self.verdict.redelivered += 1;
            }
            None => self.fault(Fault::Reordered, example(queue, Some(stamp))),
        }
    }

    /// An acknowledgement was answered: what the consumer has open in the slot is done.
    pub(crate) fn acknowledged(&mut self, consumer: usize, slot: Slot) {
        let Some((message, holds)) = self.holds.acknowledged(consumer, slot) else { return };
        let (producer, number) = message;
        self.verdict.acknowledged += 1;
        let was_done = self.accounts[producer as usize].done.set(number);
        if !holds && !was_done && !self.shared.contains(&message) {
            let stamp = self.stamp_of(message);
            self.fault(Fault::Shared, example(stamp.queue, Some(stamp)));
        }
    }

    /// An acknowledgement was refused: the message goes to another consumer, or has gone.
    /// `is_repeated`: it had been sent before, and was not answered.
    pub(crate) fn not_held(&mut self, consumer: usize, slot: Slot, is_repeated: bool) {
        self.holds.not_held(consumer, slot, is_repeated);
    }

    /// A connection is gone, with these requests unanswered. What it had open comes again.
    pub(crate) fn dropped<'a>(&mut self, consumer: usize, unanswered: impl Iterator<Item = &'a Request>) {
        let broken = Broken::of(unanswered);
        self.holds.dropped(consumer, &broken.acknowledging);
        for queue in broken.taken {
            self.excuses.broken(queue, self.order.now());
        }
        for queue in broken.opened {
            *self.unseen.entry(queue).or_default() += 1;
        }
        self.order.answered(consumer, None);
    }

    /// A stored message has not come, or has not been acknowledged, and no acknowledgement of it is in doubt.
    pub(crate) fn is_missing_any(&self) -> bool {
        let mut accounts = self.accounts.iter().zip(0..);
        accounts.any(|(account, producer)| self.missing(account, producer).next().is_some())
    }

    pub(super) fn missing<'a>(&'a self, account: &'a Account, producer: u32) -> impl Iterator<Item = u64> + 'a {
        account.stored.without(&account.done).filter(move |number| !self.holds.is_in_doubt((producer, *number)))
    }

    fn stamp_of(&self, (producer, number): Message) -> Stamp {
        Stamp { run: self.run, producer, queue: self.spread.queue(producer, number), number }
    }
}

#[cfg(test)]
mod tests {
    use super::super::holds::NEVER_NS;
    use super::super::tests::{RUN, Scene};
    use super::*;
    use crate::workload::Act;

    /// The queue is the slot.
    const SLOT: Slot = 0;

    impl Scene {
        fn open(&mut self, consumer: usize, number: u64) {
            self.open_until(consumer, SLOT, number, (NEVER_NS, 0));
        }

        fn open_until(&mut self, consumer: usize, slot: Slot, number: u64, (until_ns, now_ns): (u64, u64)) {
            let consumer = self.consumers[consumer];
            let sent = self.verifier.sending(consumer);
            let opening = Opening { consumer, slot, sent, until_ns, now_ns };
            self.verifier.opened(opening, 0, &Scene::body(RUN, 0, number));
            self.verifier.answered(consumer, None);
        }

        fn close(&mut self, consumer: usize) {
            self.verifier.acknowledged(self.consumers[consumer], SLOT);
        }

        fn drop(&mut self, consumer: usize, unanswered: &[Act]) {
            let requests: Vec<Request> =
                unanswered.iter().map(|act| Request { act: *act, queue: 0, number: 0 }).collect();
            self.verifier.dropped(self.consumers[consumer], requests.iter());
        }

        /// All but those of the first producer from `number` on are taken.
        fn get_rest(&mut self, numbers: std::ops::Range<u64>) {
            numbers.for_each(|number| self.get(0, 0, number));
            (0..10).for_each(|number| self.get(0, 1, number));
        }

        /// What was redelivered as promised, and the faults.
        fn verdict(self) -> (u64, Vec<(Fault, u64)>) {
            (self.verifier.verdict.redelivered, self.faults())
        }
    }

    #[test]
    fn what_is_acknowledged_is_done() {
        let mut scene = Scene::new();
        for number in 0..10 {
            scene.open((number % 2) as usize, number);
            scene.close((number % 2) as usize);
        }
        scene.get_rest(10..10);
        assert_eq!(scene.verdict(), (0, vec![]));
    }

    #[test]
    fn what_was_opened_and_never_came_back_is_lost() {
        let mut scene = Scene::new();
        scene.open(0, 0);
        scene.drop(0, &[]);
        scene.get_rest(1..10);
        assert!(scene.verifier.is_missing_any());
        assert_eq!(scene.verdict(), (0, vec![(Fault::Lost, 1)]));
    }

    #[test]
    fn a_dropped_consumers_message_comes_again_and_out_of_its_order() {
        let mut scene = Scene::new();
        scene.open(0, 0);
        scene.open(1, 1);
        scene.drop(0, &[]);
        scene.close(1);
        scene.get_rest(2..10);
        scene.get(0, 0, 0);
        assert!(!scene.verifier.is_missing_any());
        assert_eq!(scene.verdict(), (1, vec![]));
    }

    #[test]
    fn a_message_that_two_hold_is_found() {
        let mut scene = Scene::new();
        scene.open(0, 0);
        scene.open(1, 0);
        scene.close(0);
        scene.close(1);
        scene.get_rest(1..10);
        assert_eq!(scene.verdict(), (0, vec![(Fault::Shared, 1)]));
        // The get takes it from its holder.
        let mut scene = Scene::new();
        scene.open(0, 0);
        scene.get_rest(0..10);
        assert_eq!(scene.verdict(), (0, vec![(Fault::Shared, 1)]));
    }

    #[test]
    fn a_message_that_comes_after_its_acknowledgement_is_doubled() {
        let mut scene = Scene::new();
        scene.open(0, 0);
        scene.close(0);
        scene.open(1, 0);
        scene.close(1);
        scene.get_rest(1..10);
        scene.get(0, 0, 0);
        assert_eq!(scene.verdict(), (0, vec![(Fault::Doubled, 2)]));
    }

    #[test]
    fn an_acknowledgement_without_an_answer_may_count_or_not() {
        for comes_again in [false, true] {
            let mut scene = Scene::new();
            scene.open(0, 0);
            scene.drop(0, &[Act::Close]);
            scene.get_rest(u64::from(!comes_again)..10);
            assert!(!scene.verifier.is_missing_any());
            assert_eq!(scene.verdict(), (u64::from(comes_again), vec![]));
        }
    }

    #[test]
    fn an_open_that_was_never_answered_excuses_order_and_no_loss() {
        let mut scene = Scene::new();
        scene.drop(0, &[Act::Open]);
        scene.open(1, 1);
        scene.close(1);
        scene.get_rest(2..10);
        scene.open(1, 0);
        scene.close(1);
        assert_eq!(scene.verdict(), (1, vec![]));
        let mut scene = Scene::new();
        scene.drop(0, &[Act::Open]);
        scene.get_rest(1..10);
        assert_eq!(scene.verdict(), (0, vec![(Fault::Lost, 1)]));
    }

    #[test]
    fn an_open_and_its_close_that_were_never_answered_excuse_one_loss() {
        let mut scene = Scene::new();
        scene.drop(0, &[Act::Open, Act::Close]);
        scene.get_rest(2..10);
        let verdict = scene.verifier.finish(true);
        assert_eq!((verdict.excused, verdict.count(Fault::Lost)), (1, 1));
    }

    #[test]
    fn two_that_came_in_the_wrong_order_are_found() {
        let mut scene = Scene::new();
        for number in [1, 0] {
            scene.open(0, number);
            scene.close(0);
        }
        scene.get_rest(2..10);
        assert_eq!(scene.verdict(), (0, vec![(Fault::Reordered, 1)]));
    }

    #[test]
    fn who_lost_its_lease_cannot_acknowledge() {
        let mut scene = Scene::new();
        scene.open_until(0, 8, 0, (100, 0));
        scene.open_until(1, 9, 0, (300, 150));
        scene.verifier.acknowledged(scene.consumers[0], 8);
        scene.get_rest(1..10);
        assert_eq!(scene.verdict(), (1, vec![(Fault::Shared, 1)]));
        let mut scene = Scene::new();
        scene.open_until(0, 8, 0, (100, 0));
        scene.open_until(1, 9, 0, (300, 150));
        scene.verifier.not_held(scene.consumers[0], 8, false);
        scene.verifier.acknowledged(scene.consumers[1], 9);
        scene.get_rest(1..10);
        assert_eq!(scene.verdict(), (1, vec![]));
    }
}
