//! One socket: what is still to be sent, and which answers are due.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use rustls::ClientConnection;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::answers::{ANSWER_BYTES_MAX, Answer, Dialect};
use crate::options::Arguments;
use crate::tls::Tls;
use crate::workload::Request;

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Batches that do not fit into a socket's buffer would be sent in two.
const OUTBOX_KEPT_MAX: usize = 1 << 20;
/// How often the addresses of a host are tried that has just now too many connections waiting.
const CONNECT_ATTEMPTS: usize = 3;

/// A request that was sent, or is about to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) request: Request,
    /// When it was sent, or due; nanoseconds since the start of the run.
    pub(crate) at_ns: u64,
    /// The verifier's time of its sending.
    pub(crate) tick: u64,
    /// Bytes of the message.
    pub(crate) bytes: usize,
    /// It was sent before, on a connection that was dropped.
    pub(crate) is_repeated: bool,
}

/// Why a connection is of no more use.
#[derive(Debug, PartialEq)]
pub(crate) enum Trouble {
    /// It was closed or broke.
    Lost(String),
    /// The server does not speak the protocol.
    Nonsense(String),
}

#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// Requests, of which the first bytes are sent.
    pub(crate) outbox: Vec<u8>,
    sent: usize,
    /// The beginning of an answer that is not whole yet.
    begun: Vec<u8>,
    /// Requests without an answer, in their order.
    pub(crate) outstanding: VecDeque<Asked>,
}

impl Connection {
    /// Connects, and waits until it has.
    pub(crate) fn new(server: &Server, timeout: Duration) -> std::io::Result<Connection> {
        let mut attempt = 1;
        let mut socket = loop {
            match TcpStream::connect_timeout(&server.address, timeout) {
                Err(error) if error.kind() == ErrorKind::TimedOut && attempt < CONNECT_ATTEMPTS => attempt += 1,
                outcome => break outcome?,
            }
        };
        let tls = server.tls.as_ref().map(|tls| tls.secure(&mut socket, timeout)).transpose()?;
        socket.set_nonblocking(true)?;
        Ok(Connection { tls, ..Connection::over(socket)? })
    }

    /// Begins to connect. Whether that succeeds is known when something is sent or received.
    pub(crate) fn begin(address: &SocketAddr) -> std::io::Result<Connection> {
        let socket = Socket::new(Domain::for_address(*address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&SockAddr::from(*address)) {
            Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(error),
            _ => Connection::over(TcpStream::from(socket)),
        }
    }

    fn over(socket: TcpStream) -> std::io::Result<Connection> {
        socket.set_nodelay(true)?;
        Ok(Connection {
            socket,
            tls: None,
            outbox: Vec::new(),
            sent: 0,
            begun: Vec::new(),
            outstanding: VecDeque::new(),
        })
    }

    /// Sends what the socket takes.
    pub(crate) fn send(&mut self) -> Result<(), Trouble> {
        while self.is_sending() {
            match self.write() {
                Ok(bytes) => self.sent += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Trouble::Lost(format!("cannot send: {error}"))),
            }
        }
        self.outbox.clear();
        self.outbox.shrink_to(OUTBOX_KEPT_MAX);
        self.sent = 0;
        Ok(())
    }

    /// Sends once. Returns how many bytes of the outbox are done with.
    fn write(&mut self) -> std::io::Result<usize> {
        let rest = &self.outbox[self.sent..];
        let Some(tls) = &mut self.tls else { return self.socket.write(rest) };
        let bytes = if rest.is_empty() { 0 } else { tls.writer().write(rest)? };
        // What is sealed is kept by then, and is sent by the next call if not by this one.
        match tls.write_tls(&mut self.socket) {
            Err(_) if bytes > 0 => Ok(bytes),
            written => written.map(|_| bytes),
        }
    }

