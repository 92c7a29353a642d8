//! What is told of an open message.

use storage::{QueueId, Seq};

use crate::client::Client;

/// An open message, and what holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLine {
    /// The queue's id: one that was deleted and made anew under its name has another.
    pub queue: QueueId,
    /// The message's number.
    pub seq: Seq,
    /// The number of the lease.
    pub lease: u64,
    /// What holds it.
    pub holder: OpenHolder,
    /// Seconds since it was opened; `None`: not known.
    pub since_s: Option<u64>,
    /// Seconds until the lease ends; `None`: it ends with its holder.
    pub ends_in_s: Option<u64>,
    /// Which try it is, from 1.
    pub try_number: u8,
}

/// What holds an open message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenHolder {
    /// A client's connection.
    Connection(Client),
    /// A name that a client has made up.
    Name(Box<[u8]>),
    /// The number of the lease, and nothing else.
    Number,
}
