//! Drives a store as a server would, a step at a time and in any order of the slow parts, and knows what must be there
//! after a crash.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use std::collections::BTreeMap;

use storage::{
    Attempt, Chore, Commit, Durability, Error, FrameNumber, Fsync, PutWith, Recovered, Result, SETTINGS_BYTES_MAX,
    Store, StoreOptions, Survey, Totals,
};
use storage_testing::{CrashDisk, CrashTree, Expected, Name, Op, Random, Slow, drain, kept, kept_at, surveyed};

use crate::driver_standing::is_moved;

pub(crate) const BODY_BYTES_MAX: usize = 3000;
/// Small, so that what was changed often takes more than one commit.
pub(crate) const COMMIT_BYTES_MAX: usize = 6000;

/// What time it is at first, in milliseconds since 1970.
const BEGINS_MS: u64 = 1_700_000_000_000;

pub(crate) fn options(durability: Durability, memory_bytes: usize) -> StoreOptions {
    StoreOptions {
        durability,
        segment_bytes: 16 << 10,
        memory_bytes,
        body_bytes_max: BODY_BYTES_MAX,
        commit_bytes_max: COMMIT_BYTES_MAX,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process ends.
    Kill,
    PowerCut,
}

#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) disk: CrashDisk,
    pub(crate) options: StoreOptions,
    pub(crate) index: Option<PathBuf>,
    /// Instead of an index in files.
    pub(crate) tree: Option<CrashTree>,
    pub(crate) store: Store,
    /// What the store shows now.
    pub(crate) now: Expected,
    /// What it showed after the last start, and all changes since, each with its frame.
    base: Expected,
    ops: Vec<(Op, FrameNumber)>,
    acknowledged: FrameNumber,
    synced: FrameNumber,
    commit: Slow<Commit>,
    /// With the frame that was written when it began.
    sync: Slow<(Fsync, FrameNumber)>,
    segment_chore: Slow<Chore>,
    index_chore: Slow<Chore>,
    /// How often an operation had to wait for a segment.
    pub(crate) waits: u64,
    read_chore: Slow<Chore>,
    /// A take that has to wait for a read is given up, and the queue's next one finds what was read.
    pub(crate) takes_give_up: bool,
    /// Half of the random takes are of any message, and not of the first.
    pub(crate) out_of_order: bool,
    /// Refused sets are no mistake.
    pub(crate) may_be_full: bool,
    /// Some of the random changes are of messages that come back, and time passes.
    pub(crate) comes_back: bool,
    /// Numbers of deliveries, and the frame that each waited for; 0: none.
    pub(crate) leases: BTreeMap<u64, FrameNumber>,
}

impl Driver {
    pub(crate) fn open(disk: &CrashDisk, index: Option<PathBuf>, options: StoreOptions) -> Result<(Driver, Recovered)> {
        let opened = Store::open(Arc::new(disk.clone()), index.clone(), options)?;
        Ok(Driver::with(disk, index, None, opened, options))
    }

    /// Opens it with an index that crashes with the disk.
    pub(crate) fn open_with_tree(
        disk: &CrashDisk,
        tree: CrashTree,
        options: StoreOptions,
    ) -> Result<(Driver, Recovered)> {
        let opened = Store::open_with_tree(Arc::new(disk.clone()), Arc::new(tree.clone()), options)?;
        Ok(Driver::with(disk, None, Some(tree), opened, options))
    }

    fn with(
        disk: &CrashDisk,
        index: Option<PathBuf>,
        tree: Option<CrashTree>,
        (mut store, recovered): (Store, Recovered),
        options: StoreOptions,
    ) -> (Driver, Recovered) {
        store.let_reads_wait();
        let mut now = Expected::default();
        now.now_ms = BEGINS_MS;
        store.set_time(BEGINS_MS);
        let driver = Driver {
            disk: disk.clone(),
            options,
            index,
            tree,
            acknowledged: store.acknowledged(),
            synced: store.acknowledged(),
            store,
            now: now.clone(),
            base: now,
            ops: Vec::new(),
            commit: Slow::default(),
            sync: Slow::default(),
            segment_chore: Slow::default(),
            index_chore: Slow::default(),
            waits: 0,
            read_chore: Slow::default(),
            takes_give_up: false,
            out_of_order: true,
            may_be_full: false,
            comes_back: true,
            leases: BTreeMap::new(),
        };
        (driver, recovered)
    }

