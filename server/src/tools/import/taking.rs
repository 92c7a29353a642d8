//! How messages leave the server that is drained. One that knows opens keeps each until it is told that the message is safe
//! here, so that nothing is lost whatever is killed; others hand it out for good.

use protocol::QUEUE_NAME_BYTES_MAX;

use super::source::{Head, Source, head, text};

const OPEN: &[u8] = b"/open";
const CLOSE: &[u8] = b"/close";
const CLOSE_OPEN: &[u8] = b"/close/open";

#[derive(Debug, Default)]
pub(super) struct Taking {
    /// The server knows opens.
    opens: bool,
    /// A message is open there that is safe here.
    has_open: bool,
}

/// Whether a line of the answer to `stats settings` shows that keys may have options. kestrel takes that for `stats`, where
/// it counts its peeks; memcacheQ knows neither, and says `ERROR`.
fn knows_opens(line: &[u8]) -> bool {
    line == b"STAT no_options off" || line.starts_with(b"STAT cmd_peek ")
}

impl Taking {
    /// Whether messages of this queue are opened. A name can be too long to have options behind it.
    fn opens(&self, queue: &[u8]) -> bool {
        self.opens && queue.len() + CLOSE_OPEN.len() <= QUEUE_NAME_BYTES_MAX
    }

    /// The key that brings the next message of a queue.
    fn key(&self, queue: &[u8]) -> Vec<u8> {
        let options: &[u8] = match (self.opens(queue), self.has_open) {
            (false, _) => b"",
            (true, false) => OPEN,
            (true, true) => CLOSE_OPEN,
        };
        [queue, options].concat()
    }
}

impl Source {
    /// Finds out whether the server knows opens.
    pub(super) fn learn(&mut self) -> Result<(), String> {
        self.send(b"stats settings\r\n")?;
        loop {
            let line = self.line()?;
            self.taking.opens |= knows_opens(&line);
            if !line.starts_with(b"STAT ") {
                return Ok(());
            }
        }
    }

    /// The server reads a `+` and a `/` in keys as this one does.
    pub(super) fn knows_keys(&self) -> bool {
        self.taking.opens
    }

    /// A message of the queue stays there until it is acknowledged.
    pub(super) fn opens(&self, queue: &[u8]) -> bool {
        self.taking.opens(queue)
    }

    /// Asks for a message, and acknowledges the one before; `None`: the queue is empty.
    pub(super) fn ask(&mut self, queue: &[u8]) -> Result<Option<Head>, String> {
        let key = self.taking.key(queue);
        self.send(&[b"get ", key.as_slice(), b"\r\n"].concat())?;
        let line = self.line()?;
        if line == b"END" {
            self.taking.has_open = false;
            return Ok(None);
        }
        let Some(head) = head(&line) else {
            return Err(self.failed(format!("{} in the answer to a get", text(&line))));
        };
        self.taking.has_open = false;
        // rushq says the key as it was asked for, kestrel the queue's name.
        let queue = if head.queue == key { queue.to_vec() } else { head.queue };
        Ok(Some(Head { queue, ..head }))
    }

    /// Reads what is behind a message.
    pub(super) fn end(&mut self) -> Result<(), String> {
        let line = self.line()?;
        if line == b"END" { Ok(()) } else { Err(self.failed(format!("{} where a get's END was due", text(&line)))) }
    }

    /// The message that was opened is safe here.
    pub(super) fn is_safe(&mut self, queue: &[u8]) {
        self.taking.has_open = self.taking.opens(queue);
    }

    /// Acknowledges the message before, with no next one.
    pub(super) fn close(&mut self, queue: &[u8]) -> Result<(), String> {
        if !self.taking.has_open {
            return Ok(());
        }
        self.send(&[b"get ", queue, CLOSE, b"\r\n"].concat())?;
        self.taking.has_open = false;
        self.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_apart_by_their_figures() {
        for line in [&b"STAT no_options off"[..], b"STAT cmd_peek 0", b"STAT cmd_peek 17"] {
            assert!(knows_opens(line), "{}", line.escape_ascii());
        }
        for line in [&b"STAT no_options on"[..], b"STAT cmd_get 5", b"STAT cmd_peeks 1", b"ERROR", b"END"] {
            assert!(!knows_opens(line), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_name_that_leaves_no_room_for_options_is_taken_for_good() {
        let taking = Taking { opens: true, has_open: false };
        assert_eq!(taking.key(b"q"), b"q/open");
        let longest = vec![b'q'; QUEUE_NAME_BYTES_MAX - CLOSE_OPEN.len()];
        assert!(taking.opens(&longest) && !taking.opens(&[b'q'].repeat(longest.len() + 1)));
        let taking = Taking { opens: true, has_open: true };
        assert_eq!(taking.key(&longest).len(), QUEUE_NAME_BYTES_MAX);
        assert_eq!(Taking::default().key(b"q"), b"q");
    }
}
