//! What the driver does with messages that come back: opens, limits, delays, dead letters, and the passing of time.

use std::sync::Arc;

use storage::settings::{Settings, Words};
use storage::{
    Adopted, Attempt, Error, GiveBack, MessageState, Opening, Purged, Result, Seq, Standing, Store, StoreOptions,
    Survey,
};
use storage_testing::{BURIED, CrashDisk, Name, Op, Opens, Random, kept, kept_at};

use crate::driver::Driver;

/// Words that a queue is told, one of which is picked.
const WORDS: [&[u8]; 13] = [
    b"",
    b"depth=6",
    b"depth=5 full=drop",
    b"bytes=300 full=drop",
    b"bytes=900",
    b"age=3",
    b"age=4 expire=dead",
    b"ttl=client",
    b"ttl=client expire=dead delay=1",
    b"tries=2 backoff=1,2",
    b"tries=1 dead=drop",
    b"open=2 tries=3",
    b"pause=1 depth=7",
];

impl Driver {
    /// Applies a change that only messages that come back know. Returns whether the store did it.
    pub(crate) fn apply_standing(&mut self, op: &Op) -> Result<bool> {
        Ok(match op {
            Op::Configure { name, words } => {
                let told = self.ask(|s| s.configure(name.bytes(), words))?;
                assert!(told.as_ref().is_none_or(std::result::Result::is_ok), "a test knows its words");
                told.is_some()
            }
            Op::Open { name } => self.open_next(*name)?,
            Op::Acknowledge { name, seq } => {
                let Some(queue) = self.store.id_of(name.bytes()) else { return Ok(false) };
                let acknowledged = self.ask(|s| s.acknowledge(queue, *seq))?;
                let is_open = self.now.standing(name, *seq) == Standing::Open;
                assert!(acknowledged.is_none() || acknowledged == Some(is_open), "{op:?}");
                acknowledged == Some(true)
            }
            Op::GiveBack { name, seq, back } => {
                let Some(queue) = self.store.id_of(name.bytes()) else { return Ok(false) };
                self.ask(|s| s.give_back(queue, *seq, *back))?.is_some()
            }
            Op::Kick { name, count } => {
                // One frame for each, so a crash may come between; and it ends early when it has to wait.
                let there = self.now.numbers(&name.to_ascii_uppercase(), Standing::Waiting).len() as u64;
                let kicked = self.ask(|s| s.kick(name.bytes(), *count))?.unwrap_or(0);
                assert!(kicked <= there.min((*count).into()) && (kicked > 0 || there == 0 || *count == 0));
                (0..kicked).for_each(|_| self.apply_done(Op::Kick { name: *name, count: 1 }));
                false
            }
            Op::SetTime { unix_ms } => {
                self.store.set_time(*unix_ms);
                true
            }
            _ => unreachable!("others are applied elsewhere"),
        })
    }

    fn open_next(&mut self, name: u8) -> Result<bool> {
        let expected = self.now.opened_by(&name);
        let opening = match self.store.open_next(name.bytes())? {
            Attempt::Done(opening) => Some(opening),
            Attempt::NoRoom => None,
            Attempt::Wait => {
                while self.step_read_chore()? {}
                self.ask(|s| s.open_next(name.bytes()))?
            }
        };
        let Some(opening) = opening else {
            assert!(self.may_be_full, "an open is refused");
            return Ok(false);
        };
        match (opening, expected) {
            (Opening::Message(opened), Opens::Message(message, tries)) => {
                assert_eq!(self.store.id_of(name.bytes()), Some(opened.queue));
                assert_eq!((opened.seq, opened.flags, &*opened.body), (message.seq, message.flags, &*message.body));
                let number_of_try = u64::from(tries.min(BURIED - 1)) + 1;
                assert_eq!((opened.lease & 255, opened.lease >> 53), (number_of_try, 0));
                let waits_for = if opened.waits { self.store.changed() } else { 0 };
                let before = self.leases.insert(opened.lease >> 8, waits_for);
                assert_eq!(before, None, "a number is given once");
                let read = self.ask(|s| s.read_open(opened.queue, opened.seq))?.flatten();
                assert_eq!(read.map(|read| (read.seq, read.body)), Some((opened.seq, opened.body)));
                Ok(true)
            }
            (Opening::Empty, Opens::Empty) | (Opening::Full, Opens::Full) => Ok(false),
            (found, expected) => panic!("{found:?}, but {expected:?} of {:?}", self.now.queues.get(&name)),
        }
    }

