//! A log that a store wrote, and all states that it was ever in.
//!
//! The script's letters: `p` puts, with a queue and a size; `y` puts a body that was copied from the log itself, with a
//! queue and which frame, counted from the last; `t` takes, `m` takes the message of a number, `w` tells a queue so
//! many bytes, `k` makes a queue, `x` deletes it, `f` flushes it, each with a queue; `F` flushes all of them; `c`
//! commits, `b` writes a commit that only the next `c` finishes, `s` syncs; `r` reclaims, `g` does what segments need,
//! `o` opens the log anew. With an index, `j` asks for a checkpoint, `i` does a piece of it, and `J` asks for one and
//! does all of it. `O` opens a message, `A` acknowledges an open one, `B` has one come back, each with a queue, the
//! latter two with which, and `B` with how; `d` puts a message that is kept back, with a queue and seconds; `e` gives a
//! queue words, `K` puts a dead letter back, `z` lets so many half seconds pass. `Q` gives a queue the words of a gate, `T`
//! asks it for a ticket, with a queue, a buyer and how, `P` pays one, `E` asks for more time, with seconds, `R` gives one
//! back. A `W` in front acknowledges after the write.

mod gate;
mod now;

use std::sync::Arc;

use storage::{
    Attempt, Commit, Durability, FrameNumber, GiveBack, Opening, PutWith, SETTINGS_BYTES_MAX, Standing, Store,
    StoreOptions,
};
use storage_testing::{AllKept, CrashDisk, CrashTree, Images, Message, Name, Opens, Pairs, kept, kept_at};

use super::format::{self, SegmentHeader};
use super::gates::{self, Gates};
use super::script::Script;
use super::{State, options};
use now::{Change, Now};

/// What time it is at first, in milliseconds since 1970.
const BEGINS_MS: u64 = 1_700_000_000_000;
/// A script that would take longer than this is cut.
const STEPS_MAX: usize = 400;

type Op = storage_testing::Op<Vec<u8>>;

/// What a queue is told by words: one of these.
const WORDS: [&[u8]; 8] = [
    b"tries=1",
    b"tries=2 backoff=1",
    b"depth=2 full=drop",
    b"age=2",
    b"age=1 expire=dead",
    b"delay=1",
    b"ttl=client dead=drop tries=1",
    b"open=1",
];

/// The changes of a log, each with its frame.
#[derive(Debug, Default)]
pub(crate) struct History {
    ops: Vec<(Change, FrameNumber)>,
    /// What time it is at the end, in milliseconds since 1970.
    pub(crate) now_ms: u64,
}

#[derive(Debug)]
struct Life {
    disk: CrashDisk,
    tree: Option<CrashTree>,
    /// What the index had after each checkpoint that was asked for or finished.
    indexes: Vec<Pairs>,
    options: StoreOptions,
    store: Store,
    history: History,
    now: Now,
    commit: Option<Commit>,
    puts: u32,
}

impl History {
    /// The last frame of which this is the state, and this is what its messages have beside their bodies, and its buyers.
    pub(crate) fn frame_of(&self, state: &State, kept: &AllKept<Vec<u8>>, gates: &Gates) -> Option<FrameNumber> {
        let kept = kept_at(kept, self.now_ms);
        let is_it = |now: &Now| {
            now.model.queues == *state && kept_at(&now.model.kept, self.now_ms) == kept && now.gates == *gates
        };
        let (mut now, mut found) = (Now::default(), None);
        let mut ops = self.ops.iter().peekable();
        if is_it(&now) {
            found = Some(0);
        }
        while let Some((change, frame)) = ops.next() {
            now.apply(change);
            let ends_frame = ops.peek().is_none_or(|(_, next)| next != frame);
            if ends_frame && is_it(&now) {
                found = Some(*frame);
            }
        }
        found
    }

    /// The last frame that changed something.
    pub(crate) fn last_frame(&self) -> FrameNumber {
        self.ops.last().map_or(0, |(_, frame)| *frame)
    }
}

/// Four queues, one of them with the longest name.
fn name(byte: u8) -> Vec<u8> {
    let letter = b'a' + byte.wrapping_sub(b'a') % 4;
    if letter == b'd' { vec![letter; 250] } else { vec![letter] }
}

