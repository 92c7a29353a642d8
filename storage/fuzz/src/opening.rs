//! Opens files as a log, and holds what comes of it against the reference and against the log's history.

mod buyers;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use storage::settings::Words;
use storage::{Error, Opening, Recovered, Result, Store, StoreOptions, Survey};
use storage_testing::{CrashDisk, CrashTree, Images, Kept, Message, Pairs, Queue, kept, kept_at, try_drain};

use super::damage::Damaged;
use super::gates;
use super::life::History;
use super::reference::{self, Found};
use super::{ALLOCATED, options};

/// No start needs more at once for logs as small as these, nor a larger piece of it, whatever their headers claim: windows
/// of what is there, and queues' runs of messages.
const ALLOCATION_BYTES_MAX: usize = 256 << 10;
const ALLOCATED_BYTES_MAX: usize = 32 << 20;

/// Opens the files, with a look at what is allocated for it.
fn open(disk: &CrashDisk, options: StoreOptions) -> Result<(Store, Recovered)> {
    let before = ALLOCATED.now.load(Relaxed);
    ALLOCATED.peak.store(before, Relaxed);
    ALLOCATED.largest.store(0, Relaxed);
    let opened = Store::open(Arc::new(disk.clone()), None, options);
    let (peak, largest) = (ALLOCATED.peak.load(Relaxed), ALLOCATED.largest.load(Relaxed));
    assert!(largest <= ALLOCATION_BYTES_MAX, "{largest} bytes were allocated at once");
    assert!(peak.saturating_sub(before) <= ALLOCATED_BYTES_MAX, "{} bytes were allocated", peak - before);
    opened
}

/// Opens a log of which all is known.
pub(crate) fn holds(images: &Images, damaged: Damaged, history: Option<&History>) {
    let wanted = reference::read(images, &options());
    let disk = CrashDisk::with(images);
    let (mut store, recovered) = match (open(&disk, options()), &wanted) {
        (Ok(opened), Ok(_)) => opened,
        (Ok((mut store, recovered)), Err(why)) => {
            panic!("opened, although {why}: {recovered:?}\n{:?}", try_drain::<Vec<u8>>(&mut store))
        }
        (Err(error), _) => {
            assert_ne!(damaged, Damaged::Not, "an undamaged log is not opened: {error}");
            if let Ok(found) = &wanted {
                panic!("not opened, although it is whole: {error}\n{found:?}");
            }
            names_its_file(&error, images);
            assert_eq!(disk.images(), *images, "nothing is changed");
            return;
        }
    };
    let found = wanted.expect("else it was not opened");
    assert_eq!(recovered.frames, found.frames);
    if found.ambiguous {
        return;
    }
    let state = found.state;
    let messages = state.values().map(|queue| queue.messages.len() as u64).sum();
    let totals = store.totals();
    assert_eq!((recovered.queues, recovered.messages), (state.len() as u64, messages));
    assert_eq!((totals.queues, totals.messages), (state.len() as u64, messages));
    assert_eq!(kept(&mut store), found.kept, "what messages have beside their bodies");
    gates::check(&mut store, &found.gates, 0);
    if let Some(history) = history.filter(|_| damaged != Damaged::Knowingly) {
        let frame = history.frame_of(&state, &found.kept, &found.gates);
        let frame = frame.unwrap_or_else(|| panic!("it never was like this: {state:?}\n{:?}", found.gates));
        let lost = frame < history.last_frame();
        assert!(damaged != Damaged::Not || !lost, "undamaged, and older than it was: {frame}");
        let survey = Survey::read(&CrashDisk::with(images)).expect("the disk is good");
        assert!(damaged != Damaged::Not || survey.is_whole(), "undamaged, and not whole: {:?}", survey.damaged());
    }
    // What is left on the disk says the same, unless the segments that are no longer needed were forged so that they say
    // more than the others.
    let left = reference::read(&disk.images(), &options());
    if damaged != Damaged::Knowingly {
        assert!(!found.is_impossible, "no store writes what is there");
        let left = left.as_ref().map(|left| (&left.state, &left.kept, &left.gates));
        assert_eq!(left, Ok((&state, &found.kept, &found.gates)), "what is left");
    }
    if let Some(left) = left.ok().filter(|left| !found.is_impossible && !left.is_impossible) {
        buyers::return_all(&disk, &left);
        buyers::join_one_more(&disk, &left);
        goes_on(&disk, left);
    }
    assert_eq!(try_drain(&mut store).expect("it was whole when it was opened"), state);
}

