//! Opens files as a log, and holds what comes of it against the reference and against the log's history.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use storage::{Error, Recovered, Result, Store, StoreOptions};
use storage_testing::{CrashDisk, CrashTree, Images, Message, Pairs, try_drain};

use super::damage::Damaged;
use super::life::History;
use super::reference;
use super::{ALLOCATED, State, options};

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
    if let Some(history) = history.filter(|_| damaged != Damaged::Knowingly) {
        let frame = history.frame_of(&state).unwrap_or_else(|| panic!("nobody ever put this: {state:?}"));
        let lost = frame < history.last_frame();
        assert!(damaged != Damaged::Not || !lost, "undamaged, and older than it was: {frame}");
    }
    // What is left on the disk says the same, unless the segments that are no longer needed were forged so that they say
    // more than the others.
    let left = reference::read(&disk.images(), &options());
    if damaged != Damaged::Knowingly {
        assert!(!found.is_impossible, "no store writes what is there");
        assert_eq!(left.as_ref().map(|left| &left.state), Ok(&state), "what is left");
    }
    if let Some(left) = left.ok().filter(|left| !found.is_impossible && !left.is_impossible) {
        goes_on(&disk, left.state);
    }
    assert_eq!(try_drain(&mut store).expect("it was whole when it was opened"), state);
}

/// Opens a log that is whole with an index of which nothing is known: it is believed or not, and what is opened is what
/// the log says. An index that is forged may say otherwise, and still nothing panics.
pub(crate) fn holds_with_index(images: &Images, pairs: &Pairs, damaged: Damaged) {
    let wanted = reference::read(images, &options()).expect("the log is whole").state;
    let disk = CrashDisk::with(images);
    let tree = CrashTree::with(&disk, pairs);
    let opened = Store::open_with_tree(Arc::new(disk.clone()), Arc::new(tree.clone()), options());
    let (mut store, recovered) = opened.expect("the log is whole");
    let drained = try_drain::<Vec<u8>>(&mut store);
    if damaged == Damaged::Knowingly {
        // What copying forward reads may be damaged, by what the index says of it.
        drop(store.at_once(|store| store.put(b"a", 7, b"put into what was forged")).and_then(|_| store.close()));
        return;
    }
    assert_eq!(drained.expect("the log is whole"), wanted, "from index: {}", recovered.from_index);
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

/// A log that was opened can be opened again, and be added to.
fn goes_on(disk: &CrashDisk, mut expected: State) {
    // The store that was opened first is not to notice.
    let disk = CrashDisk::with(&disk.images());
    let (mut store, _) = open(&disk, options()).expect("it was opened before");
    let new: Vec<u8> = b"not-there-before".to_vec();
    let names: Vec<Vec<u8>> = expected.keys().take(1).cloned().chain([new]).collect();
    for name in names {
        let body = [b"put into ", name.as_slice()].concat();
        let room = store.at_once(|s| s.put(&name, 7, &body)).expect("the disk is good");
        assert!(room.is_some(), "there is room");
        let queue = expected.entry(name).or_default();
        queue.sets += 1;
        let seq = queue.messages.back().map_or(0, |last| last.seq);
        queue.messages.push_back(Message { seq, flags: 7, body });
    }
    store.settle().expect("the disk is good");
    drop(store);
    let (mut store, _) = open(&disk, options()).expect("the store itself wrote it");
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
