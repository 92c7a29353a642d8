//! Where logins wait for their turn: the hash of a password takes milliseconds, so one thread of the process makes one
//! after the other.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::account::Account;
use super::source::Source;

/// Logins of one source that may wait. A host with more processes than this starts again, and its users are known by the
/// first one's login.
const WAITING_MAX: usize = 256;

/// Why a login has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// There is no such user, or it is not the password.
    Wrong,
    /// Too many logins of the client's address wait.
    Busy,
}

/// Logins that wait. Sources take turns.
#[derive(Debug, Default)]
pub(super) struct Desk {
    line: Mutex<Line>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    /// Nothing is decided any more.
    is_closed: bool,
    asks: HashMap<Source, VecDeque<Arc<Ask>>>,
    /// Each source that has something in `asks`, once.
    turns: VecDeque<Source>,
}

/// A login that waits.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) name: Box<[u8]>,
    pub(super) password: Box<[u8]>,
    answer: Mutex<Answer>,
}

#[derive(Debug, Default)]
struct Answer {
    given: Option<Option<Arc<Account>>>,
    waker: Option<Waker>,
}

impl Desk {
    /// Waits in line, and for the answer. Dropping this leaves the line.
    ///
    /// # Errors
    /// [`Denied`].
    pub(super) async fn ask(&self, name: &[u8], password: &[u8], from: Source) -> Result<Arc<Account>, Denied> {
        let ask = Arc::new(Ask { name: name.into(), password: password.into(), answer: Mutex::default() });
        if !self.join(from, &ask) {
            return Err(Denied::Busy);
        }
        let answer = poll_fn(|context| {
            let mut answer = lock(&ask.answer);
            if let Some(given) = answer.given.take() {
                return Poll::Ready(given);
            }
            answer.waker = Some(context.waker().clone());
            Poll::Pending
        });
        answer.await.ok_or(Denied::Wrong)
    }

    /// Returns whether there was room in the line.
    fn join(&self, from: Source, ask: &Arc<Ask>) -> bool {
        let mut line = lock(&self.line);
        let has_joined = !line.is_closed && line.join(from, Arc::clone(ask));
        self.came.notify_one();
        has_joined
    }

    /// Denies all that wait, and those to come.
    pub(super) fn close(&self) {
        let mut line = lock(&self.line);
        line.is_closed = true;
        while let Some(ask) = line.next() {
            ask.answer(None);
        }
        self.came.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.line).is_closed
    }

    /// Waits for the next login that is to be decided. `None`: none is any more.
    pub(super) fn next(&self) -> Option<Arc<Ask>> {
        let mut line = lock(&self.line);
        loop {
            if let Some(ask) = line.next() {
                return Some(ask);
            }
            if line.is_closed {
                return None;
            }
            line = self.came.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Line {
    /// Returns whether there was room.
    fn join(&mut self, from: Source, ask: Arc<Ask>) -> bool {
        let asks = self.asks.entry(from).or_default();
        // Those whose clients have gone make room.
        if asks.len() >= WAITING_MAX {
            asks.retain(|ask| !ask.is_left());
        }
        if asks.len() >= WAITING_MAX {
            return false;
        }
        asks.push_back(ask);
        if asks.len() == 1 && !self.turns.contains(&from) {
            self.turns.push_back(from);
        }
        true
    }

    /// The first one of the source whose turn it is.
    fn next(&mut self) -> Option<Arc<Ask>> {
        while let Some(from) = self.turns.pop_front() {
            let Some(asks) = self.asks.get_mut(&from) else { continue };
            let ask = asks.pop_front();
            match asks.is_empty() {
                true => drop(self.asks.remove(&from)),
                false => self.turns.push_back(from),
            }
            if let Some(ask) = ask.filter(|ask| !ask.is_left()) {
                return Some(ask);
            }
        }
        None
    }
}

impl Ask {
    /// Whether the client has gone.
    fn is_left(self: &Arc<Ask>) -> bool {
        Arc::strong_count(self) == 1
    }

    /// Gives the answer: the user, if the password is right.
    pub(super) fn answer(&self, account: Option<Arc<Account>>) {
        let mut answer = lock(&self.answer);
        answer.given = Some(account);
        let waker = answer.waker.take();
        drop(answer);
        waker.into_iter().for_each(Waker::wake);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures_lite::future::{block_on, poll_once};

    use super::*;

    type Asking<'a> = Pin<Box<dyn Future<Output = Result<Arc<Account>, Denied>> + 'a>>;

    /// A login that has joined the line.
    fn ask<'a>(desk: &'a Desk, name: &'a str, from: u32) -> Asking<'a> {
        let mut asking: Asking<'_> = Box::pin(desk.ask(name.as_bytes(), b"x", Source::Unix(from)));
        assert!(block_on(poll_once(asking.as_mut())).is_none(), "it waits");
        asking
    }

    fn next(desk: &Desk) -> String {
        String::from_utf8_lossy(&desk.next().expect("open").name).into_owned()
    }

    #[test]
    fn sources_take_turns_however_many_logins_of_one_wait() {
        let desk = Desk::default();
        let many: Vec<_> = (0..100).map(|_| ask(&desk, "flood", 1)).collect();
        let _others = [ask(&desk, "a1", 2), ask(&desk, "a2", 2), ask(&desk, "b", 3)];
        assert_eq!([(); 6].map(|()| next(&desk)), ["flood", "a1", "b", "flood", "a2", "flood"]);
        drop(many);
        let _last = ask(&desk, "c", 1);
        assert_eq!(next(&desk), "c", "whose client has gone is not decided");
    }

    #[test]
    fn so_many_logins_of_one_source_wait() {
        let desk = Desk::default();
        let mut many: Vec<_> = (0..WAITING_MAX).map(|_| ask(&desk, "flood", 1)).collect();
        let refused = || block_on(poll_once(desk.ask(b"flood", b"x", Source::Unix(1))));
        assert_eq!(refused().map(|answer| answer.err()), Some(Some(Denied::Busy)));
        let _other = ask(&desk, "other", 2);
        drop(many.pop());
        let _one_more = ask(&desk, "flood", 1);
        assert_eq!(lock(&desk.line).asks[&Source::Unix(1)].len(), WAITING_MAX);
        assert_eq!(lock(&desk.line).turns.len(), 2);
    }

    #[test]
    fn a_desk_that_closes_denies_all() {
        let desk = Desk::default();
        let waits = ask(&desk, "a", 1);
        desk.close();
        assert_eq!(block_on(waits).err(), Some(Denied::Wrong));
        assert_eq!(block_on(desk.ask(b"a", b"x", Source::Unix(1))).err(), Some(Denied::Busy));
        assert!(desk.next().is_none());
    }
}