    /// Applies a change to the store and to what is expected, and holds them against each other. Returns whether the
    /// store did it.
    pub(crate) fn apply(&mut self, op: Op) -> Result<bool> {
        let before = self.store.totals();
        let done = match &op {
            Op::Put { name, body, .. } | Op::PutWith { name, body, .. } => {
                let is_refused = self.now.make_room(name, body.len()).is_none();
                let done = self.ask(|s| match &op {
                    Op::PutWith { name, flags, body, delay_s, exptime } => {
                        let with = PutWith { delay_s: *delay_s, exptime: *exptime, id: b"" };
                        s.put_with(name.bytes(), *flags, body, with)
                    }
                    Op::Put { flags, .. } => s.put(name.bytes(), *flags, body),
                    _ => unreachable!("matched above"),
                })?;
                if is_refused {
                    // A message that is worth nothing is none, also where there is no room for it.
                    return Ok(done.is_some());
                }
                done.is_some()
            }
            Op::Create { name } => self.ask(|s| s.create(name.bytes()))?.is_some(),
            Op::Delete { name } => {
                let there = self.ask(|s| s.delete(name.bytes()))?;
                let expected = [*name, name.to_ascii_uppercase()].iter().any(|it| self.now.queues.contains_key(it));
                assert_eq!(there, Some(expected), "a delete is never refused");
                expected
            }
            Op::Flush { name } => self.ask(|s| s.flush(name.bytes()))?.is_some(),
            Op::FlushAll => self.ask(Store::flush_all)?.is_some(),
            Op::Tell { name, settings } => {
                let told = self.ask(|s| s.set_settings(name.bytes(), settings))?;
                assert!(told.is_none() || told == Some(self.now.queues.contains_key(name)));
                told == Some(true)
            }
            Op::Take { .. } | Op::TakeMessage { .. } => {
                let take = |store: &mut Store| match &op {
                    Op::TakeMessage { name, seq } => store.take_message(name.bytes(), *seq),
                    Op::Take { name } => store.take(name.bytes()),
                    _ => unreachable!("matched above"),
                };
                let taken = match take(&mut self.store)? {
                    Attempt::Wait if self.takes_give_up => {
                        assert_eq!(self.store.totals().messages, before.messages);
                        return Ok(false);
                    }
                    Attempt::Done(taken) => taken,
                    Attempt::NoRoom => None,
                    Attempt::Wait => {
                        while self.step_read_chore()? {}
                        self.ask(take)?.flatten()
                    }
                };
                let expected = self.now.taken_by(&op);
                if taken.is_none() && expected.is_some() && self.may_be_full {
                    return Ok(false);
                }
                let expected = expected.map(|message| (message.seq, message.flags, message.body.as_slice()));
                assert_eq!(taken.as_ref().map(|taken| (taken.seq, taken.flags, &*taken.body)), expected, "{op:?}");
                true
            }
            _ => self.apply_standing(&op)?,
        };
        if done {
            let may_be_dead = matches!(op, Op::GiveBack { .. });
            self.apply_done(op);
            if may_be_dead {
                // A message that dies is moved at once where that is possible.
                self.note_passed();
            }
        } else if matches!(op, Op::Flush { .. } | Op::FlushAll) {
            panic!("{op:?} is refused: {:?}", self.store.totals());
        } else if matches!(op, Op::Put { .. } | Op::PutWith { .. } | Op::Configure { .. } | Op::Create { .. }) {
            assert!(self.may_be_full && self.store.is_full(), "refused with room to spare");
            assert_eq!(self.store.totals().messages, before.messages, "refused, and yet there");
            assert_eq!(self.store.totals().queues, before.queues);
        }
        Ok(done)
    }

    /// Notes a change that the store has done.
    pub(crate) fn apply_done(&mut self, op: Op) {
        self.now.apply(&op);
        self.ops.push((op, self.store.changed()));
    }

