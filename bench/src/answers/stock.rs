//! What stands for a gate in redis: a stock, the buyers with their seats, and a list for the queue, all changed by one
//! script, as people write it.

use std::io::Write;

use memchr::memchr;

use super::Answer;

/// Looks the buyer up, then the stock. It answers with the seat, or 0.
pub(crate) const SCRIPT: &str = include_str!("gate.lua");
/// The script's digest, by which it is called.
pub(crate) const DIGEST: &str = "07dff1fc188312af6f9770af042ccb6822c1ddb1";

/// The keys of the gate of a queue, in the order in which the script takes them: the stock, the buyers, the list.
pub(crate) fn keys(queue: &str) -> [String; 3] {
    [format!("{queue}:stock"), format!("{queue}:buyers"), queue.to_string()]
}

/// A command and its words.
pub(crate) fn append(out: &mut Vec<u8>, words: &[&[u8]]) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(out, "${}\r\n", word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// What stands before the buyer in each call of the script, and what behind.
#[derive(Debug)]
pub(super) struct Call {
    before: Vec<u8>,
    behind: Vec<u8>,
}

impl Call {
    pub(super) fn new(queue: &str, tickets: u32) -> Call {
        let [stock, buyers, list] = keys(queue);
        let words = ["EVALSHA", DIGEST, "3", &stock, &buyers, &list];
        let mut before = Vec::new();
        append(&mut before, &words.map(str::as_bytes));
        // The buyer and the tickets are two words more.
        before[1] = b'8';
        let mut behind = Vec::new();
        append(&mut behind, &[tickets.to_string().as_bytes()]);
        Call { before, behind: behind.split_off(b"*1\r\n".len()) }
    }

    pub(super) fn append(&self, out: &mut Vec<u8>, buyer: &[u8]) {
        out.extend_from_slice(&self.before);
        let mut digits = itoa::Buffer::new();
        for part in [b"$", digits.format(buyer.len()).as_bytes(), b"\r\n", buyer, b"\r\n", &self.behind] {
            out.extend_from_slice(part);
        }
    }
}

/// The answer to a call: the seat as a message, or none.
pub(super) fn next(input: &[u8]) -> Option<(usize, Answer<'_>)> {
    let used = memchr(b'\n', input)? + 1;
    let line = input[..used].strip_suffix(b"\r\n").unwrap_or(&input[..used]);
    let answer = match line.split_first() {
        Some((b':', b"0")) => Answer::Empty,
        Some((b':', seat)) => Answer::Message { queue: None, body: seat },
        Some((b'-', words)) => Answer::Error(words),
        _ => Answer::Nonsense(line),
    };
    Some((used, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_names_the_script_the_keys_the_buyer_and_the_tickets() {
        let mut out = Vec::new();
        Call::new("q0", 100).append(&mut out, b"0-17");
        let words = ["EVALSHA", DIGEST, "3", "q0:stock", "q0:buyers", "q0", "0-17", "100"];
        let mut whole = Vec::new();
        append(&mut whole, &words.map(str::as_bytes));
        assert_eq!(out.escape_ascii().to_string(), whole.escape_ascii().to_string());
    }

    #[test]
    fn answers_to_a_call() {
        for (input, wanted) in [
            (&b":17\r\n"[..], Answer::Message { queue: None, body: b"17" }),
            (b":0\r\n", Answer::Empty),
            (b"-LOADING x\r\n", Answer::Error(b"LOADING x")),
            (b"+OK\r\n", Answer::Nonsense(b"+OK")),
        ] {
            assert_eq!(next(&[input, b"rest"].concat()), Some((input.len(), wanted)));
            assert!((0..input.len()).all(|len| next(&input[..len]).is_none()));
        }
    }
}
