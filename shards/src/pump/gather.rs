//! A connection's side of the shard: the outcomes that do not come at once.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::Pump;
use crate::client::{Client, GatherId};
use crate::outcome::Outcome;

/// The outcomes that one connection gets later: those of other shards, and of its waits. Its client begins with it, and is
/// gone when it is dropped: what the client has open ends, here and on other shards.
#[derive(Debug)]
pub struct Gather {
    pub(super) pump: Rc<Pump>,
    pub(super) id: GatherId,
}

impl Gather {
    /// Waits until the outcomes of all operations that were answered [later](crate::Answer::Later) are there. They may
    /// be told at once: their shards have waited until they are safe.
    pub async fn complete(&self) {
        poll_fn(|context| match self.pump.engine.borrow_mut().is_complete(self.id, context.waker()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    /// The ticket of the connection's client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.pump.engine.borrow().client_of(self.id)
    }

    /// Takes the first outcome, in the order in which the operations were pushed. `None`: there is no more.
    ///
    /// # Panics
    /// When [`complete`](Self::complete) was not awaited before.
    #[must_use]
    pub fn next(&self) -> Option<Outcome> {
        self.pump.engine.borrow_mut().next_outcome(self.id)
    }
}

impl Drop for Gather {
    fn drop(&mut self) {
        self.pump.with_engine(|engine| engine.close(self.id));
    }
}