    /// Has happen what is due.
    pub(crate) fn pass_time(&mut self) -> Result<()> {
        for _ in 0..1000 {
            // One at a time, so that what came of it is known to be one change.
            while self.store.pass_time(1)? {
                self.note_passed();
            }
            self.note_passed();
            if !self.now.is_something_due() {
                self.check_next_due();
                return Ok(());
            }
            // The disk holds it up.
            if self.store.next_due().is_none() {
                let is_at_work = self.step_read_chore()? | self.step_segment_chore()?;
                if !is_at_work {
                    self.store.tick();
                }
            }
            if self.may_be_full {
                return Ok(());
            }
        }
        panic!("what is due is never done: {:?}", self.now);
    }

    /// What is next is not forgotten.
    fn check_next_due(&self) {
        let next_due = self.store.next_due();
        assert!(next_due.is_none_or(|at_ms| at_ms > self.now.now_ms), "nothing is due any more");
        if let Some(at_ms) = self.now.next_due() {
            assert!(next_due.is_some_and(|due| due <= at_ms), "{next_due:?}, and something happens at {at_ms}");
        }
    }

    /// Finds out what came of the passing of time, and whether it is as it should be.
    pub(crate) fn note_passed(&mut self) {
        if let Some(op) = self.now.passed(&mut self.store) {
            self.apply_done(op);
        }
        self.now.check_standing(&mut self.store);
    }

    /// A random change of messages that come back, or the passing of time.
    pub(crate) fn random_standing(&mut self, random: &mut Random) -> Result<()> {
        let name = random.pick(b"aaabbbcd");
        let any = random.pick(b"abcdABCD");
        let op = match random.below(44) {
            0..10 => Op::Open { name: if random.chance(6) { any } else { name } },
            10..16 => match self.random_open(any, random) {
                Some(seq) => Op::Acknowledge { name: any, seq },
                None => return Ok(()),
            },
            16..25 => match self.random_open(any, random) {
                Some(seq) => Op::GiveBack { name: any, seq, back: self.random_back(random) },
                None => return Ok(()),
            },
            25..30 => {
                let body = vec![random.next() as u8; random.below(80) as usize];
                let delay_s = random.pick(&[None, Some(0), Some(1), Some(3), Some(100)]);
                let now_s = (self.now.now_ms / 1000) as i64;
                let exptime = random.pick(&[0, 1, 4, 100, -1, now_s + 2, now_s.saturating_sub(1)]);
                Op::PutWith { name, flags: random.next() as u32, body, delay_s, exptime }
            }
            30..32 => Op::Configure { name, words: random.pick(&WORDS).to_vec() },
            32 => Op::Kick { name, count: random.below(4) as u32 },
            33..37 => {
                let unix_ms = self.now.now_ms + random.pick(&[0, 1, 300, 1000, 2500]);
                self.apply(Op::SetTime { unix_ms })?;
                if random.chance(2) {
                    self.pass_time()?;
                }
                return Ok(());
            }
            37 => return self.pass_time(),
            38 => {
                self.now.check_standing(&mut self.store);
                return self.check_peeks(any);
            }
            39..41 => return self.purge(any, random),
            41..43 => return self.pause(name, random.chance(2)),
            _ => Op::Flush { name },
        };
        self.apply(op)?;
        Ok(())
    }

    /// Drops some of a queue's messages, behind any of them.
    fn purge(&mut self, name: u8, random: &mut Random) -> Result<()> {
        let after = if random.chance(2) { 0 } else { random.below(30) };
        let count = random.pick(&[0, 1, 2, 5, 1000]);
        let messages = self.now.queues.get(&name).map(|queue| queue.messages.clone()).unwrap_or_default();
        let seqs = messages.iter().map(|message| message.seq).filter(|seq| *seq > after);
        let expected: Vec<Seq> =
            seqs.filter(|seq| self.now.standing(&name, *seq) != Standing::Open).take(count as usize).collect();
        let Some(Purged { count: purged, next }) = self.ask(|s| s.purge(name.bytes(), after, count))? else {
            assert!(self.may_be_full, "a purge is refused");
            return Ok(());
        };
        let (gone, left) = expected.split_at(purged as usize);
        // One frame for each, so a crash may come between; and it ends early when it has to wait.
        gone.iter().for_each(|seq| self.apply_done(Op::TakeMessage { name, seq: *seq }));
        match (left.first(), next) {
            (None, None) => {}
            // Whether there are more is seen next time.
            (None, Some(next)) => assert!(gone.is_empty() || gone.last().is_some_and(|last| next >= *last)),
            (Some(left), next) => assert!(next.is_some_and(|next| next < *left && next > after)),
        }
        self.now.check_standing(&mut self.store);
        Ok(())
    }