    /// Asks until the answer is no longer that it must wait; a wait is for the segment chore that is at work or due.
    /// `None`: there is no room.
    pub(crate) fn ask<T>(&mut self, mut ask: impl FnMut(&mut Store) -> Result<Attempt<T>>) -> Result<Option<T>> {
        loop {
            let seen = |store: &Store| (store.changed(), Totals { resident_bytes: 0, ..store.totals() });
            let before = seen(&self.store);
            match ask(&mut self.store)? {
                Attempt::Done(value) => return Ok(Some(value)),
                Attempt::NoRoom => return Ok(None),
                Attempt::Wait => {
                    self.waits += 1;
                    assert_eq!(seen(&self.store), before, "it waits, and did something");
                    if self.read_chore.is_under_way() || self.store.wants_read_chore() {
                        self.step_read_chore()?;
                        continue;
                    }
                    if !self.segment_chore.is_under_way() && !self.store.wants_segment_chore() {
                        // A chore has failed for now, and the next second is waited for.
                        self.store.tick();
                        assert!(self.store.wants_segment_chore(), "it waits for nothing");
                    }
                    self.step_segment_chore()?;
                }
            }
        }
    }

    pub(crate) fn put(&mut self, name: u8, body: &[u8]) -> Result<bool> {
        let body = body.to_vec();
        self.apply(Op::Put { name, flags: 7, body })
    }

    /// Takes a message out of a queue. False: the queue was empty.
    pub(crate) fn take(&mut self, name: u8) -> Result<bool> {
        let before = self.store.totals().messages;
        self.apply(Op::Take { name })?;
        Ok(self.store.totals().messages < before)
    }

    // ---- the slow parts, each in three steps that others come between ----

    pub(crate) fn step_commit(&mut self) -> Result<bool> {
        if let Some(commit) = self.commit.step(|| self.store.begin_commit())? {
            self.store.finish_commit(commit);
            self.acknowledged = self.store.acknowledged();
            if self.options.durability == Durability::Synced {
                self.synced = self.acknowledged;
            }
        }
        Ok(self.commit.is_under_way())
    }

    pub(crate) fn step_sync(&mut self) -> Result<bool> {
        let written = self.acknowledged;
        if let Some((sync, written)) = self.sync.step(|| Some((self.store.begin_sync()?, written)))? {
            self.store.finish_sync(&sync);
            self.synced = self.synced.max(written);
        }
        Ok(self.sync.is_under_way())
    }

    pub(crate) fn step_segment_chore(&mut self) -> Result<bool> {
        if let Some(chore) = self.segment_chore.step(|| self.store.segment_chore())? {
            self.store.finish_chore(chore)?;
        }
        Ok(self.segment_chore.is_under_way())
    }

    pub(crate) fn step_index_chore(&mut self) -> Result<bool> {
        if let Some(chore) = self.index_chore.step(|| self.store.index_chore())? {
            self.store.finish_chore(chore)?;
        }
        Ok(self.index_chore.is_under_way())
    }

    pub(crate) fn step_read_chore(&mut self) -> Result<bool> {
        if let Some(chore) = self.read_chore.step(|| self.store.read_chore())? {
            self.store.finish_chore(chore)?;
        }
        Ok(self.read_chore.is_under_way())
    }

    /// Commits all there is, and syncs it. Ends with nothing under way.
    pub(crate) fn commit(&mut self) -> Result<()> {
        let frame = self.store.changed();
        while self.step_commit()? || self.store.wants_commit() {}
        while self.step_sync()? {}
        self.step_sync()?;
        while self.step_sync()? {}
        assert!(self.store.acknowledged() >= frame, "all was committed, and is not acknowledged");
        Ok(())
    }

    /// Does everything that waits, until there is nothing more to do.
    pub(crate) fn settle(&mut self) -> Result<()> {
        for _ in 0..10_000 {
            self.commit()?;
            let mut more = self.store.reclaim()?;
            more |= self.step_segment_chore()? | self.step_index_chore()? | self.step_read_chore()?;
            more |= self.store.wants_checkpoint_step() | self.store.wants_commit() | self.store.wants_reclaim();
            more |= self.store.wants_segment_chore() | self.store.wants_read_chore();
            if !more {
                return Ok(());
            }
        }
        panic!("there is no end of work: {:?}", self.store.totals());
    }

    /// Writes a checkpoint that knows all that was changed so far.
    pub(crate) fn checkpoint(&mut self) -> Result<()> {
        let wanted = self.store.request_checkpoint();
        for _ in 0..10_000 {
            if self.store.checkpoints_finished() >= wanted {
                return Ok(());
            }
            self.commit()?;
            self.step_index_chore()?;
        }
        panic!("the checkpoint is never finished");
    }

    // ---- a random life ----

