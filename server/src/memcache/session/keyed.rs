//! The commands whose keys say more than a queue's name.

use protocol::{Act, Command, Holder, Key, reply};
use shards::{Fate, GateAct, Holding, Moment, Op, Open, Outcome, Which, owner_of};

use super::Session;
use super::gates::join;
use crate::memcache::answer::Reply;
use crate::memcache::gate::Door;
use crate::session::stored;
use crate::session::{Backend, Step};

impl Session {
    /// Does a command with a key. [`Step::RoundFull`]: it was not begun.
    pub(super) fn keyed(&mut self, command: Command<'_>, backend: &mut impl Backend) -> Option<Step> {
        match command {
            Command::SetWith { key, flags, exptime, body, delay_s, id, noreply } => {
                let reply = Reply::Set { noreply };
                if backend.is_draining() {
                    self.counters.sets += 1;
                    self.outcome(reply, b"", Outcome::NotStored);
                    return None;
                }
                let op = Op::PutWith { queue: &stored::name(&key), flags, body, delay_s, exptime, id };
                let step = self.submit_for(&key, backend, op, reply);
                self.counters.sets += u64::from(step.is_none());
                step
            }
            Command::Configure { key, words, noreply } => {
                let reply = Reply::Configured { noreply };
                if backend.is_draining() || !self.rules.config {
                    self.outcome(reply, b"", Outcome::NotStored);
                    return None;
                }
                self.submit_for(&key, backend, Op::Configure { queue: &stored::name(&key), words }, reply)
            }
            Command::Unconfigure { noreply, .. } if !self.rules.config => {
                self.outcome(Reply::Deleted { noreply }, b"", Outcome::NotFound);
                None
            }
            Command::Unconfigure { key, noreply } => {
                let op = Op::Unconfigure { queue: &stored::name(&key) };
                self.submit_for(&key, backend, op, Reply::Deleted { noreply })
            }
            Command::Delete { key, noreply } => {
                let op = Op::Delete { queue: &stored::name(&key) };
                self.submit_for(&key, backend, op, Reply::Delete { noreply })
            }
            Command::Acknowledge { key, which, noreply } => {
                let (which, fate) = (which_of(which), Fate::Acknowledge);
                let op = Op::End { queue: &stored::name(&key), which, fate };
                self.submit_for(&key, backend, op, Reply::Deleted { noreply })
            }
            Command::Touch { key, which, lease_s, noreply } => {
                let which = which_of(which);
                let op = Op::Touch { queue: &stored::name(&key), which, lease_s };
                let step = self.submit_for(&key, backend, op, Reply::Touched { noreply });
                self.counters.touches += u64::from(step.is_none());
                step
            }
            Command::Consume { .. } if self.is_by_datagram => {
                self.text(reply::BAD_FORMAT);
                None
            }
            Command::Consume { key, act, with_number } => self.consume(&key, act, with_number, backend),
            other => unreachable!("{other:?} has no key"),
        }
    }

    /// Does what a key's options say. What waits is the only operation of its round: nothing is done behind it before its
    /// outcome is there, and the replies to what was done before it do not wait.
    fn consume(&mut self, key: &Key<'_>, act: Act<'_>, with_number: bool, backend: &mut impl Backend) -> Option<Step> {
        let until = match act {
            Act::Take { wait_ms } | Act::Open { wait_ms, .. } => self.until(wait_ms, backend),
            _ => None,
        };
        if until.is_some() && self.round_ops > 0 {
            return Some(Step::RoundFull);
        }
        let (queue, max) = (&*stored::name(key), self.rules.open_max);
        let op = match act {
            Act::Join { buyer } => {
                let join = join(None, backend);
                return self.ask_gate(key, buyer, join, Door::Get { with_number }, false, backend);
            }
            Act::Look { buyer } => {
                return self.ask_gate(key, buyer, GateAct::Look, Door::Look { with_number }, false, backend);
            }
            Act::Pay { buyer } => {
                return self.ask_gate(key, buyer, GateAct::Pay, Door::Get { with_number }, false, backend);
            }
            Act::Gate => Op::GateFigures { queue },
            Act::Take { .. } => match until {
                Some(until) => Op::TakeWait { queue, until },
                None => Op::Take { queue },
            },
            Act::Open { holder, lease_s, close, .. } => {
                let holder = match holder {
                    Holder::Connection => Holding::Connection { max },
                    Holder::Name(name) => Holding::Name(name),
                    Holder::Number => Holding::Number,
                };
                Op::Open(Open { queue, holder, lease_s, close, until })
            }
            Act::Peek => Op::Peek { queue },
            Act::End { which, fate } => Op::End { queue, which: which_of(which), fate: fate_of(fate) },
            Act::Kick { count } => Op::Kick { queue, count },
            Act::Config => Op::Config { queue },
        };
        let step = self.submit_for(key, backend, op, Reply::Consumed { with_number });
        if step.is_none() && matches!(act, Act::Take { .. } | Act::Open { .. }) {
            self.counters.gets += 1;
        }
        // Nothing else is pending.
        let waits = until.is_some() && !self.pending.is_empty();
        step.or(waits.then_some(Step::Waiting))
    }

    /// Until when a get waits that may do so for so long. `None`: it finds what there is now.
    fn until(&self, wait_ms: Option<u32>, backend: &impl Backend) -> Option<Moment> {
        let ms = wait_ms?.min(self.rules.wait_ms_max);
        // What time it is is said in whole milliseconds that have passed: one more, so that it is never less.
        (ms > 0 && !backend.is_draining()).then(|| backend.now().after_ms(u64::from(ms) + 1))
    }

    /// Has an operation done on the queue of a key.
    pub(super) fn submit_for(
        &mut self,
        key: &Key<'_>,
        backend: &mut impl Backend,
        op: Op<'_>,
        reply: Reply,
    ) -> Option<Step> {
        let shown = if self.rules.bare_keys { key.name() } else { key.asked() };
        // What is made of a queue's name has the queue's owner.
        self.submit(backend, owner_of(key.queue(), self.rules.shards), op, reply, shown)
    }
}

fn which_of(which: protocol::Which<'_>) -> Which<'_> {
    match which {
        protocol::Which::Mine => Which::Mine,
        protocol::Which::Name(name) => Which::Name(name),
        protocol::Which::Lease(lease) => Which::Lease(lease),
    }
}

fn fate_of(fate: protocol::Fate) -> Fate {
    match fate {
        protocol::Fate::Acknowledge => Fate::Acknowledge,
        protocol::Fate::Abort { delay_s } => Fate::Abort { delay_s },
        protocol::Fate::Release { delay_s } => Fate::Release { delay_s },
        protocol::Fate::Bury => Fate::Bury,
    }
}

#[cfg(test)]
mod tests;
