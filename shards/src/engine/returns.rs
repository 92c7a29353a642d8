//! Messages that come back by themselves: their lease has ended, or the client that holds them is gone. A piece at a time,
//! however many there are.

use std::collections::VecDeque;
use std::mem;

use storage::{Attempt, GiveBack, Result};

use crate::client::Client;
use crate::engine::lease::Lease;
use crate::engine::shard::Shard;
use crate::moment::Moment;

/// Leases that are looked at in one piece to see whether their queue is gone.
const LOOKED_AT_ONCE: usize = 1024;

/// What is to come back.
#[derive(Debug, Default)]
pub(super) struct Returns {
    /// Clients that are gone, and hold something.
    leaving: VecDeque<Client>,
    /// The disk has to be waited for.
    is_stalled: bool,
    /// An operation has ended as much as it does in one piece, and is to be tried again for the rest.
    pub(super) has_more_to_end: bool,
    /// Leases from this number on are to be looked at: a queue was deleted. Another one since: from the first on after
    /// that.
    looks_from: Option<u64>,
    looks_again: bool,
}

impl Shard {
    /// Ends what a client has open: it is gone. From now on nothing is taken for it, and what it holds comes back.
    pub(crate) fn leave(&mut self, client: Client) {
        self.leave_lines(client);
        if self.leases.holds_any(client) {
            self.returns.leaving.push_back(client);
        }
    }

    /// Whether [`bring_back`](Self::bring_back) has something to do, at any time.
    pub(super) fn has_returns(&self) -> bool {
        !self.returns.leaving.is_empty() && !self.returns.is_stalled
    }

    /// Whether an operation is to be tried again at once, since it has done a piece of what it does.
    pub(super) fn has_more_to_end(&self) -> bool {
        self.returns.has_more_to_end
    }

    pub(super) fn take_more_to_end(&mut self) -> bool {
        mem::take(&mut self.returns.has_more_to_end)
    }

    /// Whether what is to come back has to wait for the disk.
    pub(super) fn holds_back(&self) -> bool {
        self.returns.is_stalled
    }

    /// Notes that what comes back may find what it waits for on the disk.
    pub(super) fn retry_returns(&mut self) {
        self.returns.is_stalled = false;
    }

    /// When the next lease ends.
    pub(super) fn next_return(&self) -> Option<Moment> {
        self.leases.next_deadline().filter(|_| !self.returns.is_stalled)
    }

    /// Has up to `limit` messages come back whose lease has ended by now, or whose client is gone. Returns whether there
    /// are more.
    pub(super) fn bring_back(&mut self, now: Moment, limit: usize) -> Result<bool> {
        for _ in 0..limit {
            if self.returns.is_stalled {
                return Ok(false);
            }
            let Some(lease) = self.next_to_come_back(now) else {
                return Ok(false);
            };
            let back = GiveBack { counts: true, not_before: None, bury: false };
            match self.store.give_back(lease.queue, lease.seq, back)? {
                Attempt::Done(()) => {
                    self.leases.close(lease.number);
                    if self.lines.any_is_full()
                        && let Some(queue) = self.store.name_of(lease.queue)
                    {
                        self.lines.note_freed(queue);
                    }
                }
                // Until then it is held, and may be acknowledged.
                Attempt::NoRoom | Attempt::Wait => self.returns.is_stalled = true,
            }
        }
        Ok(self.has_returns() || self.next_return().is_some_and(|next| next <= now))
    }

    fn next_to_come_back(&mut self, now: Moment) -> Option<Lease> {
        while let Some(client) = self.returns.leaving.front() {
            if let Some(lease) = self.leases.any_of(*client) {
                return Some(lease);
            }
            self.returns.leaving.pop_front();
        }
        self.leases.first_due(now)
    }

    // ---- queues that are gone ----

    /// Notes that a queue was deleted: what was open of it is not any more, and no message comes back to it.
    pub(super) fn note_deleted(&mut self) {
        if !self.leases.is_empty() {
            self.returns.looks_again = self.returns.looks_from.is_some();
            self.returns.looks_from.get_or_insert(0);
        }
    }

    /// Forgets some of the leases of queues that are gone. They are dead already, since their queue has a number that no
    /// other gets.
    pub(super) fn forget_deleted(&mut self) {
        for _ in 0..LOOKED_AT_ONCE {
            let Some(from) = self.returns.looks_from else { return };
            match self.leases.first_from(from) {
                Some(lease) => {
                    self.returns.looks_from = Some(lease.number + 1);
                    if self.store.name_of(lease.queue).is_none() {
                        self.leases.close(lease.number);
                    }
                }
                None => {
                    self.returns.looks_from = self.returns.looks_again.then_some(0);
                    self.returns.looks_again = false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use storage::{Durability, Store, StoreOptions};
    use storage_testing::CrashDisk;

    use super::*;
    use crate::client::{Address, Asker, GatherId};
    use crate::op::{Holding, Op, Open};
    use crate::outcome::Answer;
    use crate::owner::ShardId;

    fn shard() -> Shard {
        let options = StoreOptions {
            durability: Durability::Synced,
            segment_bytes: 1 << 20,
            memory_bytes: 1 << 20,
            body_bytes_max: 1 << 10,
            commit_bytes_max: 1 << 20,
        };
        let (store, _) = Store::open(Arc::new(CrashDisk::default()), None, options).expect("a new disk");
        Shard::new(store)
    }

    fn ask(shard: &mut Shard, op: &Op<'_>) {
        let by = Asker { client: Client::new(ShardId(0), 1), address: Address { gather: GatherId(0), slot: 0 } };
        let answer = shard.apply(Moment::from_ms(1), by, op).expect("the disk works");
        assert!(matches!(answer, Answer::Now(_)), "{op:?}");
    }

    /// A client that opens for years and deletes, again and again, would fill the memory.
    #[test]
    fn leases_of_queues_that_are_gone_are_forgotten_little_by_little() {
        const LEASES: usize = 3000;
        let mut shard = shard();
        let open = |queue| {
            Op::Open(Open { queue, holder: Holding::Number, lease_s: Some(u32::MAX), close: false, until: None })
        };
        ask(&mut shard, &Op::Put { queue: b"stays", flags: 0, body: b"" });
        ask(&mut shard, &open(b"stays"));
        for queue in [b"one", b"two"] {
            for _ in 0..LEASES / 2 {
                ask(&mut shard, &Op::Put { queue, flags: 0, body: b"" });
                ask(&mut shard, &open(queue));
            }
        }
        ask(&mut shard, &Op::Delete { queue: b"two" });
        shard.tick();
        ask(&mut shard, &Op::Delete { queue: b"one" });
        let mut ticks = 0;
        while shard.leases.len() > 1 && ticks < 100 {
            let before = shard.leases.len();
            shard.tick();
            ticks += 1;
            assert!(before - shard.leases.len() <= LOOKED_AT_ONCE);
        }
        assert_eq!(shard.leases.len(), 1, "that of the queue that stays");
    }
}
