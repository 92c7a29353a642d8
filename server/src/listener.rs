//! The listening sockets. Each shard has one on the same port, and the kernel spreads the connections over them.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::AsyncWriteExt;
use glommio::net::TcpListener;
use glommio::timer::sleep;
use protocol::reply;
use socket2::{Domain, Socket, Type};

use crate::connection::Connections;

/// How long accept pauses when it fails, as it does when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An address that is reserved for this process. It is bound and does not listen.
#[derive(Debug)]
pub(crate) struct Reserved {
    local: SocketAddr,
    _socket: Socket,
}

impl Reserved {
    /// The address, with its port when any free one was asked for.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }
}

/// Reserves the address for this process's shards.
///
/// # Errors
/// One line, when it is taken or not this machine's.
pub(crate) fn reserve(address: SocketAddr) -> Result<Reserved, String> {
    let refused = |error: std::io::Error| {
        let (ip, port) = (address.ip(), address.port());
        format!("cannot listen on {ip} port {port}: {error}; stop what listens there, or choose others by -l and -p")
    };
    if address.port() != 0 {
        // Without SO_REUSEPORT first: with it, a second server on the port would be let in, and get half the clients.
        drop(StdListener::bind(address).map_err(refused)?);
    }
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).map_err(refused)?;
    socket.set_reuse_port(true).and_then(|()| socket.bind(&address.into())).map_err(refused)?;
    let local = socket.local_addr().map_err(refused)?.as_socket().unwrap_or(address);
    Ok(Reserved { local, _socket: socket })
}

/// Binds a shard's socket to the reserved address, and listens.
///
/// # Errors
/// One line.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).map_err(|e| format!("cannot listen on {address}: {e}"))
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

/// Accepts connections until it is cancelled.
pub(crate) async fn accept(listener: TcpListener, connections: Rc<Connections>, limit: Arc<Limit>) {
    loop {
        let mut stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                log::warn!("a connection cannot be accepted: {error}; trying again");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            // The client has gone already.
            log::debug!("a connection ended before it began: {error}");
            continue;
        }
        match limit.enter() {
            Some(place) => connections.serve(stream, place),
            None => {
                // Best effort: a client that does not read this sees the connection close.
                let _ = stream.write_all(reply::TOO_MANY_CONNECTIONS).await;
                let _ = stream.close().await;
            }
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

    #[test]
    fn a_port_that_is_taken_is_refused_and_named() {
        let taken = StdListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("an address");
        let error = reserve(address).expect_err("it is taken");
        assert!(error.contains(&address.port().to_string()) && error.contains("-p"), "{error}");
    }
}
