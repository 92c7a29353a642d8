//! The sockets, bound before anything slow is begun and before the rights of root are given up. Each shard has its own
//! on the same addresses and ports, and the kernel spreads the connections over them. A Unix socket can be bound once
//! only: the first shard accepts for all.

use std::io::{self, ErrorKind};
use std::mem;
use std::net::{SocketAddr, TcpListener as StdListener, UdpSocket as StdUdpSocket};

use socket2::{Domain, Socket, Type};

use crate::process::addresses::Endpoint;
use crate::process::operator::{Operator, Place};
use crate::process::retrying::with_patience;
use crate::process::settings::Settings;

/// How often a free port is looked for that all addresses have.
const FREE_PORT_TRIES: usize = 16;

/// What an address is for, in the words of a line for the operator.
#[derive(Debug, Clone, Copy)]
struct Purpose {
    protocol: &'static str,
    /// The options that choose another address, and another port.
    address: &'static str,
    port: &'static str,
}

const CLIENTS_TCP: Purpose = Purpose { protocol: "TCP", address: "-l", port: "-p" };
const CLIENTS_UDP: Purpose = Purpose { protocol: "UDP", address: "-l", port: "-U" };
const AGENT: Purpose = Purpose { protocol: "TCP", address: "--agent-check", port: "--agent-check" };
const OPERATOR: Purpose = Purpose { protocol: "TCP", address: "--admin", port: "--admin" };

/// All sockets of the server, bound, none of them listening.
#[derive(Debug)]
pub(crate) struct Sockets {
    /// For each address, one for each shard.
    tcp: Vec<Vec<Socket>>,
    udp: Vec<Vec<Socket>>,
    unix: Option<Socket>,
    /// Of the operator's page.
    admin: Vec<Socket>,
    /// Of HAProxy's agent-check.
    agent: Vec<Socket>,
}

/// A shard's sockets.
#[derive(Debug)]
pub(crate) struct ShardSockets {
    pub(crate) tcp: Vec<Socket>,
    pub(crate) udp: Vec<Socket>,
    /// The first shard's alone.
    pub(crate) unix: Option<Socket>,
    /// Of the operator's page, which the first shard serves.
    pub(crate) admin: Vec<Socket>,
    /// Of HAProxy's agent-check, which the first shard answers.
    pub(crate) agent: Vec<Socket>,
}

impl Sockets {
    /// Binds the network's sockets.
    ///
    /// # Errors
    /// When an address is taken, or not this machine's, or may not be bound by this user.
    pub(crate) fn bind(settings: &Settings) -> Result<Sockets, String> {
        let shards = usize::from(settings.shards);
        let tcp = bind_all(&settings.tcp, CLIENTS_TCP, Type::STREAM, shards)?;
        let udp = bind_all(&settings.udp, CLIENTS_UDP, Type::DGRAM, shards)?;
        let endpoints = settings.operator.as_ref().map_or(&[][..], Operator::endpoints);
        let admin = bind_all(endpoints, OPERATOR, Type::STREAM, 1)?;
        let agent = bind_all(&settings.agent, AGENT, Type::STREAM, 1)?;
        let (admin, agent) = (admin.into_iter().flatten().collect(), agent.into_iter().flatten().collect());
        Ok(Sockets { tcp, udp, unix: None, admin, agent })
    }

    /// Adds the clients' Unix socket.
    pub(crate) fn add_unix(&mut self, socket: Socket) {
        self.unix = Some(socket);
    }

    /// Adds the Unix socket of the operator's page.
    pub(crate) fn add_admin_unix(&mut self, socket: Socket) {
        self.admin.push(socket);
    }

    /// Writes to the settings which addresses were bound, with their port when any free one was asked for.
    pub(crate) fn tell(&self, settings: &mut Settings) {
        let endpoint = |socket: Option<&Socket>| {
            let address = socket?.local_addr().ok()?.as_socket()?;
            Some(Endpoint { address, may_be_missing: false })
        };
        settings.tcp = self.tcp.iter().filter_map(|sockets| endpoint(sockets.first())).collect();
        settings.udp = self.udp.iter().filter_map(|sockets| endpoint(sockets.first())).collect();
        settings.agent = self.agent.iter().filter_map(|socket| endpoint(Some(socket))).collect();
        if let Some(Operator { place: Place::Network(endpoints), .. }) = &mut settings.operator {
            *endpoints = self.admin.iter().filter_map(|socket| endpoint(Some(socket))).collect();
        }
    }

