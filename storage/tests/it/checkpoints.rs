//! Checkpoints that are cut between any two of their writes: the one before them counts, or they do, or neither.

use storage::Durability;
use storage_testing::{CrashDisk, CrashTree, Pairs, Random, for_seeds};

use crate::driver::{Crash, Driver, options};

/// Several pages of puts fit into a segment of this size.
fn roomy(durability: Durability) -> storage::StoreOptions {
    storage::StoreOptions { segment_bytes: 64 << 10, commit_bytes_max: 32 << 10, ..options(durability, 0) }
}

/// Puts so many small messages, more than a page of a directory tells of, and takes some.
fn load(driver: &mut Driver, puts: u64, random: &mut Random) -> storage::Result<()> {
    for _ in 0..puts {
        let name = random.pick(b"aabc");
        driver.put(name, &[7; 9][..random.below(10) as usize])?;
        if random.chance(4) {
            driver.take(random.pick(b"abc"))?;
        }
    }
    driver.commit()
}

/// Checkpoints one after the other, with load beside every step of them.
fn checkpoints(driver: &mut Driver, random: &mut Random) -> storage::Result<()> {
    for puts in [1000, 300, 10] {
        load(driver, puts, random)?;
        let wanted = driver.store.request_checkpoint();
        while driver.store.checkpoints_finished() < wanted || driver.store.wants_checkpoint_step() {
            driver.step_index_chore()?;
            if random.chance(3) {
                load(driver, 3, random)?;
            }
            driver.store.reclaim()?;
        }
        while driver.step_index_chore()? {}
        while driver.step_segment_chore()? {}
    }
    Ok(())
}

#[test]
fn a_crash_at_every_write_of_a_checkpoint() {
    let mut from_index = 0;
    for_seeds(1, |seed| {
        for (durability, crash) in [(Durability::Synced, Crash::Kill), (Durability::Written, Crash::PowerCut)] {
            let mut crash_at = 0;
            loop {
                crash_at += 1;
                let mut random = Random::new(seed);
                let disk = CrashDisk::default();
                let (mut driver, _) = Driver::open_with_tree(&disk, CrashTree::new(&disk), roomy(durability)).unwrap();
                disk.crash_at(disk.operations() + crash_at);
                let ended = checkpoints(&mut driver, &mut random);
                if !disk.has_crashed() {
                    ended.unwrap();
                    break;
                }
                let mut random = Random::new(seed + crash_at);
                let counts = driver.tree.as_ref().unwrap().is_durable(b"c");
                let (mut driver, recovered) = driver.crash(crash, None, &mut random).unwrap();
                assert!(recovered.from_index || !counts, "a cut checkpoint leaves the one before");
                from_index += u32::from(recovered.from_index);
                // The next checkpoint, whose pages meet those of the one that was cut, is cut too.
                disk.crash_at(disk.operations() + 1 + random.below(60));
                let _ = checkpoints(&mut driver, &mut random);
                driver.crash(crash, None, &mut random).unwrap();
            }
            println!("{durability:?} {crash:?}: {crash_at} operations");
            assert!(crash_at > 50, "a workload that does something");
        }
    });
    assert!(from_index > 60, "{from_index} starts were from the index");
}

fn bytes(pairs: &Pairs) -> usize {
    pairs.iter().map(|(key, value)| key.len() + value.len()).sum()
}

/// What checkpoints leave behind is removed, also what those left that were cut.
#[test]
fn an_index_does_not_grow_with_its_checkpoints() {
    let mut random = Random::new(3);
    let disk = CrashDisk::default();
    let (mut driver, _) = Driver::open_with_tree(&disk, CrashTree::new(&disk), roomy(Durability::Synced)).unwrap();
    let settled = |driver: &mut Driver| {
        driver.checkpoint().unwrap();
        driver.settle().unwrap();
        bytes(&driver.tree.as_ref().unwrap().pairs())
    };
    load(&mut driver, 3000, &mut random).unwrap();
    let first = settled(&mut driver);
    for _ in 0..30 {
        load(&mut driver, 20, &mut random).unwrap();
        disk.crash_at(disk.operations() + 1 + random.below(12));
        let wanted = driver.store.request_checkpoint();
        while !disk.has_crashed() && driver.store.checkpoints_finished() < wanted {
            let _ = driver.commit();
            let _ = driver.step_index_chore();
        }
        driver = driver.crash(Crash::Kill, None, &mut random).unwrap().0;
        let now = bytes(&driver.tree.as_ref().unwrap().pairs());
        assert!(now < 3 * first, "{now} bytes, {first} at first");
    }
    let left: Vec<_> = driver.tree.as_ref().unwrap().pairs().into_keys().collect();
    let last = settled(&mut driver);
    assert!(last < 2 * first, "{last} bytes, {first} at first: {left:?}");
    // Keys of an earlier format, or nobody's.
    let tree = driver.tree.clone().unwrap();
    for key in [b"d".to_vec(), b"m".to_vec(), vec![0], vec![b'R'; 30], vec![0xff; 4]] {
        storage::Tree::insert(&tree, &key, b"x").unwrap();
    }
    let again = settled(&mut driver);
    assert!(again <= last + 100, "{again} bytes, and {last} before");
}
