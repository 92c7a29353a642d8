//! memcached's text protocol: a command's line and body in, a reply's bytes out.

mod act;
mod command;
mod foreign;
mod key;
mod line;
mod number;
mod options;
mod other;
mod parse;
mod rejection;
mod tokens;

pub mod datagram;
pub mod reply;
pub mod response;

pub use act::{Act, Fate, Holder, Which};
pub use command::{Command, Queues};
pub(crate) use key::is_key;
pub use key::{Key, KeyRules, reads_as_name};
pub use options::{KICK_MAX, LEASE_LIMIT, SECONDS_MAX, TOKEN_BYTES_MAX, WAIT_MS_MAX};
pub use parse::{Parse, Parser};
pub use rejection::Rejection;

/// The longest line of any command but get and gets, in bytes without its newline. memcached's limit too.
pub const LINE_BYTES_MAX: usize = 2 * 1024;

/// The longest line of a get or gets, in bytes without its newline: room for some 250 of the longest names.
pub const GET_LINE_BYTES_MAX: usize = 64 * 1024;
