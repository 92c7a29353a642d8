//! Other protocols, known by their first bytes. Their messages are made of lines too, or have lines in them, which a
//! stranger may have written: a web page can have a browser post `flush_all` to any port of the machine that it runs on.

use memchr::memchr;

use super::LINE_BYTES_MAX;

/// What text protocols begin with, when no newline need come first.
const BEGINNINGS: [&[u8]; 13] = [
    b"SSH-", b"AMQP",   // HAProxy's, before what a client says.
    b"PROXY ", // STOMP, and NATS.
    b"CONNECT", b"STOMP", // NSQ.
    b"  V2",  // A web server's answer.
    b"HTTP/", b"GIOP", // Mail, FTP and chat, whose clients wait for a greeting. Not all of them do.
    b"EHLO ", b"HELO ", b"USER ", b"PASS ", b"NICK ",
];

/// Protocols that have HTTP's request line.
const LIKE_HTTP: [&[u8]; 4] = [b"HTTP", b"RTSP", b"SIP", b"ICAP"];

/// So far a binary protocol is looked for: MongoDB's messages begin with their length, which may look like text.
const BINARY_BYTES: usize = 4;

/// Whether a connection whose first line is the beginning of `input`, as far as it has come, speaks another protocol. More
/// input never takes that back.
pub(crate) fn begins(input: &[u8]) -> bool {
    // A newline that comes too late for any line is not looked at, so that it makes no difference whether it is here.
    let window = &input[..input.len().min(LINE_BYTES_MAX + 1)];
    let newline = memchr(b'\n', window);
    let line = &window[..newline.unwrap_or(window.len())];
    // TLS, memcached's binary protocol, and all others that begin with a number rather than a word.
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\r');
    let is_binary =
        line.first().is_some_and(|byte| !is_text(byte)) || line.iter().take(BINARY_BYTES).any(|it| *it == 0);
    // redis: so many arguments follow.
    let is_array = matches!(line, [b'*', b'0'..=b'9', ..]);
    let is_request = newline.is_some() && {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        version(line).is_some_and(|name| LIKE_HTTP.contains(&name))
    };
    is_binary || is_array || is_request || BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
}

/// Whether a line, without its end, is an HTTP request's, wherever it comes.
#[inline]
pub(crate) fn is_http_request(line: &[u8]) -> bool {
    // Nearly all lines are told by their last two bytes.
    let digit_before_end = matches!(line, [.., b'.' | b'/', b'0'..=b'9'] | [.., b' ']);
    digit_before_end && version(line) == Some(b"HTTP")
}

/// The protocol that a line's last token names with its version, as in `GET / HTTP/1.1`.
fn version(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().rposition(|byte| *byte != b' ')? + 1;
    let start = line[..end].iter().rposition(|byte| *byte == b' ')? + 1;
    let token = &line[start..end];
    let slash = token.iter().position(|byte| *byte == b'/')?;
    let (name, version) = (&token[..slash], &token[slash + 1..]);
    matches!(version, [b'0'..=b'9'] | [b'0'..=b'9', b'.', b'0'..=b'9']).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines() {
        for line in ["GET / HTTP/1.1", "POST /a b HTTP/1.0 ", "set / HTTP/1.1", "PRI * HTTP/2.0", "get q HTTP/2"] {
            assert!(is_http_request(line.as_bytes()), "{line}");
        }
        for line in
            ["", " ", "get q", "set q 0 0 1", "HTTP/1.1", "get q1.1", "get /1.1", "get xHTTP/1.1", "get HTTP/1.1.1"]
        {
            assert!(!is_http_request(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn more_input_never_takes_it_back() {
        for first in ["SSH-2.0-x\r\n", "AMQP\0\0\u{9}\u{1}", "*1\r\n$7\r\nversion\r\n", "PUT / HTTP/1.1\r\n", "ab\0\0"]
        {
            let known: Vec<bool> = (0..=first.len()).map(|end| begins(&first.as_bytes()[..end])).collect();
            assert!(known.is_sorted() && known[first.len()], "{first:?}: {known:?}");
        }
    }
}
