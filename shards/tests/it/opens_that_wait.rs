//! Clients that wait for a message to hold, step by step: what they get when something comes back.

use shards::{Answer, Fate, Holding, Op, Open, Outcome, Which};

use crate::asking::{ABORT, MINE, close, end, open, open_for};
use crate::two_shards::{Client, OTHER, OWNER, QUEUE, Shards};

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
    assert_eq!(shards.ask(worker, op), Answer::Later);
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

#[test]
fn figures_tell_who_waits_and_what_is_open() {
    let mut shards = Shards::new();
    let (worker, waiting, other) = (shards.connect(OTHER), shards.connect(OTHER), shards.connect(OWNER));
    shards.put_all(&["one", "two"]);
    shards.get(worker, open(MINE));
    shards.get(worker, open(Holding::Number));
    shards.wait(waiting, 5000);
    shards.wait_to_open(other, MINE, 5000);
    let mut figures = |prefix: &str| {
        let outcome = shards.get(worker, Op::ListFigures { cursor: 0, prefix: prefix.as_bytes() });
        let Outcome::QueueFigures { lines, next: None } = outcome else { panic!("{outcome:?}") };
        lines
    };
    assert!(figures("other").is_empty());
    let lines = figures("q");
    assert_eq!(lines.len(), 1);
    let figures = &lines[0];
    assert_eq!((&*figures.name, figures.waiters, figures.open, figures.waiting), (QUEUE, 2, 2, 0));
    assert_eq!((figures.sets, figures.gets, figures.bytes), (2, 0, 6));
}

#[test]
fn a_message_with_a_delay_is_put_and_waited_for() {
    let mut shards = Shards::new();
    let (waiting, client) = (shards.connect(OTHER), shards.connect(OTHER));
    shards.wait(waiting, 60_000);
    shards.run();
    let put = Op::PutWith { queue: QUEUE, flags: 1, body: b"late", delay_s: Some(5), exptime: 0, id: b"" };
    assert_eq!(shards.tell(client, put), "stored");
    assert_eq!(shards.tell(client, Op::Peek { queue: QUEUE }), "nothing");
    shards.pass(4999);
    assert_eq!(shards.come(waiting), None);
    shards.pass(1);
    shards.assert_came(waiting, &["late"]);
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
            assert_eq!(shards.ask(*client, Op::Open(open)), Answer::Later);
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
