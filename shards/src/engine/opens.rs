//! Messages that are out with a holder: how they are opened, and how that ends by what a client asks for. What ends by
//! itself is in [`returns`](super::returns).

use storage::{Attempt, GiveBack, Opened, Opening, QueueId, Result, Seq};

use crate::client::{Asker, Client};
use crate::engine::lease::{Holder, Lease};
use crate::engine::lines::Got;
use crate::engine::shard::Shard;
use crate::engine::waiters::Wanted;
use crate::moment::Moment;
use crate::op::{Fate, Holding, Open, Which};
use crate::outcome::{Answer, Outcome};

/// Messages of one connection that are ended in one piece. Where it has more open of a queue, the operation is tried again
/// for the rest.
const ENDED_AT_ONCE: usize = 64;
/// The bits of a lease's number that are the try.
const TRY: u64 = 0xff;

impl Shard {
    /// Whether a client's connection has so many messages of a queue open.
    pub(super) fn holds(&self, client: Client, queue: &[u8], count: u32) -> bool {
        self.held_of(client, queue).is_some_and(|queue| count == 1 || self.leases.count_of(client, queue) >= count)
    }

    /// The queue, if a client's connection has a message of it open.
    fn held_of(&self, client: Client, queue: &[u8]) -> Option<QueueId> {
        if !self.leases.holds_any(client) {
            return None;
        }
        self.store.id_of(queue).filter(|queue| self.leases.oldest_of(client, *queue).is_some())
    }

    /// Opens a message, and acknowledges what the client has open of the queue, if that is asked for: both or neither.
    pub(super) fn open(&mut self, now: Moment, by: Asker, open: &Open<'_>) -> Result<Answer> {
        let Open { queue, holder, lease_s, close, until } = *open;
        let wanted = Wanted::Open { holder, lease_s };
        if !close {
            return self.get_or_wait(now, by, queue, wanted, until, 0);
        }
        if let Some(id) = self.store.id_of(queue)
            && let Some(only) = self.leases.only_of(by.client, id)
            && !(until.is_some() && self.has_line(queue))
            && !matches!(holder, Holding::Name(_))
        {
            return self.end_one_and_open(now, by, open, id, only);
        }
        let Some(id) = self.held_of(by.client, queue) else {
            return self.get_or_wait(now, by, queue, wanted, until, 0);
        };
        // What has to wait for the disk is found out first, while nothing is done. The limit of what is open counts what is
        // acknowledged no more, and a line has its turn before.
        let opened = match until {
            Some(_) if self.has_line(queue) => None,
            _ => match self.open_unheld(now, by.client, queue, holder, lease_s)? {
                Attempt::Done(Got::Outcome(outcome)) => Some(outcome),
                Attempt::Done(Got::Nothing | Got::Full) => None,
                Attempt::NoRoom => return Ok(Answer::Now(Outcome::NoRoom)),
                Attempt::Wait => return Ok(Answer::Stalled),
            },
        };
        let number = match &opened {
            Some(Outcome::Opened { lease, .. }) => *lease,
            _ => u64::MAX,
        };
        let ended = self.end_mine(now, by.client, (id, queue), Fate::Acknowledge, number)?;
        if ended != Attempt::Done(()) {
            self.take_back(now, queue, number)?;
            return Ok(if ended == Attempt::NoRoom { Answer::Now(Outcome::NoRoom) } else { Answer::Stalled });
        }
        if let Some(Outcome::Opened { lease, flags, body, .. }) = opened {
            return Ok(Answer::Now(Outcome::Opened { lease, flags, body, waits: true }));
        }
        let frame_needed = self.store.changed();
        Ok(match self.get_or_wait(now, by, queue, wanted, until, frame_needed)? {
            Answer::Now(Outcome::Opened { lease, flags, body, .. }) => {
                Answer::Now(Outcome::Opened { lease, flags, body, waits: true })
            }
            // Where the next message has to be read first, there is none for now.
            Answer::Now(_) | Answer::Stalled => Answer::Now(Outcome::Ended),
            Answer::Later => Answer::Later,
        })
    }

