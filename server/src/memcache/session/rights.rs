//! What the user of a session may do.

use protocol::{Command, Queues, reply};
use shards::Outcome;

use super::{Session, Unfinished};
use crate::memcache::answer::Reply;
use crate::memcache::needs::{self, Need};
use crate::session::{Backend, Step};

/// Names on a get's line that are looked at in one go: a line has room for thousands, and a user for many patterns.
const NAMES_AT_ONCE: usize = 64;

/// How far the names on a line have been looked at.
enum Looked {
    /// The user may take from all of them.
    All,
    /// From those that were looked at; some are left.
    SoFar,
    /// The answer is written: from one of them the user may not take.
    Refused,
}

impl Session {
    /// Whether the user may do a command, and a put does not come too fast. If not, it is answered.
    ///
    /// # Errors
    /// How the session goes on when the command is not done, or not yet.
    pub(super) fn check_rights(
        &mut self,
        command: &Command<'_>,
        backend: &mut impl Backend,
    ) -> Result<(), Option<Step>> {
        let Some(pass) = &mut self.pass else { return Ok(()) };
        if !pass.begin() {
            self.text(reply::UNAUTHENTICATED);
            return Err(Some(Step::Close));
        }
        let missing: Option<(&str, &[u8])> = match needs::of(command) {
            Need::Login => None,
            Need::Put(queue) => (!pass.may_put(queue)).then_some(("put=", queue)),
            Need::Take(queue) => (!pass.may_take(queue)).then_some(("take=", queue)),
            Need::PutOrTake(queue) => {
                (!pass.may_put(queue) && !pass.may_take(queue)).then_some(("put= or take=", queue))
            }
            Need::TakeAll(queues) => return self.check_names(command, queues),
            Need::Admin => (!pass.is_admin()).then_some(("admin", b"")),
        };
        match (missing, command) {
            (Some((missing, queue)), _) => {
                self.refuse(missing, queue, command.noreply());
                Err(None)
            }
            (None, Command::Set { body, noreply, .. } | Command::SetWith { body, noreply, .. }) => {
                self.pay(body.len(), *noreply, backend)
            }
            (None, _) => Ok(()),
        }
    }

    /// Goes on looking at the names of a get's line, which begin `input`. Returns as [`go_on`](Session::go_on) does.
    pub(super) fn go_on_looking(
        &mut self,
        with_number: bool,
        (rest_bytes, unseen_bytes): (usize, usize),
        has_children: bool,
        input: &[u8],
    ) -> (usize, Option<Step>) {
        let mut queues = Queues::resume(&input[rest_bytes - unseen_bytes..rest_bytes], has_children);
        match self.look_at(&mut queues) {
            Looked::All => {
                self.unfinished = Some(Unfinished::Get { with_number, has_children, rest_bytes });
                (0, None)
            }
            Looked::SoFar => {
                let unseen_bytes = queues.rest_bytes();
                self.unfinished = Some(Unfinished::Look { with_number, has_children, rest_bytes, unseen_bytes });
                (0, Some(Step::RoundFull))
            }
            Looked::Refused => {
                self.unfinished = None;
                (rest_bytes, None)
            }
        }
    }

    /// All names of a get are looked at before anything is taken.
    fn check_names(&mut self, command: &Command<'_>, mut queues: Queues<'_>) -> Result<(), Option<Step>> {
        let rest_bytes = queues.rest_bytes();
        match self.look_at(&mut queues) {
            Looked::All => Ok(()),
            Looked::Refused => Err(None),
            Looked::SoFar => {
                let with_number = matches!(command, Command::Get { with_number: true, .. });
                let (has_children, unseen_bytes) = (queues.has_children(), queues.rest_bytes());
                self.unfinished = Some(Unfinished::Look { with_number, has_children, rest_bytes, unseen_bytes });
                Err(None)
            }
        }
    }

    fn look_at(&mut self, queues: &mut Queues<'_>) -> Looked {
        let Some(pass) = &mut self.pass else { return Looked::All };
        if pass.is_admin() {
            return Looked::All;
        }
        if let Some(queue) = queues.by_ref().take(NAMES_AT_ONCE).find(|queue| !pass.may_take(queue)) {
            self.refuse("take=", queue, false);
            return Looked::Refused;
        }
        let mut left = *queues;
        if left.next().is_some() { Looked::SoFar } else { Looked::All }
    }

    fn refuse(&mut self, missing: &str, queue: &[u8], noreply: bool) {
        let Some(pass) = self.pass.as_ref().filter(|_| !noreply) else { return };
        let mut text = Vec::new();
        reply::not_allowed(&mut text, pass.account().name(), missing, queue);
        self.text(&text);
    }

    /// Pays for a put out of the user's rate.
    fn pay(&mut self, body_bytes: usize, noreply: bool, backend: &mut impl Backend) -> Result<(), Option<Step>> {
        let has_paid = |pass: &mut Box<crate::access::Pass>| pass.pay(backend.now().ms(), body_bytes);
        if self.pass.as_mut().is_none_or(has_paid) {
            return Ok(());
        }
        self.counters.sets += 1;
        self.outcome(Reply::Set { noreply }, b"", Outcome::NotStored);
        Err(None)
    }
}

#[cfg(test)]
mod tests;
