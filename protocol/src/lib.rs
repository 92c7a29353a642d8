#![doc = include_str!("../README.md")]

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