    pub(crate) fn is_sending(&self) -> bool {
        self.sent < self.outbox.len() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// A byte of what is in the outbox, or was, may have left.
    pub(crate) fn has_sent(&self) -> bool {
        self.sent > 0 || self.outbox.is_empty()
    }

    /// Reads what the socket has, once, and hands out the whole answers.
    pub(crate) fn receive(
        &mut self,
        dialect: &Dialect,
        buffer: &mut [u8],
        mut take: impl FnMut(Asked, Answer<'_>) -> Result<(), String>,
    ) -> Result<(), Trouble> {
        loop {
            self.receive_some(dialect, buffer, &mut take)?;
            // The socket does not tell of what is opened and was not read.
            let opened = self.tls.as_mut().and_then(|tls| tls.process_new_packets().ok());
            if opened.is_none_or(|state| state.plaintext_bytes_to_read() == 0) {
                return Ok(());
            }
        }
    }

    /// Reads once, into `buffer` where nothing is begun.
    fn receive_some(
        &mut self,
        dialect: &Dialect,
        buffer: &mut [u8],
        mut take: impl FnMut(Asked, Answer<'_>) -> Result<(), String>,
    ) -> Result<(), Trouble> {
        let was_begun = self.begun.len();
        if was_begun >= ANSWER_BYTES_MAX {
            return Err(Trouble::Nonsense(String::from("the server's answer has no end")));
        }
        let read = if was_begun == 0 {
            read(&mut self.socket, &mut self.tls, buffer)
        } else {
            self.begun.resize(was_begun + buffer.len().max(was_begun), 0);
            read(&mut self.socket, &mut self.tls, &mut self.begun[was_begun..])
        };
        self.begun.truncate(was_begun + read.as_ref().map_or(0, |bytes| if was_begun == 0 { 0 } else { *bytes }));
        let bytes = match read {
            Ok(0) => return Err(Trouble::Lost(String::from("the server closed a connection"))),
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(()),
            Err(error) => return Err(Trouble::Lost(format!("cannot receive: {error}"))),
        };
        let input = if was_begun == 0 { &buffer[..bytes] } else { &self.begun[..] };
        let mut used = 0;
        while let Some(asked) = self.outstanding.front() {
            let Some((bytes, answer)) = dialect.next(&input[used..], asked.request.act) else {
                break;
            };
            take(*asked, answer).map_err(Trouble::Nonsense)?;
            self.outstanding.pop_front();
            used += bytes;
        }
        if self.outstanding.is_empty() && used < input.len() {
            let text = input[used..].escape_ascii().to_string();
            return Err(Trouble::Nonsense(format!("the server says, and was not asked: {text:.80}")));
        }
        if was_begun == 0 {
            self.begun.extend_from_slice(&buffer[used..bytes]);
        } else {
            self.begun.drain(..used);
        }
        if self.begun.is_empty() {
            self.begun = Vec::new();
        }
        Ok(())
    }
}

/// Reads once.
fn read(socket: &mut TcpStream, tls: &mut Option<Box<ClientConnection>>, buffer: &mut [u8]) -> std::io::Result<usize> {
    let Some(tls) = tls else { return socket.read(buffer) };
    match tls.reader().read(buffer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        read => return read,
    }
    if tls.read_tls(socket)? == 0 {
        return Ok(0);
    }
    tls.process_new_packets().map_err(std::io::Error::other)?;
    tls.reader().read(buffer)
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Where connections go, and whether over TLS.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Tls>,
}

impl Server {
    /// Without TLS.
    pub(crate) fn plain(address: SocketAddr) -> Server {
        Server { address, tls: None }
    }
}

/// The server's address: the first that takes a connection.
pub(crate) fn reachable(options: &Arguments) -> Result<SocketAddr, String> {
    let (server, port) = (options.server.as_str(), options.port);
    let unreachable = |reason: String| format!("cannot reach {server}:{port}: {reason}");
    let addresses = (server, port).to_socket_addrs().map_err(|error| unreachable(error.to_string()))?;
    let mut reason = String::from("no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(_) => return Ok(address),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(unreachable(reason))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::options::tests::parse;
    use crate::workload::Act;

    fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = Connection::new(&Server::plain(listener.local_addr().unwrap()), CONNECT_TIMEOUT).unwrap();
        connection.socket.set_nonblocking(false).unwrap();
        (connection, listener.accept().unwrap().0)
    }

    fn ask(connection: &mut Connection, is_set: bool) {
        let act = if is_set { Act::Set } else { Act::Get };
        let request = Request { act, queue: 1, number: 0 };
        connection.outstanding.push_back(Asked { request, at_ns: 0, tick: 0, bytes: 0, is_repeated: false });
    }

    #[test]
    fn answers_come_in_pieces_and_together() {
        let dialect = Dialect::new(&parse("").unwrap(), None);
        let bytes = b"STORED\r\nVALUE q1 0 5\r\nhello\r\nEND\r\nNOT_STORED\r\nEND\r\n";
        for piece in [1, 2, 5, 10, 1000] {
            let (mut connection, mut server) = pair();
            for is_set in [true, false, true, false] {
                ask(&mut connection, is_set);
            }
            let mut said = Vec::new();
            for part in bytes.chunks(piece) {
                server.write_all(part).unwrap();
                let take = |_, answer: Answer<'_>| {
                    said.push(format!("{answer:?}"));
                    Ok(())
                };
                connection.receive(&dialect, &mut [0; 64], take).unwrap();
            }
            assert_eq!(said.len(), 4, "in pieces of {piece}: {said:?}");
            assert!(connection.outstanding.is_empty() && connection.begun.is_empty());
        }
    }

    #[test]
    fn a_connection_that_is_refused_says_so_when_it_is_used() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut connection = Connection::begin(&address).unwrap();
        connection.outbox.extend_from_slice(b"version\r\n");
        assert!(!connection.has_sent());
        while connection.is_sending() {
            connection.send().unwrap();
        }
        assert!(connection.has_sent());
        drop(listener);
        let mut refused = Connection::begin(&address);
        if let Ok(connection) = &mut refused {
            connection.outbox.extend_from_slice(b"version\r\n");
            while connection.send().is_ok() && connection.is_sending() {}
            assert!(!connection.has_sent());
        }
    }

    #[test]
    fn what_was_not_asked_for_is_nonsense() {
        let dialect = Dialect::new(&parse("").unwrap(), None);
        let (mut connection, mut server) = pair();
        ask(&mut connection, true);
        server.write_all(b"STORED\r\nSTORED\r\n").unwrap();
        let outcome = connection.receive(&dialect, &mut [0; 64], |_, _| Ok(()));
        assert!(matches!(outcome, Err(Trouble::Nonsense(_))), "{outcome:?}");
        drop(server);
        let (mut connection, server) = pair();
        drop(server);
        let outcome = connection.receive(&dialect, &mut [0; 64], |_, _| Ok(()));
        assert!(matches!(outcome, Err(Trouble::Lost(_))), "{outcome:?}");
    }
}
