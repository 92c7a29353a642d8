//! Queues with children, and puts with ids, driven as [`Driver`](crate::driver) drives plain queues: any step in any order,
//! through crashes, held against plain collections.

use std::collections::BTreeMap;
use std::sync::Arc;

use storage::{Attempt, Chore, Commit, Durability, Error, FrameNumber, Fsync, PutWith, Result, Store, StoreOptions};
use storage::{Survey, names};
use storage_testing::{CrashDisk, CrashTree, Expected, Message, Op, Queues, Random, Slow, drain};

use crate::driver::Crash;

pub(crate) type Name = Vec<u8>;
pub(crate) type Ids = BTreeMap<(Name, Vec<u8>), u64>;

/// How long the queues remember ids by default, in milliseconds.
pub(crate) const DEDUP_MS: u64 = 300_000;

/// What is there: queues, and until when which ids are remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) queues: Expected<Name>,
    pub(crate) ids: Ids,
}

/// A change that is there as a whole after a crash, or not at all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    ops: Vec<Op<Name>>,
    id: Option<((Name, Vec<u8>), u64)>,
}

impl State {
    /// The names of the queues that get what is put into one.
    fn targets(&self, name: &[u8]) -> Vec<Name> {
        let has_own = self.queues.queues.get(name).is_none_or(|queue| queue.settings != b"fanout_only=1");
        let children = self.queues.queues.keys().filter(|child| names::queue_of(child) == Some(name));
        has_own.then(|| name.to_vec()).into_iter().chain(children.cloned()).collect()
    }

    fn apply(&mut self, change: &Change) {
        for op in &change.ops {
            self.queues.apply(op);
            if let Op::Delete { name } = op {
                self.ids.retain(|(of, _), _| of != name);
            }
        }
        self.ids.extend(change.id.clone());
    }

    fn counts(&self) -> Vec<(u64, u64)> {
        self.queues.queues.values().map(|queue| (queue.sets, queue.gets)).collect()
    }
}

#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) disk: CrashDisk,
    tree: Option<CrashTree>,
    options: StoreOptions,
    pub(crate) store: Store,
    pub(crate) now: State,
    /// Since 1970.
    pub(crate) now_ms: u64,
    base: State,
    changes: Vec<(Change, FrameNumber)>,
    acknowledged: FrameNumber,
    synced: FrameNumber,
    commit: Slow<Commit>,
    sync: Slow<(Fsync, FrameNumber)>,
    segment_chore: Slow<Chore>,
    index_chore: Slow<Chore>,
}

impl Family {
    pub(crate) fn open(disk: &CrashDisk, tree: Option<CrashTree>, options: StoreOptions) -> Result<Family> {
        let mut store = open_store(disk, tree.as_ref(), options)?;
        let now_ms = 1_800_000_000_000;
        store.set_time(now_ms);
        Ok(Family {
            disk: disk.clone(),
            tree,
            options,
            acknowledged: store.acknowledged(),
            synced: store.acknowledged(),
            store,
            now: State::default(),
            now_ms,
            base: State::default(),
            changes: Vec::new(),
            commit: Slow::default(),
            sync: Slow::default(),
            segment_chore: Slow::default(),
            index_chore: Slow::default(),
        })
    }

    fn ask<T>(&mut self, mut ask: impl FnMut(&mut Store) -> Result<Attempt<T>>) -> Result<T> {
        loop {
            match ask(&mut self.store)? {
                Attempt::Done(value) => return Ok(value),
                Attempt::NoRoom => panic!("there is room: {:?}", self.store.totals()),
                Attempt::Wait => {
                    self.store.tick();
                    self.step_segment_chore()?;
                }
            }
        }
    }

    fn note(&mut self, change: Change) {
        self.now.apply(&change);
        self.changes.push((change, self.store.changed()));
    }

    // ---- changes ----

    pub(crate) fn put(&mut self, name: &[u8], body: &[u8]) -> Result<()> {
        self.put_with(name, body, b"")
    }

