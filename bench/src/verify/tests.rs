//! Faults that are planted, each in a run that is otherwise good.

use super::*;
use crate::message::Filling;
use crate::options::Pattern;
use crate::workload::{Act, Request};

pub(super) const RUN: u32 = 77;

pub(super) struct Scene {
    pub(super) verifier: Verifier,
    pub(super) consumers: Vec<usize>,
}

impl Scene {
    /// One queue, two producers, two consumers; ten messages of each producer are stored.
    pub(super) fn new() -> Scene {
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

    pub(super) fn body(run: u32, producer: u32, number: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let stamp = Stamp { run, producer, queue: 0, number };
        message::append(&mut out, stamp, 80, &Filling::new(80));
        out
    }

    fn take(&mut self, consumer: usize, sent: Tick, producer: u32, number: u64) {
        self.verifier.received(self.consumers[consumer], sent, 0, 0, &Scene::body(RUN, producer, number));
    }

    /// Sends a get and receives.
    pub(super) fn get(&mut self, consumer: usize, producer: u32, number: u64) {
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

    /// The first consumer's connection breaks, with a get unanswered.
    fn break_get(&mut self) {
        let request = Request { act: Act::Get, queue: 0, number: 0 };
        self.verifier.dropped(self.consumers[0], std::iter::once(&request));
    }

    /// The faults, and how many of each.
    pub(super) fn faults(self) -> Vec<(Fault, u64)> {
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
    scene.break_get();
    let verdict = scene.verifier.finish(true);
    assert_eq!((verdict.excused, verdict.count(Fault::Lost)), (1, 1));
}

#[test]
fn a_get_of_an_empty_queue_excuses_nothing_that_is_sent_later() {
    let mut scene = Scene::new();
    scene.get_all_but(&[]);
    scene.break_get();
    scene.verifier.sent(0, 10);
    scene.verifier.stored(0, 10);
    let verdict = scene.verifier.finish(true);
    assert_eq!((verdict.excused, verdict.count(Fault::Lost)), (0, 1));
}

#[test]
fn a_get_has_not_passed_by_what_was_still_there_afterwards() {
    let mut scene = Scene::new();
    scene.break_get();
    scene.get_all_but(&[(1, 4)]);
    let verdict = scene.verifier.finish(true);
    assert_eq!((verdict.excused, verdict.count(Fault::Lost)), (0, 1));
    // The first of the queue may have been taken.
    let mut scene = Scene::new();
    scene.break_get();
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
    scene.verifier.received(0, 0, 0, 0, &body);
    scene.verifier.received(0, 0, 0, 0, &Scene::body(RUN + 1, 0, 3));
    scene.verifier.received(0, 0, 0, 0, b"hello");
    assert_eq!(scene.faults(), [(Fault::Corrupted, 1), (Fault::Foreign, 2)]);
    let mut scene = Scene::new();
    scene.get_all_but(&[(0, 9)]);
    scene.verifier.received(0, 0, 0, 5, &Scene::body(RUN, 0, 9));
    scene.verifier.received(0, 0, 0, 0, &Scene::body(RUN, 0, 99));
    assert_eq!(scene.faults(), [(Fault::Corrupted, 1), (Fault::Misplaced, 1)]);
}
