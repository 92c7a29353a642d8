//! What a store should hold: queues as plain collections.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use storage::{Error, GiveBack, Seq, Standing, Store, Survey, Taken};

use crate::standing::{AllKept, Kept};

/// A queue's name. Most tests have names of one letter; a fuzz target has any.
pub trait Name: Clone + Ord + fmt::Debug {
    /// As the store has it.
    fn bytes(&self) -> &[u8];

    /// The name that the store has so.
    fn of(bytes: &[u8]) -> Self;

    /// That of its dead letters.
    fn dead(&self) -> Self {
        Self::of(&storage::names::dead(self.bytes()))
    }

    /// Whether it is that of dead letters.
    fn is_dead(&self) -> bool {
        storage::names::is_dead(self.bytes())
    }
}

/// The dead letters of queues that are small letters are large ones here.
const DEAD: [&[u8]; 26] = [
    b"a dead", b"b dead", b"c dead", b"d dead", b"e dead", b"f dead", b"g dead", b"h dead", b"i dead", b"j dead",
    b"k dead", b"l dead", b"m dead", b"n dead", b"o dead", b"p dead", b"q dead", b"r dead", b"s dead", b"t dead",
    b"u dead", b"v dead", b"w dead", b"x dead", b"y dead", b"z dead",
];

impl Name for u8 {
    fn bytes(&self) -> &[u8] {
        match self {
            b'A'..=b'Z' => DEAD[usize::from(self - b'A')],
            _ => std::slice::from_ref(self),
        }
    }

    fn of(bytes: &[u8]) -> u8 {
        let dead = DEAD.iter().position(|dead| *dead == bytes);
        if let Some(dead) = dead {
            return b'A' + dead as u8;
        }
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
    /// Appends a message that has a delay or an end.
    PutWith { name: N, flags: u32, body: Vec<u8>, delay_s: Option<u32>, exptime: i64 },
    /// Gives a queue, which is made where there is none, settings by words.
    Configure { name: N, words: Vec<u8> },
    /// Opens the message that is handed out next.
    Open { name: N },
    /// Takes an open message.
    Acknowledge { name: N, seq: Seq },
    /// Has an open message come back.
    GiveBack { name: N, seq: Seq, back: GiveBack },
    /// Puts dead letters back.
    Kick { name: N, count: u32 },
    /// It is this time now.
    SetTime { unix_ms: u64 },
    /// The store was opened anew, and its messages have this beside their bodies.
    Restart { kept: AllKept<N> },
    /// Time has passed, and something came of it.
    Pass { name: N, seq: Seq, what: Passed },
}

/// What comes of a message when time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// Its delay is over.
    Waits,
    /// It is gone.
    Goes,
    /// It is on its way to the dead letters.
    Dies,
    /// It is among the dead letters.
    Moves,
}

/// The model: what a store holds after some changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected<N = u8> {
    /// What can be seen.
    pub queues: Queues<N>,
    /// The number of each queue's next message. Not seen from outside.
    next: BTreeMap<N, Seq>,
    /// What each message has beside its body.
    pub kept: AllKept<N>,
    /// Where each message stands that does not wait.
    pub(crate) standing: BTreeMap<(N, Seq), Standing>,
    /// What time it is, in milliseconds since 1970.
    pub now_ms: u64,
}

impl<N> Default for Expected<N> {
    fn default() -> Expected<N> {
        Expected {
            queues: BTreeMap::new(),
            next: BTreeMap::new(),
            kept: BTreeMap::new(),
            standing: BTreeMap::new(),
            now_ms: 0,
        }
    }
}

impl<N: Name> Expected<N> {
    /// The message that a take will take.
    pub fn taken_by(&self, op: &Op<N>) -> Option<&Message> {
        match op {
            Op::Take { name } if self.rules(name).pause => None,
            Op::Take { name } => self.first_waiting(name),
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
            Op::Put { name, flags, body } => self.put(name, *flags, body, None, 0),
            Op::PutWith { name, flags, body, delay_s, exptime } => self.put(name, *flags, body, *delay_s, *exptime),
            Op::Take { .. } | Op::TakeMessage { .. } => {
                let (Op::Take { name } | Op::TakeMessage { name, .. }) = op else { unreachable!("matched above") };
                let seq = self.taken_by(op)?.seq;
                return self.remove(name, seq);
            }
            Op::Tell { name, settings } => {
                if let Some(queue) = self.queues.get_mut(name) {
                    queue.settings.clone_from(settings);
                }
            }
            Op::Configure { name, words } => {
                self.create(name);
                let words = storage::settings::Words::parse(words).expect("a test knows its words");
                self.queues.get_mut(name).expect("just made").settings = words.text();
            }
            Op::Create { name } => self.create(name),
            Op::Delete { name } => self.with_dead(name).iter().for_each(|name| {
                self.clear(name, |_| true);
                self.queues.remove(name);
                self.next.remove(name);
            }),
            Op::Flush { name } => {
                self.with_dead(name).iter().for_each(|name| self.clear(name, |standing| standing != Standing::Open))
            }
            Op::FlushAll => {
                let names: Vec<N> = self.queues.keys().cloned().collect();
                names.iter().for_each(|name| self.clear(name, |_| true));
            }
            _ => self.apply_standing(op),
        }
        None
    }

