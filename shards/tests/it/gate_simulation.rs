//! A simulation of gates: shards, the channels between them, buyers that ask and ask again on any connection, and workers.
//! It holds what clients were told against itself, and against what is left in the end, and knows no other truth.

mod asks;
mod drained;
mod rest;
mod tickets;
mod told;

use std::collections::VecDeque;
use std::mem;

use shards::{Answer, CHANNEL_BATCHES, Durability, GateAnswer, GateAnswered, Moment, Outcome, Packet, ShardId};
use storage::Result;
use storage_testing::{CrashDisk, Random};

use crate::client::{Client, Pending};
use crate::gate_counts::GateCounts;
use crate::setup::{Setup, Step};
use crate::tasks::Tasks;
use asks::{Habits, Request, What};
use drained::Taken;
use told::Gate;

/// Milliseconds that pass at once.
const STEPS_MS: &[u64] = &[0, 1, 5, 50, 600];
/// Of so many clients that are told about the stock while not all is safe, one sees a crash then.
const UNSAFE_CRASHES: u64 = 5;
const HOUR_MS: u64 = 3_600_000;

pub(crate) struct GateSimulation {
    random: Random,
    setup: Setup,
    habits: Habits,
    shards: Vec<Tasks>,
    /// From a shard, to a shard.
    channels: Vec<Vec<VecDeque<Packet>>>,
    clients: Vec<Client<Request>>,
    gates: Vec<Gate>,
    /// What workers were told of each gate's messages.
    taken: Vec<Taken>,
    /// Grows with each thing that a client asks or is told.
    tick: u64,
    now: Moment,
    is_drained: bool,
    is_full: bool,
    /// A disk has been full since all was at rest.
    was_full: bool,
    pub(crate) counts: GateCounts,
}

impl GateSimulation {
    pub(crate) fn new(durability: Durability, mut random: Random) -> GateSimulation {
        let mut setup = Setup::choose(durability, &mut random);
        setup.clients = 2 + random.below(8) as usize;
        let habits = Habits::choose(&mut random);
        let gates: Vec<Gate> = b"abc"[..1 + random.below(3) as usize]
            .iter()
            .map(|name| {
                let hold_s = random.pick(&[0, 0, 1, 4]);
                let rules = (hold_s, random.pick(&[0, 0, 2, 6]), random.chance(2));
                Gate::new(*name, habits.buyers(&mut random), rules)
            })
            .collect();
        let taken = gates.iter().map(|_| Taken::default()).collect();
        let mut simulation = GateSimulation {
            random,
            setup,
            habits,
            shards: Vec::new(),
            channels: Vec::new(),
            clients: Vec::new(),
            gates,
            taken,
            tick: 0,
            now: Moment::from_ms(1_700_000_000_000),
            is_drained: false,
            is_full: false,
            was_full: false,
            counts: GateCounts::default(),
        };
        simulation.start((0..simulation.setup.shards).map(|_| CrashDisk::default()).collect());
        simulation
    }

    /// Starts all shards with what is on their disks.
    fn start(&mut self, disks: Vec<CrashDisk>) {
        let shards = self.setup.shards;
        let options = self.setup.options(&mut self.random);
        self.shards = (0..shards)
            .zip(disks)
            .map(|(me, disk)| {
                disk.set_bytes_max(None);
                Tasks::start((ShardId(me), shards), disk, None, options, self.now, |_| {}).unwrap()
            })
            .collect();
        self.channels = (0..shards).map(|_| (0..shards).map(|_| VecDeque::new()).collect()).collect();
        for client in mem::take(&mut self.clients) {
            self.forget(client);
        }
        for _ in 0..self.setup.clients {
            self.connect();
        }
        (self.is_drained, self.is_full, self.was_full) = (false, false, false);
    }

    // ---- lives ----

    /// Lives for some steps, and ends in one way or another.
    pub(crate) fn live(&mut self, steps: u64) {
        if self.random.chance(2) {
            let disk = &self.shards[self.random.below(self.shards.len() as u64) as usize].disk;
            disk.crash_at(disk.operations() + 1 + self.random.below(300));
        }
        for _ in 0..steps {
            if let Err(error) = self.step() {
                self.crash_of(&error.to_string());
            }
        }
        match self.random.below(3) {
            0 => self.crash(),
            _ => self.settle_and_look(),
        }
    }

    /// Lets all clients have their replies, and looks at all gates.
    pub(crate) fn settle_and_look(&mut self) {
        if let Err(error) = self.settle().and_then(|()| self.look()) {
            self.crash_of(&error.to_string());
        }
    }

