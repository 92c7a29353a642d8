//! Messages that are open or kept back, and what they have beside their bodies: through checkpoints, copying forward and
//! crashes.

use storage::{Attempt, Durability, GiveBack, Opening, Standing, StoreOptions};
use storage_testing::{CrashDisk, CrashTree, Kept, Op, Random};

use crate::driver::{Crash, Driver, options};

const FAILED: GiveBack = GiveBack { counts: true, not_before: None, bury: false };

fn roomy() -> StoreOptions {
    StoreOptions { segment_bytes: 64 << 10, commit_bytes_max: 32 << 10, ..options(Durability::Synced, 1 << 20) }
}

pub(crate) fn open(disk: &CrashDisk, with_index: bool) -> Driver {
    let opened = match with_index {
        true => Driver::open_with_tree(disk, CrashTree::new(disk), roomy()),
        false => Driver::open(disk, None, roomy()),
    };
    opened.unwrap().0
}

fn fill(driver: &mut Driver, name: u8, messages: u64) {
    for n in 0..messages {
        assert!(driver.put(name, &(n as u32).to_le_bytes()).unwrap());
    }
}

/// Fills another queue and empties it until the log has gone round, so that all that lives was copied forward.
fn go_round(driver: &mut Driver) {
    for _ in 0..4 {
        fill(driver, b'z', 3000);
        while driver.take(b'z').unwrap() {}
        driver.settle().unwrap();
    }
    let first = driver.disk.files().into_iter().min().unwrap();
    assert!(first.as_str() > "0000000002.log", "the log has gone round: {first}");
}

pub(crate) fn passes(driver: &mut Driver, ms: u64) {
    let unix_ms = driver.now.now_ms + ms;
    driver.apply(Op::SetTime { unix_ms }).unwrap();
    driver.pass_time().unwrap();
}

/// Four messages: one that was tried twice, one that is kept back since, one that was put so, one that ends.
fn with_states(driver: &mut Driver) {
    driver.apply(Op::Configure { name: b'a', words: b"ttl=client".to_vec() }).unwrap();
    fill(driver, b'a', 2);
    let until = driver.now.now_ms + 3_600_000;
    for (seq, not_before) in [(1, None), (1, None), (2, Some(until))] {
        if seq == 2 {
            driver.apply(Op::Open { name: b'a' }).unwrap();
        }
        driver.apply(Op::Open { name: b'a' }).unwrap();
        driver.apply(Op::GiveBack { name: b'a', seq, back: GiveBack { not_before, ..FAILED } }).unwrap();
    }
    for (delay_s, exptime) in [(Some(7200), 0), (None, 9000)] {
        driver.apply(Op::PutWith { name: b'a', flags: 1, body: b"x".to_vec(), delay_s, exptime }).unwrap();
    }
    driver.commit().unwrap();
}

fn assert_states(driver: &Driver, began_ms: u64) {
    let kept: Vec<Kept> = driver.now.kept[&b'a'].values().copied().collect();
    let put_s = (began_ms / 1000) as u32;
    let expected = [(2, 0, 0), (1, 3_600_000, 0), (0, 7_200_000, 0), (0, 0, 9_000_000)];
    let at = |ms: u64| if ms == 0 { 0 } else { began_ms + ms };
    let expected = expected.map(|(tries, not_before, expires)| Kept {
        put_s,
        tries,
        not_before: at(not_before),
        expires: at(expires),
    });
    assert_eq!(kept, expected);
}

#[test]
fn a_state_is_in_a_checkpoint() {
    let (disk, mut random) = (CrashDisk::default(), Random::new(1));
    let mut driver = open(&disk, true);
    let began_ms = driver.now.now_ms;
    with_states(&mut driver);
    // Behind the checkpoint nothing says it again.
    driver.checkpoint().unwrap();
    let (driver, recovered) = driver.crash(Crash::PowerCut, None, &mut random).unwrap();
    assert!(recovered.from_index && recovered.frames < 3, "{recovered:?}");
    assert_states(&driver, began_ms);
}

