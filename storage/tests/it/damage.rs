//! Damaged files: what was acknowledged is either there, or its loss is said aloud.

use std::path::PathBuf;
use std::sync::Arc;

use storage::{Disk, Durability, Error, Store, StoreOptions, Survey};
use storage_testing::{CrashDisk, Expected, Op, Random, drain, surveyed, try_drain};

use crate::crash::Scratch;
use crate::driver::{Driver, copy_of, options};

/// A log of some segments, ended in an orderly way; what is in it, and what was before the last commit.
fn log(index: Option<PathBuf>, segments: usize) -> (CrashDisk, Expected, Expected) {
    let mut random = Random::new(5);
    let disk = CrashDisk::default();
    let (mut driver, _) = Driver::open(&disk, index, options(Durability::Synced, 0)).unwrap();
    while driver.store.totals().log_bytes < (segments as u64 * 16 - 8) << 10 {
        let op = driver.random_op(&mut random, 70);
        driver.apply(op).unwrap();
        if random.chance(5) {
            driver.commit().unwrap();
        }
        driver.step_index_chore().unwrap();
    }
    driver.commit().unwrap();
    let before = driver.now.clone();
    driver.put(b'a', b"in the last frame").unwrap();
    driver.commit().unwrap();
    (disk, driver.now, before)
}

fn open(disk: &CrashDisk, index: Option<PathBuf>) -> storage::Result<Store> {
    Ok(Store::open(Arc::new(disk.clone()), index, options(Durability::Synced, 0))?.0)
}

/// Opens it: either it says what is damaged, or everything is there. The last frame is nobody's word but its own.
fn seen_or_harmless(disk: &CrashDisk, index: Option<PathBuf>, all: &Expected, before: &Expected) -> Option<Error> {
    let files = disk.files();
    let survey = Survey::read(disk).unwrap();
    assert_eq!(disk.files(), files, "nothing is changed");
    let by_survey = surveyed(&survey);
    for (name, queue) in &by_survey {
        // One that was dropped comes back when its drop is what is damaged; its messages have the same numbers.
        let Some(expected) = all.queues.get(name).filter(|expected| expected.sets == queue.sets) else { continue };
        for message in &queue.messages {
            let as_put = expected.messages.iter().find(|expected| expected.seq == message.seq);
            // One that was taken comes again when its take is what is damaged.
            assert!(as_put.is_none_or(|as_put| as_put == message), "a survey invents nothing");
        }
    }
    match open(disk, index) {
        Ok(mut store) => {
            let found = drain(&mut store);
            assert!(found == all.queues || found == before.queues, "something is lost");
            assert!(!survey.is_whole() || by_survey == found);
            None
        }
        Err(error) => {
            assert!(!survey.is_whole(), "{error}, and the survey sees nothing");
            assert!(matches!(error, Error::Damage { .. }), "{error}");
            assert!(error.to_string().contains(".log is damaged at offset"), "{error}");
            assert_eq!(disk.files(), files, "nothing is changed");
            Some(error)
        }
    }
}

#[test]
fn a_bad_byte_anywhere_is_seen_or_harmless() {
    let (disk, all, before) = log(None, 4);
    let mut seen = 0;
    for name in disk.files() {
        for offset in (0..64).chain((64..16 << 10).step_by(29)) {
            let copy = disk.fork();
            copy.damage(&name, offset, |byte| byte ^ 0x10);
            seen += u32::from(seen_or_harmless(&copy, None, &all, &before).is_some());
        }
    }
    assert!(seen > 1000, "most of it matters: {seen}");
}

#[test]
fn the_error_names_the_file_and_the_place() {
    let (disk, all, before) = log(None, 4);
    disk.damage("0000000002.log", 3000, |byte| byte ^ 1);
    let Some(Error::Damage { file, offset, .. }) = seen_or_harmless(&disk, None, &all, &before) else {
        panic!("it is damaged");
    };
    assert_eq!(file, "0000000002.log");
    assert!(offset <= 3000 && offset + 3000 > 3000, "the frame that it is in: {offset}");
}

#[test]
fn a_log_of_one_segment_is_not_begun_anew_when_it_is_damaged() {
    let (disk, all, before) = log(None, 1);
    for offset in (0..36).chain(64..200) {
        let copy = disk.fork();
        copy.damage("0000000001.log", offset, |byte| byte ^ 1);
        seen_or_harmless(&copy, None, &all, &before).expect("the header, or the first frame, is damaged");
    }
}

/// Nothing tells which log it was, and nothing is left of it that could be told from an empty one, but that it is there.
#[test]
fn a_log_of_one_file_is_not_taken_for_empty_when_its_header_is_damaged() {
    let (disk, all, before) = log(None, 1);
    for spare in disk.files().iter().skip(1) {
        disk.unlink(spare);
    }
    for offset in 0..36 {
        let copy = disk.fork();
        copy.damage("0000000001.log", offset, |byte| byte ^ 1);
        seen_or_harmless(&copy, None, &all, &before).expect("there is no other header");
        let survey = Survey::read(&copy).unwrap();
        let part = &survey.damaged()[0];
        assert_eq!(survey.bytes_of(part).unwrap(), copy.content("0000000001.log"), "all of it can be set aside");
    }
}

