//! What the clients of the simulation ask for.

use shards::Fate;
use storage_testing::Op;

use super::{QUEUES, Simulation, owner};
use crate::asked::{Asked, Holding, Open, Which};
use crate::setup::BODY_BYTES_MAX;

/// Names that hold messages. All clients have them in common.
const HOLDERS: &[u8] = b"xyz";

impl Simulation<'_> {
    /// The operations of a command. Those for all shards name the shard by themselves.
    pub(super) fn command(&mut self) -> Vec<(usize, Asked)> {
        let shards = self.setup.shards;
        if self.random.below(100) < self.setup.pauses {
            let name = self.random.pick(&QUEUES[..self.setup.waited_for]);
            // Whether what may be back is among the oldest would be uncertain.
            let asked = match self.setup.opens == 0 && self.random.chance(3) {
                true => Asked::Purge { name, count: self.random.below(5) as u32 },
                false => Asked::Pause { name, pause: self.random.chance(2) },
            };
            return vec![(owner(name, shards), asked)];
        }
        let name = self.random.pick(QUEUES);
        if self.random.below(100) < self.setup.opens {
            let name = self.random.pick(&QUEUES[..self.setup.opened]);
            // As many are put as are opened, some of them by clients that wait.
            let asked = if self.random.chance(4) { Asked::Now(self.put(name)) } else { self.about_open(name) };
            return vec![(owner(name, shards), asked)];
        }
        let op = match self.random.below(100) {
            0..2 => Op::Create { name },
            2..4 => Op::Delete { name },
            // Whether a message is flushed that may be back, would be as uncertain as that.
            4 if self.setup.opens == 0 => Op::Flush { name },
            5 if self.setup.opens == 0 && self.random.chance(4) => {
                return (0..usize::from(shards)).map(|at| (at, Asked::Now(Op::FlushAll))).collect();
            }
            n if n < 6 + self.setup.sets => self.put(name),
            _ => {
                let names = 1 + self.random.below(4);
                let names = (0..names).map(|_| self.random.pick(QUEUES)).collect::<Vec<_>>();
                return names.into_iter().map(|name| (owner(name, shards), Asked::Now(Op::Take { name }))).collect();
            }
        };
        vec![(owner(name, shards), Asked::Now(op))]
    }

    /// Something about open messages of a queue.
    fn about_open(&mut self, name: u8) -> Asked {
        let mut is_of_connection = false;
        let which = match self.random.below(3) {
            0 => Which::Mine,
            1 => Which::Name(self.random.pick(HOLDERS)),
            _ => {
                // One of the last: it may be open still.
                let back = self.random.below(4) as usize;
                let lease = self.leases.iter().rev().filter(|(of, _, _)| *of == name).nth(back);
                let (_, lease, by_connection) = lease.copied().unwrap_or((name, 1, false));
                is_of_connection = by_connection;
                Which::Lease(lease)
            }
        };
        let delay_s = self.random.pick(&[None, Some(0), Some(1), Some(3)]);
        match self.random.below(12) {
            0 => Asked::Peek { name },
            1 if which != Which::Mine => {
                // What a connection holds has no end here: whether it acknowledges what may be back, would be uncertain.
                let lease_s = self.random.pick(if is_of_connection { &[-1, 0] } else { &[-1, 0, 1, 1, 2] });
                Asked::Touch { name, which, lease_s }
            }
            1 | 2 => Asked::End { name, which, fate: Fate::Abort { delay_s } },
            3 => Asked::End { name, which, fate: Fate::Release { delay_s } },
            4..7 => Asked::End { name, which, fate: Fate::Acknowledge },
            _ => Asked::Open(self.open(name)),
        }
    }

    pub(super) fn open(&mut self, name: u8) -> Open {
        let (holder, lease_s) = match self.random.below(4) {
            0 => (Holding::Name(self.random.pick(HOLDERS)), self.random.pick(&[Some(1), Some(2), None])),
            1 => (Holding::Number, self.random.pick(&[Some(1), Some(2), None])),
            _ => (Holding::Connection { max: self.random.pick(&[1, 1, 3]) }, None),
        };
        let close = matches!(holder, Holding::Connection { .. }) && self.random.chance(2);
        Open { name, holder, lease_s, close, until: None }
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
        // A message is known by its flags, which no other has.
        Op::Put { name, flags: self.bodies.wrapping_mul(0x9e37_79b1), body }
    }
}
