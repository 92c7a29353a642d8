//! The buffers that the connections of a shard share: a client that is idle has none of its own.

use std::cell::{RefCell, RefMut};

/// Read from a socket at once.
const READ_BYTES: usize = 64 << 10;
/// Reply buffers that are kept, and how large they may be.
const SPARE_REPLIES: usize = 64;
const SPARE_REPLY_BYTES: usize = 512 << 10;

/// A shard's buffers.
#[derive(Debug)]
pub(super) struct Buffers {
    /// Every connection reads into this one, and has dealt with it before another task runs.
    read: RefCell<Vec<u8>>,
    spare_replies: RefCell<Vec<Vec<u8>>>,
}

impl Default for Buffers {
    fn default() -> Buffers {
        Buffers { read: RefCell::new(vec![0; READ_BYTES]), spare_replies: RefCell::default() }
    }
}

impl Buffers {
    /// The buffer to read into. It is not held across an await.
    pub(super) fn read(&self) -> RefMut<'_, Vec<u8>> {
        self.read.borrow_mut()
    }

    /// A buffer for replies, empty.
    pub(super) fn reply(&self) -> Vec<u8> {
        self.spare_replies.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a buffer for replies back, and keeps it if it is worth that.
    pub(super) fn keep_reply(&self, buffer: Vec<u8>) {
        assert!(buffer.is_empty(), "its replies are sent");
        let mut spare = self.spare_replies.borrow_mut();
        if buffer.capacity() > 0 && buffer.capacity() <= SPARE_REPLY_BYTES && spare.len() < SPARE_REPLIES {
            spare.push(buffer);
        }
    }
}
