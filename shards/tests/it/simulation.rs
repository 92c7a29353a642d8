//! The simulation: shards, the channels between them, and clients. One step at a time, and after each what must hold.

mod account;
mod commands;
mod rest;

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::path::PathBuf;

use shards::{Answer, Asker, CHANNEL_BATCHES, Durability, Moment, Outcome, Packet, ShardId, owner_of};
use storage::Result;
use storage_testing::Random;

use crate::asked::{Asked, Open};
use crate::client::{Address, Client, Pending};
use crate::counts::Counts;
use crate::setup::{Setup, Step};
use crate::simulated_shard::{Left, SimulatedShard};
use account::{Seen, SeenAnswer};

/// All queues there are. Their names are single letters.
const QUEUES: &[u8] = b"abcdefgh";
/// Milliseconds that a client may wait for a message.
const WAITS_MS: &[u64] = &[0, 1, 20, 500, 3000];
/// What is kept back is handed out after this at the latest.
const DELAY_MS_MAX: u64 = 3000;
/// Milliseconds that pass at once.
const STEPS_MS: &[u64] = &[0, 1, 5, 50, 600];

/// Where the shards of one life keep their indexes; a copy of what the last life left.
pub(crate) type Indexes<'a> = Box<dyn FnMut(u16) -> Option<PathBuf> + 'a>;

pub(crate) struct Simulation<'a> {
    random: Random,
    setup: Setup,
    indexes: Indexes<'a>,
    shards: Vec<SimulatedShard>,
    /// From a shard, to a shard.
    channels: Vec<Vec<VecDeque<Packet>>>,
    /// Whose operations are on their way: by the shard they come from, and where their outcomes go on it.
    under_way: HashMap<(usize, shards::Address), Address>,
    clients: Vec<Client>,
    rounds: u64,
    bodies: u32,
    /// Leases of some queue that there are, or were, in this life or one before, and whether a connection holds them.
    leases: Vec<(u8, u64, bool)>,
    now: Moment,
    pub(crate) counts: Counts,
}

