//! What there is on a disk with families of queues: what a start finds, and what a survey does.

use std::sync::Arc;

use storage::{Error, PutWith, Result, Store, StoreOptions, Survey, names};
use storage_testing::{CrashDisk, CrashTree, Message, Queues, drain};

use crate::family::Name;

pub(crate) fn open_store(disk: &CrashDisk, tree: Option<&CrashTree>, options: StoreOptions) -> Result<Store> {
    let opened = match tree {
        Some(tree) => Store::open_with_tree(Arc::new(disk.clone()), Arc::new(tree.clone()), options),
        None => Store::open(Arc::new(disk.clone()), None, options),
    };
    opened.map(|(store, _)| store)
}

/// Queues, and which ids are remembered.
pub(crate) type Seen = (Queues<Name>, Vec<(Name, Vec<u8>)>);

/// What a start finds on a copy of a disk.
pub(crate) fn seen(disk: &CrashDisk, tree: Option<&CrashTree>, options: StoreOptions, now_ms: u64) -> Result<Seen> {
    let open = || {
        let disk = disk.fork();
        let tree = tree.map(|tree| tree.fork(&disk));
        let mut store = open_store(&disk, tree.as_ref(), options)?;
        store.set_time(now_ms);
        Ok::<Store, Error>(store)
    };
    let queues = drain::<Name>(&mut open()?);
    let mut store = open()?;
    let mut ids = Vec::new();
    for name in queues.keys() {
        for id in b"12345678".map(|id| [id]) {
            let sets = |store: &Store| storage_testing::lines::<Name>(store);
            let before = sets(&store);
            let with = PutWith { id: &id, ..PutWith::default() };
            store.at_once(|store| store.put_with(name, 0, b"", with))?.expect("there is room");
            if sets(&store) == before && !is_silent(&queues, name) {
                ids.push((name.clone(), id.to_vec()));
            }
        }
    }
    Ok((queues, ids))
}

/// Whether nothing is seen of a put into a queue.
pub(crate) fn is_silent(queues: &Queues<Name>, name: &[u8]) -> bool {
    let has_children = queues.keys().any(|child| names::queue_of(child) == Some(name));
    queues.get(name).is_some_and(|queue| queue.settings == b"fanout_only=1") && !has_children
}

pub(crate) fn surveyed(survey: &Survey) -> Queues<Name> {
    let mut queues = Queues::new();
    for queue in survey.queues() {
        let mut found = storage_testing::Queue {
            sets: queue.sets(),
            gets: queue.gets(),
            settings: queue.settings().to_vec(),
            ..Default::default()
        };
        let read = survey.messages(queue, |taken, _| {
            found.messages.push_back(Message { seq: taken.seq, flags: taken.flags, body: taken.body.into_vec() });
            Ok::<(), Error>(())
        });
        read.unwrap();
        queues.insert(queue.name(), found);
    }
    queues
}
