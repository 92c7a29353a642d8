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
            let adopted = Adopted {
                name: &name,
                settings: queue.settings(),
                sets: queue.sets().saturating_sub(queue.stored()),
                gets: queue.gets(),
                head: queue.first(),
            };
            target.at_once(|target| target.adopt(adopted))?.ok_or(MoveError::Full)?;
            moved.queues += 1;
            for (id, until_s) in source.ids(queue) {
                target.at_once(|target| target.adopt_id(&name, id, until_s))?.ok_or(MoveError::Full)?;
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
