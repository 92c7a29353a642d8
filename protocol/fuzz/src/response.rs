//! Replies: what the server composes comes back as it was, and anything that may come from a server is read in step.

use protocol::reply;
use protocol::response::{self, Response};

use super::allocations;
use super::expand::expand;
use super::reference::Outcome;

/// A message that was put comes back in a value, and a rejection as the error that it is.
pub(crate) fn comes_back(outcome: &Outcome<'_>) {
    match outcome {
        Outcome::Set { queue, flags, exptime, body, .. } => {
            value_comes_back(queue, *flags, body, None);
            value_comes_back(queue, *flags, body, Some(*exptime as u64));
            let mut out = Vec::new();
            reply::queue_stat(&mut out, queue, u64::from(*flags), *exptime as u64);
            let value = format!("{flags}/{}", *exptime as u64);
            assert_eq!(only(&out), Response::Stat { name: queue, value: value.as_bytes() });
        }
        Outcome::Rejected(Some(words)) | Outcome::Closed(Some(words)) => {
            let line = format!("{words}\r\n");
            assert_eq!(only(line.as_bytes()), Response::Error(words.as_bytes()));
        }
        _ => {}
    }
}

fn value_comes_back(queue: &[u8], flags: u32, body: &[u8], number: Option<u64>) {
    let mut out = Vec::new();
    match number {
        Some(number) => reply::value_with_number(&mut out, queue, flags, number, body),
        None => reply::value(&mut out, queue, flags, body),
    }
    assert_eq!(only(&out), Response::Value { queue, flags, body, number });
}

/// The one response in `out`, which is no more than that and not there before its last byte is.
fn only(out: &[u8]) -> Response<'_> {
    assert_eq!(response::next(&out[..out.len() - 1]), None, "{}", out.escape_ascii());
    let (used, response) = response::next(out).expect("it is whole");
    assert_eq!(used, out.len(), "{}", out.escape_ascii());
    response
}

/// Reads what a server might have sent.
pub fn holds(data: &[u8]) {
    let input = expand(data);
    let mut done = 0;
    loop {
        let rest = &input[done..];
        let before = allocations();
        let found = response::next(rest);
        assert_eq!(allocations(), before, "reading a response allocates nothing");
        let Some((used, response)) = found else { break };
        assert!((1..=rest.len()).contains(&used), "{used} of {} bytes", rest.len());
        let (read, rest) = rest.split_at(used);
        check(read, rest, &response);
        // It was not there before all of it was, and what follows changes nothing. Where a value's body does not end
        // as it should, the bytes behind it were needed to tell.
        if !matches!(response, Response::Other(line) if begins_as_value(line)) {
            assert_eq!(response::next(read), Some((used, response)), "without what follows");
            for short in [0, used / 2, used - 1] {
                assert_eq!(response::next(&read[..short]), None, "{}", read[..short].escape_ascii());
            }
        }
        done += used;
    }
    // What is not whole is either a line, or a value whose body is.
    let rest = &input[done..];
    if rest.contains(&b'\n') {
        assert!(begins_as_value(rest), "{}", rest.escape_ascii());
    }
}

/// What a response that was `read` must be.
fn check(read: &[u8], rest: &[u8], response: &Response<'_>) {
    let line_end = read.iter().position(|byte| *byte == b'\n').expect("a response is a line at least");
    let line = read[..line_end].strip_suffix(b"\r").unwrap_or(&read[..line_end]);
    let tokens: Vec<&[u8]> = line.split(|byte| *byte == b' ').filter(|token| !token.is_empty()).collect();
    match *response {
        Response::Value { queue, flags, body, number } => {
            let mut words = vec![flags.to_string(), body.len().to_string()];
            words.extend(number.map(|number| number.to_string()));
            assert_eq!(tokens[..2], [b"VALUE", queue]);
            let numbers = tokens[2..].iter().map(|token| without_zeros(token));
            assert!(numbers.eq(words.iter().map(|word| word.as_bytes())), "{}", line.escape_ascii());
            assert_eq!(&read[line_end + 1..], [body, b"\r\n"].concat());
            value_comes_back(queue, flags, body, number);
        }
        Response::Error(words) | Response::Other(words) => {
            assert_eq!((words, read.len()), (line, line_end + 1));
            if begins_as_value(line) {
                is_nonsense(&tokens, rest);
            }
        }
        Response::Stat { name, value } => {
            assert!(!name.contains(&b' '));
            let with_space = [b"STAT ", name, b" ", value].concat();
            assert!(line == with_space || (value.is_empty() && line == [b"STAT ", name].concat()));
        }
        Response::Stored => assert_eq!(line, b"STORED"),
        Response::NotStored => assert_eq!(line, b"NOT_STORED"),
        Response::End => assert_eq!(line, b"END"),
        Response::Deleted => assert_eq!(line, b"DELETED"),
        Response::NotFound => assert_eq!(line, b"NOT_FOUND"),
        Response::Ok => assert_eq!(line, b"OK"),
    }
}

/// A line that begins as a value, and was not taken for one: its numbers are none, or its body has no end.
fn is_nonsense(tokens: &[&[u8]], rest: &[u8]) {
    let is_number = |token: &&[u8], most: u64| {
        let text = std::str::from_utf8(token).unwrap_or("+").trim_start_matches('0');
        token.iter().all(u8::is_ascii_digit) && (text.is_empty() || text.parse().is_ok_and(|it: u64| it <= most))
    };
    let most = [u32::MAX.into(), u32::MAX.into(), u64::MAX];
    let good = (4..=5).contains(&tokens.len()) && tokens[2..].iter().zip(most).all(|(it, most)| is_number(it, most));
    if good {
        let bytes: usize = std::str::from_utf8(tokens[3]).expect("digits").parse().expect("looked at above");
        assert_ne!(rest.get(bytes..bytes + 2), Some(&b"\r\n"[..]), "that was a value");
    }
}

/// Spaces may come before it.
fn begins_as_value(input: &[u8]) -> bool {
    let line = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.split(|byte| *byte == b' ').find(|token| !token.is_empty()) == Some(b"VALUE")
}

fn without_zeros(token: &[u8]) -> &[u8] {
    let zeros = token.iter().take_while(|byte| **byte == b'0').count();
    &token[zeros.min(token.len() - 1)..]
}
