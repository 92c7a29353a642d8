//! Clients that wait for a message: how they get in line, and how a line is served. What a line is made of is in
//! [`waiters`](super::waiters).

use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;

use storage::{Attempt, FrameNumber, Result};

use crate::client::{Asker, Client};
use crate::engine::shard::Shard;
use crate::engine::waiters::{Wait, Waiters, Wanted};
use crate::moment::Moment;
use crate::outcome::{Answer, Outcome};

/// Waits that one client may have in lines of a shard, which all end in one piece when it goes. One more finds nothing.
pub(super) const WAITS_PER_CLIENT_MAX: usize = 64;

/// The outcome of an operation that was not answered at once.
#[derive(Debug)]
pub struct Late {
    /// Who has asked, and where the outcome goes.
    pub by: Asker,
    /// What came of it.
    pub outcome: Outcome,
    /// The frame that must be safe before it may be told; 0: at once.
    pub(crate) frame_needed: FrameNumber,
}

/// The lines of a shard's queues.
#[derive(Debug)]
pub(super) struct Lines {
    waiters: Waiters,
    /// Waits that came before this mark end with nothing.
    ended: u64,
    /// No operation gets in line any more.
    refuses: bool,
    /// Queues with a line and a message, for which the disk has to be waited.
    stalled: BTreeSet<Arc<[u8]>>,
    /// Queues with a line of which as many messages are open as may be.
    full: BTreeSet<Arc<[u8]>>,
    /// Queues with a line that may have a message for it. Each once.
    awake: VecDeque<Arc<[u8]>>,
    is_awake: BTreeSet<Arc<[u8]>>,
    /// Outcomes of waits that have ended, in their order.
    late: Vec<Late>,
}

impl Lines {
    pub(super) fn new() -> Lines {
        Lines {
            waiters: Waiters::new(),
            ended: 0,
            refuses: false,
            stalled: BTreeSet::new(),
            full: BTreeSet::new(),
            awake: VecDeque::new(),
            is_awake: BTreeSet::new(),
            late: Vec::new(),
        }
    }

    /// How many wait, for messages of all queues.
    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// How many wait for a message of a queue.
    pub(super) fn in_line(&self, queue: &[u8]) -> u64 {
        self.waiters.in_line(queue)
    }

    /// The first deadline of a wait.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.waiters.next_deadline()
    }

    /// Has a line served when it is its turn.
    fn wake(&mut self, queue: &[u8]) {
        if self.waiters.has_line(queue) && !self.is_awake.contains(queue) {
            let queue: Arc<[u8]> = queue.into();
            self.is_awake.insert(Arc::clone(&queue));
            self.awake.push_back(queue);
        }
    }

    fn pop_awake(&mut self) -> Option<Arc<[u8]>> {
        let queue = self.awake.pop_front()?;
        self.is_awake.remove(&queue);
        Some(queue)
    }

    /// Notes that a message of a queue is open no more, or that more of them may be.
    pub(super) fn note_freed(&mut self, queue: &[u8]) {
        if !self.full.is_empty() && self.full.remove(queue) {
            self.wake(queue);
        }
    }

    /// Whether [`note_freed`](Self::note_freed) may find anything.
    pub(super) fn any_is_full(&self) -> bool {
        !self.full.is_empty()
    }

    fn end(&mut self, wait: &Wait) {
        self.late.push(Late { by: wait.by, outcome: Outcome::Empty, frame_needed: wait.frame_needed });
    }
}

/// What an attempt to get a message for a client finds.
#[derive(Debug)]
pub(super) enum Got {
    /// This: the message, or why the client has none.
    Outcome(Outcome),
    /// There is none.
    Nothing,
    /// As many are open as may be.
    Full,
}

