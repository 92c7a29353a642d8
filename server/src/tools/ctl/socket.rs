//! A connection to a server, whose answers each have a time limit.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::place::Place;

/// A line beyond this is no rushq's.
const LINE_BYTES_MAX: usize = 64 << 10;
const READ_BYTES: usize = 64 << 10;

/// The stream of either kind of socket.
#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection to a server.
#[derive(Debug)]
pub(super) struct Socket {
    place: Place,
    stream: BufReader<Stream>,
    /// How long an answer may take.
    timeout: Duration,
    /// When the answer that is awaited must be there.
    due: Instant,
    /// Whether some of it has come.
    is_amid: bool,
}

impl Socket {
    /// # Errors
    /// When nothing accepts connections there. The line names the place, and what to do.
    pub(super) fn connect(place: &Place, timeout: Duration) -> Result<Socket, String> {
        let due = Instant::now() + timeout;
        let stream = match place {
            Place::Tcp { host, port } => tcp(host, *port, due).map(Stream::Tcp),
            Place::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
        };
        let stream = stream.and_then(|stream| stream.set_write_timeout(timeout).map(|()| stream));
        let stream = stream.map_err(|error| {
            format!(
                "{place}: {}; is rushq running there? -p [HOST:]PORT or -s FILE names its place",
                of_connect(&error)
            )
        })?;
        Ok(Socket {
            place: place.clone(),
            stream: BufReader::with_capacity(READ_BYTES, stream),
            timeout,
            due,
            is_amid: false,
        })
    }

    /// An error's line, with the place.
    pub(super) fn failed(&self, what: impl std::fmt::Display) -> String {
        format!("{}: {what}", self.place)
    }

    /// Sends something, whose answer must be there in the time limit from now on.
    ///
    /// # Errors
    /// When the other end does not take it.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        (self.due, self.is_amid) = (Instant::now() + self.timeout, false);
        let sent = self.stream.get_mut().write_all(bytes);
        sent.map_err(|error| self.of_stream(&error))
    }

    /// Gives what comes next its time limit from now on: of an answer that comes in pieces, each has it.
    pub(super) fn go_on(&mut self) {
        self.due = Instant::now() + self.timeout;
    }

    /// What has come and is not consumed; empty at the end.
    ///
    /// # Errors
    /// When nothing comes in time, or the connection breaks.
    fn piece(&mut self) -> Result<&[u8], String> {
        let left = self.due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.of_stream(&ErrorKind::TimedOut.into()));
        }
        let filled = self.stream.get_mut().set_read_timeout(left).and_then(|()| {
            loop {
                match self.stream.fill_buf() {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    other => break other.map(drop),
                }
            }
        });
        filled.map_err(|error| self.of_stream(&error))?;
        self.is_amid |= !self.stream.buffer().is_empty();
        Ok(self.stream.buffer())
    }

    /// The next line, without its end.
    ///
    /// # Errors
    /// When it does not come in time, is too long, or the connection ends before it does.
    pub(super) fn line(&mut self) -> Result<Vec<u8>, String> {
        let mut line = Vec::new();
        loop {
            let piece = self.piece()?;
            if piece.is_empty() {
                return Err(self.of_end());
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(piece.len(), |newline| newline + 1);
            line.extend_from_slice(&piece[..end.unwrap_or(used)]);
            self.stream.consume(used);
            if line.len() > LINE_BYTES_MAX {
                return Err(self.failed(format!("a line of more than {LINE_BYTES_MAX} bytes came; is it a rushq?")));
            }
            if end.is_some() {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
        }
    }

    /// So many bytes.
    ///
    /// # Errors
    /// When they do not come in time, or the connection ends before.
    pub(super) fn exactly(&mut self, bytes: usize) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        while all.len() < bytes {
            let piece = self.piece()?;
            if piece.is_empty() {
                return Err(self.of_end());
            }
            let used = piece.len().min(bytes - all.len());
            all.extend_from_slice(&piece[..used]);
            self.stream.consume(used);
        }
        Ok(all)
    }

    /// All that comes until the other end closes, as long as that is at most `bytes_max`.
    ///
    /// # Errors
    /// When it is more, or does not come in time.
    pub(super) fn rest(&mut self, bytes_max: usize) -> Result<Vec<u8>, String> {
        let mut all = Vec::new();
        loop {
            let piece = self.piece()?;
            if piece.is_empty() {
                return Ok(all);
            }
            let used = piece.len();
            all.extend_from_slice(piece);
            self.stream.consume(used);
            if all.len() > bytes_max {
                return Err(self.failed(format!("an answer of more than {bytes_max} bytes came")));
            }
        }
    }

    /// The first byte of the next answer, which stays to be read.
    ///
    /// # Errors
    /// When it does not come in time, or the connection ends before.
    pub(super) fn first_byte(&mut self) -> Result<u8, String> {
        let byte = self.piece()?.first().copied();
        byte.ok_or_else(|| self.of_end())
    }

    fn of_end(&self) -> String {
        let when = if self.is_amid { "in the middle of an answer" } else { "without an answer" };
        self.failed(format!("it closed the connection {when}; is it a rushq?"))
    }

    fn of_stream(&self, error: &io::Error) -> String {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => self.failed(format!(
                "no answer within {} s, though something takes connections there; --timeout SECONDS gives it longer",
                self.timeout.as_secs_f64()
            )),
            _ => self.failed(format!("the connection broke: {error}")),
        }
    }
}

fn tcp(host: &str, port: u16, due: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::other("the name has no address");
    for address in (host, port).to_socket_addrs()? {
        // At least a moment for each.
        let left = due.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Without the number that the system gives an error.
fn of_connect(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "nothing listens there".to_string(),
        ErrorKind::NotFound => "there is no such file".to_string(),
        ErrorKind::PermissionDenied => "this user may not connect to it".to_string(),
        ErrorKind::TimedOut => "no connection in time".to_string(),
        _ => error.to_string(),
    }
}

impl Stream {
    fn set_read_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(timeout)),
            Stream::Unix(stream) => stream.set_read_timeout(Some(timeout)),
        }
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_write_timeout(Some(timeout)),
            Stream::Unix(stream) => stream.set_write_timeout(Some(timeout)),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
