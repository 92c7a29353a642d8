//! Where segments come from: a slow disk, a burst, and what fails for now.

use std::sync::Arc;

use storage::{Adopted, Attempt, Chore, Durability, Store, StoreOptions};
use storage_testing::{CrashDisk, Fault, Op, Random};

use crate::driver::{Crash, Driver, options};

const SEGMENT_BYTES: usize = 16 << 10;
const BODY: &[u8] = &[7; 1000];

fn open(disk: &CrashDisk, options: StoreOptions) -> Store {
    Store::open(Arc::new(disk.clone()), None, options).unwrap().0
}

fn commit(store: &mut Store) {
    while let Some(mut commit) = store.begin_commit() {
        commit.run().unwrap();
        store.finish_commit(commit);
    }
}

/// Puts until an empty message even has to wait. Returns how many were put.
fn put_until_wait(store: &mut Store) -> usize {
    let mut puts = 0;
    for body in [BODY, b""] {
        while store.put(b"q", 0, body).unwrap() == Attempt::Done(()) {
            puts += 1;
            assert!(puts < 100_000, "nothing is prepared, and it never waits");
        }
    }
    puts
}

fn finish(store: &mut Store, mut chore: Chore) {
    chore.run();
    store.finish_chore(chore).unwrap();
}

#[test]
fn while_a_segment_is_prepared_sets_wait_and_all_else_goes_on() {
    let disk = CrashDisk::default();
    let mut store = open(&disk, options(Durability::Synced, 1 << 20));
    put_until_wait(&mut store);
    assert!(store.wants_segment_chore(), "what waits is asked again");
    let before = (store.changed(), store.totals(), disk.operations());
    // The disk takes its time over the chore that is out.
    let slow = store.segment_chore().expect("a segment is due");
    assert!(store.segment_chore().is_none(), "one at a time");
    for _ in 0..3 {
        assert_eq!(store.put(b"q", 0, BODY).unwrap(), Attempt::Wait);
        assert_eq!(store.put(b"new", 0, b"").unwrap(), Attempt::Wait);
        assert_eq!(store.create(b"new").unwrap(), Attempt::Wait);
        assert_eq!(
            store.adopt(Adopted { name: b"new", settings: b"", sets: 0, gets: 1, head: 1 }).unwrap(),
            Attempt::Wait
        );
    }
    assert_eq!((store.changed(), store.totals(), disk.operations()), before, "nothing was done");
    assert!(!store.is_full(), "a slow disk is none that is full");

    assert_eq!(store.take(b"nothing").unwrap(), Attempt::Done(None));
    assert_eq!(store.list(0, 10, |line| assert_eq!(&*line.name, b"q")), None);
    commit(&mut store);
    assert_eq!(store.acknowledged(), store.changed());

    finish(&mut store, slow);
    let mut chores = 1;
    while store.put(b"q", 0, BODY).unwrap() == Attempt::Wait {
        let chore = store.segment_chore().expect("what waits for a segment gets one");
        finish(&mut store, chore);
        chores += 1;
    }
    assert!(chores > 2, "a segment is prepared piece by piece");
    put_until_wait(&mut store);
    let _slow = store.segment_chore().expect("a segment is due");
    // Takes have room set aside, and so has what makes room.
    for _ in 0..3 {
        assert!(matches!(store.take(b"q").unwrap(), Attempt::Done(Some(_))));
    }
    assert_eq!(store.flush(b"q").unwrap(), Attempt::Done(()));
    assert_eq!(store.delete(b"q").unwrap(), Attempt::Done(true));
}

/// What waits is asked again whatever happens meanwhile, and in the end it is done: also the largest body, for which the
/// room that is always ready is too little.
#[test]
fn the_largest_body_gets_its_room() {
    for body_bytes in [1, 3000, StoreOptions::body_bytes_max_in(SEGMENT_BYTES as u32)] {
        let options = StoreOptions { body_bytes_max: body_bytes, ..options(Durability::Written, 0) };
        let mut store = open(&CrashDisk::default(), options);
        let body = vec![1; body_bytes];
        for _ in 0..20 {
            let mut chores = 0;
            while store.put(b"q", 0, &body).unwrap() == Attempt::Wait {
                let chore = store.segment_chore().expect("what waits for a segment gets one");
                finish(&mut store, chore);
                chores += 1;
                assert!(chores < 50, "{body_bytes} bytes wait for ever");
            }
        }
    }
}

#[test]
fn a_new_segment_is_many_short_chores_and_one_sync() {
    let disk = CrashDisk::default();
    let options = StoreOptions { segment_bytes: 8 << 20, ..options(Durability::Synced, 1 << 20) };
    let mut store = open(&disk, options);
    put_until_wait(&mut store);
    let (syncs, files) = (disk.syncs(), disk.files().len());
    let (mut chores, mut written_at_once) = (0, 0);
    while disk.files().len() == files || store.put(b"q", 0, BODY).unwrap() == Attempt::Wait {
        let before = disk.bytes();
        let chore = store.segment_chore().expect("a segment is being prepared");
        finish(&mut store, chore);
        written_at_once = written_at_once.max(disk.bytes() - before);
        chores += 1;
    }
    assert!(chores >= 8 && written_at_once <= 1 << 20, "{chores} chores, up to {written_at_once} bytes");
    assert_eq!(disk.syncs() - syncs, 1, "a commit need not wait for a sync a piece");
}

