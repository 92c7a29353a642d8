//! Takes of any message, in any order, and what queues were told: through checkpoints, copying forward and crashes.

use storage::{Adopted, Durability, Kept, SETTINGS_BYTES_MAX, Seq, Store, StoreOptions};
use storage_testing::{CrashDisk, CrashTree, Op, Random, for_seeds};

use crate::driver::{Crash, Driver, options};

fn roomy() -> StoreOptions {
    StoreOptions { segment_bytes: 64 << 10, commit_bytes_max: 32 << 10, ..options(Durability::Synced, 1 << 20) }
}

fn open(disk: &CrashDisk, with_index: bool) -> Driver {
    let opened = match with_index {
        true => Driver::open_with_tree(disk, CrashTree::new(disk), roomy()),
        false => Driver::open(disk, None, roomy()),
    };
    opened.unwrap().0
}

fn fill(driver: &mut Driver, name: u8, messages: u64) {
    for n in 0..messages {
        driver.put(name, &(n as u32).to_le_bytes()).unwrap();
    }
}

fn take_message(driver: &mut Driver, name: u8, seq: Seq) {
    assert!(driver.apply(Op::TakeMessage { name, seq }).unwrap());
}

/// Fills other queues and empties them until the log has gone round, so that all that lives was copied forward.
fn go_round(driver: &mut Driver, rounds: u64) {
    for _ in 0..rounds {
        fill(driver, b'z', 3000);
        while driver.take(b'z').unwrap() {}
        driver.settle().unwrap();
    }
}

#[test]
fn a_take_above_the_head_is_in_a_checkpoint() {
    let (disk, mut random) = (CrashDisk::default(), Random::new(1));
    let mut driver = open(&disk, true);
    fill(&mut driver, b'a', 10);
    // The index has the puts of this segment as they are now.
    driver.checkpoint().unwrap();
    go_round(&mut driver, 1);
    driver.checkpoint().unwrap();
    for seq in [4, 7, 10] {
        take_message(&mut driver, b'a', seq);
    }
    driver.checkpoint().unwrap();
    let (driver, recovered) = driver.crash(Crash::PowerCut, None, &mut random).unwrap();
    assert!(recovered.from_index);
    assert_eq!(driver.now.queues[&b'a'].messages.len(), 7);
}

#[test]
fn a_take_above_the_head_outlives_its_segment() {
    for with_index in [false, true] {
        let (disk, mut random) = (CrashDisk::default(), Random::new(2));
        let mut driver = open(&disk, with_index);
        fill(&mut driver, b'a', 10);
        for seq in [4, 7, 10] {
            take_message(&mut driver, b'a', seq);
        }
        let log_bytes = driver.store.totals().log_bytes;
        go_round(&mut driver, 4);
        let first = driver.disk.files().into_iter().min().unwrap();
        assert!(first.as_str() > "0000000002.log", "the takes' segment is gone, {log_bytes} bytes: {first}");
        driver = driver.crash(Crash::PowerCut, None, &mut random).unwrap().0;
        go_round(&mut driver, 4);
        driver.crash(Crash::PowerCut, None, &mut random).unwrap();
    }
}

/// More gaps than one piece of a list holds, and takes, puts, tells and flushes between the pieces.
#[test]
fn long_lists_of_what_is_gone_are_written_while_the_queue_changes() {
    for_seeds(4, |seed| {
        let (disk, mut random) = (CrashDisk::default(), Random::new(seed));
        let mut driver = open(&disk, seed % 2 == 0);
        fill(&mut driver, b'a', 6000);
        (1..3000).for_each(|n| take_message(&mut driver, b'a', 2 * n));
        driver.settle().unwrap();
        let mut busy = 0;
        for _ in 0..60 {
            driver.store.request_checkpoint();
            fill(&mut driver, b'z', 300);
            while driver.take(b'z').unwrap() {}
            for _ in 0..40 {
                driver.commit().unwrap();
                driver.step_index_chore().unwrap();
                driver.step_segment_chore().unwrap();
                driver.store.reclaim().unwrap();
                let waiting = &driver.now.queues[&b'a'].messages;
                let any = |random: &mut Random| waiting.get(random.below(waiting.len().max(1) as u64) as usize);
                match random.below(4) {
                    0 => {
                        if let Some(seq) = any(&mut random).map(|message| message.seq) {
                            take_message(&mut driver, b'a', seq);
                            busy += 1;
                        }
                    }
                    1 => drop(driver.take(b'a').unwrap()),
                    2 => drop(driver.put(b'a', b"more").unwrap()),
                    _ if random.chance(40) => {
                        driver.apply(Op::Tell { name: b'a', settings: vec![seed as u8; 9] }).unwrap();
                    }
                    _ => {}
                }
            }
            if random.chance(60) {
                driver.apply(Op::Flush { name: b'a' }).unwrap();
                fill(&mut driver, b'a', 4000);
                for seq in driver.now.queues[&b'a'].messages.iter().map(|m| m.seq).step_by(2).collect::<Vec<_>>() {
                    take_message(&mut driver, b'a', seq);
                }
            }
            if random.chance(12) {
                driver = driver.crash(random.pick(&[Crash::Kill, Crash::PowerCut]), None, &mut random).unwrap().0;
            }
        }
        assert!(busy > 300, "{busy} takes between the pieces");
    });
}

