//! Gates, step by step: which frame an answer waits for, what is told at once, and what happens by itself.

use shards::{Answer, Due, GateAct, GateAnswer, GateAnswered, GateState, Op, Outcome, Totals};

use crate::gate_asking::{DRAINED, JOIN, answered, gate};
use crate::two_shards::{OTHER, OWNER, QUEUE, Shards};

#[test]
fn a_buyer_has_one_ticket_whatever_connection_asks() {
    for shard in [OWNER, OTHER] {
        let mut shards = Shards::with_gate("tickets=2");
        let (client, again) = (shards.connect(shard), shards.connect(OTHER));
        assert_eq!(shards.buyer(client, "ann", JOIN), GateAnswer::Seat(1));
        assert_eq!(shards.buyer(again, "ann", JOIN), GateAnswer::Seat(1));
        assert_eq!(shards.buyer(client, "bob", JOIN), GateAnswer::Seat(2));
        assert_eq!(shards.buyer(client, "cy", JOIN), GateAnswer::SoldOut);
        for client in [client, again] {
            // The buyer is looked up before the stock.
            assert_eq!(shards.buyer(client, "ann", JOIN), GateAnswer::Seat(1), "a repeat after sold out");
            assert_eq!(shards.buyer(client, "bob", GateAct::Look), GateAnswer::Paid { seat: 2 });
            assert_eq!(shards.buyer(client, "cy", GateAct::Look), GateAnswer::Unknown);
        }
        let with_message = GateAct::Join { message: Some((7, b"to Bob")), admits: true };
        assert_eq!(shards.buyer(client, "bob", with_message), GateAnswer::Seat(2));
        assert_eq!(shards.buyer(client, "bob", GateAct::Return), GateAnswer::Done);
        let with_message = GateAct::Join { message: Some((7, b"to Cy")), admits: true };
        assert_eq!(shards.buyer(again, "cy", with_message), GateAnswer::Seat(2));
        assert_eq!(shards.drain(), ["ann", "bob", "to Cy"], "a message for each ticket, in the order of the tickets");
    }
}

#[test]
fn what_is_no_gate_sells_nothing() {
    for shard in [OWNER, OTHER] {
        let mut shards = Shards::new();
        let client = shards.connect(shard);
        assert_eq!(shards.buyer(client, "ann", JOIN), GateAnswer::NotNow);
        assert_eq!(shards.get(client, Op::GateFigures { queue: QUEUE }), Outcome::GateFigures(None));
        shards.put_all(&["one"]);
        assert_eq!(shards.buyer(client, "ann", JOIN), GateAnswer::NotNow);
        assert_eq!(shards.drain(), ["one"]);
    }
}

/// To be told before would be to be told of what a power cut takes back.
#[test]
fn a_ticket_is_told_when_its_frame_is_safe_and_not_before() {
    let mut shards = Shards::with_gate("tickets=9");
    let (own, foreign) = (shards.connect(OWNER), shards.connect(OTHER));
    let before = shards.engine(OWNER).acknowledged();
    assert_eq!(shards.buyer_at_once(own, "ann", JOIN), (answered(GateAnswer::Seat(1), true), before + 1));
    assert!(shards.engine(OWNER).take_due().commit);
    // The same buyer, on a connection of another shard.
    assert_eq!(shards.ask(foreign, gate("ann", JOIN)), Answer::Later);
    shards.carry();
    shards.apply();
    shards.carry();
    assert!(!shards.is_told(foreign), "the frame is not safe");
    shards.commit();
    shards.carry();
    shards.assert_came(foreign, &["gate(gateanswered { answer: seat(1), waits: true })"]);
}

