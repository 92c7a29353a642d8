//! Where a client comes from, as far as limits for one client go.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One address that counts as one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address: a client has all the others to choose from.
    V6([u8; 8]),
    /// The id of a user of this machine, by a Unix socket.
    Unix(u32),
    /// It has gone before it was looked up.
    Unknown,
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Source {
        // An IPv6 socket for all addresses has clients of IPv4 as `::ffff:127.0.0.1`.
        match address.to_canonical() {
            IpAddr::V4(address) => Source::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Source::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::V4(address) => write!(f, "{address}"),
            Source::V6(network) => {
                let mut address = [0; 16];
                address[..8].copy_from_slice(network);
                write!(f, "{}/64", Ipv6Addr::from(address))
            }
            Source::Unix(user) => write!(f, "user {user} of this machine"),
            Source::Unknown => write!(f, "an unknown address"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> Source {
        Source::from(address.parse::<IpAddr>().expect("an address"))
    }

    #[test]
    fn a_network_of_64_bits_is_one_client() {
        assert_eq!(source("2001:db8:0:1::1"), source("2001:db8:0:1:ffff::2"));
        assert_ne!(source("2001:db8:0:1::1"), source("2001:db8:0:2::1"));
        assert_ne!(source("10.0.0.1"), source("10.0.0.2"));
        assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
        assert_eq!(source("2001:db8:0:1::1").to_string(), "2001:db8:0:1::/64");
    }
}
