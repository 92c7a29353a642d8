//! Queues that are paused, step by step: nothing is handed out, all else goes on, and those who wait are served in the end.

use shards::{Answer, Engine, Fate, Holding, Moment, Op, Outcome, Shard, ShardId, Which};
use storage::Store;
use storage_testing::CrashDisk;

use crate::asking::{ABORT, MINE, TAKE, close_open, end, open, open_for};
use crate::setup::small_store;
use crate::two_shards::{Client, OTHER, OWNER, QUEUE, Shards, message};

const NUMBER: Holding<'_> = Holding::Number;

#[test]
fn a_paused_queue_hands_out_nothing_and_takes_everything() {
    let mut shards = Shards::new();
    let (worker, operator) = (shards.connect(OTHER), shards.connect(OTHER));
    assert_eq!(shards.tell(operator, Op::Pause { queue: QUEUE, pause: true }), "notfound");
    shards.put_all(&["one", "two", "three"]);
    assert_eq!(shards.tell(worker, open(MINE)), "one, try 1");
    let (_, lease) = shards.opened(operator, open(NUMBER));
    assert_eq!(shards.tell(operator, Op::Configure { queue: QUEUE, words: b"depth=9 pause=1" }), "configured");
    let nothing = [TAKE, open(NUMBER), open(Holding::Name(b"w1"))];
    for op in nothing {
        assert_eq!(shards.tell(operator, op), "nothing");
    }
    shards.put_all(&["four"]);
    assert_eq!(shards.tell(operator, Op::Peek { queue: QUEUE }), "three");
    assert_eq!(shards.tell(worker, end(Which::Mine, Fate::Acknowledge)), "ended");
    assert_eq!(shards.tell(operator, end(Which::Lease(lease), ABORT)), "ended");
    assert_eq!(shards.tell(operator, Op::Peek { queue: QUEUE }), "two", "it is back, and stays");
    for op in nothing {
        assert_eq!(shards.tell(operator, op), "nothing");
    }
    assert_eq!(shards.tell(operator, Op::Pause { queue: QUEUE, pause: false }), "configured");
    assert_eq!(shards.tell(operator, Op::Config { queue: QUEUE }), format!("words({:?})", b"depth=9"));
    assert_eq!(shards.drain(), ["two", "three", "four"]);
}

/// A worker that closes and opens is told that the close is done.
#[test]
fn a_close_goes_on_while_the_open_behind_it_finds_nothing() {
    let mut shards = Shards::new();
    shards.put_all(&["one", "two"]);
    let (worker, operator) = (shards.connect(OTHER), shards.connect(OTHER));
    assert_eq!(shards.tell(worker, open(MINE)), "one, try 1");
    assert_eq!(shards.tell(operator, Op::Pause { queue: QUEUE, pause: true }), "configured");
    assert_eq!(shards.tell(worker, close_open()), "ended");
    assert_eq!(shards.tell(operator, Op::Pause { queue: QUEUE, pause: false }), "configured");
    assert_eq!(shards.drain(), ["two"]);
}

/// Of what a name has open it is told again: it was handed out before.
#[test]
fn a_name_keeps_what_it_has_open_while_its_queue_is_paused() {
    let mut shards = Shards::new();
    shards.put_all(&["one"]);
    let worker = shards.connect(OTHER);
    assert_eq!(shards.tell(worker, open(Holding::Name(b"w1"))), "one, try 1");
    assert_eq!(shards.tell(worker, Op::Pause { queue: QUEUE, pause: true }), "configured");
    assert_eq!(shards.tell(worker, open(Holding::Name(b"w1"))), "one, try 1");
    assert_eq!(shards.tell(worker, open(Holding::Name(b"w2"))), "nothing");
}

/// What brings a message to a line.
type Bring = fn(&mut Shards, Client);

