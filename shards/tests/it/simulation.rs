//! The simulation: shards, the channels between them, and clients. One step at a time, and after each what must hold.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::path::PathBuf;

use shards::{Answer, Asker, CHANNEL_BATCHES, CREDITS, Durability, Late, Moment, Outcome, Packet, ShardId, owner_of};
use storage::Result;
use storage_testing::{CrashDisk, Op, Random};

use crate::asked::Asked;
use crate::client::{Address, Client, Pending};
use crate::counts::Counts;
use crate::history::History;
use crate::lines::Wait;
use crate::setup::{BODY_BYTES_MAX, Setup, Step};
use crate::simulated_shard::SimulatedShard;

/// All queues there are. Their names are single letters.
const QUEUES: &[u8] = b"abcdefgh";
/// Rounds of all tasks within which all clients must have all replies, if nothing new comes.
const SETTLE_ROUNDS: u32 = 3000;
/// Milliseconds that a client may wait for a message.
const WAITS_MS: &[u64] = &[0, 1, 20, 500, 3000];
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
    bodies: u64,
    now: Moment,
    pub(crate) counts: Counts,
}

/// What was seen of an engine, in its order.
#[derive(Debug)]
enum Seen {
    /// An operation was answered. `None`: that its client leaves.
    Asked(Asker, Option<Asked>, SeenAnswer),
    /// A wait has ended, with a message or with nothing.
    Ended(Asker, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SeenAnswer {
    Message,
    Other,
    Later,
    Stalled,
}

impl Seen {
    fn ended(late: &Late) -> Seen {
        Seen::Ended(late.by, matches!(late.outcome, Outcome::Message(_)))
    }
}

impl SeenAnswer {
    fn of(answer: &Answer) -> SeenAnswer {
        match answer {
            Answer::Now(Outcome::Message(_)) => SeenAnswer::Message,
            Answer::Now(_) => SeenAnswer::Other,
            Answer::Later => SeenAnswer::Later,
            Answer::Stalled => SeenAnswer::Stalled,
        }
    }
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
            now: Moment::START,
            counts: Counts::default(),
        };
        let new = |_| (CrashDisk::default(), History::default(), 0);
        simulation.start((0..simulation.setup.shards).map(new).collect());
        simulation
    }

    /// Starts all shards, each with a disk and what must be on it, and lets clients connect.
    fn start(&mut self, left: Vec<(CrashDisk, History, usize)>) {
        let shards = self.setup.shards;
        let options = self.setup.options(&mut self.random);
        self.shards.clear();
        for (me, left) in (0..shards).zip(left) {
            let index = (self.indexes)(me);
            self.shards.push(SimulatedShard::start(ShardId(me), shards, left, index, options, self.now));
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
            let disk = &self.shards[self.random.below(u64::from(shards)) as usize].disk;
            disk.crash_at(disk.operations() + 1 + self.random.below(300));
        }
    }

    // ---- lives ----

