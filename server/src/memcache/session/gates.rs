//! The commands of a gate.

use protocol::{Command, Key, reply};
use shards::{GateAct, Op};

use super::Session;
use crate::memcache::answer::Reply;
use crate::memcache::gate::Door;
use crate::session::{Backend, Step};

impl Session {
    /// Does a command that a gate alone has.
    pub(super) fn of_gate(&mut self, command: Command<'_>, backend: &mut impl Backend) -> Option<Step> {
        if self.is_by_datagram {
            // An answer that is lost would be a ticket that its buyer has not heard of.
            let is_silent = matches!(
                command,
                Command::Join { noreply: true, .. }
                    | Command::Pay { noreply: true, .. }
                    | Command::Extend { noreply: true, .. }
                    | Command::Return { noreply: true, .. }
            );
            if !is_silent {
                self.text(reply::BAD_FORMAT);
            }
            return None;
        }
        match command {
            Command::Join { key, buyer, message, noreply } => {
                let door = if message.is_some() { Door::Add } else { Door::Incr };
                let join = join(message, backend);
                self.ask_gate(&key, buyer, join, door, noreply, backend)
            }
            Command::Pay { key, buyer, noreply } => {
                self.ask_gate(&key, buyer, GateAct::Pay, Door::Touch, noreply, backend)
            }
            Command::Extend { key, buyer, seconds, noreply } => {
                self.ask_gate(&key, buyer, GateAct::Extend { seconds }, Door::Touch, noreply, backend)
            }
            Command::Return { key, buyer, noreply } => {
                self.ask_gate(&key, buyer, GateAct::Return, Door::Delete, noreply, backend)
            }
            Command::StatsGate { key } => {
                self.submit_for(&key, backend, Op::GateFigures { queue: key.queue() }, Reply::GateFigures)
            }
            other => unreachable!("{other:?} is no gate's"),
        }
    }

    /// Asks the gate of a key's queue for a buyer. No child has one, and the dead letters have none.
    pub(super) fn ask_gate(
        &mut self,
        key: &Key<'_>,
        buyer: &[u8],
        act: GateAct<'_>,
        door: Door,
        noreply: bool,
        backend: &mut impl Backend,
    ) -> Option<Step> {
        let op = Op::Gate { queue: key.queue(), buyer, act };
        self.submit_for(key, backend, op, Reply::Gate { door, noreply })
    }
}

/// A buyer joins, with a message or without. While the server drains, who has a ticket is told so and no other is given.
pub(super) fn join<'a>(message: Option<(u32, &'a [u8])>, backend: &impl Backend) -> GateAct<'a> {
    GateAct::Join { message, admits: !backend.is_draining() }
}

#[cfg(test)]
mod tests;