    pub(crate) fn random_op(&self, random: &mut Random, growth: u64) -> Op {
        let name = random.pick(b"aaabbbcd");
        match random.below(100) {
            0..2 => Op::Create { name },
            2..4 => Op::Delete { name },
            4..5 => Op::Flush { name },
            5 if random.chance(8) => Op::FlushAll,
            6 => {
                let bytes = if random.chance(8) { SETTINGS_BYTES_MAX as u64 } else { random.below(20) };
                Op::Tell { name, settings: vec![random.next() as u8; bytes as usize] }
            }
            n if n < 5 + growth => Op::Put { name, flags: random.next() as u32, body: self.random_body(random) },
            n if n % 2 == 0 && self.out_of_order => self.random_take(name, random),
            _ => Op::Take { name },
        }
    }

    /// A take of any message, one that is there for the most part.
    fn random_take(&self, name: u8, random: &mut Random) -> Op {
        let messages = self.now.queues.get(&name).map(|queue| &queue.messages).filter(|messages| !messages.is_empty());
        let seq = match messages {
            Some(messages) if !random.chance(10) => messages[random.below(messages.len() as u64) as usize].seq,
            _ => random.below(40),
        };
        Op::TakeMessage { name, seq }
    }

    fn random_body(&self, random: &mut Random) -> Vec<u8> {
        let bytes = match random.below(8) {
            0 => random.below(BODY_BYTES_MAX as u64 + 1),
            1 => random.below(600),
            2 => 0,
            _ => random.below(60),
        };
        if bytes > 600 && !self.disk.files().is_empty() && random.chance(2) {
            // What is on the disk already: real frames of this log, and of other segments.
            let name = random.pick(&self.disk.files().iter().map(String::as_str).collect::<Vec<_>>()).to_string();
            let content = self.disk.content(&name);
            let from = random.below(content.len() as u64 / 2 + 1) as usize;
            return content[from..(from + bytes as usize).min(content.len())].to_vec();
        }
        (0..bytes).map(|_| random.next() as u8).collect()
    }

    /// One random step: a change, or a part of what is slow.
    pub(crate) fn random_step(&mut self, random: &mut Random, growth: u64) -> Result<()> {
        match random.below(100) {
            0..55 if self.comes_back && random.chance(3) => self.random_standing(random)?,
            0..55 => {
                let op = self.random_op(random, growth);
                self.apply(op)?;
            }
            55..80 => {
                self.step_commit()?;
            }
            80..86 => {
                self.step_sync()?;
            }
            86..91 => {
                self.step_segment_chore()?;
            }
            91..93 => {
                self.step_read_chore()?;
            }
            93..95 => {
                self.step_index_chore()?;
            }
            95..99 => {
                self.store.reclaim()?;
            }
            _ => {
                self.store.request_checkpoint();
            }
        }
        Ok(())
    }

    // ---- the end, and the next life ----

    /// Crashes, and opens the store again. `index` is what is left of the index; a copy is used, as it is now.
    pub(crate) fn crash(self, how: Crash, index: Option<PathBuf>, random: &mut Random) -> Result<(Driver, Recovered)> {
        let index = index.map(|index| copy_of(&index));
        let (disk, tree, safe) = (self.disk.clone(), self.tree.clone(), self.safe(how));
        println!("{how:?} of {:?} after {} operations", self.options.durability, disk.operations());
        let history = self.into_history();
        crash(&disk, tree.as_ref(), how, random);
        history.reopen(&disk, how, index, tree, safe, random)
    }

    /// How many of the changes must have survived.
    fn safe(&self, how: Crash) -> usize {
        let frame = match how {
            Crash::Kill => self.acknowledged,
            Crash::PowerCut => self.synced,
        };
        self.ops.partition_point(|(_, changed)| *changed <= frame)
    }

    fn into_history(self) -> History {
        // What waited for a frame that was not safe yet was never told.
        let (mut leases, acknowledged) = (self.leases, self.acknowledged);
        leases.retain(|_, frame| *frame <= acknowledged);
        leases.values_mut().for_each(|frame| *frame = 0);
        let ops = self.ops.into_iter().map(|(op, _)| op).collect();
        History { options: self.options, base: self.base, ops, leases, now_ms: self.now.now_ms }
    }
}

fn crash(disk: &CrashDisk, tree: Option<&CrashTree>, how: Crash, random: &mut Random) {
    match how {
        Crash::Kill => disk.kill(random),
        Crash::PowerCut => disk.cut_power(random),
    }
    match (tree, how) {
        (Some(tree), Crash::Kill) => tree.kill(random),
        (Some(tree), Crash::PowerCut) => tree.cut_power(random),
        (None, _) => {}
    }
}

