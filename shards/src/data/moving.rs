//! Moving all queues from one set of logs to another: for another number of shards, and out of a log that is damaged.

use std::{fmt, io};

use storage::{Adopted, Error, Store, StoreOptions, Survey, Taken};

use crate::owner::owner_of;

/// Bytes of bodies that are put between two commits.
const BATCH_BYTES: usize = 4 << 20;

/// Why the queues could not be moved.
#[derive(Debug)]
pub(crate) enum MoveError {
    /// There is no room for a second copy.
    Full,
    Directory(io::Error),
    Storage(Error),
}

impl From<Error> for MoveError {
    fn from(error: Error) -> MoveError {
        if error.is_full() { MoveError::Full } else { MoveError::Storage(error) }
    }
}

impl fmt::Display for MoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MoveError::Full => f.write_str("the disk has no room for a second copy"),
            MoveError::Directory(error) => error.fmt(f),
            MoveError::Storage(error) => error.fmt(f),
        }
    }
}

/// What was moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Queues, empty ones included.
    pub queues: u64,
    /// Messages.
    pub messages: u64,
}

/// The options of a store that takes whatever the surveyed logs hold, also what was allowed once and is not now.
pub(crate) fn options_that_fit(options: StoreOptions, sources: &[Survey]) -> StoreOptions {
    let segment_bytes = sources.iter().map(Survey::segment_bytes).fold(options.segment_bytes, u32::max);
    StoreOptions { segment_bytes, body_bytes_max: StoreOptions::body_bytes_max_in(segment_bytes), ..options }
}

/// Puts all queues of `sources` into `targets`, each where it belongs, with its counters and the numbers of its messages,
/// and makes them durable.
///
/// # Errors
/// When a source cannot be read or a target not be written.
pub(crate) fn move_all(sources: &[Survey], targets: &mut [Store]) -> Result<Moved, MoveError> {
    let mut moved = Moved::default();
    let mut unsettled = 0;
    let leases = sources.iter().map(Survey::leases).max().unwrap_or(0);
    targets.iter_mut().for_each(|target| target.begin_leases_behind(leases));
    for source in sources {
        for queue in source.queues() {
            let shards = targets.len() as u16;
            let mut name = queue.name();
            if targets[owner_of(&name, shards).index()].has_queue(&name) {
                // As where an earlier build took a directory without its layout for new, with other owners of the queues.
                let (taken, spare) = (name, queue.spare_name());
                let (taken, new) = (String::from_utf8_lossy(&taken), String::from_utf8_lossy(&spare));
                log::warn!("queue {taken} is in the logs of two shards: one of them is now called {new}");
                name = spare;
            }
            let target = &mut targets[owner_of(&name, shards).index()];
            let given = source.gate(queue).map_or(0, |gate| gate.given_at_least());
            let adopted = Adopted {
                name: &name,
                settings: queue.settings(),
                // Each ticket was put as a message, whatever is left of a damaged log.
                sets: queue.sets().max(given).saturating_sub(queue.stored()),
                gets: queue.gets(),
                head: queue.first(),
            };
            target.at_once(|target| target.adopt(adopted))?.ok_or(MoveError::Full)?;
            moved.queues += 1;
            for (id, until_s) in source.ids(queue) {
                target.at_once(|target| target.adopt_id(&name, id, until_s))?.ok_or(MoveError::Full)?;
            }
            if let Some(gate) = source.gate(queue) {
                target.at_once(|target| target.adopt_gate(&name, &gate))?.ok_or(MoveError::Full)?;
            }
            for ticket in source.tickets(queue) {
                target.at_once(|target| target.adopt_ticket(&name, &ticket))?.ok_or(MoveError::Full)?;
            }
            source.messages(queue, |message, kept| {
                let Taken { seq, flags, body } = &message;
                let room = target.at_once(|target| target.adopt_message(&name, *seq, *flags, body, &kept))?;
                room.ok_or(MoveError::Full)?;
                moved.messages += 1;
                unsettled += message.body.len();
                if unsettled >= BATCH_BYTES {
                    target.settle()?;
                    unsettled = 0;
                }
                Ok::<(), MoveError>(())
            })?;
            target.at_once(|target| target.adopt_end(&name, queue.next()))?.ok_or(MoveError::Full)?;
        }
    }
    targets.iter_mut().try_for_each(Store::settle)?;
    let there = targets.iter().fold(Moved::default(), |sum, target| {
        let totals = target.totals();
        Moved { queues: sum.queues + totals.queues, messages: sum.messages + totals.messages }
    });
    assert_eq!(there, moved, "what was moved is there");
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use storage::{Durability, PutWith};
    use storage_testing::CrashDisk;

    use super::*;

    fn open() -> (CrashDisk, Store) {
        let disk = CrashDisk::default();
        let options = StoreOptions {
            durability: Durability::Synced,
            segment_bytes: 64 << 10,
            memory_bytes: 1 << 20,
            body_bytes_max: 1000,
            commit_bytes_max: 1 << 20,
        };
        let mut store = Store::open(Arc::new(disk.clone()), None, options).unwrap().0;
        store.set_time(1_800_000_000_000);
        (disk, store)
    }

    #[test]
    fn children_and_ids_go_to_the_shard_of_their_queue() {
        const NAMES: [&[u8]; 3] = [b"orders", b"orders +bill", b"orders +ship"];
        let with = PutWith { id: b"17", ..PutWith::default() };
        let (disk, mut source) = open();
        for child in &NAMES[1..] {
            assert_eq!(source.at_once(|store| store.make_child(child)).unwrap(), Some(true));
        }
        source.at_once(|store| store.put_with(NAMES[0], 0, b"an order", with)).unwrap().unwrap();
        source.at_once(|store| store.put(NAMES[0], 0, b"another")).unwrap().unwrap();
        source.settle().unwrap();
        let survey = [Survey::read(&disk).unwrap()];
        let mut targets: Vec<Store> = (0..3).map(|_| open().1).collect();
        assert_eq!(move_all(&survey, &mut targets).unwrap(), Moved { queues: 3, messages: 6 });
        let owner = owner_of(NAMES[0], 3).index();
        let target = &mut targets[owner];
        assert_eq!((target.totals().queues, target.totals().messages), (3, 6));
        target.at_once(|store| store.put_with(NAMES[0], 0, b"an order", with)).unwrap().unwrap();
        assert_eq!(target.totals().messages, 6, "it was put before");
        target.at_once(|store| store.put(NAMES[0], 0, b"a third")).unwrap().unwrap();
        assert_eq!(target.totals().messages, 9, "they are its children still");
        for name in NAMES {
            let mut bodies = Vec::new();
            while let Some(taken) = target.at_once(|store| store.take(name)).unwrap().flatten() {
                bodies.push(taken.body.into_vec());
            }
            assert_eq!(bodies, [&b"an order"[..], b"another", b"a third"]);
        }
    }
}