    /// Gives each shard its own.
    pub(crate) fn split(self, shards: u16) -> Vec<ShardSockets> {
        let Sockets { tcp, udp, mut unix, mut admin, mut agent } = self;
        let mut tcp: Vec<_> = tcp.into_iter().map(Vec::into_iter).collect();
        let mut udp: Vec<_> = udp.into_iter().map(Vec::into_iter).collect();
        let each = |of_address: &mut Vec<std::vec::IntoIter<Socket>>| {
            of_address.iter_mut().filter_map(Iterator::next).collect::<Vec<Socket>>()
        };
        let shard = |_| ShardSockets {
            tcp: each(&mut tcp),
            udp: each(&mut udp),
            unix: unix.take(),
            admin: mem::take(&mut admin),
            agent: mem::take(&mut agent),
        };
        (0..shards).map(shard).collect()
    }
}

/// The address of sockets that all have the same.
fn local(sockets: &[Socket]) -> Option<SocketAddr> {
    sockets.first()?.local_addr().ok()?.as_socket()
}

/// Binds to all addresses. Those with port 0 get the same free port.
fn bind_all(endpoints: &[Endpoint], purpose: Purpose, kind: Type, shards: usize) -> Result<Vec<Vec<Socket>>, String> {
    let mut tries = FREE_PORT_TRIES;
    loop {
        match bind_with_one_port(endpoints, purpose, kind, shards) {
            Ok(bound) => return Ok(bound),
            // The port that was free at the first address is taken at another one.
            Err(Refusal { is_in_use: true, had_free_port: true, .. }) if tries > 0 => tries -= 1,
            Err(refusal) => return Err(refusal.line),
        }
    }
}

/// Why an address cannot be had.
#[derive(Debug)]
struct Refusal {
    line: String,
    is_in_use: bool,
    /// The port was chosen by the kernel.
    had_free_port: bool,
}

fn bind_with_one_port(
    endpoints: &[Endpoint],
    purpose: Purpose,
    kind: Type,
    shards: usize,
) -> Result<Vec<Vec<Socket>>, Refusal> {
    let mut bound: Vec<Vec<Socket>> = Vec::new();
    let mut free_port = None;
    let mut missing = None;
    // An IPv6 socket for all addresses takes those of IPv4 as well, unless they have a socket of their own.
    let only_v6 = endpoints.iter().any(|endpoint| endpoint.address.is_ipv4());
    for endpoint in endpoints {
        let takes_any = endpoint.address.port() == 0;
        let mut address = endpoint.address;
        address.set_port(if takes_any { free_port.unwrap_or(0) } else { address.port() });
        match bind(address, only_v6, kind, shards) {
            Ok(sockets) => {
                if takes_any {
                    free_port = local(&sockets).map(|address| address.port());
                }
                bound.push(sockets);
            }
            Err(error) => {
                let refusal = Refusal {
                    line: refusal(address, purpose, &error),
                    is_in_use: error.kind() == ErrorKind::AddrInUse,
                    had_free_port: takes_any && free_port.is_some(),
                };
                if !endpoint.may_be_missing || !is_not_ours(&error) {
                    return Err(refusal);
                }
                log::debug!("{}", refusal.line);
                missing = Some(refusal);
            }
        }
    }
    match missing {
        Some(refusal) if bound.is_empty() => Err(refusal),
        _ => Ok(bound),
    }
}

/// Whether the machine does not have the address, or not its family.
fn is_not_ours(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(nix::errno::Errno::EAFNOSUPPORT as i32)
}

