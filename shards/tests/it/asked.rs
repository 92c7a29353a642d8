//! What a client of the simulation asks for: a change of a store, or a take that waits.

use std::slice;

use shards::Moment;
use storage_testing::Op;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Now(Op),
    TakeWait { name: u8, until: Moment },
}

impl Asked {
    pub(crate) fn borrowed(&self) -> shards::Op<'_> {
        match self {
            Asked::Now(Op::Put { name, flags, body }) => {
                shards::Op::Put { queue: slice::from_ref(name), flags: *flags, body }
            }
            Asked::Now(Op::Take { name }) => shards::Op::Take { queue: slice::from_ref(name) },
            Asked::Now(Op::Create { name }) => shards::Op::Create { queue: slice::from_ref(name) },
            Asked::Now(Op::Delete { name }) => shards::Op::Delete { queue: slice::from_ref(name) },
            Asked::Now(Op::Flush { name }) => shards::Op::Flush { queue: slice::from_ref(name) },
            Asked::Now(Op::FlushAll) => shards::Op::FlushAll,
            Asked::Now(Op::TakeMessage { .. } | Op::Tell { .. }) => unreachable!("no client can ask for it"),
            Asked::TakeWait { name, until } => shards::Op::TakeWait { queue: slice::from_ref(name), until: *until },
        }
    }

    /// `None`: that a client leaves is what its shard says, and no client.
    pub(crate) fn owned(op: shards::Op<'_>) -> Option<Asked> {
        Some(Asked::Now(match op {
            shards::Op::Put { queue: &[name], flags, body } => Op::Put { name, flags, body: body.to_vec() },
            shards::Op::Take { queue: &[name] } => Op::Take { name },
            shards::Op::TakeWait { queue: &[name], until } => return Some(Asked::TakeWait { name, until }),
            shards::Op::Leave => return None,
            shards::Op::Create { queue: &[name] } => Op::Create { name },
            shards::Op::Delete { queue: &[name] } => Op::Delete { name },
            shards::Op::Flush { queue: &[name] } => Op::Flush { name },
            shards::Op::FlushAll => Op::FlushAll,
            other => panic!("no client has sent {other:?}"),
        }))
    }
}
