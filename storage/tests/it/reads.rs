//! Bodies that are on the disk only: those who take them wait for another thread, and all others are served.

use std::sync::Arc;

use storage::{Attempt, Chore, Durability, Store, Taken};
use storage_testing::CrashDisk;

use crate::driver::options;
use crate::flush::put_only;

const BODY_BYTES: usize = 500;
const DEPTH: u32 = 40;

fn body(number: u32) -> Vec<u8> {
    number.to_le_bytes().repeat(BODY_BYTES / 4)
}

fn put(store: &mut Store, name: &[u8], number: u32) {
    while store.put(name, 0, &body(number)).unwrap() == Attempt::Wait {
        // It waits for a segment, and nothing else is to be done meanwhile.
        let mut chore = store.segment_chore().expect("it waits for that");
        chore.run();
        store.finish_chore(chore).unwrap();
    }
}

/// A store of queues `a` and `b`, with so much memory, on a disk where every read has to wait from now on.
fn deep(memory_bytes: usize) -> (CrashDisk, Store) {
    let disk = CrashDisk::default();
    let (mut store, _) = Store::open(Arc::new(disk.clone()), None, options(Durability::Synced, memory_bytes)).unwrap();
    for number in 0..DEPTH {
        put(&mut store, b"a", number);
        put(&mut store, b"b", number);
        store.settle().unwrap();
    }
    // Nothing that was read or put before is in memory.
    let (mut store, _) = Store::open(Arc::new(disk.clone()), None, options(Durability::Synced, memory_bytes)).unwrap();
    store.let_reads_wait();
    disk.set_reads_wait(true);
    (disk, store)
}

fn the_chore(store: &mut Store) -> Chore {
    assert!(store.wants_read_chore());
    let chore = store.read_chore().unwrap();
    assert!(!store.wants_read_chore(), "one read is enough for all who wait for it");
    chore
}

fn read_all(store: &mut Store) {
    assert!(store.wants_read_chore());
    while let Some(mut chore) = store.read_chore() {
        chore.run();
        store.finish_chore(chore).unwrap();
    }
}

#[track_caller]
fn assert_took(took: Attempt<Option<Taken>>, number: u32) {
    let Attempt::Done(Some(taken)) = took else { panic!("{took:?}") };
    assert_eq!((taken.seq, taken.body.into_vec()), (u64::from(number) + 1, body(number)));
}

#[test]
fn a_take_waits_for_the_disk_and_others_do_not() {
    let (disk, mut store) = deep(4 << 20);
    let before = disk.reads();
    assert_eq!(store.take(b"a").unwrap(), Attempt::Wait);
    let mut chore = the_chore(&mut store);
    // Another client, at the same queue.
    assert_eq!(store.take(b"a").unwrap(), Attempt::Wait);
    assert!(!store.wants_read_chore());
    // And others.
    assert_eq!(store.take(b"none").unwrap(), Attempt::Done(None));
    put(&mut store, b"c", 0);
    assert_took(store.take(b"c").unwrap(), 0);
    assert_eq!(disk.reads(), before, "nobody has read yet");
    chore.run();
    assert_eq!(disk.reads(), before + 1);
    assert_eq!(store.take(b"a").unwrap(), Attempt::Wait, "it is on its way back");
    store.finish_chore(chore).unwrap();
    assert_took(store.take(b"a").unwrap(), 0);
    assert_took(store.take(b"a").unwrap(), 1);
    assert_eq!(disk.reads(), before + 1);
}

#[test]
fn several_reads_are_under_way_at_a_time() {
    let (_, mut store) = deep(100);
    assert_eq!(store.take(b"a").unwrap(), Attempt::Wait);
    let mut first = the_chore(&mut store);
    assert_eq!(store.take(b"b").unwrap(), Attempt::Wait);
    let mut second = the_chore(&mut store);
    second.run();
    store.finish_chore(second).unwrap();
    assert_took(store.take(b"b").unwrap(), 0);
    assert_eq!(store.take(b"a").unwrap(), Attempt::Wait);
    first.run();
    store.finish_chore(first).unwrap();
    assert_took(store.take(b"a").unwrap(), 0);
}