#[test]
fn a_state_is_copied_forward() {
    for with_index in [false, true] {
        let (disk, mut random) = (CrashDisk::default(), Random::new(2));
        let mut driver = open(&disk, with_index);
        let began_ms = driver.now.now_ms;
        with_states(&mut driver);
        passes(&mut driver, 5000);
        go_round(&mut driver);
        driver = driver.crash(Crash::PowerCut, None, &mut random).unwrap().0;
        assert_states(&driver, began_ms);
        go_round(&mut driver);
        let driver = driver.crash(Crash::Kill, None, &mut random).unwrap().0;
        assert_states(&driver, began_ms);
    }
}

/// The end of one message is not that of another, and brings none back that is out.
#[test]
fn an_acknowledged_message_brings_no_other_back() {
    let (disk, mut random) = (CrashDisk::default(), Random::new(3));
    let mut driver = open(&disk, false);
    fill(&mut driver, b'a', 6);
    (0..4).for_each(|_| assert!(driver.apply(Op::Open { name: b'a' }).unwrap()));
    assert!(driver.apply(Op::Acknowledge { name: b'a', seq: 2 }).unwrap());
    assert!(driver.apply(Op::TakeMessage { name: b'a', seq: 5 }).unwrap());
    assert!(driver.apply(Op::GiveBack { name: b'a', seq: 3, back: FAILED }).unwrap());
    driver.now.check_standing(&mut driver.store);
    assert_eq!(driver.now.numbers(&b'a', Standing::Open), [1, 4]);
    // In the order of their numbers, each once.
    assert!(driver.take(b'a').unwrap() && driver.take(b'a').unwrap() && !driver.take(b'a').unwrap());
    driver.commit().unwrap();
    let mut driver = driver.crash(Crash::PowerCut, None, &mut random).unwrap().0;
    assert_eq!(driver.now.numbers(&b'a', Standing::Waiting), [1, 4]);
    assert!(driver.take(b'a').unwrap() && driver.take(b'a').unwrap() && !driver.take(b'a').unwrap());
}

/// Whatever else happens to its queue, an open message is handed out to no other until it is back.
#[test]
fn an_open_message_is_handed_out_to_no_other() {
    let disk = CrashDisk::default();
    let mut driver = open(&disk, true);
    fill(&mut driver, b'a', 10);
    (0..10).for_each(|_| assert!(driver.apply(Op::Open { name: b'a' }).unwrap()));
    for seq in [3, 7] {
        driver.apply(Op::GiveBack { name: b'a', seq, back: FAILED }).unwrap();
        driver.apply(Op::Open { name: b'a' }).unwrap();
    }
    driver.apply(Op::Flush { name: b'a' }).unwrap();
    go_round(&mut driver);
    driver.checkpoint().unwrap();
    driver.apply(Op::Configure { name: b'a', words: b"age=1 tries=9".to_vec() }).unwrap();
    passes(&mut driver, 100_000);
    assert!(!driver.take(b'a').unwrap() && !driver.apply(Op::Open { name: b'a' }).unwrap());
    assert_eq!(driver.now.numbers(&b'a', Standing::Open).len(), 10);
    let store = &mut driver.store;
    assert_eq!(store.peek(b"a").unwrap(), Attempt::Done(None));
    let queue = store.id_of(b"a").unwrap();
    for seq in 1..=10 {
        assert_eq!(store.acknowledge(queue, seq).unwrap(), Attempt::Done(true));
        assert_eq!(store.acknowledge(queue, seq).unwrap(), Attempt::Done(false), "it is gone");
    }
}

#[test]
fn no_open_survives_a_restart() {
    for crash in [Crash::Kill, Crash::PowerCut] {
        let disk = CrashDisk::default();
        let mut driver = open(&disk, true);
        fill(&mut driver, b'a', 5);
        (0..3).for_each(|_| assert!(driver.apply(Op::Open { name: b'a' }).unwrap()));
        driver.checkpoint().unwrap();
        driver.apply(Op::Acknowledge { name: b'a', seq: 2 }).unwrap();
        driver.commit().unwrap();
        let driver = driver.crash(crash, None, &mut Random::new(4)).unwrap().0;
        assert_eq!(driver.now.numbers(&b'a', Standing::Waiting), [1, 3, 4, 5]);
    }
}

