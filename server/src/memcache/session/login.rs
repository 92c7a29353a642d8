//! Before a client has logged in: the first set whose body is a name and a password, as memcached has it.

use std::fmt;
use std::sync::Arc;

use protocol::{Command, Parse, Rejection, reply};

use super::Session;
use crate::access::{Account, Denied, LOGIN_BYTES_MAX, Pass};
use crate::memcache::trace;
use crate::session::Step;

/// Failed logins after which the connection is closed.
const FAILURES_MAX: u32 = 3;

/// A client that has not logged in yet.
#[derive(Debug, Default)]
pub(super) struct Login {
    failures: u32,
    asked: Option<Asked>,
}

/// A name and a password that a client has sent.
pub(crate) struct Asked {
    pub(crate) name: Box<[u8]>,
    pub(crate) password: Box<[u8]>,
    noreply: bool,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("name", &self.name.escape_ascii().to_string()).finish_non_exhaustive()
    }
}

impl Session {
    /// Whether the client still has to log in: what is read of it at once is little.
    pub(crate) fn is_before_login(&self) -> bool {
        self.login.is_some()
    }

    /// Goes through `input` up to a login. Returns how many bytes are done with, and why it has stopped.
    #[cold]
    pub(super) fn before_login(&mut self, input: &[u8]) -> (usize, Step) {
        let mut done = 0;
        loop {
            if self.has_much_to_send() {
                return (done, Step::RoundFull);
            }
            let (used, parsed) = self.parser.next(&input[done..]);
            done += used;
            let text = match parsed {
                Parse::Command(Command::Set { body, noreply, .. }) => match name_and_password(body) {
                    Some((name, password)) => {
                        trace::login(self.peer);
                        self.counters.commands += 1;
                        let asked = Asked { name: name.into(), password: password.into(), noreply };
                        self.login.get_or_insert_default().asked = Some(asked);
                        return (done, Step::LogIn);
                    }
                    None => (!noreply).then_some(reply::BAD_AUTHENTICATION_TOKEN),
                },
                Parse::Command(command) => (!command.noreply()).then_some(reply::UNAUTHENTICATED),
                Parse::Incomplete => return (done, Step::NeedInput),
                Parse::Rejected(rejection) => rejection.map(|rejection| match rejection {
                    Rejection::TooLarge => reply::BAD_AUTHENTICATION_TOKEN,
                    Rejection::BadDataChunk => reply::BAD_DATA_CHUNK,
                    _ => reply::UNAUTHENTICATED,
                }),
                Parse::Close(rejection) => {
                    rejection.into_iter().for_each(|rejection| self.text(rejection.reply()));
                    return (done, Step::Close);
                }
            };
            self.counters.commands += 1;
            text.into_iter().for_each(|text| self.text(text));
        }
    }

    /// What the client has sent to log in with, after [`Step::LogIn`].
    ///
    /// # Panics
    /// When it is taken twice, or there was no such step.
    pub(crate) fn take_asked(&mut self) -> Asked {
        self.login.as_mut().and_then(|login| login.asked.take()).expect("a login was asked for")
    }

    /// Answers a login. Returns how the session goes on.
    pub(crate) fn answer_login(&mut self, asked: &Asked, checked: Result<Arc<Account>, Denied>) -> Step {
        let (text, step) = match checked {
            Ok(account) => {
                self.login = None;
                self.pass = Some(Box::new(Pass::new(account)));
                self.parser.logged_in(self.rules.body_bytes_max, self.rules.keys);
                (reply::STORED, Step::RoundFull)
            }
            Err(denied) => {
                let login = self.login.get_or_insert_default();
                login.failures += 1;
                let step = if login.failures >= FAILURES_MAX { Step::Close } else { Step::RoundFull };
                match denied {
                    Denied::Wrong => (reply::AUTHENTICATION_FAILURE, step),
                    Denied::Busy => (reply::TOO_MANY_LOGINS, step),
                }
            }
        };
        if !asked.noreply {
            self.text(text);
        }
        step
    }
}

/// The two of a login's body: up to the first blank, and all behind it.
fn name_and_password(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = body.iter().position(|byte| *byte == b' ')?;
    let (name, password) = (&body[..blank], &body[blank + 1..]);
    (!name.is_empty() && !password.is_empty() && body.len() <= LOGIN_BYTES_MAX).then_some((name, password))
}

#[cfg(test)]
mod tests;
