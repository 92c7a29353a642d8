//! Children of queues: a get makes them, and a put reaches the clients that wait for any of them.

use shards::{Answer, Holding, Op, Open};

use crate::two_shards::{OTHER, OWNER, Shards};

fn open(queue: &[u8]) -> Op<'_> {
    Op::Open(Open { queue, holder: Holding::Number, lease_s: None, close: false, until: None })
}

#[test]
fn a_get_of_a_child_that_is_not_there_makes_it() {
    for from in [OWNER, OTHER] {
        let mut shards = Shards::new();
        let client = shards.connect(from);
        for op in [Op::Take { queue: b"q +taken" }, Op::Peek { queue: b"q +peeked" }, open(b"q +opened")] {
            assert_eq!(shards.tell(client, op), "made");
            assert_eq!(shards.tell(client, op), "nothing");
        }
        // A queue, dead letters, and what one waits for.
        for op in [Op::Take { queue: b"q" }, Op::Take { queue: b"q dead" }, Op::Peek { queue: b"q +taken dead" }] {
            assert_eq!(shards.tell(client, op), "nothing");
        }
        let until = shards.now.after_ms(50);
        assert_eq!(shards.ask(client, Op::TakeWait { queue: b"q +waited", until }), Answer::Later);
        shards.run();
        shards.pass(60);
        shards.assert_came(client, &["nothing"]);
        assert_eq!(shards.tell(client, Op::Put { queue: b"q", flags: 0, body: b"for all" }), "stored");
        for child in ["q +taken", "q +peeked", "q +opened", "q +waited", "q"] {
            assert_eq!(shards.tell(client, Op::Take { queue: child.as_bytes() }), "for all", "{child}");
        }
    }
}

#[test]
fn a_put_reaches_those_who_wait_for_any_child() {
    let mut shards = Shards::new();
    let clients: Vec<_> = (0..4).map(|n| shards.connect(if n % 2 == 0 { OWNER } else { OTHER })).collect();
    let queues: [&[u8]; 3] = [b"q +a", b"q +b", b"q"];
    let until = shards.now.after_ms(1000);
    for (client, queue) in clients.iter().zip(queues) {
        assert_eq!(shards.ask(*client, Op::TakeWait { queue, until }), Answer::Later);
        shards.run();
    }
    assert_eq!(shards.tell(clients[3], Op::Put { queue: b"q", flags: 0, body: b"for all" }), "stored");
    shards.run();
    for client in &clients[..3] {
        shards.assert_came(*client, &["for all"]);
    }
}

#[test]
fn a_put_with_an_id_is_there_once() {
    for from in [OWNER, OTHER] {
        let mut shards = Shards::new();
        let client = shards.connect(from);
        let put = |id| Op::PutWith { queue: b"q", flags: 0, body: b"once", delay_s: None, exptime: 0, id };
        for id in [&b"1"[..], b"1", b"2", b"1"] {
            assert_eq!(shards.tell(client, put(id)), "stored");
        }
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.push(shards.tell(client, Op::Take { queue: b"q" }));
        }
        assert_eq!(taken, ["once", "once", "nothing"]);
        shards.pass(300_001);
        assert_eq!(shards.tell(client, put(b"1")), "stored");
        assert_eq!(shards.tell(client, Op::Take { queue: b"q" }), "once", "its time is over");
    }
}