#[test]
fn a_refusal_waits_for_the_last_ticket_and_the_next_one_for_nothing() {
    let mut shards = Shards::with_gate("tickets=2");
    let (own, foreign) = (shards.connect(OWNER), shards.connect(OTHER));
    let before = shards.engine(OWNER).acknowledged();
    shards.buyer_at_once(own, "ann", JOIN);
    shards.buyer_at_once(own, "bob", JOIN);
    assert_eq!(shards.buyer_at_once(own, "cy", JOIN), (answered(GateAnswer::SoldOut, true), before + 1));
    assert_eq!(shards.ask(foreign, gate("dan", JOIN)), Answer::Later);
    shards.carry();
    shards.apply();
    shards.carry();
    assert!(!shards.is_told(foreign), "the last ticket is not safe");
    shards.commit();
    shards.carry();
    shards.assert_came(foreign, &["gate(gateanswered { answer: soldout, waits: true })"]);

    shards.run();
    shards.engine(OWNER).take_due();
    let sizes = |totals: Totals| (totals.resident_bytes, totals.log_bytes, totals.live_bytes);
    let size = sizes(shards.engine(OWNER).store().totals());
    let changed = shards.engine(OWNER).last_changed_frame();
    for buyer in ["cy", "dan", "eve"] {
        assert_eq!(shards.buyer_at_once(own, buyer, JOIN), (answered(GateAnswer::SoldOut, false), 0));
    }
    assert_eq!(shards.buyer_at_once(own, "ann", JOIN), (answered(GateAnswer::Seat(1), false), 0));
    assert_eq!(shards.engine(OWNER).take_due(), Due::default(), "no task is woken for a refusal, nor for a repeat");
    assert_eq!(shards.engine(OWNER).last_changed_frame(), changed, "and nothing is written");
    assert_eq!(sizes(shards.engine(OWNER).store().totals()), size);
}

/// With fewer tickets than before, which a power cut takes back, none was to be refused.
#[test]
fn a_refusal_waits_for_the_number_of_tickets_that_it_rests_on() {
    for words in ["tickets=1", "tickets=0", "tickets=9 close=1000000000"] {
        let mut shards = Shards::with_gate("tickets=9");
        let (client, admin) = (shards.connect(OWNER), shards.connect(OWNER));
        if words != "tickets=0" {
            assert_eq!(shards.buyer(client, "ann", JOIN), GateAnswer::Seat(1));
        }
        let frame = shards.engine(OWNER).acknowledged() + 1;
        let configure = Op::Configure { queue: QUEUE, words: words.as_bytes() };
        assert_eq!(shards.ask(admin, configure), Answer::Now(Outcome::Configured));
        assert_eq!(shards.buyer_at_once(client, "bob", JOIN), (answered(GateAnswer::SoldOut, true), frame), "{words}");
        shards.run();
        assert_eq!(shards.buyer_at_once(client, "bob", JOIN), (answered(GateAnswer::SoldOut, false), 0));
    }
}

/// A crowd that is refused must not wait for the tickets of another gate.
#[test]
fn in_a_batch_of_another_shard_a_refusal_goes_before_a_ticket() {
    const NEXT: &[u8] = b"next";
    let mut shards = Shards::with_gate("tickets=0");
    let admin = shards.connect(OWNER);
    assert_eq!(shards.tell(admin, Op::Configure { queue: NEXT, words: b"tickets=1" }), "configured");
    shards.run();
    let (refused, given, late) = (shards.connect(OTHER), shards.connect(OTHER), shards.connect(OTHER));
    shards.ask(given, Op::Gate { queue: NEXT, buyer: b"ann", act: JOIN });
    shards.ask(refused, gate("bob", JOIN));
    shards.ask(late, Op::Gate { queue: NEXT, buyer: b"cy", act: JOIN });
    assert_eq!(shards.carry(), 1, "all in one batch");
    shards.apply();
    shards.carry();
    shards.assert_came(refused, &["gate(gateanswered { answer: soldout, waits: false })"]);
    assert!(!shards.is_told(given) && !shards.is_told(late), "these wait for the frame with the last ticket");
    shards.commit();
    shards.carry();
    shards.assert_came(given, &["gate(gateanswered { answer: seat(1), waits: true })"]);
    shards.assert_came(late, &["gate(gateanswered { answer: soldout, waits: true })"]);
}

