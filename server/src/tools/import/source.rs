//! A connection to the server that is drained. What it sends is held to limits: a line to a line's, a body to what the
//! caller makes of its pieces, and each wait to the next byte.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use protocol::LINE_BYTES_MAX;

use super::taking::Taking;

/// How long the other server may send nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long a message that is under way may take once a signal has come: it would be lost otherwise.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// How often a wait looks for a signal.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const READ_BYTES: usize = 64 << 10;

/// The first line of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) queue: Vec<u8>,
    pub(super) flags: u32,
    pub(super) bytes: usize,
}

pub(super) struct Source {
    address: String,
    stream: BufReader<TcpStream>,
    stop: Arc<AtomicBool>,
    /// When the signal was seen.
    stopped: Option<Instant>,
    pub(super) taking: Taking,
}

impl Source {
    /// Connects to a host and port. `stop` ends that, and every later wait.
    pub(super) fn connect(address: &str, stop: &Arc<AtomicBool>) -> Result<Source, String> {
        let failed =
            |what: &dyn std::fmt::Display| format!("--import {address}: {what}; it is host:port of a running server");
        // In a thread, since neither names nor connections can be waited for with an eye on the signals.
        let (sender, connected) = channel();
        let there = address.to_string();
        thread::spawn(move || {
            // The other end is gone after a signal.
            let _ = sender.send(TcpStream::connect(there));
        });
        let stream = loop {
            match connected.recv_timeout(LOOK_EVERY) {
                Ok(outcome) => break outcome.map_err(|error| failed(&error))?,
                Err(RecvTimeoutError::Timeout) if !stop.load(Ordering::Relaxed) => {}
                Err(_) => return Err(failed(&"stopped by a signal before it was reached")),
            }
        };
        let set_up = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(LOOK_EVERY)))
            .and_then(|()| stream.set_write_timeout(Some(LOOK_EVERY)));
        set_up.map_err(|error| failed(&error))?;
        let stream = BufReader::with_capacity(READ_BYTES, stream);
        Ok(Source {
            address: address.to_string(),
            stream,
            stop: Arc::clone(stop),
            stopped: None,
            taking: Taking::default(),
        })
    }

    /// A second connection to the same server.
    pub(super) fn again(&self) -> Result<Source, String> {
        Source::connect(&self.address, &self.stop)
    }

    /// An error's line, with the address.
    pub(super) fn failed(&self, what: impl std::fmt::Display) -> String {
        format!("{}: {what}", self.address)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut left = bytes;
        let mut since = Instant::now();
        while !left.is_empty() {
            self.check_stop()?;
            match self.stream.get_mut().write(left) {
                Ok(written) => {
                    left = &left[written..];
                    since = Instant::now();
                }
                Err(error) => self.wait_on(error, since)?,
            }
        }
        Ok(())
    }

    /// The next line, without its end.
    pub(super) fn line(&mut self) -> Result<Vec<u8>, String> {
        let mut line = Vec::new();
        loop {
            let piece = self.piece()?;
            let end = piece.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(piece.len(), |newline| newline + 1);
            line.extend_from_slice(&piece[..end.unwrap_or(used)]);
            self.stream.consume(used);
            if line.len() > LINE_BYTES_MAX {
                return Err(self.failed(format!("a line of more than {LINE_BYTES_MAX} bytes")));
            }
            if end.is_some() {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
        }
    }

    /// Hands a body of `bytes` bytes to `take` as it comes, and reads the line end behind it.
    pub(super) fn body(
        &mut self,
        bytes: usize,
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut left = bytes;
        while left > 0 {
            let piece = self.piece()?;
            let used = piece.len().min(left);
            take(&piece[..used])?;
            self.stream.consume(used);
            left -= used;
        }
        match self.line()?.as_slice() {
            [] => Ok(()),
            _ => Err(self.failed(format!("a message is longer than the {bytes} bytes that were announced"))),
        }
    }

    /// Sets a message whose bytes `feed` sends.
    pub(super) fn set(
        &mut self,
        queue: &[u8],
        (flags, bytes): (u32, usize),
        feed: impl FnOnce(&mut Source) -> Result<(), String>,
    ) -> Result<(), String> {
        self.send(&[b"set ", queue, format!(" {flags} 0 {bytes}\r\n").as_bytes()].concat())?;
        feed(self)?;
        self.send(b"\r\n")?;
        let line = self.line()?;
        if line == b"STORED" { Ok(()) } else { Err(self.failed(format!("{} in the answer to a set", text(&line)))) }
    }

    /// What was received and not consumed: at least a byte.
    fn piece(&mut self) -> Result<&[u8], String> {
        let since = Instant::now();
        loop {
            self.check_stop()?;
            match self.stream.fill_buf() {
                Ok([]) => return Err(self.failed("it closed the connection")),
                Ok(_) => break,
                Err(error) => self.wait_on(error, since)?,
            }
        }
        Ok(self.stream.buffer())
    }

    /// Ends what goes on for too long after a signal.
    fn check_stop(&mut self) -> Result<(), String> {
        if self.stop.load(Ordering::Relaxed) {
            let stopped = *self.stopped.get_or_insert_with(Instant::now);
            if stopped.elapsed() >= STOP_GRACE {
                return Err(self.failed("stopped by a signal amid an answer"));
            }
        }
        Ok(())
    }

    /// A wait that began at `since` had this error: goes on if there is time.
    fn wait_on(&mut self, error: std::io::Error, since: Instant) -> Result<(), String> {
        match error.kind() {
            ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
            _ => return Err(self.failed(error)),
        }
        if since.elapsed() >= SILENCE_MAX {
            return Err(self.failed(format!("nothing came for {SILENCE_MAX:?}")));
        }
        Ok(())
    }
}

/// The parts of a `VALUE` line, if it is one.
pub(super) fn head(line: &[u8]) -> Option<Head> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    if words.next() != Some(b"VALUE") {
        return None;
    }
    let queue = words.next()?.to_vec();
    let mut number = || str::from_utf8(words.next()?).ok()?.parse::<u32>().ok();
    let (flags, bytes) = (number()?, number()? as usize);
    words.next().is_none().then_some(Head { queue, flags, bytes })
}

/// A line that was not expected, for the person who reads it.
pub(super) fn text(line: &[u8]) -> String {
    const SHOWN_BYTES: usize = 120;
    let (shown, more) = match line.get(..SHOWN_BYTES) {
        Some(shown) => (shown, "..."),
        None => (line, ""),
    };
    format!("\"{}{more}\"", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_whole_or_none() {
        let expected = Head { queue: b"q".to_vec(), flags: 7, bytes: 3 };
        assert_eq!(head(b"VALUE q 7 3"), Some(expected));
        for line in
            ["VALUE", "VALUE q 7", "VALUE q x 3", "VALUE q 7 -3", "VALUE q 7 4294967296", "VALUE q 7 3 1", "END"]
        {
            assert_eq!(head(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn what_is_shown_of_a_line_is_short_and_one_line() {
        assert_eq!(text(b"a\tb\n"), "\"a\\tb\\n\"");
        assert!(text(&[b'x'; 2000]).len() < 130);
    }
}
