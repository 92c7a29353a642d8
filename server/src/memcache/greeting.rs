//! Zend_Queue's greeting.
//!
//! Its memcacheQ adapter never finds its queue in `stats queue`, since it expects the form of memcacheQ 0.1. So each PHP
//! process creates the queue by `set <queue> 0 15 14` with the body `creating queue`, takes a message to get rid of that,
//! and throws away what it got: the message at the head. Here that set creates the queue and stores nothing, and the
//! greeting is handed back to the same connection's next get of that queue.

/// What the adapter puts.
pub(crate) const BODY: &[u8] = b"creating queue";
/// The exptime that it puts it with. No set with another one is a greeting.
pub(crate) const EXPTIME: i64 = 15;
/// Greetings that one connection may have open; more are ordinary messages.
const OPEN_MAX: usize = 16;

/// The queues that a connection has greeted and not yet got.
#[derive(Debug, Default)]
pub(crate) struct Greetings {
    open: Vec<Box<[u8]>>,
}

impl Greetings {
    /// Whether a set with this and [`EXPTIME`] is a greeting. Then the queue is created, and [`open`](Self::open) follows.
    pub(crate) fn is_greeting(&self, flags: u32, body: &[u8]) -> bool {
        flags == 0 && body == BODY && self.open.len() < OPEN_MAX
    }

    /// Notes that a queue was greeted. The next get of it gives the greeting back.
    pub(crate) fn open(&mut self, queue: &[u8]) {
        self.open.push(queue.into());
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
        assert!(greetings.is_greeting(0, BODY));
        greetings.open(b"q");
        assert!(!greetings.take(b"other"));
        assert!(greetings.take(b"q"));
        assert!(!greetings.take(b"q"));
    }

    #[test]
    fn an_ordinary_message_is_no_greeting() {
        let greetings = Greetings::default();
        assert!(!greetings.is_greeting(1, BODY));
        assert!(!greetings.is_greeting(0, b"creating queues"));
    }

    #[test]
    fn greetings_are_bounded() {
        let mut greetings = Greetings::default();
        for n in 0..OPEN_MAX {
            assert!(greetings.is_greeting(0, BODY));
            greetings.open(&n.to_le_bytes());
        }
        assert!(!greetings.is_greeting(0, BODY));
    }
}
