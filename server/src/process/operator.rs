//! Where the operator's page is served, and what it may: what `--admin` and its kin come to.

use std::net::IpAddr;
use std::path::Path;

use crate::process::addresses::{self, Endpoint};
use crate::process::options::Arguments;
use crate::process::paths::{absolute, refuse_own_name};
use crate::process::settings::UnixSocket;

/// Connections of the page that there may be at once. They are none of those that `-c` counts.
pub(crate) const CONNECTIONS_MAX: usize = 64;
/// Of the Unix socket: what reaches it may do everything.
const SOCKET_MASK: u32 = 0o700;

/// Where the page is served.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// On these addresses of the network.
    Network(Vec<Endpoint>),
    Unix(UnixSocket),
}

/// The operator's page and its interface.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    pub(crate) place: Place,
    /// Whether it changes nothing.
    pub(crate) read_only: bool,
    /// The names that browsers may reach it by, besides addresses and `localhost`: small letters, without a port.
    pub(crate) hosts: Vec<String>,
}

impl Operator {
    /// What the options ask for. `None`: there is no page. `has_users`: who asks must name a user.
    ///
    /// # Errors
    /// When the place is none, when the network could reach it and no user is asked for, or when an option has no effect.
    pub(crate) fn of(options: &Arguments, directory: &Path, has_users: bool) -> Result<Option<Operator>, String> {
        let Some(place) = &options.admin else {
            let without =
                [("--admin-read-only", options.admin_read_only), ("--admin-host", !options.admin_host.is_empty())];
            return match without.into_iter().find(|(_, given)| *given) {
                Some((option, _)) => Err(format!("{option}: --admin is missing, which says where the page is served")),
                None => Ok(None),
            };
        };
        let mut hosts: Vec<String> = Vec::new();
        for host in &options.admin_host {
            if !is_host(host) {
                return Err(format!("--admin-host {host}: it is the name of a host, without a port"));
            }
            hosts.push(host.to_ascii_lowercase());
        }
        hosts.extend(options.addresses().iter().filter_map(|item| name_of(item)));
        let place = if place.contains('/') {
            let path = absolute(Path::new(place), "--admin")?;
            refuse_own_name(&path, "--admin", directory)?;
            Place::Unix(UnixSocket { path, mask: SOCKET_MASK })
        } else {
            hosts.extend(name_of(place).filter(|_| place.contains(':')));
            Place::Network(network(place, has_users)?)
        };
        hosts.sort();
        hosts.dedup();
        Ok(Some(Operator { place, read_only: options.admin_read_only, hosts }))
    }

    /// The file of its Unix socket.
    pub(crate) fn socket(&self) -> Option<&UnixSocket> {
        match &self.place {
            Place::Unix(unix) => Some(unix),
            Place::Network(_) => None,
        }
    }

    /// The addresses of the network.
    pub(crate) fn endpoints(&self) -> &[Endpoint] {
        match &self.place {
            Place::Network(endpoints) => endpoints,
            Place::Unix(_) => &[],
        }
    }

    /// What it can be reached at, in words.
    pub(crate) fn addresses(&self) -> Vec<String> {
        match &self.place {
            Place::Network(endpoints) => {
                endpoints.iter().map(|endpoint| format!("admin {}", endpoint.address)).collect()
            }
            Place::Unix(unix) => vec![format!("admin {}", unix.path.display())],
        }
    }
}

fn network(place: &str, has_users: bool) -> Result<Vec<Endpoint>, String> {
    let found = addresses::of_option("--admin", place, ", or the path of a Unix socket, with a /")?;
    if let Some(open) = found.iter().find(|endpoint| !endpoint.address.ip().is_loopback() && !has_users) {
        return Err(format!(
            "--admin {}: everybody who reaches that address could empty every queue; give --users FILE, or a loopback \
             address",
            open.address
        ));
    }
    Ok(found)
}

/// Whether this can be the name of a host in a URL.
fn is_host(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// The host name of an item of `-l` or `--admin`, without its port. `None`: it is an address.
fn name_of(item: &str) -> Option<String> {
    let host = item.split_once(':').map_or(item, |(host, _)| host);
    (is_host(host) && host.parse::<IpAddr>().is_err()).then(|| host.to_ascii_lowercase())
}

/// Where the page is served, for `stats settings`.
pub(crate) fn place(operator: Option<&Operator>) -> String {
    match operator.map(|operator| &operator.place) {
        None => "none".to_string(),
        Some(Place::Unix(unix)) => unix.path.display().to_string(),
        Some(Place::Network(endpoints)) => {
            let addresses: Vec<String> = endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
            addresses.join(",")
        }
    }
}

/// The names by which browsers reach it, for `stats settings`.
pub(crate) fn hosts(operator: Option<&Operator>) -> String {
    let hosts = operator.map_or(&[][..], |operator| &operator.hosts);
    if hosts.is_empty() { "none".to_string() } else { hosts.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::options::tests::parse;

    fn operator(line: &str) -> Result<Option<Operator>, String> {
        Operator::of(&parse(line), Path::new("/data"), false)
    }

    fn good(line: &str) -> Operator {
        operator(line).expect(line).expect(line)
    }

    #[test]
    fn a_page_is_served_where_it_is_asked_for() {
        assert!(operator("").expect("good").is_none());
        assert_eq!(good("--admin 8080").addresses(), ["admin 127.0.0.1:8080"]);
        assert_eq!(good("--admin [::1]:0").addresses(), ["admin [::1]:0"]);
        assert_eq!(good("--admin /run/page").addresses(), ["admin /run/page"]);
        assert!(good("--admin ./page").socket().expect("a socket").path.is_absolute());
        assert!(good("--admin 1 --admin-read-only").read_only && !good("--admin 1").read_only);
    }

    /// Planted once: without the look at the address, a server on 0.0.0.0 starts.
    #[test]
    fn an_address_that_the_network_reaches_takes_users() {
        for open in ["0.0.0.0:80", "192.0.2.1:80", "[::]:80"] {
            let error = operator(&format!("--admin {open}")).expect_err(open);
            assert!(error.starts_with("--admin ") && error.contains("--users"), "{error}");
            Operator::of(&parse(&format!("--admin {open}")), Path::new("/data"), true).expect(open);
        }
    }

    #[test]
    fn names_that_browsers_may_use() {
        let hosts = good("-l localhost,127.0.0.1 --admin localhost:80 --admin-host Queue.Example").hosts;
        assert_eq!(hosts, ["localhost", "queue.example"]);
    }

    #[test]
    fn what_cannot_be_says_so() {
        for (line, words) in [
            ("--admin-read-only", "--admin-read-only: --admin is missing"),
            ("--admin-host a", "--admin-host: --admin is missing"),
            ("--admin 1 --admin-host a:1", "--admin-host a:1"),
            ("--admin 65536", "--admin 127.0.0.1:65536"),
            ("--admin 127.0.0.1", "--admin 127.0.0.1: the port is missing"),
            ("--admin no-such-host.invalid:1", "--admin no-such-host.invalid:1"),
            ("--admin /data/layout", "--admin"),
        ] {
            let error = operator(line).expect_err(line);
            assert!(error.starts_with(words) && error.lines().count() == 1, "{line}: {error}");
        }
    }
}
