//! Messages of a queue, wherever they stand, looked at and left there.

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::entry::{QueueId, Seq};
use crate::queue::states::Out;
use crate::store::Store;

/// Whether a message is handed out, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageState {
    /// It may be handed out.
    Waiting,
    /// It is open.
    Open,
    /// It is not available before some time, or before its ticket is paid, or it is on its way to the dead letters.
    Delayed,
}

/// A message that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeekedMessage {
    /// Its number.
    pub seq: Seq,
    /// Its flags.
    pub flags: u32,
    /// Seconds since it was put.
    pub age_s: u64,
    /// Whether it is handed out.
    pub state: MessageState,
    /// Tries of it that have failed; 255: it is on its way to the dead letters.
    pub tries: u8,
    /// Bytes of its body.
    pub bytes: u32,
    /// The body, or its beginning.
    pub body: Box<[u8]>,
}

impl Store {
    /// Looks at the first message of a queue whose number is above `after`, whether it may be handed out or not. It stays as
    /// it is, and what is in memory does, too: a body that only the disk has is read for this alone. Of it no more than so
    /// many bytes are returned.
    ///
    /// # Errors
    /// When the disk fails, or the message's bytes are damaged; the caller must stop.
    pub fn peek_at(&mut self, name: &[u8], after: Seq, body_bytes_max: u32) -> Result<Attempt<Option<PeekedMessage>>> {
        let (Some(slot), Some(from)) = (self.live.queues.find(name), after.checked_add(1)) else {
            return Ok(Attempt::Done(None));
        };
        self.live.follow_flush(slot);
        let queue = self.live.queues.at(slot);
        let Some((seq, message)) = queue.messages_from(from).next() else { return Ok(Attempt::Done(None)) };
        let cut = |body: &[u8]| body[..body.len().min(body_bytes_max as usize)].into();
        let (flags, body) = match &message.body {
            Some(body) => (message.flags, cut(body)),
            None => {
                match self.memory.read_one(queue, (seq, message.place), &self.log, |flags, body| (flags, cut(body)))? {
                    Some(read) => read,
                    None => return Ok(Attempt::Wait),
                }
            }
        };
        let age_s = (self.log.now_ms / 1000).saturating_sub(u64::from(self.put_second(message.place)));
        let state = match self.live.why_out(slot, seq) {
            None => MessageState::Waiting,
            Some(Out::Open) => MessageState::Open,
            Some(Out::Delayed | Out::Dying) => MessageState::Delayed,
        };
        let tries = self.live.states.get(queue.id, seq).map_or(0, |state| state.tries);
        let bytes = message.place.body_bytes;
        Ok(Attempt::Done(Some(PeekedMessage { seq, flags, age_s, state, tries, bytes, body })))
    }

    /// Whether a message of a queue is there, of whatever state.
    #[must_use]
    pub fn has_message(&self, queue: QueueId, seq: Seq) -> bool {
        let queue = self.live.queues.find_id(queue).map(|slot| self.live.queues.at(slot));
        queue.is_some_and(|queue| queue.epoch == self.live.epoch() && queue.message(seq).is_some())
    }
}