impl Shard {
    /// Gets a message, or gets in line until a moment, if there is one. Between the two nothing else is done, so no message
    /// comes unseen. `frame_needed`: the frame that must be safe before anything is told, since it was changed for this
    /// operation; 0: none.
    pub(super) fn get_or_wait(
        &mut self,
        now: Moment,
        by: Asker,
        queue: &[u8],
        wanted: Wanted<'_>,
        until: Option<Moment>,
        mut frame_needed: FrameNumber,
    ) -> Result<Answer> {
        let (mut is_stalled, mut has_no_room, mut is_full, mut is_made) = (false, false, false, false);
        let gets_in_line = until.is_some() && self.has_line(queue);
        if !gets_in_line {
            match self.get(now, by.client, queue, wanted)? {
                Attempt::Done(Got::Outcome(outcome)) => return Ok(Answer::Now(outcome)),
                // A child that there was not yet is there from now on, and is told so once that is safe.
                Attempt::Done(Got::Nothing) => match self.store.make_child(queue)? {
                    Attempt::Done(true) => (is_made, frame_needed) = (true, self.store.changed()),
                    Attempt::Done(false) | Attempt::NoRoom => {}
                    Attempt::Wait => return Ok(Answer::Stalled),
                },
                Attempt::Done(Got::Full) => is_full = true,
                // What a full disk does not let go looks like nothing.
                Attempt::NoRoom => has_no_room = true,
                Attempt::Wait => is_stalled = true,
            }
        }
        let until = until.filter(|until| {
            let has_room = self.lines.waiters.waits_of(by.client) < WAITS_PER_CLIENT_MAX;
            !self.lines.refuses && *until > now && has_room
        });
        let Some(until) = until else {
            let nothing = if is_made { Outcome::Made } else { Outcome::Empty };
            return Ok(if is_stalled { Answer::Stalled } else { Answer::Now(nothing) });
        };
        if let Some(before) = self.lines.waiters.line_up(by, queue, wanted, frame_needed, until) {
            self.lines.end(&before);
        }
        if is_stalled || has_no_room {
            self.lines.stalled.insert(queue.into());
        }
        if is_full {
            self.lines.full.insert(queue.into());
        }
        Ok(Answer::Later)
    }

    /// Gets a message for a client, if there is one.
    fn get(&mut self, now: Moment, client: Client, queue: &[u8], wanted: Wanted<'_>) -> Result<Attempt<Got>> {
        match wanted {
            Wanted::Take => Ok(self.take(client, queue)?.map(|outcome| match outcome {
                Outcome::Empty => Got::Nothing,
                outcome => Got::Outcome(outcome),
            })),
            Wanted::Open { holder, lease_s } => self.open_next(now, client, queue, holder, lease_s),
        }
    }

    /// Gives the messages of a queue to the clients in its line, up to `limit` of them. Returns how many.
    #[cold]
    fn serve_line(&mut self, now: Moment, queue: &[u8], limit: usize) -> Result<usize> {
        let mut served = 0;
        while served < limit
            && let Some(wait) = self.lines.waiters.first(queue)
        {
            let wait = wait.clone();
            let outcome = match self.get(now, wait.by.client, queue, wait.wanted())? {
                Attempt::Done(Got::Outcome(outcome)) => outcome,
                Attempt::Done(Got::Nothing) => break,
                Attempt::Done(Got::Full) => {
                    self.lines.full.insert(queue.into());
                    break;
                }
                // What a full disk does not let go is taken later, and looks like nothing until then.
                Attempt::NoRoom | Attempt::Wait => {
                    self.lines.stalled.insert(queue.into());
                    break;
                }
            };
            self.lines.waiters.pop_first(queue);
            let frame_needed = if outcome.waits_for_commit() { self.store.changed() } else { wait.frame_needed };
            self.lines.late.push(Late { by: wait.by, outcome, frame_needed });
            served += 1;
        }
        Ok(served)
    }

    /// Whether a queue has a line.
    pub(super) fn has_line(&self, queue: &[u8]) -> bool {
        self.lines.waiters.has_line(queue)
    }

