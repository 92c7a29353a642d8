//! The lines of requests in memcache's text protocol: a queue's name, and what is wanted of it.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::options::Arguments;
use crate::workload::{Act, Request};

/// What is put around a queue's number.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: Vec<u8>,
    /// Behind the name of a get or an open, with the line's end.
    waits: Vec<u8>,
    /// Between the slash of an open under a name and the line's end.
    lease: Vec<u8>,
    /// What makes the names of opens differ from those of other threads and runs.
    tag: u32,
}

impl Keys {
    pub(super) fn new(options: &Arguments) -> Keys {
        let waits = options.wait.map_or_else(String::new, |ms| format!("/t={ms}"));
        let lease = options.lease_s().map_or_else(String::new, |seconds| format!("/for={seconds}"));
        Keys {
            prefix: options.key_prefix.clone().into_bytes(),
            waits: format!("{waits}\r\n").into_bytes(),
            lease: lease.into_bytes(),
            tag: tag(),
        }
    }

    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Appends a request's line; that of a set up to its queue's name.
    pub(super) fn append(&self, out: &mut Vec<u8>, request: Request, number: &[u8], producer: u32) {
        let verb: &[u8] = match request.act {
            Act::Set => b"set ",
            Act::Delete => b"delete ",
            _ => b"get ",
        };
        for part in [verb, &self.prefix, number] {
            out.extend_from_slice(part);
        }
        match request.act {
            Act::Set => {}
            Act::Get => out.extend_from_slice(&self.waits),
            Act::Open => append(out, b"/open", &self.waits),
            Act::Close => append(out, b"/close", b"\r\n"),
            Act::CloseOpen => append(out, b"/close/open", &self.waits),
            Act::OpenNamed => {
                self.append_name(out, b"/open/as=", producer, request.number);
                append(out, &self.lease, &self.waits);
            }
            Act::Delete => {
                self.append_name(out, b"/as=", producer, request.number);
                out.extend_from_slice(b"\r\n");
            }
            Act::Join => append_buyer(out, b"/ticket=", producer, request.number),
            Act::Pay => append_buyer(out, b"/paid=", producer, request.number),
        }
    }

    fn append_name(&self, out: &mut Vec<u8>, option: &[u8], producer: u32, number: u64) {
        out.extend_from_slice(option);
        // Writing to a vector cannot fail.
        let _ = write!(out, "{:x}-{producer}-{number}", self.tag);
    }
}

fn append_buyer(out: &mut Vec<u8>, option: &[u8], producer: u32, number: u64) {
    out.extend_from_slice(option);
    append_buyer_name(out, producer, number);
    out.extend_from_slice(b"\r\n");
}

fn append(out: &mut Vec<u8>, option: &[u8], rest: &[u8]) {
    out.extend_from_slice(option);
    out.extend_from_slice(rest);
}

/// The name under which a buyer asks for a ticket.
pub(super) fn append_buyer_name(out: &mut Vec<u8>, producer: u32, number: u64) {
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(producer).as_bytes());
    out.push(b'-');
    out.extend_from_slice(digits.format(number).as_bytes());
}

/// A number that no other thread's names are likely to have.
fn tag() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&since.as_nanos().to_le_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::parse;

    fn lines(line: &str, acts: &[Act]) -> String {
        let keys = Keys { tag: 0xab, ..Keys::new(&parse(line).unwrap()) };
        let mut out = Vec::new();
        acts.iter().for_each(|act| keys.append(&mut out, Request { act: *act, queue: 1, number: 7 }, b"1", 3));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_way_to_acknowledge_has_its_lines() {
        assert_eq!(lines("", &[Act::Open, Act::Close, Act::Get]), "get q1/open\r\nget q1/close\r\nget q1\r\n");
        assert_eq!(lines("", &[Act::CloseOpen, Act::Set]), "get q1/close/open\r\nset q1");
        let named = [Act::OpenNamed, Act::Delete];
        assert_eq!(lines("", &named), "get q1/open/as=ab-3-7\r\ndelete q1/as=ab-3-7\r\n");
        let killed = "--reliable named --producers 1 --consumers 2 --kill-consumers 50 --wait 20";
        assert_eq!(lines(killed, &named), "get q1/open/as=ab-3-7/for=2/t=20\r\ndelete q1/as=ab-3-7\r\n");
    }

    #[test]
    fn buyers_have_names() {
        let wanted = "get q1/ticket=3-7\r\nget q1/paid=3-7\r\n";
        assert_eq!(lines("--gate 5 --buyers 9", &[Act::Join, Act::Pay]), wanted);
    }

    #[test]
    fn consumers_wait() {
        let wait = "--consumers 1 --wait 500";
        let wanted = "get q1/t=500\r\nget q1/open/t=500\r\nget q1/close/open/t=500\r\nget q1/close\r\n";
        assert_eq!(lines(wait, &[Act::Get, Act::Open, Act::CloseOpen, Act::Close]), wanted);
    }
}