    /// Acknowledges the only message that a client has open of a queue, and opens the next: what a worker asks for all the
    /// time, in one piece that looks nothing up twice.
    fn end_one_and_open(
        &mut self,
        now: Moment,
        by: Asker,
        open: &Open<'_>,
        id: QueueId,
        (number, seq): (u64, Seq),
    ) -> Result<Answer> {
        let Open { queue, holder, lease_s, until, .. } = *open;
        let opening = match self.store.acknowledge_and_open(id, seq)? {
            Attempt::Done(opening) => opening,
            Attempt::NoRoom => return Ok(Answer::Now(Outcome::NoRoom)),
            Attempt::Wait => return Ok(Answer::Stalled),
        };
        self.lines.note_freed(queue);
        let opened = match opening {
            Opening::Message(opened) if matches!(holder, Holding::Connection { .. }) => {
                let Opened { seq, lease, flags, body, .. } = opened;
                let held = Holder::Client(by.client);
                let until = self.lease_end(now, queue, held, lease_s);
                let lease = Lease { number: lease, queue: id, seq, until, holder: held };
                self.leases.note_opened(lease.number, now);
                self.leases.replace(by.client, number, lease);
                return Ok(Answer::Now(Outcome::Opened { lease: lease.number, flags, body, waits: true }));
            }
            Opening::Message(opened) => Some(opened),
            Opening::Empty | Opening::Full => None,
        };
        self.leases.close(number);
        if let Some(opened) = opened {
            let (lease, flags, body) = self.hand_over(now, by.client, queue, holder, lease_s, opened);
            return Ok(Answer::Now(Outcome::Opened { lease, flags, body, waits: true }));
        }
        let frame_needed = self.store.changed();
        let wanted = Wanted::Open { holder, lease_s };
        Ok(match self.get_or_wait(now, by, queue, wanted, until, frame_needed)? {
            Answer::Later => Answer::Later,
            // Nothing has come since.
            Answer::Now(_) | Answer::Stalled => Answer::Now(Outcome::Ended),
        })
    }

    /// Has a holder hold a message that was opened for it. Returns the number of the lease, the flags and the body.
    fn hand_over(
        &mut self,
        now: Moment,
        client: Client,
        queue: &[u8],
        holder: Holding<'_>,
        lease_s: Option<u32>,
        opened: Opened,
    ) -> (u64, u32, Box<[u8]>) {
        let Opened { queue: id, seq, lease: number, flags, body, .. } = opened;
        let (held, name, has_others) = match holder {
            Holding::Connection { .. } => (Holder::Client(client), None, self.leases.oldest_of(client, id).is_some()),
            Holding::Name(name) => (Holder::Name, Some(name), false),
            Holding::Number => (Holder::Number, None, false),
        };
        let until = self.lease_end(now, queue, held, lease_s);
        self.leases.note_opened(number, now);
        self.leases.open(Lease { number, queue: id, seq, until, holder: held }, name, has_others);
        (number, flags, body)
    }

    /// Has a message wait again that was opened for a client which is not told of it.
    fn take_back(&mut self, now: Moment, queue: &[u8], number: u64) -> Result<()> {
        if let Some(lease) = self.leases.get(number) {
            let back = self.end_lease(now, queue, lease, Fate::Release { delay_s: None })?;
            debug_assert!(matches!(back, Attempt::Done(true)), "nothing about it has to be written");
        }
        Ok(())
    }

    /// Opens the next message of a queue for a holder, or gives it the one again that it has.
    pub(super) fn open_next(
        &mut self,
        now: Moment,
        client: Client,
        queue: &[u8],
        holder: Holding<'_>,
        lease_s: Option<u32>,
    ) -> Result<Attempt<Got>> {
        match holder {
            // Whatever is allowed, one is.
            Holding::Connection { max } if self.holds(client, queue, max.max(1)) => {
                Ok(Attempt::Done(Got::Outcome(Outcome::Held)))
            }
            _ => self.open_unheld(now, client, queue, holder, lease_s),
        }
    }

