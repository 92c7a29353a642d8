//! What some messages have beside their bodies, of all queues: failed tries, a time before which they are not handed out,
//! a time from which on they are worth nothing. And what is due when, by that.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::log::entry::{BURIED, QueueId, Seq, State};

/// What may be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A delay has run out.
    Delay(QueueId, Seq),
    /// A message is worth nothing any more.
    Expiry(QueueId, Seq),
    /// The oldest message of a queue may be too old.
    Age(QueueId),
}

/// The states of all messages that have one.
#[derive(Debug, Default)]
pub(crate) struct States {
    states: BTreeMap<(QueueId, Seq), State>,
    due: BTreeSet<(u64, Due)>,
    /// Messages on their way to the dead letters.
    dying: BTreeSet<(QueueId, Seq)>,
    /// Numbers of queues that have lost messages, whose states may still be here.
    dropped: Vec<(QueueId, Range<Seq>)>,
}

/// Why a message is not handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Out {
    Open,
    Delayed,
    Dying,
}

impl Out {
    /// Why a message is not handed out that has this state at a start; `None`: it may be.
    pub(crate) fn of_restored(state: State) -> Option<Out> {
        match state {
            State { tries: BURIED, .. } => Some(Out::Dying),
            State { not_before: 1.., .. } => Some(Out::Delayed),
            _ => None,
        }
    }
}

impl States {
    /// Takes over all states at a start, of which none is empty. What is due is sorted once.
    pub(crate) fn restore(&mut self, states: BTreeMap<(QueueId, Seq), State>) {
        let outs = || states.iter().map(|(key, state)| (*key, *state, Out::of_restored(*state)));
        let delays = outs().filter(|(.., out)| *out == Some(Out::Delayed));
        let delays = delays.map(|((queue, seq), state, _)| (state.not_before, Due::Delay(queue, seq)));
        let ends = outs().filter(|(_, state, _)| state.expires > 0);
        let ends = ends.map(|((queue, seq), state, _)| (state.expires, Due::Expiry(queue, seq)));
        let mut due: BTreeSet<(u64, Due)> = delays.chain(ends).collect();
        due.append(&mut self.due);
        self.due = due;
        self.dying = outs().filter(|(.., out)| *out == Some(Out::Dying)).map(|(key, ..)| key).collect();
        self.states = states;
    }

    pub(crate) fn get(&self, queue: QueueId, seq: Seq) -> Option<State> {
        self.states.get(&(queue, seq)).copied()
    }

    /// Gives a message a state, or takes it away when there is nothing in it. Returns whether it had one, and has one.
    /// Delays are [timed](Self::delay) apart.
    pub(crate) fn set(&mut self, queue: QueueId, seq: Seq, state: State) -> (bool, bool) {
        let had = self.remove(queue, seq);
        let has = state != State::default();
        if has {
            self.states.insert((queue, seq), state);
            if state.expires > 0 {
                self.due.insert((state.expires, Due::Expiry(queue, seq)));
            }
        }
        (had, has)
    }

    /// Forgets the state of a message. Returns whether it had one.
    pub(crate) fn remove(&mut self, queue: QueueId, seq: Seq) -> bool {
        let Some(state) = self.states.remove(&(queue, seq)) else { return false };
        self.due.remove(&(state.not_before, Due::Delay(queue, seq)));
        self.due.remove(&(state.expires, Due::Expiry(queue, seq)));
        self.dying.remove(&(queue, seq));
        true
    }

    /// Has the delay end of a message that has a state with one.
    pub(crate) fn delay(&mut self, queue: QueueId, seq: Seq) {
        let state = self.states[&(queue, seq)];
        self.due.insert((state.not_before, Due::Delay(queue, seq)));
    }

    /// Puts a message that has a state on its way to the dead letters.
    pub(crate) fn bury(&mut self, queue: QueueId, seq: Seq) {
        self.dying.insert((queue, seq));
    }

    /// Why a message is not handed out that is not.
    pub(crate) fn why_out(&self, queue: QueueId, seq: Seq) -> Out {
        let Some(state) = self.get(queue, seq) else { return Out::Open };
        if self.dying.contains(&(queue, seq)) {
            Out::Dying
        } else if self.due.contains(&(state.not_before, Due::Delay(queue, seq))) {
            Out::Delayed
        } else {
            Out::Open
        }
    }

    /// Has the age of a queue's oldest message looked at, and not when it was to be before.
    pub(crate) fn time_age(&mut self, queue: QueueId, before_ms: Option<u64>, at_ms: u64) {
        if let Some(before_ms) = before_ms {
            self.due.remove(&(before_ms, Due::Age(queue)));
        }
        self.due.insert((at_ms, Due::Age(queue)));
    }

    /// How many messages have one.
    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    /// The first that is due, and when.
    pub(crate) fn next_due(&self) -> Option<(u64, Due)> {
        self.due.first().copied()
    }

    /// Takes the first away that is due.
    pub(crate) fn pop_due(&mut self) {
        self.due.pop_first();
    }

    /// The first message on its way to the dead letters, behind this one.
    pub(crate) fn next_dying(&self, behind: (QueueId, Seq)) -> Option<(QueueId, Seq)> {
        self.dying.range((behind.0, behind.1 + 1)..).next().copied()
    }

    pub(crate) fn has_dying(&self) -> bool {
        !self.dying.is_empty()
    }

    /// The states from one on, in order.
    pub(crate) fn from(&self, queue: QueueId, seq: Seq) -> impl Iterator<Item = (QueueId, Seq, State)> {
        self.states.range((queue, seq)..).map(|((queue, seq), state)| (*queue, *seq, *state))
    }

    /// Notes that a queue has lost messages below a number. Their states are forgotten [step by
    /// step](Self::forget_dropped).
    pub(crate) fn drop_below(&mut self, queue: QueueId, seq: Seq) {
        self.dropped.push((queue, 0..seq));
    }

    pub(crate) fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// Forgets states of messages that are gone, of up to so many that are looked at.
    pub(crate) fn forget_dropped(&mut self, limit: usize, is_there: impl Fn(QueueId, Seq) -> bool) {
        let mut left = limit;
        while left > 0
            && let Some((queue, Range { start, end })) = self.dropped.pop()
        {
            let seqs: Vec<Seq> =
                self.states.range((queue, start)..(queue, end)).map(|((_, seq), _)| *seq).take(left).collect();
            if seqs.len() == left {
                self.dropped.push((queue, seqs[left - 1] + 1..end));
            }
            left -= seqs.len().max(1);
            for seq in seqs.into_iter().filter(|seq| !is_there(queue, *seq)) {
                self.remove(queue, seq);
            }
        }
    }
}
