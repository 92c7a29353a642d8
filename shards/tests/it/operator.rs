//! What an operator asks for, of queues on its connection's own shard and on others, step by step.

use shards::{
    Answer, Fate, Holding, MessageState, Op, OpenHolder, OpenLine, Outcome, Page, Search, ShardId, SortBy, Which,
    names, owner_of,
};

use crate::asking::{ABORT, MINE, TAKE, end, open, open_for};
use crate::two_shards::{Client, OTHER, OWNER, QUEUE, Shards};

const NUMBER: Holding<'_> = Holding::Number;

fn opens(shards: &mut Shards, client: Client, after: u64) -> (Vec<OpenLine>, Option<u64>) {
    let outcome = shards.get(client, Op::ListOpens { queue: QUEUE, after });
    let Outcome::Opens { lines, next } = outcome else { panic!("{outcome:?}") };
    (lines, next)
}

fn purge(shards: &mut Shards, client: Client, after: u64, count: u32) -> (u64, Option<u64>) {
    let outcome = shards.get(client, Op::Purge { queue: QUEUE, after, count });
    let Outcome::Purged { count, next } = outcome else { panic!("{outcome:?}") };
    (count, next)
}

// ---- what is open ----

#[test]
fn what_is_open_is_listed_with_what_holds_it() {
    let mut shards = Shards::new();
    shards.put_all(&["one", "two", "three", "four"]);
    let (worker, operator) = (shards.connect(OTHER), shards.connect(OTHER));
    assert_eq!(opens(&mut shards, operator, 0), (vec![], None));
    assert_eq!(shards.tell(worker, open(MINE)), "one, try 1");
    shards.pass(5000);
    assert_eq!(shards.tell(worker, open_for(Holding::Name(b"w1"), 30)), "two, try 1");
    let (_, third) = shards.opened(worker, open_for(NUMBER, 9));
    assert_eq!(shards.tell(worker, end(Which::Lease(third), ABORT)), "ended");
    shards.pass(2500);
    let (text, third) = shards.opened(worker, open_for(NUMBER, 9));
    assert_eq!(text, "three, try 2");
    let (lines, next) = opens(&mut shards, operator, 0);
    assert_eq!(next, None);
    let client = shards.engine(OTHER).client_of(worker.gather);
    let line = |line: &OpenLine| (line.seq, line.holder.clone(), line.since_s, line.ends_in_s, line.try_number);
    assert_eq!(
        lines.iter().map(line).collect::<Vec<_>>(),
        [
            (1, OpenHolder::Connection(client), Some(7), None, 1),
            (2, OpenHolder::Name(b"w1".as_slice().into()), Some(2), Some(28), 1),
            (3, OpenHolder::Number, Some(0), Some(9), 2),
        ]
    );
    assert_eq!(lines[2].lease, third);
    let (behind, _) = opens(&mut shards, operator, lines[0].lease);
    assert_eq!(behind, lines[1..]);
    // By the number that was told, whatever holds it.
    let release = end(Which::Lease(lines[0].lease), Fate::Release { delay_s: None });
    assert_eq!(shards.tell(operator, release), "ended");
    assert_eq!(shards.tell(operator, Op::FlushAll), "done");
    assert_eq!(opens(&mut shards, operator, 0), (vec![], None), "a lease without a message is none");
}

#[test]
fn a_long_list_of_what_is_open_comes_in_pieces() {
    const OPEN: usize = 6000;
    let mut shards = Shards::new();
    let client = shards.connect(OWNER);
    let mut put_and_open = |queue| {
        shards.get(client, Op::Put { queue, flags: 0, body: b"" });
        let open = shards::Open { queue, holder: NUMBER, lease_s: Some(60), close: false, until: None };
        let outcome = shards.get(client, Op::Open(open));
        assert!(matches!(outcome, Outcome::Opened { .. }), "{outcome:?}");
    };
    // More in a row than are listed at once, and more between two than are looked at.
    for n in 0..OPEN {
        put_and_open(if (600..=5500).contains(&n) { b"another" } else { QUEUE });
    }
    let (mut seqs, mut after, mut pieces) = (Vec::new(), Some(0), 0);
    while let Some(from) = after {
        let (lines, next) = opens(&mut shards, client, from);
        assert!(lines.len() <= 256);
        seqs.extend(lines.iter().map(|line| line.seq));
        (after, pieces) = (next, pieces + 1);
    }
    assert_eq!(seqs, (1..=600 + OPEN as u64 - 5501).collect::<Vec<_>>());
    assert!(pieces > 2, "{pieces} pieces");
}

