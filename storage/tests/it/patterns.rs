//! What queues are told by their names.

use std::sync::Arc;

use storage::Durability;
use storage::settings::Patterns;
use storage_testing::CrashDisk;

use crate::driver::{Driver, options};

#[test]
fn what_a_queue_was_told_stands_above_what_patterns_say() {
    let mut store = Driver::open(&CrashDisk::default(), None, options(Durability::Synced, 1000)).unwrap().0.store;
    assert!(store.at_once(|store| store.create(b"jobs")).unwrap().is_some());
    assert!(store.at_once(|store| store.set_settings(b"jobs", b"tries=0 depth=7")).unwrap().is_some());
    for (file, jobs, other) in [
        ("*: tries=5 lease=9", "depth=7 lease=9", "lease=9 tries=5"),
        ("jobs: age=1", "depth=7 age=1", ""),
        ("", "depth=7", ""),
    ] {
        store.set_patterns(Arc::new(Patterns::parse(file.as_bytes()).unwrap()));
        assert_eq!(store.settings_in_force(b"jobs").to_string(), jobs, "{file}");
        assert_eq!(store.settings_in_force(b"other").to_string(), other, "{file}");
    }
}
