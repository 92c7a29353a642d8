//! Messages that are out with a consumer, or were: at most one consumer holds a message, and none gets it after it was
//! acknowledged.
use hashbrown::{HashMap, HashSet};

use crate::workload::Slot;

/// A producer, and its count.
pub(super) type Message = (u32, u64);
/// The end of a hold that no lease ends.
pub(crate) const NEVER_NS: u64 = u64::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    consumer: usize,
    slot: Slot,
    /// The earliest time at which its lease can have ended, in nanoseconds of the run.
    until_ns: u64,
}

/// What a delivery of a message that was delivered before turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// The same name has asked again, for the same message.
    Repeated,
    /// Its holder is gone, or may have held it for its whole lease.
    Promised,
    /// It is out with another consumer.
    Shared,
}

#[derive(Debug, Default)]
pub(super) struct Holds {
    holders: HashMap<Message, Holder>,
    slots: HashMap<usize, HashMap<Slot, Message>>,
    /// Their acknowledgement was on its way when the connection broke: they may be done, or come again.
    in_doubt: HashSet<Message>,
    /// The server may be restarted: a message can come again before it is seen that its holder's connection broke.
    pub(super) may_restart: bool,
}

impl Holds {
    /// A consumer has a message in its hands. `was_delivered`: not for the first time. None: for the first time.
    pub(super) fn opened(
        &mut self,
        (consumer, slot): (usize, Slot),
        message: Message,
        was_delivered: bool,
        (until_ns, now_ns): (u64, u64),
    ) -> Option<Again> {
        let again = was_delivered.then(|| self.again((consumer, slot), message, until_ns, now_ns));
        self.in_doubt.remove(&message);
        self.holders.insert(message, Holder { consumer, slot, until_ns });
        self.slots.entry(consumer).or_default().insert(slot, message);
        again
    }

    /// The same for a get, which takes the message for good.
    pub(super) fn taken(&mut self, message: Message, now_ns: u64) -> Again {
        let again = self.again((usize::MAX, 0), message, NEVER_NS, now_ns);
        self.in_doubt.remove(&message);
        self.holders.remove(&message);
        again
    }

    fn again(&self, by: (usize, Slot), message: Message, until_ns: u64, now_ns: u64) -> Again {
        let Some(holder) = self.holders.get(&message) else { return Again::Promised };
        if (holder.consumer, holder.slot) == by {
            return Again::Repeated;
        }
        // A delivery whose own lease may be over was perhaps the earlier one of the two.
        let may_be_over = holder.until_ns <= now_ns || until_ns <= now_ns || self.may_restart;
        if may_be_over { Again::Promised } else { Again::Shared }
    }

    /// An acknowledgement was answered. The message that it was of, and whether this consumer still held it: another one
    /// has been given it otherwise. None: nothing was open there.
    pub(super) fn acknowledged(&mut self, consumer: usize, slot: Slot) -> Option<(Message, bool)> {
        let message = self.slots.get_mut(&consumer)?.remove(&slot)?;
        let is_holder = |holder: &Holder| (holder.consumer, holder.slot) == (consumer, slot);
        let holds = self.holders.get(&message).is_some_and(is_holder);
        if holds {
            self.holders.remove(&message);
        }
        Some((message, holds))
    }

    /// An acknowledgement came too late, by the server's word. `is_repeated`: it was sent before, on a connection that
    /// broke, and may have counted then.
    pub(super) fn not_held(&mut self, consumer: usize, slot: Slot, is_repeated: bool) {
        if let Some((message, true)) = self.acknowledged(consumer, slot).filter(|_| is_repeated) {
            self.in_doubt.insert(message);
        }
    }

