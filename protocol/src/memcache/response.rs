//! What a server said, for programs that talk to one: the load generator, and tests.

use memchr::memchr;

use super::number;
use super::tokens::Tokens;

/// One line of a server's, with the body where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response<'a> {
    /// The message is in its queue.
    Stored,
    /// The server refuses the message for now.
    NotStored,
    /// A message.
    Value {
        /// The queue that it came from.
        queue: &'a [u8],
        /// What the client that set it said.
        flags: u32,
        /// The message.
        body: &'a [u8],
        /// Its number, if a gets took it.
        number: Option<u64>,
    },
    /// One figure.
    Stat {
        /// What it is of.
        name: &'a [u8],
        /// The rest of the line.
        value: &'a [u8],
    },
    /// No more messages, or no more figures.
    End,
    /// The queue is gone.
    Deleted,
    /// There was no such queue.
    NotFound,
    /// Done.
    Ok,
    /// The whole line of an `ERROR`, `CLIENT_ERROR` or `SERVER_ERROR`.
    Error(&'a [u8]),
    /// Any other line, a `VALUE` that makes no sense included.
    Other(&'a [u8]),
}

/// The first response in `input` and its length, or None if it is not whole yet.
#[must_use]
pub fn next(input: &[u8]) -> Option<(usize, Response<'_>)> {
    let newline = memchr(b'\n', input)?;
    let line = &input[..newline];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let used = newline + 1;
    let mut tokens = Tokens::new(line);
    let response = match tokens.next() {
        Some(b"VALUE") => return value(line, tokens, used, input),
        Some(b"STAT") => stat(line),
        Some(b"ERROR" | b"CLIENT_ERROR" | b"SERVER_ERROR") => Response::Error(line),
        Some(word) if word.len() == line.len() => match word {
            b"STORED" => Response::Stored,
            b"NOT_STORED" => Response::NotStored,
            b"END" => Response::End,
            b"DELETED" => Response::Deleted,
            b"NOT_FOUND" => Response::NotFound,
            b"OK" => Response::Ok,
            _ => Response::Other(line),
        },
        _ => Response::Other(line),
    };
    Some((used, response))
}

/// The value whose line is `line`, with `tokens` behind its first word. Its body begins at `start` of `input`.
fn value<'a>(line: &'a [u8], mut tokens: Tokens<'a>, start: usize, input: &'a [u8]) -> Option<(usize, Response<'a>)> {
    let nonsense = Some((start, Response::Other(line)));
    let (Some(queue), Some(flags), Some(bytes)) = (tokens.next(), tokens.next(), tokens.next()) else {
        return nonsense;
    };
    let number = tokens.next().map(number::unsigned);
    let flags = number::unsigned(flags).and_then(|flags| u32::try_from(flags).ok());
    let bytes = number::unsigned(bytes).and_then(|bytes| u32::try_from(bytes).ok());
    let (Some(flags), Some(bytes), false, true) = (flags, bytes, number == Some(None), tokens.is_empty()) else {
        return nonsense;
    };
    let end = start + bytes as usize;
    match input.get(end..end + 2)? {
        b"\r\n" => {
            Some((end + 2, Response::Value { queue, flags, body: &input[start..end], number: number.flatten() }))
        }
        _ => nonsense,
    }
}

fn stat(line: &[u8]) -> Response<'_> {
    let Some(figure) = line.strip_prefix(b"STAT ") else {
        return Response::Other(line);
    };
    match memchr(b' ', figure) {
        Some(space) => Response::Stat { name: &figure[..space], value: &figure[space + 1..] },
        None => Response::Stat { name: figure, value: b"" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_response_is_known_when_whole_and_not_before() {
        let value = |body, number| Response::Value { queue: b"q", flags: 7, body, number };
        for (input, wanted) in [
            (&b"STORED\r\n"[..], Response::Stored),
            (b"NOT_STORED\r\n", Response::NotStored),
            (b"VALUE q 7 4\r\na\r\nb\r\n", value(b"a\r\nb", None)),
            (b"VALUE q 7 0 18446744073709551615\r\n\r\n", value(b"", Some(u64::MAX))),
            (b"STAT q 3/2\r\n", Response::Stat { name: b"q", value: b"3/2" }),
            (b"STAT q \r\n", Response::Stat { name: b"q", value: b"" }),
            (b"END\r\n", Response::End),
            (b"DELETED\r\n", Response::Deleted),
            (b"NOT_FOUND\r\n", Response::NotFound),
            (b"OK\r\n", Response::Ok),
            (b"ERROR\r\n", Response::Error(b"ERROR")),
            (b"SERVER_ERROR out of memory\r\n", Response::Error(b"SERVER_ERROR out of memory")),
            (b"CLIENT_ERROR x\n", Response::Error(b"CLIENT_ERROR x")),
            (b"VERSION 1.0.0\r\n", Response::Other(b"VERSION 1.0.0")),
            (b"END of it\r\n", Response::Other(b"END of it")),
            (b"\r\n", Response::Other(b"")),
        ] {
            let mut longer = input.to_vec();
            longer.extend_from_slice(b"END\r\n");
            assert_eq!(next(&longer), Some((input.len(), wanted)), "{}", input.escape_ascii());
            for len in 0..input.len() {
                assert_eq!(next(&input[..len]), None, "{}", input[..len].escape_ascii());
            }
        }
    }

    #[test]
    fn a_value_that_makes_no_sense_is_no_value() {
        for line in ["VALUE", "VALUE q", "VALUE q 0", "VALUE q x 1", "VALUE q 0 -1", "VALUE q 0 1 x", "VALUE q 0 1 2 3"]
        {
            let input = format!("{line}\r\na\r\n");
            assert_eq!(next(input.as_bytes()), Some((line.len() + 2, Response::Other(line.as_bytes()))));
        }
        assert_eq!(next(b"VALUE q 0 1\r\nabc\r\n"), Some((13, Response::Other(b"VALUE q 0 1"))));
    }
}
