//! A small HTTP client, by hand: what a browser would never send can be sent by it, too.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::process::Server;

const READ_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Http {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(its, _)| its == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The one line of an error.
    #[track_caller]
    pub(crate) fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/json");
        let error = self.json()["error"].as_str().unwrap().to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        error
    }
}

impl Http {
    pub(crate) fn connect(server: &Server) -> Http {
        Http::at(server.address_for("admin"))
    }

    pub(crate) fn at(address: SocketAddr) -> Http {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(READ_TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Http { stream: BufReader::new(stream), address }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Sends as much as is taken, and returns whether the other side has ended the connection.
    pub(crate) fn send_until_refused(&mut self, bytes: &[u8]) -> bool {
        self.stream.get_mut().write_all(bytes).is_err()
    }

    /// A request without a body.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &str) -> String {
        format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.address)
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        let request = self.request("GET", path, "");
        self.send(request);
        self.answer()
    }

    /// What a path shows.
    #[track_caller]
    pub(crate) fn show(&mut self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.post_with(path, "Content-Type: application/json\r\n", &body.to_string())
    }

    pub(crate) fn post_with(&mut self, path: &str, headers: &str, body: &str) -> Answer {
        let headers = format!("{headers}Content-Length: {}\r\n", body.len());
        let request = self.request("POST", path, &headers) + body;
        self.send(request);
        self.answer()
    }

    /// Has something done.
    #[track_caller]
    pub(crate) fn act(&mut self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
        answer.json()
    }

    /// The next answer.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length: usize = answer.header("content-length").parse().unwrap_or_else(|_| panic!("{answer:?}"));
        answer.body = vec![0; length];
        self.stream.read_exact(&mut answer.body).unwrap();
        answer
    }

    /// The head of the next answer.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Answer {
        let status = self.line();
        let status = status.split(' ').nth(1).unwrap_or_else(|| panic!("{status:?}")).parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_string()));
        }
        Answer { status, headers, body: Vec::new() }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_string()
    }

    /// Waits until the other side has ended the connection, and takes what comes before.
    pub(crate) fn ends(&mut self) {
        let mut rest = Vec::new();
        // Ended by a reset is ended, too.
        match self.stream.read_to_end(&mut rest) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("it goes on"),
            _ => {}
        }
    }
}
