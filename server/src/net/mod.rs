//! Sockets and what runs on them: accepting, reading and sending, and the tasks of the clients.

pub(crate) mod agent;
mod arrival;
mod connection;
mod connections;
pub(crate) mod datagrams;
pub(crate) mod handover;
mod handshake;
pub(crate) mod http;
pub(crate) mod listener;
mod patience;
mod poller;
mod proxy_header;
mod socket;
pub(crate) mod sockets;
mod stream;
mod tasks;
mod tls;
mod uring_enter;

use std::cell::{OnceCell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use glommio::{Task, spawn_local};
use nix::sys::socket::{Shutdown, shutdown};
use shards::ShardId;
use socket2::Socket;

use crate::access::Users;
use crate::context::ShardContext;
use crate::process::operator::CONNECTIONS_MAX;
use crate::process::permits::Limit;
use crate::web::desk::Desk;
use connections::Connections;
use handshake::Handshakes;
use http::places::Places;
use poller::Poller;
use stream::Records;
use tasks::Tasks;

/// The most bytes that are read from a socket at once.
const READ_BYTES: usize = 64 << 10;

/// Connections that are looked at in one piece.
const ROSTER_AT_ONCE: usize = 512;

/// What the clients of a shard are served with.
#[derive(Debug)]
pub(crate) struct ShardNet {
    pub(crate) context: Rc<ShardContext>,
    poller: Rc<Poller>,
    tasks: Rc<Tasks>,
    /// Every connection reads into this one, and has gone through it before another task runs.
    read_buffer: RefCell<Vec<u8>>,
    /// What the streams of TLS share.
    records: Records,
    handshakes: Handshakes,
    /// Reply buffers that no connection uses.
    spare_replies: RefCell<Vec<Vec<u8>>>,
    connections: Rc<Connections>,
    /// The connections of the operator's page, and where they are answered.
    places: Rc<Places>,
    desk: OnceCell<Rc<Desk>>,
}

impl ShardNet {
    /// # Errors
    /// When there is no descriptor left to wait for sockets by, or no memory.
    pub(crate) fn new(context: &Rc<ShardContext>) -> io::Result<Rc<ShardNet>> {
        Ok(Rc::new(ShardNet {
            context: Rc::clone(context),
            poller: Poller::new()?,
            tasks: Tasks::new(),
            read_buffer: RefCell::new(vec![0; READ_BYTES]),
            records: Records::default(),
            handshakes: Handshakes::new(),
            spare_replies: RefCell::default(),
            connections: Connections::new(),
            places: Rc::default(),
            desk: OnceCell::new(),
        }))
    }

    /// Starts the tasks that wait for sockets, run the clients' tasks and close idle connections, for as long as the shard
    /// lives.
    pub(crate) fn start(&self) {
        let handle = &self.context.handle;
        spawn_local(Rc::clone(&self.poller).run(handle.clone())).detach();
        let turns = handle.clone();
        spawn_local(Rc::clone(&self.tasks).run(async move || turns.next_turn().await)).detach();
        if let Some(timeout) = self.context.settings.idle_timeout {
            spawn_local(Rc::clone(&self.connections).close_idle(timeout)).detach();
        }
    }

    /// Closes connections of users that are out after the file of `--users` was read again, for ever.
    pub(crate) async fn close_those_out(self: Rc<Self>, shard: ShardId, users: Arc<Users>) {
        let mut version = 0;
        loop {
            version = users.after(version).await;
            let mut last = None;
            loop {
                let some = self.context.roster.some(shard, last, ROSTER_AT_ONCE);
                let Some(seen) = some.last() else { break };
                last = Some(seen.client);
                for out in some.iter().filter(|seen| seen.user.as_ref().is_some_and(|user| !user.is_in())) {
                    // Its task wakes up to a connection that has ended. It runs on this thread, so the socket is its own
                    // as long as it is in the roster.
                    if let Err(error) = shutdown(out.socket, Shutdown::Both) {
                        log::debug!("{}: a connection has gone by itself: {error}", out.peer);
                    }
                }
                self.context.handle.pass().await;
            }
        }
    }

    /// Serves the operator's page on bound sockets, until the tasks are cancelled.
    ///
    /// # Errors
    /// When a socket cannot listen.
    pub(crate) fn serve_page(
        self: &Rc<ShardNet>,
        sockets: Vec<Socket>,
        desk: Rc<Desk>,
    ) -> Result<Vec<Task<()>>, String> {
        self.desk.get_or_init(|| desk);
        spawn_local(Rc::clone(&self.places).end_slow()).detach();
        let limit = Arc::new(Limit::new(CONNECTIONS_MAX));
        sockets.into_iter().map(|socket| http::start(socket, &limit, self)).collect()
    }

    /// Lets every connection finish what its client has sent so far, as far as the client keeps up, and waits until the
    /// replies are with the clients.
    pub(crate) async fn finish(&self) {
        self.connections.begin_stop();
        self.context.users.iter().for_each(|users| users.close());
        self.desk.get().iter().for_each(|desk| desk.begin_stop());
        self.places.begin_stop();
        self.context.handle.refuse_to_wait();
        self.poller.wake_readers();
        self.connections.all_served(self.context.settings.stop_timeout).await;
        self.places.all_gone().await;
    }
}