    fn create(&mut self, name: &N) {
        self.queues.entry(name.clone()).or_default();
        self.next.entry(name.clone()).or_insert(1);
    }

    /// A queue, and its dead letters, which go with it.
    fn with_dead(&self, name: &N) -> Vec<N> {
        let dead = || name.dead();
        let is_alone = name.is_dead() || !self.can_have_dead(name);
        if is_alone { vec![name.clone()] } else { vec![name.clone(), dead()] }
    }

    fn can_have_dead(&self, name: &N) -> bool {
        let dead = storage::names::dead(name.bytes());
        self.queues.keys().any(|other| *other.bytes() == *dead)
    }

    /// Drops the messages of a queue that stand so.
    fn clear(&mut self, name: &N, goes: impl Fn(Standing) -> bool) {
        let Some(queue) = self.queues.get_mut(name) else { return };
        let (standing, kept) = (&mut self.standing, self.kept.entry(name.clone()).or_default());
        queue.messages.retain(|message| {
            let key = (name.clone(), message.seq);
            let goes = goes(standing.get(&key).copied().unwrap_or(Standing::Waiting));
            if goes {
                standing.remove(&key);
                kept.remove(&message.seq);
            }
            !goes
        });
        if kept.is_empty() {
            self.kept.remove(name);
        }
    }

    /// Appends a message to a queue, which is made where there is none. Returns its number.
    pub(crate) fn append(&mut self, name: &N, flags: u32, body: &[u8]) -> Seq {
        self.create(name);
        let next = self.next.get_mut(name).expect("just made");
        let seq = *next;
        *next += 1;
        let queue = self.queues.get_mut(name).expect("just made");
        queue.messages.push_back(Message { seq, flags, body: body.to_vec() });
        queue.sets += 1;
        let put_s = u32::try_from(self.now_ms / 1000).unwrap_or(u32::MAX);
        self.kept.entry(name.clone()).or_default().insert(seq, Kept { put_s, ..Kept::default() });
        seq
    }

    /// Takes a message out of its queue, and counts it.
    pub(crate) fn remove(&mut self, name: &N, seq: Seq) -> Option<Message> {
        let queue = self.queues.get_mut(name)?;
        let at = queue.messages.binary_search_by_key(&seq, |message| message.seq).ok()?;
        queue.gets += 1;
        self.standing.remove(&(name.clone(), seq));
        let kept = self.kept.get_mut(name).expect("each message has it");
        kept.remove(&seq);
        if kept.is_empty() {
            self.kept.remove(name);
        }
        self.queues.get_mut(name)?.messages.remove(at)
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
        let message = |taken: Taken| Message { seq: taken.seq, flags: taken.flags, body: taken.body.into_vec() };
        while let Some(taken) = store.at_once(|s| s.take(name.bytes()))?.flatten() {
            assert!(messages.back().is_none_or(|last: &Message| last.seq < taken.seq), "the lowest number comes first");
            messages.push_back(message(taken));
        }
        // What is kept back, or on its way elsewhere.
        let left = store.inspect(name.bytes());
        for seq in left.into_iter().map(|it| it.seq) {
            messages.extend(store.at_once(|s| s.take_message(name.bytes(), seq))?.flatten().map(message));
        }
        messages.make_contiguous().sort_by_key(|message| message.seq);
        queues.insert(name, Queue { sets, gets, settings, messages });
    }
    Ok(queues)
}

/// What a survey finds, in queues that have a name.
pub fn surveyed(survey: &Survey) -> Queues {
    let mut queues = BTreeMap::new();
    let is_named = |name: &[u8]| name.len() == 1 || name.ends_with(b" dead");
    for queue in survey.queues().filter(|queue| is_named(&queue.name())) {
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
        let before = queues.insert(Name::of(&queue.name()), Queue { sets, gets, settings, messages });
        assert_eq!(before, None, "a queue is there once");
    }
    queues
}
