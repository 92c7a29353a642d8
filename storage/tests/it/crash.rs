//! Crashes: what was acknowledged is there afterwards, in order and once, and what was not is there up to some point.

use std::path::PathBuf;

use storage::{Durability, Survey};
use storage_testing::{CrashDisk, Random, for_seeds};

use crate::driver::{BODY_BYTES_MAX, Crash, Driver, copy_directory, copy_of, options};

const MODES: [(Durability, Crash); 4] = [
    (Durability::Synced, Crash::PowerCut),
    (Durability::Synced, Crash::Kill),
    (Durability::Written, Crash::PowerCut),
    (Durability::Written, Crash::Kill),
];

/// Lives until the disk crashes, or so many steps.
fn live(driver: &mut Driver, steps: u64, growth: u64, random: &mut Random) {
    for _ in 0..steps {
        if let Err(error) = driver.random_step(random, growth) {
            assert!(driver.disk.has_crashed(), "{error}");
            return;
        }
    }
}

#[test]
fn a_crash_at_every_operation_of_the_disk() {
    for_seeds(1, |seed| {
        for (durability, crash) in MODES {
            let mut crash_at = 0;
            loop {
                crash_at += 1;
                let mut random = Random::new(seed);
                let disk = CrashDisk::default();
                disk.crash_at(crash_at);
                let opened = Driver::open(&disk, None, options(durability, 1000));
                let Ok((mut driver, _)) = opened else {
                    // Nothing was acknowledged: all that is asked is that it opens.
                    match crash {
                        Crash::Kill => disk.kill(&mut random),
                        Crash::PowerCut => disk.cut_power(&mut random),
                    }
                    Driver::open(&disk, None, options(durability, 1000)).unwrap();
                    continue;
                };
                live(&mut driver, 1000, 52, &mut random);
                if !disk.has_crashed() {
                    break;
                }
                let mut random = Random::new(seed + crash_at);
                let (mut driver, _) = driver.crash(crash, None, &mut random).unwrap();
                // And life goes on.
                live(&mut driver, 100, 40, &mut random);
                driver.settle().unwrap();
                driver.crash(Crash::PowerCut, None, &mut random).unwrap();
            }
            println!("{durability:?} {crash:?}: {crash_at} operations");
            assert!(crash_at > 100, "a workload that does something");
        }
    });
}

#[test]
fn many_lives_one_after_the_other() {
    for_seeds(200, |seed| {
        let mut random = Random::new(seed);
        let durability = random.pick(&[Durability::Synced, Durability::Written]);
        let disk = CrashDisk::default();
        let (mut driver, _) = Driver::open(&disk, None, options(durability, 0)).unwrap();
        for _ in 0..8 {
            let growth = random.pick(&[20, 45, 50, 60]);
            disk.crash_at(disk.operations() + 1 + random.below(400));
            live(&mut driver, 1500, growth, &mut random);
            let crash = random.pick(&[Crash::Kill, Crash::PowerCut]);
            driver = driver.crash(crash, None, &mut random).unwrap().0;
            driver.options.durability = random.pick(&[Durability::Synced, Durability::Written]);
            driver = driver.crash(Crash::Kill, None, &mut random).unwrap().0;
        }
    });
}

/// A process that was killed while it prepared a segment leaves a file that may be in the page cache only. The next one is
/// to make it durable before it says that the segment is in use.
#[test]
fn a_segment_that_a_killed_process_left_is_durable_before_it_is_used() {
    for (killed_at, cut_at) in (1..40).flat_map(|killed_at| (1..40).map(move |cut_at| (killed_at, cut_at))) {
        let mut random = Random::new(killed_at << 8 | cut_at);
        let disk = CrashDisk::default();
        let (mut driver, _) = Driver::open(&disk, None, options(Durability::Synced, 0)).unwrap();
        disk.crash_at(disk.operations() + killed_at);
        let fill = |driver: &mut Driver| {
            for n in 0..8 {
                driver.put(b'a', &[n; BODY_BYTES_MAX - 100]).and_then(|_| driver.commit())?;
            }
            driver.settle()
        };
        assert!(fill(&mut driver).is_ok() || disk.has_crashed());
        let (mut driver, _) = driver.crash(Crash::Kill, None, &mut random).unwrap();
        disk.crash_at(disk.operations() + cut_at);
        assert!(fill(&mut driver).is_ok() || disk.has_crashed());
        driver.crash(Crash::PowerCut, None, &mut random).unwrap();
    }
}

