//! Missing files: what was acknowledged is all there, or the start refuses and names a file. Never less in silence.

use std::sync::Arc;

use storage::{Durability, Error, Store, Survey};
use storage_testing::{CrashDisk, CrashTree, Expected, Random, drain, surveyed, try_drain};

use crate::driver::{Driver, options};

/// How many of the newest files are removed in all combinations.
const NEWEST: usize = 3;

/// What is left of a life: its files, its index, and what was acknowledged.
struct Left {
    disk: CrashDisk,
    tree: CrashTree,
    all: Expected,
}

fn left(driver: &Driver) -> Left {
    let disk = driver.disk.fork();
    let tree = driver.tree.as_ref().unwrap().fork(&disk);
    Left { disk, tree, all: driver.now.clone() }
}

/// Lives, and hands what is left at many moments to `each`: as after a kill, and as after a clean stop. All that was done
/// until then was acknowledged.
fn lives(durability: Durability, mut each: impl FnMut(&str, Left)) {
    let mut random = Random::new(11);
    let disk = CrashDisk::default();
    let (mut driver, _) = Driver::open_with_tree(&disk, CrashTree::new(&disk), options(durability, 0)).unwrap();
    for moment in 0..36 {
        let growth = if moment % 12 < 7 { 75 } else { 20 };
        for _ in 0..20 {
            let op = driver.random_op(&mut random, growth);
            driver.apply(op).unwrap();
            if random.chance(3) {
                driver.commit().unwrap();
            }
            driver.store.reclaim().unwrap();
            driver.step_index_chore().unwrap();
            driver.step_segment_chore().unwrap();
        }
        driver.commit().unwrap();
        each("killed", left(&driver));
        if moment % 6 == 5 {
            // Nothing is under way, so that the store can be closed and goes on here.
            driver.settle().unwrap();
            driver.store.close().unwrap();
            each("stopped", left(&driver));
        }
    }
}

/// Removes files, and holds what comes of it against what was acknowledged, with the index and without. Returns whether the
/// loss was named each time.
fn is_named(what: &str, left: &Left, removed: &[String]) -> bool {
    let disk = left.disk.fork();
    removed.iter().for_each(|name| disk.unlink(name));
    let files = disk.files();
    let survey = Survey::read(&disk).unwrap();
    assert_eq!(disk.files(), files, "a survey changes nothing");
    let whole = survey.is_whole();
    assert!(
        !whole || surveyed(&survey) == left.all.queues,
        "{what}: a survey without {removed:?} of {files:?} loses something"
    );
    for indexed in [false, true] {
        let disk = disk.fork();
        match opened(left, &disk, indexed) {
            Ok(mut store) => {
                assert!(whole, "{what} without {removed:?}: {:?}, and the start succeeds", survey.damaged());
                let there = drain(&mut store) == left.all.queues;
                assert!(there, "{what}: a start without {removed:?} of {files:?} loses something");
            }
            Err(error) => {
                assert!(matches!(error, Error::Damage { .. }), "{error}");
                assert!(!whole, "{what} without {removed:?}: {error}, and a survey sees nothing");
                assert_eq!(disk.files(), files, "nothing is changed");
            }
        }
    }
    !whole
}

fn opened(left: &Left, disk: &CrashDisk, indexed: bool) -> storage::Result<Store> {
    let options = options(Durability::Synced, 0);
    let disk = Arc::new(disk.clone());
    let opened = match indexed {
        true => Store::open_with_tree(disk.clone(), Arc::new(left.tree.fork(&disk)), options),
        false => Store::open(disk, None, options),
    };
    opened.map(|(store, _)| store)
}

#[test]
fn a_missing_segment_is_named_or_needed_by_nothing() {
    for durability in [Durability::Synced, Durability::Written] {
        let (mut named, mut harmless) = (0, 0);
        lives(durability, |what, left| {
            let files = left.disk.files();
            assert!(!is_named(what, &left, &[]), "nothing is missing");
            let newest = &files[files.len().saturating_sub(NEWEST)..];
            let subsets = (1..1 << newest.len()).map(|subset: usize| {
                let chosen = newest.iter().enumerate().filter(|(n, _)| subset & (1 << n) != 0);
                chosen.map(|(_, name)| name.clone()).collect::<Vec<_>>()
            });
            let each = files.iter().map(|name| vec![name.clone()]);
            // A log without a segment is missed by the data directory, which has its id.
            let is_segment = |name: &String| left.disk.content(name).starts_with(b"rushqlog");
            let is_left = |removed: &Vec<String>| files.iter().any(|name| !removed.contains(name) && is_segment(name));
            for removed in subsets.chain(each).filter(is_left) {
                let is_named = is_named(what, &left, &removed);
                named += u32::from(is_named);
                harmless += u32::from(!is_named);
            }
        });
        println!("{durability:?}: {named} were named, {harmless} needed by nothing");
        assert!(named > 200 && harmless > 10, "{named} and {harmless}");
    }
}

/// All that a clean stop knows to be on the disk is missed when the end of the last segment is gone.
#[test]
fn a_cut_end_is_named_after_a_clean_stop() {
    let mut stops = 0;
    lives(Durability::Synced, |what, left| {
        if what != "stopped" {
            return;
        }
        stops += 1;
        let last = newest_used(&left.disk);
        let content = left.disk.content(&last);
        let end = content.iter().rposition(|byte| *byte != 0).unwrap();
        let cut = left.disk.fork();
        (end - 20..=end).for_each(|offset| cut.damage(&last, offset, |_| 0));
        assert!(!Survey::read(&cut).unwrap().is_whole(), "the last frame of {last} is gone");
        assert!(opened(&left, &cut.fork(), false).is_err(), "the last frame of {last} is gone");
        // The index may have what that frame said; the body of a message is missed when it is read.
        match opened(&left, &cut, true).and_then(|mut store| try_drain(&mut store)) {
            Ok(found) => assert!(found == left.all.queues, "something is lost"),
            Err(error) => assert!(matches!(error, Error::Damage { .. }), "{error}"),
        }
    });
    assert!(stops > 3, "{stops}");
}

/// Earlier versions wrote zeros where the notes are, and have no proof of what is missing then. What is there opens.
#[test]
fn a_log_of_an_earlier_version_opens() {
    lives(Durability::Synced, |what, left| {
        let old = left.disk.fork();
        // One may be in preparation.
        for name in old.files().iter().filter(|name| old.content(name).len() >= 64) {
            (36..64).for_each(|offset| old.damage(name, offset, |_| 0));
        }
        let left = Left { tree: left.tree.fork(&old), disk: old, all: left.all };
        assert!(!is_named(what, &left, &[]), "nothing is missing");
        // The start notes what that version did not.
        drop(opened(&left, &left.disk, false).unwrap());
        let newest = newest_used(&left.disk);
        let cut = left.disk.fork();
        cut.files().iter().filter(|name| **name >= newest).for_each(|name| cut.unlink(name));
        let nothing = !cut.files().iter().any(|name| cut.content(name).starts_with(b"rushqlog"));
        assert!(nothing || opened(&left, &cut, false).is_err(), "{newest} is missing");
    });
}

/// The newest file that begins with a frame of its own.
fn newest_used(disk: &CrashDisk) -> String {
    let is_used = |name: &String| {
        let number: u32 = name.trim_end_matches(".log").parse().unwrap();
        let content = disk.content(name);
        let frame = content.get(64..100).filter(|frame| frame.starts_with(b"rqF1"));
        frame.is_some_and(|frame| frame[32..] == number.to_le_bytes())
    };
    disk.files().into_iter().rfind(is_used).unwrap()
}
