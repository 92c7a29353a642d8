//! Names that no command can say have no queue: it could be neither emptied nor removed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use storage::{Adopted, Durability, Store};
use storage_testing::CrashDisk;

use crate::driver::{Driver, options};

#[test]
fn a_name_that_cannot_be_said_is_refused_for_a_new_queue() {
    let long = [b'x'; 251];
    for name in [&b""[..], b"a\tb", b"a\r", b"a b", b"a +", b"\x7f", &long] {
        for way in ["put", "create"] {
            let mut store =
                Driver::open(&CrashDisk::default(), None, options(Durability::Synced, 1000)).unwrap().0.store;
            let ask = |store: &mut Store| match way {
                "put" => store.put(name, 0, b"body").map(drop),
                _ => store.create(name).map(drop),
            };
            let outcome = catch_unwind(AssertUnwindSafe(|| ask(&mut store)));
            assert!(outcome.is_err(), "{way} of {}", name.escape_ascii());
        }
    }
    let mut store = Driver::open(&CrashDisk::default(), None, options(Durability::Synced, 1000)).unwrap().0.store;
    assert!(store.at_once(|store| store.create(&long[1..])).unwrap().is_some());
    assert!(
        store
            .at_once(|store| store.adopt(Adopted { name: b"a\tb", settings: b"", sets: 0, gets: 0, head: 1 }))
            .unwrap()
            .is_some(),
        "it was there before"
    );
}

/// What belongs to a queue goes with it.
#[test]
fn a_queue_goes_and_is_flushed_with_its_dead_letters() {
    let disk = CrashDisk::default();
    let (mut driver, _) = Driver::open(&disk, None, options(Durability::Synced, 1 << 20)).unwrap();
    let store = &mut driver.store;
    let put = |store: &mut Store, name: &[u8]| store.at_once(|s| s.put(name, 0, b"x")).unwrap().unwrap();
    let depth = |store: &mut Store, name: &[u8]| {
        let mut waiting = None;
        store.figures(0, 100, b"", |figures| {
            if *figures.name == *name {
                waiting = Some(figures.waiting);
            }
        });
        waiting
    };
    for name in [&b"q"[..], b"q dead", b"q +c", b"other dead"] {
        put(store, name);
    }
    store.at_once(|s| s.flush(b"q")).unwrap().unwrap();
    assert_eq!((depth(store, b"q"), depth(store, b"q dead")), (Some(0), Some(0)));
    assert_eq!((depth(store, b"q +c"), depth(store, b"other dead")), (Some(1), Some(1)), "they are others");
    put(store, b"q dead");
    assert_eq!(store.at_once(|s| s.delete(b"q")).unwrap(), Some(true));
    assert_eq!((depth(store, b"q"), depth(store, b"q dead")), (None, None));
    assert_eq!(store.at_once(|s| s.delete(b"other")).unwrap(), Some(true), "dead letters alone");
    assert_eq!(store.at_once(|s| s.delete(b"other")).unwrap(), Some(false));
}
