//! `--proxy-protocol`: proxies that are trusted tell whose connection it is.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::client::Client;
use crate::process::{Launch, Server, wait_until};
use crate::secure::Papers;

const EVENT_TIMEOUT: Duration = Duration::from_secs(20);
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\x0a\0\0\x01\x30\x39\x56\xce";

/// A connection from another address of this machine.
fn from(address: [u8; 4], server: &Server) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
    socket.connect(&server.address().into()).unwrap();
    socket.into()
}

/// The addresses of all connections, as an operator sees them.
fn peers(client: &mut Client) -> Vec<String> {
    client.stats("conns").into_iter().filter(|(name, _)| name.ends_with(":peer")).map(|(_, value)| value).collect()
}

#[test]
fn a_header_tells_whose_connection_it_is() {
    let mut server = Launch::new().with(&["--proxy-protocol", "127.0.0.2,127.0.1.0/24"]).start();
    let table: [(&[u8], Option<&str>); 5] = [
        (b"PROXY TCP4 203.0.113.9 10.0.0.1 12345 22201\r\n", Some("203.0.113.9:12345")),
        (b"PROXY TCP6 2001:db8::9 2001:db8::1 12345 22201\r\n", Some("[2001:db8::9]:12345")),
        (V2, Some("203.0.113.9:12345")),
        (b"PROXY UNKNOWN\r\n", None),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", None),
    ];
    for (header, told) in table {
        for (address, piece) in [([127, 0, 0, 2], usize::MAX), ([127, 0, 1, 200], 1)] {
            let mut stream = from(address, &server);
            stream.set_nodelay(true).unwrap();
            let local = stream.local_addr().unwrap().to_string();
            for part in [header, b"get none\r\n"].concat().chunks(piece) {
                stream.write_all(part).unwrap();
            }
            let mut client = Client::over(stream);
            assert_eq!(client.line(), "END");
            let told = told.map_or(local, String::from);
            let peers = peers(&mut client);
            assert!(peers.contains(&told), "{told} is not among {peers:?}");
            client.send("quit\r\n");
            client.expect_close();
        }
    }
    server.terminate();
}

#[test]
fn a_listed_address_without_a_header_is_closed_and_others_are_served() {
    let mut server = Launch::new().with(&["--proxy-protocol", "127.0.0.2", "-v"]).start();
    for bad in [&b"get none\r\n"[..], b"PROXY TCP4 1.2.3.4 1.2.3.4 1 x\r\n", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0"] {
        let mut stream = from([127, 0, 0, 2], &server);
        stream.write_all(bad).unwrap();
        Client::over(stream).expect_close();
    }
    let line = server.wait_for_line("a connection from the proxy 127.0.0.2 is closed");
    assert!(line.contains("WARN") && line.contains("begins with no PROXY header"), "{line}");
    // A look at whether the port is open is no header, and no warning.
    drop(from([127, 0, 0, 2], &server));
    server.wait_for_line("127.0.0.2: the connection ended without a PROXY header");
    let warnings = server.said().iter().filter(|line| line.contains("from the proxy 127.0.0.2 is closed")).count();
    assert!(warnings <= 2, "one a second: {:#?}", server.said());

    let mut client = server.connect();
    assert_eq!(client.command("get none"), "END");
    let mut stranger = server.connect();
    stranger.send("PROXY TCP4 203.0.113.9 10.0.0.1 12345 22201\r\nget none\r\n");
    stranger.expect_close();
    server.wait_for_line("begins with a PROXY header");
    server.terminate();
}

/// HAProxy, in front of a server.
struct Proxy {
    child: Child,
    /// With `send-proxy`, and with `send-proxy-v2` over TLS.
    ports: [u16; 2],
}

impl Proxy {
    fn start(server: &Server, papers: &Papers, with_tls: bool) -> Proxy {
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let tls = match with_tls {
            true => format!("ssl verify required verifyhost localhost ca-file {}", papers.path("ca.pem")),
            false => String::new(),
        };
        let side = |port: u16, how: &str| {
            let address = server.address();
            format!(
                "listen from-{port}\n mode tcp\n bind 127.0.0.1:{port}\n server one {address} source 127.0.0.2 {how} {tls}\n"
            )
        };
        let (first, second) = (side(ports[0], "send-proxy"), side(ports[1], "send-proxy-v2"));
        let text = format!("defaults\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n{first}{second}");
        let path = papers.folder().join("haproxy.cfg");
        fs::write(&path, text).unwrap();
        let child = Command::new("haproxy").arg("-db").arg("-f").arg(&path).stdin(Stdio::null()).spawn();
        let proxy = Proxy { child: child.expect("haproxy is missing: apt-get install haproxy"), ports };
        wait_until("the proxy to listen", EVENT_TIMEOUT, || TcpStream::connect(("127.0.0.1", ports[1])).is_ok());
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both versions of the header; with TLS it comes before TLS.
#[test]
fn haproxy_tells_the_client() {
    for with_tls in [false, true] {
        let launch = Launch::new();
        let papers = Papers::new(&launch);
        let tls = papers.options();
        let mut options = vec!["--proxy-protocol", "127.0.0.2"];
        if with_tls {
            options.extend(tls.iter().map(String::as_str));
        }
        let mut server = launch.with(&options).start();
        let proxy = Proxy::start(&server, &papers, with_tls);
        for port in proxy.ports {
            let mut client = Client::connect(SocketAddr::from(([127, 0, 0, 1], port)));
            assert_eq!(client.command("get none"), "END");
            let own = client.local_address().to_string();
            assert!(peers(&mut client).contains(&own), "{own} over TLS {with_tls}: {:?}", peers(&mut client));
        }
        drop(proxy);
        server.terminate();
    }
}
