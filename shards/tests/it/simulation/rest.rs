//! The simulation at rest: how it gets there, and what must hold then.

use std::collections::{BTreeSet, VecDeque};

use shards::CREDITS;
use storage::Result;
use storage_testing::Op;

use super::Simulation;
use crate::asked::Asked;
use crate::client::Client;
use crate::setup::Step;

/// Rounds of all tasks within which all clients must have all replies, if nothing new comes.
const SETTLE_ROUNDS: u32 = 3000;

impl Simulation<'_> {
    /// Lets all clients have their replies: first those that do not wait for a message, while no time passes, then the
    /// others.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.run_until(Simulation::is_at_rest)?;
        let connected: BTreeSet<shards::Client> =
            self.clients.iter().map(|client| self.shards[client.shard].tasks.engine.client_of(client.gather)).collect();
        for shard in &self.shards {
            let gone = shard.out.clients().find(|client| !connected.contains(client));
            assert!(gone.is_none(), "{gone:?} holds a message, and is gone");
            for wait in shard.lines.waits() {
                let mut clients = self.clients.iter();
                assert!(clients.any(|client| client.round == wait.address.round), "{wait:?}, and its client is gone");
            }
            for name in shard.lines.queues() {
                let first = shard.out.first_to_hand_out(&shard.history, name);
                assert!(first.is_none(), "a client waits for {}, and {first:?} is there", char::from(name));
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
        let left = self.shards.iter_mut().map(|shard| shard.tasks.left()).collect::<Vec<_>>();
        panic!("no rest: shards have {left:?}, and {} clients wait: {waiting:#?}", waiting.len());
    }

    /// Whether nothing is under way or due. Clients may stand in line.
    fn is_at_rest(&mut self) -> bool {
        let in_line: Vec<u64> =
            self.shards.iter().flat_map(|shard| shard.lines.waits()).map(|wait| wait.address.round).collect();
        self.clients.iter().all(|client| !client.is_waiting() || in_line.contains(&client.round))
            && self.shards.iter_mut().all(|shard| shard.tasks.left().is_empty())
            && self.channels.iter().flatten().all(VecDeque::is_empty)
            && self.under_way.is_empty()
    }

    fn run_all_tasks(&mut self) -> Result<()> {
        for at in 0..self.shards.len() {
            // A second may have passed.
            self.shards[at].tasks.due.sync = true;
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
    pub(super) fn check_credits(&mut self) -> Result<()> {
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
