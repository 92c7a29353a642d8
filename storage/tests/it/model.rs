//! The store against plain collections, through restarts, checkpoints and changing memory budgets; and what it takes on
//! the disk and in memory meanwhile.

use storage::Durability;
use storage_testing::{CrashDisk, Op, Random, for_seeds};

use crate::crash::Scratch;
use crate::driver::{BODY_BYTES_MAX, Crash, Driver, options};

const SEGMENT_BYTES: u64 = 16 << 10;
/// What one put adds to memory beyond its body.
const BODY_OVERHEAD_BYTES: u64 = 16;

/// After all work is done, little more than twice what lives is left, in memory little more than the budget.
fn check_bounds(driver: &mut Driver) {
    driver.settle().unwrap();
    let totals = driver.store.totals();
    assert!(totals.live_bytes >= driver.now.bytes(), "{totals:?}");
    assert!(totals.log_bytes <= 2 * totals.live_bytes + 3 * SEGMENT_BYTES, "{totals:?}");
    let files = driver.disk.files().len() as u64;
    assert!(files <= totals.log_bytes / SEGMENT_BYTES + 6, "{files} files, {totals:?}");
    assert_eq!(driver.disk.bytes() as u64, files * SEGMENT_BYTES, "all segments have their size");
    // Everything is written, so the budget holds, give or take what the next changes bring.
    let changes = 20;
    driver.apply(Op::Configure { name: b'a', words: Vec::new() }).unwrap();
    for _ in 0..changes {
        driver.put(b'a', b"x").unwrap();
    }
    let resident = driver.store.totals().resident_bytes;
    let budget = driver.options.memory_bytes as u64;
    assert!(resident <= budget + changes * (BODY_OVERHEAD_BYTES + 1), "{resident} bytes in memory");
}

fn check_drained(driver: &mut Driver) {
    for name in *b"abcdABCD" {
        while driver.take(name).unwrap() {}
        // What is open, kept back, or on its way to the dead letters.
        let left = driver.now.queues.get(&name).map(|queue| queue.messages.clone()).unwrap_or_default();
        for seq in left.iter().map(|message| message.seq) {
            assert!(driver.apply(Op::TakeMessage { name, seq }).unwrap());
        }
    }
    driver.now.check(&driver.store);
    assert_eq!(driver.store.totals().resident_bytes, 0);
    driver.settle().unwrap();
    let (totals, files) = (driver.store.totals(), driver.disk.files().len());
    assert!(totals.log_bytes <= 3 * SEGMENT_BYTES, "{totals:?}");
    assert!(files <= 6, "{files} files are left of a drained store");
}

fn live(driver: &mut Driver, random: &mut Random) {
    let growth = random.pick(&[20, 45, 50, 70]);
    for _ in 0..300 {
        driver.random_step(random, growth).unwrap();
    }
}

#[test]
fn a_store_is_its_model_through_restarts() {
    let mut waits = 0;
    for_seeds(120, |seed| {
        let mut random = Random::new(seed);
        let disk = CrashDisk::default();
        let durability = random.pick(&[Durability::Synced, Durability::Written]);
        let (mut driver, _) = Driver::open(&disk, None, options(durability, 0)).unwrap();
        for _ in 0..10 {
            disk.set_reads_wait(random.chance(2));
            driver.takes_give_up = random.chance(2);
            live(&mut driver, &mut random);
            driver.now.check(&driver.store);
            if random.chance(2) {
                check_bounds(&mut driver);
            }
            driver.commit().unwrap();
            waits += driver.waits;
            // With everything committed, a crash is a clean end; the next life has another budget.
            driver = driver.crash(Crash::PowerCut, None, &mut random).unwrap().0;
        }
        disk.set_reads_wait(random.chance(2));
        check_drained(&mut driver);
        driver.crash(Crash::PowerCut, None, &mut random).unwrap();
    });
    assert!(waits > 0, "no operation ever had to wait for a segment");
    println!("{waits} waits for a segment");
}

#[test]
fn a_store_is_its_model_with_an_index() {
    let scratch = Scratch::new("model");
    for_seeds(16, |seed| {
        let mut random = Random::new(seed);
        let (disk, index) = (CrashDisk::default(), Some(scratch.0.join(seed.to_string())));
        let durability = random.pick(&[Durability::Synced, Durability::Written]);
        let (mut driver, _) = Driver::open(&disk, index, options(durability, 0)).unwrap();
        for _ in 0..8 {
            disk.set_reads_wait(random.chance(2));
            driver.takes_give_up = random.chance(2);
            live(&mut driver, &mut random);
            if random.chance(2) {
                check_bounds(&mut driver);
            }
            driver.checkpoint().unwrap();
            let after = random.chance(2);
            if after {
                live(&mut driver, &mut random);
            }
            driver.commit().unwrap();
            let left = driver.index.clone();
            let (next, recovered) = driver.crash(Crash::PowerCut, left, &mut random).unwrap();
            assert!(recovered.from_index, "after a checkpoint, a start reads the log's end only");
            assert!(after || recovered.frames <= 2, "{} frames were read", recovered.frames);
            driver = next;
        }
        check_drained(&mut driver);
    });
}

