//! Why a command is not carried out.

use super::reply;

/// What is wrong with a client's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// No such command, or not with so many words.
    Error,
    /// A queue's name or a number is none.
    BadFormat,
    /// A body does not end where its command says, or is said to have less than no bytes.
    BadDataChunk,
    /// A body is larger than the server takes.
    TooLarge,
    /// A line has no end in sight.
    LineTooLong,
    /// More time to pay is less than none.
    BadTime,
}

impl Rejection {
    /// The line to answer.
    #[must_use]
    pub fn reply(self) -> &'static [u8] {
        match self {
            Rejection::Error => reply::ERROR,
            Rejection::BadFormat => reply::BAD_FORMAT,
            Rejection::BadDataChunk => reply::BAD_DATA_CHUNK,
            Rejection::TooLarge => reply::TOO_LARGE,
            Rejection::LineTooLong => reply::LINE_TOO_LONG,
            Rejection::BadTime => reply::BAD_TIME,
        }
    }
}
