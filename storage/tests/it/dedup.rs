//! Puts with ids: each is there once, however often it comes, for as long as its queue says, and exactly so over crashes.

use std::sync::Arc;

use storage::{Adopted, Durability, PutWith, Store, Survey};
use storage_testing::{CrashDisk, CrashTree, Op, Random};

use crate::driver::{Crash, options};
use crate::family::{DEDUP_MS, Family};

fn open(disk: &CrashDisk, with_index: bool) -> Family {
    Family::open(disk, with_index.then(|| CrashTree::new(disk)), options(Durability::Synced, 0)).unwrap()
}

fn depth(family: &Family, name: &[u8]) -> usize {
    family.now.queues.queues[name].messages.len()
}

#[test]
fn an_id_is_remembered_until_its_time_is_over() {
    let mut family = open(&CrashDisk::default(), false);
    family.put_with(b"q", b"once", b"1").unwrap();
    family.put_with(b"q", b"again", b"1").unwrap();
    family.put_with(b"q +a", b"another queue's", b"1").unwrap();
    family.put_with(b"q", b"another", b"2").unwrap();
    assert_eq!((depth(&family, b"q"), depth(&family, b"q +a")), (2, 2));
    // Taken, flushed: it was put all the same.
    family.take(b"q").unwrap();
    family.apply(Op::Flush { name: b"q".to_vec() }).unwrap();
    family.put_with(b"q", b"once more", b"1").unwrap();
    family.apply(Op::FlushAll).unwrap();
    family.put_with(b"q", b"and once more", b"1").unwrap();
    assert_eq!(depth(&family, b"q"), 0);
    family.pass_time(DEDUP_MS - 1).unwrap();
    family.put_with(b"q", b"in the last millisecond", b"1").unwrap();
    assert_eq!(depth(&family, b"q"), 0);
    assert_eq!(family.store.next_due(), Some(family.now_ms + 1));
    family.pass_time(1).unwrap();
    family.put_with(b"q", b"after it", b"1").unwrap();
    assert_eq!(depth(&family, b"q"), 1);
    // A queue that is made anew was never told.
    family.apply(Op::Delete { name: b"q".to_vec() }).unwrap();
    family.put_with(b"q", b"a new queue's", b"1").unwrap();
    assert_eq!(depth(&family, b"q"), 1);
    family.crash(Crash::PowerCut, &mut Random::new(1)).unwrap();
}

/// Nothing but a checkpoint, or nothing but copies, may say what was put.
#[test]
fn an_id_outlives_its_segment_and_is_in_a_checkpoint() {
    for with_index in [false, true] {
        let (disk, mut random) = (CrashDisk::default(), Random::new(1));
        let mut family = open(&disk, with_index);
        for id in b"1234" {
            family.put_with(b"q", b"once", &[*id]).unwrap();
            family.take(b"q").unwrap();
        }
        family.go_round().unwrap();
        if with_index {
            family.checkpoint().unwrap();
        }
        family = family.crash(Crash::PowerCut, &mut random).unwrap();
        assert_eq!(family.now.ids.len(), 4);
        for id in b"1234" {
            family.put_with(b"q", b"again", &[*id]).unwrap();
        }
        assert_eq!(depth(&family, b"q"), 0);
        family.pass_time(DEDUP_MS).unwrap();
        family.apply(Op::Delete { name: b"z".to_vec() }).unwrap();
        family.apply(Op::Delete { name: b"q".to_vec() }).unwrap();
        assert_eq!(family.store.totals().live_bytes, 0, "what is over needs no room");
    }
}