    /// Pauses a queue, or resumes it, whatever else it was told.
    fn pause(&mut self, name: u8, pause: bool) -> Result<()> {
        let Some(there) = self.ask(|s| s.pause(name.bytes(), pause))? else {
            assert!(self.may_be_full, "a pause is refused");
            return Ok(());
        };
        assert_eq!(there, self.now.queues.contains_key(&name));
        if there {
            let expected = Settings { pause, ..self.now.rules(&name) };
            let settings = self.store.settings(name.bytes()).to_vec();
            assert_eq!(Words::parse(&settings).map(|words| Settings::from(&words)), Ok(expected));
            self.apply_done(Op::Tell { name, settings });
        }
        Ok(())
    }

    /// Looks at all messages of a queue, one after the other.
    fn check_peeks(&mut self, name: u8) -> Result<()> {
        let messages = self.now.queues.get(&name).map(|queue| queue.messages.clone()).unwrap_or_default();
        let (mut after, resident) = (0, self.store.totals().resident_bytes);
        for message in messages {
            let cut = 20;
            let peeked = self.ask(|s| s.peek_at(name.bytes(), after, cut))?.flatten().expect("it is there");
            let kept = self.now.kept_of(&name, message.seq);
            let state = match self.now.standing(&name, message.seq) {
                Standing::Waiting => MessageState::Waiting,
                Standing::Open => MessageState::Open,
                Standing::Delayed | Standing::Dying => MessageState::Delayed,
            };
            let body = &message.body[..message.body.len().min(cut as usize)];
            assert_eq!((peeked.seq, peeked.flags, &*peeked.body), (message.seq, message.flags, body));
            assert_eq!((peeked.bytes as usize, peeked.tries, peeked.state), (message.body.len(), kept.tries, state));
            assert_eq!(peeked.age_s, (self.now.now_ms / 1000).saturating_sub(u64::from(kept.put_s)));
            after = message.seq;
        }
        assert_eq!(self.ask(|s| s.peek_at(name.bytes(), after, 1))?, Some(None));
        assert_eq!(self.store.totals().resident_bytes, resident, "it brings nothing into memory");
        Ok(())
    }

    fn random_open(&self, name: u8, random: &mut Random) -> Option<u64> {
        let open = self.now.numbers(&name, Standing::Open);
        (!open.is_empty()).then(|| random.pick(&open))
    }

    fn random_back(&self, random: &mut Random) -> GiveBack {
        let not_before =
            random.pick(&[None, None, Some(0), Some(self.now.now_ms + 700), Some(self.now.now_ms + 60_000)]);
        GiveBack { counts: !random.chance(3), not_before, bury: random.chance(8) }
    }
}

/// Moves what a survey finds to another log, and holds it against what a start finds.
pub(crate) fn is_moved(survey: &Survey, options: StoreOptions, started: &mut Store, now_ms: u64) {
    let disk = CrashDisk::default();
    let mut store = Store::open(Arc::new(disk.clone()), None, options).unwrap().0;
    store.set_time(now_ms + 10_000);
    store.begin_leases_behind(survey.leases());
    for queue in survey.queues() {
        let (name, settings) = (queue.name(), queue.settings());
        let (sets, gets, head) = (queue.sets() - queue.stored(), queue.gets(), queue.first());
        let adopted = Adopted { name: &name, settings, sets, gets, head };
        store.at_once(|s| s.adopt(adopted)).unwrap().unwrap();
        let moved = survey.messages(queue, |taken, kept| {
            store.at_once(|s| s.adopt_message(&name, taken.seq, taken.flags, &taken.body, &kept))?.unwrap();
            Ok::<(), Error>(())
        });
        moved.unwrap();
        store.at_once(|s| s.adopt_end(&name, queue.next())).unwrap().unwrap();
    }
    let expected = kept_at(&kept::<u8>(started), now_ms);
    assert_eq!(kept_at(&kept::<u8>(&mut store), now_ms), expected, "moved");
    store.settle().unwrap();
    let mut store = Store::open(Arc::new(disk), None, options).unwrap().0;
    assert_eq!(kept_at(&kept::<u8>(&mut store), now_ms), expected, "moved, and opened again");
    store.at_once(|s| s.put(b"new", 0, b"x")).unwrap().unwrap();
    let opened = store.at_once(|s| s.open_next(b"new")).unwrap().unwrap();
    let Opening::Message(opened) = opened else { panic!("{opened:?}") };
    assert!(opened.lease >> 8 >= survey.leases(), "a number is given once");
}
