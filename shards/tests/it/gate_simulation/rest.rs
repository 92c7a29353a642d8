//! Gates at rest: how the simulation gets there, and what must hold of each gate then.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::slice;

use shards::{Answer, GateAnswer, GateAnswered, GateFigures, Op, Outcome, ShardId, owner_of};
use storage::Result;

use super::GateSimulation;
use super::asks::{Act, Request, What};
use super::told::Known;
use crate::client::Client;
use crate::setup::Step;

/// Rounds of all tasks within which all clients must have all replies, if nothing new comes.
const SETTLE_ROUNDS: u64 = 3000;
/// Milliseconds that pass with each of them.
const ROUND_MS: u64 = 20;
/// Milliseconds after which a store has looked anew at a disk that was full.
const LOOKED_AT_ANEW_MS: u64 = 1100;

impl GateSimulation<'_> {
    /// Lets all clients have their replies, with room on all disks.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.shards.iter().for_each(|shard| shard.disk.set_bytes_max(None));
        (self.is_drained, self.is_full) = (false, false);
        let least = if self.was_full { LOOKED_AT_ANEW_MS / ROUND_MS } else { 0 };
        for round in 0..SETTLE_ROUNDS {
            if round >= least && self.is_at_rest() {
                self.was_full = false;
                return Ok(());
            }
            self.run_all_tasks()?;
            self.set_time(self.now.after_ms(ROUND_MS));
        }
        let waiting = self.clients.iter().filter(|client| client.is_waiting()).collect::<Vec<_>>();
        let left = self.shards.iter_mut().map(|shard| shard.left()).collect::<Vec<_>>();
        panic!("no rest: shards have {left:?}, and {} clients wait: {waiting:#?}", waiting.len());
    }

    fn is_at_rest(&mut self) -> bool {
        !self.clients.iter().any(Client::is_waiting)
            && self.shards.iter_mut().all(|shard| shard.left().is_empty())
            && self.channels.iter().flatten().all(VecDeque::is_empty)
    }

    fn run_all_tasks(&mut self) -> Result<()> {
        for at in 0..self.shards.len() {
            self.shards[at].due.sync = true;
            for step in [
                Step::Pass,
                Step::Send,
                Step::Commit,
                Step::Sync,
                Step::Segments,
                Step::Reads,
                Step::Index,
                Step::Reclaim,
            ] {
                self.step_shard(at, step)?;
            }
            for from in 0..self.shards.len() {
                self.receive(from, at);
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

    /// Looks at all gates while nothing is under way, after a crash or without one.
    pub(super) fn look(&mut self) -> Result<()> {
        // What has come due meanwhile is done before.
        self.settle()?;
        self.tick += 1;
        let mut joined = Vec::new();
        for at in 0..self.gates.len() {
            let figures = self.figures(at);
            let gate = &mut self.gates[at];
            gate.rest(self.now);
            let tickets = figures.as_ref().map(|figures| figures.tickets as u32);
            // What has gone is known by now, so a refusal from here on counts it.
            let gone = figures.as_ref().map_or(0, |figures| figures.returned + figures.lapsed);
            gate.tickets.rest(self.tick, (tickets, gone));
            if let Some(figures) = figures {
                self.check(at, &figures);
                joined.extend(self.check_next(at, &figures));
            }
        }
        // It is told when it is safe.
        self.settle()?;
        for (request, outcome) in joined {
            self.tell(&request, outcome);
        }
        Ok(())
    }

    pub(super) fn figures(&self, gate: usize) -> Option<GateFigures> {
        let name = slice::from_ref(&self.gates[gate].name);
        let owner = owner_of(name, self.setup.shards).index();
        self.shards[owner].engine.store().gate_figures(name)
    }

    /// Asks all buyers what they have, and holds that against the figures.
    fn check(&mut self, at: usize, figures: &GateFigures) {
        let (mut seats, mut in_line) = (BTreeMap::new(), Vec::new());
        let (mut held, mut paid) = (0, 0);
        for buyer in 0..self.gates[at].buyers.len() {
            let request = self.ask(at, buyer, Act::Look);
            let (answer, outcome) = self.answer(&request);
            self.tell(&request, outcome);
            let seat = match answer {
                GateAnswer::Held { seat, .. } => {
                    held += 1;
                    seat
                }
                GateAnswer::Paid { seat } => {
                    paid += 1;
                    seat
                }
                GateAnswer::InLine(_) => {
                    in_line.push(buyer);
                    continue;
                }
                _ => continue,
            };
            assert_eq!(seats.insert(seat, buyer), None, "two have seat {seat}");
        }
        let gate = &self.gates[at];
        let line = in_line.len() as u64;
        assert_eq!((held, paid, line), (figures.held, figures.paid, figures.line), "{figures:?}");
        assert!(seats.len() <= gate.tickets.most() as usize, "more tickets than there ever were: {seats:?}");
        assert!(line == 0 || held + paid >= figures.tickets, "a seat is free, and buyers are in line: {figures:?}");
        let given = held + paid + figures.returned + figures.lapsed;
        assert_eq!(figures.given, given, "each ticket that was given is there, or was returned, or has lapsed");
        let least = gate.tickets.given_at_least;
        assert!(figures.given >= least, "a refusal means that {least} were given: {figures:?}");
        for waits in in_line {
            let Some(since) = gate.buyers[waits].in_line_since() else { continue };
            for has in seats.values() {
                if let Known::Has { tick: Some(asked), .. } = gate.buyers[*has].known {
                    assert!(asked < since, "{has} asked when {waits} was in line, and has a ticket before");
                }
            }
        }
    }

    /// A buyer who has nothing asks: there is a ticket, or there is a reason for none.
    fn check_next(&mut self, at: usize, figures: &GateFigures) -> Option<(Request, Outcome)> {
        let gate = &self.gates[at];
        let has_nothing = |buyer: &usize| gate.buyers[*buyer].known == Known::Nothing;
        let buyer = (0..gate.buyers.len()).find(has_nothing)?;
        let request = self.ask(at, buyer, Act::Join { with_message: false, admits: true });
        let (answer, outcome) = self.answer(&request);
        let is_right = match answer {
            GateAnswer::Seat(_) => figures.held + figures.paid < figures.tickets,
            GateAnswer::InLine(nth) => nth > figures.line && figures.line < u64::from(self.gates[at].line),
            GateAnswer::SoldOut => {
                figures.held + figures.paid >= figures.tickets && figures.line >= u64::from(self.gates[at].line)
            }
            _ => false,
        };
        assert!(is_right, "{buyer} is told {answer:?}, of {figures:?}");
        Some((request, outcome))
    }

    /// Has a request answered at once, on the gate's own shard. What changes nothing rests on what is safe.
    fn answer(&mut self, request: &Request) -> (GateAnswer, Outcome) {
        let at = request.owner(self.setup.shards);
        let now = self.now;
        let (answer, is_safe) = self.with_shard(at, |shard| {
            let gather = shard.engine.open();
            let answer = loop {
                let answer = shard.engine.submit(now, gather, ShardId(at as u16), request.op(), None, &mut 0).unwrap();
                if answer != Answer::Stalled {
                    break answer;
                }
                // A segment is made first.
                while let Some(mut chore) = shard.engine.segment_chore().or_else(|| shard.engine.read_chore()) {
                    chore.run();
                    shard.engine.finish_chore(chore).unwrap();
                }
            };
            shard.engine.close(gather);
            (answer, shard.engine.acknowledged() == shard.engine.last_changed_frame())
        });
        let Answer::Now(Outcome::Gate(GateAnswered { answer, waits })) = answer else { panic!("{answer:?}") };
        let What::Ask { act, .. } = request.what else { panic!("{request:?} is not for a gate") };
        assert!(act != Act::Look || !is_safe || !waits, "a look that waits, and all is safe");
        (answer, Outcome::Gate(GateAnswered { answer, waits }))
    }

    /// All messages of a gate's queue, in order.
    pub(super) fn drain(&mut self, gate: usize) -> Vec<(u64, Vec<u8>)> {
        let name = self.gates[gate].name;
        let queue = slice::from_ref(&name);
        let owner = owner_of(queue, self.setup.shards);
        let now = self.now;
        let mut messages = Vec::new();
        loop {
            let answer = self.with_shard(owner.index(), |shard| {
                let gather = shard.engine.open();
                let answer = shard.engine.submit(now, gather, owner, Op::Take { queue }, None, &mut 0).unwrap();
                shard.engine.close(gather);
                answer
            });
            match answer {
                Answer::Now(Outcome::Message(taken)) => messages.push((taken.seq, taken.body.into())),
                Answer::Now(Outcome::Empty) => return messages,
                _ => self.run_all_tasks().expect("no disk crashes here"),
            }
        }
    }
}
