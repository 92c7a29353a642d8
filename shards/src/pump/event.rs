//! Waiting for something that happens on the same thread.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::mem;
use std::task::{Poll, Waker};

use storage::FrameNumber;

/// Wakes one task. What happens before the task waits is not lost; what happens twice counts once.
#[derive(Debug, Default)]
pub(super) struct Event {
    happened: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Event {
    pub(super) fn notify(&self) {
        if !self.happened.replace(true)
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    /// Waits until it has happened since the last wait.
    pub(super) async fn wait(&self) {
        poll_fn(|context| {
            if self.happened.replace(false) {
                return Poll::Ready(());
            }
            self.waker.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// How far the log is safe, and the tasks that wait for more.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    frame: Cell<FrameNumber>,
    waiting: RefCell<Vec<(FrameNumber, Waker)>>,
}

impl Acknowledged {
    /// Notes that the log is safe up to a frame, and wakes the tasks that waited for that.
    pub(super) fn advance(&self, frame: FrameNumber) {
        assert!(frame >= self.frame.get(), "what is safe stays safe");
        self.frame.set(frame);
        self.waiting.borrow_mut().retain_mut(|(needed, waker)| {
            let waits = *needed > frame;
            if !waits {
                waker.wake_by_ref();
            }
            waits
        });
    }

    pub(super) fn frame(&self) -> FrameNumber {
        self.frame.get()
    }

    /// Waits until the log is safe up to `frame`.
    pub(super) async fn reached(&self, frame: FrameNumber) {
        poll_fn(|context| {
            if self.frame.get() >= frame {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push((frame, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// A count that grows, and the tasks that wait for that.
#[derive(Debug, Default)]
pub(super) struct Growing {
    count: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Growing {
    /// Notes the count, and wakes the tasks that wait if it has grown.
    pub(super) fn note(&self, count: u64) {
        if self.count.replace(count) != count {
            mem::take(&mut *self.waiting.borrow_mut()).into_iter().for_each(Waker::wake);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.get()
    }

    /// Waits until the count is beyond this.
    pub(super) async fn beyond(&self, count: u64) {
        poll_fn(|context| {
            if self.count.get() > count {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once};

    use super::*;

    #[test]
    fn an_event_before_the_wait_is_not_lost() {
        let event = Event::default();
        event.notify();
        event.notify();
        assert!(block_on(poll_once(event.wait())).is_some());
        assert!(block_on(poll_once(event.wait())).is_none(), "twice counts once");
    }

    #[test]
    fn no_task_is_let_through_before_the_frame_is_safe() {
        let acknowledged = Acknowledged::default();
        acknowledged.advance(3);
        block_on(async {
            let mut waiting = Box::pin(acknowledged.reached(4));
            assert!(poll_once(waiting.as_mut()).await.is_none());
            acknowledged.advance(3);
            assert!(poll_once(waiting.as_mut()).await.is_none());
            acknowledged.advance(5);
            assert!(poll_once(waiting.as_mut()).await.is_some());
            assert!(poll_once(acknowledged.reached(5)).await.is_some());
        });
    }
}
