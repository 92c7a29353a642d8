//! The simulation: shards, the channels between them, and clients. One step at a time, and after each what must hold.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::path::PathBuf;
use std::slice;

use shards::{CHANNEL_BATCHES, CREDITS, Durability, Packet, ShardId, owner_of};
use storage::Result;
use storage_testing::{CrashDisk, Random};

use crate::client::{Address, Client, Pending};
use crate::counts::Counts;
use crate::expected::Op;
use crate::history::History;
use crate::setup::{BODY_BYTES_MAX, Setup, Step};
use crate::simulated_shard::SimulatedShard;

/// All queues there are. Their names are single letters.
const QUEUES: &[u8] = b"abcdefgh";
/// Rounds of all tasks within which everybody must have all replies, if nothing new comes.
const SETTLE_ROUNDS: u32 = 3000;

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
        for (me, (disk, history, safe)) in (0..shards).zip(left) {
            let index = (self.indexes)(me);
            self.shards.push(SimulatedShard::start(ShardId(me), shards, disk, index, options, history, safe));
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

    /// Lets everybody have their replies. Nothing may be left then, and no credit lost.
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
            Step::Serve => {
                let shard = self.any_shard();
                self.serve(shard)
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
                self.with_shard(shard, |shard| shard.step(step))
            }
        }
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
    fn serve(&mut self, at: usize) -> Result<()> {
        if !mem::take(&mut self.shards[at].due.serve) {
            return Ok(());
        }
        let mut served = Vec::new();
        let result = self.with_shard(at, |shard| {
            shard.engine.serve_step(|from, address, op, _| served.push((from.index(), address, owned(op))))
        });
        for (from, address, op) in served {
            let applied = self.shards[at].history.apply(op.clone());
            let address = self.under_way.remove(&(from, address)).expect("it was sent, and is applied once");
            // It may have gone.
            let client = self.clients.iter_mut().find(|client| client.round == address.round);
            let Some(client) = client else { continue };
            let pending = &mut client.pending[address.slot];
            assert_eq!((pending.owner, &pending.op), (at, &op), "the operation that was sent");
            assert_eq!(pending.applied, None, "an operation is applied once");
            pending.applied = Some(applied);
        }
        result.map(|_| ())
    }

    // ---- clients ----

    fn connect(&mut self, shard: usize) {
        let gather = self.shards[shard].engine.open();
        self.clients.push(Client::new(shard, gather));
    }

    fn disconnect(&mut self, client: usize) {
        let client = self.clients.swap_remove(client);
        self.shards[client.shard].engine.close(client.gather);
    }

    /// A client sends a few commands at once.
    fn send(&mut self, client: usize) -> Result<()> {
        let commands = 1 + self.random.below(self.setup.burst);
        let ops = (0..commands).flat_map(|_| self.command()).collect();
        self.submit(client, ops)
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
    fn submit(&mut self, number: usize, ops: Vec<(usize, Op)>) -> Result<()> {
        self.rounds += 1;
        self.clients[number].round = self.rounds;
        self.resume(number, ops)
    }

    /// Goes on with a client's operations, as far as its shard's disk lets it.
    fn resume(&mut self, number: usize, ops: Vec<(usize, Op)>) -> Result<()> {
        let mut ops = VecDeque::from(ops);
        while let Some((owner, op)) = ops.pop_front() {
            let client = &self.clients[number];
            let (at, gather, round, slot) = (client.shard, client.gather, client.round, client.pending.len());
            let (mut applied, mut outcome) = (None, None);
            if owner == at {
                let mut wanted = client.wanted;
                outcome = self.with_shard(at, |shard| shard.engine.apply(borrowed(&op), &mut wanted))?;
                if outcome.is_none() {
                    self.counts.stalled += 1;
                    ops.push_front((owner, op));
                    self.clients[number].tried_at = self.shards[at].engine.retries();
                    break;
                }
                self.clients[number].wanted = wanted;
                applied = Some(self.shards[at].history.apply(op.clone()));
            } else {
                let address = shards::Address { gather, slot: client.forwarded as u32 };
                let before = self.under_way.insert((at, address), Address { round, slot });
                assert!(before.is_none(), "two outcomes for one place");
                self.with_shard(at, |shard| shard.engine.push(gather, ShardId(owner as u16), borrowed(&op)));
                self.counts.forwarded += 1;
                self.clients[number].forwarded += 1;
            }
            self.counts.operations += 1;
            self.clients[number].pending.push(Pending { owner, op, applied, outcome });
        }
        self.clients[number].stalled = ops.into();
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
            assert_eq!(reply.outcome.as_ref(), Some(&expected), "the reply to {:?}", reply.op);
            self.shards[reply.owner].history.tell(number, &expected);
            self.counts.replies += 1;
        }
        if self.random.chance(self.setup.crash_after_replies) {
            self.crash();
        }
        Ok(())
    }

    // ---- at rest ----

    fn settle(&mut self) -> Result<()> {
        for _ in 0..SETTLE_ROUNDS {
            if self.is_at_rest() {
                return Ok(());
            }
            self.run_all_tasks()?;
        }
        let waiting = self.clients.iter().filter(|client| client.is_waiting()).collect::<Vec<_>>();
        let left = self.shards.iter_mut().map(SimulatedShard::left).collect::<Vec<_>>();
        panic!("no rest: shards have {left:?}, and {} clients wait: {waiting:#?}", waiting.len());
    }

    fn is_at_rest(&mut self) -> bool {
        self.clients.iter().all(|client| !client.is_waiting())
            && self.shards.iter_mut().all(|shard| shard.left().is_empty())
            && self.channels.iter().flatten().all(VecDeque::is_empty)
            && self.under_way.is_empty()
    }

    fn run_all_tasks(&mut self) -> Result<()> {
        for at in 0..self.shards.len() {
            for step in [Step::Send, Step::Commit, Step::Sync, Step::Segments, Step::Reads, Step::Index, Step::Reclaim]
            {
                self.with_shard(at, |shard| shard.step(step))?;
            }
            for from in 0..self.shards.len() {
                self.receive(from, at)?;
            }
            self.serve(at)?;
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
                let ops = (0..shards).filter(|to| *to != at).map(|to| (to, Op::Take { name: b'z' })).collect();
                self.submit(self.clients.len() - 1, ops)?;
                self.with_shard(at, |shard| shard.step(Step::Send))?;
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

fn borrowed(op: &Op) -> shards::Op<'_> {
    match op {
        Op::Put { name, flags, body } => shards::Op::Put { queue: slice::from_ref(name), flags: *flags, body },
        Op::Take { name } => shards::Op::Take { queue: slice::from_ref(name) },
        Op::Create { name } => shards::Op::Create { queue: slice::from_ref(name) },
        Op::Delete { name } => shards::Op::Delete { queue: slice::from_ref(name) },
        Op::Flush { name } => shards::Op::Flush { queue: slice::from_ref(name) },
        Op::FlushAll => shards::Op::FlushAll,
    }
}

fn owned(op: shards::Op<'_>) -> Op {
    match op {
        shards::Op::Put { queue: &[name], flags, body } => Op::Put { name, flags, body: body.to_vec() },
        shards::Op::Take { queue: &[name] } => Op::Take { name },
        shards::Op::Create { queue: &[name] } => Op::Create { name },
        shards::Op::Delete { queue: &[name] } => Op::Delete { name },
        shards::Op::Flush { queue: &[name] } => Op::Flush { name },
        shards::Op::FlushAll => Op::FlushAll,
        other => panic!("nobody has sent {other:?}"),
    }
}
