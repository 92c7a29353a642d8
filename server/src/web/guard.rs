//! Who may ask, and from where: what is held against a request before anything else of it is looked at.

use std::net::IpAddr;

use base64ct::{Base64, Encoding};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, StatusCode};

use crate::access::{Denied, Users};
use crate::process::operator::Operator;
use crate::session::peer::Peer;
use crate::web::response::Refusal;
use crate::web::route::{Access, Route};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    /// The user who has logged in, if users are asked for.
    pub(crate) user: Option<String>,
    /// Where the request comes from.
    pub(crate) peer: String,
}

impl Who {
    /// For a line of the log.
    pub(crate) fn logged(&self) -> String {
        match &self.user {
            Some(user) => format!("user {} at {}", user.escape_default(), self.peer),
            None => self.peer.clone(),
        }
    }
}

/// Finds out who asks. Without users everybody who reaches the address is the operator.
///
/// # Errors
/// When the route takes a user, and the request names none, another password, or one without the role.
pub(crate) async fn identify(
    users: Option<&Users>,
    access: Access,
    headers: &HeaderMap,
    peer: Peer,
) -> Result<Who, Refusal> {
    let who = |user| Who { user, peer: peer.to_string() };
    let Some(users) = users.filter(|_| access != Access::Open) else { return Ok(who(None)) };
    let nobody = || Refusal::new(StatusCode::UNAUTHORIZED, "log in as a user of --users");
    let (name, password) = only(headers, &AUTHORIZATION)?.and_then(|value| login(&value)).ok_or_else(nobody)?;
    let account = users.check(&name, &password, peer.source()).await.map_err(|denied| match denied {
        Denied::Wrong => nobody(),
        Denied::Busy => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many logins wait; ask again in some seconds")
        }
    })?;
    if access == Access::Admin && !account.is_admin() {
        return Err(Refusal::forbidden(format!("user {} is no admin, by --users", account.name().escape_default())));
    }
    Ok(who(Some(account.name().to_string())))
}

/// The name and the password of HTTP's Basic scheme.
fn login(authorization: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    let both = scheme.eq_ignore_ascii_case("basic").then(|| Base64::decode_vec(encoded.trim()).ok()).flatten()?;
    let colon = both.iter().position(|byte| *byte == b':')?;
    Some((both[..colon].to_vec(), both[colon + 1..].to_vec()))
}

/// Holds the head of a request against the rules.
///
/// # Errors
/// When it names a host that is not this one, comes from another site, or would change something that may not be changed.
pub(crate) fn check(operator: &Operator, parts: &Parts, route: Option<&Route>) -> Result<(), Refusal> {
    let host = host(parts)?;
    if let Some(host) = &host
        && !is_ours(operator, host)
    {
        return Err(Refusal::forbidden(format!(
            "{}: no host of this server; --admin-host adds a name",
            host.as_str().escape_default()
        )));
    }
    if parts.method != Method::POST {
        return Ok(());
    }
    if let Some(origin) = only(&parts.headers, &ORIGIN)?
        && !is_of(&origin, host.as_ref())
    {
        return Err(Refusal::forbidden(format!(
            "{}: a page of another site changes nothing here",
            origin.escape_default()
        )));
    }
    let content_type = only(&parts.headers, &CONTENT_TYPE)?.unwrap_or_default();
    // What a form of any site can send is none of these.
    if !content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Err(Refusal::forbidden("the body is JSON: its Content-Type is application/json"));
    }
    if operator.read_only && matches!(route, Some(Route::Act(_))) {
        return Err(Refusal::forbidden("--admin-read-only: the server is shown, and nothing of it is changed"));
    }
    Ok(())
}

/// The host that a request names; `None`: it names none, as no browser does.
fn host(parts: &Parts) -> Result<Option<Authority>, Refusal> {
    let bad = |_| Refusal::bad("Host is no name of a host");
    let named = only(&parts.headers, &HOST)?.filter(|host| !host.is_empty());
    let named = named.map(|host| host.parse::<Authority>().map_err(bad)).transpose()?;
    match (named, parts.uri.authority()) {
        (Some(named), Some(asked)) if named != *asked => Err(Refusal::bad("the URL and Host name two hosts")),
        (named, asked) => Ok(named.or_else(|| asked.cloned())),
    }
}

/// Whether the host is this server: an address, which no site can have as its name, `localhost`, or a name that it was told.
fn is_ours(operator: &Operator, host: &Authority) -> bool {
    let name = host.host().to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    // A login in front of a name would show one host, and mean another.
    !host.as_str().contains('@')
        && (bare.parse::<IpAddr>().is_ok() || name == "localhost" || operator.hosts.iter().any(|ours| ours == name))
}

/// Whether an origin is the host that is asked.
fn is_of(origin: &str, host: Option<&Authority>) -> bool {
    let behind = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    behind.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host.as_str()))
}

/// The value of a header that is there once at most.
fn only(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Refusal::bad(format!("there are two {name}")));
    }
    let text = first.map(|value| value.to_str().map(str::to_string));
    text.transpose().map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, format!("{name} is no text")))
}

#[cfg(test)]
mod tests;
