//! What a client asks for.

use std::io::Write;

use crate::options::Options;

/// A command that was sent, and the number of its queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Asked {
    Set,
    Get(u64),
}

/// One client's commands. Its sets walk through the queues, and its gets follow them on the same way, so that with as
/// many gets as sets the queues neither fill up nor run dry.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    options: &'a Options,
    body: &'a [u8],
    /// The place in the ratio's round of sets and gets.
    turn: u64,
    next_set: u64,
    next_get: u64,
}

impl<'a> Load<'a> {
    /// `client` of `clients` begins at its own place, so that not all are at the same queue.
    pub(crate) fn new(options: &'a Options, body: &'a [u8], client: usize, clients: usize) -> Self {
        let start = (u128::from(options.queues) * client as u128 / clients as u128) as u64;
        Load { options, body, turn: 0, next_set: start, next_get: start }
    }

    /// Appends the next command to `out`.
    pub(crate) fn append(&mut self, out: &mut Vec<u8>) -> Asked {
        let Options { ratio, queues, key_prefix, .. } = self.options;
        let (sets, gets) = (u64::from(ratio.sets), u64::from(ratio.gets));
        let is_set = self.turn < sets;
        self.turn = (self.turn + 1) % (sets + gets);
        let next = if is_set { &mut self.next_set } else { &mut self.next_get };
        let queue = *next;
        *next = (queue + 1) % queues;
        let written = if is_set {
            write!(out, "set {key_prefix}{queue} 0 0 {}\r\n", self.body.len())
        } else {
            write!(out, "get {key_prefix}{queue}\r\n")
        };
        written.expect("a Vec takes all that is written");
        if is_set {
            out.extend_from_slice(self.body);
            out.extend_from_slice(b"\r\n");
            return Asked::Set;
        }
        Asked::Get(queue)
    }

    /// Whether a queue of this number has this name.
    pub(crate) fn is_name(&self, name: &[u8], queue: u64) -> bool {
        let number = name.strip_prefix(self.options.key_prefix.as_bytes());
        number.and_then(|number| std::str::from_utf8(number).ok()?.parse().ok()) == Some(queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::parse;

    #[test]
    fn gets_follow_sets_through_the_queues() {
        let options = parse("--ratio 2:1 --queues 3").unwrap();
        let mut load = Load::new(&options, b"body", 1, 3);
        let mut out = Vec::new();
        let asked: Vec<Asked> = (0..6).map(|_| load.append(&mut out)).collect();
        assert_eq!(asked, [Asked::Set, Asked::Set, Asked::Get(1), Asked::Set, Asked::Set, Asked::Get(2)]);
        let set = |queue| format!("set q{queue} 0 0 4\r\nbody\r\n");
        let wanted = [set(1), set(2), String::from("get q1\r\n"), set(0), set(1), String::from("get q2\r\n")];
        assert_eq!(out, wanted.concat().into_bytes());
        assert!(load.is_name(b"q1", 1) && !load.is_name(b"q1", 2) && !load.is_name(b"x1", 1));
    }
}