/// The frame after a lost one is still on the disk when another frame of the same length and number takes the place of
/// the lost one. It is no continuation of that.
#[test]
fn what_an_earlier_life_left_behind_the_end_is_not_read() {
    let disk = CrashDisk::default();
    let (mut driver, _) = Driver::open(&disk, None, options(Durability::Written, 0)).unwrap();
    driver.put(b'a', b"synced").unwrap();
    driver.commit().unwrap();
    let before = driver.now.clone();
    for body in [b"lost", b"left", b"also"] {
        driver.put(b'a', body).unwrap();
        while driver.step_commit().unwrap() {}
    }
    disk.cut_power_losing(&[0]);
    for body in [b"new1", b"new2"] {
        let (mut driver, _) = Driver::open(&disk, None, options(Durability::Written, 0)).unwrap();
        if body == b"new1" {
            before.check(&driver.store);
        } else {
            assert_eq!(driver.store.totals().messages, 2, "one was synced, and one is new");
        }
        driver.store.at_once(|s| s.put(b"a", 0, body)).unwrap();
        while driver.step_commit().unwrap() {}
    }
}

/// Of two frames that were written and not synced, a power cut may lose the first: then there were none.
#[test]
fn a_survey_finds_nothing_where_no_frame_was_durable() {
    let disk = CrashDisk::default();
    let (mut driver, _) = Driver::open(&disk, None, options(Durability::Written, 0)).unwrap();
    for body in [b"lost", b"left"] {
        driver.put(b'a', body).unwrap();
        while driver.step_commit().unwrap() {}
    }
    disk.cut_power_losing(&[0]);
    let survey = Survey::read(&disk).unwrap();
    assert!(survey.is_whole() && survey.queues().count() == 0, "{:?}", survey.damaged());
    let (again, _) = Driver::open(&disk, None, options(Durability::Written, 0)).unwrap();
    assert_eq!(again.store.totals().queues, 0);
}

/// A checkpoint's records know of changes that came after it was begun. It counts when those are on stable storage.
#[test]
fn an_index_never_knows_more_than_the_log() {
    let scratch = Scratch::new("knows");
    for durability in [Durability::Synced, Durability::Written] {
        for steps in 0..12 {
            let mut random = Random::new(steps);
            let disk = CrashDisk::default();
            let index = scratch.path(steps + 100 * u64::from(durability == Durability::Synced));
            let (mut driver, _) = Driver::open(&disk, Some(index.clone()), options(durability, 0)).unwrap();
            for _ in 0..3 {
                driver.put(b'a', b"body").unwrap();
                driver.put(b'b', b"body").unwrap();
            }
            driver.commit().unwrap();
            driver.store.request_checkpoint();
            for _ in 0..steps {
                driver.step_index_chore().unwrap();
            }
            driver.take(b'a').unwrap();
            driver.take(b'b').unwrap();
            if durability == Durability::Written {
                while driver.step_commit().unwrap() {}
            }
            for _ in 0..20 {
                driver.step_index_chore().unwrap();
            }
            // The log's file forgets both takes.
            disk.cut_power_losing(&[0, 1, 2, 3]);
            driver.crash(Crash::PowerCut, Some(index), &mut random).unwrap();
        }
    }
}

/// The log was put back to what it was, and the index was not: only the log counts.
#[test]
fn an_index_of_a_later_log_is_not_believed() {
    let scratch = Scratch::new("later");
    let mut random = Random::new(1);
    let disk = CrashDisk::default();
    let index = scratch.path(1);
    let (mut driver, _) = Driver::open(&disk, Some(index.clone()), options(Durability::Synced, 0)).unwrap();
    live(&mut driver, 100, 60, &mut random);
    driver.put(b'a', b"taken later").unwrap();
    driver.settle().unwrap();
    let (earlier, before) = (disk.fork(), driver.now.clone());
    // The position of the checkpoint is the end of the earlier log; its records know of the take behind it.
    let wanted = driver.store.request_checkpoint();
    driver.step_index_chore().unwrap();
    driver.take(b'a').unwrap();
    while driver.store.checkpoints_finished() < wanted {
        driver.commit().unwrap();
        driver.step_index_chore().unwrap();
    }
    let (again, recovered) = Driver::open(&earlier, Some(copy_of(&index)), options(Durability::Synced, 0)).unwrap();
    before.check(&again.store);
    assert!(!recovered.from_index);
}

