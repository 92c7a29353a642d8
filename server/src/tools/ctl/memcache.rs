//! The memcache port, asked as a client asks it.

use super::queue::Queue;
use super::socket::Socket;
use super::text;

/// The largest body of a message that is read: more than any server's `-B` can be.
const BODY_BYTES_MAX: usize = 1 << 31;
/// Queues beyond this are too many to be listed by `stats queues`: each costs the server a dozen lines.
pub(super) const QUEUES_MAX: u64 = 10_000;

/// A connection to a memcache port.
#[derive(Debug)]
pub(super) struct Memcache {
    socket: Socket,
    /// What the server's answer to `version` was, behind that word; empty before a login.
    pub(super) version: String,
}

/// A message, or what else a get finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) flags: u32,
    pub(super) body: Vec<u8>,
    /// The number behind the bytes, which `gets` asks for.
    pub(super) number: Option<u64>,
}

/// What became of a set.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Yes,
    /// The server's reason, or what it answered.
    No(String),
}

impl Memcache {
    pub(super) fn over(socket: Socket, version: String) -> Memcache {
        Memcache { socket, version }
    }

    /// Logs in, if the server asks for it: to another one, the login would be a message.
    ///
    /// # Errors
    /// When the server refuses it.
    pub(super) fn log_in(&mut self, user: &str, password: &str) -> Result<(), String> {
        if !self.asks_for_login()? {
            return Ok(());
        }
        let login = format!("{user} {password}");
        self.socket.send(format!("set login 0 0 {}\r\n{login}\r\n", login.len()).as_bytes())?;
        match self.socket.line()?.as_slice() {
            b"STORED" => Ok(()),
            line => Err(self.failed(format!("the login of {user} is refused: {}", text::line(line)))),
        }
    }

    fn asks_for_login(&mut self) -> Result<bool, String> {
        self.socket.send(b"stats\r\n")?;
        loop {
            match self.socket.line()?.as_slice() {
                b"END" => return Ok(false),
                line if line.starts_with(b"STAT ") => {}
                line if line.starts_with(b"CLIENT_ERROR") => return Ok(true),
                line => return Err(self.refused(line)),
            }
        }
    }

    /// An error's line, with the place.
    pub(super) fn failed(&self, what: impl std::fmt::Display) -> String {
        self.socket.failed(what)
    }

    /// An error's line for an answer that is none of those that were possible.
    fn refused(&self, line: &[u8]) -> String {
        match line {
            b"ERROR" => self.failed("the server has no such command; `rushq ping` shows its version"),
            line if is_unauthenticated(line) => self.failed("it serves users who have logged in; --user NAME does"),
            b"CLIENT_ERROR bad command line format" => {
                self.failed("it refuses this name or number; was it started with --no-options?")
            }
            line => self.failed(format!("it answered \"{}\"", text::line(line))),
        }
    }

    /// Sends a line and gives the first one of the answer.
    pub(super) fn ask(&mut self, line: &[u8]) -> Result<Vec<u8>, String> {
        self.socket.send(&[line, b"\r\n"].concat())?;
        self.socket.line()
    }

    /// Sends a line whose answer must be this one.
    ///
    /// # Errors
    /// When it is another.
    pub(super) fn expect(&mut self, line: &[u8], answer: &[u8]) -> Result<(), String> {
        let got = self.ask(line)?;
        if got == answer { Ok(()) } else { Err(self.refused(&got)) }
    }

    /// Gives `each` the names and values of `stats`, or of a kind of it, as they come.
    ///
    /// # Errors
    /// When the server refuses it, or `each` does.
    pub(super) fn stats(
        &mut self,
        kind: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let blank: &[u8] = if kind.is_empty() { b"" } else { b" " };
        let mut line = self.ask(&[b"stats", blank, kind].concat())?;
        while line != b"END" {
            let pair = line.strip_prefix(b"STAT ").map(split_at_blank);
            let Some((name, value)) = pair else { return Err(self.refused(&line)) };
            each(name, value)?;
            self.socket.go_on();
            line = self.socket.line()?;
        }
        Ok(())
    }

