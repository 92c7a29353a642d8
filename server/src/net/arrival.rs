//! What comes before a client is served: the header of a proxy that is trusted, and then the handshake of TLS. A client
//! for which neither is due is served at once.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_lite::future::or;
use glommio::timer::sleep;
use socket2::Socket;

use crate::net::ShardNet;
use crate::net::handshake::Failed;
use crate::net::proxy_header::{self, HEADER_BYTES_MAX, Header};
use crate::net::socket::WatchedSocket;
use crate::net::stream::{Stream, wait_for_delivery};
use crate::process::certificates::Certificates;
use crate::process::permits::Permit;
use crate::process::rarely::Rarely;
use crate::session::peer::Peer;

/// How long a header may take to arrive, and then a handshake to be done.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the answer to a client without TLS may take to reach it.
const DELIVERY: Duration = Duration::from_secs(2);

/// Lines about headers that are none.
static BAD_HEADERS: Rarely = Rarely::new();

/// A port's protocol: how its clients are served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door {
    /// What a client gets that begins without TLS where TLS is due, in its own language.
    pub(crate) plain_answer: &'static [u8],
    /// Serves a client from now on, on a task of its own.
    pub(crate) serve: fn(Stream, Peer, Permit, &Rc<ShardNet>),
}

/// Has a connection served that was accepted, TCP or a Unix socket's.
pub(crate) fn arrive(socket: Socket, permit: Permit, net: &Rc<ShardNet>, door: Door) {
    let socket = match WatchedSocket::new(socket, &net.poller) {
        Ok(socket) => socket,
        Err(error) => {
            log::warn!("a connection cannot be served: {error}");
            return;
        }
    };
    let peer = Peer::of(&socket);
    let is_tcp = !matches!(peer, Peer::Unix(..));
    let certificates = net.context.certificates.as_ref().filter(|_| is_tcp).map(Arc::clone);
    let is_proxy = |address: &SocketAddr| net.context.settings.proxies.iter().any(|it| it.has(address.ip()));
    let proxy = match peer {
        Peer::Tcp(address) if is_proxy(&address) => Some(address.ip()),
        _ => None,
    };
    if certificates.is_none() && proxy.is_none() {
        (door.serve)(Stream::plain(socket), peer, permit, net);
    } else {
        net.tasks.spawn(Arrival { socket, peer, permit, net: Rc::clone(net), door }.come_in(proxy, certificates));
    }
}

/// A connection that is not served yet.
struct Arrival {
    socket: WatchedSocket,
    peer: Peer,
    permit: Permit,
    net: Rc<ShardNet>,
    door: Door,
}

impl Arrival {
    async fn come_in(mut self, proxy: Option<IpAddr>, certificates: Option<Arc<Certificates>>) {
        if let Some(proxy) = proxy {
            match within_patience(client(&self.socket)).await {
                Ok(Some(client)) => self.peer = Peer::Tcp(client),
                Ok(None) => {}
                // A look at whether the port is open.
                Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => {
                    log::debug!("{proxy}: the connection ended without a PROXY header");
                    return;
                }
                Err(why) => {
                    if BAD_HEADERS.is_due() {
                        log::warn!("a connection from the proxy {proxy} is closed: {why}; --proxy-protocol names it");
                    }
                    return;
                }
            }
        }
        let Some(certificates) = certificates else {
            return (self.door.serve)(Stream::plain(self.socket), self.peer, self.permit, &self.net);
        };
        let records = &self.net.records;
        match within_patience(self.net.handshakes.shake(&self.socket, certificates.current(), records)).await {
            Ok(tls) => {
                let stream = Stream::secured(self.socket, tls, records.clone());
                (self.door.serve)(stream, self.peer, self.permit, &self.net);
            }
            Err(why) => {
                certificates.failed_handshakes.fetch_add(1, Relaxed);
                log::debug!("{}: no TLS: {why}", self.peer);
                self.turn_away(matches!(why, Failed::NoTls)).await;
            }
        }
    }

    /// Ends a connection. `is_plain`: its client has an answer.
    async fn turn_away(&self, is_plain: bool) {
        if is_plain {
            // Best effort, as all that is told to a client that is not let in.
            let answer = self.door.plain_answer;
            let _ = self.socket.poll_write(&Context::from_waker(Waker::noop()), answer);
        }
        let _ = self.socket.shutdown(Shutdown::Write);
        wait_for_delivery(&self.socket, DELIVERY, &self.net.read_buffer).await;
    }
}

/// Ends what lasts for longer than [`PATIENCE`].
async fn within_patience<T, E: From<io::Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let late = async {
        sleep(PATIENCE).await;
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("nothing has come of it in {PATIENCE:?}")).into())
    };
    or(work, late).await
}

/// Takes a proxy's header away, and returns the client that it tells. `None`: the proxy speaks for itself.
///
/// # Errors
/// When what comes is no header, or the connection ends before it does.
async fn client(socket: &WatchedSocket) -> io::Result<Option<SocketAddr>> {
    let mut buffer = [0; HEADER_BYTES_MAX];
    let mut seen = 0;
    loop {
        let bytes = poll_fn(|context| socket.poll_peek(context, &mut buffer, seen)).await?;
        match proxy_header::parse(&buffer[..bytes]) {
            Header::Whole { bytes, client } => {
                socket.take(&mut buffer[..bytes])?;
                return Ok(client);
            }
            Header::Bad(why) => return Err(io::Error::new(io::ErrorKind::InvalidData, why)),
            Header::Begun if bytes == seen => return Err(io::ErrorKind::UnexpectedEof.into()),
            Header::Begun => seen = bytes,
        }
    }
}