/// An index of another format is no index, whatever is in its directory, and there is a good one afterwards.
#[test]
fn an_index_of_an_earlier_version_is_made_anew() {
    let scratch = Scratch::new("earlier");
    let mut random = Random::new(1);
    let disk = CrashDisk::default();
    let index = scratch.path(1);
    let (mut driver, _) = Driver::open(&disk, Some(index.clone()), options(Durability::Synced, 0)).unwrap();
    live(&mut driver, 300, 60, &mut random);
    driver.checkpoint().unwrap();
    let earlier = scratch.path(2);
    copy_directory(&index, &earlier);
    std::fs::remove_file(earlier.join("format")).unwrap();
    let (mut driver, recovered) = driver.crash(Crash::Kill, Some(earlier), &mut random).unwrap();
    assert!(!recovered.from_index);
    live(&mut driver, 300, 60, &mut random);
    driver.checkpoint().unwrap();
    let index = driver.index.clone();
    let (_, recovered) = driver.crash(Crash::Kill, index, &mut random).unwrap();
    assert!(recovered.from_index);
}

/// A directory that goes when the test has passed.
#[derive(Debug)]
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("storage-it-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn path(&self, name: u64) -> PathBuf {
        self.0.join(name.to_string())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

#[test]
fn many_lives_with_an_index_that_may_be_old_or_gone() {
    let scratch = Scratch::new("index");
    let (mut from_index, mut starts) = (0, 0);
    for_seeds(25, |seed| {
        let mut random = Random::new(seed);
        let durability = random.pick(&[Durability::Synced, Durability::Written]);
        let disk = CrashDisk::default();
        let fresh = |life: u64| scratch.path(seed * 1000 + life);
        let mut old: Option<PathBuf> = None;
        let (mut driver, _) = Driver::open(&disk, Some(fresh(0)), options(durability, 0)).unwrap();
        for life in 1..8 {
            let growth = random.pick(&[20, 45, 50, 60]);
            disk.crash_at(disk.operations() + 50 + random.below(600));
            live(&mut driver, 2000, growth, &mut random);
            // As it is while the process still runs: that is what kill -9 leaves.
            let now = driver.index.clone().unwrap();
            let left = match (random.below(8), &old) {
                (0, _) => fresh(life),
                (1, Some(old)) => old.clone(),
                _ => now.clone(),
            };
            if random.chance(2) {
                let copy = fresh(life + 100);
                copy_directory(&now, &copy);
                old = Some(copy);
            }
            let crash = random.pick(&[Crash::Kill, Crash::PowerCut]);
            let (next, recovered) = driver.crash(crash, Some(left), &mut random).unwrap();
            driver = next;
            from_index += u32::from(recovered.from_index);
            starts += 1;
        }
    });
    println!("{from_index} of {starts} starts were from the index");
    assert!(from_index * 4 > starts, "the index is of use: {from_index} of {starts}");
}

#[test]
fn a_damaged_index_costs_a_scan_and_nothing_else() {
    let scratch = Scratch::new("damaged-index");
    for_seeds(6, |seed| {
        let mut random = Random::new(seed);
        let disk = CrashDisk::default();
        let index = scratch.path(seed * 2);
        let (mut driver, _) = Driver::open(&disk, Some(index.clone()), options(Durability::Synced, 0)).unwrap();
        live(&mut driver, 2000, 50, &mut random);
        driver.checkpoint().unwrap();
        live(&mut driver, 200, 50, &mut random);
        let left = scratch.path(seed * 2 + 1);
        copy_directory(&index, &left);
        let db = left.join("db");
        let mut bytes = std::fs::read(&db).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
        for _ in 0..20 {
            let at = random.below(used as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
        }
        std::fs::write(&db, bytes).unwrap();
        driver.crash(Crash::Kill, Some(left), &mut random).unwrap();
    });
}
