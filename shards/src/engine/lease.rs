//! A lease, as it is used and as it is kept: in few bytes, since there may be a million of them.

use storage::{QueueId, Seq};

use crate::client::Client;
use crate::engine::chunks::Keyed;
use crate::moment::Moment;

/// An open message, and what holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    /// No other delivery has it. Leases that are opened later have higher ones.
    pub(crate) number: u64,
    pub(crate) queue: QueueId,
    pub(crate) seq: Seq,
    /// When it ends; `None`: with its holder.
    pub(crate) until: Option<Moment>,
    pub(crate) holder: Holder,
}

/// What holds an open message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Client(Client),
    /// A name. The leases have it.
    Name,
    /// Its number, and nothing else.
    Number,
}

/// A lease in 40 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed {
    number: u64,
    queue: QueueId,
    seq: Seq,
    /// [`NO_END`]: none.
    until_ms: u64,
    /// A client's ticket, or one of those that no client has.
    holder: u64,
}

const _: () = assert!(size_of::<Packed>() == 40, "a million of them cost so much each");

pub(super) const NO_END: u64 = u64::MAX;
const HELD_BY_NAME: u64 = u64::MAX;
const HELD_BY_NUMBER: u64 = u64::MAX - 1;

impl Packed {
    #[inline]
    pub(super) fn of(lease: Lease) -> Packed {
        let holder = match lease.holder {
            Holder::Client(client) => client.ticket(),
            Holder::Name => HELD_BY_NAME,
            Holder::Number => HELD_BY_NUMBER,
        };
        let until_ms = lease.until.map_or(NO_END, Moment::ms);
        Packed { number: lease.number, queue: lease.queue, seq: lease.seq, until_ms, holder }
    }

    #[inline]
    pub(super) fn lease(&self) -> Lease {
        let holder = match self.holder {
            HELD_BY_NAME => Holder::Name,
            HELD_BY_NUMBER => Holder::Number,
            ticket => Holder::Client(Client::of_ticket(ticket)),
        };
        let until = (self.until_ms != NO_END).then(|| Moment::from_ms(self.until_ms));
        Lease { number: self.number, queue: self.queue, seq: self.seq, until, holder }
    }
}

impl Keyed for Packed {
    type Key = u64;

    #[inline]
    fn key(&self) -> u64 {
        self.number
    }
}

/// The oldest lease that a client holds of a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfClient {
    pub(super) client: Client,
    pub(super) queue: QueueId,
    pub(super) number: u64,
    /// Its message, so that the lease need not be looked up.
    pub(super) seq: Seq,
}

impl Keyed for OfClient {
    type Key = (Client, QueueId);

    #[inline]
    fn key(&self) -> (Client, QueueId) {
        (self.client, self.queue)
    }
}

/// A lease that ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) until: Moment,
    pub(super) number: u64,
}

impl Keyed for Deadline {
    type Key = (Moment, u64);

    #[inline]
    fn key(&self) -> (Moment, u64) {
        (self.until, self.number)
    }
}