/// However small memory is, and whatever is put meanwhile: what was read is there when it is asked for again.
#[test]
fn what_was_read_stays_until_it_is_taken() {
    for memory_bytes in [0, 1000, 100_000] {
        let (_, mut store) = deep(memory_bytes);
        for number in 0..DEPTH {
            while store.take(b"b").unwrap() == Attempt::Wait {
                read_all(&mut store);
            }
            let mut waits = 0;
            let taken = loop {
                let attempt = store.take(b"a").unwrap();
                if attempt != Attempt::Wait {
                    break attempt;
                }
                waits += 1;
                assert!(waits == 1, "message {number} was read and is asked for again");
                read_all(&mut store);
                (0..20).for_each(|number| put(&mut store, b"c", number));
                store.settle().unwrap();
            };
            assert_took(taken, number);
        }
    }
}

/// What is read may not be wanted any more when it comes, and its file be another.
#[test]
fn a_read_that_comes_too_late_is_no_harm() {
    for way in 0..3 {
        let (disk, mut store) = deep(1000);
        assert_eq!(store.take(b"a").unwrap(), Attempt::Wait);
        let mut chore = the_chore(&mut store);
        if way == 0 {
            chore.run();
        }
        disk.set_reads_wait(false);
        match way {
            0 => (0..DEPTH).for_each(|number| assert_took(store.take(b"a").unwrap(), number)),
            1 => assert_eq!(store.delete(b"a").unwrap(), Attempt::Done(true)),
            _ => assert_eq!(store.flush_all().unwrap(), Attempt::Done(())),
        }
        // Segments go, and come again as others.
        for number in 0..4 * DEPTH {
            put(&mut store, b"c", number);
            store.settle().unwrap();
            assert_took(store.at_once(|store| store.take(b"c")).unwrap().map(Attempt::Done).unwrap(), number);
        }
        disk.set_reads_wait(true);
        chore.run();
        store.finish_chore(chore).unwrap();
        put(&mut store, b"a", 7);
        let taken = store.at_once(|store| store.take(b"a")).unwrap().flatten().unwrap();
        assert_eq!(taken.body.into_vec(), body(7));
        if way != 2 {
            let taken = store.at_once(|store| store.take(b"b")).unwrap().flatten().unwrap();
            assert_eq!((taken.seq, taken.body.into_vec()), (1, body(0)));
        }
    }
}

/// Copying forward reads the oldest segments: that waits too, and is woken.
#[test]
fn copying_forward_waits_for_the_disk() {
    let (disk, mut store) = deep(0);
    // Much is put and taken, and little of it stays: the log is to be copied.
    disk.set_reads_wait(false);
    for number in 0..DEPTH - 1 {
        assert_took(store.take(b"a").unwrap(), number);
    }
    for number in 0..200 {
        put_only(&mut store, b"c", &body(number));
        while let Some(mut commit) = store.begin_commit() {
            commit.run().unwrap();
            store.finish_commit(commit);
        }
        assert_took(store.take(b"c").unwrap(), number);
    }
    disk.set_reads_wait(true);
    let (mut reads, before) = (0, disk.reads());
    for _ in 0..1000 {
        // What is copied needs room.
        while let Some(mut chore) = store.segment_chore() {
            chore.run();
            store.finish_chore(chore).unwrap();
        }
        while store.wants_reclaim() {
            let reads = disk.reads();
            store.reclaim().unwrap();
            assert_eq!(disk.reads(), reads, "it does not read by itself");
            while let Some(mut commit) = store.begin_commit() {
                commit.run().unwrap();
                store.finish_commit(commit);
            }
        }
        if let Some(mut chore) = store.segment_chore() {
            chore.run();
            store.finish_chore(chore).unwrap();
            continue;
        }
        let Some(mut chore) = store.read_chore() else { break };
        assert!(!store.wants_reclaim(), "it has nothing to do before that is read");
        chore.run();
        store.finish_chore(chore).unwrap();
        assert!(store.wants_reclaim(), "and goes on then");
        reads += 1;
    }
    assert!(reads >= 2 && disk.reads() == before + reads, "{reads} reads");
    let totals = store.totals();
    assert!(totals.log_bytes <= 2 * totals.live_bytes + 3 * (16 << 10), "{totals:?}");
}