    fn crash_of(&mut self, error: &str) {
        assert!(self.shards.iter().any(|shard| shard.disk.has_crashed()), "{error}");
        self.crash();
    }

    /// The process ends, in one of two ways, and starts again: all that was told must hold.
    pub(crate) fn crash(&mut self) {
        let power_cut = self.setup.durability == Durability::Synced && !self.random.chance(3);
        self.counts.kills += u64::from(!power_cut);
        self.counts.power_cuts += u64::from(power_cut);
        let disks = mem::take(&mut self.shards).into_iter().map(|shard| shard.disk).collect::<Vec<_>>();
        for disk in &disks {
            if power_cut {
                disk.cut_power(&mut self.random);
            } else {
                disk.kill(&mut self.random);
            }
        }
        let earlier = self.random.chance(4);
        let now = if earlier { Moment::from_ms(self.now.ms() - HOUR_MS) } else { self.now };
        self.set_time(now);
        self.start(disks);
        self.look().expect("no disk crashes here");
    }

    // ---- steps ----

    fn step(&mut self) -> Result<()> {
        if self.random.chance(if self.is_drained { 60 } else { 600 }) {
            self.is_drained = !self.is_drained;
        }
        if self.random.chance(if self.is_full { 60 } else { 600 }) {
            self.fill_or_clear_the_disks();
        }
        match self.setup.step(&mut self.random) {
            Step::Client => {
                let client = self.random.below(self.clients.len() as u64) as usize;
                if self.clients[client].is_waiting() { self.go_on(client) } else { self.send(client) }
            }
            Step::Receive => {
                let (from, to) = (self.any_shard(), self.any_shard());
                self.receive(from, to);
                Ok(())
            }
            Step::Apply => {
                let shard = self.any_shard();
                self.apply(shard)
            }
            Step::Time => {
                let now = self.now.after_ms(self.random.pick(STEPS_MS));
                self.set_time(now);
                Ok(())
            }
            Step::Leave => {
                let client = self.random.below(self.clients.len() as u64) as usize;
                self.disconnect(client);
                self.connect();
                Ok(())
            }
            step => {
                let shard = self.any_shard();
                self.step_shard(shard, step)
            }
        }
    }

    fn step_shard(&mut self, at: usize, step: Step) -> Result<()> {
        let now = self.now;
        self.with_shard(at, |shard| match step {
            Step::Sync => shard.step_sync(0).map(|_| ()),
            step => shard.step(step, now),
        })
    }

    fn set_time(&mut self, now: Moment) {
        self.now = now;
        self.gates.iter_mut().for_each(|gate| gate.pass(now));
    }

    /// Leaves little or no room on the disks, or has them be large again.
    fn fill_or_clear_the_disks(&mut self) {
        self.is_full = !self.is_full;
        for shard in &self.shards {
            let room = self.random.below(4000) as usize;
            shard.disk.set_bytes_max(self.is_full.then(|| shard.disk.bytes() + room));
        }
        self.was_full = true;
    }

    fn any_shard(&mut self) -> usize {
        self.random.below(self.shards.len() as u64) as usize
    }

    /// Has a shard do something, and does what follows from it, as the pump does.
    fn with_shard<T>(&mut self, at: usize, f: impl FnOnce(&mut Tasks) -> T) -> T {
        let shard = &mut self.shards[at];
        let result = f(shard);
        shard.due.add(shard.engine.take_due());
        let mut unsent = Vec::new();
        while let Some((to, packet)) = shard.engine.next_packet() {
            let channel = &mut self.channels[at][to.index()];
            if channel.len() < CHANNEL_BATCHES {
                channel.push_back(packet);
            } else {
                unsent.push((to, packet));
            }
        }
        unsent.into_iter().for_each(|(to, packet)| shard.engine.keep_packet(to, packet));
        result
    }

    fn receive(&mut self, from: usize, to: usize) {
        if let Some(packet) = self.channels[from][to].pop_front() {
            self.with_shard(to, |shard| shard.engine.receive(ShardId(from as u16), packet));
        }
    }

    fn apply(&mut self, at: usize) -> Result<()> {
        if mem::take(&mut self.shards[at].due.apply) {
            let now = self.now;
            self.with_shard(at, |shard| shard.engine.apply_step(now, |_, _, _, _| {}))?;
        }
        Ok(())
    }

    // ---- clients ----

    fn connect(&mut self) {
        let shard = self.any_shard();
        let gather = self.shards[shard].engine.open();
        self.clients.push(Client::new(shard, gather));
    }

    /// A client goes, perhaps before it has read its replies.
    fn disconnect(&mut self, client: usize) {
        let client = self.clients.swap_remove(client);
        self.with_shard(client.shard, |shard| shard.engine.close(client.gather));
        self.forget(client);
    }

