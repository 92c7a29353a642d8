//! What a client of the simulation asks for: a change of a store, or something about messages that wait or are open.

use std::slice;

use shards::{Fate, Moment};
use storage_testing::Op;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Now(Op),
    TakeWait {
        name: u8,
        until: Moment,
    },
    Peek {
        name: u8,
    },
    Pause {
        name: u8,
        pause: bool,
    },
    /// The oldest messages, so many at most.
    Purge {
        name: u8,
        count: u32,
    },
    Open(Open),
    End {
        name: u8,
        which: Which,
        fate: Fate,
    },
    Touch {
        name: u8,
        which: Which,
        lease_s: i64,
    },
}

/// An open, as [`shards::Open`] has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) name: u8,
    pub(crate) holder: Holding,
    pub(crate) lease_s: Option<u32>,
    pub(crate) close: bool,
    pub(crate) until: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holding {
    Connection { max: u32 },
    Name(u8),
    Number,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Mine,
    Name(u8),
    Lease(u64),
}

/// What is got when it is a client's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Take,
    Open(Open),
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
            Asked::Now(_) => unreachable!("no client can ask for it"),
            Asked::TakeWait { name, until } => shards::Op::TakeWait { queue: slice::from_ref(name), until: *until },
            Asked::Peek { name } => shards::Op::Peek { queue: slice::from_ref(name) },
            Asked::Pause { name, pause } => shards::Op::Pause { queue: slice::from_ref(name), pause: *pause },
            Asked::Purge { name, count } => shards::Op::Purge { queue: slice::from_ref(name), after: 0, count: *count },
            Asked::Open(Open { name, holder, lease_s, close, until }) => shards::Op::Open(shards::Open {
                queue: slice::from_ref(name),
                holder: match holder {
                    Holding::Connection { max } => shards::Holding::Connection { max: *max },
                    Holding::Name(name) => shards::Holding::Name(slice::from_ref(name)),
                    Holding::Number => shards::Holding::Number,
                },
                lease_s: *lease_s,
                close: *close,
                until: *until,
            }),
            Asked::End { name, which, fate } => {
                shards::Op::End { queue: slice::from_ref(name), which: which.borrowed(), fate: *fate }
            }
            Asked::Touch { name, which, lease_s } => {
                shards::Op::Touch { queue: slice::from_ref(name), which: which.borrowed(), lease_s: *lease_s }
            }
        }
    }

    /// `None`: that a client leaves is what its shard says, and no client.
    pub(crate) fn owned(op: shards::Op<'_>) -> Option<Asked> {
        Some(match op {
            shards::Op::Put { queue: &[name], flags, body } => Asked::Now(Op::Put { name, flags, body: body.to_vec() }),
            shards::Op::Take { queue: &[name] } => Asked::Now(Op::Take { name }),
            shards::Op::Create { queue: &[name] } => Asked::Now(Op::Create { name }),
            shards::Op::Delete { queue: &[name] } => Asked::Now(Op::Delete { name }),
            shards::Op::Flush { queue: &[name] } => Asked::Now(Op::Flush { name }),
            shards::Op::FlushAll => Asked::Now(Op::FlushAll),
            shards::Op::TakeWait { queue: &[name], until } => Asked::TakeWait { name, until },
            shards::Op::Peek { queue: &[name] } => Asked::Peek { name },
            shards::Op::Pause { queue: &[name], pause } => Asked::Pause { name, pause },
            shards::Op::Purge { queue: &[name], after: 0, count } => Asked::Purge { name, count },
            shards::Op::Open(shards::Open { queue: &[name], holder, lease_s, close, until }) => {
                let holder = match holder {
                    shards::Holding::Connection { max } => Holding::Connection { max },
                    shards::Holding::Name(&[name]) => Holding::Name(name),
                    shards::Holding::Number => Holding::Number,
                    shards::Holding::Name(name) => panic!("no client has the name {name:?}"),
                };
                Asked::Open(Open { name, holder, lease_s, close, until })
            }
            shards::Op::End { queue: &[name], which, fate } => Asked::End { name, which: Which::owned(which), fate },
            shards::Op::Touch { queue: &[name], which, lease_s } => {
                Asked::Touch { name, which: Which::owned(which), lease_s }
            }
            shards::Op::Leave => return None,
            other => panic!("no client has sent {other:?}"),
        })
    }
}

impl Which {
    fn borrowed(&self) -> shards::Which<'_> {
        match self {
            Which::Mine => shards::Which::Mine,
            Which::Name(name) => shards::Which::Name(slice::from_ref(name)),
            Which::Lease(number) => shards::Which::Lease(*number),
        }
    }

    fn owned(which: shards::Which<'_>) -> Which {
        match which {
            shards::Which::Mine => Which::Mine,
            shards::Which::Name(&[name]) => Which::Name(name),
            shards::Which::Lease(number) => Which::Lease(number),
            shards::Which::Name(name) => panic!("no client has the name {name:?}"),
        }
    }
}