/// The line for the operator, with the remedy that fits.
fn refusal(address: SocketAddr, purpose: Purpose, error: &io::Error) -> String {
    let Purpose { protocol, address: by_address, port: by_port } = purpose;
    let (ip, port) = (address.ip(), address.port());
    let choose = if by_address == by_port { by_port.to_string() } else { format!("{by_address} and {by_port}") };
    let remedy = if is_not_ours(error) {
        format!(
            "this machine does not have that address: name one of its own by {by_address} (`ip address` lists them), or \
             0.0.0.0 for all"
        )
    } else if error.kind() == ErrorKind::PermissionDenied {
        format!("choose a port from 1024 on by {by_port}, or start as root and give -u")
    } else if error.kind() == ErrorKind::AddrInUse {
        format!("stop what is there, or choose by {choose}")
    } else {
        format!("choose by {choose}")
    };
    format!("cannot listen on {ip} {protocol} port {port}: {error}; {remedy}")
}

/// Binds one socket for each shard to an address.
fn bind(address: SocketAddr, only_v6: bool, kind: Type, shards: usize) -> io::Result<Vec<Socket>> {
    if address.port() != 0 {
        // Without SO_REUSEPORT first: with it, a second server on the port would be let in, and get half the clients.
        let probe = || match (kind, address.is_ipv6() && only_v6) {
            (Type::STREAM, false) => StdListener::bind(address).map(drop),
            (_, false) => StdUdpSocket::bind(address).map(drop),
            (_, true) => new_socket(address, true, kind).and_then(|socket| {
                // As StdListener does: what a server that has gone has closed does not count.
                socket.set_reuse_address(kind == Type::STREAM)?;
                socket.bind(&address.into())
            }),
        };
        let in_use = |probed: &io::Result<()>| matches!(probed, Err(error) if error.kind() == ErrorKind::AddrInUse);
        with_patience(probe, in_use)?;
    }
    let mut sockets: Vec<Socket> = Vec::new();
    for _ in 0..shards {
        // Any free port: the one that the first socket got.
        let first = sockets.first().map(Socket::local_addr).transpose()?;
        let socket = new_socket(address, only_v6, kind)?;
        socket.set_reuse_port(true)?;
        socket.bind(&first.unwrap_or_else(|| address.into()))?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn new_socket(address: SocketAddr, only_v6: bool, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() && only_v6 {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(addresses: &[&str]) -> Vec<Endpoint> {
        let parse = |address: &&str| Endpoint { address: address.parse().expect("good"), may_be_missing: false };
        addresses.iter().map(parse).collect()
    }

    #[test]
    fn a_port_that_is_taken_is_refused_and_named() {
        let taken = StdListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("an address").to_string();
        let error = bind_all(&endpoints(&[&address]), CLIENTS_TCP, Type::STREAM, 1).expect_err("it is taken");
        assert!(
            error.contains(&address[10..]) && error.contains("-p") && error.contains("stop what is there"),
            "{error}"
        );
    }

    #[test]
    fn an_address_of_another_machine_is_refused_with_the_remedy_that_fits() {
        let error =
            bind_all(&endpoints(&["192.0.2.1:0"]), CLIENTS_TCP, Type::STREAM, 1).expect_err("it is for documentation");
        assert!(error.contains("192.0.2.1") && error.contains("ip address") && !error.contains("stop"), "{error}");
    }

    #[test]
    fn an_address_of_a_name_may_be_missing_but_not_all() {
        let mut two = endpoints(&["192.0.2.1:0", "127.0.0.1:0"]);
        two[0].may_be_missing = true;
        assert_eq!(bind_all(&two, CLIENTS_TCP, Type::STREAM, 1).expect("one is there").len(), 1);
        bind_all(&two[..1], CLIENTS_TCP, Type::STREAM, 1).expect_err("none is there");
        two[0].may_be_missing = false;
        bind_all(&two, CLIENTS_TCP, Type::STREAM, 1).expect_err("it was asked for by number");
    }

    #[test]
    fn all_shards_and_addresses_get_the_same_free_port() {
        let bound =
            bind_all(&endpoints(&["127.0.0.1:0", "127.0.0.2:0"]), CLIENTS_UDP, Type::DGRAM, 3).expect("a free port");
        assert_eq!(bound.len(), 2);
        let port = |socket: &Socket| socket.local_addr().expect("bound").as_socket().expect("of the network").port();
        let ports: Vec<u16> = bound.iter().flatten().map(port).collect();
        assert!(ports.len() == 6 && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }
}
