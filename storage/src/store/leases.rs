//! Numbers of deliveries, which are given once, over restarts and power cuts too.
//!
//! The log says below which number leases may have been given, and that is far ahead of those that were. So a start goes
//! on behind it, and giving a number writes nothing, apart from one small entry in millions. What it says first after a
//! start is synced before a client is told a number, also where commits are not: else a power cut could lose it, and the
//! next start would give the same numbers again.

use std::hash::{BuildHasher, RandomState};

use crate::attempt::Attempt;
use crate::log::entry::TIME_BYTES;
use crate::log::frame::FrameNumber;
use crate::log::{Log, Purpose};
use crate::store::Store;

/// Numbers that are reserved at once.
const RESERVED: u64 = 1 << 22;
/// Logs that go on behind the same others begin this far apart at most, by chance.
const MOVED_APART: u64 = 1 << 34;
/// The try is this many bits of a lease.
const TRY_BITS: u32 = 8;
/// A number beyond would make a lease of more than 53 bits, which a client's floating point number does not hold.
const NUMBER_END: u64 = 1 << (53 - TRY_BITS);

/// How far the numbers are used.
#[derive(Debug)]
pub(crate) struct Leases {
    next: u64,
    /// The frame that holds the first reservation since the start; 0: there was none.
    reserved_in: FrameNumber,
}

impl Leases {
    pub(crate) fn new(log: &Log) -> Leases {
        // A new log begins anywhere, since other shards' numbers should be others.
        let next = if log.leases == 0 { by_chance(NUMBER_END / 2) } else { log.leases };
        Leases { next, reserved_in: 0 }
    }
}

/// A number below this one that is another every time.
fn by_chance(below: u64) -> u64 {
    RandomState::new().hash_one(0u8) % below
}

impl Store {
    /// Has leases begin behind those that were given elsewhere, in the logs that this one takes over. This one is new.
    ///
    /// # Panics
    /// When it is not, and has no room left to say so.
    pub fn begin_leases_behind(&mut self, leases: u64) {
        if leases > 0 {
            let room = self.log.make_room(TIME_BYTES, Purpose::Copy);
            assert!(room.is_done(), "a new log has room");
            // Below the numbers that are begun with, as they are passed over.
            let next = leases.max(self.log.leases) + by_chance(MOVED_APART);
            (self.leases.next, self.log.leases) = (next, next);
            // It may take over no message, and be opened again before a number was given.
            self.log.append_reservation();
        }
    }

    /// Has a number there for a lease.
    #[inline]
    pub(super) fn reserve_leases(&mut self) -> Attempt<()> {
        if self.leases.next + RESERVED / 2 < self.log.leases {
            return Attempt::Done(());
        }
        self.reserve_more()
    }

    #[cold]
    fn reserve_more(&mut self) -> Attempt<()> {
        if self.leases.next + 2 * RESERVED >= NUMBER_END {
            // After some ten million million deliveries.
            self.leases.next = by_chance(RESERVED);
        }
        let leases = self.leases.next + 2 * RESERVED;
        let room = self.log.make_room(TIME_BYTES, Purpose::Take);
        if room.is_done() {
            self.log.leases = leases;
            self.log.append_reservation();
            if self.leases.reserved_in == 0 {
                self.leases.reserved_in = self.log.filling_number();
                self.log.sync_anyway();
            }
        }
        room
    }

    /// The next lease, of a message of which so many tries have failed, and whether it may be told only when what was
    /// changed so far is safe.
    pub(super) fn next_lease(&mut self, failed_tries: u8) -> (u64, bool) {
        let number = self.leases.next;
        assert!(number < self.log.leases, "a number was reserved");
        self.leases.next += 1;
        let is_try = u64::from(failed_tries.saturating_add(1));
        (number << TRY_BITS | is_try, self.acknowledged() < self.leases.reserved_in)
    }
}