    /// A consumer's connection is gone, with acknowledgements of these slots on their way.
    pub(super) fn dropped(&mut self, consumer: usize, acknowledging: &HashSet<Slot>) {
        for (slot, message) in self.slots.remove(&consumer).unwrap_or_default() {
            let is_holder = |holder: &Holder| (holder.consumer, holder.slot) == (consumer, slot);
            if self.holders.get(&message).is_some_and(is_holder) {
                self.holders.remove(&message);
                if acknowledging.contains(&slot) {
                    self.in_doubt.insert(message);
                }
            }
        }
    }

    pub(super) fn is_in_doubt(&self, message: Message) -> bool {
        self.in_doubt.contains(&message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: Message = (3, 7);
    const ALWAYS: (u64, u64) = (NEVER_NS, 0);

    fn held() -> Holds {
        let mut holds = Holds::default();
        assert_eq!(holds.opened((0, 5), M, false, ALWAYS), None);
        holds
    }

    #[test]
    fn a_message_has_one_holder() {
        let mut holds = held();
        assert_eq!(holds.opened((1, 5), M, true, ALWAYS), Some(Again::Shared));
        assert_eq!(held().taken(M, 0), Again::Shared);
        assert_eq!(holds.acknowledged(0, 5), Some((M, false)), "the other one has it");
        assert_eq!((holds.acknowledged(1, 5), holds.acknowledged(1, 5)), (Some((M, true)), None));
    }

    #[test]
    fn what_a_gone_consumer_held_comes_again() {
        let mut holds = held();
        holds.dropped(0, &HashSet::new());
        assert!(!holds.is_in_doubt(M));
        assert_eq!(holds.opened((1, 5), M, true, ALWAYS), Some(Again::Promised));
        assert_eq!(holds.opened((0, 5), M, true, ALWAYS), Some(Again::Shared));
    }

    #[test]
    fn an_acknowledgement_without_an_answer_leaves_a_doubt_until_the_message_comes_again() {
        let mut holds = held();
        holds.dropped(0, &HashSet::from_iter([5]));
        assert!(holds.is_in_doubt(M));
        assert_eq!(holds.opened((1, 5), M, true, ALWAYS), Some(Again::Promised));
        assert!(!holds.is_in_doubt(M));
        let mut holds = held();
        holds.dropped(0, &HashSet::from_iter([4]));
        assert!(!holds.is_in_doubt(M), "it was of another slot");
    }

    #[test]
    fn a_lease_ends_a_hold_and_not_before_its_time() {
        for (now_ns, expected) in [(99, Again::Shared), (100, Again::Promised)] {
            let mut holds = Holds::default();
            holds.opened((0, 1), M, false, (100, 0));
            assert_eq!(holds.opened((1, 1), M, true, (500, now_ns)), Some(expected));
        }
        let mut holds = Holds::default();
        holds.opened((0, 1), M, false, (100, 0));
        assert_eq!(holds.opened((0, 1), M, true, (200, 50)), Some(Again::Repeated), "the same name");
        assert_eq!(holds.opened((1, 1), M, true, (500, 150)), Some(Again::Shared), "the lease was renewed");
        let mut holds = held();
        assert_eq!(holds.opened((1, 1), M, true, (100, 100)), Some(Again::Promised), "its answer was late");
    }

    #[test]
    fn an_acknowledgement_that_is_repeated_may_have_counted() {
        for is_repeated in [false, true] {
            let mut holds = held();
            holds.not_held(0, 5, is_repeated);
            assert_eq!(holds.is_in_doubt(M), is_repeated);
            assert_eq!(holds.opened((1, 5), M, true, ALWAYS), Some(Again::Promised));
        }
    }

    #[test]
    fn a_restart_is_seen_by_one_connection_after_the_other() {
        let mut holds = held();
        holds.may_restart = true;
        assert_eq!(holds.opened((1, 5), M, true, ALWAYS), Some(Again::Promised));
        holds.dropped(0, &HashSet::from_iter([5]));
        assert!(!holds.is_in_doubt(M), "the other one has it");
        assert_eq!(holds.acknowledged(1, 5), Some((M, true)));
    }
}
