//! A client: it sends some commands at once, and waits for all replies before it sends the next. What it does with
//! outcomes is what the server's sessions and conversations do.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use shards::{Engine, FrameNumber, GatherId, Outcome};

use crate::asked::Asked;

/// An operation of a client, in the order of its commands.
#[derive(Debug)]
pub(crate) struct Pending<A = Asked> {
    pub(crate) owner: usize,
    pub(crate) asked: A,
    /// What must come of it, once it was applied.
    pub(crate) applied: Option<Applied>,
    /// What the shards say. `None`: it comes later.
    pub(crate) outcome: Option<Outcome>,
}

/// What must come of an operation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    /// So much of the history of its shard must survive once it is told; `None`: it promises nothing.
    pub(crate) promise: Option<usize>,
    pub(crate) outcome: Outcome,
}

impl Applied {
    /// What promises nothing.
    pub(crate) fn nothing(outcome: Outcome) -> Applied {
        Applied { promise: None, outcome }
    }
}

/// Names an operation of a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    /// What was sent at once has a number of its own.
    pub(crate) round: u64,
    pub(crate) slot: usize,
}

#[derive(Debug)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(crate) struct Client<A = Asked> {
    /// The shard that its connection landed on.
    pub(crate) shard: usize,
    pub(crate) gather: GatherId,
    /// The number of what it has sent last.
    pub(crate) round: u64,
    pub(crate) pending: Vec<Pending<A>>,
    /// Operations that were not asked for yet, since the first one waits for its shard's disk; and after how many
    /// retries it was tried.
    pub(crate) stalled: Vec<(usize, A)>,
    pub(crate) tried_at: u64,
    /// Operations whose outcomes come later, and have not come yet.
    pub(crate) forwarded: usize,
    /// The frame that must be safe before the replies go.
    pub(crate) frame_needed: FrameNumber,
    woken: Arc<Flag>,
}

impl<A> Client<A> {
    pub(crate) fn new(shard: usize, gather: GatherId) -> Client<A> {
        let woken = Arc::new(Flag(AtomicBool::new(false)));
        let (pending, stalled) = (Vec::new(), Vec::new());
        Client { shard, gather, round: 0, pending, stalled, tried_at: 0, forwarded: 0, frame_needed: 0, woken }
    }

    /// Has it look for its outcomes once, although it was not woken.
    pub(crate) fn begin_to_wait(&mut self) {
        self.woken.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.pending.is_empty() || !self.stalled.is_empty()
    }

    /// Hands over the replies to all that was sent, in order, if all are there and may be told.
    pub(crate) fn settle(&mut self, engine: &mut Engine) -> Option<Vec<Pending<A>>> {
        if self.forwarded > 0 {
            let waker: Waker = Arc::clone(&self.woken).into();
            if !self.woken.0.swap(false, Ordering::Relaxed) || !engine.is_complete(self.gather, &waker) {
                return None;
            }
            let mut missing = self.pending.iter_mut().filter(|pending| pending.outcome.is_none());
            while let Some(outcome) = engine.next_outcome(self.gather) {
                missing.next().expect("an outcome for each operation").outcome = Some(outcome);
            }
            assert!(missing.next().is_none(), "each operation has its outcome");
            self.forwarded = 0;
        }
        if engine.acknowledged() < self.frame_needed {
            return None;
        }
        self.frame_needed = 0;
        Some(mem::take(&mut self.pending))
    }
}
