//! Disks that fail, and disks that are full.

use storage::{Durability, Error};
use storage_testing::{CrashDisk, Fault, Op, Random};

use crate::driver::{Crash, Driver, options};

const SEGMENT_BYTES: usize = 16 << 10;

fn open(disk: &CrashDisk) -> Driver {
    Driver::open(disk, None, options(Durability::Synced, 1000)).unwrap().0
}

/// Everything that a store has to do, until an error.
fn work(driver: &mut Driver, random: &mut Random) -> Error {
    loop {
        if let Err(error) = driver.random_step(random, 60) {
            return error;
        }
    }
}

#[test]
fn a_failing_disk_is_an_error_and_acknowledges_nothing() {
    for after in 0..60 {
        for fault in [Fault::Sync, Fault::Write { after_bytes: 0 }, Fault::Write { after_bytes: 100 }] {
            let mut random = Random::new(after);
            let disk = CrashDisk::default();
            let mut driver = open(&disk);
            disk.fail(after, fault);
            let error = work(&mut driver, &mut random);
            assert!(matches!(error, Error::Io { .. }), "{error}");
            assert!(!error.is_full());
            assert!(error.to_string().contains(".log failed"), "it names the file: {error}");
            for crash in [Crash::Kill, Crash::PowerCut] {
                driver = driver.crash(crash, None, &mut random).unwrap().0;
            }
        }
    }
}

/// Puts until the disk is full.
fn fill(driver: &mut Driver, body: &[u8]) {
    driver.may_be_full = true;
    // When there is no room for such a body, there may be for an empty one.
    for body in [body, b""] {
        while driver.put(b'a', body).unwrap() {
            driver.step_commit().unwrap();
        }
    }
    assert!(driver.store.is_full());
    driver.now.check(&driver.store);
}

fn take_all(driver: &mut Driver) {
    while driver.now.messages() > 0 {
        let taken = driver.take(b'a').unwrap();
        assert!(taken, "a get on a full disk, {:?}", driver.store.totals());
        // The worst case: every get in a frame of its own.
        driver.commit().unwrap();
        while driver.store.reclaim().unwrap() {}
        driver.step_segment_chore().unwrap();
    }
}

#[test]
fn a_full_disk_refuses_sets_and_goes_on_when_it_was_drained() {
    for body in [1500, 400, 100] {
        let mut random = Random::new(1);
        let disk = CrashDisk::default();
        disk.set_bytes_max(Some(8 * SEGMENT_BYTES + 1000));
        let mut driver = open(&disk);
        for _ in 0..3 {
            fill(&mut driver, &vec![1; body]);
            assert!(!driver.put(b'b', b"").unwrap(), "a new queue neither");
            assert!(!driver.apply(Op::Create { name: b'c' }).unwrap());
            driver.commit().unwrap();
            driver = driver.crash(Crash::PowerCut, None, &mut random).unwrap().0;
            driver.may_be_full = true;
            take_all(&mut driver);
            driver.settle().unwrap();
            let done = driver.put(b'a', b"there is room again").unwrap();
            assert!(done, "{body} bytes: {:?}, {:?}", driver.store.totals(), disk.files());
        }
        driver.commit().unwrap();
        driver.crash(Crash::PowerCut, None, &mut random).unwrap();
    }
}

/// The smaller the messages, the more room the gets need to empty a segment. Below the size of a get with a frame of its
/// own, nothing that is set aside would be enough.
#[test]
fn a_full_disk_of_small_messages_can_be_drained() {
    for body in [40, 60, 100] {
        let disk = CrashDisk::default();
        disk.set_bytes_max(Some(8 * SEGMENT_BYTES));
        let mut driver = open(&disk);
        fill(&mut driver, &vec![1; body]);
        driver.commit().unwrap();
        println!("{body} bytes: {:?}", driver.store.totals());
        take_all(&mut driver);
    }
}

/// Dead segments leave only after a sync, and only when a frame can be written that says so.
#[test]
fn a_full_disk_whose_last_byte_is_used_comes_back_with_the_next_sync() {
    for body in 100..120 {
        let disk = CrashDisk::default();
        disk.set_bytes_max(Some(8 * SEGMENT_BYTES));
        let (mut driver, _) = Driver::open(&disk, None, options(Durability::Written, 1000)).unwrap();
        fill(&mut driver, &vec![1; body]);
        driver.commit().unwrap();
        while driver.take(b'a').unwrap() {
            while driver.step_commit().unwrap() {}
        }
        assert!(driver.now.messages() > 0, "without a sync, the gets must come to an end");
        driver.settle().unwrap();
        take_all(&mut driver);
        driver.settle().unwrap();
        assert!(driver.put(b'a', b"there is room again").unwrap());
    }
}

