//! Zend_Queue's greeting.
//!
//! Its memcacheQ adapter never finds its queue in `stats queue`, since it expects the form of memcacheQ 0.1. So each PHP
//! process creates the queue by `set <queue> 0 15 14` with the body `creating queue`, takes a message to get rid of that,
//! and throws away what it got: the message at the head. Here that set creates the queue and stores nothing, and the
//! greeting is handed back to the same connection's next get of that queue.

/// What the adapter puts.
pub(crate) const BODY: &[u8] = b"creating queue";
/// The exptime that it puts it with.
const EXPTIME: i64 = 15;
/// Greetings that one connection may have open; more are ordinary messages.
const OPEN_MAX: usize = 16;

/// The queues that a connection has greeted and not yet got.
#[derive(Debug, Default)]
pub(crate) struct Greetings {
    open: Vec<Box<[u8]>>,
}

impl Greetings {
    /// Whether this set is a greeting. Then the caller creates the queue, and the next get gives the greeting back.
    pub(crate) fn greet(&mut self, queue: &[u8], flags: u32, exptime: i64, body: &[u8]) -> bool {
        let greets = exptime == EXPTIME && flags == 0 && body == BODY && self.open.len() < OPEN_MAX;
        if greets {
            self.open.push(queue.into());
        }
        greets
    }

    /// Whether this get takes a greeting back.
    pub(crate) fn take(&mut self, queue: &[u8]) -> bool {
        let found = self.open.iter().position(|open| **open == *queue);
        found.map(|at| self.open.remove(at)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_is_taken_back_once() {
        let mut greetings = Greetings::default();
        assert!(greetings.greet(b"q", 0, 15, BODY));
        assert!(!greetings.take(b"other"));
        assert!(greetings.take(b"q"));
        assert!(!greetings.take(b"q"));
    }

    #[test]
    fn an_ordinary_message_is_no_greeting() {
        let mut greetings = Greetings::default();
        assert!(!greetings.greet(b"q", 0, 0, BODY));
        assert!(!greetings.greet(b"q", 1, 15, BODY));
        assert!(!greetings.greet(b"q", 0, 15, b"creating queues"));
    }

    #[test]
    fn greetings_are_bounded() {
        let mut greetings = Greetings::default();
        let accepted = (0..100).filter(|n: &u32| greetings.greet(&n.to_le_bytes(), 0, 15, BODY)).count();
        assert_eq!(accepted, OPEN_MAX);
    }
}