/// A checkpoint is written in many pieces, and ids come, end and go between them.
#[test]
fn ids_change_while_a_checkpoint_is_written() {
    let (disk, mut random) = (CrashDisk::default(), Random::new(1));
    let roomy = storage::StoreOptions { segment_bytes: 256 << 10, ..options(Durability::Synced, 0) };
    let tree = CrashTree::new(&disk);
    let open = || Store::open_with_tree(Arc::new(disk.clone()), Arc::new(tree.clone()), roomy).unwrap();
    let mut store = open().0;
    let mut now_ms = 1_800_000_000_000;
    let put = |store: &mut Store, name: &[u8], id: u32| {
        let with = PutWith { id: &id.to_be_bytes(), ..PutWith::default() };
        let before = store.totals().messages;
        store.at_once(|store| store.put_with(name, 0, b"", with)).unwrap().unwrap();
        store.totals().messages > before
    };
    store.set_time(now_ms);
    (0..5000).for_each(|id| assert!(put(&mut store, [b"a", b"b", b"c"][id as usize % 3], id)));
    let wanted = store.request_checkpoint();
    let mut next = 5000;
    while store.checkpoints_finished() < wanted {
        now_ms += 1000;
        store.set_time(now_ms);
        for _ in 0..random.below(50) {
            assert!(put(&mut store, b"a", next));
            next += 1;
        }
        if let Some(mut chore) = store.index_chore() {
            chore.run();
            store.finish_chore(chore).unwrap();
        }
        if let Some(mut commit) = store.begin_commit() {
            commit.run().unwrap();
            store.finish_commit(commit);
        }
    }
    store.settle().unwrap();
    let survey = Survey::read(&disk).unwrap();
    assert_eq!(survey.queues().map(|queue| survey.ids(queue).count()).sum::<usize>(), next as usize);
    drop(store);
    let (mut store, recovered) = open();
    assert!(recovered.from_index);
    store.set_time(now_ms);
    for id in 0..next {
        let name: &[u8] = if id < 5000 { [b"a", b"b", b"c"][id as usize % 3] } else { b"a" };
        assert!(!put(&mut store, name, id), "id {id} is forgotten");
    }
}

#[test]
fn a_queue_may_remember_for_another_time_or_not_at_all() {
    let disk = CrashDisk::default();
    let mut store = open(&disk, false).store;
    let put = |store: &mut Store, name: &[u8]| {
        let with = PutWith { id: b"the same", ..PutWith::default() };
        let before = store.totals().messages;
        store.at_once(|store| store.put_with(name, 0, b"", with)).unwrap().unwrap();
        store.totals().messages - before
    };
    for (name, words) in [(b"none", &b"dedup=0"[..]), (b"some", b"dedup=2"), (b"full", b"depth=1")] {
        store.at_once(|store| store.configure(name, words)).unwrap().unwrap().unwrap();
    }
    assert_eq!((put(&mut store, b"none"), put(&mut store, b"none")), (1, 1));
    assert_eq!((put(&mut store, b"some"), put(&mut store, b"some")), (1, 0));
    store.set_time(1_800_000_002_000);
    assert_eq!(put(&mut store, b"some"), 1);
    // What was put is no put once more, and so not refused.
    assert_eq!((put(&mut store, b"full"), put(&mut store, b"full")), (1, 0));
}

#[test]
fn an_id_comes_with_a_queue_that_is_adopted() {
    let disk = CrashDisk::default();
    let mut family = open(&disk, false);
    family.put_with(b"q", b"once", b"1").unwrap();
    family.commit().unwrap();
    let survey = Survey::read(&disk).unwrap();
    let queue = survey.queues().next().unwrap();
    let ids: Vec<(Vec<u8>, u32)> = survey.ids(queue).map(|(id, until_s)| (id.to_vec(), until_s)).collect();
    assert_eq!(ids, [(b"1".to_vec(), ((family.now_ms + DEDUP_MS) / 1000) as u32)]);
    let target = CrashDisk::default();
    let mut store = open(&target, false).store;
    let adopted = Adopted { name: b"q", settings: b"", sets: 1, gets: 1, head: 2 };
    store.at_once(|store| store.adopt(adopted)).unwrap().unwrap();
    store.at_once(|store| store.adopt_id(b"q", &ids[0].0, ids[0].1)).unwrap().unwrap();
    store.settle().unwrap();
    let mut store = open(&target, false).store;
    let with = PutWith { id: b"1", ..PutWith::default() };
    store.at_once(|store| store.put_with(b"q", 0, b"again", with)).unwrap().unwrap();
    assert_eq!(store.totals().messages, 0);
}
