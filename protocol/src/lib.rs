//! The memcache text protocol as rushq speaks it: bytes to commands, replies to bytes.
//!
//! [`Parser`] turns what a client sent into [`Command`]s that borrow from it, and [`reply`] appends answers to a
//! buffer of the caller's. [`response`] is the other side, for programs that talk to a server,
//! and [`datagram`] the frame of both over UDP.
//!
//! Architecture invariant: nothing here reads, writes or waits, no queue's messages are kept here, and a rejected command
//! allocates nothing, whatever size it claimed.
//!
//! ```
//! use protocol::{Command, Parse, Parser};
//!
//! let mut parser = Parser::new(1024);
//! let input = b"set mail 0 0 5\r\nhello\r\nget mail\r\n";
//! let (used, parsed) = parser.next(input);
//! assert!(matches!(parsed, Parse::Command(Command::Set { queue: b"mail", body: b"hello", .. })));
//! let (_, parsed) = parser.next(&input[used..]);
//! assert!(matches!(parsed, Parse::Command(Command::Get { .. })));
//! ```

mod memcache;

pub use memcache::{
    Command, GET_LINE_BYTES_MAX, LINE_BYTES_MAX, Parse, Parser, Queues, Rejection, datagram, reply, response,
};

/// The longest name that a queue can have, in bytes: memcached's limit for a key.
pub const QUEUE_NAME_BYTES_MAX: usize = 250;

/// Whether a queue can have this name: 1 to [`QUEUE_NAME_BYTES_MAX`] bytes without spaces and control bytes.
#[must_use]
#[inline]
pub fn is_queue_name(name: &[u8]) -> bool {
    // Folded rather than searched, so that the compiler can take many bytes at once.
    let bad = name.iter().fold(false, |found, byte| found | (*byte <= b' ') | (*byte == 0x7f));
    !name.is_empty() && name.len() <= QUEUE_NAME_BYTES_MAX && !bad
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert!(is_queue_name(b"a"));
        assert!(is_queue_name(b"a/b+c:d=1"));
        assert!(is_queue_name("Bücher".as_bytes()));
        assert!(is_queue_name(&[b'q'; 250]));
        assert!(!is_queue_name(&[b'q'; 251]));
        assert!(!is_queue_name(b""));
        for byte in (0..=0x20).chain([0x7f]) {
            assert!(!is_queue_name(&[b'a', byte, b'b']), "{byte:#x}");
        }
    }
}
