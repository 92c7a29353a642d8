//! Lists what is open of a queue, a piece at a time.

use storage::QueueId;

use crate::engine::lease::{Holder, Lease};
use crate::engine::shard::Shard;
use crate::figures::opens::{OpenHolder, OpenLine};
use crate::moment::Moment;
use crate::outcome::Outcome;

/// Lines of a piece at most.
const LINES_AT_ONCE: usize = 256;
/// Leases that a piece looks at, of whatever queue: some 100 us.
const LEASES_AT_ONCE: usize = 4096;

impl Shard {
    /// Some of what is open of a queue, from the lease behind `after` on.
    pub(super) fn list_opens(&self, now: Moment, queue: &[u8], after: u64) -> Outcome {
        let (mut lines, mut next) = (Vec::new(), None);
        let from = after.saturating_add(1);
        if let Some(queue) = self.store.id_of(queue) {
            let mut last = None;
            for (looked, lease) in self.leases.from(from).enumerate() {
                if looked == LEASES_AT_ONCE || lines.len() == LINES_AT_ONCE {
                    next = last;
                    break;
                }
                last = Some(lease.number);
                lines.extend(self.open_line(now, queue, lease));
            }
        }
        Outcome::Opens { lines, next }
    }

    /// What is told of a lease; `None`: it is of another queue, or its message is gone.
    fn open_line(&self, now: Moment, queue: QueueId, lease: Lease) -> Option<OpenLine> {
        if lease.queue != queue || !self.store.has_message(queue, lease.seq) {
            return None;
        }
        let holder = match lease.holder {
            Holder::Client(client) => OpenHolder::Connection(client),
            Holder::Name => OpenHolder::Name(self.leases.name_of(lease.number)?.into()),
            Holder::Number => OpenHolder::Number,
        };
        let seconds = |until: Moment| until.ms().saturating_sub(now.ms()).div_ceil(1000);
        Some(OpenLine {
            queue,
            seq: lease.seq,
            lease: lease.number,
            holder,
            since_s: self.leases.opened_at(lease.number).map(|at| now.ms().saturating_sub(at.ms()) / 1000),
            ends_in_s: lease.until.map(seconds),
            try_number: (lease.number & 0xff) as u8,
        })
    }
}
