//! What a store should hold: queues as plain collections.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use storage::{Error, Seq, Store, Survey};

/// A queue's name. Most tests have names of one letter; a fuzz target has any.
pub trait Name: Clone + Ord + fmt::Debug {
    /// As the store has it.
    fn bytes(&self) -> &[u8];

    /// The name that the store has so.
    fn of(bytes: &[u8]) -> Self;
}

impl Name for u8 {
    fn bytes(&self) -> &[u8] {
        std::slice::from_ref(self)
    }

    fn of(bytes: &[u8]) -> u8 {
        assert_eq!(bytes.len(), 1, "{} has more than one letter", bytes.escape_ascii());
        bytes[0]
    }
}

impl Name for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn of(bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }
}

/// A message that waits.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number in its queue.
    pub seq: Seq,
    /// The client's own.
    pub flags: u32,
    /// What was put.
    pub body: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = &self.body[..self.body.len().min(12)];
        write!(f, "{}: {} bytes \"{}\"", self.seq, self.body.len(), begin.escape_ascii())
    }
}

/// All queues by their names.
pub type Queues<N = u8> = BTreeMap<N, Queue>;

/// What a queue holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    /// Messages that ever were put.
    pub sets: u64,
    /// Messages that ever were taken.
    pub gets: u64,
    /// As the store keeps them: any bytes.
    pub settings: Vec<u8>,
    /// What waits, in the order of its numbers.
    pub messages: VecDeque<Message>,
}

/// A change of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field is what its type and its variant say")]
pub enum Op<N = u8> {
    /// Appends a message.
    Put { name: N, flags: u32, body: Vec<u8> },
    /// Takes the message at the head.
    Take { name: N },
    /// Takes the message of this number.
    TakeMessage { name: N, seq: Seq },
    /// Gives a queue settings.
    Tell { name: N, settings: Vec<u8> },
    /// Makes a queue.
    Create { name: N },
    /// Drops a queue and all that belongs to it.
    Delete { name: N },
    /// Drops a queue's messages.
    Flush { name: N },
    /// Drops the messages of all queues.
    FlushAll,
}

/// The model: what a store holds after some changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected<N = u8> {
    /// What can be seen.
    pub queues: Queues<N>,
    /// The number of each queue's next message. Not seen from outside.
    next: BTreeMap<N, Seq>,
}

impl<N> Default for Expected<N> {
    fn default() -> Expected<N> {
        Expected { queues: BTreeMap::new(), next: BTreeMap::new() }
    }
}

impl<N: Name> Expected<N> {
    /// The message that a take will take.
    pub fn taken_by(&self, op: &Op<N>) -> Option<&Message> {
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
    pub fn apply(&mut self, op: &Op<N>) -> Option<Message> {
        match op {
            Op::Put { name, flags, body } => {
                let queue = self.queues.entry(name.clone()).or_default();
                let next = self.next.entry(name.clone()).or_insert(1);
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
                self.queues.entry(name.clone()).or_default();
                self.next.entry(name.clone()).or_insert(1);
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

    /// Messages that wait, in all queues.
    pub fn messages(&self) -> u64 {
        self.queues.values().map(|queue| queue.messages.len() as u64).sum()
    }

    /// Bytes of all bodies.
    pub fn bytes(&self) -> u64 {
        let messages = self.queues.values().flat_map(|queue| &queue.messages);
        messages.map(|message| message.body.len() as u64).sum()
    }

    /// Holds what can be seen of a store without changing it against this.
    pub fn check(&self, store: &Store) {
        let totals = store.totals();
        assert_eq!((totals.queues, totals.messages), (self.queues.len() as u64, self.messages()));
        let expected = self.queues.iter().map(|(name, queue)| (name.clone(), (queue.sets, queue.gets)));
        assert_eq!(lines::<N>(store), expected.collect());
        for (name, queue) in &self.queues {
            assert_eq!(store.settings(name.bytes()), queue.settings, "the settings of {name:?}");
        }
    }
}

/// Sets and gets of all queues.
///
/// # Panics
/// When a queue is listed twice.
pub fn lines<N: Name>(store: &Store) -> BTreeMap<N, (u64, u64)> {
    let listed = listed(store);
    let count = listed.len();
    let lines: BTreeMap<N, (u64, u64)> = listed.into_iter().collect();
    assert_eq!(lines.len(), count, "a queue is listed once");
    lines
}

/// Sets and gets of all queues as they are listed. What is forged may have two queues of one name.
fn listed<N: Name>(store: &Store) -> Vec<(N, (u64, u64))> {
    let (mut listed, mut cursor) = (Vec::new(), Some(0));
    while let Some(at) = cursor {
        cursor = store.list(at, 3, |line| listed.push((N::of(&line.name), (line.sets, line.gets))));
    }
    listed
}

/// What a store holds, by taking everything out of it.
pub fn drain<N: Name>(store: &mut Store) -> Queues<N> {
    try_drain(store).unwrap()
}

/// As [`drain`].
///
/// # Errors
/// When the disk fails, or what is on it is damaged.
pub fn try_drain<N: Name>(store: &mut Store) -> storage::Result<Queues<N>> {
    let mut queues = BTreeMap::new();
    for (name, (sets, gets)) in listed::<N>(store) {
        let (mut messages, settings) = (VecDeque::new(), store.settings(name.bytes()).to_vec());
        while let Some(taken) = store.at_once(|s| s.take(name.bytes()))?.flatten() {
            messages.push_back(Message { seq: taken.seq, flags: taken.flags, body: taken.body.into_vec() });
        }
        queues.insert(name, Queue { sets, gets, settings, messages });
    }
    Ok(queues)
}

/// What a survey finds, in queues that have a name.
pub fn surveyed(survey: &Survey) -> Queues {
    let mut queues = BTreeMap::new();
    for queue in survey.queues().filter(|queue| queue.name().len() == 1) {
        let mut messages = VecDeque::new();
        let read = survey.messages(queue, |taken, _| {
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
