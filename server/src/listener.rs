//! Accepting connections, as many as there may be.

use std::io::Write;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use glommio::timer::sleep;
use protocol::reply;
use socket2::Socket;

use crate::connection::Connections;
use crate::handover::Handover;
use crate::readiness::{Readiness, WatchedSocket};

/// Connections that the kernel keeps until they are accepted; it may cut this down by itself (net.core.somaxconn).
const BACKLOG: i32 = 4096;
/// How long accept pauses when it fails, as it does when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on a bound socket.
///
/// # Errors
/// One line.
pub(crate) fn listen(socket: Socket, readiness: &Rc<Readiness>) -> Result<WatchedSocket, String> {
    // Its connections inherit this, and those that outlive the process for a minute do not keep the next start from the
    // port. Not before the bind: a socket that is bound and does not listen yet would let a second server in.
    let listening = socket.set_reuse_address(true).and_then(|()| socket.listen(BACKLOG));
    listening.and_then(|()| readiness.watch(socket)).map_err(|error| format!("cannot listen: {error}"))
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
pub(crate) async fn accept(listener: WatchedSocket, connections: Rc<Connections>, limit: Arc<Limit>) {
    loop {
        let socket = next(&listener).await;
        if let Err(error) = socket.set_tcp_nodelay(true) {
            // The client has gone already.
            log::debug!("a connection ended before it began: {error}");
            continue;
        }
        admit(socket, &connections, &limit);
        // A crowd that connects at once does not keep those waiting that are connected.
        connections.handle().pass().await;
    }
}

/// Accepts connections of a Unix socket for all shards in turn, until it is cancelled. `shards`: where each takes its own.
pub(crate) async fn accept_for_all(listener: WatchedSocket, shards: Arc<[Handover]>) {
    for shard in shards.iter().cycle() {
        shard.give(next(&listener).await);
    }
}

/// Takes the connections that another shard has accepted for this one, until it is cancelled.
pub(crate) async fn take_over(shards: Arc<[Handover]>, me: usize, connections: Rc<Connections>, limit: Arc<Limit>) {
    loop {
        admit(shards[me].take().await, &connections, &limit);
        connections.handle().pass().await;
    }
}

async fn next(listener: &WatchedSocket) -> Socket {
    loop {
        match listener.accept().await {
            Ok(socket) => return socket,
            Err(error) => {
                log::warn!("a connection cannot be accepted: {error}; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(socket: Socket, connections: &Rc<Connections>, limit: &Arc<Limit>) {
    match limit.enter() {
        Some(place) => connections.serve(socket, place),
        None => {
            // Best effort: a client that does not read this sees the connection close.
            let _ = (&socket).write(reply::TOO_MANY_CONNECTIONS);
            let _ = socket.shutdown(Shutdown::Write);
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