/// What comes back has its age, and the queue looks at it then: not when the next one is too old.
#[test]
fn a_message_that_comes_back_may_be_too_old() {
    let disk = CrashDisk::default();
    let mut driver = open(&disk, false);
    driver.apply(Op::Configure { name: b'a', words: b"age=10".to_vec() }).unwrap();
    fill(&mut driver, b'a', 1);
    driver.apply(Op::Open { name: b'a' }).unwrap();
    passes(&mut driver, 9000);
    fill(&mut driver, b'a', 1);
    passes(&mut driver, 2000);
    driver.apply(Op::GiveBack { name: b'a', seq: 1, back: FAILED }).unwrap();
    driver.pass_time().unwrap();
    assert_eq!(driver.now.numbers(&b'a', Standing::Waiting), [2]);
}

#[test]
fn a_smaller_age_holds_at_once() {
    let disk = CrashDisk::default();
    let mut driver = open(&disk, false);
    driver.apply(Op::Configure { name: b'a', words: b"age=1000".to_vec() }).unwrap();
    fill(&mut driver, b'a', 2);
    passes(&mut driver, 5000);
    driver.apply(Op::Configure { name: b'a', words: b"age=2".to_vec() }).unwrap();
    driver.pass_time().unwrap();
    assert_eq!(driver.now.queues[&b'a'].messages.len(), 0);
}

/// A message keeps the time of its put, however often it is copied.
#[test]
fn a_message_that_is_copied_forward_keeps_its_age() {
    for with_index in [false, true] {
        let (disk, mut random) = (CrashDisk::default(), Random::new(5));
        let mut driver = open(&disk, with_index);
        driver.apply(Op::Configure { name: b'a', words: b"age=1000".to_vec() }).unwrap();
        for _ in 0..3 {
            fill(&mut driver, b'a', 1);
            passes(&mut driver, 100_000);
        }
        go_round(&mut driver);
        let mut driver = driver.crash(Crash::PowerCut, None, &mut random).unwrap().0;
        go_round(&mut driver);
        driver = driver.crash(Crash::PowerCut, None, &mut random).unwrap().0;
        let passed_ms = driver.now.now_ms % 1000;
        passes(&mut driver, 805_000 - passed_ms);
        assert_eq!(driver.now.numbers(&b'a', Standing::Waiting), [3], "{:?}", driver.now.kept);
    }
}

/// What is due and has to wait for the disk is done when that has gone on.
#[test]
fn what_is_due_is_done_when_the_disk_has_gone_on() {
    let disk = CrashDisk::default();
    let mut driver = Driver::open(&disk, None, options(Durability::Synced, 1 << 20)).unwrap().0;
    driver.apply(Op::Configure { name: b'a', words: b"age=1".to_vec() }).unwrap();
    fill(&mut driver, b'a', 3000);
    driver.commit().unwrap();
    let store = &mut driver.store;
    store.set_time(driver.now.now_ms + 5000);
    let mut held_up = 0;
    for _ in 0..1000 {
        while store.pass_time(100).unwrap() {}
        if store.totals().messages == 0 {
            break;
        }
        held_up += 1;
        assert_eq!(store.next_due(), None, "it is held up");
        let mut chore = store.segment_chore().expect("it waits for a segment");
        chore.run();
        store.finish_chore(chore).unwrap();
    }
    assert!(store.totals().messages == 0 && held_up > 0, "{held_up}: {:?}", store.totals());
}

/// The oldest message makes room for another when there is room for that in the log, and not before.
#[test]
fn no_message_makes_room_for_one_that_does_not_come() {
    let disk = CrashDisk::default();
    let mut driver = Driver::open(&disk, None, options(Durability::Synced, 1 << 20)).unwrap().0;
    driver.apply(Op::Configure { name: b'a', words: b"depth=2 full=drop".to_vec() }).unwrap();
    let mut waits = 0;
    for n in 0..400u32 {
        let before = driver.store.inspect(b"a");
        match driver.store.put(b"a", n, &[7; 500]).unwrap() {
            Attempt::Done(()) => assert!(driver.store.totals().messages <= 2),
            Attempt::Wait => {
                waits += 1;
                assert_eq!(driver.store.inspect(b"a"), before, "it waits, and dropped one");
                let mut chore = driver.store.segment_chore().expect("it waits for a segment");
                chore.run();
                driver.store.finish_chore(chore).unwrap();
            }
            Attempt::NoRoom => panic!("there is room: {:?}", driver.store.totals()),
        }
    }
    assert!(waits > 5, "{waits} puts had to wait");
}