#[test]
fn a_queue_that_is_made_anew_has_nothing_of_the_old_one() {
    let scratch = Scratch::new("anew");
    let mut random = Random::new(1);
    for index in [None, Some(scratch.0.clone())] {
        let disk = CrashDisk::default();
        let (mut driver, _) = Driver::open(&disk, index, options(Durability::Synced, 0)).unwrap();
        for round in 0..50u8 {
            for n in 0..10 {
                driver.put(b'a', &[round, n]).unwrap();
            }
            driver.take(b'a').unwrap();
            if round % 3 == 0 {
                driver.checkpoint().unwrap();
            }
            driver.apply(Op::Delete { name: b'a' }).unwrap();
            if round % 5 == 0 {
                driver.commit().unwrap();
                let left = driver.index.clone();
                driver = driver.crash(Crash::Kill, left, &mut random).unwrap().0;
            }
        }
        driver.put(b'a', b"the last").unwrap();
        driver.commit().unwrap();
        let left = driver.index.clone();
        driver.crash(Crash::PowerCut, left, &mut random).unwrap();
    }
}

#[test]
fn one_slow_queue_does_not_pin_the_disk() {
    let mut random = Random::new(1);
    let disk = CrashDisk::default();
    let (mut driver, _) = Driver::open(&disk, None, options(Durability::Synced, 0)).unwrap();
    driver.put(b's', b"nobody takes this").unwrap();
    for round in 0..200 {
        for _ in 0..5 {
            driver.put(b'a', &vec![round; BODY_BYTES_MAX / 2]).unwrap();
        }
        for _ in 0..5 {
            assert!(driver.take(b'a').unwrap());
        }
        driver.settle().unwrap();
        let files = driver.disk.files().len();
        assert!(files <= 8, "{files} files for one message, {:?}", driver.store.totals());
    }
    driver = driver.crash(Crash::PowerCut, None, &mut random).unwrap().0;
    assert!(driver.take(b's').unwrap());
}

#[test]
fn a_deep_queue_passes_through_a_small_memory() {
    let disk = CrashDisk::default();
    let (mut driver, _) = Driver::open(&disk, None, options(Durability::Synced, 10_000)).unwrap();
    for n in 0..5000u32 {
        driver.put(b'a', &n.to_le_bytes().repeat(10)).unwrap();
        if n % 100 == 0 {
            driver.commit().unwrap();
            let resident = driver.store.totals().resident_bytes;
            assert!(resident <= 10_000 + 100 * 56, "{resident} bytes in memory");
        }
    }
    driver.commit().unwrap();
    let before = driver.disk.bytes_read();
    for n in 0..5000 {
        assert!(driver.take(b'a').unwrap());
        let resident = driver.store.totals().resident_bytes;
        assert!(resident <= 10_000, "{resident} bytes in memory before message {n}");
    }
    let read = driver.disk.bytes_read() - before;
    assert!(read <= 2 * 5000 * 70, "every message was read once, not {read} bytes");
}

/// The messages of each queue are far apart, and all of them are needed: whose turn it is, is chance.
#[test]
fn queues_that_are_emptied_together_are_read_back_together() {
    const BUDGET: usize = 1 << 20;
    const QUEUES: usize = 16;
    let (disk, mut random) = (CrashDisk::default(), Random::new(64));
    let (mut driver, _) = Driver::open(&disk, None, options(Durability::Synced, BUDGET)).unwrap();
    for n in 0..400u32 {
        for name in (b'a'..).take(QUEUES) {
            driver.put(name, &n.to_le_bytes().repeat(100)).unwrap();
        }
        driver.commit().unwrap();
    }
    let before = (disk.reads(), disk.bytes_read());
    let mut waiting = [400; QUEUES];
    while let Some(most) = waiting.iter().max().filter(|most| **most > 0) {
        let near: Vec<usize> = (0..QUEUES).filter(|name| waiting[*name] > 0 && waiting[*name] + 4 >= *most).collect();
        let name = random.pick(&near);
        assert!(driver.take(b'a' + name as u8).unwrap());
        waiting[name] -= 1;
        assert!(driver.store.totals().resident_bytes <= BUDGET as u64);
    }
    let (reads, bytes) = (disk.reads() - before.0, disk.bytes_read() - before.1);
    let log_bytes = 400 * QUEUES as u64 * (400 + 29);
    assert!(bytes > log_bytes / 2, "more than half of it has left memory, {bytes} bytes were read");
    assert!(reads < 500 && bytes < 3 * log_bytes, "{bytes} bytes in {reads} reads");
}

#[test]
fn one_commit_is_one_sync_however_much_is_in_it() {
    let disk = CrashDisk::default();
    let (mut driver, _) = Driver::open(&disk, None, options(Durability::Synced, 1 << 20)).unwrap();
    driver.settle().unwrap();
    let (syncs, operations) = (disk.syncs(), disk.operations());
    for n in 0..50 {
        driver.put(b"abc"[n % 3], b"some message").unwrap();
    }
    driver.commit().unwrap();
    assert_eq!((disk.syncs() - syncs, disk.operations() - operations), (1, 2));
    // And nothing for what changes nothing.
    driver.take(b'x').unwrap();
    driver.apply(Op::Flush { name: b'x' }).unwrap();
    driver.apply(Op::Create { name: b'a' }).unwrap();
    driver.commit().unwrap();
    assert_eq!((disk.syncs() - syncs, disk.operations() - operations), (1, 2));
}
