//! What is told of a single queue.

/// A queue's figures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// The name, as it is stored.
    pub name: Box<[u8]>,
    /// Messages that are available.
    pub waiting: u64,
    /// Messages that are out with a worker.
    pub open: u64,
    /// Messages that are not available before some time.
    pub delayed: u64,
    /// Messages among its dead letters.
    pub dead: u64,
    /// Seconds since the oldest message was put; 0 without one.
    pub oldest_age_s: u64,
    /// Bytes of the bodies of all of them, without the dead letters.
    pub bytes: u64,
    /// Messages put since the queue was made.
    pub sets: u64,
    /// Messages taken for good since the queue was made, by a get or by an acknowledgement.
    pub gets: u64,
    /// Of these, those that were acknowledged.
    pub acked: u64,
    /// Times that an open message came back.
    pub returned: u64,
    /// Messages that were dropped since they were too old.
    pub expired: u64,
    /// Messages that were refused, or dropped to make room, because of a limit.
    pub refused: u64,
    /// Clients that wait for a message.
    pub waiters: u64,
    /// Failed tries of the message at the head.
    pub head_tries: u64,
}