// ---- purges ----

#[test]
fn a_purge_drops_the_oldest_that_are_not_open() {
    let mut shards = Shards::new();
    shards.put_all(&["one", "two", "three", "four", "five"]);
    let (worker, operator) = (shards.connect(OTHER), shards.connect(OTHER));
    let (_, lease) = shards.opened(worker, open(NUMBER));
    let delayed = Op::PutWith { queue: QUEUE, flags: 0, body: b"six", delay_s: Some(60), exptime: 0, id: b"" };
    assert_eq!(shards.tell(worker, delayed), "stored");
    assert_eq!(purge(&mut shards, operator, 0, 0), (0, None));
    assert_eq!(purge(&mut shards, operator, 0, 2), (2, None));
    assert_eq!(purge(&mut shards, operator, 4, 1), (1, None), "behind a message");
    assert_eq!(purge(&mut shards, operator, 0, 1000), (2, None), "and those that are delayed");
    assert_eq!(purge(&mut shards, operator, 0, 1000), (0, None));
    assert_eq!(shards.tell(worker, TAKE), "nothing");
    assert_eq!(shards.tell(worker, end(Which::Lease(lease), ABORT)), "ended");
    assert_eq!(shards.tell(worker, TAKE), "one");
}

/// It goes before the messages do: what was purged and told does not come back.
#[test]
fn a_purge_is_told_when_it_is_safe() {
    let mut shards = Shards::new();
    shards.put_all(&["one", "two"]);
    let operator = shards.connect(OWNER);
    let (mut frame_needed, before, now) = (0, shards.engine(OWNER).acknowledged(), shards.now);
    let purge = Op::Purge { queue: QUEUE, after: 0, count: 9 };
    let answer = shards.engine(OWNER).submit(now, operator.gather, OWNER, purge, None, &mut frame_needed).unwrap();
    assert_eq!(answer, Answer::Now(Outcome::Purged { count: 2, next: None }));
    assert_eq!(frame_needed, before + 1);
}

#[test]
fn a_long_purge_comes_in_pieces_and_passes_what_is_open() {
    const MESSAGES: u64 = 2000;
    let mut shards = Shards::new();
    let client = shards.connect(OWNER);
    for n in 0..MESSAGES {
        shards.get(client, Op::Put { queue: QUEUE, flags: 0, body: b"x" });
        if n < 700 {
            shards.get(client, open_for(NUMBER, 60));
        }
    }
    let (mut purged, mut after, mut pieces) = (0, Some(0), 0);
    while let Some(from) = after {
        let (count, next) = purge(&mut shards, client, from, 2000);
        assert!(count <= 512);
        (purged, after, pieces) = (purged + count, next, pieces + 1);
    }
    assert_eq!((purged, pieces), (1300, 4));
    let outcome = shards.get(client, Op::QueueFigures { queue: QUEUE });
    let Outcome::QueueFigures { lines, next: None } = outcome else { panic!("{outcome:?}") };
    assert_eq!((lines[0].waiting, lines[0].open), (0, 700));
}

/// A line is for what is put next, and a purge brings nothing.
#[test]
fn a_purge_leaves_the_line_as_it_is() {
    let mut shards = Shards::new();
    let (waiting, operator) = (shards.connect(OTHER), shards.connect(OTHER));
    shards.put_all(&["one"]);
    assert_eq!(shards.tell(operator, Op::Pause { queue: QUEUE, pause: true }), "configured");
    shards.wait(waiting, 5000);
    assert_eq!(purge(&mut shards, operator, 0, 9), (1, None));
    assert_eq!(shards.tell(operator, Op::Pause { queue: QUEUE, pause: false }), "configured");
    shards.run();
    assert_eq!(shards.come(waiting), None);
    shards.put_all(&["two"]);
    shards.run();
    shards.assert_came(waiting, &["two"]);
}

