//! Takes that wait for a message, step by step: who gets what when, and what they do not hold up.

use shards::{Answer, CREDITS, Op, Outcome, ShardId};

use crate::two_shards::{Client, OTHER, OWNER, QUEUE, Shards, message};

#[test]
fn a_message_goes_to_the_client_that_has_waited_longest() {
    let mut shards = Shards::new();
    let clients = [OTHER, OWNER, OTHER].map(|shard| shards.connect(shard));
    for client in clients {
        shards.wait(client, 1000);
        shards.run();
    }
    let producer = shards.connect(OWNER);
    for (body, served) in [("one", 0), ("two", 1), ("three", 2)] {
        shards.put(producer, body.as_bytes());
        shards.run();
        shards.assert_came(clients[served], &[body]);
        for client in &clients[served + 1..] {
            assert_eq!(shards.come(*client), None, "it waits");
        }
    }
    shards.put(producer, b"four");
    shards.run();
    let late = shards.connect(OWNER);
    assert_eq!(shards.ask(late, Op::Take { queue: QUEUE }), message(4, b"four"), "no client waits any more");
}

/// The put and the take that it is for are told together: neither before their frame is safe.
#[test]
fn a_put_and_the_take_that_waited_for_it_are_one_frame() {
    let mut shards = Shards::new();
    let (waiting, producer) = (shards.connect(OWNER), shards.connect(OWNER));
    shards.wait(waiting, 1000);
    shards.run();
    let mut frame_needed = 0;
    let (before, now) = (shards.engine(OWNER).acknowledged(), shards.now);
    let put = Op::Put { queue: QUEUE, flags: 0, body: b"one" };
    shards.engine(OWNER).submit(now, producer.gather, OWNER, put, None, &mut frame_needed).unwrap();
    assert_eq!((frame_needed, shards.engine(OWNER).last_changed_frame()), (before + 1, before + 1));
    shards.carry();
    assert_eq!(shards.come(waiting), None, "the frame is not safe");
    let mut commit = shards.engine(OWNER).begin_commit().expect("a frame");
    commit.run().unwrap();
    shards.engine(OWNER).finish_commit(commit, true);
    shards.assert_came(waiting, &["one"]);
}

/// Between finding nothing and standing in line nothing else is done.
#[test]
fn a_message_that_comes_with_the_wait_is_not_missed() {
    let mut shards = Shards::new();
    let (waiting, producer) = (shards.connect(OTHER), shards.connect(OTHER));
    // In one batch, in both orders.
    shards.wait(waiting, 1000);
    shards.put(producer, b"behind");
    shards.run();
    shards.assert_came(waiting, &["behind"]);
    shards.put(producer, b"before");
    shards.wait(waiting, 1000);
    shards.run();
    shards.assert_came(waiting, &["before"]);
}

#[test]
fn a_wait_ends_with_nothing_at_its_deadline() {
    let mut shards = Shards::new();
    let (short, long) = (shards.connect(OTHER), shards.connect(OWNER));
    shards.wait(long, 90);
    shards.wait(short, 50);
    shards.run();
    let deadline = shards.engine(OWNER).next_deadline();
    assert_eq!(deadline, Some(shards.now.after_ms(50)), "so the pump's timer goes off in time");
    shards.pass(49);
    assert_eq!((shards.come(short), shards.come(long)), (None, None));
    shards.pass(1);
    shards.assert_came(short, &["nothing"]);
    assert_eq!(shards.come(long), None);
    shards.pass(40);
    shards.assert_came(long, &["nothing"]);
    // A message that comes later stays in the queue.
    let producer = shards.connect(OWNER);
    shards.put(producer, b"late");
    shards.run();
    assert_eq!(shards.ask(long, Op::Take { queue: QUEUE }), message(1, b"late"));
}

/// With one credit for each of them, the fifth operation would never leave.
#[test]
fn a_thousand_waits_hold_no_credit() {
    let mut shards = Shards::new();
    let waiting: Vec<Client> = (0..1000).map(|_| shards.connect(OTHER)).collect();
    for client in &waiting {
        shards.wait(*client, 5000);
        // Each in a batch of its own.
        shards.carry();
        shards.run();
    }
    let producer = shards.connect(OTHER);
    let mut sent = 0;
    for _ in 0..CREDITS {
        shards.put(producer, b"m");
        sent += shards.carry();
    }
    assert_eq!(sent, CREDITS, "all credits are there");
    shards.run();
    shards.assert_came(producer, &["stored"; CREDITS]);
    for client in &waiting[..CREDITS] {
        shards.assert_came(*client, &["m"]);
    }
    shards.pass(5000);
    for client in &waiting[CREDITS..] {
        shards.assert_came(*client, &["nothing"]);
    }
}

