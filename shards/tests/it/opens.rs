//! Messages that are opened, step by step: who holds what, and when it comes back.

use shards::{Fate, Holding, Op, Open, Outcome, Which};

use crate::two_shards::{Client, OTHER, OWNER, QUEUE, Shards, text};

const MINE: Holding<'_> = Holding::Connection { max: 1 };
const ABORT: Fate = Fate::Abort { delay_s: None };

fn open(holder: Holding<'_>) -> Op<'_> {
    Op::Open(Open { queue: QUEUE, holder, lease_s: None, close: false, until: None })
}

fn open_for(holder: Holding<'_>, lease_s: u32) -> Op<'_> {
    Op::Open(Open { queue: QUEUE, holder, lease_s: Some(lease_s), close: false, until: None })
}

fn close_open() -> Op<'static> {
    Op::Open(Open { queue: QUEUE, holder: MINE, lease_s: None, close: true, until: None })
}

fn end(which: Which<'_>, fate: Fate) -> Op<'_> {
    Op::End { queue: QUEUE, which, fate }
}

fn close() -> Op<'static> {
    end(Which::Mine, Fate::Acknowledge)
}

const TAKE: Op<'static> = Op::Take { queue: QUEUE };

impl Shards {
    fn wait_to_open(&mut self, client: Client, holder: Holding<'_>, ms: u64) {
        let until = Some(self.now.after_ms(ms));
        let open = Open { queue: QUEUE, holder, lease_s: None, close: false, until };
        assert_eq!(self.ask(client, Op::Open(open)), shards::Answer::Later);
        self.run();
    }

    fn put_all(&mut self, bodies: &[&str]) {
        let producer = self.connect(OWNER);
        for body in bodies {
            assert_eq!(self.tell(producer, Op::Put { queue: QUEUE, flags: 0, body: body.as_bytes() }), "stored");
        }
    }

    /// What is there, in order. It is gone by that.
    fn drain(&mut self) -> Vec<String> {
        let client = self.connect(OTHER);
        std::iter::from_fn(|| Some(self.tell(client, TAKE)).filter(|body| body != "nothing")).collect()
    }

    fn leave(&mut self, client: Client) {
        self.engine(client.shard).close(client.gather);
        self.run();
    }

    /// Opens a message, and gives its text and the number of its lease.
    fn opened(&mut self, client: Client, op: Op<'_>) -> (String, u64) {
        let outcome = self.get(client, op);
        let Outcome::Opened { lease, .. } = outcome else { panic!("{outcome:?}") };
        (text(outcome), lease)
    }
}

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

/// It is dropped, or it goes to a client that waits; it is not out with a client that is gone.
#[test]
fn what_comes_back_goes_to_those_who_wait() {
    let mut shards = Shards::new();
    shards.put_all(&["one"]);
    let (worker, gone, waiting) = (shards.connect(OTHER), shards.connect(OTHER), shards.connect(OTHER));
    shards.get(worker, open(MINE));
    shards.wait_to_open(gone, MINE, 5000);
    shards.wait_to_open(waiting, MINE, 5000);
    shards.leave(gone);
    assert_eq!(shards.come(waiting), None);
    shards.leave(worker);
    shards.assert_came(waiting, &["one, try 2"]);
}

#[test]
fn a_lease_that_ends_wakes_a_client_that_waits() {
    let mut shards = Shards::new();
    shards.put_all(&["one"]);
    let (worker, waiting, taking) = (shards.connect(OTHER), shards.connect(OTHER), shards.connect(OWNER));
    shards.get(worker, open_for(MINE, 2));
    shards.wait_to_open(waiting, Holding::Number, 60_000);
    shards.wait(taking, 100_000);
    shards.pass(1999);
    assert_eq!(shards.come(waiting), None);
    shards.pass(1);
    shards.assert_came(waiting, &["one, try 2"]);
    // By the queue's settings, after a minute.
    shards.pass(59_999);
    assert_eq!(shards.come(taking), None);
    shards.pass(1);
    shards.assert_came(taking, &["one"]);
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

/// The client looks for the answer on its new connection.
#[test]
fn a_name_that_asks_again_waits_in_place_of_the_one_before() {
    let mut shards = Shards::new();
    let (first, second) = (shards.connect(OTHER), shards.connect(OTHER));
    shards.wait_to_open(first, Holding::Name(b"n"), 5000);
    shards.wait_to_open(second, Holding::Name(b"n"), 5000);
    shards.run();
    shards.assert_came(first, &["nothing"]);
    shards.put_all(&["one", "two"]);
    shards.run();
    shards.assert_came(second, &["one, try 1"]);
}

#[test]
fn what_failed_comes_back_after_its_delay() {
    let mut shards = Shards::new();
    shards.put_all(&["one"]);
    let (worker, waiting) = (shards.connect(OTHER), shards.connect(OTHER));
    let abort = |delay_s| end(Which::Mine, Fate::Abort { delay_s });
    let release = |delay_s| end(Which::Mine, Fate::Release { delay_s });
    assert_eq!(shards.tell(worker, open(MINE)), "one, try 1");
    assert_eq!(shards.tell(worker, abort(None)), "ended");
    assert_eq!(shards.tell(worker, open(MINE)), "one, try 2");
    assert_eq!(shards.tell(worker, release(None)), "ended");
    assert_eq!(shards.tell(worker, open(MINE)), "one, try 2", "a release does not count");
    assert_eq!(shards.tell(worker, abort(Some(3))), "ended");
    shards.wait_to_open(waiting, MINE, 60_000);
    shards.pass(2999);
    assert_eq!(shards.come(waiting), None);
    shards.pass(1);
    shards.assert_came(waiting, &["one, try 3"]);
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
fn poison_goes_to_the_dead_letters_and_is_kicked_to_those_who_wait() {
    let mut shards = Shards::new();
    let (worker, waiting) = (shards.connect(OTHER), shards.connect(OTHER));
    assert_eq!(shards.tell(worker, Op::Configure { queue: QUEUE, words: b"tries=2" }), "configured");
    shards.put_all(&["one", "two"]);
    assert_eq!(shards.tell(worker, open(MINE)), "one, try 1");
    assert_eq!(shards.tell(worker, end(Which::Mine, Fate::Bury)), "ended");
    for text in ["two, try 1", "two, try 2"] {
        assert_eq!(shards.tell(worker, open(MINE)), text);
        shards.get(worker, end(Which::Mine, ABORT));
    }
    shards.run();
    assert_eq!(shards.tell(worker, Op::Peek { queue: b"q dead" }), "one");
    shards.wait_to_open(waiting, MINE, 60_000);
    assert_eq!(shards.tell(worker, Op::Kick { queue: QUEUE, count: 9 }), "kicked 2");
    shards.run();
    shards.assert_came(waiting, &["one, try 1"]);
    assert_eq!(shards.tell(worker, Op::Peek { queue: QUEUE }), "two");
    assert_eq!(shards.drain(), ["two"]);
}

#[test]
fn a_limit_of_what_is_open_holds_a_line_until_one_ends() {
    let mut shards = Shards::new();
    let (worker, waiting) = (shards.connect(OTHER), shards.connect(OTHER));
    assert_eq!(shards.tell(worker, Op::Configure { queue: QUEUE, words: b"open=1" }), "configured");
    shards.put_all(&["1", "2", "3", "4"]);
    assert_eq!(shards.tell(worker, open(MINE)), "1, try 1");
    assert_eq!(shards.tell(waiting, open(MINE)), "nothing");
    shards.wait_to_open(waiting, MINE, 60_000);
    assert_eq!(shards.tell(worker, close()), "ended");
    shards.run();
    shards.assert_came(waiting, &["2, try 1"]);
    shards.wait_to_open(worker, MINE, 60_000);
    assert_eq!(shards.tell(waiting, Op::Configure { queue: QUEUE, words: b"open=2" }), "configured");
    shards.run();
    shards.assert_came(worker, &["3, try 1"]);
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
fn a_close_that_waits_for_the_next_message_has_acknowledged_the_last() {
    let mut shards = Shards::new();
    let worker = shards.connect(OWNER);
    shards.put_all(&["one"]);
    shards.run();
    shards.get(worker, open(MINE));
    shards.run();
    let until = Some(shards.now.after_ms(500));
    let op = Op::Open(Open { queue: QUEUE, holder: MINE, lease_s: None, close: true, until });
    let before = shards.engine(OWNER).last_changed_frame();
    assert_eq!(shards.ask(worker, op), shards::Answer::Later);
    let acknowledged_in = shards.engine(OWNER).last_changed_frame();
    assert!(acknowledged_in > before && shards.engine(OWNER).take_due().commit, "it waits for no other commit");
    // Without a commit the end of the wait cannot be told.
    shards.now = shards.now.after_ms(500);
    let now = shards.now;
    shards.engine(OWNER).pass_time(now).unwrap();
    shards.carry();
    assert_eq!(shards.come(worker), None);
    shards.run();
    shards.assert_came(worker, &["nothing"]);
    shards.leave(worker);
    assert_eq!(shards.drain(), [""; 0]);
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
    while shards.ask(worker, close()) == shards::Answer::Stalled {
        stalls += 1;
        shards.run();
        let retries = shards.engine(OWNER).retries();
        assert!(retries > tried_at, "it is worth another try");
        tried_at = retries;
    }
    assert!(stalls >= 10, "{stalls} stalls");
    assert_eq!(shards.drain(), [""; 0]);
}

/// A put reaches the first in line, and no other is looked at.
#[test]
fn ten_thousand_wait_on_one_queue_and_one_each_on_ten_thousand() {
    const MANY: usize = 10_000;
    let mut shards = Shards::new();
    let clients: Vec<Client> = (0..MANY).map(|n| shards.connect([OWNER, OTHER][n % 2])).collect();
    let until = Some(shards.now.after_ms(60_000));
    for one_queue in [true, false] {
        let queue = |n: usize| if one_queue { "q".to_string() } else { format!("q{n}") };
        for (n, client) in clients.iter().enumerate() {
            let queue = queue(n);
            let open = Open { queue: queue.as_bytes(), holder: MINE, lease_s: None, close: true, until };
            assert_eq!(shards.ask(*client, Op::Open(open)), shards::Answer::Later);
        }
        shards.run();
        let producer = shards.connect(OWNER);
        // Those of this shard stand in front.
        let order = (0..MANY).step_by(2).chain((1..MANY).step_by(2));
        for n in order {
            let (queue, body) = (queue(n), n.to_string());
            let put = Op::Put { queue: queue.as_bytes(), flags: 0, body: body.as_bytes() };
            shards.ask(producer, put);
            if n % 500 < 2 {
                shards.run();
            }
        }
        shards.run();
        for (n, client) in clients.iter().enumerate() {
            shards.assert_came(*client, &[format!("{n}, try 1").as_str()]);
        }
    }
}
