//! Messages that are opened, step by step: who holds what, and when it comes back.

use shards::{Answer, Fate, Holding, Op, Outcome, Which};

use crate::asking::{ABORT, MINE, TAKE, close, close_open, end, open, open_for};
use crate::two_shards::{OTHER, OWNER, QUEUE, Shards};

#[test]
fn a_connection_ends_what_it_has_open_before_it_gets_more() {
    for shard in [OWNER, OTHER] {
        let mut shards = Shards::new();
        shards.put_all(&["one", "two", "three", "four"]);
        let (worker, other) = (shards.connect(shard), shards.connect(OTHER));
        assert_eq!(shards.tell(worker, open(MINE)), "one, try 1");
        assert_eq!(shards.tell(worker, open(MINE)), "held");
        assert_eq!(shards.tell(worker, TAKE), "held");
        assert_eq!(shards.tell(worker, open(Holding::Connection { max: 2 })), "two, try 1");
        assert_eq!(shards.tell(worker, open(Holding::Connection { max: 2 })), "held");
        assert_eq!(shards.tell(worker, Op::Take { queue: b"other" }), "nothing", "of another queue it has nothing");
        assert_eq!(shards.tell(other, TAKE), "three", "another client is served");
        assert_eq!(shards.tell(worker, close_open()), "four, try 1");
        assert_eq!(shards.tell(worker, close_open()), "ended", "it has acknowledged, and there is nothing more");
        assert_eq!(shards.tell(worker, close()), "ended");
        assert_eq!(shards.tell(worker, close_open()), "nothing", "nothing is open, and nothing more is there");
        assert_eq!(shards.tell(worker, TAKE), "nothing");
        shards.leave(worker);
        assert_eq!(shards.drain(), [""; 0], "what was acknowledged does not come back");
    }
}

#[test]
fn an_acknowledgement_waits_for_its_frame_and_an_open_for_none() {
    let mut shards = Shards::new();
    shards.put_all(&["one", "two"]);
    shards.run();
    let worker = shards.connect(OWNER);
    let waits = |outcome: &Outcome| outcome.waits_for_commit();
    shards.get(worker, open(MINE));
    shards.run();
    assert!(waits(&shards.get(worker, close_open())));
    let end = shards.get(worker, close());
    assert!(waits(&end) && shards.engine(OWNER).acknowledged() < shards.engine(OWNER).last_changed_frame());
}

#[test]
fn what_a_client_has_open_comes_back_when_it_is_gone() {
    for shard in [OWNER, OTHER] {
        let mut shards = Shards::new();
        shards.put_all(&["one", "two", "three"]);
        let (worker, next) = (shards.connect(shard), shards.connect(OTHER));
        for _ in 0..2 {
            shards.get(worker, open(Holding::Connection { max: 9 }));
        }
        shards.leave(worker);
        assert_eq!(shards.tell(next, open(MINE)), "one, try 2", "in its place, and the try counts");
        shards.leave(next);
        assert_eq!(shards.drain(), ["one", "two", "three"]);
    }
}

#[test]
fn the_lease_of_a_queue_is_that_of_names_and_numbers_unless_it_is_set() {
    for (words, ends) in [("tries=9", false), ("lease=60", true)] {
        let mut shards = Shards::new();
        let client = shards.connect(OWNER);
        let configured = shards.tell(client, Op::Configure { queue: QUEUE, words: words.as_bytes() });
        assert_eq!(configured, "configured");
        shards.put_all(&["one"]);
        shards.get(client, open(MINE));
        shards.pass(100_000);
        let expected: &[&str] = if ends { &["one"] } else { &[] };
        assert_eq!(shards.drain(), expected);
    }
}

