//! The values of `--proxy-protocol`: addresses, and networks by an address and how many of its bits count.

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

/// All addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    first: IpAddr,
    bits: u32,
}

impl Network {
    /// Whether the address is one of its own. An IPv4 address that came by an IPv6 socket is an IPv4 address.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        let shift = width(self.first) - self.bits;
        let begins = |address: IpAddr| value(address).checked_shr(shift).unwrap_or(0);
        let address = address.to_canonical();
        self.first.is_ipv4() == address.is_ipv4() && begins(self.first) == begins(address)
    }
}

impl Display for Network {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.bits == width(self.first) {
            true => self.first.fmt(f),
            false => write!(f, "{}/{}", self.first, self.bits),
        }
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { u32::BITS } else { u128::BITS }
}

fn value(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The networks of an option's value, with commas between them.
///
/// # Errors
/// When an item is none. The line names the option.
pub(crate) fn networks(option: &str, items: &str) -> Result<Vec<Network>, String> {
    items.split(',').map(|item| network(item).ok_or_else(|| wrong(option, item))).collect()
}

fn wrong(option: &str, item: &str) -> String {
    format!("{option} {item}: it is ADDRESS or ADDRESS/BITS, as 10.0.0.7 or 10.0.0.0/8, with commas between several")
}

fn network(item: &str) -> Option<Network> {
    let (address, bits) = match item.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse().ok()?)),
        None => (item, None),
    };
    let first = address.parse::<IpAddr>().ok()?;
    let bits = bits.unwrap_or(width(first));
    (bits <= width(first)).then_some(Network { first, bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(items: &str, address: &str) -> bool {
        let networks = networks("--o", items).expect("good");
        networks.iter().any(|network| network.has(address.parse().expect("an address")))
    }

    #[test]
    fn an_address_is_in_the_networks_that_begin_as_it_does() {
        let table = [
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.6", false),
            ("10.0.0.7", "::ffff:10.0.0.7", true),
            ("10.1.2.3/8", "10.255.0.1", true),
            ("10.1.2.3/8", "11.0.0.1", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("10.0.0.1,192.0.2.0/24", "192.0.2.200", true),
        ];
        for (items, address, expected) in table {
            assert_eq!(has(items, address), expected, "{address} in {items}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["", "10.0.0.1,", "10.0.0.1/33", "::1/129", "10.0.0.0/x", "10.0.0.0/", "proxy.invalid", "[::1]"] {
            let error = networks("--proxy-protocol", bad).expect_err(bad);
            assert!(error.starts_with("--proxy-protocol ") && error.lines().count() == 1, "{error}");
        }
    }

    #[test]
    fn a_network_is_shown_as_it_is_written() {
        let shown = networks("--o", "10.0.0.7,10.0.0.0/8,::1/128").expect("good");
        let shown: Vec<String> = shown.iter().map(Network::to_string).collect();
        assert_eq!(shown, ["10.0.0.7", "10.0.0.0/8", "::1"]);
    }
}