/// A burst fills segments faster than they are made: then more are made before they are needed. They go when it is over.
#[test]
fn a_burst_has_segments_ready_and_an_idle_store_few() {
    let disk = CrashDisk::default();
    let mut store = open(&disk, options(Durability::Synced, 1 << 20));
    let (mut puts, mut waits) = (0, [0, 0]);
    // Each chore takes as long as three puts, and few messages wait.
    let mut at_work = None;
    for n in 0..4000 {
        while store.put(b"q", 0, BODY).unwrap() == Attempt::Wait {
            waits[usize::from(n >= 600)] += 1;
            let chore = at_work.take().or_else(|| store.segment_chore()).expect("it waits for that");
            finish(&mut store, chore);
        }
        puts += 1;
        if n % 300 == 0 {
            store.tick();
        }
        if n % 3 == 0 {
            if let Some(chore) = at_work.take() {
                finish(&mut store, chore);
            }
            at_work = store.segment_chore();
        }
        while puts > 20 {
            assert!(matches!(store.take(b"q").unwrap(), Attempt::Done(Some(_))));
            puts -= 1;
        }
        commit(&mut store);
        while store.reclaim().unwrap() {}
    }
    assert!(waits[0] > 0, "the disk was too fast for a burst");
    assert_eq!(waits[1], 0, "when the burst has lasted two seconds, nothing waits");
    if let Some(chore) = at_work.take() {
        finish(&mut store, chore);
    }
    let after_burst = disk.files().len();
    for _ in 0..60 {
        store.tick();
        store.settle().unwrap();
    }
    let idle = disk.files().len();
    println!("{after_burst} files after the burst, {idle} a minute later");
    assert!(idle < after_burst && idle <= 5, "{after_burst} files after the burst, {idle} a minute later");
}

/// Too few descriptors, too little memory, a signal: all that concerns names is tried again, at each point of a segment's
/// life.
#[test]
fn what_may_pass_is_tried_again() {
    const PASSING: [i32; 5] =
        [4 /* EINTR */, 11 /* EAGAIN */, 12 /* ENOMEM */, 23 /* ENFILE */, 24 /* EMFILE */];
    let mut struck = 0;
    for after in 0..40 {
        for errno in PASSING {
            let mut random = Random::new(after);
            let disk = CrashDisk::default();
            let (mut driver, _) = Driver::open(&disk, None, options(Durability::Synced, 1000)).unwrap();
            driver.may_be_full = true;
            driver.comes_back = false;
            disk.fail(after, Fault::Name { errno });
            for step in 0..1000 {
                driver.random_step(&mut random, 50).unwrap();
                if step % 50 == 0 {
                    driver.store.tick();
                }
            }
            struck += u32::from(disk.has_failed());
            driver.store.tick();
            driver.may_be_full = false;
            driver.settle().unwrap();
            assert!(driver.put(b'a', b"all is well").unwrap());
            driver.commit().unwrap();
            driver.crash(Crash::PowerCut, None, &mut random).unwrap();
        }
    }
    assert!(struck > 100, "only {struck} of the faults were met");
}

/// While the machine has no descriptor left, everything goes on that needs none; sets are refused when there is no room.
#[test]
fn a_store_without_descriptors_goes_on() {
    let disk = CrashDisk::default();
    let (mut driver, _) = Driver::open(&disk, None, options(Durability::Synced, 1 << 20)).unwrap();
    driver.may_be_full = true;
    driver.comes_back = false;
    let mut refused = 0;
    for _ in 0..5 {
        disk.fail_always(Some(Fault::Name { errno: 24 }));
        for _ in 0..100 {
            refused += u32::from(!driver.put(b'a', BODY).unwrap());
            driver.step_segment_chore().unwrap();
            driver.commit().unwrap();
        }
        assert!(
            driver.store.is_full() && !driver.store.wants_segment_chore(),
            "nothing is tried before the next second"
        );
        assert!(driver.now.messages() > 0, "{:?}", driver.store.totals());
        while driver.now.messages() > 1 {
            assert!(driver.take(b'a').unwrap(), "{:?}", driver.store.totals());
        }
        disk.fail_always(None);
        driver.store.tick();
        assert!(driver.put(b'a', BODY).unwrap(), "there are descriptors again");
        assert!(driver.apply(Op::Flush { name: b'a' }).unwrap());
        driver.settle().unwrap();
    }
    assert!(refused > 100);
    driver.crash(Crash::Kill, None, &mut Random::new(1)).unwrap();
}
