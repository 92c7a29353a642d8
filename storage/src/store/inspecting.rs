//! What a store holds, message by message: for tests, and for programs that look into a store.

use crate::log::entry::{BURIED, Seq, State};
use crate::queue::states::Out;
use crate::store::Store;

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It may be handed out.
    Waiting,
    /// It is out with a client.
    Open,
    /// It is kept back until its time has come.
    Delayed,
    /// It is on its way to the dead letters.
    Dying,
}

/// A message, as a store keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inspected {
    /// Its number in its queue.
    pub seq: Seq,
    /// Where it stands.
    pub standing: Standing,
    /// Tries that have failed.
    pub tries: u8,
    /// It is not handed out before, in milliseconds since 1970; 0: at any time. It may be over by now.
    pub not_before: u64,
    /// It is worth nothing from then on, in milliseconds since 1970; 0: it never is.
    pub expires: u64,
    /// The second since 1970 in which it was put; `None`: the log does not say.
    pub put_second: Option<u32>,
}

impl Inspected {
    /// Whether it was buried: it goes to the dead letters.
    #[must_use]
    pub fn is_buried(&self) -> bool {
        self.tries == BURIED
    }
}

impl Store {
    /// All messages of a queue in the order of their numbers. It takes as long as they are many.
    pub fn inspect(&mut self, name: &[u8]) -> Vec<Inspected> {
        let Some(slot) = self.live.queues.find(name) else { return Vec::new() };
        self.live.follow_flush(slot);
        let queue = self.live.queues.at(slot);
        let inspected = |(seq, message): (Seq, &crate::queue::Message)| {
            let State { tries, not_before, expires } = self.live.states.get(queue.id, seq).unwrap_or_default();
            let standing = match self.live.why_out(slot, seq) {
                None => Standing::Waiting,
                Some(Out::Open) => Standing::Open,
                Some(Out::Delayed) => Standing::Delayed,
                Some(Out::Dying) => Standing::Dying,
            };
            Inspected { seq, standing, tries, not_before, expires, put_second: self.log.times.of(message.place) }
        };
        queue.messages().map(inspected).collect()
    }
}