/// One message that is left costs itself, however many came and went behind it.
#[test]
fn one_old_message_pins_neither_the_log_nor_the_index() {
    let disk = CrashDisk::default();
    let mut driver = open(&disk, true);
    driver.put(b'a', b"the old one").unwrap();
    let (mut log_bytes, mut index_bytes) = (0, 0);
    for round in 0..30u64 {
        fill(&mut driver, b'a', 1000);
        (2..1002).for_each(|n| take_message(&mut driver, b'a', round * 1000 + n));
        driver.settle().unwrap();
        driver.checkpoint().unwrap();
        driver.settle().unwrap();
        let pairs = driver.tree.as_ref().unwrap().pairs();
        log_bytes = log_bytes.max(driver.store.totals().log_bytes);
        index_bytes = index_bytes.max(pairs.iter().map(|(key, value)| key.len() + value.len()).sum());
    }
    let totals = driver.store.totals();
    assert_eq!((totals.messages, totals.queues), (1, 1));
    assert!(log_bytes <= 5 * (64 << 10), "{log_bytes} bytes of log for one message");
    assert!(index_bytes <= 16 << 10, "{index_bytes} bytes of index for one message");
    let (driver, _) = driver.crash(Crash::PowerCut, None, &mut Random::new(1)).unwrap();
    assert_eq!(driver.store.totals().messages, 1);
}

#[test]
fn settings_stay_with_their_queue() {
    for with_index in [false, true] {
        let (disk, mut random) = (CrashDisk::default(), Random::new(3));
        let mut driver = open(&disk, with_index);
        for (name, bytes) in [(b'a', 5), (b'b', SETTINGS_BYTES_MAX), (b'c', 1)] {
            driver.apply(Op::Create { name }).unwrap();
            assert!(driver.apply(Op::Tell { name, settings: vec![name; bytes] }).unwrap());
        }
        fill(&mut driver, b'c', 3);
        take_message(&mut driver, b'c', 2);
        for round in 0..3u8 {
            go_round(&mut driver, 3);
            if with_index {
                driver.checkpoint().unwrap();
            }
            driver = driver.crash(Crash::PowerCut, None, &mut random).unwrap().0;
            driver.apply(Op::Tell { name: b'c', settings: vec![round; usize::from(round)] }).unwrap();
            driver.apply(Op::FlushAll).unwrap();
            fill(&mut driver, b'c', 2);
        }
        assert!(!driver.apply(Op::Tell { name: b'x', settings: vec![1] }).unwrap(), "there is no such queue");
        driver.apply(Op::Delete { name: b'b' }).unwrap();
        driver.apply(Op::Create { name: b'b' }).unwrap();
        assert_eq!(driver.store.settings(b"b"), b"", "a queue that is made anew was told nothing");
        driver.settle().unwrap();
        driver.crash(Crash::Kill, None, &mut random).unwrap();
    }
}

#[test]
fn settings_count_as_much_as_they_take() {
    let disk = CrashDisk::default();
    let mut driver = open(&disk, false);
    driver.apply(Op::Create { name: b'a' }).unwrap();
    let before = driver.store.totals().live_bytes;
    driver.apply(Op::Tell { name: b'a', settings: vec![7; 500] }).unwrap();
    assert_eq!(driver.store.totals().live_bytes, before + 500);
    driver.apply(Op::Tell { name: b'a', settings: vec![7; 20] }).unwrap();
    assert_eq!(driver.store.totals().live_bytes, before + 20);
    go_round(&mut driver, 3);
    driver = driver.crash(Crash::PowerCut, None, &mut Random::new(1)).unwrap().0;
    driver.apply(Op::Delete { name: b'z' }).unwrap();
    assert_eq!(driver.store.totals().live_bytes, before + 20);
    driver.apply(Op::Delete { name: b'a' }).unwrap();
    assert_eq!(driver.store.totals().live_bytes, 0);
}

#[test]
fn a_queue_that_is_adopted_keeps_its_numbers_and_settings() {
    let disk = CrashDisk::default();
    let check = |store: &mut Store| {
        assert_eq!(store.settings(b"q"), b"depth=9");
        let mut sets_and_gets = None;
        store.list(0, 9, |line| sets_and_gets = Some((line.sets, line.gets)));
        assert_eq!(sets_and_gets, Some((14, 8)));
    };
    let mut store = open(&disk, false).store;
    let adopted = Adopted { name: b"q", settings: b"depth=9", sets: 11, gets: 8, head: 5 };
    assert!(store.at_once(|store| store.adopt(adopted)).unwrap().is_some());
    for seq in [5u64, 6, 9] {
        let adopted =
            store.at_once(|store| store.adopt_message(b"q", seq, 3, &seq.to_le_bytes(), &Kept::default())).unwrap();
        assert!(adopted.is_some());
    }
    assert!(store.at_once(|store| store.adopt_end(b"q", 12)).unwrap().is_some());
    check(&mut store);
    store.settle().unwrap();
    let mut store = open(&disk, false).store;
    check(&mut store);
    assert!(store.at_once(|store| store.put(b"q", 0, b"new")).unwrap().is_some());
    let mut seqs = Vec::new();
    while let Some(taken) = store.at_once(|store| store.take(b"q")).unwrap().flatten() {
        seqs.push(taken.seq);
    }
    assert_eq!(seqs, [5, 6, 9, 12]);
}
