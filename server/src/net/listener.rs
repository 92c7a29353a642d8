//! Accepting connections, as many as there may be.

use std::io::Write;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glommio::timer::sleep;
use protocol::reply;
use socket2::Socket;

use crate::net::connection::Connections;
use crate::net::handover::Handover;
use crate::net::poller::Poller;
use crate::net::socket::WatchedSocket;
use crate::process::permits::Limit;

/// Connections that the kernel keeps until they are accepted; it may cut this down by itself (net.core.somaxconn).
const BACKLOG: i32 = 4096;
/// How long accept pauses when it fails, as it does when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Lines about connections that are not taken are at least so far apart.
const LINES_APART: Duration = Duration::from_secs(1);

/// Listens on a bound socket.
///
/// # Errors
/// One line.
pub(crate) fn listen(socket: Socket, poller: &Rc<Poller>) -> Result<WatchedSocket, String> {
    // Its connections inherit this, and those that outlive the process for a minute do not keep the next start from the
    // port. Not before the bind: a socket that is bound and does not listen yet would let a second server in.
    let listening = socket.set_reuse_address(true).and_then(|()| socket.listen(BACKLOG));
    // Its connections inherit this too: a client whose machine or network has gone gives its place back some time.
    let listening = listening.and_then(|()| socket.set_keepalive(true));
    listening.and_then(|()| WatchedSocket::new(socket, poller)).map_err(|error| format!("cannot listen: {error}"))
}

/// Accepts TCP connections until it is cancelled.
pub(crate) async fn accept(listener: WatchedSocket, connections: Rc<Connections>) {
    let mut last_line = None;
    loop {
        let socket = next(&listener, &connections, &mut last_line).await;
        if let Err(error) = socket.set_tcp_nodelay(true) {
            // The client has gone already.
            log::debug!("a connection ended before it began: {error}");
            continue;
        }
        admit(socket, &connections);
        // A crowd that connects at once does not keep those waiting that are connected.
        connections.handle().pass().await;
    }
}

/// Accepts connections of a Unix socket for all shards in turn, until it is cancelled. `shards`: where each takes its own.
pub(crate) async fn accept_for_all(listener: WatchedSocket, shards: Arc<[Handover]>, connections: Rc<Connections>) {
    let mut last_line = None;
    for shard in shards.iter().cycle() {
        shard.give(next(&listener, &connections, &mut last_line).await);
    }
}

/// Takes the connections that another shard has accepted for this one, until it is cancelled.
pub(crate) async fn take_over(shards: Arc<[Handover]>, me: usize, connections: Rc<Connections>) {
    loop {
        admit(shards[me].take().await, &connections);
        connections.handle().pass().await;
    }
}

/// The next connection. `last_line`: when the log said last that none can be accepted.
async fn next(listener: &WatchedSocket, connections: &Connections, last_line: &mut Option<Instant>) -> Socket {
    loop {
        match listener.accept().await {
            Ok(socket) => return socket,
            Err(error) => {
                if connections.limit().stop_accepting() {
                    connections.handle().with_shard(|shard| shard.counters.listen_disabled += 1);
                }
                if last_line.is_none_or(|last| last.elapsed() >= LINES_APART) {
                    log::warn!("a connection cannot be accepted: {error}; trying again");
                    *last_line = Some(Instant::now());
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(socket: Socket, connections: &Rc<Connections>) {
    match connections.limit().enter() {
        Ok(place) => connections.serve(socket, place),
        Err(refused) => {
            connections.handle().with_shard(|shard| {
                shard.counters.rejected_connections += 1;
                shard.counters.listen_disabled += u64::from(refused.is_first);
            });
            if refused.is_to_be_said {
                glommio::spawn_local(say_refused(Arc::clone(connections.limit()))).detach();
            }
            // Best effort: a client that does not read this sees the connection close.
            let _ = (&socket).write(reply::TOO_MANY_CONNECTIONS);
            let _ = socket.shutdown(Shutdown::Write);
        }
    }
}

/// Says how many connections were refused, until a while has passed without one.
async fn say_refused(limit: Arc<Limit>) {
    while let Some(refused) = limit.take_unsaid() {
        log::warn!("connections refused: {refused}, since all {} places are taken; -c makes more", limit.max());
        sleep(LINES_APART).await;
    }
}
