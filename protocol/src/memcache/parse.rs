//! From a connection's input to commands, however the input is cut.

use memchr::memchr;

use super::command::{Command, without_end};
use super::key::KeyRules;
use super::line::{Line, SetTo, understand};
use super::other;
use super::rejection::Rejection;
use super::{GET_LINE_BYTES_MAX, LINE_BYTES_MAX};

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
    /// Of a get's line.
    get_line_bytes_max: usize,
    rules: KeyRules,
}

/// What the next byte of input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The first of the connection's first line that is not empty.
    First,
    /// The first of a command's line.
    Line,
    /// One of a body that is thrown away, `left` bytes before its end. The rejection is due behind it.
    Swallow { left: usize, end: End, then: Option<Rejection> },
    /// One of a line that is thrown away with its newline, however long it is.
    SkipLine,
}

impl Parser {
    /// A parser that lets bodies of up to `body_bytes_max` bytes through, of keys with options and children.
    #[must_use]
    pub fn new(body_bytes_max: usize) -> Parser {
        Parser::with_rules(body_bytes_max, KeyRules::default())
    }

    /// A parser that lets bodies of up to `body_bytes_max` bytes through.
    #[must_use]
    pub fn with_rules(body_bytes_max: usize, rules: KeyRules) -> Parser {
        Parser { state: State::First, body_bytes_max, get_line_bytes_max: GET_LINE_BYTES_MAX, rules }
    }

    /// A parser for what comes before a login: lines of up to [`LINE_BYTES_MAX`] bytes, those of a get too, and
    /// keys without options and children. What it holds back is never more than such a line, a body
    /// of `body_bytes_max` bytes, and its `\r\n`.
    ///
    /// ```
    /// use protocol::{Command, Parse, Parser};
    ///
    /// let (_, parsed) = Parser::for_login(320).next(b"set a/open 0 0 9\r\nuser pass\r\n");
    /// assert!(matches!(parsed, Parse::Command(Command::Set { body: b"user pass", .. })));
    /// ```
    #[must_use]
    pub fn for_login(body_bytes_max: usize) -> Parser {
        let rules = KeyRules { options: false, fanout: false };
        Parser { get_line_bytes_max: LINE_BYTES_MAX, ..Parser::with_rules(body_bytes_max, rules) }
    }

    /// Has the parser go on behind a login, with bodies of up to `body_bytes_max` bytes.
    pub fn logged_in(&mut self, body_bytes_max: usize, rules: KeyRules) {
        (self.body_bytes_max, self.get_line_bytes_max, self.rules) = (body_bytes_max, GET_LINE_BYTES_MAX, rules);
    }

    /// Whether no body and no line is being skipped: the next byte of input is a command's first.
    #[must_use]
    pub fn is_between_commands(&self) -> bool {
        matches!(self.state, State::First | State::Line)
    }

