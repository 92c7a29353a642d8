//! One client: its work, and the connection that it does it on.

use hashbrown::HashSet;

use super::kills::Fate;
use crate::connection::Connection;
use crate::options::{Arguments, Role};
use crate::schedule::Schedule;
use crate::workload::{Act, Request, Workload};

#[derive(Debug)]
pub(crate) struct Client {
    pub(super) role: Role,
    pub(super) workload: Workload,
    /// Requests that are not made yet; None for no limit.
    pub(super) left: Option<u64>,
    /// None while the server is being restarted.
    pub(super) connection: Option<Connection>,
    /// Queues of which a message is open that the next close acknowledges; only where no close of its own follows.
    pub(super) open: HashSet<u32>,
    /// When its connection is dropped, if it is one of those.
    pub(super) fate: Option<Fate>,
    /// The verifier's name for the connection.
    pub(super) consumer: usize,
    /// The socket's buffer is full.
    pub(super) waits_to_send: bool,
    pub(super) finished: bool,
    /// When its requests are due, if each client has a rate of its own.
    pub(super) schedule: Option<Schedule>,
    /// The schedule's next request has its place among those that wait.
    pub(super) is_waiting: bool,
}

impl Client {
    /// The client `number` of all.
    pub(crate) fn new(
        options: &Arguments,
        role: Role,
        number: usize,
        connection: Connection,
        (producer, consumer): (u32, usize),
    ) -> Client {
        let parts = options.roles().len();
        let end_ns = options.time_max().as_nanos() as u64;
        // Together they make up the rate of all, so that their requests are spread evenly.
        let schedule = options.rate_limiting.map(|rate| Schedule::new(rate * parts as f64, number, parts, end_ns));
        Client {
            role,
            workload: Workload::new(options, role, number, producer),
            left: options.requests_of(role),
            connection: Some(connection),
            consumer,
            open: HashSet::new(),
            fate: Fate::of(options, role, number),
            waits_to_send: false,
            finished: false,
            schedule,
            is_waiting: false,
        }
    }

    /// What is left to acknowledge before the client may end. It is asked for once.
    pub(super) fn last_requests(&mut self) -> Vec<Request> {
        let pending = self.workload.take_pending();
        let close = |queue: u32| Request { act: Act::Close, queue, number: 0 };
        pending.into_iter().chain(self.open.drain().map(close)).collect()
    }

    /// How many requests may be on their way, of `most` that the load has. A consumer that drops its connection has one:
    /// it acknowledges what it has seen.
    pub(super) fn in_flight_max(&self, most: usize) -> usize {
        if self.fate.is_some() { 1 } else { most }
    }

    /// One more request may be on its way.
    pub(super) fn has_room(&self, pipeline: usize) -> bool {
        let most = self.in_flight_max(pipeline);
        let has_room = |connection: &Connection| connection.outstanding.len() < most;
        !self.finished && self.left != Some(0) && self.connection.as_ref().is_some_and(has_room)
    }
}