    /// A client is gone. What it has asked for may be done all the same.
    fn forget(&mut self, client: Client<Request>) {
        let asked = client.pending.into_iter().map(|pending| pending.asked);
        for request in asked.chain(client.stalled.into_iter().map(|(_, request)| request)) {
            self.counts.unread += 1;
            if let What::Work { gate } = request.what {
                self.taken[gate].unread += 1;
            }
        }
    }

    fn send(&mut self, client: usize) -> Result<()> {
        let requests = 1 + self.random.below(self.setup.burst);
        let shards = self.setup.shards;
        let all = (0..requests).map(|_| self.request()).map(|request| (request.owner(shards), request)).collect();
        self.resume(client, all)
    }

    /// Goes on with a client's operations, as far as its shard's disk lets it.
    fn resume(&mut self, number: usize, all: Vec<(usize, Request)>) -> Result<()> {
        let (mut all, now) = (VecDeque::from(all), self.now);
        while let Some((owner, asked)) = all.pop_front() {
            let client = &self.clients[number];
            let (at, gather, mut frame_needed) = (client.shard, client.gather, client.frame_needed);
            let (to, op) = (ShardId(owner as u16), asked.op());
            let answer = self.with_shard(at, |shard| shard.engine.submit(now, gather, to, op, None, &mut frame_needed));
            let client = &mut self.clients[number];
            client.frame_needed = frame_needed;
            let outcome = match answer {
                Ok(Answer::Now(outcome)) => Some(outcome),
                Ok(Answer::Later) => {
                    client.forwarded += 1;
                    None
                }
                Ok(Answer::Stalled) => {
                    self.counts.stalled += 1;
                    all.push_front((owner, asked));
                    client.tried_at = self.shards[at].engine.retries();
                    break;
                }
                Err(error) => {
                    client.pending.push(Pending { owner, asked, applied: None, outcome: None });
                    return Err(error);
                }
            };
            client.pending.push(Pending { owner, asked, applied: None, outcome });
        }
        self.clients[number].stalled = all.into();
        self.clients[number].begin_to_wait();
        Ok(())
    }

    fn go_on(&mut self, number: usize) -> Result<()> {
        let client = &mut self.clients[number];
        if client.stalled.is_empty() {
            self.look_for_replies(number);
        } else if self.shards[client.shard].engine.retries() > client.tried_at {
            let requests = mem::take(&mut client.stalled);
            self.resume(number, requests)?;
        }
        Ok(())
    }

    /// A client gets its replies, if all are there.
    fn look_for_replies(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let Some(replies) = client.settle(&mut self.shards[client.shard].engine) else { return };
        let mut crashes = self.setup.crash_after_replies;
        for Pending { asked, outcome, .. } in replies {
            let outcome = outcome.expect("all are there");
            if self.is_about_stock(&asked, &outcome) {
                crashes = crashes.min(UNSAFE_CRASHES);
            }
            self.tell(&asked, outcome);
        }
        if self.random.chance(crashes) {
            self.crash();
        }
    }

    /// Whether a client is told about the stock of a gate while something is not safe on its shard.
    fn is_about_stock(&self, request: &Request, outcome: &Outcome) -> bool {
        let Outcome::Gate(GateAnswered { answer, .. }) = outcome else { return false };
        let engine = &self.shards[request.owner(self.setup.shards)].engine;
        let is_safe = engine.acknowledged() == engine.last_changed_frame();
        matches!(answer, GateAnswer::SoldOut | GateAnswer::Seat(_)) && !is_safe
    }

    /// A client is told what came of a request.
    fn tell(&mut self, Request { what, .. }: &Request, outcome: Outcome) {
        self.tick += 1;
        match (*what, outcome) {
            (What::Ask { gate, buyer, act, before }, Outcome::Gate(answered)) => {
                self.counts.add_answer(answered.answer);
                let when = (self.tick, self.now);
                self.gates[gate].tell(buyer, (act, before), answered.answer, when, self.was_full);
            }
            (What::Configure { gate }, outcome @ (Outcome::Configured | Outcome::NotStored)) => {
                assert!(outcome == Outcome::Configured || self.was_full, "there is room");
                self.gates[gate].tickets.tell(self.tick, outcome == Outcome::Configured);
            }
            (What::Work { gate }, Outcome::Message(taken)) => self.taken[gate].tell(taken),
            (What::Work { .. } | What::Take, Outcome::Empty)
            | (What::Put, Outcome::Stored | Outcome::NotStored)
            | (What::Take, Outcome::Message(_)) => {}
            (what, outcome) => panic!("{what:?} came to {outcome:?}"),
        }
    }
}
