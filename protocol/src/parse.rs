//! From a connection's input to commands, however the input is cut.

use memchr::memchr;

use crate::command::{Command, without_end};
use crate::line::{Line, understand};
use crate::rejection::Rejection;
use crate::{GET_LINE_BYTES_MAX, LINE_BYTES_MAX};

/// The first byte of a request in memcached's binary protocol.
const BINARY_REQUEST: u8 = 0x80;

/// What was found at the start of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parse<'a> {
    /// A whole command.
    Command(Command<'a>),
    /// Nothing can be decided until more input comes. Some input may be done with nevertheless.
    ///
    /// What is not done with, and must be there again in front of the new input, is never more than a line, a body
    /// of the size the parser was made for, and its `\r\n`.
    Incomplete,
    /// Bad input; the connection stays in step. None: the client asked for no reply.
    Rejected(Option<Rejection>),
    /// Bad input after which the connection must be closed, and the parser be dropped. None: there is no reply that
    /// the client would understand.
    Close(Option<Rejection>),
}

/// Parses one connection's input.
#[derive(Debug)]
pub struct Parser {
    state: State,
    body_bytes_max: usize,
}

/// What the next byte of input is.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The first of a command's line.
    Line,
    /// One of a body that nobody wants, with `left` bytes before its `\r\n`. Then the rejection is due.
    Swallow { left: usize, then: Option<Rejection> },
    /// One of a line that nobody wants: it goes with its newline, however long it is.
    SkipLine,
}

impl Parser {
    /// A parser that lets bodies of up to `body_bytes_max` bytes through.
    pub fn new(body_bytes_max: usize) -> Parser {
        Parser { state: State::Line, body_bytes_max }
    }

    /// Whether no body and no line is being skipped: the next byte of input is a command's first.
    #[must_use]
    pub fn is_between_commands(&self) -> bool {
        matches!(self.state, State::Line)
    }

    /// Parses the next command at the start of `input`. Returns how many bytes are done with, and what they were.
    ///
    /// After [`Parse::Incomplete`] there is no use in a call without more input. Anything else is at least a byte.
    #[inline]
    pub fn next<'a>(&mut self, input: &'a [u8]) -> (usize, Parse<'a>) {
        match self.state {
            State::Line => self.line(input),
            State::Swallow { left, then } => self.swallow(input, left, then),
            State::SkipLine => self.skip_line(input),
        }
    }

    #[inline]
    fn line<'a>(&mut self, input: &'a [u8]) -> (usize, Parse<'a>) {
        if input.first() == Some(&BINARY_REQUEST) {
            return (input.len(), Parse::Close(None));
        }
        let is_get = input.starts_with(b"get ") || input.starts_with(b"gets ");
        let line_bytes_max = if is_get { GET_LINE_BYTES_MAX } else { LINE_BYTES_MAX };
        // A newline that comes too late is not looked at, so that it makes no difference whether it is here already.
        let window = &input[..input.len().min(line_bytes_max + 1)];
        let Some(newline) = memchr(b'\n', window) else {
            return if input.len() > line_bytes_max {
                (input.len(), Parse::Close(Some(Rejection::LineTooLong)))
            } else {
                (0, Parse::Incomplete)
            };
        };
        let used = newline + 1;
        let (line, end_bytes) = without_end(&input[..used]);
        match understand(line, end_bytes) {
            Line::Whole(command) => (used, Parse::Command(command)),
            Line::Rejected(rejection) => (used, Parse::Rejected(rejection)),
            Line::RejectedWithBody { body_bytes, then } => self.begin_swallow(input, used, body_bytes, then),
            Line::Set { body_bytes, noreply, .. } if body_bytes > self.body_bytes_max => {
                self.begin_swallow(input, used, body_bytes, (!noreply).then_some(Rejection::TooLarge))
            }
            Line::Set { queue, flags, exptime, body_bytes, noreply } => match body_end(&input[used..], body_bytes) {
                BodyEnd::Good => {
                    let body = &input[used..used + body_bytes];
                    let command = Command::Set { queue, flags, exptime, body, noreply };
                    (used + body_bytes + 2, Parse::Command(command))
                }
                BodyEnd::NotYet => (0, Parse::Incomplete),
                BodyEnd::Bad => {
                    self.state = State::SkipLine;
                    (used + body_bytes, Parse::Rejected((!noreply).then_some(Rejection::BadDataChunk)))
                }
            },
        }
    }

    /// A body of no use follows the first `used` bytes of `input`.
    #[cold]
    fn begin_swallow<'a>(
        &mut self,
        input: &'a [u8],
        used: usize,
        body_bytes: usize,
        then: Option<Rejection>,
    ) -> (usize, Parse<'a>) {
        let (more, parse) = self.swallow(&input[used..], body_bytes, then);
        (used + more, parse)
    }

    #[cold]
    fn swallow<'a>(&mut self, input: &'a [u8], left: usize, then: Option<Rejection>) -> (usize, Parse<'a>) {
        match body_end(input, left) {
            BodyEnd::Good => {
                self.state = State::Line;
                (left + 2, Parse::Rejected(then))
            }
            BodyEnd::NotYet => {
                let used = left.min(input.len());
                self.state = State::Swallow { left: left - used, then };
                (used, Parse::Incomplete)
            }
            BodyEnd::Bad => {
                // At least one byte goes, so that a caller may take no progress for the end of its input.
                self.state = if input[left] == b'\n' { State::Line } else { State::SkipLine };
                (left + 1, Parse::Rejected(then))
            }
        }
    }

    #[cold]
    fn skip_line<'a>(&mut self, input: &'a [u8]) -> (usize, Parse<'a>) {
        let Some(newline) = memchr(b'\n', input) else {
            return (input.len(), Parse::Incomplete);
        };
        self.state = State::Line;
        let used = newline + 1;
        let (more, parse) = self.line(&input[used..]);
        (used + more, parse)
    }
}

/// What stands behind a body.
enum BodyEnd {
    /// Its `\r\n`.
    Good,
    /// Not enough to tell.
    NotYet,
    /// Something else.
    Bad,
}

#[inline]
fn body_end(input: &[u8], body_bytes: usize) -> BodyEnd {
    match input.get(body_bytes..) {
        Some([b'\r', b'\n', ..]) => BodyEnd::Good,
        None | Some([] | [b'\r']) => BodyEnd::NotYet,
        Some(_) => BodyEnd::Bad,
    }
}