#[test]
fn a_file_of_the_wrong_size_is_seen() {
    let (disk, all, before) = log(None, 4);
    for name in all_used(&disk) {
        let copy = disk.fork();
        copy.open(&name).unwrap().write_at(b"more", 16 << 10).unwrap();
        seen_or_harmless(&copy, None, &all, &before).expect("it is too long");
        let found = surveyed(&Survey::read(&copy).unwrap());
        assert!(found == all.queues, "what is in it can be had all the same");
    }
}

#[test]
fn a_missing_segment_is_seen() {
    let (disk, all, before) = log(None, 5);
    let used = all_used(&disk);
    for name in &used[..used.len() - 1] {
        let copy = disk.fork();
        copy.unlink(name);
        seen_or_harmless(&copy, None, &all, &before).expect("its messages are gone");
    }
}

/// The files with a frame in them.
fn all_used(disk: &CrashDisk) -> Vec<String> {
    disk.files().into_iter().filter(|name| disk.content(name)[64..].iter().any(|byte| *byte != 0)).collect()
}

/// A queue that the newer segments do not mention is missed nevertheless.
#[test]
fn a_missing_segment_is_seen_when_only_takes_were_in_it() {
    let disk = CrashDisk::default();
    let (mut driver, _) = Driver::open(&disk, None, options(Durability::Synced, 0)).unwrap();
    let used = |driver: &Driver| driver.store.totals().log_bytes >> 14;
    driver.put(b'a', b"is only in the first segment").unwrap();
    while used(&driver) < 4 {
        driver.put(b'b', &[1; 2000]).unwrap();
        driver.apply(Op::Delete { name: b'b' }).unwrap();
        driver.commit().unwrap();
    }
    for name in ["0000000001.log", "0000000002.log", "0000000003.log"] {
        let copy = disk.fork();
        copy.unlink(name);
        seen_or_harmless(&copy, None, &driver.now, &driver.now).expect("it is missing");
    }
}

#[test]
fn damage_is_seen_with_an_index_too() {
    let scratch = Scratch::new("damage");
    let index = scratch.0.join("index");
    let (disk, all, before) = log(Some(index.clone()), 5);
    let (used, mut seen) = (all_used(&disk), 0);
    for name in &used {
        for offset in (0..64).step_by(13).chain((64..16 << 10).step_by(811)) {
            let copy = disk.fork();
            copy.damage(name, offset, |byte| byte ^ 0x10);
            // What lies before the checkpoint is read when it is needed: then it is seen.
            let opened = open(&copy, Some(copy_of(&index)));
            let error = match opened {
                Ok(mut store) => match try_drain(&mut store) {
                    Ok(found) => {
                        assert!(found == all.queues || found == before.queues, "something is lost");
                        continue;
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            assert!(matches!(error, Error::Damage { .. }), "{error}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn a_torn_last_frame_is_passed_over() {
    let (disk, all, before) = log(None, 2);
    let used = all_used(&disk);
    let last = used.last().unwrap();
    let content = disk.content(last);
    let end = content.iter().rposition(|byte| *byte != 0).unwrap();
    for cut in 0..40 {
        let copy = disk.fork();
        for offset in end - cut..=end {
            copy.damage(last, offset, |_| 0);
        }
        assert!(seen_or_harmless(&copy, None, &all, &before).is_none());
    }
}

/// The disk wrote the last frame over the first one too, where no frame in front tells which number is due.
#[test]
fn a_frame_at_the_wrong_place_is_seen() {
    let disk = CrashDisk::default();
    let (mut driver, _) = Driver::open(&disk, None, options(Durability::Synced, 0)).unwrap();
    driver.put(b'b', b"from the first frame to the last").unwrap();
    driver.commit().unwrap();
    driver.put(b'a', b"taken").unwrap();
    driver.commit().unwrap();
    driver.apply(Op::Delete { name: b'a' }).unwrap();
    driver.put(b'a', b"complete in itself").unwrap();
    driver.commit().unwrap();
    let (name, content) = ("0000000001.log", disk.content("0000000001.log"));
    let end = content.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let last = content.windows(4).rposition(|bytes| bytes == b"rqF1").unwrap();
    for (at, byte) in content[last..end].iter().enumerate() {
        disk.damage(name, 64 + at, |_| *byte);
    }
    seen_or_harmless(&disk, None, &driver.now, &driver.now).expect("the first frame is gone");
}

/// Looking for frames behind the log's end reads what is there a few times at most, whatever a client wrote into it.
#[test]
fn a_start_reads_the_disk_a_few_times_at_most() {
    let disk = CrashDisk::default();
    let options = StoreOptions { segment_bytes: 1 << 20, ..options(Durability::Synced, 0) };
    let (mut driver, _) = Driver::open(&disk, None, options).unwrap();
    for _ in 0..1500 {
        driver.put(b'a', &b"rqF1".repeat(700)).unwrap();
        driver.take(b'a').unwrap();
        driver.commit().unwrap();
        driver.store.reclaim().unwrap();
        driver.step_segment_chore().unwrap();
    }
    let before = disk.bytes_read();
    Store::open(Arc::new(disk.clone()), None, options).unwrap();
    let (read, there) = (disk.bytes_read() - before, disk.bytes() as u64);
    assert!(read <= 4 * there, "{read} bytes were read of {there}");
}
