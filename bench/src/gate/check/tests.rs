//! A run in which all is right, and each sentence broken in it, once.

use super::*;

const MS: u64 = 1_000_000;

/// What was told in a run, and the queue.
#[derive(Clone, Debug)]
struct Scene {
    tickets: u32,
    buyers: u32,
    asks: Vec<Ask>,
    queue: Vec<Message>,
    given: Option<u64>,
}

fn ask(buyer: Buyer, sent: u64, heard: u64, told: Told) -> Ask {
    Ask { buyer, sent_ns: sent * MS, told: Some((heard * MS, told)) }
}

impl Scene {
    /// Three tickets; buyers 0, 1 and 2 have them, one after the other, and 3 and 4 have none. Buyer 1's first answer
    /// was lost. The winners ask again.
    fn good() -> Scene {
        let asks = vec![
            ask(0, 1, 2, Told::Seat(1)),
            Ask { buyer: 1, sent_ns: 3 * MS, told: None },
            ask(2, 4, 6, Told::Seat(3)),
            ask(1, 5, 7, Told::Seat(2)),
            ask(3, 5, 7, Told::Refused),
            ask(4, 8, 9, Told::Refused),
            ask(0, 10, 11, Told::Seat(1)),
            ask(1, 10, 11, Told::Seat(2)),
            ask(2, 10, 11, Told::Seat(3)),
        ];
        Scene { tickets: 3, buyers: 5, asks, queue: [0, 1, 2].map(Message::Of).to_vec(), given: Some(3) }
    }

    fn with(asks: &[Ask]) -> Scene {
        let mut scene = Scene::good();
        scene.asks.extend_from_slice(asks);
        scene
    }

    fn check(&self) -> Verdict {
        let Scene { tickets, buyers, asks, queue, given } = self;
        check(&Evidence { tickets: *tickets, buyers: *buyers, asks, queue, given: *given })
    }

    /// The sentence is found violated so often, the example first, and no other is.
    #[track_caller]
    fn assert_violates(&self, sentence: Sentence, count: u64, example: &str) {
        let verdict = self.check();
        for other in Sentence::ALL {
            let expected = if other == sentence { count } else { 0 };
            assert_eq!(verdict.of(other).count, expected, "{other:?}: {verdict:#?}");
        }
        assert!(!verdict.is_clean());
        assert_eq!(verdict.of(sentence).examples[0], example);
    }
}

#[test]
fn a_run_in_which_all_is_right_is_clean() {
    let verdict = Scene::good().check();
    assert!(verdict.is_clean(), "{verdict:#?}");
    assert_eq!((verdict.winners, verdict.refused), (3, 2));
    // No buyer is refused before there are as many as tickets.
    let few = Scene { tickets: 9, asks: Scene::good().asks[..3].to_vec(), buyers: 3, ..Scene::good() };
    let few = Scene { queue: vec![Message::Of(0), Message::Of(2)], given: None, ..few };
    assert!(few.check().is_clean(), "{:#?}", few.check());
}

#[test]
fn a_seat_beyond_the_tickets_is_found() {
    let mut scene = Scene::good();
    for place in [2, 8] {
        scene.asks[place].told = Some((6 * MS, Told::Seat(4)));
    }
    scene.assert_violates(Sentence::NotTooMany, 1, "buyer 2 was told seat 4 of 3 at 6.000 ms");
    for place in [2, 8] {
        scene.asks[place].told = Some((6 * MS, Told::Seat(0)));
    }
    scene.assert_violates(Sentence::NotTooMany, 1, "buyer 2 was told seat 0 of 3 at 6.000 ms");
}

#[test]
fn a_ticket_more_than_there_are_is_found() {
    // Buyer 5 has a message, and its answer was lost: no seat is told twice.
    let mut scene = Scene::with(&[Ask { buyer: 5, sent_ns: 3 * MS, told: None }]);
    scene.queue.push(Message::Of(5));
    (scene.buyers, scene.given) = (6, Some(4));
    let verdict = scene.check();
    assert_eq!(verdict.of(Sentence::NotTooMany).examples, ["4 buyers have a ticket, of which there are 3"]);
}

#[test]
fn a_second_ticket_of_a_buyer_is_found() {
    let mut scene = Scene::good();
    scene.asks[7].told = Some((11 * MS, Told::Seat(1)));
    scene.assert_violates(Sentence::OneABuyer, 1, "buyer 1 was told seat 2 at 7.000 ms, and seat 1 at 11.000 ms");
}

#[test]
fn a_seat_with_two_owners_is_found() {
    let mut scene = Scene::good();
    for place in [3, 7] {
        scene.asks[place].told = scene.asks[place].told.map(|(heard_ns, _)| (heard_ns, Told::Seat(1)));
    }
    scene.assert_violates(Sentence::Distinct, 1, "seat 1 was told to buyer 0 at 2.000 ms, and to buyer 1 at 7.000 ms");
}

