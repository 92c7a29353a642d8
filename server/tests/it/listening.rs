//! Where a server listens: `-l`, `-p` and `-U` together.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use crate::client::Client;
use crate::process::{Launch, Server};
use crate::root::is_root;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn has_ipv6() -> bool {
    let has = TcpListener::bind((V6, 0)).is_ok();
    if !has {
        eprintln!("skipped: this machine has no IPv6");
    }
    has
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind((V4, 0)).unwrap().local_addr().unwrap().port()
}

/// All addresses that it says it listens on, each of which must answer, on both shards.
fn answering(server: &Server) -> Vec<SocketAddr> {
    for address in server.addresses() {
        for number in 0..4 {
            let mut client = Client::connect(*address);
            assert_eq!(client.set(&format!("q{number}"), b"x"), "STORED");
            assert_eq!(client.get(&format!("q{number}")).as_deref(), Some(&b"x"[..]));
        }
    }
    server.addresses().to_vec()
}

fn ips(addresses: &[SocketAddr]) -> Vec<IpAddr> {
    addresses.iter().map(SocketAddr::ip).collect()
}

#[test]
fn several_addresses_have_one_port() {
    if !has_ipv6() {
        return;
    }
    for arguments in [&["-l", "127.0.0.1", "-l", "::1"][..], &["-l", "127.0.0.1,[::1]"], &["-l127.0.0.1,::1"]] {
        let server = Launch::new().with(arguments).start();
        let addresses = answering(&server);
        assert_eq!(ips(&addresses), [V4, V6], "{arguments:?}");
        assert_eq!(addresses[0].port(), addresses[1].port());
        let settings = server.connect().stats("settings");
        assert!(settings.contains(&(String::from("listen"), String::from("127.0.0.1,::1"))), "{settings:?}");
    }
}

#[test]
fn an_address_may_have_a_port_of_its_own() {
    let (one, other) = (free_port(), free_port());
    let server = Launch::new().port(one).with(&["-l", &format!("127.0.0.1,127.0.0.2:{other}")]).start();
    let expected: Vec<SocketAddr> = vec![SocketAddr::new(V4, one), format!("127.0.0.2:{other}").parse().unwrap()];
    assert_eq!(answering(&server), expected);
    TcpStream::connect((V4, other)).unwrap_err();
    drop(server);
    // As memcached has it: the port behind the address counts, and without another nothing else is listened on.
    let server = Launch::new().without_port().with(&["-l", &format!("127.0.0.1:{other}")]).start();
    assert_eq!(answering(&server), [SocketAddr::new(V4, other)]);
}

#[test]
fn a_host_name_means_all_its_addresses() {
    if !has_ipv6() {
        return;
    }
    if !is_root("only root can give a server names of its own") {
        return;
    }
    let launch = Launch::new();
    let hosts = launch.scratch().join("hosts");
    // The last is an address for documentation, which no machine has: the others will do.
    std::fs::write(&hosts, "127.0.0.1 several\n::1 several other\n2001:db8::1 other\n2001:db8::1 none\n").unwrap();
    let with_hosts = format!("mount --bind '{}' /etc/hosts && exec \"$0\" \"$@\"", hosts.display());
    let launch = launch.through(&["unshare", "--mount", "sh", "-c", &with_hosts]);
    let listened = |name: &str| {
        let mut ips = ips(&answering(&launch.clone().with(&["-l", name]).start()));
        ips.sort();
        ips
    };
    assert_eq!(listened("several"), [V4, V6]);
    assert_eq!(listened("other"), [V6]);
    launch.clone().with(&["-l", "none"]).refused().assert_one_line(&["2001:db8::1", "does not have", "-l"]);
}

#[test]
fn udp_has_all_addresses_too() {
    let port = UdpSocket::bind((V4, 0)).unwrap().local_addr().unwrap().port();
    let server = Launch::new().with(&["-l", "127.0.0.1,127.0.0.2", "-U", &port.to_string()]).start();
    for address in ["127.0.0.1", "127.0.0.2"] {
        let client = UdpSocket::bind((V4, 0)).unwrap();
        client.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        client.send_to(b"\0\x07\0\0\0\x01\0\0version\r\n", (address, port)).unwrap();
        let mut answer = [0; 100];
        let length = client.recv(&mut answer).unwrap();
        assert!(answer[8..length].starts_with(b"VERSION "), "{address}");
    }
    assert!(
        server.said().iter().any(|line| line.contains(&format!("listening on udp 127.0.0.1:{port}, udp 127.0.0.2:")))
    );
}

#[test]
fn what_is_no_address_is_refused_with_the_remedy_that_fits() {
    let refused = |arguments: &[&str]| Launch::new().with(arguments).refused();
    // Not this machine's: it is one for documentation.
    refused(&["-l", "192.0.2.1"]).assert_one_line(&["192.0.2.1", "does not have", "-l"]);
    refused(&["-l", "127.0.0.1,192.0.2.1"]).assert_one_line(&["192.0.2.1", "does not have", "-l"]);
    refused(&["-l", "127.0.0.1:port"]).assert_one_line(&["-l 127.0.0.1:port", "ADDRESS:PORT"]);
    refused(&["-l", "127.0.0.1,,"]).assert_one_line(&["-l"]);
    let taken = TcpListener::bind((V4, 0)).unwrap();
    let item = format!("127.0.0.2,127.0.0.1:{}", taken.local_addr().unwrap().port());
    refused(&["-l", &item]).assert_one_line(&["in use", "-l"]);
}