/// Lives through a script. Returns what is on the disk then, and what was written.
pub(crate) fn live(script: Script<'_>) -> (Images, History) {
    let life = Life::through(script, false);
    (life.disk.images(), life.history)
}

/// Lives through a script with an index. Returns what is on the disk then, and what the index had at some moments, the last
/// of which is the end, and what time it is then.
pub(crate) fn live_indexed(script: Script<'_>) -> (Images, Vec<Pairs>, u64) {
    let mut life = Life::through(script, true);
    life.note_index();
    (life.disk.images(), life.indexes, life.history.now_ms)
}

fn open(disk: &CrashDisk, tree: Option<&CrashTree>, options: StoreOptions) -> Store {
    let disk = Arc::new(disk.clone());
    let opened = match tree {
        Some(tree) => Store::open_with_tree(disk, Arc::new(tree.clone()), options),
        None => Store::open(disk, None, options),
    };
    opened.expect("nothing was damaged").0
}

impl Life {
    fn through(mut script: Script<'_>, has_index: bool) -> Life {
        let durability = match script.0.first() {
            Some(b'W') => Durability::Written,
            _ => Durability::Synced,
        };
        let options = StoreOptions { durability, ..options() };
        // The first segment is made here, so that the log has an id that does not change from run to run.
        let header = SegmentHeader { number: 1, log_id: format::LOG_ID, segment_bytes: options.segment_bytes.into() };
        let disk = CrashDisk::with(&Images::from([(format::segment_name(1), header.segment())]));
        let tree = has_index.then(|| CrashTree::new(&disk));
        let store = open(&disk, tree.as_ref(), options);
        let (history, now, indexes) = (History::default(), Now::default(), Vec::new());
        let mut life = Life { disk, tree, indexes, options, store, history, now, commit: None, puts: 0 };
        life.set_time(BEGINS_MS);
        for _ in 0..STEPS_MAX {
            let Some(letter) = script.next() else { break };
            life.step(letter, &mut script);
        }
        life.forget_unwritten();
        life
    }

    fn note_index(&mut self) {
        self.indexes.extend(self.tree.as_ref().map(CrashTree::pairs));
    }

    fn step(&mut self, letter: u8, script: &mut Script<'_>) {
        match letter {
            b'p' => {
                let (name, bytes) = (name(script.byte()), script.number());
                // A digit stands for that many times 33 bytes.
                let bytes = if bytes < 10 { bytes as usize * 33 } else { bytes as usize };
                let body = format!("message {} ", self.puts).into_bytes();
                let body = body.into_iter().cycle().take(bytes.min(self.options.body_bytes_max)).collect();
                self.put(name, body);
            }
            b'y' => {
                let (name, which) = (name(script.byte()), script.byte());
                let body = self.frame(which.wrapping_sub(b'0').into());
                self.put(name, body);
            }
            b't' => self.apply(Op::Take { name: name(script.byte()) }),
            b'm' => {
                let (name, seq) = (name(script.byte()), script.number());
                self.apply(Op::TakeMessage { name, seq });
            }
            b'w' => {
                let (name, bytes) = (name(script.byte()), script.number());
                let settings = vec![b's'; bytes.min(SETTINGS_BYTES_MAX as u64) as usize];
                self.apply(Op::Tell { name, settings });
            }
            b'k' => self.apply(Op::Create { name: name(script.byte()) }),
            b'x' => self.apply(Op::Delete { name: name(script.byte()) }),
            b'f' => self.apply(Op::Flush { name: name(script.byte()) }),
            b'F' => self.apply(Op::FlushAll),
            b'O' => self.open_next(name(script.byte())),
            b'A' | b'B' => {
                let (name, which) = (name(script.byte()), script.number() as usize);
                let open = self.now.model.numbers(&name, Standing::Open);
                let how = if letter == b'B' { script.number() } else { 0 };
                let Some(seq) = open.get(which % open.len().max(1)).copied() else { return };
                let delay_ms = [None, Some(0), Some(1500), Some(1 << 40)][how as usize % 4];
                let not_before = delay_ms.map(|delay_ms| self.history.now_ms + delay_ms);
                let back = GiveBack { counts: how % 8 < 4, not_before, bury: how % 16 == 9 };
                self.apply(if letter == b'A' {
                    Op::Acknowledge { name, seq }
                } else {
                    Op::GiveBack { name, seq, back }
                });
            }
            b'd' => {
                let (name, delay_s) = (name(script.byte()), Some((script.number() % (1 << 31)) as u32));
                self.puts += 1;
                let body = format!("delayed {}", self.puts).into_bytes();
                self.apply(Op::PutWith { name, flags: self.puts, body, delay_s, exptime: 3 });
            }
            b'Q' | b'T' | b'P' | b'E' | b'R' => self.gate_step(letter, script),
            b'e' => {
                let (name, words) = (name(script.byte()), WORDS[script.number() as usize % WORDS.len()].to_vec());
                self.apply(Op::Configure { name, words });
            }
            b'K' => self.apply(Op::Kick { name: name(script.byte()), count: 1 }),
            b'z' => self.pass_time(script.number() % 16 * 500),
            b'b' => self.begin_commit(),
            b'c' => {
                self.begin_commit();
                self.finish_commit();
            }
            b's' => self.sync(),
            b'r' => drop(self.store.reclaim().expect("the disk is good")),
            b'g' => {
                if let Some(mut chore) = self.store.segment_chore() {
                    chore.run();
                    self.store.finish_chore(chore).expect("the disk is good");
                }
            }
            b'o' => self.open_anew(),
            b'j' => {
                self.note_index();
                self.store.request_checkpoint();
            }
            b'i' => self.index_step(),
            b'J' => {
                self.store.request_checkpoint();
                // Frames that the checkpoint needs are made durable on the way.
                while self.store.wants_checkpoint_step() || self.store.wants_commit() {
                    self.begin_commit();
                    self.finish_commit();
                    self.sync();
                    self.index_step();
                }
                self.note_index();
            }
            _ => {}
        }
    }

