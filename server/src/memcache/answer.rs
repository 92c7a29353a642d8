//! What an outcome is answered with.

use std::mem;

use protocol::reply;
use shards::{Counters, Outcome};

/// How a command is answered once its outcome is there.
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
}

/// The answers to one client.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// The bytes that may be sent, for the conversation to send and clear.
    pub(crate) out: Vec<u8>,
    /// A shard had no room to do its part of the command that is being done.
    had_no_room: bool,
}

impl Answers {
    /// Writes a reply that needs no outcome.
    pub(crate) fn text(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    /// Writes the reply to an outcome, and counts it. `queue`: the name.
    pub(crate) fn outcome(&mut self, counters: &mut Counters, reply: Reply, queue: &[u8], outcome: Outcome) {
        let text = match (reply, outcome) {
            (Reply::Set { noreply }, Outcome::Stored) => {
                counters.set_hits += 1;
                (!noreply).then_some(reply::STORED)
            }
            (Reply::Set { noreply }, Outcome::NotStored) => (!noreply).then_some(reply::NOT_STORED),
            (Reply::Value { with_number }, Outcome::Message(taken)) => {
                counters.get_hits += 1;
                if with_number {
                    reply::value_with_number(&mut self.out, queue, taken.flags, taken.seq, &taken.body);
                } else {
                    reply::value(&mut self.out, queue, taken.flags, &taken.body);
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
            // One reply for all shards: the command is done when all of them have done it.
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
