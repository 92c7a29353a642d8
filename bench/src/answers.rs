//! What a server says to a set or a get, in either protocol, and how it is asked.

mod keys;
mod memcache;
mod redis;
pub(crate) mod stock;

use crate::message::{self, Filling, Stamp};
use crate::options::{Arguments, Protocol, Sizes};
use crate::workload::{self, Act, Request};
use keys::Keys;
use stock::Call;

/// More than any answer to a get can have. A server that sends this much without an answer in it sends nonsense.
pub(crate) const ANSWER_BYTES_MAX: usize = 1 << 30;

/// One whole answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Answer<'a> {
    /// The message is in its queue.
    Stored,
    /// The server refuses the message for now.
    Refused,
    /// A get brought a message. The queue is known where the protocol names it.
    Message { queue: Option<&'a [u8]>, body: &'a [u8] },
    /// A get brought nothing.
    Empty,
    /// What was open is done.
    Acknowledged,
    /// What was to be acknowledged is not held any more.
    NotHeld,
    /// The server's words.
    Error(&'a [u8]),
    /// What is no answer to what was asked.
    Nonsense(&'a [u8]),
}

/// Puts requests into bytes, and bytes into answers.
#[derive(Debug)]
pub(crate) struct Dialect {
    protocol: Protocol,
    keys: Keys,
    key_minimum: u32,
    sizes: Sizes,
    filling: Filling,
    /// The run that messages are stamped with, if they are.
    run: Option<u32>,
    /// The end of every set's bytes, where all messages are the same.
    tail: Option<Vec<u8>>,
    /// How redis is asked for a ticket.
    call: Option<Call>,
    scratch: Vec<u8>,
}

impl Dialect {
    pub(crate) fn new(options: &Arguments, run: Option<u32>) -> Dialect {
        let sizes = options.sizes();
        let mut dialect = Dialect {
            protocol: options.protocol,
            keys: Keys::new(options),
            key_minimum: options.key_minimum,
            sizes,
            filling: Filling::new(sizes.max),
            run,
            tail: None,
            call: options.gate.map(|tickets| Call::new(&options.gate_queue(), tickets)),
            scratch: Vec::new(),
        };
        if run.is_none() && sizes.min == sizes.max {
            let mut tail = Vec::new();
            append_body(&mut tail, options.protocol, dialect.filling.text(sizes.max, 0));
            dialect.tail = Some(tail);
        }
        dialect
    }

    /// Appends a request to `out`; the bytes of its message are returned.
    pub(crate) fn append(&mut self, out: &mut Vec<u8>, request: Request, producer: u32) -> usize {
        if let (Protocol::Redis, Act::Join, Some(call)) = (self.protocol, request.act, &self.call) {
            self.scratch.clear();
            keys::append_buyer_name(&mut self.scratch, producer, request.number);
            call.append(out, &self.scratch);
            return 0;
        }
        let mut digits = itoa::Buffer::new();
        let number = digits.format(self.key_minimum + request.queue).as_bytes();
        match self.protocol {
            Protocol::Memcache => self.keys.append(out, request, number, producer),
            Protocol::Redis => redis::append_name(out, request.act.is_set(), self.keys.prefix(), number),
        }
        if !request.act.is_set() {
            return 0;
        }
        if let Some(tail) = &self.tail {
            out.extend_from_slice(tail);
            return self.sizes.max;
        }
        let bytes = workload::size(self.sizes, producer, request.number);
        match self.run {
            Some(run) => {
                let stamp = Stamp { run, producer, queue: request.queue, number: request.number };
                self.scratch.clear();
                message::append(&mut self.scratch, stamp, bytes, &self.filling);
                append_body(out, self.protocol, &self.scratch);
            }
            None => append_body(out, self.protocol, self.filling.text(bytes, request.number)),
        }
        bytes
    }

    /// The first answer in `input` and its length, to a request that does this; None if it is not whole yet.
    pub(crate) fn next<'a>(&self, input: &'a [u8], act: Act) -> Option<(usize, Answer<'a>)> {
        match (self.protocol, act) {
            (Protocol::Memcache, Act::Set) => memcache::to_set(input),
            (Protocol::Memcache, Act::Close | Act::Delete) => memcache::to_acknowledgement(input, act),
            (Protocol::Memcache, _) => memcache::to_get(input),
            (Protocol::Redis, Act::Join) => stock::next(input),
            (Protocol::Redis, _) => redis::next(input, act.is_set()),
        }
    }

    /// Whether a key is the name of the queue at this place, with or without options behind it.
    pub(crate) fn is_name(&self, key: &[u8], queue: u32) -> bool {
        let number = key.strip_prefix(self.keys.prefix());
        let number = number.map(|number| number.split(|byte| *byte == b'/').next().unwrap_or(number));
        let number = number.and_then(|number| std::str::from_utf8(number).ok()?.parse::<u32>().ok());
        number.is_some_and(|number| number.checked_sub(self.key_minimum) == Some(queue))
    }
}

fn append_body(out: &mut Vec<u8>, protocol: Protocol, body: &[u8]) {
    match protocol {
        Protocol::Memcache => out.extend_from_slice(b" 0 0 "),
        Protocol::Redis => out.extend_from_slice(b"$"),
    }
    out.extend_from_slice(itoa::Buffer::new().format(body.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Reading;
    use crate::options::tests::parse;

    const SET: Request = Request { act: Act::Set, queue: 2, number: 5 };
    const GET: Request = Request { act: Act::Get, queue: 9, number: 0 };

    fn asked(line: &str, run: Option<u32>) -> String {
        let mut dialect = Dialect::new(&parse(line).unwrap(), run);
        let mut out = Vec::new();
        dialect.append(&mut out, SET, 1);
        dialect.append(&mut out, GET, 1);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn requests_in_either_protocol() {
        let line = "--key-prefix job --key-minimum 10 -d 4";
        assert_eq!(asked(line, None), "set job12 0 0 4\r\nabcd\r\nget job19\r\n");
        let redis = "*3\r\n$5\r\nRPUSH\r\n$5\r\njob12\r\n$4\r\nabcd\r\n*2\r\n$4\r\nLPOP\r\n$5\r\njob19\r\n";
        assert_eq!(asked(&format!("{line} -P redis"), None), redis);
        assert_eq!(asked("--data-size-range 0-0", None), "set q2 0 0 0\r\n\r\nget q9\r\n");
    }

    #[test]
    fn stamped_requests_carry_their_number() {
        let text = asked("-d 60", Some(7));
        let body = text.strip_prefix("set q2 0 0 60\r\n").unwrap();
        let wanted = Stamp { run: 7, producer: 1, queue: 2, number: 5 };
        assert_eq!(message::read(&body.as_bytes()[..60]), Reading::Whole(wanted));
    }

    #[test]
    fn names_are_known_again() {
        let dialect = Dialect::new(&parse("--key-minimum 10").unwrap(), None);
        assert!(dialect.is_name(b"q12", 2) && !dialect.is_name(b"q13", 2) && !dialect.is_name(b"x12", 2));
        assert!(!dialect.is_name(b"q9", 0));
        assert!(dialect.is_name(b"q12/open/t=5", 2) && !dialect.is_name(b"q12open", 2) && !dialect.is_name(b"q1/2", 2));
    }
}
