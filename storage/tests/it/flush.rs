//! What deletes and flushes cost, however much they drop: little at once, and the rest a step at a time.

use std::path::PathBuf;
use std::sync::Arc;

use storage::{Attempt, Durability, Store, StoreOptions};
use storage_testing::{CrashDisk, Op, Random};

use crate::crash::Scratch;
use crate::driver::{Crash, Driver, copy_of, options};

/// More than one step of anything looks at.
const QUEUES: u32 = 10_000;
/// Of messages in the log: a put with a body of four bytes.
const PUT_BYTES: u64 = 29 + 4;
/// Messages that are given back in one step, at most.
const STEP_ITEMS_MAX: u64 = 2048;

fn roomy() -> StoreOptions {
    StoreOptions { segment_bytes: 1 << 20, commit_bytes_max: 1 << 20, ..options(Durability::Synced, 16 << 20) }
}

fn open(disk: &CrashDisk, index: Option<PathBuf>) -> Store {
    Store::open(Arc::new(disk.clone()), index, roomy()).unwrap().0
}

fn name(number: u32) -> Vec<u8> {
    format!("queue-{number}").into_bytes()
}

fn put(store: &mut Store, number: u32) {
    let done = store.at_once(|store| store.put(&name(number), 0, &number.to_le_bytes())).unwrap();
    assert_eq!(done, Some(()));
}

/// Puts, and waits for nothing but another segment: nothing is committed or reclaimed by it.
pub(crate) fn put_only(store: &mut Store, name: &[u8], body: &[u8]) {
    while store.put(name, 0, body).unwrap() != Attempt::Done(()) {
        let mut chore = store.segment_chore().expect("it waits for a segment");
        chore.run();
        store.finish_chore(chore).unwrap();
    }
}

/// Puts a message into each queue.
fn fill(store: &mut Store) {
    for number in 0..QUEUES {
        put(store, number);
    }
    store.settle().unwrap();
}

/// Bytes of all commits until there is nothing left to commit.
fn commit(store: &mut Store) -> usize {
    let mut bytes = 0;
    while let Some(mut commit) = store.begin_commit() {
        commit.run().unwrap();
        bytes += commit.bytes();
        store.finish_commit(commit);
    }
    bytes
}

/// Reclaims until there is nothing to do, and looks at each step.
fn reclaim_in_steps(store: &mut Store) -> u32 {
    let mut steps = 0;
    while store.wants_reclaim() {
        let before = store.totals().live_bytes;
        store.reclaim().unwrap();
        let given_back = before - store.totals().live_bytes;
        assert!(given_back <= STEP_ITEMS_MAX * PUT_BYTES, "{given_back} bytes in one step");
        steps += 1;
    }
    steps
}

#[test]
fn a_flush_of_all_queues_is_a_few_bytes_and_then_steps() {
    let mut store = open(&CrashDisk::default(), None);
    fill(&mut store);
    assert_eq!(store.flush_all().unwrap(), Attempt::Done(()));
    let bytes = commit(&mut store);
    assert!(bytes < 100, "{bytes} bytes for {QUEUES} queues");
    let totals = store.totals();
    assert_eq!((totals.messages, totals.queues), (0, u64::from(QUEUES)), "it has happened at once");
    assert_eq!(store.take(&name(7)).unwrap(), Attempt::Done(None));
    assert!(totals.live_bytes > u64::from(QUEUES) * PUT_BYTES, "what it costs comes later");
    put(&mut store, 3);
    put(&mut store, QUEUES + 1);
    let steps = reclaim_in_steps(&mut store);
    assert!(steps >= 2 * QUEUES / STEP_ITEMS_MAX as u32, "{steps} steps");
    let totals = store.totals();
    assert_eq!((totals.messages, totals.resident_bytes), (2, 2 * (4 + 16)));
    assert!(totals.live_bytes < u64::from(QUEUES) * (45 + 12) + 200, "{totals:?}: only records and two messages");
    // And nothing for nothing.
    commit(&mut store);
    assert!(store.take(&name(3)).unwrap() != Attempt::Done(None));
    assert!(store.take(&name(QUEUES + 1)).unwrap() != Attempt::Done(None));
    commit(&mut store);
    assert_eq!(store.flush_all().unwrap(), Attempt::Done(()));
    assert!(!store.wants_commit() && !store.wants_reclaim());
}

#[test]
fn a_deep_queue_is_dropped_in_steps() {
    for delete in [true, false] {
        let mut store = open(&CrashDisk::default(), None);
        for _ in 0..5 * STEP_ITEMS_MAX {
            put(&mut store, 1);
        }
        store.settle().unwrap();
        let before = store.totals();
        let done = match delete {
            true => store.delete(&name(1)).unwrap().map(drop),
            false => store.flush(&name(1)).unwrap(),
        };
        assert_eq!(done, Attempt::Done(()));
        commit(&mut store);
        let after = store.totals();
        assert_eq!((after.messages, after.resident_bytes), (0, 0));
        assert!(before.live_bytes - after.live_bytes < 100 * PUT_BYTES, "{before:?}, {after:?}");
        assert!(reclaim_in_steps(&mut store) >= 5);
        assert!(store.totals().live_bytes < 100);
    }
}

