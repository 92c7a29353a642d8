//! What the server answers: whole lines, and functions that append to the caller's buffer.

use std::fmt::Display;
use std::io::Write;

use super::number;

/// A set's message is in its queue.
pub const STORED: &[u8] = b"STORED\r\n";
/// A set is refused for now.
pub const NOT_STORED: &[u8] = b"NOT_STORED\r\n";
/// Ends what a get took, statistics, and a flush.
pub const END: &[u8] = b"END\r\n";
/// The queue is gone.
pub const DELETED: &[u8] = b"DELETED\r\n";
/// There is no such queue to delete.
pub const NOT_FOUND: &[u8] = b"NOT_FOUND\r\n";
/// The lease ends at another time now.
pub const TOUCHED: &[u8] = b"TOUCHED\r\n";
/// The connection has as many messages of the queue open as it may, or asks for one for good while it has one open.
pub const CLOSE_CURRENT_ITEM_FIRST: &[u8] = b"CLIENT_ERROR close current item first\r\n";
/// Done.
pub const OK: &[u8] = b"OK\r\n";
/// The counters are zero.
pub const RESET: &[u8] = b"RESET\r\n";
/// See [`Rejection::Error`](crate::Rejection::Error).
pub const ERROR: &[u8] = b"ERROR\r\n";
/// See [`Rejection::BadFormat`](crate::Rejection::BadFormat).
pub const BAD_FORMAT: &[u8] = b"CLIENT_ERROR bad command line format\r\n";
/// See [`Rejection::BadDataChunk`](crate::Rejection::BadDataChunk).
pub const BAD_DATA_CHUNK: &[u8] = b"CLIENT_ERROR bad data chunk\r\n";
/// See [`Rejection::TooLarge`](crate::Rejection::TooLarge).
pub const TOO_LARGE: &[u8] = b"SERVER_ERROR object too large for cache\r\n";
/// See [`Rejection::LineTooLong`](crate::Rejection::LineTooLong).
pub const LINE_TOO_LONG: &[u8] = b"CLIENT_ERROR line too long\r\n";
/// See [`Rejection::BadTime`](crate::Rejection::BadTime). memcached's words.
pub const BAD_TIME: &[u8] = b"CLIENT_ERROR invalid exptime argument\r\n";
/// A buyer has had more time to pay as often as may be.
pub const NO_MORE_TIME: &[u8] = b"CLIENT_ERROR no more time\r\n";
/// A gate cannot tell now, and may later: this says nothing about tickets.
pub const TRY_AGAIN: &[u8] = b"SERVER_ERROR try again\r\n";
/// The server has as many connections as it may; this one is closed.
pub const TOO_MANY_CONNECTIONS: &[u8] = b"SERVER_ERROR too many open connections\r\n";
/// The connection has begun without TLS, which the port takes alone; it is closed.
pub const NEEDS_TLS: &[u8] = b"CLIENT_ERROR this port takes TLS\r\n";
/// The client's address has as many connections as it may; this one is closed.
pub const TOO_MANY_CONNECTIONS_OF_ADDRESS: &[u8] = b"SERVER_ERROR too many open connections from your address\r\n";
/// The client has to log in first. memcached's words, as those of the next two.
pub const UNAUTHENTICATED: &[u8] = b"CLIENT_ERROR unauthenticated\r\n";
/// There is no such user, or it is not the password.
pub const AUTHENTICATION_FAILURE: &[u8] = b"CLIENT_ERROR authentication failure\r\n";
/// The body of a login is no name and password with a blank between them.
pub const BAD_AUTHENTICATION_TOKEN: &[u8] = b"CLIENT_ERROR bad authentication token format\r\n";
/// More logins of the client's address wait than may; this one was not looked at.
pub const TOO_MANY_LOGINS: &[u8] = b"SERVER_ERROR too many logins at once, try again\r\n";
/// The operator has turned flush_all off.
pub const FLUSH_ALL_NOT_ALLOWED: &[u8] = b"CLIENT_ERROR flush_all not allowed\r\n";
/// What was to be dropped is still there, since not even what is set aside on the disk is left to say so.
pub const NO_ROOM: &[u8] = b"SERVER_ERROR out of memory, no room on the disk\r\n";
/// A request over UDP that is more than one datagram.
pub const MULTI_PACKET_REQUEST: &[u8] = b"SERVER_ERROR multi-packet request not supported\r\n";
/// A command whose answer may be of any length, by UDP.
pub const NOT_BY_UDP: &[u8] = b"SERVER_ERROR not allowed by UDP, use TCP\r\n";
/// An answer that takes more datagrams than a request may bring about.
pub const TOO_LONG_FOR_UDP: &[u8] = b"SERVER_ERROR answer too long for UDP, use TCP\r\n";

/// More than a value's line takes beside the queue's name: its words, spaces, three numbers and both line ends.
const VALUE_OVERHEAD_BYTES: usize = 72;

/// Appends a message that a get took, without an end.
#[inline]
pub fn value(out: &mut Vec<u8>, queue: &[u8], flags: u32, body: &[u8]) {
    value_start(out, queue, flags, body);
    value_body(out, body);
}