impl<'a> Simulation<'a> {
    pub(crate) fn new(setup: Setup, indexes: Indexes<'a>, random: Random) -> Simulation<'a> {
        let mut simulation = Simulation {
            random,
            setup,
            indexes,
            shards: Vec::new(),
            channels: Vec::new(),
            under_way: HashMap::new(),
            clients: Vec::new(),
            rounds: 0,
            bodies: 0,
            leases: Vec::new(),
            now: Moment::from_ms(1_700_000_000_000),
            counts: Counts::default(),
        };
        simulation.start((0..simulation.setup.shards).map(|_| Left::default()).collect());
        simulation
    }

    /// Starts all shards, each with a disk and what must be on it, and lets clients connect.
    fn start(&mut self, left: Vec<Left>) {
        let shards = self.setup.shards;
        let options = self.setup.options(&mut self.random);
        self.shards.clear();
        for (me, left) in (0..shards).zip(left) {
            let index = (self.indexes)(me);
            self.shards.push(SimulatedShard::start(ShardId(me), shards, left, index, options, self.now).unwrap());
        }
        let none = |_| (0..shards).map(|_| VecDeque::new()).collect();
        self.channels = (0..shards).map(none).collect();
        self.under_way.clear();
        self.clients.clear();
        for _ in 0..self.setup.clients {
            let shard = self.random.below(u64::from(shards)) as usize;
            self.connect(shard);
        }
        if self.random.chance(2) {
            let disk = &self.shards[self.random.below(u64::from(shards)) as usize].tasks.disk;
            disk.crash_at(disk.operations() + 1 + self.random.below(300));
        }
    }

    // ---- lives ----

    /// Lives for some steps, and ends in one way or another.
    pub(crate) fn live(&mut self, steps: u64) {
        for _ in 0..steps {
            if let Err(error) = self.step() {
                assert!(self.shards.iter().any(|shard| shard.tasks.disk.has_crashed()), "{error}");
                return self.crash();
            }
        }
        match self.random.below(3) {
            0 => self.crash(),
            _ => self.settle_and_check(),
        }
    }

    /// Lets all clients have their replies. Nothing may be left then, and no credit lost.
    pub(crate) fn settle_and_check(&mut self) {
        let done = self.settle().and_then(|()| self.check_credits());
        if let Err(error) = done {
            assert!(self.shards.iter().any(|shard| shard.tasks.disk.has_crashed()), "{error}");
            self.crash();
        }
    }

    /// The process ends, in one of two ways, and starts again.
    pub(crate) fn crash(&mut self) {
        self.counts.crashes += 1;
        let power_cut = self.random.chance(2);
        let only_what_was_synced = power_cut && self.setup.durability == Durability::Written;
        let mut left = Vec::new();
        for shard in std::mem::take(&mut self.shards) {
            let (disk, safe) = (shard.tasks.disk, shard.history.safe(only_what_was_synced));
            shard.out.check(&shard.history);
            let coming_back = shard.out.coming_back(self.now);
            if power_cut {
                disk.cut_power(&mut self.random);
            } else {
                disk.kill(&mut self.random);
            }
            left.push(Left { disk, history: shard.history, safe, out: shard.out, coming_back });
        }
        self.now = self.now.after_ms(DELAY_MS_MAX);
        self.start(left);
    }

    // ---- steps ----

    fn step(&mut self) -> Result<()> {
        let step = self.setup.step(&mut self.random);
        match step {
            Step::Client => {
                let client = self.random.below(self.clients.len() as u64) as usize;
                if self.clients[client].is_waiting() { self.go_on(client) } else { self.send(client) }
            }
            Step::Receive => {
                let (from, to) = (self.any_shard(), self.any_shard());
                self.receive(from, to)
            }
            Step::Apply => {
                let shard = self.any_shard();
                self.apply(shard)
            }
            Step::Time => {
                self.now = self.now.after_ms(self.random.pick(STEPS_MS));
                Ok(())
            }
            Step::Pass => {
                let shard = self.any_shard();
                self.pass(shard)
            }
            Step::Leave => {
                let client = self.random.below(self.clients.len() as u64) as usize;
                self.disconnect(client);
                let shard = self.any_shard();
                self.connect(shard);
                Ok(())
            }
            _ => {
                let shard = self.any_shard();
                self.step_shard(shard, step)
            }
        }
    }

    fn step_shard(&mut self, at: usize, step: Step) -> Result<()> {
        let now = self.now;
        self.with_shard(at, |shard| shard.step(step, now))
    }

    /// A shard does what is due by now, if its timer has gone off.
    fn pass(&mut self, at: usize) -> Result<()> {
        self.step_shard(at, Step::Pass)?;
        self.note_ended(at);
        let shard = &mut self.shards[at];
        shard.lines.check_deadlines(self.now);
        if !shard.tasks.due.time && !shard.tasks.engine.holds_back() {
            shard.out.all_is_back(&mut shard.history, self.now);
        }
        Ok(())
    }

    fn any_shard(&mut self) -> usize {
        self.random.below(self.shards.len() as u64) as usize
    }

    /// Has a shard do something, and does what follows from it, as the pump does.
    fn with_shard<T>(&mut self, at: usize, f: impl FnOnce(&mut SimulatedShard) -> T) -> T {
        let shard = &mut self.shards[at];
        let result = f(shard);
        shard.tasks.due.add(shard.tasks.engine.take_due());
        let mut unsent = Vec::new();
        while let Some((to, packet)) = shard.tasks.engine.next_packet() {
            let channel = &mut self.channels[at][to.index()];
            if channel.len() < CHANNEL_BATCHES {
                channel.push_back(packet);
                self.counts.packets += 1;
            } else {
                unsent.push((to, packet));
            }
        }
        unsent.into_iter().for_each(|(to, packet)| shard.tasks.engine.keep_packet(to, packet));
        result
    }

    /// A shard takes the next packet from another one.
    fn receive(&mut self, from: usize, to: usize) -> Result<()> {
        let Some(packet) = self.channels[from][to].pop_front() else { return Ok(()) };
        self.with_shard(to, |shard| shard.tasks.engine.receive(ShardId(from as u16), packet));
        Ok(())
    }

    /// A shard applies a few operations of others.
    fn apply(&mut self, at: usize) -> Result<()> {
        if !mem::take(&mut self.shards[at].tasks.due.apply) {
            return Ok(());
        }
        let (mut seen, now) = (Vec::new(), self.now);
        let result = self.with_shard(at, |shard| {
            let more = shard.tasks.engine.apply_step(now, |by, op, answer, late| {
                seen.push(Seen::Asked(by, Asked::owned(*op), SeenAnswer::of(answer)));
                seen.extend(late.iter().map(Seen::ended));
            });
            shard.late_seen = shard.tasks.engine.late().len();
            more
        });
        for seen in seen {
            self.note_seen(at, seen);
        }
        self.shards[at].lines.check_gone();
        result.map(|_| ())
    }

    // ---- clients ----

    fn connect(&mut self, shard: usize) {
        let gather = self.shards[shard].tasks.engine.open();
        self.clients.push(Client::new(shard, gather));
    }

    fn disconnect(&mut self, client: usize) {
        let client = self.clients.swap_remove(client);
        let ticket = self.shards[client.shard].tasks.engine.client_of(client.gather);
        self.shards[client.shard].lines.leave(ticket);
        self.shards[client.shard].out.leave(ticket);
        self.with_shard(client.shard, |shard| shard.tasks.engine.close(client.gather));
        self.note_ended(client.shard);
        self.shards[client.shard].lines.check_gone();
    }

    /// A client sends a few commands at once, and perhaps takes behind them that wait.
    fn send(&mut self, client: usize) -> Result<()> {
        let commands = 1 + self.random.below(self.setup.burst);
        let mut asked: Vec<_> = (0..commands).flat_map(|_| self.command()).collect();
        if self.setup.waits > 0 && self.random.chance(self.setup.waits) {
            for _ in 0..1 + self.random.below(3) {
                let name = self.random.pick(&QUEUES[..self.setup.waited_for]);
                let until = self.now.after_ms(self.random.pick(WAITS_MS));
                let wait = match self.random.below(100) < self.setup.opens {
                    true => Asked::Open(Open { until: Some(until), ..self.open(name) }),
                    false => Asked::TakeWait { name, until },
                };
                asked.push((owner(name, self.setup.shards), wait));
            }
        }
        self.submit(client, asked)
    }

    /// Has operations done for a client: its own shard's at once, those of others by them.
    fn submit(&mut self, number: usize, asked: Vec<(usize, Asked)>) -> Result<()> {
        self.rounds += 1;
        self.clients[number].round = self.rounds;
        self.resume(number, asked)
    }

    /// Goes on with a client's operations, as far as its shard's disk lets it.
    fn resume(&mut self, number: usize, asked: Vec<(usize, Asked)>) -> Result<()> {
        let (mut all, now) = (VecDeque::from(asked), self.now);
        while let Some((owner, asked)) = all.pop_front() {
            let client = &self.clients[number];
            let (at, gather, slot) = (client.shard, client.gather, client.pending.len());
            let address = Address { round: client.round, slot };
            let mut frame_needed = client.frame_needed;
            let by = Asker {
                client: self.shards[at].tasks.engine.client_of(gather),
                address: shards::Address { gather, slot: client.forwarded as u32 },
            };
            let to = ShardId(owner as u16);
            let op = asked.borrowed();
            let answer =
                self.with_shard(at, |shard| shard.tasks.engine.submit(now, gather, to, op, None, &mut frame_needed))?;
            let client = &mut self.clients[number];
            client.frame_needed = frame_needed;
            let seen = SeenAnswer::of(&answer);
            let outcome = match answer {
                Answer::Now(outcome) => Some(outcome),
                Answer::Later => {
                    client.forwarded += 1;
                    None
                }
                Answer::Stalled => {
                    self.counts.stalled += 1;
                    all.push_front((owner, asked));
                    client.tried_at = self.shards[at].tasks.engine.retries();
                    break;
                }
            };
            self.counts.operations += 1;
            client.pending.push(Pending { owner, asked: asked.clone(), applied: None, outcome });
            if owner == at {
                self.note_answer(at, by, address, asked, seen);
                self.note_ended(at);
            } else {
                let before = self.under_way.insert((at, by.address), address);
                assert!(before.is_none(), "two outcomes for one place");
                self.counts.forwarded += 1;
            }
        }
        self.clients[number].stalled = all.into();
        self.clients[number].begin_to_wait();
        Ok(())
    }

    /// A client goes on with what has stalled, when that is worth another try, or looks for its replies.
    fn go_on(&mut self, number: usize) -> Result<()> {
        let client = &mut self.clients[number];
        if client.stalled.is_empty() {
            return self.look_for_replies(number);
        }
        if self.shards[client.shard].tasks.engine.retries() > client.tried_at {
            let ops = mem::take(&mut client.stalled);
            return self.resume(number, ops);
        }
        Ok(())
    }

    /// A client gets its replies, if all are there: each must be what came of its operation when that was applied.
    fn look_for_replies(&mut self, number: usize) -> Result<()> {
        let client = &mut self.clients[number];
        let Some(replies) = client.settle(&mut self.shards[client.shard].tasks.engine) else { return Ok(()) };
        for reply in replies {
            let applied = reply.applied.expect("no reply without an operation");
            assert_eq!(reply.outcome.as_ref(), Some(&applied.outcome), "the reply to {:?}", reply.asked);
            let shard = &mut self.shards[reply.owner];
            if let Some(promise) = applied.promise {
                shard.history.tell(promise);
            }
            if let Outcome::Opened { lease, .. } = applied.outcome {
                shard.out.tell(lease);
            }
            self.counts.replies += 1;
        }
        if self.random.chance(self.setup.crash_after_replies) {
            self.crash();
        }
        Ok(())
    }
}

fn owner(name: u8, shards: u16) -> usize {
    owner_of(&[name], shards).index()
}
