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