/// Appends a message that a gets took, without an end.
#[inline]
pub fn value_with_number(out: &mut Vec<u8>, queue: &[u8], flags: u32, number: u64, body: &[u8]) {
    value_start(out, queue, flags, body);
    out.push(b' ');
    number::append(out, number);
    value_body(out, body);
}

#[inline]
fn value_start(out: &mut Vec<u8>, queue: &[u8], flags: u32, body: &[u8]) {
    out.reserve(VALUE_OVERHEAD_BYTES + queue.len() + body.len());
    out.extend_from_slice(b"VALUE ");
    out.extend_from_slice(queue);
    out.push(b' ');
    number::append(out, u64::from(flags));
    out.push(b' ');
    number::append(out, body.len() as u64);
}

#[inline]
fn value_body(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

/// Appends [`END`].
#[inline]
pub fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(END);
}

/// Appends the answer to an incr.
#[inline]
pub fn number(out: &mut Vec<u8>, number: u64) {
    number::append(out, number);
    out.extend_from_slice(b"\r\n");
}

/// Appends one line of statistics.
pub fn stat(out: &mut Vec<u8>, name: impl Display, value: impl Display) {
    append(out, format_args!("STAT {name} {value}\r\n"));
}

/// Appends a queue's line of `stats queue`: how many messages ever went in and came out.
pub fn queue_stat(out: &mut Vec<u8>, queue: &[u8], sets: u64, gets: u64) {
    out.extend_from_slice(b"STAT ");
    out.extend_from_slice(queue);
    out.push(b' ');
    number::append(out, sets);
    out.push(b'/');
    number::append(out, gets);
    out.extend_from_slice(b"\r\n");
}

/// Appends one line of `stats queues`: a figure of a queue.
pub fn queue_figure(out: &mut Vec<u8>, queue: &[u8], figure: &str, value: u64) {
    out.extend_from_slice(b"STAT ");
    out.extend_from_slice(queue);
    out.push(b':');
    out.extend_from_slice(figure.as_bytes());
    out.push(b' ');
    number::append(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Appends the answer to settings of which a word is none.
pub fn bad_config(out: &mut Vec<u8>, word: &[u8]) {
    out.extend_from_slice(b"CLIENT_ERROR bad config ");
    out.extend_from_slice(word);
    out.extend_from_slice(b"\r\n");
}

/// Appends the answer to a command that a user has no right to. `missing`: the word that would give it, as far as the
/// `=`, or the whole of it; `queue`: of which queue.
pub fn not_allowed(out: &mut Vec<u8>, user: &str, missing: &str, queue: &[u8]) {
    append(out, format_args!("CLIENT_ERROR not allowed, user {user} lacks {missing}"));
    out.extend_from_slice(queue);
    out.extend_from_slice(b"\r\n");
}

/// Appends the answer to version.
pub fn version(out: &mut Vec<u8>, version: impl Display) {
    append(out, format_args!("VERSION {version}\r\n"));
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes all that is written, and numbers and strings can be displayed");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Vec<u8>), wanted: &[u8]) {
        let mut out = b"before".to_vec();
        write(&mut out);
        assert_eq!(
            out.strip_prefix(b"before").map(|out| out.escape_ascii().to_string()).as_deref(),
            Some(wanted.escape_ascii().to_string().as_str())
        );
    }

    #[test]
    fn values() {
        check(|out| value(out, b"q", 7, b"a\r\nb"), b"VALUE q 7 4\r\na\r\nb\r\n");
        check(|out| value(out, b"q", 0, b""), b"VALUE q 0 0\r\n\r\n");
        check(
            |out| value_with_number(out, b"q", u32::MAX, u64::MAX, b"x"),
            b"VALUE q 4294967295 1 18446744073709551615\r\nx\r\n",
        );
        check(end, b"END\r\n");
        check(|out| number(out, 100_000_000), b"100000000\r\n");
    }

    #[test]
    fn a_value_never_grows_its_buffer_twice() {
        let mut out = Vec::new();
        value_start(&mut out, &[b'q'; 250], u32::MAX, b"");
        let reserved = out.capacity();
        out.clear();
        value_with_number(&mut out, &[b'q'; 250], u32::MAX, u64::MAX, b"");
        assert_eq!(out.capacity(), reserved);
    }

    #[test]
    fn statistics() {
        check(|out| stat(out, "pid", 17), b"STAT pid 17\r\n");
        check(|out| stat(out, format_args!("core_{}", 1), "x y"), b"STAT core_1 x y\r\n");
        check(|out| queue_stat(out, b"q\xff", 12, 3), b"STAT q\xff 12/3\r\n");
        check(|out| bad_config(out, b"tries=x"), b"CLIENT_ERROR bad config tries=x\r\n");
        check(|out| version(out, "1.0.0"), b"VERSION 1.0.0\r\n");
        check(
            |out| not_allowed(out, "shop", "put=", b"q\xff"),
            b"CLIENT_ERROR not allowed, user shop lacks put=q\xff\r\n",
        );
    }
}