    pub(crate) fn put_with(&mut self, name: &[u8], body: &[u8], id: &[u8]) -> Result<()> {
        let with = PutWith { id, ..PutWith::default() };
        match id {
            b"" => self.ask(|store| store.put(name, 3, body))?,
            _ => self.ask(|store| store.put_with(name, 3, body, with))?,
        }
        let key = (name.to_vec(), id.to_vec());
        let mut change = Change::default();
        if id.is_empty() || self.now.ids.get(&key).is_none_or(|until_ms| *until_ms <= self.now_ms) {
            let put = |name: Name| Op::Put { name, flags: 3, body: body.to_vec() };
            change.ops.push(Op::Create { name: name.to_vec() });
            change.ops.extend(self.now.targets(name).into_iter().map(put));
            // Remembered by whole seconds.
            change.id = (!id.is_empty()).then(|| (key, (self.now_ms + DEDUP_MS).next_multiple_of(1000)));
        }
        self.note(change);
        Ok(())
    }

    pub(crate) fn make_child(&mut self, name: &[u8]) -> Result<()> {
        let is_made = self.ask(|store| store.make_child(name))?;
        assert_eq!(is_made, !self.now.queues.queues.contains_key(name));
        self.note(Change { ops: vec![Op::Create { name: name.to_vec() }], id: None });
        Ok(())
    }

    pub(crate) fn tell(&mut self, name: &[u8], words: &[u8]) -> Result<()> {
        self.ask(|store| store.configure(name, words))?.unwrap();
        let (name, settings) = (name.to_vec(), words.to_vec());
        self.note(Change { ops: vec![Op::Create { name: name.clone() }, Op::Tell { name, settings }], id: None });
        Ok(())
    }

    pub(crate) fn apply(&mut self, op: Op<Name>) -> Result<()> {
        let taken = match &op {
            Op::Take { name } => self.ask(|store| store.take(name))?,
            Op::TakeMessage { name, seq } => self.ask(|store| store.take_message(name, *seq))?,
            Op::Delete { name } => {
                let was_there = self.ask(|store| store.delete(name))?;
                assert_eq!(was_there, self.now.queues.queues.contains_key(name));
                None
            }
            Op::Flush { name } => {
                self.ask(|store| store.flush(name))?;
                None
            }
            Op::FlushAll => {
                self.ask(Store::flush_all)?;
                None
            }
            other => unreachable!("{other:?} has a function of its own"),
        };
        let taken = taken.map(|taken| Message { seq: taken.seq, flags: taken.flags, body: taken.body.into_vec() });
        assert_eq!(taken.as_ref(), self.now.queues.taken_by(&op), "{op:?}");
        self.note(Change { ops: vec![op], id: None });
        Ok(())
    }

    pub(crate) fn take(&mut self, name: &[u8]) -> Result<()> {
        self.apply(Op::Take { name: name.to_vec() })
    }

    pub(crate) fn pass_time(&mut self, ms: u64) -> Result<()> {
        self.now_ms += ms;
        self.store.set_time(self.now_ms);
        while self.store.pass_time(3)? {}
        self.now.ids.retain(|_, until_ms| *until_ms > self.now_ms);
        Ok(())
    }

    // ---- the slow parts ----

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

    fn step_sync(&mut self) -> Result<bool> {
        let written = self.acknowledged;
        if let Some((sync, written)) = self.sync.step(|| Some((self.store.begin_sync()?, written)))? {
            self.store.finish_sync(&sync);
            self.synced = self.synced.max(written);
        }
        Ok(self.sync.is_under_way())
    }

