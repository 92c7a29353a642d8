//! What an outcome is answered with.

use std::mem;

use protocol::reply;
use shards::{Counters, Outcome};

use crate::memcache::gate::{self, Door};

/// How a command is answered once its outcome is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Set {
        noreply: bool,
    },
    /// One name of a get.
    Value {
        with_number: bool,
    },
    /// The end of a get.
    Got,
    /// All of a get whose key has options.
    Consumed {
        with_number: bool,
    },
    Delete {
        noreply: bool,
    },
    /// Of something else than a queue.
    Deleted {
        noreply: bool,
    },
    Touched {
        noreply: bool,
    },
    Configured {
        noreply: bool,
    },
    /// Of what was asked of a gate for a buyer.
    Gate {
        door: Door,
        noreply: bool,
    },
    /// A line for each of a gate's figures.
    GateFigures,
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
    /// Of the get that is being done, a queue has something open for the connection.
    was_held: bool,
    /// The get that is being done has given a message.
    has_value: bool,
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
                self.has_value = true;
                self.value(queue, taken.flags, &taken.body, with_number.then_some(taken.seq));
                None
            }
            (Reply::Value { .. }, Outcome::Empty | Outcome::Made) => None,
            (Reply::Value { .. }, Outcome::Held) => {
                self.was_held = true;
                None
            }
            (Reply::Got, _) => {
                // A client that gets an error may throw away what came with it.
                let refused = mem::take(&mut self.was_held) & !mem::take(&mut self.has_value);
                Some(if refused { reply::CLOSE_CURRENT_ITEM_FIRST } else { reply::END })
            }
            (Reply::Consumed { with_number }, outcome) => Some(self.consumed(counters, queue, with_number, outcome)),
            (Reply::Delete { noreply }, Outcome::Deleted) => {
                counters.delete_hits += 1;
                (!noreply).then_some(reply::DELETED)
            }
            (Reply::Delete { noreply }, Outcome::NotFound) => {
                counters.delete_misses += 1;
                (!noreply).then_some(reply::NOT_FOUND)
            }
            (Reply::Delete { noreply }, Outcome::NoRoom) => (!noreply).then_some(reply::NO_ROOM),
            (Reply::Deleted { noreply }, Outcome::Ended | Outcome::Deleted) => (!noreply).then_some(reply::DELETED),
            (Reply::Deleted { noreply }, Outcome::NotFound) => (!noreply).then_some(reply::NOT_FOUND),
            (Reply::Touched { noreply }, Outcome::Touched) => {
                counters.touch_hits += 1;
                (!noreply).then_some(reply::TOUCHED)
            }
            (Reply::Touched { noreply }, Outcome::NotFound) => (!noreply).then_some(reply::NOT_FOUND),
            (Reply::Configured { noreply }, Outcome::Configured) => (!noreply).then_some(reply::STORED),
            (Reply::Configured { noreply }, Outcome::NotStored) => (!noreply).then_some(reply::NOT_STORED),
            (Reply::Configured { noreply }, Outcome::BadWord(word)) => {
                if !noreply {
                    reply::bad_config(&mut self.out, &word);
                }
                None
            }
            (Reply::Deleted { noreply } | Reply::Touched { noreply }, Outcome::NoRoom) => {
                (!noreply).then_some(reply::NO_ROOM)
            }
            (Reply::Gate { noreply: true, .. }, Outcome::Gate(_)) => None,
            (Reply::Gate { door, .. }, Outcome::Gate(told)) => {
                gate::write(&mut self.out, door, queue, told.answer);
                None
            }
            (Reply::GateFigures, Outcome::GateFigures(figures)) => {
                let list = figures.iter().flat_map(|figures| gate::list(figures));
                list.for_each(|(name, value)| reply::stat(&mut self.out, name, value));
                Some(reply::END)
            }
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

    /// Writes what came of a get whose key has options, and returns how the reply ends.
    fn consumed(&mut self, counters: &mut Counters, key: &[u8], with_number: bool, outcome: Outcome) -> &'static [u8] {
        let number = |number| with_number.then_some(number);
        match outcome {
            Outcome::Message(taken) => {
                counters.get_hits += 1;
                self.value(key, taken.flags, &taken.body, number(taken.seq));
            }
            Outcome::Opened { lease, flags, body, .. } => {
                counters.get_hits += 1;
                self.value(key, flags, &body, number(lease));
            }
            Outcome::Peeked(taken) => self.value(key, taken.flags, &taken.body, number(taken.seq)),
            Outcome::Kicked(count) => self.value(key, 0, count.to_string().as_bytes(), number(0)),
            Outcome::Words(words) if words.is_empty() => {}
            Outcome::Words(words) => self.value(key, 0, &words, number(0)),
            Outcome::GateFigures(figures) => {
                figures.iter().for_each(|figures| self.value(key, 0, gate::line(figures).as_bytes(), number(0)));
            }
            Outcome::Empty | Outcome::Made | Outcome::Ended | Outcome::NotFound => {}
            Outcome::Held => return reply::CLOSE_CURRENT_ITEM_FIRST,
            Outcome::NoRoom => return reply::NO_ROOM,
            outcome => unreachable!("a get cannot answer {outcome:?}"),
        }
        reply::END
    }

    #[inline]
    fn value(&mut self, key: &[u8], flags: u32, body: &[u8], number: Option<u64>) {
        match number {
            Some(number) => reply::value_with_number(&mut self.out, key, flags, number, body),
            None => reply::value(&mut self.out, key, flags, body),
        }
    }
}
