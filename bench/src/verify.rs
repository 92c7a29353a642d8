//! Accounts for every message: each that was stored comes out once, in its order, as it was.
//!
//! Nothing here knows of sockets or of time. A tick counts what happened, in the order in which it became known: what
//! was received at a tick was received before anything was sent at a later one.

mod bits;
mod excuses;
mod order;
mod verdict;

use std::collections::BTreeMap;

use bits::Bits;
use excuses::{Epoch, Epochs, Excuses};
use order::{Order, Tick};
pub(crate) use verdict::{Example, Fault, Verdict};

use crate::message::{self, Reading, Stamp};
use crate::workload::Spread;

const EXAMPLES_MAX: usize = 5;

/// One producer's messages, by their numbers.
#[derive(Debug, Default)]
struct Account {
    /// Numbers below this one were sent, or will be before anybody can know them.
    sent: u64,
    stored: Bits,
    received: Bits,
    epochs: Epochs,
}

/// What is known of all messages of a run.
#[derive(Debug)]
pub(crate) struct Verifier {
    run: u32,
    spread: Spread,
    accounts: Vec<Account>,
    order: Order,
    excuses: Excuses,
    verdict: Verdict,
}

impl Verifier {
    pub(crate) fn new(run: u32, spread: Spread) -> Verifier {
        Verifier {
            run,
            spread,
            accounts: Vec::new(),
            order: Order::default(),
            excuses: Excuses::default(),
            verdict: Verdict::default(),
        }
    }

    /// A new producer, whose numbers begin at 0. A connection that is made again is a new one: the server
    /// may handle what the old one sent before or after what the new one sends.
    pub(crate) fn producer(&mut self) -> u32 {
        self.accounts.push(Account::default());
        (self.accounts.len() - 1) as u32
    }

    /// A place for a connection that gets.
    pub(crate) fn consumer(&mut self) -> usize {
        self.order.consumer()
    }

    /// Something is about to be sent on a connection; the tick goes with it.
    pub(crate) fn sending(&mut self, consumer: usize) -> Tick {
        self.order.sending(consumer)
    }

    /// A message is about to be sent.
    pub(crate) fn sent(&mut self, producer: u32, number: u64) {
        let account = &mut self.accounts[producer as usize];
        account.sent = account.sent.max(number + 1);
        account.epochs.sent(number, self.excuses.epoch());
    }

    pub(crate) fn stored(&mut self, producer: u32, number: u64) {
        self.accounts[producer as usize].stored.set(number);
        self.verdict.stored += 1;
    }

    /// A get that was sent at `sent` has brought `body` out of `queue`.
    pub(crate) fn received(&mut self, consumer: usize, sent: Tick, queue: u32, body: &[u8]) {
        self.verdict.received += 1;
        let stamp = match message::read(body) {
            Reading::Whole(stamp) if stamp.run == self.run => stamp,
            Reading::Whole(_) | Reading::Unstamped => {
                let text = body[..body.len().min(40)].escape_ascii().to_string();
                return self.fault(Fault::Foreign, Example { queue, producer: None, number: None, text: Some(text) });
            }
            Reading::Corrupted(stamp) => {
                // What the stamp says may be what was corrupted: it clears a message, but accuses none.
                let stamp = stamp.filter(|stamp| self.is_expected(stamp, queue));
                if let Some(stamp) = stamp {
                    self.accounts[stamp.producer as usize].received.set(stamp.number);
                }
                return self.fault(Fault::Corrupted, example(queue, stamp));
            }
        };
        if !self.was_sent(&stamp) {
            return self.fault(Fault::Corrupted, example(queue, Some(stamp)));
        }
        if stamp.queue != queue {
            self.fault(Fault::Misplaced, example(queue, Some(stamp)));
        }
        if self.accounts[stamp.producer as usize].received.set(stamp.number) {
            return self.fault(Fault::Doubled, example(queue, Some(stamp)));
        }
        self.excuses.received(sent, (stamp.queue, stamp.producer), stamp.number);
        if !self.order.received(consumer, sent, (stamp.queue, stamp.producer), stamp.number) {
            self.fault(Fault::Reordered, example(queue, Some(stamp)));
        }
    }

    /// The gets of this connection that were sent before `oldest` are answered; None: all are.
    pub(crate) fn answered(&mut self, consumer: usize, oldest: Option<Tick>) {
        self.order.answered(consumer, oldest);
    }

    /// The connection broke before this get was answered.
    pub(crate) fn unanswered_get(&mut self, queue: u32) {
        self.excuses.broken(queue, self.order.now());
    }

