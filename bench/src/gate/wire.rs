//! A connection that blocks until its answers are here: before the buyers come, and after them.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::connection::CONNECT_TIMEOUT;

/// A server that is silent for so long does not answer any more.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const READ_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Wire {
    socket: TcpStream,
    input: Vec<u8>,
}

impl Wire {
    pub(super) fn new(address: &SocketAddr) -> Result<Wire, String> {
        let failed = |error: std::io::Error| format!("cannot connect to {address}: {error}");
        let socket = TcpStream::connect_timeout(address, CONNECT_TIMEOUT).map_err(failed)?;
        socket.set_nodelay(true).map_err(failed)?;
        socket.set_read_timeout(Some(SILENCE_MAX)).map_err(failed)?;
        socket.set_write_timeout(Some(SILENCE_MAX)).map_err(failed)?;
        Ok(Wire { socket, input: Vec::new() })
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.socket.write_all(bytes).map_err(failed)
    }

    /// The next answer: what `read` makes of the first bytes, and how many it took.
    pub(super) fn next<T>(&mut self, mut read: impl FnMut(&[u8]) -> Option<(usize, T)>) -> Result<T, String> {
        loop {
            if let Some((used, answer)) = read(&self.input) {
                self.input.drain(..used);
                return Ok(answer);
            }
            let filled = self.input.len();
            self.input.resize(filled + READ_BYTES, 0);
            let outcome = self.socket.read(&mut self.input[filled..]);
            self.input.truncate(filled + *outcome.as_ref().unwrap_or(&0));
            match outcome {
                Ok(0) => return Err(String::from("the server closed the connection")),
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(failed(error)),
                _ => {}
            }
        }
    }
}

fn failed(error: std::io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock => format!("the server has answered nothing for {} s", SILENCE_MAX.as_secs()),
        _ => error.to_string(),
    }
}
