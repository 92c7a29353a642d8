//! memcache's text protocol.

use protocol::response::{self, Response};

use super::Answer;
use crate::workload::Act;

pub(super) fn to_set(input: &[u8]) -> Option<(usize, Answer<'_>)> {
    const STORED: &[u8] = b"STORED\r\n";
    if input.starts_with(STORED) {
        return Some((STORED.len(), Answer::Stored));
    }
    let (used, response) = response::next(input)?;
    let answer = match response {
        Response::Stored => Answer::Stored,
        Response::NotStored => Answer::Refused,
        Response::Error(line) => Answer::Error(line),
        _ => Answer::Nonsense(&input[..used]),
    };
    Some((used, answer))
}

/// `act`: a close, or a delete of a name.
pub(super) fn to_acknowledgement(input: &[u8], act: Act) -> Option<(usize, Answer<'_>)> {
    let (used, response) = response::next(input)?;
    let answer = match (response, act) {
        (Response::End, Act::Close) | (Response::Deleted, Act::Delete) => Answer::Acknowledged,
        (Response::NotFound, Act::Delete) => Answer::NotHeld,
        (Response::Error(line), _) => Answer::Error(line),
        _ => Answer::Nonsense(&input[..used]),
    };
    Some((used, answer))
}

pub(super) fn to_get(input: &[u8]) -> Option<(usize, Answer<'_>)> {
    const END: &[u8] = b"END\r\n";
    if input.starts_with(END) {
        return Some((END.len(), Answer::Empty));
    }
    let (used, response) = response::next(input)?;
    match response {
        Response::Value { queue, body, .. } => {
            let rest = &input[used..];
            let message = Answer::Message { queue: Some(queue), body };
            if rest.starts_with(END) {
                return Some((used + END.len(), message));
            }
            match response::next(rest)? {
                (end, Response::End) => Some((used + end, message)),
                (end, _) => Some((used + end, Answer::Nonsense(&rest[..end]))),
            }
        }
        Response::End => Some((used, Answer::Empty)),
        Response::Error(line) => Some((used, Answer::Error(line))),
        _ => Some((used, Answer::Nonsense(&input[..used]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<'a>(queue: &'a [u8], body: &'a [u8]) -> Answer<'a> {
        Answer::Message { queue: Some(queue), body }
    }

    #[test]
    fn answers_to_a_set() {
        for (input, wanted) in [
            (&b"STORED\r\n"[..], Answer::Stored),
            (b"STORED\n", Answer::Stored),
            (b"NOT_STORED\r\n", Answer::Refused),
            (b"SERVER_ERROR no\r\n", Answer::Error(b"SERVER_ERROR no")),
            (b"ERROR\r\n", Answer::Error(b"ERROR")),
            (b"END\r\n", Answer::Nonsense(b"END\r\n")),
            (b"HTTP/1.1 400 Bad Request\r\n", Answer::Nonsense(b"HTTP/1.1 400 Bad Request\r\n")),
        ] {
            assert_eq!(to_set(&[input, b"rest"].concat()), Some((input.len(), wanted)));
            assert!((0..input.len()).all(|len| to_set(&input[..len]).is_none()));
        }
    }

    #[test]
    fn answers_to_an_acknowledgement() {
        for (input, act, wanted) in [
            (&b"END\r\n"[..], Act::Close, Answer::Acknowledged),
            (b"DELETED\r\n", Act::Delete, Answer::Acknowledged),
            (b"NOT_FOUND\r\n", Act::Delete, Answer::NotHeld),
            (b"END\r\n", Act::Delete, Answer::Nonsense(b"END\r\n")),
            (b"NOT_FOUND\r\n", Act::Close, Answer::Nonsense(b"NOT_FOUND\r\n")),
            (b"VALUE q 0 1\r\nx\r\n", Act::Close, Answer::Nonsense(b"VALUE q 0 1\r\nx\r\n")),
            (b"SERVER_ERROR no\r\n", Act::Close, Answer::Error(b"SERVER_ERROR no")),
        ] {
            assert_eq!(to_acknowledgement(&[input, b"rest"].concat(), act), Some((input.len(), wanted)));
            assert!((0..input.len()).all(|len| to_acknowledgement(&input[..len], act).is_none()));
        }
    }

    #[test]
    fn answers_to_a_get() {
        for (input, wanted) in [
            (&b"VALUE q7 0 4\r\nEND\n\r\nEND\r\n"[..], message(b"q7", b"END\n")),
            (b"VALUE q 0 0\r\n\r\nEND\n", message(b"q", b"")),
            (b"END\r\n", Answer::Empty),
            (b"CLIENT_ERROR x\r\n", Answer::Error(b"CLIENT_ERROR x")),
            (b"STORED\r\n", Answer::Nonsense(b"STORED\r\n")),
            (b"VALUE q 0 1\r\nx\r\nSTORED\r\n", Answer::Nonsense(b"STORED\r\n")),
            (b"VALUE q 0 1\r\nx\r\nVALUE q 0 1\r\ny\r\n", Answer::Nonsense(b"VALUE q 0 1\r\ny\r\n")),
        ] {
            assert_eq!(to_get(&[input, b"rest"].concat()), Some((input.len(), wanted)));
            assert!((0..input.len()).all(|len| to_get(&input[..len]).is_none()));
        }
    }
}
