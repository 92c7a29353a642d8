//! Accepting connections, as many as there may be.

use std::os::fd::{FromRawFd, IntoRawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::AsyncWriteExt;
use glommio::net::{TcpListener, TcpStream};
use glommio::timer::sleep;
use protocol::reply;
use socket2::Socket;

use crate::connection::Connections;
use crate::handover::Handover;

/// Connections that the kernel keeps until they are accepted; it may cut this down by itself (net.core.somaxconn).
const BACKLOG: i32 = 4096;
/// How long accept pauses when it fails, as it does when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on a bound socket, of this thread's executor from now on.
///
/// # Errors
/// One line.
pub(crate) fn listen(socket: Socket) -> Result<TcpListener, String> {
    // Its connections inherit this, and those that outlive the process for a minute do not keep the next start from the
    // port. Not before the bind: a socket that is bound and does not listen yet would let a second server in.
    let listening = socket.set_reuse_address(true).and_then(|()| socket.listen(BACKLOG));
    listening.map_err(|error| format!("cannot listen: {error}"))?;
    // SAFETY: the descriptor is a listening socket, and ours alone. glommio has no safe way for a socket that is bound
    // already; its listener asks for no address, so a Unix socket may be in it too.
    #[allow(unsafe_code)]
    Ok(unsafe { TcpListener::from_raw_fd(socket.into_raw_fd()) })
}

/// How many connections there may be, over all shards.
#[derive(Debug)]
pub(crate) struct Limit {
    open: AtomicUsize,
    max: usize,
}

impl Limit {
    pub(crate) fn new(max: usize) -> Limit {
        Limit { open: AtomicUsize::new(0), max }
    }

    /// Takes a place for a connection, if there is one.
    fn enter(self: &Arc<Limit>) -> Option<Place> {
        let entered = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < self.max).then_some(n + 1));
        entered.is_ok().then(|| Place(Arc::clone(self)))
    }
}

/// A connection's place under the limit; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Limit>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts TCP connections until it is cancelled.
pub(crate) async fn accept(listener: TcpListener, connections: Rc<Connections>, limit: Arc<Limit>) {
    loop {
        let stream = next(&listener).await.bind_to_executor();
        if let Err(error) = stream.set_nodelay(true) {
            // The client has gone already.
            log::debug!("a connection ended before it began: {error}");
            continue;
        }
        admit(stream, &connections, &limit).await;
    }
}

/// Accepts connections of a Unix socket for all shards in turn, until it is cancelled. `shards`: where each takes its own.
pub(crate) async fn accept_for_all(listener: TcpListener, shards: Arc<[Handover]>) {
    for shard in shards.iter().cycle() {
        shard.give(next(&listener).await);
    }
}

/// Takes the connections that another shard has accepted for this one, until it is cancelled.
pub(crate) async fn take_over(shards: Arc<[Handover]>, me: usize, connections: Rc<Connections>, limit: Arc<Limit>) {
    loop {
        let stream = shards[me].take().await.bind_to_executor();
        admit(stream, &connections, &limit).await;
    }
}

async fn next(listener: &TcpListener) -> glommio::net::AcceptedTcpStream {
    loop {
        match listener.shared_accept().await {
            Ok(stream) => return stream,
            Err(error) => {
                log::warn!("a connection cannot be accepted: {error}; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn admit(mut stream: TcpStream, connections: &Rc<Connections>, limit: &Arc<Limit>) {
    match limit.enter() {
        Some(place) => connections.serve(stream, place),
        None => {
            // Best effort: a client that does not read this sees the connection close.
            let _ = stream.write_all(reply::TOO_MANY_CONNECTIONS).await;
            let _ = stream.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let limit = Arc::new(Limit::new(2));
        let first = limit.enter();
        let second = limit.enter();
        assert!(first.is_some() && second.is_some());
        assert!(limit.enter().is_none());
        drop(first);
        assert!(limit.enter().is_some());
    }
}