/// What messages have beside their bodies lives too: a log of the shortest messages that all have something comes to rest.
#[test]
fn short_messages_with_states_are_not_copied_for_ever() {
    let disk = CrashDisk::default();
    let mut driver = Driver::open(&disk, None, options(Durability::Synced, 1 << 20)).unwrap().0;
    driver.comes_back = false;
    let store = &mut driver.store;
    let with = storage::PutWith { delay_s: Some(1000), exptime: 0 };
    for _ in 0..8000 {
        store.at_once(|s| s.put_with(b"a", 0, b"", with)).unwrap().unwrap();
    }
    for _ in 0..2000 {
        if !store.wants_reclaim() {
            break;
        }
        store.reclaim().unwrap();
        store.at_once(|s| s.create(b"a")).unwrap().unwrap();
        while let Some(mut commit) = store.begin_commit() {
            commit.run().unwrap();
            store.finish_commit(commit);
        }
        while let Some(mut chore) = store.segment_chore() {
            chore.run();
            store.finish_chore(chore).unwrap();
        }
    }
    assert!(!store.wants_reclaim(), "there is no end of copying: {:?}", store.totals());
}

/// As many are open as may be, and then there is room again.
#[test]
fn no_more_are_open_than_may_be() {
    let disk = CrashDisk::default();
    let mut driver = open(&disk, false);
    driver.apply(Op::Configure { name: b'a', words: b"open=2".to_vec() }).unwrap();
    fill(&mut driver, b'a', 3);
    (0..2).for_each(|_| assert!(driver.apply(Op::Open { name: b'a' }).unwrap()));
    assert_eq!(driver.store.open_next(b"a").unwrap(), Attempt::Done(Opening::Full));
    driver.apply(Op::Acknowledge { name: b'a', seq: 1 }).unwrap();
    assert!(driver.apply(Op::Open { name: b'a' }).unwrap());
    let mut open_full = 0;
    driver.store.figures(0, 9, b"", |figures| open_full = figures.open_full);
    assert_eq!(open_full, 1);
}

/// Bodies of open messages leave memory as others do, and each is read once.
#[test]
fn a_deep_queue_that_is_open_passes_through_a_small_memory() {
    const BUDGET: u64 = 10_000;
    let disk = CrashDisk::default();
    let mut driver = Driver::open(&disk, None, options(Durability::Synced, BUDGET as usize)).unwrap().0;
    for n in 0..5000u32 {
        driver.put(b'a', &n.to_le_bytes().repeat(10)).unwrap();
        if n % 100 == 0 {
            driver.commit().unwrap();
        }
    }
    driver.commit().unwrap();
    let (before, store) = (disk.bytes_read(), &mut driver.store);
    for n in 0..5000u32 {
        let Some(Opening::Message(opened)) = store.at_once(|s| s.open_next(b"a")).unwrap() else {
            panic!("it is there")
        };
        assert_eq!(*opened.body, *n.to_le_bytes().repeat(10));
        let resident = store.totals().resident_bytes;
        assert!(resident <= BUDGET, "{resident} bytes in memory at message {n}");
    }
    let read = disk.bytes_read() - before;
    assert!(read <= 2 * 5000 * 70, "every message was read once, not {read} bytes");
    let queue = store.id_of(b"a").unwrap();
    for n in (0..5000u32).rev() {
        let read = store.at_once(|s| s.read_open(queue, u64::from(n) + 1)).unwrap().flatten().unwrap();
        assert_eq!(*read.body, *n.to_le_bytes().repeat(10));
        assert!(store.totals().resident_bytes <= BUDGET, "{:?}", store.totals());
    }
}
