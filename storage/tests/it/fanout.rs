//! Queues with children: a put is there for all of them or for none, with one body in the log until the last has taken it.

use std::sync::Arc;

use storage::{Attempt, CHILDREN_MAX, Durability, PutWith, Store, StoreOptions};
use storage_testing::{CrashDisk, CrashTree, Op, Random, drain, for_seeds};

use crate::driver::{Crash, options};
use crate::family::Family;

const MODES: [(Durability, Crash); 4] = [
    (Durability::Synced, Crash::PowerCut),
    (Durability::Synced, Crash::Kill),
    (Durability::Written, Crash::PowerCut),
    (Durability::Written, Crash::Kill),
];

fn open(disk: &CrashDisk, with_index: bool, options: StoreOptions) -> Family {
    Family::open(disk, with_index.then(|| CrashTree::new(disk)), options).unwrap()
}

/// A queue with children.
fn with_children(family: &mut Family, children: usize) {
    for child in 0..children {
        family.make_child(format!("q +{child}").as_bytes()).unwrap();
    }
}

fn live(family: &mut Family, steps: u64, random: &mut Random) {
    for _ in 0..steps {
        if let Err(error) = family.random_step(random) {
            assert!(family.disk.has_crashed(), "{error}");
            return;
        }
    }
}

#[test]
fn a_crash_at_every_operation_of_the_disk() {
    for_seeds(1, |seed| {
        for (durability, crash) in MODES {
            let mut crash_at = 0;
            loop {
                crash_at += 1;
                let mut random = Random::new(seed);
                let disk = CrashDisk::default();
                let mut family = open(&disk, crash_at % 2 == 0, options(durability, 1000));
                disk.crash_at(disk.operations() + crash_at);
                live(&mut family, 1200, &mut random);
                if !disk.has_crashed() {
                    break;
                }
                let mut random = Random::new(seed + crash_at);
                let mut family = family.crash(crash, &mut random).unwrap();
                live(&mut family, 100, &mut random);
                family.settle().unwrap();
                family.crash(Crash::PowerCut, &mut random).unwrap();
            }
            println!("{durability:?} {crash:?}: {crash_at} operations");
            assert!(crash_at > 100, "a workload that does something");
        }
    });
}

#[test]
fn many_lives_of_families() {
    for_seeds(60, |seed| {
        let mut random = Random::new(seed);
        let disk = CrashDisk::default();
        let durability = random.pick(&[Durability::Synced, Durability::Written]);
        let mut family = open(&disk, random.chance(2), options(durability, 0));
        for _ in 0..8 {
            disk.crash_at(disk.operations() + 1 + random.below(300));
            live(&mut family, 1500, &mut random);
            family = family.crash(random.pick(&[Crash::Kill, Crash::PowerCut]), &mut random).unwrap();
            if random.chance(3) {
                family.go_round().unwrap();
                family = family.crash(Crash::PowerCut, &mut random).unwrap();
            }
        }
    });
}

/// Of ten families that lose their power in the middle of a put, in all the ways in which that can be written.
#[test]
fn no_child_misses_a_put_in_a_crash() {
    let mut found = [0, 0];
    for crash_at in 1..30 {
        let disk = CrashDisk::default();
        let mut family = open(&disk, false, options(Durability::Synced, 0));
        with_children(&mut family, 8);
        family.commit().unwrap();
        disk.crash_at(disk.operations() + crash_at);
        for n in 0..10 {
            if family.put(b"q", &[n; 400]).and_then(|()| family.commit()).is_err() {
                break;
            }
        }
        let family = family.crash(Crash::PowerCut, &mut Random::new(crash_at)).unwrap();
        let depths: Vec<usize> = family.now.queues.queues.values().map(|queue| queue.messages.len()).collect();
        assert!(depths.iter().all(|depth| *depth == depths[0]), "{depths:?}");
        found[usize::from(depths[0] < 10)] += 1;
    }
    assert!(found[0] > 0 && found[1] > 5, "some were cut and some were not: {found:?}");
}

