//! Messages that come back by themselves: their lease has ended, or the client that holds them is gone. A piece at a time,
//! however many there are.

use std::collections::VecDeque;
use std::mem;

use storage::{Attempt, GiveBack, Result};

use crate::client::Client;
use crate::engine::leases::Lease;
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
