//! The values of `-l`: addresses and host names, each perhaps with a port of its own, as memcached takes them.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// Where a bare port listens.
const LOOPBACK: &str = "127.0.0.1";

/// An address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// It is one of several that a host name has: a server starts without it where the machine has one of the others.
    pub(crate) may_be_missing: bool,
}

/// All addresses of `listen`, each at its own port or at `port`. `None`: those without a port of their own are left out.
///
/// # Errors
/// When no machine has the name, or an item is no address.
pub(crate) fn endpoints(listen: &[String], port: Option<u16>) -> Result<Vec<Endpoint>, String> {
    let mut all: Vec<Endpoint> = Vec::new();
    for item in listen {
        let (host, own_port) = split(item)?;
        let Some(port) = own_port.or(port) else { continue };
        let unknown = |why: String| format!("-l {item}: {why}; give an address or a host name of this machine");
        let found = (host, port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
        let found: Vec<SocketAddr> = found.collect();
        if found.is_empty() {
            return Err(unknown("no address has this name".to_string()));
        }
        let is_name = host.parse::<IpAddr>().is_err();
        all.extend(found.into_iter().map(|address| Endpoint { address, may_be_missing: is_name }));
    }
    Ok(distinct(&all))
}

/// The addresses of an option that is a port of 127.0.0.1, or an address or a name with its port. `others`: what else it can
/// be, for the line that says so.
///
/// # Errors
/// When it is neither, or no machine has the name.
pub(crate) fn of_option(option: &str, place: &str, others: &str) -> Result<Vec<Endpoint>, String> {
    let wrong = |error: &str| {
        let error = error.strip_prefix("-l ").unwrap_or(error);
        format!("{option} {error}; it is PORT or ADDRESS:PORT{others}")
    };
    let item = if place.parse::<u64>().is_ok() { format!("{LOOPBACK}:{place}") } else { place.to_string() };
    let found = endpoints(&[item], None).map_err(|error| wrong(&error))?;
    if found.is_empty() {
        return Err(wrong(&format!("{place}: the port is missing")));
    }
    Ok(found)
}

/// Host and port of an item: `HOST`, `HOST:PORT`, `[IPV6]`, `[IPV6]:PORT` or a bare IPv6 address.
fn split(item: &str) -> Result<(&str, Option<u16>), String> {
    let wrong = || format!("-l {item}: it is ADDRESS or ADDRESS:PORT, an IPv6 address with a port in brackets");
    let (host, port) = match item.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(wrong()),
            }
        }
        None => match item.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (item, None),
        },
    };
    if host.is_empty() {
        return Err(wrong());
    }
    Ok((host, port.map(|port| port.parse().map_err(|_| wrong())).transpose()?))
}

/// Each address once, and none that an unspecified one of its family and port covers already.
fn distinct(all: &[Endpoint]) -> Vec<Endpoint> {
    let covers = |one: &Endpoint, other: &Endpoint| {
        let (one, other) = (one.address, other.address);
        one.port() == other.port()
            && one.is_ipv4() == other.is_ipv4()
            && (one.ip() == other.ip() || one.ip().is_unspecified())
    };
    let mut kept: Vec<Endpoint> = Vec::new();
    for endpoint in all {
        if !kept.iter().any(|other| covers(other, endpoint)) {
            kept.retain(|other| !covers(endpoint, other));
            kept.push(*endpoint);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listened(items: &[&str], port: Option<u16>) -> Vec<String> {
        let items: Vec<String> = items.iter().map(|item| (*item).to_string()).collect();
        endpoints(&items, port).expect("good").iter().map(|endpoint| endpoint.address.to_string()).collect()
    }

    #[test]
    fn items_are_written_as_memcached_takes_them() {
        assert_eq!(listened(&["127.0.0.1", "::1"], Some(1)), ["127.0.0.1:1", "[::1]:1"]);
        assert_eq!(listened(&["[::1]", "[::2]:7", "10.0.0.1:8"], Some(1)), ["[::1]:1", "[::2]:7", "10.0.0.1:8"]);
        assert_eq!(listened(&["127.0.0.1", "10.0.0.1:8"], None), ["10.0.0.1:8"]);
    }

    #[test]
    fn no_address_is_listened_on_twice() {
        assert_eq!(listened(&["10.0.0.1", "10.0.0.1:1", "10.0.0.1:2"], Some(1)), ["10.0.0.1:1", "10.0.0.1:2"]);
        assert_eq!(listened(&["10.0.0.1", "0.0.0.0", "10.0.0.2", "::1"], Some(1)), ["0.0.0.0:1", "[::1]:1"]);
    }

    #[test]
    fn a_bare_port_is_of_this_machine_alone() {
        let of = |place| of_option("--x", place, "").map(|found| found[0].address.to_string());
        assert_eq!(of("80"), Ok("127.0.0.1:80".to_string()));
        assert_eq!(of("0.0.0.0:80"), Ok("0.0.0.0:80".to_string()));
        for bad in ["", "127.0.0.1", "65536", "/path", "x:y"] {
            let error = of(bad).expect_err(bad);
            assert!(error.starts_with("--x ") && error.ends_with("; it is PORT or ADDRESS:PORT"), "{error}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in ["", ":1", "[::1", "[::1]x", "[::1]:", "h:", "h:65536", "h:x", "[]:1", "no-such-host.invalid"] {
            let error = endpoints(&[bad.to_string()], Some(1)).expect_err(bad);
            assert!(error.starts_with("-l ") && error.lines().count() == 1, "{error}");
        }
    }
}