    /// The same, whatever the client has open of the queue.
    fn open_unheld(
        &mut self,
        now: Moment,
        client: Client,
        queue: &[u8],
        holder: Holding<'_>,
        lease_s: Option<u32>,
    ) -> Result<Attempt<Got>> {
        if let Holding::Name(name) = holder
            && let Some(lease) = self.named(queue, name)
            && let Some(again) = self.open_again(now, queue, lease, lease_s)?
        {
            return Ok(again);
        }
        let opened = match self.store.open_next(queue)? {
            Attempt::Done(Opening::Message(opened)) => opened,
            Attempt::Done(Opening::Empty) => return Ok(Attempt::Done(Got::Nothing)),
            Attempt::Done(Opening::Full) => return Ok(Attempt::Done(Got::Full)),
            Attempt::NoRoom => return Ok(Attempt::NoRoom),
            Attempt::Wait => return Ok(Attempt::Wait),
        };
        // That it was tried before is known after a power cut: so at most one try is forgotten.
        let waits = opened.waits || opened.lease & TRY > 1;
        let (lease, flags, body) = self.hand_over(now, client, queue, holder, lease_s, opened);
        Ok(Attempt::Done(Got::Outcome(Outcome::Opened { lease, flags, body, waits })))
    }

    /// Gives a message to the name again that has it open, and renews its lease. `None`: the message is gone.
    fn open_again(
        &mut self,
        now: Moment,
        queue: &[u8],
        lease: Lease,
        lease_s: Option<u32>,
    ) -> Result<Option<Attempt<Got>>> {
        let Lease { number, seq, .. } = lease;
        Ok(match self.store.read_open(lease.queue, seq)? {
            Attempt::Done(Some(taken)) => {
                let until = self.lease_end(now, queue, lease.holder, lease_s);
                self.leases.renew(number, until);
                // The first time its number waited, perhaps, and this may be told before.
                let outcome = Outcome::Opened { lease: number, flags: taken.flags, body: taken.body, waits: true };
                Some(Attempt::Done(Got::Outcome(outcome)))
            }
            Attempt::Done(None) => {
                self.leases.close(number);
                None
            }
            Attempt::NoRoom => Some(Attempt::NoRoom),
            Attempt::Wait => Some(Attempt::Wait),
        })
    }

    /// When a lease ends that is told so many seconds, or none.
    fn lease_end(&self, now: Moment, queue: &[u8], holder: Holder, lease_s: Option<u32>) -> Option<Moment> {
        let lease_ms = match lease_s {
            Some(lease_s @ 1..) => Some(u64::from(lease_s) * 1000),
            Some(0) | None => self.store.lease_ms(queue, matches!(holder, Holder::Client(_))),
        };
        lease_ms.map(|lease_ms| now.after_ms(lease_ms))
    }

    fn named(&self, queue: &[u8], name: &[u8]) -> Option<Lease> {
        self.leases.named(self.store.id_of(queue)?, name)
    }

    /// The lease that is meant; of a client's own the oldest.
    fn find(&self, client: Client, queue: &[u8], which: Which<'_>) -> Option<Lease> {
        match which {
            Which::Mine => self.leases.first_of(client, self.store.id_of(queue)?),
            Which::Name(name) => self.named(queue, name),
            Which::Lease(number) => {
                let lease = self.leases.get(number)?;
                (self.store.name_of(lease.queue) == Some(queue)).then_some(lease)
            }
        }
    }

