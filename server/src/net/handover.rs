//! Connections that one shard has accepted for another, which takes them on its own thread.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use socket2::Socket;

/// What waits for one shard. Its own task takes, any thread gives.
#[derive(Debug, Default)]
pub(crate) struct Handover(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    sockets: VecDeque<Socket>,
    taker: Option<Waker>,
}

impl Handover {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn give(&self, socket: Socket) {
        let mut waiting = self.lock();
        waiting.sockets.push_back(socket);
        let taker = waiting.taker.take();
        drop(waiting);
        taker.into_iter().for_each(Waker::wake);
    }

    pub(crate) async fn take(&self) -> Socket {
        poll_fn(|context| {
            let mut waiting = self.lock();
            match waiting.sockets.pop_front() {
                Some(socket) => Poll::Ready(socket),
                None => {
                    waiting.taker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
