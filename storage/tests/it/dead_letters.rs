//! Dead letters: on their way there and back again, in one frame each, so that a crash neither loses nor doubles one.

use storage::{Attempt, Durability, GiveBack, Standing};
use storage_testing::{CrashDisk, CrashTree, Op, Random};

use crate::driver::{Crash, Driver, options};
use crate::opens::{open, passes};

const FAILED: GiveBack = GiveBack { counts: true, not_before: None, bury: false };
const BURIED: GiveBack = GiveBack { counts: true, not_before: None, bury: true };

/// One message to the dead letters and back, with a checkpoint on the way.
fn there_and_back(driver: &mut Driver) -> storage::Result<()> {
    driver.apply(Op::Configure { name: b'a', words: b"tries=1".to_vec() })?;
    driver.put(b'a', b"the one")?;
    driver.commit()?;
    driver.apply(Op::Open { name: b'a' })?;
    driver.apply(Op::GiveBack { name: b'a', seq: 1, back: FAILED })?;
    driver.commit()?;
    driver.pass_time()?;
    driver.commit()?;
    driver.checkpoint()?;
    driver.apply(Op::Kick { name: b'a', count: 1 })?;
    driver.commit()?;
    driver.apply(Op::Open { name: b'a' })?;
    driver.apply(Op::GiveBack { name: b'a', seq: 2, back: BURIED })?;
    driver.pass_time()?;
    driver.commit()
}

#[test]
fn a_dead_letter_is_moved_in_one_frame() {
    for (durability, crash) in [
        (Durability::Synced, Crash::PowerCut),
        (Durability::Synced, Crash::Kill),
        (Durability::Written, Crash::PowerCut),
    ] {
        let mut crash_at = 0;
        loop {
            crash_at += 1;
            let (disk, mut random) = (CrashDisk::default(), Random::new(crash_at));
            let tree = CrashTree::new(&disk);
            let mut driver = Driver::open_with_tree(&disk, tree, options(durability, 1 << 20)).unwrap().0;
            disk.crash_at(disk.operations() + crash_at);
            let ended = there_and_back(&mut driver);
            if !disk.has_crashed() {
                ended.unwrap();
                assert_eq!(driver.now.numbers(&b'A', Standing::Waiting).len(), 1);
                break;
            }
            let was_safe = driver.store.acknowledged() >= 2;
            let mut driver = driver.crash(crash, None, &mut random).unwrap().0;
            let copies = |driver: &Driver| driver.now.messages();
            assert!(copies(&driver) <= 1, "in both: {:?}", driver.now.queues);
            assert!(copies(&driver) == 1 || !was_safe || durability == Durability::Written, "lost: {:?}", driver.now);
            let before = copies(&driver);
            passes(&mut driver, 1000);
            assert_eq!(copies(&driver), before);
            assert_eq!(driver.now.numbers(&b'a', Standing::Dying).len(), 0, "it gets there after a restart too");
        }
        println!("{durability:?} {crash:?}: {crash_at} operations");
        assert!(crash_at > 12, "a workload that does something: {crash_at}");
    }
}

#[test]
fn a_dead_letter_that_is_buried_stays_where_it_is() {
    let disk = CrashDisk::default();
    let mut driver = open(&disk, false);
    driver.put(b'a', b"poison").unwrap();
    driver.apply(Op::Open { name: b'a' }).unwrap();
    driver.apply(Op::GiveBack { name: b'a', seq: 1, back: BURIED }).unwrap();
    passes(&mut driver, 0);
    assert!(driver.apply(Op::Open { name: b'A' }).unwrap());
    driver.apply(Op::GiveBack { name: b'A', seq: 1, back: BURIED }).unwrap();
    passes(&mut driver, 1000);
    assert_eq!(driver.now.numbers(&b'A', Standing::Waiting), [1]);
    assert_eq!(driver.store.names().count(), 2, "of dead letters there are none");
}

/// What was kicked grows old as what was put.
#[test]
fn a_message_that_was_kicked_grows_old() {
    let disk = CrashDisk::default();
    let mut driver = open(&disk, false);
    driver.apply(Op::Configure { name: b'a', words: b"age=10".to_vec() }).unwrap();
    driver.put(b'a', b"x").unwrap();
    driver.apply(Op::Open { name: b'a' }).unwrap();
    driver.apply(Op::GiveBack { name: b'a', seq: 1, back: BURIED }).unwrap();
    // The time that was set for the first message is over.
    passes(&mut driver, 20_000);
    driver.apply(Op::Kick { name: b'a', count: 1 }).unwrap();
    passes(&mut driver, 9000);
    assert_eq!(driver.now.numbers(&b'a', Standing::Waiting), [2]);
    passes(&mut driver, 2000);
    assert_eq!(driver.now.messages(), 0, "{:?}", driver.now);
}

/// A flush of a queue and of its dead letters is one change: a crash leaves both or neither.
#[test]
fn a_queue_and_its_dead_letters_are_flushed_in_one_frame() {
    let disk = CrashDisk::default();
    let mut driver = Driver::open(&disk, None, options(Durability::Synced, 1 << 20)).unwrap().0;
    let mut waits = 0;
    for _ in 0..600 {
        for name in [&b"a"[..], b"a dead"] {
            driver.store.at_once(|s| s.put(name, 0, b"x")).unwrap().unwrap();
        }
        // A record at a time, up to the end of each segment.
        while driver.store.flush(b"a").unwrap() == Attempt::Wait {
            waits += 1;
            assert_eq!(driver.store.totals().messages, 2, "it waits, and dropped some");
            let mut chore = driver.store.segment_chore().expect("it waits for a segment");
            chore.run();
            driver.store.finish_chore(chore).unwrap();
        }
        assert_eq!(driver.store.totals().messages, 0);
    }
    println!("{waits} flushes had to wait");
}