    /// Whether a put must look for lines: there is one, or there are queues that may have one.
    #[inline]
    pub(super) fn has_lines_to_look_at(&self) -> bool {
        !self.lines.waiters.is_empty() || self.store.has_awake()
    }

    /// Gives a message that was put to the first in line.
    #[cold]
    pub(super) fn serve_after_put(&mut self, now: Moment, queue: &[u8], put: &Attempt<Outcome>) -> Result<()> {
        if matches!(put, Attempt::Done(_)) {
            self.serve_line(now, queue, 1)?;
        }
        self.wake_lines();
        Ok(())
    }

    /// Gives a message that a gate has brought to the first in line: with a ticket, or since one was paid. A refusal and a
    /// look bring none.
    #[cold]
    pub(super) fn serve_after_gate(&mut self, now: Moment, queue: &[u8], asked: &Attempt<Outcome>) -> Result<()> {
        if matches!(asked, Attempt::Done(outcome) if outcome.waits_for_commit()) {
            self.serve_line(now, queue, 1)?;
        }
        self.wake_lines();
        Ok(())
    }

    /// Has the lines of those queues served that have got a message otherwise than by a put.
    #[inline]
    pub(super) fn wake_lines(&mut self) {
        if self.store.has_awake() {
            for queue in self.store.take_awake() {
                self.lines.wake(&queue);
            }
        }
    }

    /// Ends the waits of a client that is gone. From now on nothing is taken for it.
    pub(crate) fn leave_lines(&mut self, client: Client) {
        for wait in self.lines.waiters.pop_client(client) {
            self.lines.end(&wait);
        }
    }

    /// Has all waits end that are in line, with nothing.
    pub(crate) fn end_waits(&mut self) {
        self.lines.ended = self.lines.waiters.mark();
    }

    /// From now on what would have to get in line finds nothing.
    pub(crate) fn refuse_to_wait(&mut self) {
        self.lines.refuses = true;
        self.end_waits();
    }

    /// Notes that what the lines wait for on the disk may be there.
    pub(super) fn retry_lines(&mut self) {
        for queue in mem::take(&mut self.lines.stalled) {
            self.lines.wake(&queue);
        }
    }

    /// Whether [`answer_waits`](Self::answer_waits) has something to do, at any time.
    pub(crate) fn has_waits_to_answer(&self) -> bool {
        !self.lines.awake.is_empty() || self.lines.waiters.has_any_before(self.lines.ended)
    }

    /// Answers up to `limit` waits that have ended, or for which there may be a message now. Returns whether there is more
    /// to do now.
    ///
    /// # Errors
    /// When the disk has failed.
    pub(super) fn answer_waits(&mut self, now: Moment, limit: usize) -> Result<bool> {
        let mut left = limit;
        while left > 0
            && let Some(wait) =
                self.lines.waiters.pop_before(self.lines.ended).or_else(|| self.lines.waiters.pop_due(now))
        {
            self.lines.end(&wait);
            left -= 1;
        }
        while left > 0
            && let Some(queue) = self.lines.pop_awake()
        {
            let served = self.serve_line(now, &queue, left)?;
            if served == left {
                self.lines.wake(&queue);
            }
            // A line for which there was no message counts too.
            left = left.saturating_sub(served.max(1));
        }
        Ok(self.has_waits_to_answer() || self.lines.next_deadline().is_some_and(|next| next <= now))
    }

    /// Whether any wait is in line, or has ended and was not sent.
    pub(crate) fn has_waits(&self) -> bool {
        !self.lines.waiters.is_empty() || !self.lines.late.is_empty()
    }

    /// The outcomes of waits that have ended since they were [taken](Self::take_late).
    pub(crate) fn late(&self) -> &[Late] {
        &self.lines.late
    }

    pub(crate) fn take_late(&mut self) -> Vec<Late> {
        mem::take(&mut self.lines.late)
    }
}