#[test]
fn eight_children_take_at_most_twice_the_log_of_one_put() {
    const PUTS: u64 = 1000;
    let grown = |children: usize| {
        let roomy =
            StoreOptions { segment_bytes: 4 << 20, commit_bytes_max: 1 << 20, ..options(Durability::Synced, 0) };
        let mut store = Store::open(Arc::new(CrashDisk::default()), None, roomy).unwrap().0;
        // As in a large store: ids and numbers of many digits take more bytes.
        (0..20_000)
            .for_each(|n| assert!(store.at_once(|s| s.create(format!("other-{n}").as_bytes())).unwrap().is_some()));
        for child in 0..children {
            assert_eq!(store.at_once(|s| s.make_child(format!("q +{child}").as_bytes())).unwrap(), Some(true));
        }
        for _ in 0..200 {
            store.at_once(|s| s.put(b"q", 0, &[7; 100])).unwrap().unwrap();
        }
        store.settle().unwrap();
        let before = store.totals().log_bytes;
        for _ in 0..PUTS {
            store.at_once(|s| s.put(b"q", 0, &[7; 100])).unwrap().unwrap();
        }
        store.settle().unwrap();
        (store.totals().log_bytes - before) as f64 / PUTS as f64
    };
    let (one, nine) = (grown(0), grown(8));
    println!("a put takes {one:.1} bytes of log, and {nine:.1} with 8 children");
    assert!((129.0..140.0).contains(&one), "{one} bytes");
    assert!(nine <= 2.0 * one, "{nine} bytes with 8 children, {one} without");
}

/// The bytes of a body count until the last queue has taken it, whichever that is and wherever the body was copied to.
#[test]
fn a_body_stays_until_its_last_queue_has_taken_it() {
    let names: [&[u8]; 4] = [b"q", b"q +0", b"q +1", b"q +2"];
    for (last, with_index) in [(0, false), (1, true), (2, false), (3, true), (0, true)] {
        let disk = CrashDisk::default();
        let mut family = open(&disk, with_index, options(Durability::Synced, 0));
        with_children(&mut family, 3);
        family.put(b"q", b"").unwrap();
        family.put(b"z", b"").unwrap();
        family.take(b"z").unwrap();
        let base = family.store.totals().live_bytes;
        family.put(b"q", &[8; 1000]).unwrap();
        let with_body = family.store.totals().live_bytes;
        assert!((1029..1050).contains(&(with_body - base)), "one body, however many queues have it");
        for name in (0..4).filter(|name| *name != last) {
            family.apply(Op::TakeMessage { name: names[name].to_vec(), seq: 2 }).unwrap();
            family.go_round().unwrap();
            assert!(family.store.totals().live_bytes >= base + 1029, "another queue has it still");
            family = family.crash(Crash::PowerCut, &mut Random::new(1)).unwrap();
            assert!(family.store.totals().live_bytes >= base + 1029);
        }
        family.apply(Op::TakeMessage { name: names[last].to_vec(), seq: 2 }).unwrap();
        assert_eq!(family.store.totals().live_bytes, base);
        family.go_round().unwrap();
        family.crash(Crash::PowerCut, &mut Random::new(1)).unwrap();
    }
}

/// The same through checkpoints: the first taker is the one that the put names.
#[test]
fn a_checkpoint_finds_the_body_of_a_put_whose_own_message_is_gone() {
    let disk = CrashDisk::default();
    let mut family = open(&disk, true, options(Durability::Synced, 0));
    with_children(&mut family, 3);
    for n in 0..40 {
        family.put(b"q", &[n; 100]).unwrap();
    }
    (0..20).for_each(|_| family.take(b"q").unwrap());
    (0..5).for_each(|_| family.take(b"q +1").unwrap());
    family.checkpoint().unwrap();
    family.apply(Op::Delete { name: b"q".to_vec() }).unwrap();
    family.put(b"q", b"the queue is made anew").unwrap();
    family.checkpoint().unwrap();
    let mut family = family.crash(Crash::PowerCut, &mut Random::new(1)).unwrap();
    family.checkpoint().unwrap();
    (0..20).for_each(|_| family.take(b"q +0").unwrap());
    family.commit().unwrap();
    let family = family.crash(Crash::Kill, &mut Random::new(1)).unwrap();
    assert_eq!(family.now.queues.queues[&b"q +0"[..]].messages.len(), 21);
}