/// As a put serves the first in line: the client has the message when the buyer has the ticket.
#[test]
fn a_worker_that_waits_has_the_message_of_a_ticket() {
    for shard in [OWNER, OTHER] {
        let mut shards = Shards::with_gate("tickets=9");
        let (worker, client) = (shards.connect(OTHER), shards.connect(shard));
        shards.wait(worker, 500_000);
        shards.run();
        let message = GateAct::Join { message: Some((3, b"a letter")), admits: true };
        assert_eq!(shards.buyer(client, "ann", message), GateAnswer::Seat(1));
        shards.assert_came(worker, &["a letter"]);
        shards.wait(worker, 500_000);
        shards.run();
        assert_eq!(shards.buyer(client, "ann", message), GateAnswer::Seat(1));
        assert_eq!(shards.come(worker), None, "a repeat brings no second message");
    }
}

#[test]
fn a_worker_that_waits_has_the_message_when_it_is_paid() {
    for shard in [OWNER, OTHER] {
        let mut shards = Shards::with_gate("tickets=9 hold=60 put=paid");
        let (worker, client) = (shards.connect(OTHER), shards.connect(shard));
        shards.wait(worker, 500_000);
        assert_eq!(shards.buyer(client, "ann", JOIN), GateAnswer::Seat(1));
        assert_eq!(shards.buyer(client, "bob", JOIN), GateAnswer::Seat(2));
        assert_eq!(shards.come(worker), None, "none is paid");
        assert_eq!(shards.buyer(client, "bob", GateAct::Pay), GateAnswer::Seat(2));
        shards.assert_came(worker, &["bob"]);
        shards.pass(60_000);
        assert_eq!(shards.drain(), [""; 0], "a message goes with its ticket");
        assert_eq!(shards.buyer(client, "bob", JOIN), GateAnswer::Seat(2), "what is paid never lapses");
    }
}

#[test]
fn a_hold_lapses_by_itself_and_its_seat_goes_to_the_line() {
    for shard in [OWNER, OTHER] {
        let mut shards = Shards::with_gate("tickets=1 hold=30 line=1");
        let (client, worker) = (shards.connect(shard), shards.connect(OTHER));
        assert_eq!(shards.buyer(client, "ann", JOIN), GateAnswer::Seat(1));
        assert_eq!(shards.buyer(client, "bob", JOIN), GateAnswer::InLine(1));
        assert_eq!(shards.buyer(client, "cy", JOIN), GateAnswer::SoldOut);
        assert_eq!(shards.drain(), ["ann"]);
        shards.wait(worker, 500_000);
        let deadline = shards.engine(OWNER).next_deadline();
        assert!(deadline.is_some_and(|deadline| deadline <= shards.now.after_ms(30_000)), "{deadline:?}");
        shards.pass(29_999);
        assert_eq!(shards.buyer(client, "ann", GateAct::Look), GateAnswer::Held { seat: 1, left_s: 1 });
        assert_eq!(shards.come(worker), None);
        shards.pass(1);
        shards.assert_came(worker, &["bob"]);
        assert_eq!(shards.buyer(client, "ann", GateAct::Pay), GateAnswer::Unknown);
        assert_eq!(shards.buyer(client, "bob", GateAct::Look), GateAnswer::Held { seat: 1, left_s: 30 });
    }
}

/// The touch comes in the moment in which the hold ends: before that is done, or after. What is told is kept.
#[test]
fn more_time_in_the_moment_of_the_end_is_more_time_or_none() {
    for lapses_first in [false, true] {
        let mut shards = Shards::with_gate("tickets=1 hold=30");
        let client = shards.connect(OWNER);
        assert_eq!(shards.buyer(client, "ann", JOIN), GateAnswer::Seat(1));
        shards.now = shards.now.after_ms(30_000);
        if lapses_first {
            shards.run();
        }
        let told = shards.buyer(client, "ann", GateAct::Extend { seconds: 20 });
        shards.run();
        let expected = if lapses_first {
            (GateAnswer::Unknown, GateAnswer::Unknown)
        } else {
            (GateAnswer::Done, GateAnswer::Held { seat: 1, left_s: 1 })
        };
        shards.pass(19_999);
        assert_eq!((told, shards.buyer(client, "ann", GateAct::Look)), expected);
        shards.pass(1);
        assert_eq!(shards.buyer(client, "ann", GateAct::Look), GateAnswer::Unknown);
    }
}

