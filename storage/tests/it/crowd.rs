//! A gate and a crowd in front of it, driven in any order of the slow parts, through crashes, and held against plain
//! collections.

use storage::settings::{Settings, Words};
use storage::{
    Adopted, Attempt, Chore, Commit, Durability, Error, FrameNumber, GateAct, GateAnswer, GateAnswered, Result, Store,
    StoreOptions, Survey,
};
use storage_testing::{CrashDisk, CrashTree, Random, Slow};

use crate::crowd_state::{Rules, State, name};
use crate::driver::Crash;
use crate::family_found::open_store;

/// The gate's queue.
pub(crate) const GATE: &[u8] = b"rush";
pub(crate) const BEGINS_MS: u64 = 1_800_000_000_000;
/// Buyers of a crowd.
const BUYERS: u8 = 24;

/// What a look from outside shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    config: String,
    /// Messages that ever were put.
    sets: u64,
    buyers: Vec<GateAnswer>,
    tickets: u64,
    given: u64,
    returned: u64,
    lapsed: u64,
    messages: usize,
    available: Vec<Vec<u8>>,
}

impl Seen {
    fn of_state(state: &State, now_ms: u64) -> Seen {
        let words = Words::parse(state.rules.words().as_bytes()).expect("they are good words");
        Seen {
            // Of no gate, all words say what is so anyway.
            config: if state.is_told { Settings::from(&words).to_string() } else { String::new() },
            sets: state.sets,
            buyers: (0..BUYERS).map(|buyer| state.look(buyer, now_ms)).collect(),
            tickets: state.rules.tickets,
            given: state.given,
            returned: state.returned,
            lapsed: state.lapsed,
            messages: state.messages.len(),
            available: state.available(),
        }
    }

    /// What a store shows, which is emptied by that.
    fn of_store(mut store: Store, now_ms: u64) -> Result<Seen> {
        store.set_time(now_ms);
        let mut look = |buyer| {
            let answer = store.at_once(|store| store.ask_gate(GATE, &name(buyer), GateAct::Look))?;
            Ok::<GateAnswer, Error>(answer.expect("a look needs no room").answer)
        };
        let buyers = (0..BUYERS).map(&mut look).collect::<Result<_>>()?;
        let config = String::from_utf8(store.config(GATE)).expect("words are text");
        let mut sets = 0;
        store.list(0, 100, |line| sets += if *line.name == *GATE { line.sets } else { 0 });
        let figures = store.gate_figures(GATE);
        let of = |what: fn(&storage::GateFigures) -> u64| figures.as_ref().map_or(0, what);
        let (tickets, given) = (of(|it| it.tickets), of(|it| it.given));
        let (returned, lapsed) = (of(|it| it.returned), of(|it| it.lapsed));
        let messages = store.totals().messages as usize;
        let mut available = Vec::new();
        while let Some(taken) = store.at_once(|store| store.take(GATE))?.expect("a take has room") {
            available.push(taken.body.into_vec());
        }
        Ok(Seen { config, sets, buyers, tickets, given, returned, lapsed, messages, available })
    }
}

#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) disk: CrashDisk,
    tree: Option<CrashTree>,
    options: StoreOptions,
    pub(crate) store: Store,
    pub(crate) now: State,
    pub(crate) now_ms: u64,
    /// What was there after each change, and its frame.
    before: Vec<(State, FrameNumber)>,
    acknowledged: FrameNumber,
    synced: FrameNumber,
    /// The frame of the last ticket that was given.
    given_in: FrameNumber,
    /// The frame in which the gate was told something last.
    ruled_in: FrameNumber,
    /// The frame in which a buyer's ticket or place changed last.
    changed_in: FrameNumber,
    commit: Slow<Commit>,
    segment_chore: Slow<Chore>,
    index_chore: Slow<Chore>,
}

