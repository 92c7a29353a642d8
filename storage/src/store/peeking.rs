//! Messages of a queue, wherever they stand, looked at and left there.

use crate::attempt::Attempt;
use crate::error::Result;
use crate::log::entry::Seq;
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
    /// Tries of it that have failed.
    pub tries: u8,
    /// Bytes of its body.
    pub bytes: u32,
    /// The body, or its beginning.
    pub body: Box<[u8]>,
}

impl Store {
    /// Looks at the first message of a queue whose number is above `after`. It stays as it is. Of its body no more than so
    /// many bytes are returned.
    ///
    /// # Errors
    /// When the disk fails, or the message's bytes are damaged; the caller must stop.
    pub fn peek_at(&mut self, name: &[u8], after: Seq, body_bytes_max: u32) -> Result<Attempt<Option<PeekedMessage>>> {
        let Some(slot) = self.live.queues.find(name) else { return Ok(Attempt::Done(None)) };
        self.live.follow_flush(slot);
        let Some(from) = after.checked_add(1) else { return Ok(Attempt::Done(None)) };
        let Some((seq, _)) = self.live.queues.at(slot).messages_from(from).next() else {
            return Ok(Attempt::Done(None));
        };
        let state = match self.live.why_out(slot, seq) {
            None => MessageState::Waiting,
            Some(Out::Open) => MessageState::Open,
            Some(Out::Delayed | Out::Dying) => MessageState::Delayed,
        };
        let in_memory = self.live.queues.at(slot).message(seq).is_some_and(|message| message.body.is_some());
        if !in_memory && !self.memory.read_ahead(&mut self.live, &self.log, slot, seq)? {
            return Ok(Attempt::Wait);
        }
        let queue = self.live.queues.at(slot);
        let message = queue.message(seq).expect("it was just found");
        let body = message.body.as_ref().expect("read ahead before");
        let put_s = u64::from(self.put_second(message.place));
        let peeked = PeekedMessage {
            seq,
            flags: message.flags,
            age_s: if put_s == 0 { 0 } else { (self.log.now_ms / 1000).saturating_sub(put_s) },
            state,
            tries: self.live.states.get(queue.id, seq).map_or(0, |state| state.tries),
            bytes: message.place.body_bytes,
            body: body[..body.len().min(body_bytes_max as usize)].into(),
        };
        Ok(Attempt::Done(Some(peeked)))
    }
}