#[test]
fn children_come_and_go() {
    let mut family = open(&CrashDisk::default(), false, options(Durability::Synced, 0));
    family.put(b"q", b"before there were children").unwrap();
    family.make_child(b"q +a").unwrap();
    family.make_child(b"q +a").unwrap();
    family.put(b"q", b"for both").unwrap();
    family.put(b"q +a", b"for the child").unwrap();
    family.make_child(b"q +b").unwrap();
    family.put(b"q", b"for three").unwrap();
    family.apply(Op::Delete { name: b"q".to_vec() }).unwrap();
    family.put(b"q", b"made anew, and it has its children").unwrap();
    family.apply(Op::Delete { name: b"q +a".to_vec() }).unwrap();
    family.put(b"q", b"for two").unwrap();
    family.apply(Op::FlushAll).unwrap();
    family.put(b"q", b"for two again").unwrap();
    assert_eq!(family.store.take_awake().last().map(|name| name.to_vec()), Some(b"q +b".to_vec()));
    // Dead letters are no child, and no queue has none.
    for name in [&b"q dead"[..], b"q +b dead", b"q"] {
        assert_eq!(family.store.make_child(name).unwrap(), Attempt::Done(false));
    }
    family.commit().unwrap();
    let mut family = family.crash(Crash::PowerCut, &mut Random::new(1)).unwrap();
    family.put(b"q", b"after a start").unwrap();
    let depth = |name: &[u8]| family.now.queues.queues[name].messages.len();
    assert_eq!((depth(b"q"), depth(b"q +b"), family.store.totals().messages), (2, 2, 4));
}

#[test]
fn a_queue_may_have_its_children_alone_get_what_is_put() {
    let mut family = open(&CrashDisk::default(), true, options(Durability::Synced, 0));
    family.tell(b"p", b"fanout_only=1").unwrap();
    family.put(b"p", b"for none").unwrap();
    family.make_child(b"p +a").unwrap();
    family.make_child(b"p +b").unwrap();
    family.put(b"p", b"for two").unwrap();
    assert_eq!(family.store.totals().messages, 2);
    family.take(b"p +a").unwrap();
    family.go_round().unwrap();
    let mut family = family.crash(Crash::PowerCut, &mut Random::new(1)).unwrap();
    family.take(b"p +b").unwrap();
}

fn new_store() -> Store {
    let mut store = Store::open(Arc::new(CrashDisk::default()), None, options(Durability::Synced, 1000)).unwrap().0;
    store.set_time(1_800_000_000_000);
    store
}

fn put(store: &mut Store, name: &[u8], body: &[u8]) -> Option<()> {
    store.at_once(|store| store.put(name, 0, body)).unwrap()
}

fn configure(store: &mut Store, name: &[u8], words: &[u8]) {
    store.at_once(|store| store.configure(name, words)).unwrap().unwrap().unwrap();
}

fn bodies(store: &mut Store, name: &[u8]) -> Vec<Vec<u8>> {
    let queues = drain::<Vec<u8>>(store);
    queues[name].messages.iter().map(|message| message.body.clone()).collect()
}

#[test]
fn a_full_child_refuses_a_put_for_all() {
    let mut store = new_store();
    for child in [b"q +a", b"q +b", b"q +c"] {
        store.at_once(|store| store.make_child(child)).unwrap();
    }
    configure(&mut store, b"q +a", b"depth=1 full=drop");
    configure(&mut store, b"q +b", b"depth=2");
    assert!(put(&mut store, b"q", b"1").is_some() && put(&mut store, b"q", b"2").is_some());
    assert_eq!(store.totals().messages, 7, "the oldest of one child made room");
    assert!(put(&mut store, b"q", b"3").is_none());
    assert_eq!(store.totals().messages, 7, "and none is dropped for a put that is refused");
    let mut refused = Vec::new();
    store.figures(0, 10, b"", |figures| refused.push((figures.name.to_vec(), figures.refused)));
    assert_eq!(refused.iter().map(|(_, refused)| *refused).collect::<Vec<_>>(), [1, 1, 0, 0], "{refused:?}");
    assert_eq!(bodies(&mut store, b"q +a"), [b"2"]);
    // All are empty now. Its own bytes are too many for one of them.
    configure(&mut store, b"q +c", b"bytes=10 full=drop");
    assert!(put(&mut store, b"q", &[1; 11]).is_none() && store.totals().messages == 0);
    assert!(put(&mut store, b"q", &[1; 10]).is_some());
    assert_eq!(store.totals().messages, 4);
}