/// Each way in which a message comes to a line: a put, a lease that ends, a client that goes, a delay, a kick.
#[test]
fn clients_that_wait_for_a_paused_queue_are_served_when_it_is_resumed() {
    let resume: [Op<'_>; 3] = [
        Op::Pause { queue: QUEUE, pause: false },
        Op::Configure { queue: QUEUE, words: b"lease=60" },
        Op::Unconfigure { queue: QUEUE },
    ];
    let bring: [(&str, Bring); 5] = [
        ("put", |shards, _| shards.put_all(&["put"])),
        ("lease", |shards, _| shards.pass(2000)),
        ("gone", |shards, worker| shards.leave(worker)),
        ("delayed", |shards, _| shards.pass(3000)),
        ("kicked", |shards, worker| assert_eq!(shards.tell(worker, Op::Kick { queue: QUEUE, count: 9 }), "kicked 1")),
    ];
    for resume in resume {
        for (what, bring) in bring {
            let mut shards = Shards::new();
            let (worker, waiting, opening) = (shards.connect(OTHER), shards.connect(OTHER), shards.connect(OWNER));
            match what {
                "lease" => {
                    shards.put_all(&[what]);
                    shards.get(worker, open_for(NUMBER, 2));
                }
                "gone" => {
                    shards.put_all(&[what]);
                    shards.get(worker, open(MINE));
                }
                "delayed" => {
                    let body = what.as_bytes();
                    let put = Op::PutWith { queue: QUEUE, flags: 0, body, delay_s: Some(3), exptime: 0, id: b"" };
                    assert_eq!(shards.tell(worker, put), "stored");
                }
                "kicked" => {
                    shards.put_all(&[what]);
                    let (_, lease) = shards.opened(worker, open(NUMBER));
                    assert_eq!(shards.tell(worker, end(Which::Lease(lease), Fate::Bury)), "ended");
                    shards.run();
                }
                _ => assert_eq!(shards.tell(worker, Op::Create { queue: QUEUE }), "stored"),
            }
            assert_eq!(shards.tell(opening, Op::Configure { queue: QUEUE, words: b"pause=1" }), "configured");
            shards.wait_to_open(opening, Holding::Name(b"w9"), 60_000);
            shards.wait(waiting, 60_000);
            bring(&mut shards, worker);
            shards.run();
            assert_eq!((shards.come(opening), shards.come(waiting)), (None, None), "{what}: the queue is paused");
            let operator = shards.connect(OTHER);
            shards.get(operator, resume);
            shards.put_all(&["next"]);
            shards.run();
            let tries = if matches!(what, "lease" | "gone") { 2 } else { 1 };
            shards.assert_came(opening, &[&format!("{what}, try {tries}")]);
            shards.assert_came(waiting, &["next"]);
        }
    }
}

#[test]
fn a_pattern_pauses_and_resumes_too() {
    let mut shards = Shards::new();
    let (waiting, operator) = (shards.connect(OTHER), shards.connect(OTHER));
    let patterns = |text: &str| std::sync::Arc::new(shards::Patterns::parse(text.as_bytes()).unwrap());
    shards.engine(OWNER).set_patterns(patterns("*: pause=1"));
    shards.put_all(&["one"]);
    shards.wait(waiting, 60_000);
    shards.pass(1000);
    assert_eq!(shards.come(waiting), None);
    // What it was told itself stands above.
    assert_eq!(shards.tell(operator, Op::Pause { queue: QUEUE, pause: false }), "configured");
    shards.run();
    shards.assert_came(waiting, &["one"]);
    assert_eq!(shards.tell(operator, Op::Pause { queue: QUEUE, pause: true }), "configured");
    shards.put_all(&["two"]);
    shards.wait(waiting, 60_000);
    shards.pass(1000);
    assert_eq!(shards.come(waiting), None);
    shards.engine(OWNER).set_patterns(patterns(""));
    shards.pass(1000);
    shards.assert_came(waiting, &["two"]);
}

#[test]
fn a_pause_outlives_the_process() {
    let disk = CrashDisk::default();
    let open_store = || Store::open(std::sync::Arc::new(disk.clone()), None, small_store()).unwrap().0;
    let mut store = open_store();
    store.at_once(|s| s.put(QUEUE, 0, b"one")).unwrap();
    assert_eq!(store.at_once(|s| s.pause(QUEUE, true)).unwrap(), Some(true));
    store.close().unwrap();
    let mut engine = Engine::new(ShardId(0), 1, Shard::new(open_store()), Moment::from_ms(1));
    let gather = engine.open();
    let mut ask = |op| engine.submit(Moment::from_ms(1), gather, ShardId(0), op, None, &mut 0).unwrap();
    assert_eq!(ask(TAKE), Answer::Now(Outcome::Empty));
    assert_eq!(ask(Op::Pause { queue: QUEUE, pause: false }), Answer::Now(Outcome::Configured));
    assert_eq!(ask(TAKE), message(1, b"one"));
}