/// Otherwise the message would be gone that another holds, and it dies with that one.
#[test]
fn a_lease_that_has_ended_acknowledges_nothing() {
    let mut shards = Shards::new();
    shards.put_all(&["one"]);
    let (first, second) = (shards.connect(OTHER), shards.connect(OTHER));
    let (opened, lease) = shards.opened(first, open_for(Holding::Number, 1));
    assert_eq!(opened, "one, try 1");
    shards.pass(1000);
    let (opened, next) = shards.opened(second, open_for(Holding::Number, 10));
    assert_eq!((opened.as_str(), next != lease), ("one, try 2", true));
    for fate in [Fate::Acknowledge, ABORT, Fate::Release { delay_s: None }, Fate::Bury] {
        assert_eq!(shards.tell(first, end(Which::Lease(lease), fate)), "notfound");
    }
    assert_eq!(shards.tell(first, Op::Touch { queue: QUEUE, which: Which::Lease(lease), lease_s: 9 }), "notfound");
    assert_eq!(shards.drain(), [""; 0], "the second has it");
    shards.pass(10_000);
    assert_eq!(shards.drain(), ["one"]);
}

#[test]
fn a_number_is_that_of_one_queue_and_of_any_holder() {
    let mut shards = Shards::new();
    shards.put_all(&["one", "two"]);
    let (worker, other) = (shards.connect(OTHER), shards.connect(OWNER));
    let (_, lease) = shards.opened(worker, open(MINE));
    assert!(lease < 1 << 53);
    let of_another = Op::End { queue: b"other", which: Which::Lease(lease), fate: Fate::Acknowledge };
    assert_eq!(shards.tell(other, of_another), "notfound");
    assert_eq!(shards.tell(other, end(Which::Lease(lease), Fate::Acknowledge)), "ended");
    assert_eq!(shards.tell(other, end(Which::Lease(lease), Fate::Acknowledge)), "notfound");
    assert_eq!(shards.tell(worker, open(MINE)), "two, try 1", "it holds nothing any more");
}

#[test]
fn a_name_gets_the_same_message_again() {
    let mut shards = Shards::new();
    shards.put_all(&["one", "two"]);
    let (first, second) = (shards.connect(OTHER), shards.connect(OWNER));
    let named = |name| open_for(Holding::Name(name), 2);
    let (opened, lease) = shards.opened(first, named(b"n"));
    assert_eq!(opened, "one, try 1");
    shards.leave(first);
    shards.pass(1900);
    assert_eq!(shards.opened(second, named(b"n")), (opened, lease), "over another connection");
    shards.pass(1900);
    assert_eq!(shards.tell(second, named(b"m")), "two, try 1");
    assert_eq!(shards.drain(), [""; 0], "the lease of the first was renewed");
    assert_eq!(shards.tell(second, end(Which::Name(b"n"), Fate::Acknowledge)), "ended");
    assert_eq!(shards.tell(second, end(Which::Name(b"n"), Fate::Acknowledge)), "notfound");
    assert_eq!(shards.tell(second, named(b"n")), "nothing");
    shards.pass(100);
    shards.pass(2000);
    assert_eq!(shards.tell(second, named(b"n")), "two, try 2");
}

#[test]
fn several_that_come_back_keep_their_order() {
    let mut shards = Shards::new();
    shards.put_all(&["1", "2", "3", "4", "5"]);
    let worker = shards.connect(OTHER);
    let leases: Vec<u64> = (0..4).map(|_| shards.opened(worker, open(Holding::Number)).1).collect();
    for at in [2, 0, 3] {
        assert_eq!(shards.tell(worker, end(Which::Lease(leases[at]), ABORT)), "ended");
    }
    assert_eq!(shards.drain(), ["1", "3", "4", "5"]);
}

#[test]
fn a_touch_sets_the_end_of_a_lease() {
    let mut shards = Shards::new();
    shards.put_all(&["one"]);
    let (worker, waiting) = (shards.connect(OTHER), shards.connect(OTHER));
    let (_, lease) = shards.opened(worker, open_for(Holding::Number, 1));
    let touch = |lease_s| Op::Touch { queue: QUEUE, which: Which::Lease(lease), lease_s };
    assert_eq!(shards.tell(worker, touch(10)), "touched");
    shards.wait(waiting, 600_000);
    shards.pass(9999);
    assert_eq!(shards.tell(worker, touch(0)), "touched");
    shards.pass(59_999);
    assert_eq!(shards.tell(worker, touch(i64::MAX)), "touched");
    shards.pass(100_000);
    assert_eq!(shards.come(waiting), None);
    assert_eq!(shards.tell(worker, touch(-1)), "touched");
    shards.run();
    shards.assert_came(waiting, &["one"]);
    assert_eq!(shards.tell(worker, touch(1)), "notfound");
}