#[test]
fn a_full_disk_goes_on_when_there_is_room() {
    for files in [false, true] {
        let mut random = Random::new(1);
        let disk = CrashDisk::default();
        let mut driver = open(&disk);
        if files {
            disk.set_files_max(Some(4));
        } else {
            disk.set_bytes_max(Some(4 * SEGMENT_BYTES + 77));
        }
        fill(&mut driver, &[1; 500]);
        driver.settle().unwrap();
        assert!(!driver.put(b'a', b"still full").unwrap());
        assert_eq!(disk.bytes() % SEGMENT_BYTES, 0, "no half-made file is left");
        disk.set_bytes_max(None);
        disk.set_files_max(None);
        assert!(!driver.put(b'a', b"nobody has looked yet").unwrap());
        driver.store.tick();
        assert!(driver.put(b'a', b"now").unwrap());
        driver.may_be_full = false;
        for _ in 0..100 {
            driver.put(b'a', &[2; 1000]).unwrap();
        }
        driver.commit().unwrap();
        driver.crash(Crash::PowerCut, None, &mut random).unwrap();
    }
}

#[test]
fn deletes_and_flushes_make_room_on_a_full_disk() {
    for op in [Op::Delete { name: b'a' }, Op::Flush { name: b'a' }, Op::FlushAll] {
        let mut random = Random::new(1);
        let disk = CrashDisk::default();
        let mut driver = open(&disk);
        disk.set_bytes_max(Some(6 * SEGMENT_BYTES));
        fill(&mut driver, &[1; 500]);
        driver.commit().unwrap();
        driver.apply(op).unwrap();
        driver.now.check(&driver.store);
        driver.settle().unwrap();
        assert!(driver.put(b'a', &[2; 500]).unwrap());
        driver.commit().unwrap();
        driver.crash(Crash::PowerCut, None, &mut random).unwrap();
    }
}

/// When takes have used up what is set aside for them, and nothing comes back before the next sync.
#[test]
fn deletes_and_flushes_are_done_when_even_takes_are_refused() {
    const QUEUES: u8 = 10;
    for op in [Op::Delete { name: b'a' }, Op::Flush { name: b'a' }, Op::FlushAll] {
        let disk = CrashDisk::default();
        disk.set_bytes_max(Some(8 * SEGMENT_BYTES));
        let (mut driver, _) = Driver::open(&disk, None, options(Durability::Written, 1000)).unwrap();
        driver.may_be_full = true;
        for name in b'b'..b'b' + QUEUES {
            assert!(driver.put(name, b"one of many").unwrap());
        }
        fill(&mut driver, &[1; 100]);
        while driver.take(b'a').unwrap() {
            while driver.step_commit().unwrap() {}
        }
        let left = driver.now.queues[&b'a'].messages.len();
        assert!(left > 0, "without a sync, the gets must come to an end");
        assert!(driver.apply(op.clone()).unwrap(), "{op:?} on a full disk with {left} messages");
        driver.now.check(&driver.store);
        driver.settle().unwrap();
        assert!(driver.put(b'a', &[2; 500]).unwrap(), "there is room again after {op:?}");
        driver.commit().unwrap();
        driver.crash(Crash::PowerCut, None, &mut Random::new(1)).unwrap();
    }
}

/// What a killed process had only begun to make durable is made durable before it is built upon.
#[test]
fn a_kill_while_a_segment_is_made_and_a_power_cut_later() {
    for crash_at in 1.. {
        let mut random = Random::new(crash_at);
        let disk = CrashDisk::default();
        disk.crash_at(crash_at);
        if let Ok((mut driver, _)) = Driver::open(&disk, None, options(Durability::Synced, 1000)) {
            while driver.step_segment_chore().is_ok_and(|more| more) {}
            if !disk.has_crashed() {
                break;
            }
        }
        disk.kill(&mut random);
        let mut driver = open(&disk);
        while disk.files().len() < 3 {
            driver.put(b'a', &[1; 1000]).unwrap();
            driver.commit().unwrap();
            for seed in 0..6 {
                let copy = disk.fork();
                copy.cut_power(&mut Random::new(seed));
                let (again, _) = Driver::open(&copy, None, options(Durability::Synced, 0)).unwrap();
                driver.now.check(&again.store);
            }
        }
        assert_eq!(disk.bytes() % SEGMENT_BYTES, 0, "all segments have their size");
    }
}