/// A message of a ticket that is not paid is not the operator's to drop: it is the buyer's, who may pay.
#[test]
fn a_purge_leaves_what_a_gate_keeps_back() {
    let mut shards = Shards::new();
    let client = shards.connect(OTHER);
    assert_eq!(shards.tell(client, Op::Configure { queue: QUEUE, words: b"tickets=5 hold=60 put=paid" }), "configured");
    let gate = |act| Op::Gate { queue: QUEUE, buyer: b"ann", act };
    shards.get(client, gate(shards::GateAct::Join { message: None, admits: true }));
    shards.put_all(&["one"]);
    assert_eq!(purge(&mut shards, client, 0, 9), (1, None));
    shards.get(client, gate(shards::GateAct::Pay));
    assert_eq!(shards.tell(client, TAKE), "ann");
}

// ---- looks ----

#[test]
fn messages_are_looked_at_one_after_the_other() {
    let mut shards = Shards::new();
    shards.put_all(&["one", "two", "three"]);
    let (worker, operator) = (shards.connect(OTHER), shards.connect(OTHER));
    shards.get(worker, open(MINE));
    let put = Op::PutWith { queue: QUEUE, flags: 7, body: b"a longer body", delay_s: Some(9), exptime: 0, id: b"" };
    shards.get(worker, put);
    shards.pass(3000);
    let (mut after, mut seen) = (0, Vec::new());
    while let Outcome::PeekedAt(Some(peeked)) =
        shards.get(operator, Op::PeekAt { queue: QUEUE, after, body_bytes_max: 8 })
    {
        after = peeked.seq;
        let body = String::from_utf8(peeked.body.to_vec()).unwrap();
        seen.push((peeked.seq, peeked.state, body, peeked.bytes, peeked.flags, peeked.age_s));
    }
    let state = [MessageState::Open, MessageState::Waiting, MessageState::Waiting, MessageState::Delayed];
    let expected = ["one", "two", "three", "a longer"].iter().zip(state).zip(1..);
    let expected = expected.map(|((body, state), seq)| {
        let (bytes, flags) = if seq == 4 { (13, 7) } else { (body.len() as u32, 0) };
        (seq, state, (*body).to_string(), bytes, flags, 3)
    });
    assert_eq!(seen, expected.collect::<Vec<_>>());
    let outcome = shards.get(operator, Op::QueueFigures { queue: QUEUE });
    let Outcome::QueueFigures { lines, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((lines[0].gets, lines[0].waiting), (0, 2), "a look is no get");
    let none = shards.get(operator, Op::PeekAt { queue: b"none", after: 0, body_bytes_max: 8 });
    assert_eq!(none, Outcome::PeekedAt(None));
}

// ---- pages of queues ----

/// Asks the owner of a name, or a shard.
fn ask_of(shards: &mut Shards, client: Client, to: ShardId, op: Op<'_>) -> Outcome {
    let now = shards.now;
    let answer = shards.engine(client.shard).submit(now, client.gather, to, op, None, &mut 0).unwrap();
    if let Answer::Now(outcome) = answer {
        shards.run();
        return outcome;
    }
    shards.run();
    assert!(shards.engine(client.shard).is_complete(client.gather, std::task::Waker::noop()), "{op:?}");
    shards.engine(client.shard).next_outcome(client.gather).unwrap()
}

fn page(shards: &mut Shards, client: Client, search: &Search<'_>) -> (Vec<String>, u64) {
    let mut page = Page::new();
    for shard in [OWNER, OTHER] {
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let narrowed = page.narrow(search);
            let outcome = ask_of(shards, client, shard, Op::Find { cursor: from, search: narrowed });
            let Outcome::Found { lines, matched, next } = outcome else { panic!("{outcome:?}") };
            let is_full = narrowed.before.is_some();
            assert!(!is_full || lines.iter().all(|line| narrowed.before > Some((line.sort_key, &*line.name))));
            page.add(search, lines, matched);
            cursor = next;
        }
    }
    let (lines, matched) = page.finish();
    (lines.iter().map(|line| String::from_utf8(names::shown(&line.name)).unwrap()).collect(), matched)
}