#[test]
fn a_queue_that_is_deleted_takes_its_leases_along() {
    let mut shards = Shards::new();
    let worker = shards.connect(OTHER);
    shards.put_all(&["one", "two"]);
    let (_, lease) = shards.opened(worker, open(MINE));
    shards.get(worker, open(Holding::Name(b"n")));
    assert_eq!(shards.tell(worker, Op::Delete { queue: QUEUE }), "deleted");
    shards.put_all(&["new", "newer"]);
    assert_eq!(shards.tell(worker, end(Which::Lease(lease), Fate::Acknowledge)), "notfound");
    assert_eq!(shards.tell(worker, end(Which::Name(b"n"), Fate::Acknowledge)), "notfound");
    assert_eq!(shards.tell(worker, open(MINE)), "new, try 1", "it holds nothing of this one");
    shards.leave(worker);
    shards.pass(100_000);
    assert_eq!(shards.drain(), ["new", "newer"], "nothing of before comes back");
}

/// What is open stays open, and is not in the way of what comes.
#[test]
fn a_flush_leaves_what_is_open() {
    let mut shards = Shards::new();
    let worker = shards.connect(OTHER);
    shards.put_all(&["one", "two"]);
    shards.get(worker, open(MINE));
    assert_eq!(shards.tell(worker, Op::Flush { queue: QUEUE }), "done");
    shards.put_all(&["three"]);
    shards.leave(worker);
    assert_eq!(shards.drain(), ["one", "three"]);
}

#[test]
fn settings_are_taken_shown_and_dropped() {
    let mut shards = Shards::new();
    let client = shards.connect(OTHER);
    let configure = |words| Op::Configure { queue: QUEUE, words };
    assert_eq!(shards.get(client, Op::Unconfigure { queue: QUEUE }), Outcome::NotFound);
    assert_eq!(shards.get(client, configure(b"tries=3 lease=7")), Outcome::Configured);
    assert_eq!(shards.get(client, configure(b"tries=4 teeth=32")), Outcome::BadWord(b"teeth=32".as_slice().into()));
    assert_eq!(shards.get(client, Op::Config { queue: QUEUE }), Outcome::Words(b"lease=7 tries=3".to_vec()));
    assert_eq!(shards.get(client, Op::Unconfigure { queue: QUEUE }), Outcome::Deleted);
    assert_eq!(shards.get(client, Op::Config { queue: QUEUE }), Outcome::Words(Vec::new()));
}

/// However much one client has open, nothing is done in one piece.
#[test]
fn what_a_client_has_open_ends_a_piece_at_a_time() {
    const MANY: usize = 1000;
    let many = Holding::Connection { max: 100_000 };
    let mut shards = Shards::new();
    let bodies: Vec<String> = (0..MANY).map(|n| n.to_string()).collect();
    shards.put_all(&bodies.iter().map(String::as_str).collect::<Vec<_>>());
    for shard in [OWNER, OTHER] {
        let worker = shards.connect(shard);
        (0..MANY).for_each(|_| assert!(shards.tell(worker, open(many)).contains("try")));
        shards.engine(shard).close(worker.gather);
        shards.carry();
        let now = shards.now;
        while shards.engine(OWNER).apply_step(now, |_, _, _, _| {}).unwrap() {}
        let mut pieces = 1;
        while shards.engine(OWNER).pass_time(now).unwrap() {
            pieces += 1;
        }
        assert!((3..10).contains(&pieces), "{pieces} pieces");
        shards.run();
    }
    let worker = shards.connect(OWNER);
    (0..MANY).for_each(|_| assert!(shards.tell(worker, open(many)).ends_with("try 3")));
    let (mut stalls, mut tried_at) = (0, 0);
    while shards.ask(worker, close()) == Answer::Stalled {
        stalls += 1;
        shards.run();
        let retries = shards.engine(OWNER).retries();
        assert!(retries > tried_at, "it is worth another try");
        tried_at = retries;
    }
    assert!(stalls >= 10, "{stalls} stalls");
    assert_eq!(shards.drain(), [""; 0]);
}
