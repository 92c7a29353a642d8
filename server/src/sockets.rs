//! The sockets, bound before anything slow is begun and before the rights of root are given up. Each shard has its own
//! on the same port, and the kernel spreads the connections over them. A Unix socket can be bound once only: the first
//! shard accepts for all.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, UdpSocket as StdUdpSocket};
use std::os::unix::fs::{FileTypeExt, lchown};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::stat::{Mode, umask};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::privileges::Identity;
use crate::settings::{Settings, UnixSocket};

/// How long another server may still be in the way.
const PATIENCE: Duration = Duration::from_secs(2);
const PATIENCE_STEP: Duration = Duration::from_millis(10);

/// All sockets of the server, bound, none of them listening.
#[derive(Debug)]
pub(crate) struct Sockets {
    tcp: Vec<Socket>,
    udp: Vec<Socket>,
    unix: Option<Socket>,
    unix_path: Option<PathBuf>,
}

/// A shard's sockets.
#[derive(Debug)]
pub(crate) struct ShardSockets {
    pub(crate) tcp: Option<Socket>,
    pub(crate) udp: Option<Socket>,
    /// The first shard's alone.
    pub(crate) unix: Option<Socket>,
}

impl Sockets {
    /// Binds the network's sockets.
    ///
    /// # Errors
    /// One line, when an address is taken or not this machine's.
    pub(crate) fn bind(settings: &Settings) -> Result<Sockets, String> {
        let shards = usize::from(settings.shards);
        let tcp = settings.tcp.map(|address| bind(address, Type::STREAM, shards)).transpose()?;
        let udp = settings.udp.map(|address| bind(address, Type::DGRAM, shards)).transpose()?;
        Ok(Sockets { tcp: tcp.unwrap_or_default(), udp: udp.unwrap_or_default(), unix: None, unix_path: None })
    }

    /// Binds the Unix socket, in the place of one that nobody listens on any more. The data directory is locked, so no
    /// other server does the same meanwhile for the same reason.
    ///
    /// # Errors
    /// One line, when somebody listens there, or something else than a socket is in the way.
    pub(crate) fn bind_unix(&mut self, unix: &UnixSocket, owner: Option<&Identity>) -> Result<(), String> {
        let path = &unix.path;
        let refused = |error: io::Error| format!("-s {}: {error}; name another by -s", path.display());
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(refused)?;
        // Made with its mask, not changed to it later: nobody gets in between. This thread is the only one.
        let before = umask(Mode::from_bits_truncate(!unix.mask & 0o777));
        let bound = SockAddr::unix(path).and_then(|address| socket.bind(&address));
        umask(before);
        bound.map_err(refused)?;
        self.unix_path = Some(path.clone());
        self.unix = Some(socket);
        if let Some(owner) = owner {
            lchown(path, Some(owner.uid()), Some(owner.gid())).map_err(refused)?;
        }
        Ok(())
    }

    /// The TCP address, with its port when any free one was asked for.
    pub(crate) fn tcp_address(&self) -> Option<SocketAddr> {
        local(&self.tcp)
    }

    /// What the server can be reached at, in words; the TCP address comes last.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let unix = self.unix_path.as_ref().map(|path| path.display().to_string());
        let udp = local(&self.udp).map(|address| format!("udp {address}"));
        let tcp = local(&self.tcp).map(|address| address.to_string());
        [unix, udp, tcp].into_iter().flatten().collect()
    }

    /// Gives each shard its own. What is left is removed from the file system when it is dropped.
    pub(crate) fn split(&mut self, shards: u16) -> Vec<ShardSockets> {
        let (mut tcp, mut udp) = (self.tcp.drain(..), self.udp.drain(..));
        let unix = &mut self.unix;
        (0..shards).map(|_| ShardSockets { tcp: tcp.next(), udp: udp.next(), unix: unix.take() }).collect()
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        if let Some(path) = &self.unix_path {
            // Where this process may not, the next start finds it stale.
            let _ = fs::remove_file(path);
        }
    }
}

/// The address of sockets that all have the same.
fn local(sockets: &[Socket]) -> Option<SocketAddr> {
    sockets.first()?.local_addr().ok()?.as_socket()
}

/// Binds one socket for each shard to an address.
fn bind(address: SocketAddr, kind: Type, shards: usize) -> Result<Vec<Socket>, String> {
    let (option, protocol) = if kind == Type::STREAM { ("-p", "TCP") } else { ("-U", "UDP") };
    let refused = |error: io::Error| {
        let (ip, port) = (address.ip(), address.port());
        format!(
            "cannot listen on {ip} {protocol} port {port}: {error}; stop what is there, or choose by -l and {option}"
        )
    };
    if address.port() != 0 {
        // Without SO_REUSEPORT first: with it, a second server on the port would be let in, and get half the clients.
        let probe = || match kind {
            Type::STREAM => StdListener::bind(address).map(drop),
            _ => StdUdpSocket::bind(address).map(drop),
        };
        let in_use = |probed: &io::Result<()>| matches!(probed, Err(error) if error.kind() == io::ErrorKind::AddrInUse);
        with_patience(probe, in_use).map_err(refused)?;
    }
    let mut sockets: Vec<Socket> = Vec::new();
    for _ in 0..shards {
        // Any free port: the one that the first socket got.
        let first = sockets.first().map(Socket::local_addr).transpose().map_err(refused)?;
        let address = first.unwrap_or_else(|| address.into());
        let socket = Socket::new(address.domain(), kind, None).map_err(refused)?;
        socket.set_reuse_port(true).and_then(|()| socket.bind(&address)).map_err(refused)?;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// Tries until nobody is in the way any more, for a while. The kernel takes the io_uring of a process that was killed apart
/// after its end, so its sockets outlive it by some milliseconds: a restart that comes at once must not fail by that.
fn with_patience<T>(mut attempt: impl FnMut() -> T, is_in_the_way: impl Fn(&T) -> bool) -> T {
    let began = Instant::now();
    loop {
        let tried = attempt();
        if !is_in_the_way(&tried) || began.elapsed() >= PATIENCE {
            return tried;
        }
        sleep(PATIENCE_STEP);
    }
}

/// Makes way for a socket at `path`, if what is there was left by a server that has gone.
fn remove_stale(path: &Path) -> Result<(), String> {
    let refused = |why: &str| Err(format!("-s {}: {why}; name another by -s", path.display()));
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return refused(&error.to_string()),
        Ok(there) if !there.file_type().is_socket() => return refused("it is there already, and is no socket"),
        Ok(_) => {}
    }
    match with_patience(|| StdUnixStream::connect(path), Result::is_ok) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) => return refused(&error.to_string()),
        Ok(_) => return refused("a server listens there"),
    }
    fs::remove_file(path).or_else(|error| refused(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_refused_and_named() {
        let taken = StdListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("an address");
        let error = bind(address, Type::STREAM, 1).expect_err("it is taken");
        assert!(error.contains(&address.port().to_string()) && error.contains("-p"), "{error}");
    }

    #[test]
    fn all_shards_get_the_same_free_port() {
        let address = "127.0.0.1:0".parse().expect("an address");
        let sockets = bind(address, Type::DGRAM, 3).expect("a free port");
        let ports: Vec<_> = sockets.iter().map(|socket| socket.local_addr().expect("bound").as_socket()).collect();
        assert!(ports.len() == 3 && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }
}
