//! What clients of the server in memory have open.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

pub(crate) type Connection = u64;
type Body = Box<[u8]>;

/// What the server does wrong with what is open. Numbers count the opens, or the acknowledgements.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Lapse {
    #[default]
    None,
    /// The message stays in its queue, for the next who asks.
    Share(u64),
    /// The message that was acknowledged is in its queue again.
    Undo(u64),
    /// What the first connection had open that ends with something open is gone.
    Forget,
}

/// Who has a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    Connection(Connection),
    Name(Vec<u8>),
}

#[derive(Debug)]
struct Held {
    holder: Holder,
    queue: Vec<u8>,
    body: Body,
    until: Option<Instant>,
}

#[derive(Debug, Default)]
pub(crate) struct Opens {
    lapse: Lapse,
    pub(crate) done: bool,
    held: Vec<Held>,
    opened: u64,
    acknowledged: u64,
}

pub(crate) type Queues = HashMap<Vec<u8>, VecDeque<Body>>;

impl Opens {
    pub(crate) fn new(lapse: Lapse) -> Opens {
        Opens { lapse, ..Opens::default() }
    }

    /// The message at the head, or the one that the same name has already. Err: the connection has one open.
    pub(crate) fn open(
        &mut self,
        queues: &mut Queues,
        queue: &[u8],
        holder: Holder,
        lease: Option<Duration>,
    ) -> Result<Option<Body>, ()> {
        if let Some(held) = self.held.iter().find(|held| held.queue == queue && held.holder == holder) {
            return if matches!(holder, Holder::Name(_)) { Ok(Some(held.body.clone())) } else { Err(()) };
        }
        let Some(messages) = queues.get_mut(queue) else { return Ok(None) };
        let Some(body) = messages.pop_front() else { return Ok(None) };
        self.opened += 1;
        if self.lapse == Lapse::Share(self.opened) {
            messages.push_front(body.clone());
            self.done = true;
        }
        let until = lease.map(|lease| Instant::now() + lease);
        self.held.push(Held { holder, queue: queue.to_vec(), body: body.clone(), until });
        Ok(Some(body))
    }

    /// False: nothing is open there.
    pub(crate) fn acknowledge(&mut self, queues: &mut Queues, queue: &[u8], holder: &Holder) -> bool {
        let Some(at) = self.held.iter().position(|held| held.queue == queue && held.holder == *holder) else {
            return false;
        };
        let held = self.held.swap_remove(at);
        self.acknowledged += 1;
        if self.lapse == Lapse::Undo(self.acknowledged) {
            queues.entry(held.queue).or_default().push_front(held.body);
            self.done = true;
        }
        true
    }

    /// Gives back what a connection has open that has ended.
    pub(crate) fn end(&mut self, queues: &mut Queues, connection: Connection) {
        let is_its = |held: &Held| held.holder == Holder::Connection(connection);
        let lost = self.lapse == Lapse::Forget && !self.done && self.held.iter().any(is_its);
        self.done |= lost;
        self.give_back(if lost { None } else { Some(queues) }, is_its);
    }

    /// Gives back what was held for its lease.
    pub(crate) fn end_leases(&mut self, queues: &mut Queues) {
        let now = Instant::now();
        self.give_back(Some(queues), |held| held.until.is_some_and(|until| until <= now));
    }

    fn give_back(&mut self, mut queues: Option<&mut Queues>, is_due: impl Fn(&Held) -> bool) {
        for held in self.held.extract_if(.., |held| is_due(held)) {
            if let Some(queues) = &mut queues {
                queues.entry(held.queue).or_default().push_front(held.body);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}