    /// Ends what is open of a queue.
    pub(super) fn end(
        &mut self,
        now: Moment,
        client: Client,
        queue: &[u8],
        which: Which<'_>,
        fate: Fate,
    ) -> Result<Attempt<Outcome>> {
        if which == Which::Mine {
            // In one piece or in several: some of it has ended, perhaps before.
            return Ok(match self.held_of(client, queue) {
                Some(id) => self.end_mine(now, client, (id, queue), fate, u64::MAX)?.map(|()| Outcome::Ended),
                None => Attempt::Done(Outcome::Ended),
            });
        }
        let Some(lease) = self.find(client, queue, which) else {
            return Ok(Attempt::Done(Outcome::NotFound));
        };
        Ok(self.end_lease(now, queue, lease, fate)?.map(|was_there| match was_there {
            true => Outcome::Ended,
            false => Outcome::NotFound,
        }))
    }

    /// Ends all that a client's connection has open of a queue, the oldest first; of that which has a lease below this. All
    /// or nothing, unless it is very much.
    fn end_mine(
        &mut self,
        now: Moment,
        client: Client,
        (id, queue): (QueueId, &[u8]),
        fate: Fate,
        below: u64,
    ) -> Result<Attempt<()>> {
        let count = self.leases.count_of(client, id) as usize;
        if count > 1
            && self.store.make_room_for_ends(count.min(ENDED_AT_ONCE), fate == Fate::Acknowledge) == Attempt::Wait
        {
            return Ok(Attempt::Wait);
        }
        let mut left = ENDED_AT_ONCE;
        while let Some(lease) = self.leases.first_of(client, id).filter(|lease| lease.number < below) {
            if left == 0 {
                self.returns.has_more_to_end = true;
                return Ok(Attempt::Wait);
            }
            left -= 1;
            match self.end_lease(now, queue, lease, fate)? {
                Attempt::Done(_) => {}
                Attempt::NoRoom => return Ok(Attempt::NoRoom),
                Attempt::Wait => return Ok(Attempt::Wait),
            }
        }
        Ok(Attempt::Done(()))
    }

    /// Ends a lease. `Done(false)`: its message is not there any more.
    fn end_lease(&mut self, now: Moment, queue: &[u8], lease: Lease, fate: Fate) -> Result<Attempt<bool>> {
        let after = |delay_s: u32| now.after_ms(u64::from(delay_s) * 1000).ms();
        let back = match fate {
            Fate::Acknowledge => None,
            Fate::Abort { delay_s } => Some((true, delay_s, false)),
            Fate::Release { delay_s } => Some((false, delay_s, false)),
            Fate::Bury => Some((true, None, true)),
        };
        let attempt = match back {
            None => self.store.acknowledge(lease.queue, lease.seq)?,
            Some((counts, delay_s, bury)) => {
                let back = GiveBack { counts, not_before: delay_s.map(after), bury };
                self.store.give_back(lease.queue, lease.seq, back)?.map(|()| true)
            }
        };
        if matches!(attempt, Attempt::Done(_)) {
            self.leases.close(lease.number);
            self.lines.note_freed(queue);
            self.wake_lines();
        }
        Ok(attempt)
    }

    /// Sets when a lease ends.
    pub(super) fn touch(
        &mut self,
        now: Moment,
        client: Client,
        queue: &[u8],
        which: Which<'_>,
        lease_s: i64,
    ) -> Result<Attempt<Outcome>> {
        let Some(lease) = self.find(client, queue, which) else {
            return Ok(Attempt::Done(Outcome::NotFound));
        };
        let until = match u64::try_from(lease_s) {
            Ok(0) => self.lease_end(now, queue, lease.holder, None),
            Ok(lease_s) => Some(now.after_ms(lease_s.saturating_mul(1000))),
            Err(_) => {
                let ended = self.end_lease(now, queue, lease, Fate::Abort { delay_s: None })?;
                return Ok(ended.map(|_| Outcome::Touched));
            }
        };
        self.leases.renew(lease.number, until);
        Ok(Attempt::Done(Outcome::Touched))
    }
}
