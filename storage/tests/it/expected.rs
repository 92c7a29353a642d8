//! What a store should hold: queues as plain collections.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use storage::{Error, Seq, Store, Survey};

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) seq: Seq,
    pub(crate) flags: u32,
    pub(crate) body: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = &self.body[..self.body.len().min(4)];
        write!(f, "{}: {} bytes {begin:02x?}", self.seq, self.body.len())
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) sets: u64,
    pub(crate) gets: u64,
    pub(crate) settings: Vec<u8>,
    pub(crate) messages: VecDeque<Message>,
}

/// A change of a store. Names are short: one letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    Put {
        name: u8,
        flags: u32,
        body: Vec<u8>,
    },
    Take {
        name: u8,
    },
    /// Takes the message of this number.
    TakeMessage {
        name: u8,
        seq: Seq,
    },
    /// Gives a queue settings.
    Tell {
        name: u8,
        settings: Vec<u8>,
    },
    Create {
        name: u8,
    },
    Delete {
        name: u8,
    },
    Flush {
        name: u8,
    },
    FlushAll,
}

/// All queues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) queues: BTreeMap<u8, Queue>,
    /// The number of each queue's next message. Not seen from outside.
    next: BTreeMap<u8, Seq>,
}

impl Expected {
    /// The message that a take will take.
    pub(crate) fn taken_by(&self, op: &Op) -> Option<&Message> {
        match op {
            Op::Take { name } => self.queues.get(name)?.messages.front(),
            Op::TakeMessage { name, seq } => {
                let messages = &self.queues.get(name)?.messages;
                messages.get(messages.binary_search_by_key(seq, |message| message.seq).ok()?)
            }
            _ => None,
        }
    }

    /// Applies a change; returns the message that a take takes.
    pub(crate) fn apply(&mut self, op: &Op) -> Option<Message> {
        match op {
            Op::Put { name, flags, body } => {
                let queue = self.queues.entry(*name).or_default();
                let next = self.next.entry(*name).or_insert(1);
                let (flags, body) = (*flags, body.clone());
                queue.messages.push_back(Message { seq: *next, flags, body });
                queue.sets += 1;
                *next += 1;
            }
            Op::Take { name } => {
                let queue = self.queues.get_mut(name)?;
                let message = queue.messages.pop_front()?;
                queue.gets += 1;
                return Some(message);
            }
            Op::TakeMessage { name, seq } => {
                let queue = self.queues.get_mut(name)?;
                let at = queue.messages.binary_search_by_key(seq, |message| message.seq).ok()?;
                queue.gets += 1;
                return queue.messages.remove(at);
            }
            Op::Tell { name, settings } => {
                if let Some(queue) = self.queues.get_mut(name) {
                    queue.settings.clone_from(settings);
                }
            }
            Op::Create { name } => {
                self.queues.entry(*name).or_default();
                self.next.entry(*name).or_insert(1);
            }
            Op::Delete { name } => {
                self.queues.remove(name);
                self.next.remove(name);
            }
            Op::Flush { name } => {
                if let Some(queue) = self.queues.get_mut(name) {
                    queue.messages.clear();
                }
            }
            Op::FlushAll => self.queues.values_mut().for_each(|queue| queue.messages.clear()),
        }
        None
    }

    pub(crate) fn messages(&self) -> u64 {
        self.queues.values().map(|queue| queue.messages.len() as u64).sum()
    }

    /// Bytes of all bodies.
    pub(crate) fn bytes(&self) -> u64 {
        let messages = self.queues.values().flat_map(|queue| &queue.messages);
        messages.map(|message| message.body.len() as u64).sum()
    }

    /// Holds what can be seen of a store without changing it against this.
    pub(crate) fn check(&self, store: &Store) {
        let totals = store.totals();
        assert_eq!((totals.queues, totals.messages), (self.queues.len() as u64, self.messages()));
        let lines: BTreeMap<u8, (u64, u64)> = lines(store);
        let expected = self.queues.iter().map(|(name, queue)| (*name, (queue.sets, queue.gets)));
        assert_eq!(lines, expected.collect());
        for (name, queue) in &self.queues {
            assert_eq!(store.settings(&[*name]), queue.settings, "the settings of {}", *name as char);
        }
    }
}

/// Sets and gets of all queues.
pub(crate) fn lines(store: &Store) -> BTreeMap<u8, (u64, u64)> {
    let mut lines = BTreeMap::new();
    let mut cursor = Some(0);
    while let Some(at) = cursor {
        cursor = store.list(at, 3, |line| {
            let before = lines.insert(line.name[0], (line.sets, line.gets));
            assert_eq!(before, None, "a queue is listed once");
        });
    }
    lines
}

/// What a store holds, by taking everything out of it.
pub(crate) fn drain(store: &mut Store) -> BTreeMap<u8, Queue> {
    try_drain(store).unwrap()
}

pub(crate) fn try_drain(store: &mut Store) -> storage::Result<BTreeMap<u8, Queue>> {
    let mut queues = BTreeMap::new();
    for (name, (sets, gets)) in lines(store) {
        let (mut messages, settings) = (VecDeque::new(), store.settings(&[name]).to_vec());
        while let Some(taken) = store.at_once(|s| s.take(&[name]))?.flatten() {
            messages.push_back(Message { seq: taken.seq, flags: taken.flags, body: taken.body.into_vec() });
        }
        queues.insert(name, Queue { sets, gets, settings, messages });
    }
    Ok(queues)
}

/// What a survey finds, in queues that have a name.
pub(crate) fn surveyed(survey: &Survey) -> BTreeMap<u8, Queue> {
    let mut queues = BTreeMap::new();
    for queue in survey.queues().filter(|queue| queue.name().len() == 1) {
        let mut messages = VecDeque::new();
        let read = survey.messages(queue, |taken| {
            messages.push_back(Message { seq: taken.seq, flags: taken.flags, body: taken.body.into_vec() });
            Ok::<(), Error>(())
        });
        read.unwrap();
        assert_eq!(
            (queue.stored(), queue.bytes()),
            (messages.len() as u64, messages.iter().map(|m| m.body.len() as u64).sum())
        );
        let (sets, gets, settings) = (queue.sets(), queue.gets(), queue.settings().to_vec());
        let before = queues.insert(queue.name()[0], Queue { sets, gets, settings, messages });
        assert_eq!(before, None, "a queue is there once");
    }
    queues
}
