//! That a file was read again, for tasks that wait for it on any shard.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// How often something has changed.
#[derive(Debug, Default)]
pub(crate) struct News(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    version: u64,
    waiting: Vec<Waker>,
}

impl News {
    /// Tells all that wait that there is another version.
    pub(crate) fn tell(&self) {
        let mut state = self.lock();
        state.version += 1;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The version. What has changed is changed before it is told: what is looked at behind this is of this version, or of
    /// a later one.
    pub(crate) fn version(&self) -> u64 {
        self.lock().version
    }

    /// Waits for a version after this one, and returns it. The first is 0.
    pub(crate) async fn after(&self, version: u64) -> u64 {
        poll_fn(|context| {
            let mut state = self.lock();
            if state.version > version {
                return Poll::Ready(state.version);
            }
            state.waiting.retain(|waker| !waker.will_wake(context.waker()));
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once};

    use super::*;

    #[test]
    fn all_that_wait_hear_of_a_version_and_none_is_missed() {
        let news = News::default();
        let (mut first, mut second) = (Box::pin(news.after(0)), Box::pin(news.after(0)));
        assert!(block_on(poll_once(first.as_mut())).is_none() && block_on(poll_once(second.as_mut())).is_none());
        news.tell();
        news.tell();
        assert_eq!((block_on(first), block_on(second), block_on(news.after(1))), (2, 2, 2));
    }
}