#[test]
fn a_winner_that_is_told_sold_out_is_found() {
    Scene::with(&[ask(2, 12, 13, Told::Refused)]).assert_violates(
        Sentence::Stays,
        1,
        "buyer 2 was told seat 3 at 6.000 ms, and that all is sold out at 13.000 ms",
    );
    Scene::with(&[ask(2, 12, 13, Told::NotHeld)]).assert_violates(
        Sentence::Stays,
        1,
        "buyer 2 paid for seat 3, and was told at 13.000 ms that there is none",
    );
}

#[test]
fn a_paid_ticket_that_is_gone_is_found() {
    let paid = ask(2, 12, 13, Told::Paid(3));
    assert!(Scene::with(&[paid]).check().is_clean());
    Scene::with(&[paid, ask(2, 14, 15, Told::Refused)]).assert_violates(
        Sentence::PaidStays,
        1,
        "buyer 2 was told seat 3 at 6.000 ms, and that all is sold out at 15.000 ms",
    );
    Scene::with(&[paid, ask(2, 14, 15, Told::NotHeld)]).assert_violates(
        Sentence::PaidStays,
        1,
        "buyer 2 paid for seat 3, and was told at 15.000 ms that there is none",
    );
}

#[test]
fn a_refusal_before_the_last_ticket_is_found() {
    let mut scene = Scene::good();
    // Buyer 2, who has the third ticket, asks at 4 ms.
    scene.asks.insert(0, ask(4, 2, 3, Told::Refused));
    scene.assert_violates(
        Sentence::RefusedMeansGiven,
        1,
        "buyer 4 was told that all is sold out at 3.000 ms, when at most 2 of 3 were",
    );
    // At the same time it may be right.
    scene.asks[0] = ask(4, 2, 4, Told::Refused);
    assert!(scene.check().is_clean(), "{:#?}", scene.check());
}

#[test]
fn refusals_of_a_gate_that_never_sold_out_are_found() {
    let mut scene = Scene::good();
    scene.tickets = 4;
    scene.assert_violates(
        Sentence::RefusedMeansGiven,
        2,
        "buyer 3 was told that all is sold out at 7.000 ms, when at most 3 of 4 were",
    );
}

#[test]
fn a_seat_for_who_was_refused_is_found() {
    let mut scene = Scene::good();
    scene.tickets = 4;
    scene.asks.retain(|ask| ask.buyer != 3);
    scene.asks.push(ask(4, 12, 13, Told::Seat(4)));
    // It is in the queue before who asked later.
    scene.queue.push(Message::Of(4));
    scene.given = Some(4);
    scene.assert_violates(
        Sentence::RefusedMeansGiven,
        1,
        "buyer 4 was told that all is sold out at 9.000 ms, and seat 4 at 13.000 ms",
    );
}

#[test]
fn a_lost_message_is_found() {
    let mut scene = Scene::good();
    scene.queue.remove(1);
    scene.given = Some(2);
    let example = "buyer 1 was told seat 2 at 7.000 ms, and has no message in the queue";
    scene.assert_violates(Sentence::MessageOfEach, 1, example);
}

#[test]
fn a_message_of_who_has_no_ticket_is_found() {
    let mut scene = Scene { tickets: 4, ..Scene::good() };
    scene.queue.push(Message::Of(4));
    scene.given = Some(4);
    let verdict = scene.check();
    let example = "buyer 4 has a message in the queue, and was told that all is sold out at 9.000 ms";
    assert_eq!(verdict.of(Sentence::MessageOfEach).examples, [example]);
    for (message, text) in [(Message::Of(7), "of buyer 7"), (Message::Other(String::from("x")), "x")] {
        let mut scene = Scene::good();
        scene.queue.push(message);
        scene.given = None;
        let example = format!("message 3 of the queue is no buyer's of this run: {text}");
        scene.assert_violates(Sentence::MessageOfEach, 1, &example);
    }
}

#[test]
fn a_second_message_of_a_buyer_is_found() {
    let mut scene = Scene::good();
    scene.queue.push(Message::Of(2));
    scene.given = Some(4);
    scene.assert_violates(Sentence::MessageOfEach, 1, "buyer 2 has 2 messages in the queue");
}

#[test]
fn another_count_of_the_server_is_found() {
    let scene = Scene { given: Some(4), ..Scene::good() };
    let example = "the server has given 4 tickets by its own count, and the queue has 3 messages";
    scene.assert_violates(Sentence::MessageOfEach, 1, example);
}

#[test]
fn a_later_buyer_in_front_is_found() {
    let mut scene = Scene::good();
    scene.queue.swap(0, 1);
    scene.assert_violates(
        Sentence::FirstComeFirstServed,
        1,
        "buyer 0 had seat 1 at 2.000 ms, before buyer 1, who has seat 2, asked at 3.000 ms, and stands behind message 0, \
         which is the latter's",
    );
    // Buyers 1 and 2 asked before either had an answer.
    let mut scene = Scene::good();
    scene.queue.swap(1, 2);
    assert!(scene.check().is_clean(), "{:#?}", scene.check());
}

#[test]
fn all_are_counted_and_some_are_shown() {
    let refusals: Vec<Ask> = (0..9).map(|_| ask(0, 12, 13, Told::Refused)).collect();
    let found = Scene::with(&refusals).check().of(Sentence::Stays).clone();
    assert_eq!((found.count, found.examples.len()), (9, 5));
}