#[test]
fn pages_are_of_the_queues_of_all_shards() {
    let mut shards = Shards::new();
    let client = shards.connect(OTHER);
    let mut all: Vec<String> = (0..300).map(|n| format!("jobs-{n:03}")).collect();
    for name in &all {
        let create = Op::Create { queue: name.as_bytes() };
        ask_of(&mut shards, client, owner_of(name.as_bytes(), 2), create);
    }
    let dead = names::dead(b"jobs-007");
    let put = Op::Put { queue: &dead, flags: 0, body: b"x" };
    ask_of(&mut shards, client, owner_of(&dead, 2), put);
    all.insert(8, String::from("jobs-007/dead"));
    let search = Search { filter: b"", sort: SortBy::Name, descending: false, behind: None, before: None, limit: 40 };
    let (mut found, mut last) = (Vec::new(), None::<String>);
    loop {
        let stored = last.as_ref().map(|name| name.replace("/dead", " dead"));
        let behind = stored.as_ref().map(|name| (0, name.as_bytes()));
        let (names, matched) = page(&mut shards, client, &Search { behind, ..search });
        assert_eq!(matched, 301);
        if names.is_empty() {
            break;
        }
        last = names.last().cloned();
        found.extend(names);
    }
    assert_eq!(found, all);
    // Fewer than fit, of both shards.
    let few: Vec<String> = all.iter().filter(|name| name.contains("00")).cloned().collect();
    assert_eq!(page(&mut shards, client, &Search { filter: b"00", ..search }), (few, 13));
    let with_dead = Search { filter: b"007", sort: SortBy::Dead, descending: true, ..search };
    assert_eq!(page(&mut shards, client, &with_dead), (vec!["jobs-007".into(), "jobs-007/dead".into()], 2));
}

#[test]
fn queues_are_sorted_by_those_who_wait_for_them() {
    let mut shards = Shards::new();
    let (client, waiting) = (shards.connect(OTHER), shards.connect(OTHER));
    for name in [b"a", b"q"] {
        ask_of(&mut shards, client, OWNER, Op::Create { queue: name });
    }
    shards.wait(waiting, 5000);
    let search = Search { filter: b"", sort: SortBy::Waiters, descending: true, behind: None, before: None, limit: 9 };
    assert_eq!(page(&mut shards, client, &search).0, ["q", "a"]);
    let outcome = ask_of(&mut shards, client, OWNER, Op::Find { cursor: 0, search });
    let Outcome::Found { lines, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(lines.iter().map(|line| (line.sort_key, line.waiters)).collect::<Vec<_>>(), [(1, 1), (0, 0)]);
}

#[test]
fn children_are_named_and_counted() {
    let mut shards = Shards::new();
    let client = shards.connect(OTHER);
    shards.put_all(&["one"]);
    let children = [names::child(QUEUE, b"mail"), names::child(QUEUE, b"audit")];
    for child in &children {
        assert_eq!(shards.tell(client, Op::Take { queue: child }), "made");
    }
    assert_eq!(shards.get(client, Op::ListChildren { queue: QUEUE }), Outcome::Names(children.to_vec()));
    assert_eq!(shards.get(client, Op::ListChildren { queue: b"none" }), Outcome::Names(Vec::new()));
    let outcome = shards.get(client, Op::QueueFigures { queue: QUEUE });
    let Outcome::QueueFigures { lines, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((lines[0].children, lines[0].paused, lines[0].is_gate), (2, false, false));
    let none = shards.get(client, Op::QueueFigures { queue: b"none" });
    assert_eq!(none, Outcome::QueueFigures { lines: Vec::new(), next: None });
    assert_eq!(shards.tell(client, Op::Configure { queue: QUEUE, words: b"tickets=1 pause=1" }), "configured");
    let outcome = shards.get(client, Op::QueueFigures { queue: QUEUE });
    let Outcome::QueueFigures { lines, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((lines[0].paused, lines[0].is_gate), (true, true));
}
