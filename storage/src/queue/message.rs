//! A message that waits, and one that was taken.

use crate::log::Place;
use crate::log::entry::{Seq, State};

/// What the allocator adds to a body, roughly; counted against the memory budget.
const BODY_OVERHEAD_BYTES: usize = 16;

/// A message that was taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its number in its queue.
    pub seq: Seq,
    /// The flags it was put with.
    pub flags: u32,
    /// Its body.
    pub body: Box<[u8]>,
}

/// What a message keeps when it is moved, beside its number, flags and body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// When it was put.
    pub(crate) put_second: Option<u32>,
    pub(crate) state: State,
}

/// A message that waits: where it is in the log, and its body when that is in memory.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) place: Place,
    pub(crate) flags: u32,
    pub(crate) body: Option<Box<[u8]>>,
}

// A message beyond the memory budget costs this, and nothing else.
const _: () = assert!(size_of::<Message>() == 32);

impl Message {
    /// What the body counts against the memory budget; 0 when it is not in memory.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.body.as_ref().map_or(0, |body| resident_bytes(body.len()))
    }
}

/// What a body of this size counts against the memory budget.
pub(crate) fn resident_bytes(body_bytes: usize) -> usize {
    body_bytes + BODY_OVERHEAD_BYTES
}