impl Crowd {
    pub(crate) fn open(disk: &CrashDisk, tree: Option<CrashTree>, options: StoreOptions) -> Result<Crowd> {
        let mut store = open_store(disk, tree.as_ref(), options)?;
        store.set_time(BEGINS_MS);
        Ok(Crowd {
            disk: disk.clone(),
            tree,
            options,
            acknowledged: store.acknowledged(),
            synced: store.acknowledged(),
            store,
            now: State::default(),
            now_ms: BEGINS_MS,
            before: vec![(State::default(), 0)],
            given_in: 0,
            ruled_in: 0,
            changed_in: 0,
            commit: Slow::default(),
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

    fn note(&mut self) {
        let (last, _) = self.before.last().expect("there is a first");
        if (&last.tickets, &last.line) != (&self.now.tickets, &self.now.line) {
            self.changed_in = self.store.changed();
        }
        self.before.push((self.now.clone(), self.store.changed()));
    }

    // ---- what a crowd does ----

    pub(crate) fn act(&mut self, buyer: u8, act: GateAct<'_>) -> Result<GateAnswer> {
        if self.now.clone().serve_line(self.now_ms) {
            // What was held up.
            self.pass_time(0)?;
        }
        let given = self.now.given;
        let has_gate = self.store.has_queue(GATE);
        let GateAnswered { answer, waits } = self.ask(|store| store.ask_gate(GATE, &name(buyer), act))?;
        let wanted = match act {
            GateAct::Join { .. } if !has_gate => GateAnswer::NotNow,
            GateAct::Join { message, .. } => {
                self.now.join(buyer, message.map_or(&name(buyer), |(_, body)| body), self.now_ms)
            }
            GateAct::Look => self.now.look(buyer, self.now_ms),
            GateAct::Pay => self.now.pay(buyer),
            GateAct::Extend { seconds } => self.now.extend(buyer, seconds),
            GateAct::Return => self.now.give_back(buyer),
        };
        assert_eq!(answer, wanted, "{act:?} of buyer {buyer}");
        if answer == GateAnswer::Done && act == GateAct::Return {
            // What was freed is the line's at once, unless there is no room for that now.
            self.note();
            let is_served = self.store.gate_figures(GATE).is_some_and(|it| it.line < self.now.line.len() as u64);
            if is_served {
                self.now.serve_line(self.now_ms);
            }
        }
        if self.now.given > given {
            self.given_in = self.store.changed();
        }
        if self.before.last().is_none_or(|(state, _)| *state != self.now) {
            assert!(waits, "{act:?} changed something");
            self.note();
        }
        if answer == GateAnswer::SoldOut {
            let rests_on = self.given_in.max(self.ruled_in);
            assert_eq!(waits, rests_on > self.store.acknowledged(), "told when the last ticket is safe, or not");
        }
        if !waits && matches!(answer, GateAnswer::Seat(_) | GateAnswer::Held { .. } | GateAnswer::Paid { .. }) {
            assert!(self.changed_in <= self.store.acknowledged(), "{answer:?} is told before it is safe");
        }
        Ok(answer)
    }

    pub(crate) fn join(&mut self, buyer: u8) -> Result<GateAnswer> {
        self.act(buyer, GateAct::Join { message: None, admits: true })
    }

    pub(crate) fn tell(&mut self, rules: Rules) -> Result<()> {
        let words = rules.words();
        let before = self.store.settings(GATE).to_vec();
        self.ask(|store| store.configure(GATE, words.as_bytes()))?.expect("they are good words");
        // The same words once more are no change.
        if self.store.settings(GATE) != before {
            self.ruled_in = self.store.changed();
        }
        (self.now.rules, self.now.is_told) = (rules, true);
        self.note();
        self.pass_time(0)
    }

    pub(crate) fn pass_time(&mut self, ms: u64) -> Result<()> {
        self.now_ms += ms;
        self.store.set_time(self.now_ms);
        let given = self.now.given;
        for step in 0.. {
            assert!(step < 10_000, "what is due is never done: {:?}", self.store.gate_figures(GATE));
            let before = self.store.gate_figures(GATE);
            let has_more = self.store.pass_time(1)?;
            if self.store.gate_figures(GATE) != before {
                assert!(self.now.pass_time(self.now_ms), "nothing is due");
                self.note();
            }
            if !has_more && !self.now.clone().pass_time(self.now_ms) {
                break;
            }
            if !has_more {
                // It is held up: another segment is being prepared.
                self.store.tick();
                self.step_segment_chore()?;
            }
        }
        assert!(self.store.next_due().is_none_or(|at_ms| at_ms > self.now_ms), "all that is due is done");
        if self.now.given > given {
            self.given_in = self.store.changed();
        }
        self.note();
        Ok(())
    }

    fn take(&mut self) -> Result<()> {
        let taken = self.ask(|store| store.take(GATE))?;
        let first = self.now.messages.iter().find(|(_, (_, kept_back))| !kept_back).map(|(at, _)| *at);
        let wanted = first.and_then(|at| self.now.messages.remove(&at)).map(|(body, _)| body);
        assert_eq!(taken.map(|taken| taken.body.into_vec()), wanted);
        self.note();
        Ok(())
    }

    fn flush(&mut self, all: bool) -> Result<()> {
        if all {
            self.ask(Store::flush_all)?;
        } else {
            self.ask(|store| store.flush(GATE))?;
        }
        self.now.messages.clear();
        self.note();
        Ok(())
    }

    fn delete(&mut self) -> Result<()> {
        self.ask(|store| store.delete(GATE))?;
        self.now = State { put: self.now.put, ..State::default() };
        self.note();
        // It is another gate from now on.
        (self.given_in, self.ruled_in, self.changed_in) = (0, 0, 0);
        Ok(())
    }

    // ---- the slow parts ----

    fn step_commit(&mut self) -> Result<bool> {
        if let Some(commit) = self.commit.step(|| self.store.begin_commit())? {
            self.store.finish_commit(commit);
            self.acknowledged = self.store.acknowledged();
            if self.options.durability == Durability::Synced {
                self.synced = self.acknowledged;
            }
        }
        Ok(self.commit.is_under_way())
    }

    fn step_segment_chore(&mut self) -> Result<bool> {
        if let Some(chore) = self.segment_chore.step(|| self.store.segment_chore())? {
            self.store.finish_chore(chore)?;
        }
        Ok(self.segment_chore.is_under_way())
    }

    fn step_index_chore(&mut self) -> Result<bool> {
        if let Some(chore) = self.index_chore.step(|| self.store.index_chore())? {
            self.store.finish_chore(chore)?;
        }
        Ok(self.index_chore.is_under_way())
    }

    pub(crate) fn commit(&mut self) -> Result<()> {
        while self.step_commit()? || self.store.wants_commit() {}
        while let Some(sync) = self.store.begin_sync() {
            sync.run()?;
            self.store.finish_sync(&sync);
            self.synced = self.acknowledged;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
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
        for _ in 0..60 {
            for _ in 0..40 {
                self.ask(|store| store.put(b"z", 0, &[1; 300]))?;
            }
            self.settle()?;
            while self.ask(|store| store.take(b"z"))?.is_some() {}
            self.settle()?;
            if self.disk.files().into_iter().min() > goal {
                self.ask(|store| store.delete(b"z"))?;
                return self.settle();
            }
        }
        panic!("the log does not go round: {:?}", self.store.totals());
    }

    // ---- a random life ----

    pub(crate) fn random_step(&mut self, random: &mut Random) -> Result<()> {
        let buyer = random.below(BUYERS.into()) as u8;
        match random.below(100) {
            0..26 => self.join(buyer).map(drop),
            26..32 => {
                let body: Vec<u8> = (0..random.below(200)).map(|_| random.next() as u8).collect();
                self.act(buyer, GateAct::Join { message: Some((7, &body)), admits: true }).map(drop)
            }
            32..36 => self.act(buyer, GateAct::Look).map(drop),
            36..43 => self.act(buyer, GateAct::Pay).map(drop),
            43..46 => self.act(buyer, GateAct::Extend { seconds: 1 + random.below(9) as u32 }).map(drop),
            46..54 => self.act(buyer, GateAct::Return).map(drop),
            54..58 => self.pass_time(random.below(8_000)),
            58..60 => self.tell(Rules {
                tickets: random.below(9),
                hold_s: random.pick(&[0, 3, 10]),
                hold_max: random.below(3),
                line: random.pick(&[0, 2, 5]),
                put_paid: random.chance(2),
            }),
            60..66 => self.take(),
            66 if random.chance(3) => self.flush(random.chance(2)),
            67 if random.chance(5) => self.delete(),
            66..86 => self.step_commit().map(drop),
            86..90 => self.step_segment_chore().map(drop),
            90..93 => self.step_index_chore().map(drop),
            93..99 => self.store.reclaim().map(drop),
            _ => {
                self.store.request_checkpoint();
                Ok(())
            }
        }
    }

    // ---- the end, and the next life ----

    /// Crashes, and holds what is found against what must be there and what may be.
    pub(crate) fn crash(self, how: Crash, random: &mut Random) -> Result<Crowd> {
        let frame = if how == Crash::Kill { self.acknowledged } else { self.synced };
        let safe = self.before.partition_point(|(_, changed)| *changed <= frame).saturating_sub(1);
        let Crowd { disk, tree, mut options, now_ms, before, store, .. } = self;
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
        assert!(
            survey.is_whole(),
            "{:?} {:?}",
            survey.damaged(),
            survey.queues().map(|it| survey.gate(it)).collect::<Vec<_>>()
        );
        let seen = |tree: Option<&CrashTree>| {
            let disk = disk.fork();
            let tree = tree.map(|tree| tree.fork(&disk));
            Seen::of_store(open_store(&disk, tree.as_ref(), options)?, now_ms)
        };
        let found = seen(None)?;
        if tree.is_some() {
            assert_eq!(seen(tree.as_ref())?, found, "the index says what the log says");
        }
        assert_eq!(moved(&survey, options, now_ms)?, found, "what is moved to another log is the same");
        let now = before[safe..].iter().find(|(state, _)| Seen::of_state(state, now_ms) == found);
        let Some((now, _)) = now else {
            let last = before.last().map(|(state, _)| Seen::of_state(state, now_ms));
            let states = before.len();
            panic!("it is as after none of the changes {safe}..{states}: {found:#?}, the last of them {last:#?}");
        };
        let mut crowd = Crowd::open(&disk, tree, options)?;
        crowd.store.set_time(now_ms);
        (crowd.now_ms, crowd.now, crowd.before) = (now_ms, now.clone(), vec![(now.clone(), 0)]);
        crowd.pass_time(0)?;
        Ok(crowd)
    }
}

/// What is seen when all queues are moved to a log of their own.
fn moved(survey: &Survey, options: StoreOptions, now_ms: u64) -> Result<Seen> {
    let mut store = open_store(&CrashDisk::default(), None, options)?;
    store.set_time(now_ms);
    for queue in survey.queues() {
        let (name, settings) = (queue.name(), queue.settings());
        let adopted = Adopted {
            name: &name,
            settings,
            sets: queue.sets() - queue.stored(),
            gets: queue.gets(),
            head: queue.first(),
        };
        store.at_once(|store| store.adopt(adopted))?.expect("there is room");
        if let Some(gate) = survey.gate(queue) {
            store.at_once(|store| store.adopt_gate(&name, &gate))?.expect("there is room");
        }
        for ticket in survey.tickets(queue) {
            store.at_once(|store| store.adopt_ticket(&name, &ticket))?.expect("there is room");
        }
        survey.messages(queue, |taken, kept| {
            let adopt = |store: &mut Store| store.adopt_message(&name, taken.seq, taken.flags, &taken.body, &kept);
            store.at_once(adopt)?.expect("there is room");
            Ok::<(), Error>(())
        })?;
        store.at_once(|store| store.adopt_end(&name, queue.next()))?.expect("there is room");
    }
    store.settle()?;
    Seen::of_store(store, now_ms)
}
