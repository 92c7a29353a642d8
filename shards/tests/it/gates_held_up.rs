//! Gates whose disk is full or slow, and whose server stops: what a buyer is told then is no refusal.

use shards::{Answer, GateAct, GateAnswer, Op};

use crate::gate_asking::{DRAINED, JOIN, answered, gate};
use crate::two_shards::{OTHER, OWNER, Shards};

/// With a message as large as may be, so that a segment is full soon.
const LARGE: GateAct<'_> = GateAct::Join { message: Some((0, &[b'x'; 1000])), admits: true };

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_rush_sells_what_is_left_afterwards() {
    const TICKETS: u32 = 400;
    for shard in [OWNER, OTHER] {
        let mut shards = Shards::with_gate("tickets=400 hold=900");
        let client = shards.connect(shard);
        assert_eq!(shards.buyer(client, "first", LARGE), GateAnswer::Seat(1));
        let room = shards.disk(OWNER).bytes();
        shards.disk(OWNER).set_bytes_max(Some(room));
        let mut given = 1;
        let refused = loop {
            let buyer = format!("b{given}");
            match shards.buyer(client, &buyer, LARGE) {
                GateAnswer::Seat(seat) if seat == given + 1 && given < TICKETS => given += 1,
                GateAnswer::NotNow => break buyer,
                other => panic!("{buyer} is told {other:?}"),
            }
        };
        assert!((2..TICKETS).contains(&given), "it was full at {given}");
        assert_eq!(shards.buyer(client, "first", JOIN), GateAnswer::Seat(1), "a repeat is answered");
        assert_eq!(shards.buyer(client, &refused, GateAct::Look), GateAnswer::Unknown, "and has nothing");
        for act in [GateAct::Extend { seconds: 9 }, GateAct::Pay] {
            let answer = shards.buyer(client, "first", act);
            assert!(matches!(answer, GateAnswer::Done | GateAnswer::Seat(1) | GateAnswer::NotNow), "{answer:?}");
        }
        shards.disk(OWNER).set_bytes_max(None);
        // The store looks at it anew.
        shards.pass(1000);
        assert_eq!(shards.buyer(client, &refused, LARGE), GateAnswer::Seat(given + 1));
        for seat in given + 2..=TICKETS {
            assert_eq!(shards.buyer(client, &format!("c{seat}"), LARGE), GateAnswer::Seat(seat));
        }
        assert_eq!(shards.buyer(client, "late", LARGE), GateAnswer::SoldOut);
        assert_eq!(shards.drain().len(), TICKETS as usize);
    }
}

#[test]
fn a_buyer_for_whom_the_disk_must_be_waited_is_told_not_now_when_the_server_stops() {
    let mut shards = Shards::with_gate("tickets=9999");
    let (own, foreign, late) = (shards.connect(OWNER), shards.connect(OTHER), shards.connect(OTHER));
    // No segment is made meanwhile.
    let given = (1..1000)
        .find(|n| shards.buyer_at_once(own, &format!("b{n}"), LARGE).0 == Answer::Stalled)
        .expect("a segment is full at some time");
    assert_eq!(shards.ask(foreign, gate("late", LARGE)), Answer::Later);
    assert_eq!(shards.ask(late, gate("b1", DRAINED)), Answer::Later);
    shards.carry();
    shards.apply();
    shards.carry();
    assert!(!shards.is_told(foreign), "it waits for the disk, and is not refused");

    shards.engine(OWNER).refuse_to_wait();
    shards.apply();
    shards.carry();
    shards.assert_came(foreign, &["gate(gateanswered { answer: notnow, waits: false })"]);
    let buyer = format!("b{given}");
    assert_eq!(shards.buyer_at_once(own, &buyer, LARGE).0, answered(GateAnswer::NotNow, false));
    shards.run();
    assert_eq!(shards.buyer(own, &buyer, GateAct::Look), GateAnswer::Unknown);
    assert_eq!(shards.buyer(own, "b1", JOIN), GateAnswer::Seat(1), "what was given is told all the same");
    shards.assert_came(late, &["gate(gateanswered { answer: seat(1), waits: true })"]);
}

/// One gate's crowd waits for the disk; another's is refused meanwhile.
#[test]
fn a_refusal_passes_those_who_wait_for_the_disk() {
    let mut shards = Shards::with_gate("tickets=1");
    let client = shards.connect(OWNER);
    assert_eq!(shards.buyer(client, "ann", JOIN), GateAnswer::Seat(1));
    let filling = shards.connect(OWNER);
    let put = Op::Put { queue: b"other", flags: 0, body: &[b'x'; 1000] };
    assert!((1..1000).any(|_| shards.ask(filling, put) == Answer::Stalled), "a segment is full at some time");
    assert_eq!(shards.buyer_at_once(client, "bob", JOIN), (answered(GateAnswer::SoldOut, false), 0));
    assert_eq!(shards.buyer_at_once(client, "ann", JOIN), (answered(GateAnswer::Seat(1), false), 0));
}
