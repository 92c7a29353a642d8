//! The handshakes of TLS: each on its client's task, and what costs time, one after the other, on another thread. So a
//! client that says nothing holds up none, and neither does a flood of those that begin and never end.

use std::fmt::{self, Display, Formatter};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Context;

use glommio::sync::Semaphore;
use rustls::ServerConfig;

use crate::net::READ_BYTES;
use crate::net::socket::WatchedSocket;
use crate::net::stream::{Records, poll_flush};
use crate::net::tls::{HANDSHAKE, Tls};

/// Handshakes of a shard that are worked on at once. A signature of RSA takes some 1 ms of a core, with 4096 bits 5 ms.
const AT_ONCE: u64 = 1;

/// The handshakes of a shard, which have their turns.
#[derive(Debug)]
pub(super) struct Handshakes(Semaphore);

/// Why there is no TLS.
#[derive(Debug)]
pub(super) enum Failed {
    /// The connection ended before it began: a look at whether the port is open.
    Gone,
    /// The client has begun as TLS does not.
    NoTls,
    /// The connection is broken, or ends.
    Io(io::Error),
    Tls(rustls::Error),
}

impl Display for Failed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Gone => write!(f, "it ended before it began"),
            Failed::NoTls => write!(f, "it begins as TLS does not"),
            Failed::Io(error) => error.fmt(f),
            Failed::Tls(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Io(error)
    }
}

impl Handshakes {
    pub(super) fn new() -> Handshakes {
        Handshakes(Semaphore::new(AT_ONCE))
    }

    /// Does the handshake with a client.
    ///
    /// # Errors
    /// See [`Failed`]. The client has the reason by then, as far as it takes one.
    pub(super) async fn shake(
        &self,
        socket: &WatchedSocket,
        config: Arc<ServerConfig>,
        records: &Records,
    ) -> Result<Tls, Failed> {
        let mut tls = Tls::new(config).map_err(Failed::Tls)?;
        let mut is_first = true;
        loop {
            read_record(socket, &mut tls, records, is_first).await?;
            is_first = false;
            let turn = self.0.acquire_permit(1).await.map_err(|error| io::Error::other(error.to_string()))?;
            let (back, done) = glommio::executor()
                .spawn_blocking(move || {
                    let done = tls.shake_hands();
                    (tls, done)
                })
                .await;
            drop(turn);
            tls = back;
            poll_fn(|context| poll_flush(&mut tls, socket, context)).await?;
            if done.map_err(Failed::Tls)? {
                return Ok(tls);
            }
        }
    }
}

/// Reads until there is a whole record, so that a client that sends byte by byte costs no more than one that does not.
async fn read_record(socket: &WatchedSocket, tls: &mut Tls, records: &Records, is_first: bool) -> Result<(), Failed> {
    loop {
        if tls.kept.len() >= READ_BYTES {
            return Err(io::Error::other("a message of TLS has no end").into());
        }
        let read = |tls: &mut Tls, context: &Context<'_>| {
            let mut records = records.borrow();
            let room = READ_BYTES - tls.kept.len();
            let read = socket.poll_read(context, &mut records[..room]);
            read.map_ok(|bytes| {
                tls.kept.extend_from_slice(&records[..bytes]);
                bytes
            })
        };
        let bytes = poll_fn(|context| read(tls, context)).await?;
        if bytes == 0 && is_first && tls.kept.is_empty() {
            return Err(Failed::Gone);
        }
        if bytes == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if is_first && tls.kept[0] != HANDSHAKE {
            return Err(Failed::NoTls);
        }
        if tls.has_record() {
            return Ok(());
        }
    }
}
