//! The numbers of deliveries are given once, over restarts and power cuts too; and messages that stay open for long cost
//! what lives, and no more.

use std::collections::BTreeSet;
use std::sync::Arc;

use storage::{Durability, Opened, Opening, Store};
use storage_testing::{CrashDisk, Random};

use crate::driver::options;

fn open_next(store: &mut Store, name: &[u8]) -> Opened {
    match store.at_once(|s| s.open_next(name)).unwrap().unwrap() {
        Opening::Message(opened) => opened,
        other => panic!("{other:?}"),
    }
}

/// A client has a number as soon as it is acknowledged, in the mode that does not sync as well.
#[test]
fn a_number_is_given_once_over_power_cuts() {
    for durability in [Durability::Synced, Durability::Written] {
        let (disk, mut random) = (CrashDisk::default(), Random::new(1));
        let mut given = BTreeSet::new();
        for life in 0..30 {
            let mut store = Store::open(Arc::new(disk.clone()), None, options(durability, 1 << 20)).unwrap().0;
            // Written and not synced, in several segments.
            for n in 0..life % 7 * 3 {
                while store.put(b"q", n, &[1; 2000]).unwrap() != storage::Attempt::Done(()) {
                    let mut chore = store.segment_chore().expect("it waits for a segment");
                    chore.run();
                    store.finish_chore(chore).unwrap();
                }
            }
            store.at_once(|s| s.put(b"q", 0, b"x")).unwrap().unwrap();
            let opened: Vec<Opened> = (0..5)
                .map_while(|_| match store.open_next(b"q").unwrap() {
                    storage::Attempt::Done(Opening::Message(opened)) => Some(opened),
                    _ => None,
                })
                .collect();
            assert!(opened.iter().all(|opened| opened.waits), "the first ones after a start wait for the frame");
            let changed = store.changed();
            while let Some(mut commit) = store.begin_commit() {
                commit.run().unwrap();
                store.finish_commit(commit);
            }
            assert!(store.acknowledged() >= changed);
            for opened in opened {
                assert!(given.insert(opened.lease >> 8), "number {} comes again", opened.lease >> 8);
                assert!(!open_again_waits(&mut store), "what is safe is told at once");
            }
            drop(store);
            disk.cut_power(&mut random);
        }
        assert!(given.len() > 30, "{} numbers", given.len());
    }
}

/// Whether the number of another delivery may not be told at once.
fn open_again_waits(store: &mut Store) -> bool {
    match store.open_next(b"q").unwrap() {
        storage::Attempt::Done(Opening::Message(opened)) => opened.waits,
        _ => false,
    }
}

/// A log that takes over no message goes on with the numbers of the one before all the same.
#[test]
fn the_numbers_of_a_moved_log_go_on() {
    for begins_behind in [1 << 20, 1 << 43] {
        let disk = CrashDisk::default();
        let open = || Store::open(Arc::new(disk.clone()), None, options(Durability::Synced, 1000)).unwrap().0;
        let mut store = open();
        store.begin_leases_behind(begins_behind);
        store.close().unwrap();
        drop(store);
        let mut store = open();
        store.at_once(|s| s.put(b"q", 0, b"x")).unwrap().unwrap();
        let number = open_next(&mut store, b"q").lease >> 8;
        assert!((begins_behind..begins_behind + (1 << 35)).contains(&number), "{number}");
    }
}

/// A day in small: a thousand messages stay open, and a hundred thousand others come and go meanwhile.
#[test]
fn messages_that_stay_open_cost_what_lives() {
    const OPEN: u64 = 1000;
    let (disk, segment_bytes) = (CrashDisk::default(), 64 << 10);
    let options =
        storage::StoreOptions { segment_bytes, commit_bytes_max: 32 << 10, ..options(Durability::Synced, 200_000) };
    let mut store = Store::open(Arc::new(disk.clone()), None, options).unwrap().0;
    let mut now_ms = 1_700_000_000_000;
    store.set_time(now_ms);
    for n in 0..OPEN {
        store.at_once(|s| s.put(b"q", n as u32, &[7; 60])).unwrap().unwrap();
        open_next(&mut store, b"q");
    }
    let (mut log_bytes_max, mut resident_max) = (0, 0);
    for round in 0..1000 {
        now_ms += 86_400;
        store.set_time(now_ms);
        for n in 0..100 {
            store.at_once(|s| s.put(b"q", n, &[round as u8; 60])).unwrap().unwrap();
        }
        for _ in 0..100 {
            let opened = open_next(&mut store, b"q");
            assert!(store.at_once(|s| s.acknowledge(opened.queue, opened.seq)).unwrap().unwrap());
        }
        store.settle().unwrap();
        let totals = store.totals();
        assert_eq!(totals.messages, OPEN);
        (log_bytes_max, resident_max) = (log_bytes_max.max(totals.log_bytes), resident_max.max(totals.resident_bytes));
        let bound = 2 * totals.live_bytes + 2 * u64::from(segment_bytes);
        assert!(totals.log_bytes <= bound, "{totals:?} in round {round}");
    }
    println!("at most {log_bytes_max} bytes of log, and {resident_max} of bodies in memory");
    assert!(resident_max <= 200_000 + 100 * 100, "{resident_max} bytes of bodies in memory");
    let all = store.inspect(b"q");
    assert!(all.iter().all(|it| it.put_second == Some(1_700_000_000)), "copied, and as old as before");
    assert_eq!(all.len() as u64, OPEN);
}
