#![doc = include_str!("../README.md")]

mod memcache;

pub use memcache::{
    Act, Command, Fate, GET_LINE_BYTES_MAX, Holder, KICK_MAX, Key, KeyRules, LEASE_LIMIT, LINE_BYTES_MAX, Parse,
    Parser, Queues, Rejection, SECONDS_MAX, TOKEN_BYTES_MAX, WAIT_MS_MAX, Which, datagram, reads_as_name, reply,
    response,
};

/// The longest name that a queue can have, in bytes: memcached's limit for a key.
pub const QUEUE_NAME_BYTES_MAX: usize = 250;

/// Whether a queue can have this name: 1 to [`QUEUE_NAME_BYTES_MAX`] bytes without spaces and control bytes.
#[must_use]
#[inline]
pub fn is_queue_name(name: &[u8]) -> bool {
    memcache::is_key(name)
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
