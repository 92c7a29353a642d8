//! Sockets and what runs on them: accepting, reading and sending, and the tasks of the clients.

pub(crate) mod agent;
pub(crate) mod arrival;
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
pub(crate) mod stream;
mod tasks;
mod tls;
mod uring_enter;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use glommio::{Task, spawn_local};
use socket2::Socket;

use crate::context::ShardContext;
use crate::web::desk::Desk;
use connections::Connections;
use handshake::Handshakes;
use http::places::Places;
use poller::Poller;
use stream::Records;
use tasks::Tasks;

/// The most bytes that are read from a socket at once.
const READ_BYTES: usize = 64 << 10;

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
    /// The connections of the operator's page.
    places: Rc<Places>,
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

    /// Serves the operator's page on bound sockets, until the tasks are cancelled.
    ///
    /// # Errors
    /// When a socket cannot listen.
    pub(crate) fn serve_page(
        self: &Rc<ShardNet>,
        sockets: Vec<Socket>,
        desk: &Rc<Desk>,
    ) -> Result<Vec<Task<()>>, String> {
        spawn_local(Rc::clone(&self.places).end_slow()).detach();
        sockets.into_iter().map(|socket| http::start(socket, self, desk)).collect()
    }

    /// Lets every connection finish what its client has sent so far, as far as the client keeps up, and waits until the
    /// replies are with the clients.
    pub(crate) async fn finish(&self) {
        self.connections.begin_stop();
        self.places.begin_stop();
        self.context.handle.refuse_to_wait();
        self.poller.wake_readers();
        self.connections.all_served(self.context.settings.stop_timeout).await;
        self.places.all_gone().await;
    }
}