    /// Lives for some steps, and ends in one way or another.
    pub(crate) fn live(&mut self, steps: u64) {
        for _ in 0..steps {
            if let Err(error) = self.step() {
                assert!(self.shards.iter().any(|shard| shard.disk.has_crashed()), "{error}");
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
            assert!(self.shards.iter().any(|shard| shard.disk.has_crashed()), "{error}");
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
            let (disk, safe) = (shard.disk, shard.history.safe(only_what_was_synced));
            if power_cut {
                disk.cut_power(&mut self.random);
            } else {
                disk.kill(&mut self.random);
            }
            left.push((disk, shard.history, safe));
        }
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
        self.shards[at].lines.check_deadlines(self.now);
        Ok(())
    }

    fn any_shard(&mut self) -> usize {
        self.random.below(self.shards.len() as u64) as usize
    }

    /// Has a shard do something, and does what follows from it, as the pump does.
    fn with_shard<T>(&mut self, at: usize, f: impl FnOnce(&mut SimulatedShard) -> T) -> T {
        let shard = &mut self.shards[at];
        let result = f(shard);
        shard.due.add(shard.engine.take_due());
        let mut unsent = Vec::new();
        while let Some((to, packet)) = shard.engine.next_packet() {
            let channel = &mut self.channels[at][to.index()];
            if channel.len() < CHANNEL_BATCHES {
                channel.push_back(packet);
                self.counts.packets += 1;
            } else {
                unsent.push((to, packet));
            }
        }
        unsent.into_iter().for_each(|(to, packet)| shard.engine.keep_packet(to, packet));
        result
    }

    /// A shard takes the next packet from another one.
    fn receive(&mut self, from: usize, to: usize) -> Result<()> {
        let Some(packet) = self.channels[from][to].pop_front() else { return Ok(()) };
        self.with_shard(to, |shard| shard.engine.receive(ShardId(from as u16), packet));
        Ok(())
    }

    /// A shard applies a few operations of others.
    fn apply(&mut self, at: usize) -> Result<()> {
        if !mem::take(&mut self.shards[at].due.apply) {
            return Ok(());
        }
        let (mut seen, now) = (Vec::new(), self.now);
        let result = self.with_shard(at, |shard| {
            let more = shard.engine.apply_step(now, |by, op, answer, late| {
                seen.push(Seen::Asked(by, Asked::owned(*op), SeenAnswer::of(answer)));
                seen.extend(late.iter().map(Seen::ended));
            });
            shard.late_seen = shard.engine.late().len();
            more
        });
        for seen in seen {
            self.note_seen(at, seen);
        }
        self.shards[at].lines.check_gone();
        result.map(|_| ())
    }

    // ---- what was done, held against plain collections ----

    fn note_seen(&mut self, at: usize, seen: Seen) {
        match seen {
            Seen::Ended(by, is_message) => self.note_end(at, by, is_message),
            Seen::Asked(by, None, _) => self.shards[at].lines.leave(by.client),
            Seen::Asked(_, _, SeenAnswer::Stalled) => {}
            Seen::Asked(by, Some(asked), answer) => {
                let key = (by.client.shard().index(), by.address);
                let address = self.under_way.remove(&key).expect("it was sent, and is applied once");
                // It may have gone.
                let client = self.clients.iter_mut().find(|client| client.round == address.round);
                if let Some(client) = client {
                    let pending = &client.pending[address.slot];
                    assert_eq!((pending.owner, &pending.asked), (at, &asked), "the operation that was sent");
                }
                self.note_answer(at, by, address, asked, answer);
            }
        }
    }

    /// Notes that an operation was answered.
    fn note_answer(&mut self, at: usize, by: Asker, address: Address, asked: Asked, answer: SeenAnswer) {
        let (shard, now) = (&mut self.shards[at], self.now);
        let applied = match asked {
            Asked::Now(op) => {
                let (number, outcome) = shard.history.apply(op);
                (Some(number), outcome)
            }
            Asked::TakeWait { name, until } => match answer {
                SeenAnswer::Message => {
                    shard.lines.check_taken(name, by);
                    let (number, outcome) = shard.history.apply(Op::Take { name });
                    (Some(number), outcome)
                }
                SeenAnswer::Other => {
                    shard.lines.check_refused(by, until, now);
                    (None, Outcome::Empty)
                }
                SeenAnswer::Later => {
                    self.counts.waits += 1;
                    return shard.lines.line_up(name, Wait { by, address, until }, now);
                }
                SeenAnswer::Stalled => unreachable!("it gets in line"),
            },
        };
        self.note_applied(address, applied);
    }

    /// Notes that waits have ended since this was noted last.
    fn note_ended(&mut self, at: usize) {
        let shard = &mut self.shards[at];
        let ended: Vec<Seen> = shard.engine.late()[shard.late_seen..].iter().map(Seen::ended).collect();
        shard.late_seen += ended.len();
        ended.into_iter().for_each(|ended| self.note_seen(at, ended));
    }

    fn note_end(&mut self, at: usize, by: Asker, is_message: bool) {
        let shard = &mut self.shards[at];
        if is_message {
            let (name, wait) = shard.lines.serve(by);
            let (number, outcome) = shard.history.apply(Op::Take { name });
            self.counts.waits_served += 1;
            self.note_applied(wait.address, (Some(number), outcome));
        } else {
            let wait = shard.lines.end(by, self.now);
            self.counts.waits_over += 1;
            self.note_applied(wait.address, (None, Outcome::Empty));
        }
    }

    fn note_applied(&mut self, address: Address, applied: (Option<usize>, Outcome)) {
        // It may have gone.
        let client = self.clients.iter_mut().find(|client| client.round == address.round);
        if let Some(client) = client {
            let before = client.pending[address.slot].applied.replace(applied);
            assert_eq!(before, None, "an operation is answered once");
        }
    }

    // ---- clients ----

    fn connect(&mut self, shard: usize) {
        let gather = self.shards[shard].engine.open();
        self.clients.push(Client::new(shard, gather));
    }

    fn disconnect(&mut self, client: usize) {
        let client = self.clients.swap_remove(client);
        let ticket = self.shards[client.shard].engine.client_of(client.gather);
        self.shards[client.shard].lines.leave(ticket);
        self.with_shard(client.shard, |shard| shard.engine.close(client.gather));
        self.note_ended(client.shard);
        self.shards[client.shard].lines.check_gone();
    }

    /// A client sends a few commands at once, and perhaps takes behind them that wait.
    fn send(&mut self, client: usize) -> Result<()> {
        let commands = 1 + self.random.below(self.setup.burst);
        let ops = (0..commands).flat_map(|_| self.command());
        let mut asked: Vec<_> = ops.map(|(owner, op)| (owner, Asked::Now(op))).collect();
        if self.setup.waits > 0 && self.random.chance(self.setup.waits) {
            for _ in 0..1 + self.random.below(3) {
                let name = self.random.pick(&QUEUES[..self.setup.waited_for]);
                let until = self.now.after_ms(self.random.pick(WAITS_MS));
                asked.push((owner(name, self.setup.shards), Asked::TakeWait { name, until }));
            }
        }
        self.submit(client, asked)
    }

    /// The operations of a command. Those for all shards name the shard by themselves.
    fn command(&mut self) -> Vec<(usize, Op)> {
        let shards = self.setup.shards;
        let name = self.random.pick(QUEUES);
        let op = match self.random.below(100) {
            0..2 => Op::Create { name },
            2..4 => Op::Delete { name },
            4 => Op::Flush { name },
            5 if self.random.chance(4) => return (0..usize::from(shards)).map(|at| (at, Op::FlushAll)).collect(),
            n if n < 6 + self.setup.sets => self.put(name),
            _ => {
                let names = 1 + self.random.below(4);
                let names = (0..names).map(|_| self.random.pick(QUEUES)).collect::<Vec<_>>();
                return names.into_iter().map(|name| (owner(name, shards), Op::Take { name })).collect();
            }
        };
        vec![(owner(name, shards), op)]
    }

    fn put(&mut self, name: u8) -> Op {
        self.bodies += 1;
        let bytes = match self.random.below(16) {
            0 => self.random.below(BODY_BYTES_MAX as u64 + 1),
            1 => self.random.below(600),
            _ => 8 + self.random.below(50),
        };
        let mut body = self.bodies.to_le_bytes().to_vec();
        body.resize(bytes as usize, name);
        Op::Put { name, flags: self.random.next() as u32, body }
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
                client: self.shards[at].engine.client_of(gather),
                address: shards::Address { gather, slot: client.forwarded as u32 },
            };
            let to = ShardId(owner as u16);
            let op = asked.borrowed();
            let answer =
                self.with_shard(at, |shard| shard.engine.submit(now, gather, to, op, None, &mut frame_needed))?;
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
                    client.tried_at = self.shards[at].engine.retries();
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
        if self.shards[client.shard].engine.retries() > client.tried_at {
            let ops = mem::take(&mut client.stalled);
            return self.resume(number, ops);
        }
        Ok(())
    }

