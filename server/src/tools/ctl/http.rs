//! The admin port, asked over HTTP/1.1: a request, its answer, and the connection's end. That is little enough to be
//! written here: hyper's client would bring a runtime to hold it, and the readers of hyper that the server has are async.

use std::time::Duration;

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::place::Place;
use super::socket::Socket;
use super::text;

/// The largest answer that is read: a page of messages with their bodies, many times over.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const HEADERS_MAX: usize = 100;

/// The admin port of a server.
#[derive(Debug)]
pub(super) struct Admin {
    place: Place,
    timeout: Duration,
    /// What `Authorization` says, if there is a user.
    authorization: Option<String>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// What a refusal has in it.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// How the end of a body is found.
#[derive(Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    /// By the end of the connection.
    Close,
}

impl Admin {
    /// `login`: a user and a password.
    pub(super) fn at(place: &Place, timeout: Duration, login: Option<(&str, &str)>) -> Admin {
        let authorization = login.map(|(user, password)| {
            format!("Basic {}", Base64::encode_string(format!("{user}:{password}").as_bytes()))
        });
        Admin { place: place.clone(), timeout, authorization }
    }

    /// An error's line, with the place.
    pub(super) fn failed(&self, what: impl std::fmt::Display) -> String {
        format!("{}: {what}", self.place)
    }

    /// What is at a path of the interface.
    ///
    /// # Errors
    /// When it is refused, or what answers is no rushq.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        let answer = self.request("GET", path, None)?;
        self.read(answer)
    }

    /// Has something done.
    ///
    /// # Errors
    /// When it is refused, or what answers is no rushq.
    pub(super) fn post(&self, path: &str, what: &Value) -> Result<Value, String> {
        let answer = self.request("POST", path, Some(what.to_string()))?;
        self.read(answer)
    }

    fn read<T: DeserializeOwned>(&self, answer: Answer) -> Result<T, String> {
        let Answer { status, body } = answer;
        if status == 200 {
            return serde_json::from_slice(&body).map_err(|_| self.foreign(status));
        }
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => Err(self.failed(text::line(refusal.error.as_bytes()))),
            Err(_) if status == 401 => Err(self.failed("it takes logged-in users alone; --user NAME logs in")),
            Err(_) => Err(self.foreign(status)),
        }
    }

    /// An error's line for an answer that is none of ours.
    pub(super) fn foreign(&self, status: u16) -> String {
        self.failed(format!(
            "an HTTP server that is no rushq's admin port answers there, with status {status}; -p names another port"
        ))
    }

    /// Sends a request over a connection of its own, and reads the answer.
    ///
    /// # Errors
    /// When there is no answer in time, or it is none of HTTP.
    pub(super) fn request(&self, method: &str, path: &str, json: Option<String>) -> Result<Answer, String> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.place.http_host());
        if let Some(authorization) = &self.authorization {
            head.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        if let Some(json) = &json {
            head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", json.len()));
        }
        head.push_str("\r\n");
        head.push_str(json.as_deref().unwrap_or_default());
        let mut socket = Socket::connect(&self.place, self.timeout)?;
        socket.send(head.as_bytes())?;
        answer(&mut socket)
    }
}

fn answer(socket: &mut Socket) -> Result<Answer, String> {
    let first = socket.line()?;
    let Some(status) = status(&first) else {
        return Err(socket.failed(format!("\"{}\" is no answer of HTTP; is it a rushq?", text::line(&first))));
    };
    let mut headers = Vec::new();
    loop {
        let line = socket.line()?;
        if line.is_empty() {
            break;
        }
        headers.push(String::from_utf8_lossy(&line).into_owned());
        if headers.len() > HEADERS_MAX {
            return Err(socket.failed("an answer with too many headers; is it a rushq?"));
        }
    }
    let body = match framing(&headers) {
        Some(Framing::Length(bytes)) if bytes <= ANSWER_BYTES_MAX => socket.exactly(bytes)?,
        Some(Framing::Chunked) => chunks(socket)?,
        Some(Framing::Close) => socket.rest(ANSWER_BYTES_MAX)?,
        _ => return Err(socket.failed("an answer whose length is wrong or too large; is it a rushq?")),
    };
    Ok(Answer { status, body })
}

fn chunks(socket: &mut Socket) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let line = socket.line()?;
        let bytes = chunk_bytes(&line).filter(|bytes| body.len() + bytes <= ANSWER_BYTES_MAX);
        let bytes = bytes.ok_or_else(|| socket.failed("a piece of an answer has no good length; is it a rushq?"))?;
        if bytes == 0 {
            // Trailers, up to an empty line.
            while !socket.line()?.is_empty() {}
            return Ok(body);
        }
        body.extend(socket.exactly(bytes)?);
        if !socket.line()?.is_empty() {
            return Err(socket.failed("a piece of an answer is longer than it was announced; is it a rushq?"));
        }
    }
}

/// The status of an answer's first line.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let digits = rest.get(2..5)?;
    str::from_utf8(digits).ok()?.parse().ok()
}

/// Bytes of a chunk, by the line before it.
fn chunk_bytes(line: &[u8]) -> Option<usize> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    // Seven digits are more than is read.
    let is_size = (1..=7).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    is_size.then(|| usize::from_str_radix(str::from_utf8(digits).ok()?, 16).ok())?
}

fn framing(headers: &[String]) -> Option<Framing> {
    let value = |name: &str| {
        headers.iter().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    if value("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Some(Framing::Chunked);
    }
    match value("content-length") {
        Some(digits) => digits.parse().ok().map(Framing::Length),
        None => Some(Framing::Close),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing_of(headers: &[&str]) -> Option<Framing> {
        framing(&headers.iter().map(|line| (*line).to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn the_end_of_a_body_is_found() {
        assert_eq!(framing_of(&["Server: x", "content-length:  12"]), Some(Framing::Length(12)));
        assert_eq!(framing_of(&["Content-Length: 12", "Transfer-Encoding: Chunked"]), Some(Framing::Chunked));
        assert_eq!(framing_of(&[]), Some(Framing::Close));
        assert_eq!(framing_of(&["Content-Length: -1"]), None);
        for (line, bytes) in [
            ("1a", Some(26)),
            ("0;x=y", Some(0)),
            (" 5 ", Some(5)),
            ("", None),
            ("x", None),
            ("-1", None),
            ("+1", None),
            ("ffffffff", None),
        ] {
            assert_eq!(chunk_bytes(line.as_bytes()), bytes, "{line}");
        }
    }

    #[test]
    fn a_status_is_that_of_http() {
        assert_eq!(status(b"HTTP/1.1 200 OK"), Some(200));
        assert_eq!(status(b"HTTP/1.0 404"), Some(404));
        for line in ["HTTP/1.1", "HTTP/2 200", "ERROR", "", "HTTP/1.1 2x0"] {
            assert_eq!(status(line.as_bytes()), None, "{line}");
        }
    }
}