/// Copies a directory to a place beside it. A sled tree stays locked for a while after it was dropped, so every life has
/// its own.
pub(crate) fn copy_of(index: &Path) -> PathBuf {
    static COPIES: AtomicU64 = AtomicU64::new(0);
    let copy = index.with_extension(COPIES.fetch_add(1, Ordering::Relaxed).to_string());
    if index.exists() {
        copy_directory(index, &copy);
    }
    copy
}

pub(crate) fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// What is known of a life that ended.
#[derive(Debug)]
struct History {
    options: StoreOptions,
    base: Expected,
    ops: Vec<Op>,
    leases: BTreeMap<u64, FrameNumber>,
    /// What time it was.
    now_ms: u64,
}

impl History {
    fn reopen(
        self,
        disk: &CrashDisk,
        how: Crash,
        index: Option<PathBuf>,
        tree: Option<CrashTree>,
        safe: usize,
        random: &mut Random,
    ) -> Result<(Driver, Recovered)> {
        let mut options = self.options;
        options.memory_bytes = random.pick(&[0, 2000, 100_000]);
        // Recovery may be cut too, and be killed more than once.
        while random.chance(3) {
            disk.crash_at(disk.operations() + 1 + random.below(6));
            let opened = match &tree {
                Some(tree) => Store::open_with_tree(Arc::new(disk.clone()), Arc::new(tree.clone()), options),
                None => Store::open(Arc::new(disk.clone()), index.as_deref().map(copy_of), options),
            };
            if let Err(Error::Damage { .. }) = opened {
                return Err(opened.err().unwrap());
            }
            drop(opened);
            // What a process that was killed had acknowledged need not survive a power cut before the next start.
            let again = if how == Crash::PowerCut && random.chance(2) { how } else { Crash::Kill };
            crash(disk, tree.as_ref(), again, random);
        }
        let survey = Survey::read(disk)?;
        let files = disk.files();
        // On a copy of the disk, so that nothing is changed here: without the index, and with it.
        let mut copy = Store::open(Arc::new(disk.fork()), None, options)?.0;
        let found_kept = kept_at(&kept(&mut copy), self.now_ms);
        if random.chance(8) {
            is_moved(&survey, options, &mut copy, self.now_ms);
        }
        let found = drain(&mut copy);
        if let Some(tree) = &tree {
            let disk = disk.fork();
            let mut opened = Store::open_with_tree(Arc::new(disk.clone()), Arc::new(tree.fork(&disk)), options)?.0;
            assert_eq!(kept_at(&kept(&mut opened), self.now_ms), found_kept, "the index says what the log says");
            assert_eq!(drain(&mut opened), found, "the index says what the log says");
        }
        let (mut driver, recovered) = match tree {
            Some(tree) => Driver::open_with_tree(disk, tree, options)?,
            None => Driver::open(disk, index, options)?,
        };
        assert!(survey.is_whole(), "{:?} in {files:?}", survey.damaged());
        assert_eq!(surveyed(&survey), found, "a survey finds what a start does");
        let sets: u64 = found.values().map(|queue| queue.sets + (queue.gets << 32)).sum();
        let mut now = self.base;
        driver.store.set_time(self.now_ms);
        let mut refused = Vec::new();
        for (done, op) in self.ops.iter().map(Some).chain([None]).enumerate() {
            let now_sets: u64 = now.queues.values().map(|queue| queue.sets + (queue.gets << 32)).sum();
            let is_it = done >= safe && sets == now_sets && now.queues == found;
            if is_it && kept_at(&now.kept, self.now_ms) == found_kept {
                now.check(&driver.store);
                // As the log has it: a delay that is over may be there still.
                now.kept = kept(&mut driver.store);
                now.restart();
                now.check_standing(&mut driver.store);
                driver.base = now.clone();
                driver.now = now;
                driver.leases = self.leases;
                driver.apply(Op::SetTime { unix_ms: self.now_ms + random.below(2) * random.below(3000) })?;
                return Ok((driver, recovered));
            }
            if done >= safe && refused.len() < 3 {
                refused.push((now.queues.clone(), kept_at(&now.kept, self.now_ms)));
            }
            if let Some(op) = op {
                now.apply(op);
            }
        }
        panic!(
            "found is the state after none of the changes {safe}..={}:\n{found:?}\n{found_kept:?}\nbut not\n{refused:?}",
            self.ops.len()
        );
    }
}