#[test]
fn a_client_that_is_gone_takes_no_message() {
    let mut shards = Shards::new();
    let producer = shards.connect(OWNER);
    for shard in [OWNER, OTHER] {
        let (gone, stays) = (shards.connect(shard), shards.connect(OTHER));
        shards.wait(gone, 1000);
        shards.wait(stays, 1000);
        shards.run();
        let gather = gone.gather;
        shards.engine(shard).close(gather);
        shards.run();
        shards.put(producer, b"kept");
        shards.run();
        shards.assert_came(stays, &["kept"]);
        assert_eq!(shards.connect(shard).gather, gather, "its place is used again");
    }
}

/// The news that it is gone goes the way of its operations, and is no faster.
#[test]
fn a_client_that_is_gone_before_it_stands_in_line_takes_no_message() {
    let mut shards = Shards::new();
    let gone = shards.connect(OTHER);
    // No credit is left for what it sends.
    let busy = shards.connect(OTHER);
    for _ in 0..CREDITS {
        shards.ask(busy, Op::Take { queue: b"empty" });
        shards.engine(OTHER).send_batches();
    }
    shards.wait(gone, 1000);
    shards.engine(OTHER).close(gone.gather);
    shards.run();
    let producer = shards.connect(OWNER);
    shards.put(producer, b"kept");
    assert_eq!(shards.ask(producer, Op::Take { queue: QUEUE }), message(1, b"kept"));
}

#[test]
fn waits_survive_their_queue() {
    let mut shards = Shards::new();
    let (waiting, producer) = (shards.connect(OTHER), shards.connect(OWNER));
    shards.wait(waiting, 1000);
    shards.run();
    for op in [Op::Create { queue: QUEUE }, Op::Flush { queue: QUEUE }, Op::Delete { queue: QUEUE }, Op::FlushAll] {
        shards.ask(producer, op);
        shards.run();
        assert_eq!(shards.come(waiting), None, "{op:?} ends no wait");
    }
    shards.put(producer, b"one");
    shards.run();
    shards.assert_came(waiting, &["one"]);
}

#[test]
fn a_server_that_stops_ends_all_waits_and_begins_none() {
    let mut shards = Shards::new();
    let waiting: Vec<Client> = (0..600).map(|n| shards.connect(ShardId(n % 2))).collect();
    for client in &waiting {
        shards.wait(*client, 5000);
    }
    shards.run();
    shards.engine(OWNER).refuse_to_wait();
    assert!(!shards.engine(OWNER).is_idle(), "they are to be answered");
    shards.run();
    for client in &waiting {
        shards.assert_came(*client, &["nothing"]);
    }
    let until = shards.now.after_ms(5000);
    let (here, there) = (shards.connect(OWNER), shards.connect(OTHER));
    assert_eq!(shards.ask(here, Op::TakeWait { queue: QUEUE, until }), Answer::Now(Outcome::Empty));
    shards.wait(there, 5000);
    shards.run();
    shards.assert_came(there, &["nothing"]);
}

#[test]
fn a_server_that_drains_ends_the_waits_of_now_only() {
    let mut shards = Shards::new();
    let (before, after) = (shards.connect(OTHER), shards.connect(OTHER));
    shards.wait(before, 5000);
    shards.run();
    shards.engine(OWNER).end_waits();
    shards.wait(after, 5000);
    shards.run();
    shards.assert_came(before, &["nothing"]);
    assert_eq!(shards.come(after), None, "it waits");
}

/// One that could wait without end, in any number of lines, would have all of them end in one piece when it goes.
#[test]
fn a_client_waits_in_a_bounded_number_of_places() {
    let mut shards = Shards::new();
    let client = shards.connect(OWNER);
    let until = shards.now.after_ms(1000);
    let mut waits = 0;
    while shards.ask(client, Op::TakeWait { queue: QUEUE, until }) == Answer::Later {
        waits += 1;
    }
    assert_eq!(waits, 64);
    shards.pass(1000);
    shards.assert_came(client, &["nothing"; 64]);
}