    /// Parses the next command at the start of `input`. Returns how many bytes are done with, and what they were.
    ///
    /// After [`Parse::Incomplete`] there is no use in a call without more input. Anything else is at least a byte.
    #[must_use]
    #[inline]
    pub fn next<'a>(&mut self, input: &'a [u8]) -> (usize, Parse<'a>) {
        match self.state {
            State::Line => self.line(input),
            State::First => self.first(input),
            State::Swallow { left, end, then } => self.swallow(input, left, end, then),
            State::SkipLine => self.skip_line(input),
        }
    }

    /// The beginning of a connection may be that of another protocol. An empty line is no protocol's beginning.
    #[cold]
    fn first<'a>(&mut self, input: &'a [u8]) -> (usize, Parse<'a>) {
        if other::begins(input) {
            return (input.len(), Parse::Close(None));
        }
        let (used, parse) = self.line(input);
        let is_empty = input[..used].iter().all(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
        if self.state == State::First && !is_empty {
            self.state = State::Line;
        }
        (used, parse)
    }

    #[inline]
    fn line<'a>(&mut self, input: &'a [u8]) -> (usize, Parse<'a>) {
        if input.first() == Some(&BINARY_REQUEST) {
            return (input.len(), Parse::Close(None));
        }
        let line_bytes_max = if is_get(input) { self.get_line_bytes_max } else { LINE_BYTES_MAX };
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
        if other::is_http_request(line) {
            return (input.len(), Parse::Close(None));
        }
        let end = if end_bytes == 1 { End::Newline } else { End::ReturnNewline };
        match understand(line, end_bytes, self.rules) {
            Line::Whole(command) => (used, Parse::Command(command)),
            Line::Rejected(rejection) => (used, Parse::Rejected(rejection)),
            Line::RejectedWithBody { body_bytes, then } => self.begin_swallow(input, used, body_bytes, end, then),
            Line::RejectedWithBodyOfUnknownSize(rejection) => (input.len(), Parse::Close(rejection)),
            Line::Set { body_bytes, noreply, .. } if body_bytes > self.body_bytes_max => {
                self.begin_swallow(input, used, body_bytes, end, (!noreply).then_some(Rejection::TooLarge))
            }
            Line::Set { to, flags, exptime, body_bytes, noreply } => match end.behind(&input[used..], body_bytes) {
                BodyEnd::Good { bytes } => {
                    let body = &input[used..used + body_bytes];
                    let command = match to {
                        SetTo::Queue(queue) => Command::Set { queue, flags, exptime, body, noreply },
                        SetTo::Key { key, delay_s, id } => {
                            Command::SetWith { key, flags, exptime, body, delay_s, id, noreply }
                        }
                        SetTo::Config(key) => Command::Configure { key, words: body, noreply },
                        SetTo::Ticket { key, buyer } => {
                            Command::Join { key, buyer, message: Some((flags, body)), noreply }
                        }
                    };
                    (used + body_bytes + bytes, Parse::Command(command))
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
        end: End,
        then: Option<Rejection>,
    ) -> (usize, Parse<'a>) {
        let (more, parse) = self.swallow(&input[used..], body_bytes, end, then);
        (used + more, parse)
    }

    #[cold]
    fn swallow<'a>(&mut self, input: &'a [u8], left: usize, end: End, then: Option<Rejection>) -> (usize, Parse<'a>) {
        match end.behind(input, left) {
            BodyEnd::Good { bytes } => {
                self.state = State::Line;
                (left + bytes, Parse::Rejected(then))
            }
            BodyEnd::NotYet => {
                let used = left.min(input.len());
                self.state = State::Swallow { left: left - used, end, then };
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

/// Whether a line is a get's or a gets', which may be longer than others.
#[inline]
fn is_get(input: &[u8]) -> bool {
    match input {
        [g, e, t, b' ', ..] | [g, e, t, b's' | b'S', b' ', ..] => [g, e, t].map(u8::to_ascii_lowercase) == *b"get",
        _ => false,
    }
}

/// How a command's line ended, and so how its body may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// In `\r\n`, and so does the body.
    ReturnNewline,
    /// In a bare `\n`, as a person's does who types into nc. The body may end in either.
    Newline,
}

/// What stands behind a body.
enum BodyEnd {
    /// Its end, of so many bytes.
    Good { bytes: usize },
    /// Not enough to tell.
    NotYet,
    /// Something else.
    Bad,
}

impl End {
    #[inline]
    fn behind(self, input: &[u8], body_bytes: usize) -> BodyEnd {
        match input.get(body_bytes..) {
            Some([b'\r', b'\n', ..]) => BodyEnd::Good { bytes: 2 },
            None | Some([] | [b'\r']) => BodyEnd::NotYet,
            Some([b'\n', ..]) if self == End::Newline => BodyEnd::Good { bytes: 1 },
            Some(_) => BodyEnd::Bad,
        }
    }
}
