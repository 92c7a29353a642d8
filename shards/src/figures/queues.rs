//! What is told of a single queue.

/// A queue's figures. What is counted is counted since the start, sets and gets apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// The name, as it is stored.
    pub name: Box<[u8]>,
    /// Messages that are available.
    pub waiting: u64,
    /// Messages that are out with a worker.
    pub open: u64,
    /// Messages that are not available before some time, or that are on their way to the dead letters.
    pub delayed: u64,
    /// Messages among its dead letters.
    pub dead: u64,
    /// Seconds since the oldest message was put; 0 without one.
    pub oldest_age_s: u64,
    /// Bytes of all bodies, without the dead letters.
    pub bytes: u64,
    /// Messages put since the queue was made.
    pub sets: u64,
    /// Messages that have left it since it was made.
    pub gets: u64,
    /// Open messages that were acknowledged.
    pub acked: u64,
    /// Times that an open message came back.
    pub returned: u64,
    /// Messages that were too old.
    pub expired: u64,
    /// Puts that were refused because of a limit, and messages that were dropped to make room for another.
    pub refused: u64,
    /// Opens that found as many open as may be.
    pub open_full: u64,
    /// Clients that wait for a message.
    pub waiters: u64,
    /// Failed tries of the message that is handed out next.
    pub head_tries: u64,
    /// Messages put in a thousand seconds, as it was of late; 0 while queues are not [searched](crate::Op::Find).
    pub in_per_1000_s: u64,
    /// Messages that have left in a thousand seconds, likewise.
    pub out_per_1000_s: u64,
    /// Queues that have every message put into it.
    pub children: u64,
    /// Whether it is told to hand out no message.
    pub paused: bool,
    /// Whether it has a gate.
    pub is_gate: bool,
    /// What a search has sorted it by, as [`Search::behind`](crate::Search::behind) takes it; 0 otherwise.
    pub sort_key: u64,
}

impl QueueFigures {
    /// The figures of a store, and how many clients wait for a message of the queue.
    pub(crate) fn new(stored: storage::QueueFigures, waiters: impl FnOnce(&[u8]) -> u64) -> QueueFigures {
        QueueFigures {
            waiters: waiters(&stored.name),
            name: stored.name,
            waiting: stored.waiting,
            open: stored.open,
            delayed: stored.delayed,
            dead: stored.dead,
            oldest_age_s: stored.oldest_s,
            bytes: stored.bytes,
            sets: stored.sets,
            gets: stored.gets,
            acked: stored.acked,
            returned: stored.returned,
            expired: stored.expired,
            refused: stored.refused,
            open_full: stored.open_full,
            head_tries: stored.tries,
            in_per_1000_s: stored.in_per_1000_s,
            out_per_1000_s: stored.out_per_1000_s,
            children: stored.children,
            paused: stored.paused,
            is_gate: stored.is_gate,
            sort_key: stored.sort_key,
        }
    }
}
