//! The server at a place: which of its two ports it is, found out by asking, and a login if it asks for one.

use std::time::Duration;

use super::http::Admin;
use super::memcache::{Memcache, is_unauthenticated};
use super::password;
use super::place::Place;
use super::socket::Socket;
use super::text;
use crate::process::commands::Line;

const TIMEOUT_S: u64 = 5;
const TIMEOUT_S_MAX: u64 = 3600;
/// The first byte of what a TLS server says to a client that does not begin so.
const TLS_ALERT: u8 = 0x15;
/// What a rushq with TLS says before it closes.
const TLS_TOLD: &[u8] = b"CLIENT_ERROR this port takes TLS";

/// A server that can be asked.
#[derive(Debug)]
pub(super) enum Server {
    Memcache(Memcache),
    Admin(Admin),
}

/// What the options say of the server: where it is, and as which user it is spoken to.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) place: Place,
    timeout: Duration,
    /// A user and a password.
    login: Option<(String, String)>,
}

impl Address {
    /// Asks for the password, if it has to.
    ///
    /// # Errors
    /// When an option's value is none.
    pub(super) fn of(line: &Line) -> Result<Address, String> {
        let (place, timeout) = (Place::of(line)?, timeout(line)?);
        let user = line.value("--user");
        let login = user.map(|user| Ok::<_, String>((user.to_string(), password::of(user, line)?))).transpose()?;
        Ok(Address { place, timeout, login })
    }

    /// Connects, and logs in.
    ///
    /// # Errors
    /// When no server is there, or what is there is none.
    pub(super) fn open(&self) -> Result<Server, String> {
        let login = self.login.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
        match find(&self.place, self.timeout)? {
            Some(mut memcache) => {
                if let Some((user, password)) = login {
                    memcache.log_in(user, password)?;
                }
                Ok(Server::Memcache(memcache))
            }
            None => Ok(Server::Admin(Admin::at(&self.place, self.timeout, login))),
        }
    }
}

/// Connects to the server that the options name, and logs in.
///
/// # Errors
/// When none is there, or what is there is none.
pub(super) fn open(line: &Line) -> Result<Server, String> {
    Address::of(line)?.open()
}

/// How long an answer may take.
///
/// # Errors
/// When the option's value is none.
pub(super) fn timeout(line: &Line) -> Result<Duration, String> {
    Ok(Duration::from_secs(line.number("--timeout", 1, TIMEOUT_S_MAX)?.unwrap_or(TIMEOUT_S)))
}

/// Asks what is at a place: a memcache port is there, or, with `None`, one that answers by HTTP.
///
/// # Errors
/// When neither is.
pub(super) fn find(place: &Place, timeout: Duration) -> Result<Option<Memcache>, String> {
    let mut socket = Socket::connect(place, timeout)?;
    // To HTTP this is a bad request, which is answered at once.
    socket.send(b"version\r\n")?;
    let is_tls = socket.first_byte()? == TLS_ALERT;
    let line = if is_tls { Vec::new() } else { socket.line()? };
    if is_tls || line == TLS_TOLD {
        return Err(
            socket.failed("it speaks TLS, which commands do not; use a Unix socket of the server, or a port without")
        );
    }
    if line.starts_with(b"HTTP/1.") {
        return Ok(None);
    }
    if let Some(version) = line.strip_prefix(b"VERSION ") {
        let version = text::line(version);
        return Ok(Some(Memcache::over(socket, version)));
    }
    if is_unauthenticated(&line) {
        return Ok(Some(Memcache::over(socket, String::new())));
    }
    let said = text::line(&line);
    match line.starts_with(b"SERVER_ERROR ") {
        true => Err(socket.failed(format!("it answered \"{said}\""))),
        false => Err(socket.failed(format!("what answers there is no rushq: \"{said}\"; -p names another port"))),
    }
}