    fn sync(&mut self) {
        if let Some(sync) = self.store.begin_sync() {
            sync.run().expect("the disk is good");
            self.store.finish_sync(&sync);
        }
    }

    /// Does a piece of a checkpoint, if there is one.
    fn index_step(&mut self) {
        if let Some(mut chore) = self.store.index_chore() {
            chore.run();
            self.store.finish_chore(chore).expect("the disk is good");
        }
    }

    fn put(&mut self, name: Vec<u8>, body: Vec<u8>) {
        self.puts += 1;
        self.apply(Op::Put { name, flags: self.puts, body });
    }

    /// Bytes of the log from the beginning of a frame on, or of what looks like one.
    fn frame(&self, which: usize) -> Vec<u8> {
        let images = self.disk.images();
        let mut starts: Vec<(&Vec<u8>, usize)> = Vec::new();
        for image in images.values() {
            let magics = image.windows(4).enumerate().filter(|(_, bytes)| *bytes == format::FRAME_MAGIC);
            starts.extend(magics.map(|(at, _)| (image, at)));
        }
        let Some((image, start)) = starts.iter().rev().nth(which % starts.len().max(1)) else { return Vec::new() };
        image[*start..].iter().take(self.options.body_bytes_max).copied().collect()
    }

    /// Applies a change to the store and to what is expected of it.
    fn apply(&mut self, op: Op) {
        let change = Change::Op(op);
        let expected = self.now.apply(&change).0;
        let Change::Op(op) = &change else { unreachable!("it is one") };
        match op {
            // By the limits of the queue, it may be refused.
            Op::Put { name, flags, body } => {
                self.store.at_once(|s| s.put(name, *flags, body)).expect("the disk is good").unwrap_or_default()
            }
            Op::PutWith { name, flags, body, delay_s, exptime } => {
                let with = PutWith { delay_s: *delay_s, exptime: *exptime, id: b"" };
                let put = self.store.at_once(|s| s.put_with(name, *flags, body, with));
                put.expect("the disk is good").unwrap_or_default();
            }
            Op::Configure { name, words } => self.at_once(|s| s.configure(name, words)).expect("good words"),
            Op::Acknowledge { name, seq } => {
                let queue = self.store.id_of(name).expect("a message is open");
                assert!(self.at_once(|s| s.acknowledge(queue, *seq)));
            }
            Op::GiveBack { name, seq, back } => {
                let queue = self.store.id_of(name).expect("a message is open");
                self.at_once(|s| s.give_back(queue, *seq, *back));
            }
            Op::Kick { name, count } => drop(self.at_once(|s| s.kick(name, *count))),
            Op::Create { name } => self.at_once(|s| s.create(name)),
            Op::Delete { name } => drop(self.at_once(|s| s.delete(name))),
            Op::Flush { name } => self.at_once(|s| s.flush(name)),
            Op::FlushAll => self.at_once(Store::flush_all),
            Op::Tell { name, settings } => drop(self.at_once(|s| s.set_settings(name, settings))),
            Op::Take { name } | Op::TakeMessage { name, .. } => {
                let taken = self.at_once(|s| match op {
                    Op::TakeMessage { seq, .. } => s.take_message(name, *seq),
                    _ => s.take(name),
                });
                let taken = taken.map(|taken| Message { seq: taken.seq, flags: taken.flags, body: taken.body.into() });
                assert_eq!(taken, expected, "a take of {}", name.escape_ascii());
            }
            _ => unreachable!("others are done elsewhere"),
        }
        let may_be_dead = matches!(op, Op::GiveBack { .. });
        self.history.ops.push((change, self.store.changed()));
        // A message that dies is moved at once where that is possible.
        if may_be_dead && let Some(op) = self.now.model.passed(&mut self.store) {
            self.note(Change::Op(op));
        }
    }

