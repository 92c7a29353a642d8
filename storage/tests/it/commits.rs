//! What goes into one commit.

use std::sync::Arc;

use storage::{Attempt, Durability, Store};
use storage_testing::CrashDisk;

use crate::driver::{COMMIT_BYTES_MAX, options};

/// What a frame and a put take besides the body, at most.
const OVERHEAD_BYTES: usize = 200;

/// Puts a message, and commits nothing.
fn put(store: &mut Store, body: &[u8]) {
    while store.put(b"q", 0, body).unwrap() == Attempt::Wait {
        let mut chore = store.segment_chore().expect("it waits for that");
        chore.run();
        store.finish_chore(chore).unwrap();
    }
}

/// Bytes of each commit until there is nothing left to commit.
fn commit_all(store: &mut Store) -> Vec<usize> {
    let mut sizes = Vec::new();
    while let Some(mut commit) = store.begin_commit() {
        let before = store.acknowledged();
        commit.run().unwrap();
        sizes.push(commit.bytes());
        store.finish_commit(commit);
        assert!(store.acknowledged() > before);
    }
    assert_eq!(store.acknowledged(), store.changed());
    sizes
}

#[test]
fn a_commit_is_no_larger_than_it_may_be() {
    let opened = Store::open(Arc::new(CrashDisk::default()), None, options(Durability::Synced, 1 << 20));
    let (mut store, _) = opened.unwrap();
    for number in 0..100 {
        put(&mut store, &vec![7; number * 10]);
    }
    let sizes = commit_all(&mut store);
    assert!(sizes.iter().all(|size| *size <= COMMIT_BYTES_MAX), "{sizes:?}");
    // Ten, if all were full; a body that does not fit is left for the next.
    assert!((9..=20).contains(&sizes.len()), "{sizes:?}");
}

#[test]
fn what_is_larger_than_a_commit_may_be_goes_alone() {
    let mut options = options(Durability::Synced, 1 << 20);
    options.commit_bytes_max = 100;
    let (mut store, _) = Store::open(Arc::new(CrashDisk::default()), None, options).unwrap();
    for _ in 0..10 {
        put(&mut store, &[7; 1000]);
    }
    let sizes = commit_all(&mut store);
    assert!(sizes.len() >= 10 && sizes.iter().all(|size| *size <= 1000 + OVERHEAD_BYTES), "{sizes:?}");
}