    /// What came of it, in the end.
    pub(crate) fn finish(mut self, are_empty: bool) -> Verdict {
        if !are_empty {
            // What is missing may still be in there.
            return self.verdict;
        }
        // By queue, in the order in which they were sent as far as that is known.
        let mut excusable: BTreeMap<u32, Vec<(Epoch, Stamp)>> = BTreeMap::new();
        for producer in 0..self.accounts.len() {
            let account = std::mem::take(&mut self.accounts[producer]);
            let producer = producer as u32;
            for number in account.stored.without(&account.received) {
                let queue = self.spread.queue(producer, number);
                let stamp = Stamp { run: self.run, producer, queue, number };
                match self.excuses.may_excuse((queue, producer), number, &account.epochs) {
                    Some(epoch) => excusable.entry(queue).or_default().push((epoch, stamp)),
                    None => self.fault(Fault::Lost, example(queue, Some(stamp))),
                }
            }
        }
        for (queue, mut missing) in excusable {
            missing.sort_by_key(|(epoch, _)| *epoch);
            let epochs: Vec<Epoch> = missing.iter().map(|(epoch, _)| *epoch).collect();
            let excused = self.excuses.count(queue, &epochs);
            self.verdict.excused += excused as u64;
            for (_, stamp) in &missing[excused..] {
                self.fault(Fault::Lost, example(queue, Some(*stamp)));
            }
        }
        self.verdict
    }

    fn was_sent(&self, stamp: &Stamp) -> bool {
        self.accounts.get(stamp.producer as usize).is_some_and(|account| stamp.number < account.sent)
    }

    fn is_expected(&self, stamp: &Stamp, queue: u32) -> bool {
        let known = stamp.run == self.run && stamp.queue == queue && self.was_sent(stamp);
        known && !self.accounts[stamp.producer as usize].received.get(stamp.number)
    }

    fn fault(&mut self, fault: Fault, example: Example) {
        self.verdict.add(fault, example, EXAMPLES_MAX);
    }
}

