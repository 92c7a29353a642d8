//! Accepting connections, as many as there may be.

use std::io::Write;
use std::net::Shutdown;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glommio::timer::sleep;
use glommio::{Task, spawn_local};
use protocol::reply;
use socket2::Socket;

use crate::context::ShardContext;
use crate::net::ShardNet;
use crate::net::arrival;
use crate::net::connection;
use crate::net::handover::Handover;
use crate::net::socket::WatchedSocket;
use crate::process::permits::Limit;

/// Connections that the kernel keeps until they are accepted; it may cut this down by itself (net.core.somaxconn).
const BACKLOG: i32 = 4096;
/// Connections that are accepted in one go: some 10 us each, so that those that are connected wait for a fraction of a
/// millisecond, and a go through all that is ready is not paid for each.
const ACCEPTED_AT_ONCE: u32 = 16;
/// How long accept pauses when it fails, as it does when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Lines about connections that are not taken are at least so far apart.
const LINES_APART: Duration = Duration::from_secs(1);

/// Listens on a bound socket.
///
/// # Errors
/// When another process has begun to listen there meanwhile, or there is no descriptor left.
pub(super) fn listen(socket: Socket, net: &ShardNet) -> Result<WatchedSocket, String> {
    // Its connections inherit this, and those that outlive the process for a minute do not keep the next start from the
    // port. Not before the bind: a socket that is bound and does not listen yet would let a second server in.
    let listening = socket.set_reuse_address(true).and_then(|()| socket.listen(BACKLOG));
    // Its connections inherit this too: a client whose machine or network has gone gives its permit back some time.
    let listening = listening.and_then(|()| socket.set_keepalive(true));
    listening.and_then(|()| WatchedSocket::new(socket, &net.poller)).map_err(|error| format!("cannot listen: {error}"))
}

/// Listens on a bound TCP socket, and accepts connections until the task is cancelled.
///
/// # Errors
/// When it cannot listen: another process has begun to listen there meanwhile, or there is no descriptor left.
pub(crate) fn start(socket: Socket, net: &Rc<ShardNet>) -> Result<Task<()>, String> {
    Ok(spawn_local(accept(listen(socket, net)?, Rc::clone(net))))
}

/// Listens on the Unix socket, and accepts connections for all shards in turn until the task is cancelled. `shards`: where
/// each takes its own.
///
/// # Errors
/// As [`start`].
pub(crate) fn start_for_all(socket: Socket, shards: Arc<[Handover]>, net: &Rc<ShardNet>) -> Result<Task<()>, String> {
    Ok(spawn_local(accept_for_all(listen(socket, net)?, shards, Rc::clone(net))))
}

async fn accept(listener: WatchedSocket, net: Rc<ShardNet>) {
    let (mut last_line, mut accepted) = (None, 0);
    loop {
        let socket = next(&listener, &net.context, &mut last_line).await;
        accepted += 1;
        if let Err(error) = socket.set_tcp_nodelay(true) {
            // The client has gone already.
            log::debug!("a connection ended before it began: {error}");
            continue;
        }
        admit(socket, &net);
        // A crowd that connects at once does not keep those waiting that are connected.
        if accepted >= ACCEPTED_AT_ONCE {
            accepted = 0;
            net.context.handle.pass().await;
        }
    }
}

async fn accept_for_all(listener: WatchedSocket, shards: Arc<[Handover]>, net: Rc<ShardNet>) {
    let mut last_line = None;
    for shard in shards.iter().cycle() {
        shard.give(next(&listener, &net.context, &mut last_line).await);
    }
}

/// Takes the connections that another shard has accepted for this one, until it is cancelled.
pub(crate) async fn take_over(shards: Arc<[Handover]>, me: usize, net: Rc<ShardNet>) {
    loop {
        admit(shards[me].take().await, &net);
        net.context.handle.pass().await;
    }
}

/// The next connection. `last_line`: when the last line was logged that none can be accepted.
pub(super) async fn next(listener: &WatchedSocket, context: &ShardContext, last_line: &mut Option<Instant>) -> Socket {
    loop {
        match listener.accept().await {
            Ok(socket) => return socket,
            Err(error) => {
                if context.limit.stop_accepting() {
                    context.handle.count(|counters| counters.listen_disabled += 1);
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

fn admit(socket: Socket, net: &Rc<ShardNet>) {
    let ShardContext { handle, limit, .. } = &*net.context;
    match limit.enter() {
        Ok(permit) => arrival::arrive(socket, permit, net, connection::DOOR),
        Err(refused) => {
            handle.count(|counters| {
                counters.rejected_connections += 1;
                counters.listen_disabled += u64::from(refused.is_first);
            });
            if refused.needs_task {
                spawn_local(log_refused(Arc::clone(limit))).detach();
            }
            refuse(&socket, reply::TOO_MANY_CONNECTIONS);
        }
    }
}

/// Best effort: a client that does not read the text sees the connection close.
fn refuse(socket: &Socket, text: &[u8]) {
    let _ = (&*socket).write(text);
    let _ = socket.shutdown(Shutdown::Write);
}

/// Logs how many connections were refused, until a while has passed without one.
async fn log_refused(limit: Arc<Limit>) {
    while let Some(refused) = limit.take_unlogged() {
        log::warn!("connections refused: {refused}, since all {} places are taken; -c makes more", limit.max());
        sleep(LINES_APART).await;
    }
}
