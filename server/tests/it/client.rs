//! A blocking client. A reply that does not come within ten seconds is an error, never a test that hangs.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

const READ_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// A message as a get hands it out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) queue: String,
    pub(crate) body: Vec<u8>,
    /// What a gets has behind the bytes.
    pub(crate) number: Option<u64>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).unwrap())
    }

    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream.get_ref().local_addr().unwrap()
    }

    /// Ends the connection by a reset, in the middle of what the server has to say, and returns whose it was.
    pub(crate) fn reset(mut self) -> SocketAddr {
        let address = self.local_address();
        assert_eq!(self.command("verbosity 1"), "OK");
        self.reset_now();
        address
    }

    /// Ends the connection by a reset.
    pub(crate) fn reset_now(self) {
        SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    pub(crate) fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(READ_TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream: BufReader::with_capacity(1 << 16, stream) }
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).unwrap();
    }

    /// What one read brings, or nothing at the end of the stream.
    pub(crate) fn read_once(&mut self) -> io::Result<Vec<u8>> {
        let bytes = self.stream.fill_buf()?.to_vec();
        self.stream.consume(bytes.len());
        Ok(bytes)
    }

    /// Whether a part of an answer has come that was not read yet.
    pub(crate) fn has_answer(&self) -> bool {
        let stream = self.stream.get_ref();
        stream.set_nonblocking(true).unwrap();
        let came = !self.stream.buffer().is_empty() || stream.peek(&mut [0]).is_ok();
        stream.set_nonblocking(false).unwrap();
        came
    }

    /// The next line of a reply, without its end.
    pub(crate) fn try_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(text) => Ok(String::from_utf8_lossy(text).into_owned()),
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{line:?} where a line was due"))),
        }
    }

    pub(crate) fn line(&mut self) -> String {
        self.try_line().unwrap()
    }

    /// Exactly these bytes must come next.
    pub(crate) fn expect(&mut self, expected: &str) {
        let mut received = vec![0; expected.len()];
        self.stream.read_exact(&mut received).unwrap();
        assert_eq!(String::from_utf8_lossy(&received), expected);
    }

    /// Reads so many bytes and compares them.
    pub(crate) fn expect_bytes(&mut self, expected: &[u8]) {
        let mut received = vec![0; expected.len()];
        self.stream.read_exact(&mut received).unwrap();
        assert_eq!(received, expected);
    }

    /// Sends one line and returns the first line of the reply.
    pub(crate) fn command(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.line()
    }

    pub(crate) fn set(&mut self, queue: &str, body: &[u8]) -> String {
        let mut bytes = Vec::new();
        write_set(&mut bytes, queue, body);
        self.send(bytes);
        self.line()
    }

    pub(crate) fn get(&mut self, queue: &str) -> Option<Vec<u8>> {
        let values = self.try_get(queue).unwrap();
        assert!(values.len() <= 1, "one name, {} messages", values.len());
        values.into_iter().next().map(|value| value.body)
    }

    /// Gets from one or more names, separated by spaces.
    pub(crate) fn try_get(&mut self, names: &str) -> io::Result<Vec<Value>> {
        self.try_send(format!("get {names}\r\n").as_bytes())?;
        self.try_values()
    }

    /// The whole reply to one get that was sent before.
    pub(crate) fn try_values(&mut self) -> io::Result<Vec<Value>> {
        let mut values = Vec::new();
        loop {
            let line = self.try_line()?;
            if line == "END" {
                return Ok(values);
            }
            let words: Vec<&str> = line.split(' ').collect();
            let (["VALUE", queue, _, length], number) = words.split_at(words.len().min(4)) else {
                panic!("{line:?} in the reply to a get")
            };
            let number = number.first().map(|digits| digits.parse().unwrap());
            let mut body = vec![0; length.parse::<usize>().unwrap() + 2];
            self.stream.read_exact(&mut body)?;
            assert!(body.ends_with(b"\r\n"), "no line end behind the body of {line:?}");
            body.truncate(body.len() - 2);
            values.push(Value { queue: String::from(*queue), body, number });
        }
    }

    /// The names and values of `stats` or one of its kinds, in the order they came.
    pub(crate) fn stats(&mut self, kind: &str) -> Vec<(String, String)> {
        self.send(format!("stats {kind}\r\n"));
        let mut stats = Vec::new();
        loop {
            let line = self.line();
            if line == "END" {
                return stats;
            }
            let words: Vec<&str> = line.splitn(3, ' ').collect();
            let ["STAT", name, value] = words[..] else { panic!("{line:?} in the reply to stats {kind}") };
            assert!(!name.is_empty() && !value.is_empty(), "{line:?}");
            stats.push((String::from(name), String::from(value)));
        }
    }

    /// One figure of `stats`.
    pub(crate) fn figure(&mut self, name: &str) -> u64 {
        let stats = self.stats("");
        let found = stats.iter().find(|(candidate, _)| candidate == name);
        found.unwrap_or_else(|| panic!("stats has no {name}")).1.parse().unwrap()
    }

    /// The sets and gets of every queue.
    pub(crate) fn queue_counters(&mut self) -> Vec<(String, u64, u64)> {
        let parse = |(queue, counters): (String, String)| {
            let (sets, gets) = counters.split_once('/').unwrap();
            (queue, sets.parse().unwrap(), gets.parse().unwrap())
        };
        self.stats("queue").into_iter().map(parse).collect()
    }

    /// The server must close without another byte. A reset is a close too: the server may not have read all we sent.
    pub(crate) fn expect_close(&mut self) {
        match self.read_once() {
            Ok(bytes) => assert!(bytes.is_empty(), "{:?} where a close was due", String::from_utf8_lossy(&bytes)),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}"),
        }
    }
}

pub(crate) fn write_set(bytes: &mut Vec<u8>, queue: &str, body: &[u8]) {
    write!(bytes, "set {queue} 0 0 {}\r\n", body.len()).unwrap();
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(b"\r\n");
}
