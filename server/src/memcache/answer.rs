//! A client's replies, in the order of its commands. What another shard does is answered when its outcome is there, and all
//! behind it then.

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;

use protocol::reply;
use shards::{Counters, Outcome};

/// A reply that cannot be written yet, because of itself or of one before it.
#[derive(Debug)]
struct Pending {
    reply: Reply,
    /// In [`Replies::texts`]: the queue's name, or the whole reply.
    text: Range<usize>,
    /// `None`: it will be delivered.
    outcome: Option<Outcome>,
}

/// What becomes of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Set {
        noreply: bool,
    },
    Value {
        with_number: bool,
    },
    Delete {
        noreply: bool,
    },
    End,
    Ok {
        noreply: bool,
    },
    /// Nothing: another operation of the same command answers.
    Silent,
    /// A text that needs no outcome.
    Text,
}

/// The replies of one client.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    /// Those that may be sent, for the connection to send and clear.
    pub(crate) out: Vec<u8>,
    pending: VecDeque<Pending>,
    texts: Vec<u8>,
    /// A shard had no room to do its part of the command that is being done.
    had_no_room: bool,
}

impl Replies {
    /// Writes the reply of an outcome that is there, now or when its turn comes.
    pub(crate) fn add(&mut self, counters: &mut Counters, reply: Reply, name: &[u8], outcome: Outcome) {
        if self.pending.is_empty() {
            self.write(counters, reply, name, outcome);
        } else {
            self.push(reply, name, Some(outcome));
        }
    }

    /// Writes a reply that needs no outcome, now or when its turn comes.
    pub(crate) fn say(&mut self, text: &[u8]) {
        if self.pending.is_empty() {
            self.out.extend_from_slice(text);
        } else {
            self.push(Reply::Text, text, None);
        }
    }

    /// Has a reply wait for its outcome, which is [delivered](Self::deliver) later.
    pub(crate) fn wait(&mut self, reply: Reply, name: &[u8]) {
        self.push(reply, name, None);
    }

    fn push(&mut self, reply: Reply, text: &[u8], outcome: Option<Outcome>) {
        let start = self.texts.len();
        self.texts.extend_from_slice(text);
        self.pending.push_back(Pending { reply, text: start..self.texts.len(), outcome });
    }

    /// Takes the next outcome from another shard, and writes all replies whose turn has come.
    ///
    /// # Panics
    /// When no outcome is awaited.
    pub(crate) fn deliver(&mut self, counters: &mut Counters, outcome: Outcome) {
        self.write_next(counters, Some(outcome));
        while self.pending.front().is_some_and(|next| next.outcome.is_some() || next.reply == Reply::Text) {
            self.write_next(counters, None);
        }
        if self.pending.is_empty() {
            self.texts.clear();
        }
    }

    fn write_next(&mut self, counters: &mut Counters, delivered: Option<Outcome>) {
        let Pending { reply, text, outcome } = self.pending.pop_front().expect("an outcome is awaited");
        assert!(delivered.is_none() || outcome.is_none(), "an outcome for a reply that has one");
        let texts = mem::take(&mut self.texts);
        match delivered.or(outcome) {
            Some(outcome) => self.write(counters, reply, &texts[text], outcome),
            None => self.out.extend_from_slice(&texts[text]),
        }
        self.texts = texts;
    }

    /// Whether all replies are in [`out`](Self::out).
    pub(crate) fn are_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Writes what an outcome is answered with.
    fn write(&mut self, counters: &mut Counters, reply: Reply, name: &[u8], outcome: Outcome) {
        let text = match (reply, outcome) {
            (Reply::Set { noreply }, Outcome::Stored) => {
                counters.set_hits += 1;
                (!noreply).then_some(reply::STORED)
            }
            (Reply::Set { noreply }, Outcome::NotStored) => (!noreply).then_some(reply::NOT_STORED),
            (Reply::Value { with_number }, Outcome::Message(taken)) => {
                counters.get_hits += 1;
                if with_number {
                    reply::value_with_number(&mut self.out, name, taken.flags, taken.seq, &taken.body);
                } else {
                    reply::value(&mut self.out, name, taken.flags, &taken.body);
                }
                None
            }
            (Reply::Value { .. }, Outcome::Empty) => None,
            (Reply::Delete { noreply }, Outcome::Deleted) => {
                counters.delete_hits += 1;
                (!noreply).then_some(reply::DELETED)
            }
            (Reply::Delete { noreply }, Outcome::NotFound) => {
                counters.delete_misses += 1;
                (!noreply).then_some(reply::NOT_FOUND)
            }
            (Reply::Delete { noreply }, Outcome::NoRoom) => (!noreply).then_some(reply::NO_ROOM),
            (Reply::End, Outcome::NoRoom) => Some(reply::NO_ROOM),
            (Reply::End, Outcome::Done) => Some(reply::END),
            // One reply for all shards: it is done when all of them have done it.
            (Reply::Ok { noreply }, outcome @ (Outcome::Done | Outcome::NoRoom)) => {
                let failed = mem::take(&mut self.had_no_room) | (outcome == Outcome::NoRoom);
                (!noreply).then_some(if failed { reply::NO_ROOM } else { reply::OK })
            }
            (Reply::Silent, outcome @ (Outcome::Done | Outcome::NoRoom)) => {
                self.had_no_room |= outcome == Outcome::NoRoom;
                None
            }
            (reply, outcome) => unreachable!("{reply:?} cannot answer {outcome:?}"),
        };
        text.into_iter().for_each(|text| self.out.extend_from_slice(text));
    }
}
