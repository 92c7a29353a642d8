//! What comes before a client is served: the header of a proxy that is trusted, and then the handshake of TLS.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_lite::future::or;
use glommio::timer::sleep;

use crate::context::ShardContext;
use crate::net::ShardNet;
use crate::net::handshake::Failed;
use crate::net::proxy_header::{self, HEADER_BYTES_MAX, Header};
use crate::net::socket::WatchedSocket;
use crate::net::stream::{Stream, wait_for_delivery};
use crate::process::certificates::Certificates;
use crate::process::rarely::Rarely;
use crate::session::peer::Peer;

/// How long a header may take to arrive, and then a handshake to be done.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the answer to a client without TLS may take to reach it.
const DELIVERY: Duration = Duration::from_secs(2);

/// Lines about headers that are none.
static BAD_HEADERS: Rarely = Rarely::new();

/// What is due before a client is served.
#[derive(Debug)]
pub(super) struct Due {
    /// The proxy that the connection comes from, whose header begins it.
    proxy: Option<IpAddr>,
    certificates: Option<Arc<Certificates>>,
}

impl Due {
    /// What is due for a client of a TCP port or a Unix socket; `None`: nothing is.
    pub(super) fn of(peer: Peer, context: &ShardContext) -> Option<Due> {
        let is_tcp = !matches!(peer, Peer::Unix(..));
        let certificates = context.certificates.as_ref().filter(|_| is_tcp).map(Arc::clone);
        let is_proxy = |address: &SocketAddr| context.settings.proxies.iter().any(|it| it.has(address.ip()));
        let proxy = match peer {
            Peer::Tcp(address) if is_proxy(&address) => Some(address.ip()),
            _ => None,
        };
        (certificates.is_some() || proxy.is_some()).then_some(Due { proxy, certificates })
    }
}

/// Has a client come in: returns its stream, and who it is. `None`: it does not, and has heard why, as far as there is a
/// way to tell. `plain_answer`: what a client hears, in its own language, that begins without TLS where TLS is due.
pub(super) async fn come_in(
    socket: WatchedSocket,
    mut peer: Peer,
    due: Due,
    net: &ShardNet,
    plain_answer: &[u8],
) -> Option<(Stream, Peer)> {
    if let Some(proxy) = due.proxy {
        match within_patience(client(&socket)).await {
            Ok(client) => peer = client.map_or(peer, Peer::Tcp),
            Err(why) => {
                log_bad_header(proxy, &why);
                return None;
            }
        }
    }
    let Some(certificates) = due.certificates else { return Some((Stream::plain(socket), peer)) };
    let shaken = within_patience(net.handshakes.shake(&socket, certificates.current(), &net.records)).await;
    match shaken {
        Ok(tls) => Some((Stream::secured(socket, tls, net.records.clone()), peer)),
        Err(Failed::Gone) => None,
        Err(why) => {
            certificates.failed_handshakes.fetch_add(1, Relaxed);
            log::debug!("{peer}: no TLS: {why}");
            if matches!(why, Failed::NoTls) {
                // Best effort, as all that is told to a client that is not let in.
                let _ = socket.poll_write(&Context::from_waker(Waker::noop()), plain_answer);
            }
            let _ = socket.shutdown(Shutdown::Write);
            wait_for_delivery(&socket, DELIVERY, &net.read_buffer).await;
            None
        }
    }
}

fn log_bad_header(proxy: IpAddr, why: &io::Error) {
    if why.kind() == io::ErrorKind::UnexpectedEof {
        // A look at whether the port is open.
        log::debug!("{proxy}: the connection ended without a PROXY header");
    } else if BAD_HEADERS.is_due() {
        log::warn!("a connection from the proxy {proxy} is closed: {why}; --proxy-protocol names it");
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
