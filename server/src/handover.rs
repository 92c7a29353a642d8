//! Connections that one shard has accepted for another, which takes them on its own thread.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use glommio::net::AcceptedTcpStream;

/// What waits for one shard. Its own task takes, any thread gives.
#[derive(Debug, Default)]
pub(crate) struct Handover(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    streams: VecDeque<AcceptedTcpStream>,
    taker: Option<Waker>,
}

impl Handover {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn give(&self, stream: AcceptedTcpStream) {
        let mut waiting = self.lock();
        waiting.streams.push_back(stream);
        let taker = waiting.taker.take();
        drop(waiting);
        taker.into_iter().for_each(Waker::wake);
    }

    pub(crate) async fn take(&self) -> AcceptedTcpStream {
        poll_fn(|context| {
            let mut waiting = self.lock();
            match waiting.streams.pop_front() {
                Some(stream) => Poll::Ready(stream),
                None => {
                    waiting.taker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
