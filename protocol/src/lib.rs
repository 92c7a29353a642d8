//! The memcache text protocol as rushq speaks it: bytes to commands, replies to bytes.
//!
//! [`Parser`] turns what a client sent into [`Command`]s that borrow from it, and [`reply`] appends answers to a
//! buffer of the caller's. [`response`] is the other side, for programs that talk to a server.
//!
//! Architecture invariant: nothing here reads, writes or waits, nothing here knows what a queue holds, and a command
//! that is rejected allocates nothing, whatever it claimed.
//!
//! ```
//! use protocol::{Command, Parse, Parser};
//!
//! let mut parser = Parser::new(1024);
//! let input = b"set mail 0 0 5\r\nhello\r\nget mail\r\n";
//! let (used, parsed) = parser.next(input);
//! assert!(matches!(parsed, Parse::Command(Command::Set { queue: b"mail", body: b"hello", .. })));
//! let (_, parsed) = parser.next(&input[used..]);
//! assert!(matches!(parsed, Parse::Command(Command::Get { .. })));
//! ```

mod command;
mod line;
mod number;
mod other;
mod parse;
mod rejection;
mod tokens;

pub mod reply;
pub mod response;

pub use command::{Command, Queues};
pub use parse::{Parse, Parser};
pub use rejection::Rejection;

/// The longest name that a queue can have: memcached's limit for a key.
pub const QUEUE_NAME_BYTES_MAX: usize = 250;

/// Whether a queue can have this name: 1 to [`QUEUE_NAME_BYTES_MAX`] bytes without spaces and control bytes.
#[must_use]
pub fn is_queue_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.contains(&b' ') && tokens::is_queue_name(name)
}

/// The longest line of any command but get and gets, without its newline. memcached's limit too.
pub const LINE_BYTES_MAX: usize = 2 * 1024;

/// The longest line of a get or gets, without its newline: room for some 250 of the longest names.
pub const GET_LINE_BYTES_MAX: usize = 64 * 1024;
