//! One connection to the server.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use protocol::response::{self, Response};

use crate::load::{Asked, Load};
use crate::tally::Tally;

const READ_BYTES: usize = 64 * 1024;
/// More than any answer to a get can have. A server that sends this much without an answer in it sends nonsense.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// A client: it sends a batch, and waits for the answers.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    pub(crate) socket: TcpStream,
    load: Load<'a>,
    /// Commands that are not sent yet; None for no limit.
    requests_left: Option<u64>,
    output: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
    filled: usize,
    answers: Answers,
    batch_start: Instant,
}

impl<'a> Client<'a> {
    /// `socket` is connected and does not block.
    pub(crate) fn new(socket: TcpStream, load: Load<'a>, requests: Option<u64>) -> Self {
        Client {
            socket,
            load,
            requests_left: requests,
            output: Vec::new(),
            sent: 0,
            input: vec![0; READ_BYTES],
            filled: 0,
            answers: Answers::default(),
            batch_start: Instant::now(),
        }
    }

    /// Sends a batch of up to `pipeline` commands. False: this client has no more to send.
    pub(crate) fn begin(&mut self, pipeline: usize, now: Instant) -> Result<bool, String> {
        let commands = self.requests_left.map_or(pipeline as u64, |left| left.min(pipeline as u64));
        if commands == 0 {
            return Ok(false);
        }
        self.requests_left = self.requests_left.map(|left| left - commands);
        self.output.clear();
        self.sent = 0;
        for _ in 0..commands {
            let asked = self.load.append(&mut self.output);
            self.answers.due.push_back(asked);
        }
        self.batch_start = now;
        self.send()?;
        Ok(true)
    }

    /// Sends what the socket takes.
    pub(crate) fn send(&mut self) -> Result<(), String> {
        while self.is_sending() {
            match self.socket.write(&self.output[self.sent..]) {
                Ok(bytes) => self.sent += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("cannot send: {error}")),
            }
        }
        Ok(())
    }

    pub(crate) fn is_sending(&self) -> bool {
        self.sent < self.output.len()
    }

    /// Takes in what has come. True: the batch is answered.
    pub(crate) fn receive(&mut self, tally: &mut Tally) -> Result<bool, String> {
        if self.filled == self.input.len() {
            if self.filled >= ANSWER_BYTES_MAX {
                return Err(String::from("the server's answer has no end"));
            }
            self.input.resize(2 * self.filled, 0);
        }
        match self.socket.read(&mut self.input[self.filled..]) {
            Ok(0) => {
                let last = tally.last_error.as_ref().map(|error| format!(" after {error}")).unwrap_or_default();
                return Err(format!("the server closed a connection{last}"));
            }
            Ok(bytes) => self.filled += bytes,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(false),
            Err(error) => return Err(format!("cannot receive: {error}")),
        }
        let mut used = 0;
        while let Some((bytes, answer)) = response::next(&self.input[used..self.filled]) {
            self.answers.take(answer, &self.load, tally)?;
            used += bytes;
        }
        self.input.copy_within(used..self.filled, 0);
        self.filled -= used;
        let done = self.answers.due.is_empty();
        if done {
            tally.batch(self.batch_start.elapsed());
        }
        Ok(done)
    }
}

/// The answers that are due, in the order of the commands.
#[derive(Debug, Default)]
struct Answers {
    due: VecDeque<Asked>,
    /// The message of the get that is due has come; its end has not.
    hit: bool,
}

impl Answers {
    /// Counts one answer, if it makes sense.
    fn take(&mut self, answer: Response<'_>, load: &Load<'_>, tally: &mut Tally) -> Result<(), String> {
        match (self.due.front(), answer) {
            (Some(Asked::Get(number)), Response::Value { queue, .. }) if !self.hit && load.is_name(queue, *number) => {
                self.hit = true;
                return Ok(());
            }
            (Some(Asked::Set), Response::Stored) => tally.sets += 1,
            (Some(Asked::Set), Response::NotStored) => tally.refused += 1,
            (Some(Asked::Get(_)), Response::End) if self.hit => tally.hits += 1,
            (Some(Asked::Get(_)), Response::End) => tally.misses += 1,
            (_, Response::Error(line)) => tally.error(line),
            (asked, answer) => return Err(nonsense(asked, answer)),
        }
        self.hit = false;
        self.due.pop_front();
        Ok(())
    }
}

fn nonsense(asked: Option<&Asked>, answer: Response<'_>) -> String {
    let asked = match asked {
        Some(Asked::Set) => "to a set",
        Some(Asked::Get(_)) => "to a get",
        None => "to nothing",
    };
    match answer {
        Response::Other(line) => {
            format!("the server answers nonsense {asked}: {:.80}", line.escape_ascii().to_string())
        }
        Response::Value { queue, .. } => format!("the server answers {asked} with a value of {}", queue.escape_ascii()),
        other => format!("the server answers {asked}: {other:.80?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::parse;

    fn take(asked: &[Asked], mut input: &[u8]) -> Result<(Tally, usize), String> {
        let options = parse("").unwrap();
        let load = Load::new(&options, b"", 0, 1);
        let mut answers = Answers { due: asked.iter().copied().collect(), hit: false };
        let mut tally = Tally::new();
        while let Some((used, answer)) = response::next(input) {
            answers.take(answer, &load, &mut tally)?;
            input = &input[used..];
        }
        Ok((tally, answers.due.len()))
    }

    #[test]
    fn answers_are_counted() {
        let asked = [Asked::Set, Asked::Set, Asked::Get(7), Asked::Get(8), Asked::Set, Asked::Get(9), Asked::Get(1)];
        let input = b"STORED\r\nNOT_STORED\r\nVALUE q7 0 1\r\nx\r\nEND\r\nEND\r\nSERVER_ERROR no\r\nVALUE q9 0 0\r\n\r\nEND\r\n";
        let (tally, due) = take(&asked, input).unwrap();
        assert_eq!((tally.sets, tally.refused, tally.hits, tally.misses, tally.errors, due), (1, 1, 2, 1, 1, 1));
    }

    #[test]
    fn nonsense_is_an_error() {
        take(&[Asked::Set], b"END\r\n").unwrap_err();
        take(&[Asked::Get(1)], b"STORED\r\n").unwrap_err();
        take(&[Asked::Get(1)], b"VALUE q2 0 1\r\nx\r\n").unwrap_err();
        take(&[Asked::Get(1)], b"VALUE q1 0 1\r\nx\r\nVALUE q1 0 1\r\nx\r\n").unwrap_err();
        take(&[Asked::Set], b"HTTP/1.1 400 Bad Request\r\n").unwrap_err();
        take(&[], b"STORED\r\n").unwrap_err();
    }
}