    /// A client gets its replies, if all are there: each must be what came of its operation when that was applied.
    fn look_for_replies(&mut self, number: usize) -> Result<()> {
        let client = &mut self.clients[number];
        let Some(replies) = client.settle(&mut self.shards[client.shard].engine) else { return Ok(()) };
        for reply in replies {
            let (number, expected) = reply.applied.expect("no reply without an operation");
            assert_eq!(reply.outcome.as_ref(), Some(&expected), "the reply to {:?}", reply.asked);
            if let Some(number) = number {
                self.shards[reply.owner].history.tell(number, &expected);
            }
            self.counts.replies += 1;
        }
        if self.random.chance(self.setup.crash_after_replies) {
            self.crash();
        }
        Ok(())
    }

    // ---- at rest ----

    /// Lets all clients have their replies: first those that do not wait for a message, while no time passes, then the others.
    fn settle(&mut self) -> Result<()> {
        self.run_until(Simulation::is_at_rest)?;
        for shard in &self.shards {
            for wait in shard.lines.waits() {
                let mut clients = self.clients.iter();
                assert!(clients.any(|client| client.round == wait.address.round), "{wait:?}, and its client is gone");
            }
            for name in shard.lines.queues() {
                let queue = shard.history.now().queues.get(&name);
                assert!(queue.is_none_or(|queue| queue.messages.is_empty()), "a client waits, and there are messages");
            }
        }
        self.run_until(|simulation| {
            simulation.now = simulation.now.after_ms(40);
            simulation.is_at_rest() && simulation.clients.iter().all(|client| !client.is_waiting())
        })
    }