/// Opens a log that is whole with an index of which nothing is known: it is believed or not, and what is opened is what
/// the log says. An index that is forged may say otherwise, and still nothing panics.
pub(crate) fn holds_with_index(images: &Images, pairs: &Pairs, damaged: Damaged, now_ms: u64) {
    let reference::Found { state: wanted, kept: wanted_kept, gates: wanted_gates, .. } =
        reference::read(images, &options()).expect("the log is whole");
    let disk = CrashDisk::with(images);
    let tree = CrashTree::with(&disk, pairs);
    let opened = Store::open_with_tree(Arc::new(disk.clone()), Arc::new(tree.clone()), options());
    let (mut store, recovered) = opened.expect("the log is whole");
    let found_kept = kept(&mut store);
    let drained = try_drain::<Vec<u8>>(&mut store);
    if damaged == Damaged::Knowingly {
        let again = Store::open_with_tree(
            Arc::new(CrashDisk::with(images)),
            Arc::new(CrashTree::with(&disk, pairs)),
            options(),
        );
        let mut again = again.expect("the log is whole").0;
        passes(&mut again);
        // What copying forward reads may be damaged, by what the index says of it.
        drop(store.at_once(|store| store.put(b"a", 7, b"put into what was forged")).and_then(|_| store.close()));
        return;
    }
    gates::check(&mut store, &wanted_gates, 0);
    assert_eq!(drained.expect("the log is whole"), wanted, "from index: {}", recovered.from_index);
    // A delay that was over may be forgotten by the one, and not by the other.
    assert_eq!(kept_at(&found_kept, now_ms), kept_at(&wanted_kept, now_ms), "from index: {}", recovered.from_index);
    if damaged == Damaged::Not {
        assert_eq!(recovered.from_index, pairs.contains_key(b"c".as_slice()), "the index is of use");
    }
    // With what this start made of the index, the next checkpoint is a good one.
    let open = || Store::open_with_tree(Arc::new(CrashDisk::with(images)), Arc::new(tree.clone()), options());
    drop(store);
    open().expect("it was opened before").0.close().expect("the disk is good");
}

/// An error that says where to look.
fn names_its_file(error: &Error, images: &Images) {
    let text = error.to_string();
    match error {
        Error::Damage { file, .. } => {
            assert!(text.starts_with(&format!("{file} is damaged at offset ")), "{text}");
            // A segment that is missing is named too.
            let is_segment = super::format::segment_number(file).is_some();
            assert!(is_segment, "{text} of {:?}", images.keys());
        }
        Error::Io { .. } => {
            assert!(text.contains("too small for bodies of") || text.contains("which a newer rushq wrote"), "{text}")
        }
    }
}

/// When a message is put into what was forged.
const PUT_MS: u64 = 1_700_000_000_000;

/// Time passes, and whatever is forged, what is due comes to an end.
fn passes(store: &mut Store) {
    for now_ms in [PUT_MS, 1 << 50, (1 << 63) - 2] {
        store.set_time(now_ms);
        for _ in 0..1000 {
            match store.pass_time(7) {
                Ok(true) => {}
                Ok(false) if store.next_due().is_none_or(|at_ms| at_ms > now_ms) => break,
                // Held up, or damaged by what the index says of it.
                Ok(false) => drop(store.settle()),
                Err(_) => return,
            }
        }
        assert!(store.next_due().is_none_or(|at_ms| at_ms > now_ms), "it is never done");
    }
}

/// A log that was opened can be opened again, and be added to.
fn goes_on(disk: &CrashDisk, left: Found) {
    let Found { state: mut expected, kept: mut expected_kept, gates, leases, .. } = left;
    // The store that was opened first is not to notice.
    let disk = CrashDisk::with(&disk.images());
    let (mut store, _) = open(&disk, options()).expect("it was opened before");
    store.set_time(PUT_MS);
    let new: Vec<u8> = b"not-there-before".to_vec();
    // Not one that may refuse it, or keep it back.
    let has_no_words = |queue: &Queue| queue.settings.is_empty() || Words::parse(&queue.settings).is_err();
    let there = expected.iter().find(|(_, queue)| has_no_words(queue)).map(|(name, _)| name.clone());
    let names: Vec<Vec<u8>> = there.into_iter().chain([new]).collect();
    for name in names {
        let body = [b"put into ", name.as_slice()].concat();
        let room = store.at_once(|s| s.put(&name, 7, &body)).expect("the disk is good");
        assert!(room.is_some(), "there is room");
        let queue = expected.entry(name.clone()).or_default();
        queue.sets += 1;
        expected_kept.entry(name).or_default();
        let seq = queue.messages.back().map_or(0, |last| last.seq);
        queue.messages.push_back(Message { seq, flags: 7, body });
    }
    let opened = store.at_once(|s| s.open_next(b"not-there-before")).expect("the disk is good").expect("there is room");
    let Opening::Message(opened) = opened else { panic!("{opened:?}, although a message was put") };
    // Far out, the numbers begin anew.
    assert!(opened.lease >> 8 >= leases || leases > 1 << 44, "the number of a delivery comes again");
    store.settle().expect("the disk is good");
    drop(store);
    let (mut store, _) = open(&disk, options()).expect("the store itself wrote it");
    let mut found_kept = kept::<Vec<u8>>(&mut store);
    for (name, messages) in &mut found_kept {
        let new = Kept { put_s: (PUT_MS / 1000) as u32, ..Kept::default() };
        if expected.contains_key(name) && expected_kept.contains_key(name) && messages.len() > expected_kept[name].len()
        {
            assert_eq!(messages.pop_last().map(|(_, kept)| kept), Some(new), "what was put");
        }
    }
    assert_eq!(found_kept, expected_kept, "what messages have beside their bodies");
    gates::check(&mut store, &gates, 0);
    let again = CrashDisk::with(&disk.images());
    passes(&mut open(&again, options()).expect("the store itself wrote it").0);
    let mut found = try_drain::<Vec<u8>>(&mut store).expect("the store itself wrote it");
    for (name, queue) in &mut found {
        // What number a message gets in a queue that was empty, is known to the log only.
        let last = expected.get(name).and_then(|queue| queue.messages.back());
        if let (Some(message), Some(last)) = (queue.messages.back_mut(), last) {
            assert!(message.seq >= last.seq);
            message.seq = last.seq;
        }
    }
    assert_eq!(found, expected, "what was put after it was opened");
}