/// Large bodies cost by their bytes: what the allocator gives back to the kernel.
#[test]
fn large_bodies_are_dropped_by_their_bytes() {
    let options = StoreOptions { body_bytes_max: 256 << 10, memory_bytes: 64 << 20, ..roomy() };
    let (mut store, _) = Store::open(Arc::new(CrashDisk::default()), None, options).unwrap();
    for _ in 0..100 {
        store.at_once(|store| store.put(b"q", 0, &vec![7; 256 << 10])).unwrap();
    }
    store.settle().unwrap();
    assert_eq!(store.flush_all().unwrap(), Attempt::Done(()));
    commit(&mut store);
    let (mut steps, mut before) = (0, store.totals().live_bytes);
    while store.totals().live_bytes > 1 << 20 {
        store.reclaim().unwrap();
        let now = store.totals().live_bytes;
        assert!(before - now <= (4 << 20) + (257 << 10), "{} bytes in one step", before - now);
        (steps, before) = (steps + 1, now);
    }
    assert!(steps >= 5, "{steps} steps");
}

/// A frame may hold tens of thousands of small messages. They are not copied at once.
#[test]
fn small_messages_are_copied_forward_in_steps() {
    let mut store = open(&CrashDisk::default(), None);
    for _ in 0..10 * STEP_ITEMS_MAX {
        put_only(&mut store, &name(1), b"four");
    }
    assert!(commit(&mut store) as u64 > 10 * STEP_ITEMS_MAX * PUT_BYTES);
    for _ in 0..1500 {
        put_only(&mut store, b"large", &[7; 3000]);
        commit(&mut store);
        assert!(store.at_once(|store| store.take(b"large")).unwrap().is_some());
    }
    commit(&mut store);
    let mut steps = 0;
    while store.wants_reclaim() {
        store.reclaim().unwrap();
        let bytes = commit(&mut store);
        assert!(bytes as u64 <= STEP_ITEMS_MAX * PUT_BYTES + 200, "{bytes} bytes are copied in one step");
        steps += u64::from(bytes > 1000);
    }
    assert!(steps >= 10, "{steps} steps");
    assert_eq!(store.totals().messages, 10 * STEP_ITEMS_MAX);
}

/// Whatever is killed: all queues are empty afterwards, or none.
#[test]
fn a_flush_of_all_queues_happens_or_does_not() {
    for durability in [Durability::Synced, Durability::Written] {
        for crash_at in 1.. {
            let mut random = Random::new(crash_at);
            let disk = CrashDisk::default();
            let (mut driver, _) = Driver::open(&disk, None, options(durability, 1000)).unwrap();
            for queue in b'!'..=b'~' {
                driver.put(queue, b"some message").unwrap();
            }
            driver.settle().unwrap();
            disk.crash_at(disk.operations() + crash_at);
            let done =
                driver.apply(Op::FlushAll).and_then(|_| driver.put(b'a', b"later")).and_then(|_| driver.settle());
            let crashed = disk.has_crashed();
            assert!(done.is_ok() != crashed);
            driver = driver.crash(Crash::PowerCut, None, &mut random).unwrap().0;
            driver.settle().unwrap();
            driver.crash(Crash::Kill, None, &mut random).unwrap();
            if !crashed {
                break;
            }
        }
    }
}

/// A checkpoint's records are written while the queues go on: some know of a flush that is replayed over them, and what
/// was put behind it must stay.
#[test]
fn a_flush_of_all_queues_within_a_checkpoint() {
    let scratch = Scratch::new("flush");
    for (at, steps) in (0..14).enumerate() {
        let (disk, index) = (CrashDisk::default(), scratch.0.join(at.to_string()));
        let mut store = open(&disk, Some(index.clone()));
        fill(&mut store);
        let asked = store.request_checkpoint();
        let (mut taken, mut flushed) = (0, false);
        while store.checkpoints_finished() < asked {
            if taken == steps {
                flushed = true;
                // Some that are put to before it, and some behind it; some of them are new.
                (0..QUEUES).step_by(3).for_each(|number| put(&mut store, number));
                assert_eq!(store.flush_all().unwrap(), Attempt::Done(()));
                (0..QUEUES + 100).step_by(7).for_each(|number| put(&mut store, number));
            }
            if let Some(mut chore) = store.index_chore() {
                chore.run();
                store.finish_chore(chore).unwrap();
            }
            commit(&mut store);
            taken += 1;
        }
        println!("flushed after {steps} of {taken} steps");
        assert_eq!(flushed, steps < taken);
        let there = store.totals();
        drop(store);
        let (mut store, recovered) = Store::open(Arc::new(disk.clone()), Some(copy_of(&index)), roomy()).unwrap();
        assert!(recovered.from_index);
        let totals = store.totals();
        assert_eq!((totals.messages, totals.queues), (there.messages, there.queues));
        for number in 0..QUEUES + 100 {
            let waits = if flushed { number % 7 == 0 } else { number < QUEUES };
            let taken = store.at_once(|store| store.take(&name(number))).unwrap().flatten();
            assert_eq!(taken.map(|taken| taken.body), waits.then(|| Box::from(number.to_le_bytes())), "queue {number}");
        }
        if !flushed {
            assert!(steps > 5, "it was flushed at each step that there is");
            return;
        }
    }
    panic!("a checkpoint with more steps than are tried");
}
