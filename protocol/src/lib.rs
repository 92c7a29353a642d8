#![doc = include_str!("../README.md")]

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