/// Without the second that the pump sleeps at most.
#[test]
fn a_returned_seat_and_more_tickets_are_the_lines_at_once() {
    for shard in [OWNER, OTHER] {
        let mut shards = Shards::with_gate("tickets=1 line=3");
        let client = shards.connect(shard);
        for (buyer, answer) in [
            ("ann", GateAnswer::Seat(1)),
            ("bob", GateAnswer::InLine(1)),
            ("cy", GateAnswer::InLine(2)),
            ("dan", GateAnswer::InLine(3)),
            ("eve", GateAnswer::SoldOut),
        ] {
            assert_eq!(shards.buyer(client, buyer, JOIN), answer);
        }
        assert_eq!(shards.buyer(client, "ann", GateAct::Return), GateAnswer::Done);
        assert_eq!(shards.buyer(client, "ann", JOIN), GateAnswer::InLine(3), "behind the line");
        assert_eq!(shards.buyer(client, "bob", JOIN), GateAnswer::Seat(1));
        shards.configure("tickets=3 line=3");
        assert_eq!(shards.buyer(client, "dan", JOIN), GateAnswer::Seat(3));
        assert_eq!(shards.buyer(client, "cy", JOIN), GateAnswer::Seat(2));
        assert_eq!(shards.buyer(client, "eve", JOIN), GateAnswer::InLine(2));
        assert_eq!(shards.drain(), ["ann", "bob", "cy", "dan"]);
    }
}

#[test]
fn a_server_that_is_drained_gives_no_ticket_and_tells_of_those_there_are() {
    for shard in [OWNER, OTHER] {
        let mut shards = Shards::with_gate("tickets=1 line=1");
        let client = shards.connect(shard);
        assert_eq!(shards.buyer(client, "ann", DRAINED), GateAnswer::NotNow);
        assert_eq!(shards.buyer(client, "ann", JOIN), GateAnswer::Seat(1));
        assert_eq!(shards.buyer(client, "ann", DRAINED), GateAnswer::Seat(1));
        assert_eq!(shards.buyer(client, "bob", DRAINED), GateAnswer::NotNow, "there is a place");
        assert_eq!(shards.buyer(client, "bob", JOIN), GateAnswer::InLine(1));
        assert_eq!(shards.buyer(client, "cy", DRAINED), GateAnswer::SoldOut);
    }
}

#[test]
fn the_figures_of_a_gate_come_from_any_shard() {
    let mut shards = Shards::with_gate("tickets=2 hold=30 line=1");
    let client = shards.connect(OTHER);
    for buyer in ["ann", "bob", "cy", "dan", "ann"] {
        shards.buyer(client, buyer, JOIN);
    }
    shards.buyer(client, "bob", GateAct::Pay);
    for shard in [OWNER, OTHER] {
        let client = shards.connect(shard);
        let outcome = shards.get(client, Op::GateFigures { queue: QUEUE });
        let Outcome::GateFigures(Some(figures)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((figures.tickets, figures.given, figures.paid, figures.held, figures.line), (2, 2, 1, 1, 1));
        assert_eq!((figures.refused, figures.repeats, figures.state), (1, 1, GateState::SoldOut));
    }
}

/// A buyer must not take it for sold out.
#[test]
fn what_is_refused_by_a_full_disk_or_a_stop_is_not_now() {
    for act in [JOIN, DRAINED, GateAct::Look, GateAct::Pay, GateAct::Extend { seconds: 1 }, GateAct::Return] {
        let refused = gate("ann", act).refused();
        assert_eq!(refused, Outcome::Gate(GateAnswered { answer: GateAnswer::NotNow, waits: false }));
        assert!(!refused.waits_for_commit());
    }
}