    fn run_until(&mut self, mut is_done: impl FnMut(&mut Self) -> bool) -> Result<()> {
        for _ in 0..SETTLE_ROUNDS {
            if is_done(self) {
                return Ok(());
            }
            self.run_all_tasks()?;
        }
        let waiting = self.clients.iter().filter(|client| client.is_waiting()).collect::<Vec<_>>();
        let left = self.shards.iter_mut().map(SimulatedShard::left).collect::<Vec<_>>();
        panic!("no rest: shards have {left:?}, and {} clients wait: {waiting:#?}", waiting.len());
    }

    /// Whether nothing is under way or due. Clients may stand in line.
    fn is_at_rest(&mut self) -> bool {
        let in_line: Vec<u64> =
            self.shards.iter().flat_map(|shard| shard.lines.waits()).map(|wait| wait.address.round).collect();
        self.clients.iter().all(|client| !client.is_waiting() || in_line.contains(&client.round))
            && self.shards.iter_mut().all(|shard| shard.left().is_empty())
            && self.channels.iter().flatten().all(VecDeque::is_empty)
            && self.under_way.is_empty()
    }

    fn run_all_tasks(&mut self) -> Result<()> {
        for at in 0..self.shards.len() {
            // A second may have passed.
            self.shards[at].due.sync = true;
            self.pass(at)?;
            for step in [Step::Send, Step::Commit, Step::Sync, Step::Segments, Step::Reads, Step::Index, Step::Reclaim]
            {
                self.step_shard(at, step)?;
            }
            for from in 0..self.shards.len() {
                self.receive(from, at)?;
            }
            self.apply(at)?;
        }
        for client in 0..self.clients.len() {
            if self.clients.get(client).is_some_and(Client::is_waiting) {
                self.go_on(client)?;
            }
        }
        Ok(())
    }

    /// At rest, all credits are back: so many batches can go to each shard at once, and no more.
    fn check_credits(&mut self) -> Result<()> {
        let shards = self.shards.len();
        for at in 0..shards {
            for _ in 0..=CREDITS {
                self.connect(at);
                let ops = (0..shards).filter(|to| *to != at).map(|to| (to, Asked::Now(Op::Take { name: b'z' })));
                self.submit(self.clients.len() - 1, ops.collect())?;
                self.step_shard(at, Step::Send)?;
            }
            for to in (0..shards).filter(|to| *to != at) {
                assert_eq!(self.channels[at][to].len(), CREDITS, "credits of {at} for {to}");
            }
        }
        self.settle()?;
        while self.clients.len() > self.setup.clients {
            self.disconnect(self.clients.len() - 1);
        }
        Ok(())
    }
}

fn owner(name: u8, shards: u16) -> usize {
    owner_of(&[name], shards).index()
}