    fn open_next(&mut self, name: Vec<u8>) {
        let expected = self.now.model.opened_by(&name);
        match (self.at_once(|s| s.open_next(name.bytes())), expected) {
            (Opening::Message(opened), Opens::Message(message, _)) => {
                assert_eq!((opened.seq, opened.flags, &*opened.body), (message.seq, message.flags, &*message.body));
                self.note(Change::Op(Op::Open { name }));
            }
            (Opening::Empty, Opens::Empty) | (Opening::Full, Opens::Full) => {}
            (found, expected) => panic!("{found:?}, and not {expected:?}"),
        }
    }

    /// Notes what the store has done.
    fn note(&mut self, change: Change) {
        self.now.apply(&change);
        self.history.ops.push((change, self.store.changed()));
    }

    /// Lets some time pass, and happen what is due.
    fn pass_time(&mut self, passes_ms: u64) {
        self.set_time(self.history.now_ms + passes_ms);
        for _ in 0..STEPS_MAX {
            let has_more = self.store.pass_time(1).expect("the disk is good");
            if self.note_gates() {
                gates::check(&mut self.store, &self.now.gates, self.history.now_ms);
            }
            if let Some(op) = self.now.model.passed(&mut self.store) {
                self.note(Change::Op(op));
            } else if !has_more && !self.now.model.is_something_due() && !self.now.gate_is_due() {
                return;
            } else if !has_more {
                self.store.settle().expect("the disk is good");
                self.store.tick();
            }
        }
        panic!("it is never done: {:?}", self.now);
    }

    fn set_time(&mut self, now_ms: u64) {
        self.history.now_ms = now_ms;
        self.store.set_time(now_ms);
        self.note(Change::Op(Op::SetTime { unix_ms: now_ms }));
    }

    /// Has something done that there is room for.
    fn at_once<T>(&mut self, ask: impl FnMut(&mut Store) -> storage::Result<Attempt<T>>) -> T {
        self.store.at_once(ask).expect("the disk is good").expect("there is room")
    }

    fn begin_commit(&mut self) {
        if self.commit.is_some() {
            return;
        }
        if let Some(mut commit) = self.store.begin_commit() {
            commit.run().expect("the disk is good");
            self.commit = Some(commit);
        }
    }

    fn finish_commit(&mut self) {
        if let Some(commit) = self.commit.take() {
            self.store.finish_commit(commit);
        }
    }

    /// What was never written is gone when a store is. What was written is there, finished or not.
    fn forget_unwritten(&mut self) {
        self.finish_commit();
        let written = self.store.acknowledged();
        self.history.ops.retain(|(_, frame)| *frame <= written);
    }

    fn open_anew(&mut self) {
        self.forget_unwritten();
        self.now = Now::default();
        for (change, _) in &self.history.ops {
            self.now.apply(change);
        }
        self.store = open(&self.disk, self.tree.as_ref(), self.options);
        let kept = kept(&mut self.store);
        assert_eq!(kept_at(&kept, self.history.now_ms), kept_at(&self.now.model.kept, self.history.now_ms));
        gates::check(&mut self.store, &self.now.gates, 0);
        self.note(Change::Op(Op::Restart { kept }));
        self.set_time(self.history.now_ms);
    }
}
