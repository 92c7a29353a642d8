//! What comes before a client is served: the header of a proxy that is trusted, and then the handshake of TLS. A client
//! for which neither is due is served at once.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use futures_lite::future::or;
use glommio::timer::sleep;
use socket2::Socket;

use crate::access::{Place, Source};
use crate::net::ShardNet;
use crate::net::handshake::Failed;
use crate::net::proxy_header::{self, HEADER_BYTES_MAX, Header};
use crate::net::socket::WatchedSocket;
use crate::net::stream::{Stream, wait_for_delivery};
use crate::net::tls::Tls;
use crate::process::certificates::Certificates;
use crate::process::permits::Permit;
use crate::process::seldom::Seldom;
use crate::session::peer::Peer;

/// How long a header may take to arrive, and then a handshake to be done.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the answer to a client without TLS may take to reach it.
const DELIVERY: Duration = Duration::from_secs(2);

/// Lines about headers that are none.
static BAD_HEADERS: Seldom = Seldom::new();

/// A port's protocol: how its clients are served.
#[derive(Debug, Clone, Copy)]
pub(super) struct Door {
    /// What a client gets that begins without TLS where TLS is due, in its own language.
    pub(super) plain_answer: &'static [u8],
    /// What a client gets whose address has as many connections as it may. `None`: those of the port do not count.
    pub(super) crowd_answer: Option<&'static [u8]>,
    /// Serves a client from now on, on a task of its own.
    pub(super) serve: fn(Stream, Peer, Permit, Option<Place>, &Rc<ShardNet>),
}

/// A client's address has as many connections as it may. With what it is told.
struct TooMany(&'static [u8]);

impl Door {
    /// A client's place among those of its address, where that counts. One by a Unix socket has no address.
    fn place(&self, peer: Peer, net: &ShardNet) -> Result<Option<Place>, TooMany> {
        let (Some(crowd), Some(answer), Peer::Tcp(address)) = (&net.context.crowd, self.crowd_answer, peer) else {
            return Ok(None);
        };
        match crowd.enter(Source::from(address.ip())) {
            Some(place) => Ok(Some(place)),
            None => {
                net.context.handle.count(|counters| counters.rejected_connections += 1);
                Err(TooMany(answer))
            }
        }
    }
}

/// Has a connection served that was accepted, TCP or a Unix socket's.
pub(super) fn arrive(socket: Socket, permit: Permit, net: &Rc<ShardNet>, door: Door) {
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
    // A proxy's address counts for none of its clients.
    let place = match proxy {
        Some(_) => Ok(None),
        None => door.place(peer, net),
    };
    let place = match place {
        Ok(place) => place,
        Err(TooMany(answer)) => return tell_and_end(&socket, answer),
    };
    if certificates.is_none() && proxy.is_none() {
        (door.serve)(Stream::plain(socket), peer, permit, place, net);
    } else {
        let arrival = Arrival { socket, peer, permit, place, net: Rc::clone(net), door };
        net.tasks.spawn(arrival.come_in(proxy, certificates));
    }
}

/// Best effort, as all that is told to a client that is not let in: one that does not read it sees the connection close.
fn tell_and_end(socket: &WatchedSocket, answer: &[u8]) {
    let _ = socket.poll_write(&Context::from_waker(Waker::noop()), answer);
    let _ = socket.shutdown(Shutdown::Write);
}

/// A connection that is not served yet.
struct Arrival {
    socket: WatchedSocket,
    peer: Peer,
    permit: Permit,
    place: Option<Place>,
    net: Rc<ShardNet>,
    door: Door,
}

impl Arrival {
    async fn come_in(mut self, proxy: Option<IpAddr>, certificates: Option<Arc<Certificates>>) {
        if let Some(proxy) = proxy
            && !self.take_header(proxy).await
        {
            return;
        }
        let Some(certificates) = certificates else { return self.serve(None) };
        let records = &self.net.records;
        match within_patience(self.net.handshakes.shake(&self.socket, certificates.current(), records)).await {
            Ok(tls) => self.serve(Some(tls)),
            Err(Failed::Gone) => {}
            Err(why) => {
                certificates.failed_handshakes.fetch_add(1, Relaxed);
                log::debug!("{}: no TLS: {why}", self.peer);
                self.turn_away(matches!(why, Failed::NoTls)).await;
            }
        }
    }

    /// Has the client served. `tls`: its handshake is done.
    fn serve(self, tls: Option<Tls>) {
        let Arrival { socket, peer, permit, place, net, door } = self;
        let stream = match tls {
            Some(tls) => Stream::secured(socket, tls, net.records.clone()),
            None => Stream::plain(socket),
        };
        (door.serve)(stream, peer, permit, place, &net);
    }

    /// Takes the header of a proxy away, and has the connection be that of the client which it tells. Returns whether it
    /// goes on.
    async fn take_header(&mut self, proxy: IpAddr) -> bool {
        match within_patience(client(&self.socket)).await {
            Ok(Some(client)) => self.peer = Peer::Tcp(client),
            Ok(None) => return true,
            // A look at whether the port is open.
            Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => {
                log::debug!("{proxy}: the connection ended without a PROXY header");
                return false;
            }
            Err(why) => {
                if BAD_HEADERS.count(Instant::now()).is_some() {
                    log::warn!("a connection from the proxy {proxy} is closed: {why}; --proxy-protocol names it");
                }
                return false;
            }
        }
        match self.door.place(self.peer, &self.net) {
            Ok(place) => self.place = place,
            Err(TooMany(answer)) => {
                tell_and_end(&self.socket, answer);
                return false;
            }
        }
        true
    }

    /// Ends a connection. `is_plain`: its client has an answer.
    async fn turn_away(&self, is_plain: bool) {
        tell_and_end(&self.socket, if is_plain { self.door.plain_answer } else { b"" });
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
