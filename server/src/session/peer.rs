//! Who a client is, for the log.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt};
use socket2::SockRef;

use crate::access::Source;

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

    /// What it counts as, where there are limits for one client.
    pub(crate) fn source(self) -> Source {
        match self {
            Peer::Unknown => Source::Unknown,
            Peer::Tcp(address) | Peer::Udp(address) => Source::from(address.ip()),
            Peer::Unix(_, user) => Source::Unix(user),
        }
    }
}

/// A client, with its user once it has logged in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) peer: Peer,
    pub(crate) user: Option<&'a str>,
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.peer)?;
        self.user.map_or(Ok(()), |user| write!(f, " (user {user})"))
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