    /// The queues whose names begin so, in the server's order.
    ///
    /// # Errors
    /// When there are too many to be listed.
    pub(super) fn queues(&mut self, prefix: &[u8]) -> Result<Vec<Queue>, String> {
        let kind = [b"queues ", prefix].concat();
        let mut all: Vec<Queue> = Vec::new();
        self.stats(kind.trim_ascii_end(), |name, value| {
            let (name, figure) = name.iter().rposition(|byte| *byte == b':').map_or((name, &b""[..]), |colon| {
                let (name, figure) = name.split_at(colon);
                (name, &figure[1..])
            });
            if all.last().is_none_or(|last| last.name != name) {
                if all.len() as u64 >= QUEUES_MAX {
                    return Err(too_many());
                }
                all.push(Queue { name: name.to_vec(), ..Queue::default() });
            }
            let last = all.last_mut().ok_or_else(too_many)?;
            let number = str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0);
            last.set(figure, number);
            Ok(())
        })
        .map_err(|what| if what == too_many() { self.failed(what) } else { what })?;
        Ok(all)
    }

    /// One queue.
    ///
    /// # Errors
    /// When there is none of this name, or too many begin so.
    pub(super) fn queue(&mut self, name: &[u8]) -> Result<Queue, String> {
        let found = self.queues(name)?.into_iter().find(|queue| queue.name == name);
        found.ok_or_else(|| self.failed(format!("there is no queue {}", text::line(name))))
    }

    /// Gets one thing by its key.
    ///
    /// # Errors
    /// When the server refuses it.
    pub(super) fn get(&mut self, command: &str, key: &[u8]) -> Result<Option<Value>, String> {
        let line = self.ask(&[command.as_bytes(), b" ", key].concat())?;
        if line == b"END" {
            return Ok(None);
        }
        let Some((flags, bytes, number)) = head(&line) else { return Err(self.refused(&line)) };
        if bytes > BODY_BYTES_MAX {
            return Err(self.failed(format!("a body of {bytes} bytes is announced; is it a rushq?")));
        }
        let body = self.socket.exactly(bytes)?;
        match (self.socket.line()?.as_slice(), self.socket.line()?.as_slice()) {
            (b"", b"END") => Ok(Some(Value { flags, body, number })),
            _ => Err(self.failed("an answer to a get is not as it was announced; is it a rushq?")),
        }
    }

    /// Sets something.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(super) fn set(&mut self, key: &[u8], flags: u32, body: &[u8]) -> Result<Stored, String> {
        let head = format!(" {flags} 0 {}\r\n", body.len());
        self.socket.send(&[b"set ", key, head.as_bytes(), body, b"\r\n"].concat())?;
        match self.socket.line()?.as_slice() {
            b"STORED" => Ok(Stored::Yes),
            b"NOT_STORED" => {
                Ok(Stored::No("it takes no more for now: its disk or the queue is full, or it is drained".to_string()))
            }
            line => Ok(Stored::No(format!("it answered \"{}\"", text::line(line)))),
        }
    }
}

/// Whether a server's line asks for a login.
pub(super) fn is_unauthenticated(line: &[u8]) -> bool {
    line.starts_with(b"CLIENT_ERROR unauthenticated")
}

fn too_many() -> String {
    format!(
        "it has more than {QUEUES_MAX} such queues, too many to be listed by the memcache port; name the admin port by -p"
    )
}

fn split_at_blank(pair: &[u8]) -> (&[u8], &[u8]) {
    let blank = pair.iter().position(|byte| *byte == b' ').unwrap_or(pair.len());
    (&pair[..blank], pair.get(blank + 1..).unwrap_or_default())
}

/// Flags, bytes and number of a `VALUE` line, if it is one.
fn head(line: &[u8]) -> Option<(u32, usize, Option<u64>)> {
    let line = line.strip_prefix(b"VALUE ")?;
    let mut words = line.split(|byte| *byte == b' ').skip(1).map(|word| str::from_utf8(word).ok());
    let flags = words.next()??.parse().ok()?;
    let bytes = words.next()??.parse().ok()?;
    let number = match words.next() {
        None => None,
        Some(word) => Some(word?.parse().ok()?),
    };
    Some((flags, bytes, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_whole_or_none() {
        assert_eq!(head(b"VALUE q/peek 7 3"), Some((7, 3, None)));
        assert_eq!(head(b"VALUE q/peek 7 3 12"), Some((7, 3, Some(12))));
        for line in ["VALUE", "VALUE q 7", "VALUE q x 3", "VALUE q 7 -3", "VALUE q 7 3 x", "END", ""] {
            assert_eq!(head(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_figure_may_have_blanks_in_its_value() {
        assert_eq!(split_at_blank(b"listen 127.0.0.1 and more"), (&b"listen"[..], &b"127.0.0.1 and more"[..]));
        assert_eq!(split_at_blank(b"alone"), (&b"alone"[..], &b""[..]));
    }
}