fn example(queue: u32, stamp: Option<Stamp>) -> Example {
    Example { queue, producer: stamp.map(|it| it.producer), number: stamp.map(|it| it.number), text: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Filling;
    use crate::options::Pattern;

    const RUN: u32 = 77;

    struct Scene {
        verifier: Verifier,
        consumers: Vec<usize>,
    }

    impl Scene {
        /// One queue, two producers, two consumers; ten messages of each producer are stored.
        fn new() -> Scene {
            let mut verifier = Verifier::new(RUN, Spread { queues: 1, pattern: Pattern::Random });
            for producer in 0..2 {
                assert_eq!(verifier.producer(), producer);
                for number in 0..10 {
                    verifier.sent(producer, number);
                    verifier.stored(producer, number);
                }
            }
            let consumers = vec![verifier.consumer(), verifier.consumer()];
            Scene { verifier, consumers }
        }

        fn body(run: u32, producer: u32, number: u64) -> Vec<u8> {
            let mut out = Vec::new();
            let stamp = Stamp { run, producer, queue: 0, number };
            message::append(&mut out, stamp, 80, &Filling::new(80));
            out
        }

        fn take(&mut self, consumer: usize, sent: Tick, producer: u32, number: u64) {
            self.verifier.received(self.consumers[consumer], sent, 0, &Scene::body(RUN, producer, number));
        }

        /// Sends a get and receives.
        fn get(&mut self, consumer: usize, producer: u32, number: u64) {
            let sent = self.verifier.sending(self.consumers[consumer]);
            self.take(consumer, sent, producer, number);
            self.verifier.answered(self.consumers[consumer], None);
        }

        fn get_all_but(&mut self, without: &[(u32, u64)]) {
            for producer in 0..2 {
                for number in (0..10).filter(|number| !without.contains(&(producer, *number))) {
                    self.get((number % 2) as usize, producer, number);
                }
            }
        }

        /// The faults, and how many of each.
        fn faults(self) -> Vec<(Fault, u64)> {
            let verdict = self.verifier.finish(true);
            Fault::ALL.into_iter().map(|fault| (fault, verdict.count(fault))).filter(|(_, count)| *count > 0).collect()
        }
    }

    #[test]
    fn nothing_wrong_is_nothing_found() {
        let mut scene = Scene::new();
        scene.get_all_but(&[]);
        assert_eq!(scene.faults(), []);
    }

    #[test]
    fn a_lost_message_is_found() {
        let mut scene = Scene::new();
        scene.get_all_but(&[(1, 4)]);
        let verdict = scene.verifier.finish(true);
        assert_eq!((verdict.count(Fault::Lost), verdict.is_clean()), (1, false));
        let example = &verdict.examples(Fault::Lost)[0];
        assert_eq!((example.queue, example.producer, example.number), (0, Some(1), Some(4)));
    }

    #[test]
    fn what_was_not_stored_may_come_or_not() {
        let mut scene = Scene::new();
        scene.verifier.sent(0, 10);
        scene.verifier.sent(0, 11);
        scene.get_all_but(&[]);
        scene.get(0, 0, 10);
        assert_eq!(scene.faults(), []);
    }

    #[test]
    fn a_get_without_an_answer_excuses_one_message() {
        let mut scene = Scene::new();
        scene.get_all_but(&[(1, 4), (1, 5)]);
        scene.verifier.unanswered_get(0);
        let verdict = scene.verifier.finish(true);
        assert_eq!((verdict.excused, verdict.count(Fault::Lost)), (1, 1));
    }

    #[test]
    fn a_get_of_an_empty_queue_excuses_nothing_that_is_sent_later() {
        let mut scene = Scene::new();
        scene.get_all_but(&[]);
        scene.verifier.unanswered_get(0);
        scene.verifier.sent(0, 10);
        scene.verifier.stored(0, 10);
        let verdict = scene.verifier.finish(true);
        assert_eq!((verdict.excused, verdict.count(Fault::Lost)), (0, 1));
    }

    #[test]
    fn a_get_has_not_passed_by_what_was_still_there_afterwards() {
        let mut scene = Scene::new();
        scene.verifier.unanswered_get(0);
        scene.get_all_but(&[(1, 4)]);
        let verdict = scene.verifier.finish(true);
        assert_eq!((verdict.excused, verdict.count(Fault::Lost)), (0, 1));
        // The first of the queue may have been taken.
        let mut scene = Scene::new();
        scene.verifier.unanswered_get(0);
        scene.get_all_but(&[(1, 0)]);
        let verdict = scene.verifier.finish(true);
        assert_eq!((verdict.excused, verdict.count(Fault::Lost)), (1, 0));
    }

    #[test]
    fn a_doubled_message_is_found_and_not_called_reordered() {
        let mut scene = Scene::new();
        scene.get_all_but(&[]);
        scene.get(0, 1, 4);
        assert_eq!(scene.faults(), [(Fault::Doubled, 1)]);
    }

    #[test]
    fn a_message_behind_a_later_one_is_reordered() {
        let mut scene = Scene::new();
        scene.get_all_but(&[(1, 4)]);
        scene.get(0, 1, 4);
        assert_eq!(scene.faults(), [(Fault::Reordered, 1)]);
    }

    #[test]
    fn gets_at_the_same_time_may_be_answered_in_any_order() {
        let mut scene = Scene::new();
        let sent = [0, 1].map(|consumer| scene.verifier.sending(consumer));
        scene.take(1, sent[1], 0, 1);
        scene.take(0, sent[0], 0, 0);
        scene.verifier.answered(0, None);
        scene.verifier.answered(1, None);
        for number in 2..10 {
            scene.get(0, 0, number);
        }
        scene.get_all_but(&(0..10).map(|number| (0, number)).collect::<Vec<_>>());
        assert_eq!(scene.faults(), []);
    }

    #[test]
    fn one_connection_is_answered_in_order() {
        let mut scene = Scene::new();
        let sent = scene.verifier.sending(0);
        scene.take(0, sent, 0, 1);
        scene.take(0, sent, 0, 0);
        scene.verifier.answered(0, None);
        scene.get_all_but(&[(0, 0), (0, 1)]);
        assert_eq!(scene.faults(), [(Fault::Reordered, 1)]);
    }

    #[test]
    fn corrupted_misplaced_and_foreign_messages_are_told_apart() {
        let mut scene = Scene::new();
        scene.get_all_but(&[(0, 9)]);
        let mut body = Scene::body(RUN, 0, 9);
        body[70] ^= 1;
        scene.verifier.received(0, 0, 0, &body);
        scene.verifier.received(0, 0, 0, &Scene::body(RUN + 1, 0, 3));
        scene.verifier.received(0, 0, 0, b"hello");
        assert_eq!(scene.faults(), [(Fault::Corrupted, 1), (Fault::Foreign, 2)]);
        let mut scene = Scene::new();
        scene.get_all_but(&[(0, 9)]);
        scene.verifier.received(0, 0, 5, &Scene::body(RUN, 0, 9));
        scene.verifier.received(0, 0, 0, &Scene::body(RUN, 0, 99));
        assert_eq!(scene.faults(), [(Fault::Corrupted, 1), (Fault::Misplaced, 1)]);
    }
}
