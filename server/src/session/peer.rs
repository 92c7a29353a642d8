//! Who a client is, for the log.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt};
use socket2::SockRef;

/// The other end of a connection, or the sender of a datagram.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Peer {
    /// It has gone before it was looked up.
    #[default]
    Unknown,
    Tcp(SocketAddr),
    Udp(SocketAddr),
    /// The ids of its process and user.
    Unix(i32, u32),
}

impl Peer {
    /// The peer of a connected socket, TCP or Unix.
    pub(crate) fn of(socket: &impl AsFd) -> Peer {
        let address = SockRef::from(socket).peer_addr().ok();
        match address.and_then(|address| address.as_socket()) {
            Some(address) => Peer::Tcp(address),
            None => getsockopt(socket, sockopt::PeerCredentials)
                .map_or(Peer::Unknown, |credentials| Peer::Unix(credentials.pid(), credentials.uid())),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Unknown => write!(f, "unknown client"),
            Peer::Tcp(address) => write!(f, "{address}"),
            Peer::Udp(address) => write!(f, "udp {address}"),
            Peer::Unix(process, user) => write!(f, "process {process} of user {user}"),
        }
    }
}
