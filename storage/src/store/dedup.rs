//! Puts that have a name: a second one of the same queue and name is the first once more, by a client that never had its
//! answer, and puts nothing. What is remembered stands in the frame of the put, so it is never there without the other.

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::Purpose;
use crate::log::entry::{Entry, ID_BYTES_MAX, QueueId, id_bytes};
use crate::queue::ids::Remembered;
use crate::queue::table::Slot;
use crate::settings::Settings;
use crate::store::Store;

/// What is known of the name of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It has none, or none that is to be remembered.
    None,
    /// It was put before.
    Known,
    New(NewId),
    /// It is new, and no more can be remembered.
    Full,
}

/// A name that is to be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewId {
    until_s: u32,
}

impl Store {
    /// Looks up what a put into a queue is called; empty: nothing.
    pub(super) fn look_up_id(&mut self, found: Option<Slot>, rules: Option<&Settings>, token: &[u8]) -> Lookup {
        if token.is_empty() {
            return Lookup::None;
        }
        let now_ms = self.log.now_ms;
        let known = found.and_then(|slot| self.ids.get(self.live.queues.at(slot).id, token));
        if known.is_some_and(|known| u64::from(known.until_s) * 1000 > now_ms) {
            return Lookup::Known;
        }
        let dedup_s = rules.map_or_else(|| Settings::default().dedup, |rules| rules.dedup);
        if dedup_s == 0 {
            return Lookup::None;
        }
        if known.is_none() && self.ids.is_full() {
            if self.complaints.ids.is_due(now_ms) {
                ::log::warn!(
                    "{} ids of puts are remembered, as many as may be: puts with a new one are refused until the first \
                     of them are over; a shorter dedup= of the queues makes them fewer",
                    self.ids.max
                );
            }
            return Lookup::Full;
        }
        let until_s = (now_ms + u64::from(dedup_s) * 1000).div_ceil(1000);
        Lookup::New(NewId { until_s: u32::try_from(until_s).unwrap_or(u32::MAX) })
    }

    /// Remembers what a put into the queue of a slot is called; there is room to say so.
    pub(super) fn remember(&mut self, slot: Slot, token: &[u8], NewId { until_s }: NewId) {
        self.append_id(self.live.queues.at(slot).id, until_s, token);
    }

    /// Appends what a put of a queue was called, in place of what was said of it before; there is room for it.
    pub(super) fn append_id(&mut self, queue: QueueId, until_s: u32, token: &[u8]) {
        let segment = self.log.append(&Entry::Id { queue, until_s, token }).segment;
        self.log.add_live(segment, id_bytes(token.len()));
        if let Some((segment, bytes)) = self.ids.set(queue, token, Remembered { until_s, segment }) {
            self.log.sub_live(segment, bytes);
        }
    }

    /// Forgets the first id whose time is over. `false`: there is none.
    pub(super) fn forget_ended_id(&mut self) -> bool {
        let second = u32::try_from(self.log.now_ms / 1000).unwrap_or(u32::MAX);
        let ended = self.ids.forget_ended(second);
        if let Some(Some((segment, bytes))) = ended {
            self.log.sub_live(segment, bytes);
        }
        ended.is_some()
    }

    /// When the time of the first id is over, in milliseconds since 1970.
    pub(super) fn next_id_end_ms(&self) -> Option<u64> {
        self.ids.next_end_s().map(|second| u64::from(second) * 1000)
    }

    /// Remembers until a second since 1970 what a put was called of a queue that was [adopted](Store::adopt).
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    ///
    /// # Panics
    /// When there is no such queue, or the id is empty or too long.
    pub fn adopt_id(&mut self, name: &[u8], token: &[u8], until_s: u32) -> Result<Attempt<()>> {
        assert!((1..=ID_BYTES_MAX).contains(&token.len()), "an id that a put can have");
        let slot = self.live.queues.find(name).expect("the queue was adopted");
        let room = self.log.make_room(id_bytes(token.len()), Purpose::Set);
        if room.is_done() {
            self.append_id(self.live.queues.at(slot).id, until_s, token);
        }
        Ok(room)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Durability, Files, PutWith, StoreOptions};

    #[test]
    fn a_put_with_one_id_too_many_is_refused() {
        let directory = std::env::temp_dir().join(format!("storage-ids-{}", std::process::id()));
        let options = StoreOptions {
            durability: Durability::Written,
            segment_bytes: 1 << 16,
            memory_bytes: 1 << 16,
            body_bytes_max: 100,
            commit_bytes_max: 1 << 16,
        };
        let disk = Arc::new(Files::open(&directory).expect("a directory for temporary files"));
        let mut store = Store::open(disk, None, options).expect("a new log").0;
        store.ids.max = 3;
        store.set_time(1_000_000);
        let put = |store: &mut Store, id: &[u8]| {
            let with = PutWith { id, ..PutWith::default() };
            let done = store.at_once(|store| store.put_with(b"q", 0, b"", with)).expect("the disk is well");
            (done.is_some(), store.totals().messages)
        };
        assert_eq!((put(&mut store, b"1"), put(&mut store, b"2")), ((true, 1), (true, 2)));
        store.set_time(1_001_000);
        assert_eq!((put(&mut store, b"3"), put(&mut store, b"4")), ((true, 3), (false, 3)));
        assert_eq!((put(&mut store, b"2"), put(&mut store, b"")), ((true, 3), (true, 4)), "known, and none");
        store.set_time(1_300_000);
        while store.pass_time(1).expect("the disk is well") {}
        assert_eq!((put(&mut store, b"4"), put(&mut store, b"5")), ((true, 5), (true, 6)), "two are over");
        assert_eq!(put(&mut store, b"6"), (false, 6));
        drop(store);
        std::fs::remove_dir_all(&directory).expect("it was made above");
    }
}