    fn step_segment_chore(&mut self) -> Result<bool> {
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

    pub(crate) fn commit(&mut self) -> Result<()> {
        while self.step_commit()? || self.store.wants_commit() {}
        while self.step_sync()? {}
        self.step_sync()?;
        while self.step_sync()? {}
        Ok(())
    }

    /// Does all that is to be done, as long as there is something.
    pub(crate) fn settle(&mut self) -> Result<()> {
        loop {
            self.commit()?;
            let mut more = self.store.reclaim()?;
            more |= self.step_segment_chore()? | self.step_index_chore()?;
            more |= self.store.wants_checkpoint_step() | self.store.wants_commit() | self.store.wants_reclaim();
            if !more && !self.store.wants_segment_chore() {
                return Ok(());
            }
        }
    }

    pub(crate) fn checkpoint(&mut self) -> Result<()> {
        let wanted = self.store.request_checkpoint();
        while self.store.checkpoints_finished() < wanted {
            self.commit()?;
            self.step_index_chore()?;
        }
        Ok(())
    }

    /// Fills another queue and empties it until the log has gone round, so that all that lives was copied forward.
    pub(crate) fn go_round(&mut self) -> Result<()> {
        let last = |disk: &CrashDisk| disk.files().into_iter().max();
        let goal = last(&self.disk);
        for _ in 0..40 {
            for _ in 0..40 {
                self.put(b"z", &[1; 300])?;
            }
            self.settle()?;
            while self.now.queues.queues[&b"z"[..]].messages.front().is_some() {
                self.take(b"z")?;
            }
            self.settle()?;
            if self.disk.files().into_iter().min() > goal {
                return Ok(());
            }
        }
        panic!("the log does not go round: {:?}", self.store.totals());
    }

    // ---- a random life ----

    pub(crate) fn random_step(&mut self, random: &mut Random) -> Result<()> {
        let names: [&[u8]; 8] = [b"q", b"q", b"q", b"q +a", b"q +b", b"q +c", b"p", b"p +a"];
        let name = random.pick(&names);
        match random.below(100) {
            0..12 => {
                let body: Vec<u8> = (0..random.below(120)).map(|_| random.next() as u8).collect();
                self.put(name, &body)
            }
            12..20 => {
                let id = [random.pick(b"12345678")];
                self.put_with(name, b"with an id", &id)
            }
            20..26 => {
                let child = random.pick(&names[3..6]);
                if names::queue_of(child).is_some() { self.make_child(child) } else { Ok(()) }
            }
            26..28 => self.make_child(b"p +a"),
            28 => self.tell(b"p", b"fanout_only=1"),
            29 => self.apply(Op::Delete { name: name.to_vec() }),
            30 => self.apply(Op::Flush { name: name.to_vec() }),
            31 if random.chance(4) => self.apply(Op::FlushAll),
            32..43 => self.take(name),
            43..52 => {
                let messages = self.now.queues.queues.get(name).map(|queue| &queue.messages);
                let seqs: Vec<u64> = messages.into_iter().flatten().map(|message| message.seq).collect();
                let seq = if seqs.is_empty() { 1 } else { random.pick(&seqs) };
                self.apply(Op::TakeMessage { name: name.to_vec(), seq })
            }
            52..55 => self.pass_time(random.below(DEDUP_MS / 3)),
            55..78 => self.step_commit().map(drop),
            78..83 => self.step_sync().map(drop),
            83..88 => self.step_segment_chore().map(drop),
            88..92 => self.step_index_chore().map(drop),
            92..99 => self.store.reclaim().map(drop),
            _ => {
                self.store.request_checkpoint();
                Ok(())
            }
        }
    }

    // ---- the end, and the next life ----

    /// Crashes, and holds what is found against what must be there and what may be.
    pub(crate) fn crash(self, how: Crash, random: &mut Random) -> Result<Family> {
        let frame = if how == Crash::Kill { self.acknowledged } else { self.synced };
        let safe = self.changes.partition_point(|(_, changed)| *changed <= frame);
        let Family { disk, tree, mut options, now_ms, base, changes, store, .. } = self;
        drop(store);
        match how {
            Crash::Kill => disk.kill(random),
            Crash::PowerCut => disk.cut_power(random),
        }
        match (&tree, how) {
            (Some(tree), Crash::Kill) => tree.kill(random),
            (Some(tree), Crash::PowerCut) => tree.cut_power(random),
            (None, _) => {}
        }
        options.memory_bytes = random.pick(&[0, 2000, 100_000]);
        let survey = Survey::read(&disk)?;
        assert!(survey.is_whole(), "{:?}", survey.damaged());
        let found = seen(&disk, None, options, now_ms)?;
        if let Some(tree) = &tree {
            assert_eq!(seen(&disk, Some(tree), options, now_ms)?, found, "the index says what the log says");
        }
        assert_eq!(surveyed(&survey), found.0, "a survey finds what a start does");
        let mut now = base;
        for done in 0..=changes.len() {
            let is_seen = |(name, _): &&(Name, Vec<u8>)| !is_silent(&now.queues.queues, name);
            let ids = now.ids.iter().filter(|(_, until_ms)| **until_ms > now_ms).map(|(id, _)| id).filter(is_seen);
            if done >= safe && now.queues.queues == found.0 && ids.eq(&found.1) {
                let mut family = Family::open(&disk, tree, options)?;
                family.store.set_time(now_ms);
                now.queues.check(&family.store);
                (family.now_ms, family.base, family.now) = (now_ms, now.clone(), now);
                return Ok(family);
            }
            if let Some((change, _)) = changes.get(done) {
                now.apply(change);
            }
        }
        let counts = now.counts();
        panic!("found is the state after none of the changes {safe}..={}: {found:#?}, {counts:?}", changes.len());
    }
}

fn open_store(disk: &CrashDisk, tree: Option<&CrashTree>, options: StoreOptions) -> Result<Store> {
    let opened = match tree {
        Some(tree) => Store::open_with_tree(Arc::new(disk.clone()), Arc::new(tree.clone()), options),
        None => Store::open(Arc::new(disk.clone()), None, options),
    };
    opened.map(|(store, _)| store)
}

/// What a start finds on a copy of a disk: queues, and which ids are remembered.
fn seen(
    disk: &CrashDisk,
    tree: Option<&CrashTree>,
    options: StoreOptions,
    now_ms: u64,
) -> Result<(Queues<Name>, Vec<(Name, Vec<u8>)>)> {
    let open = || {
        let disk = disk.fork();
        let tree = tree.map(|tree| tree.fork(&disk));
        let mut store = open_store(&disk, tree.as_ref(), options)?;
        store.set_time(now_ms);
        Ok::<Store, Error>(store)
    };
    let queues = drain::<Name>(&mut open()?);
    let mut store = open()?;
    let mut ids = Vec::new();
    for name in queues.keys() {
        for id in b"12345678".map(|id| [id]) {
            let sets = |store: &Store| storage_testing::lines::<Name>(store);
            let before = sets(&store);
            let with = PutWith { id: &id, ..PutWith::default() };
            store.at_once(|store| store.put_with(name, 0, b"", with))?.expect("there is room");
            if sets(&store) == before && !is_silent(&queues, name) {
                ids.push((name.clone(), id.to_vec()));
            }
        }
    }
    Ok((queues, ids))
}

/// Whether nothing is seen of a put into a queue.
fn is_silent(queues: &Queues<Name>, name: &[u8]) -> bool {
    let has_children = queues.keys().any(|child| names::queue_of(child) == Some(name));
    queues.get(name).is_some_and(|queue| queue.settings == b"fanout_only=1") && !has_children
}

fn surveyed(survey: &Survey) -> Queues<Name> {
    let mut queues = Queues::new();
    for queue in survey.queues() {
        let mut found = storage_testing::Queue {
            sets: queue.sets(),
            gets: queue.gets(),
            settings: queue.settings().to_vec(),
            ..Default::default()
        };
        let read = survey.messages(queue, |taken, _| {
            found.messages.push_back(Message { seq: taken.seq, flags: taken.flags, body: taken.body.into_vec() });
            Ok::<(), Error>(())
        });
        read.unwrap();
        queues.insert(queue.name(), found);
    }
    queues
}