#[test]
fn a_child_has_rules_of_its_own() {
    let mut store = new_store();
    for child in [b"q +a", b"q +b"] {
        store.at_once(|store| store.make_child(child)).unwrap();
    }
    configure(&mut store, b"q +a", b"delay=10");
    configure(&mut store, b"q +b", b"ttl=client");
    let with = PutWith { exptime: -1, ..PutWith::default() };
    store.at_once(|store| store.put_with(b"q", 0, b"late, or never", with)).unwrap().unwrap();
    assert_eq!(store.totals().messages, 2, "for one child it is worth nothing");
    assert_eq!(store.take_awake(), [], "and of the other it is delayed");
    assert_eq!(store.at_once(|store| store.take(b"q +a")).unwrap(), Some(None));
    store.set_time(1_800_000_010_000);
    while store.pass_time(1).unwrap() {}
    assert_eq!(store.take_awake(), [(*b"q +a").into()]);
    assert!(store.at_once(|store| store.take(b"q +a")).unwrap().flatten().is_some());
}

#[test]
fn a_queue_has_so_many_children_and_no_more() {
    let roomy = StoreOptions { segment_bytes: 256 << 10, ..options(Durability::Synced, 0) };
    let (disk, mut random) = (CrashDisk::default(), Random::new(1));
    let mut family = open(&disk, true, roomy);
    with_children(&mut family, CHILDREN_MAX);
    for name in [b"q +one-more", b"q +and-more"] {
        assert_eq!(family.store.at_once(|store| store.make_child(name)).unwrap(), None);
        assert_eq!(family.store.at_once(|store| store.put(name, 0, b"")).unwrap(), None);
        assert_eq!(family.store.at_once(|store| store.create(name)).unwrap(), None);
    }
    for n in 0..20 {
        family.put(b"q", &[n; 200]).unwrap();
    }
    family.checkpoint().unwrap();
    (0..10).for_each(|_| family.take(b"q").unwrap());
    (0..3).for_each(|_| family.take(b"q +7").unwrap());
    let mut family = family.crash(Crash::PowerCut, &mut random).unwrap();
    family.apply(Op::Delete { name: b"q +0".to_vec() }).unwrap();
    family.make_child(b"q +one-more").unwrap();
    family.put(b"q", b"the last one").unwrap();
    family.crash(Crash::Kill, &mut random).unwrap();
}

/// Takes go on when the disk is full, although one put has many of them: they are set aside.
#[test]
fn a_full_disk_is_emptied_by_the_takes_of_all_children() {
    for body_bytes in [0, 100] {
        let disk = CrashDisk::default();
        let mut store = Store::open(Arc::new(disk.clone()), None, options(Durability::Synced, 100_000)).unwrap().0;
        let names: Vec<Vec<u8>> = (0..8).map(|child| format!("q +{child}").into_bytes()).collect();
        for name in &names {
            store.at_once(|store| store.make_child(name)).unwrap().unwrap();
        }
        disk.set_bytes_max(Some(disk.bytes() + 16 * (16 << 10)));
        let mut puts = 0;
        while put(&mut store, b"q", &vec![7; body_bytes]).is_some() {
            puts += 1;
            store.settle().unwrap();
        }
        assert!(store.is_full() && puts > 100, "{puts} puts");
        // Each take in a frame of its own; the last child's messages keep all segments alive.
        for name in names.iter().chain([&b"q".to_vec()]) {
            for n in 0..puts {
                let taken = store.at_once(|store| store.take(name)).unwrap();
                assert!(taken.flatten().is_some(), "take {n} of {puts} of {} is refused", name.escape_ascii());
                store.settle().unwrap();
            }
        }
        assert!(put(&mut store, b"q", &vec![7; body_bytes]).is_some(), "there is room again");
    }
}
