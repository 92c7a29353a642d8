//! Requests from everywhere.

use std::path::PathBuf;

use hyper::Request;

use super::*;
use crate::process::operator::Place;
use crate::process::settings::UnixSocket;
use crate::web::route;

fn operator(read_only: bool) -> Operator {
    let place = Place::Unix(UnixSocket { path: PathBuf::from("/s"), mask: 0 });
    Operator { place, read_only, hosts: vec!["queue.example".to_string()] }
}

/// What becomes of a request with these headers, a line each.
fn status(operator: &Operator, method: Method, path: &str, headers: &str) -> u16 {
    let mut request = Request::builder().method(method.clone()).uri(path);
    for line in headers.lines() {
        let (name, value) = line.split_once(':').expect(line);
        request = request.header(name.trim(), value.trim());
    }
    let (parts, ()) = request.body(()).expect("good").into_parts();
    let route = route::route(&method, parts.uri.path()).expect("there is one");
    check(operator, &parts, Some(&route)).map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
}

fn get(headers: &str) -> u16 {
    status(&operator(false), Method::GET, "/api/overview", headers)
}

fn post(headers: &str) -> u16 {
    status(&operator(false), Method::POST, "/api/queue/pause", headers)
}

/// A site whose name leads to this address, by a server of names that its owner has, is another site nevertheless.
#[test]
fn a_host_that_is_not_this_server_is_refused() {
    for host in
        ["127.0.0.1:8080", "127.0.0.1", "[::1]:80", "10.1.2.3", "localhost:8080", "LOCALHOST", "queue.example:1"]
    {
        assert_eq!(get(&format!("host: {host}")), 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "queue.example.evil", "a@localhost", "127.0.0.1.evil"] {
        assert_eq!(get(&format!("host: {host}")), 403, "{host}");
    }
    assert_eq!(get(""), 200, "a health check has none, and a browser always one");
    assert_eq!(get("host: localhost\nhost: localhost"), 400);
    assert_eq!(get("host: a b"), 400);
    assert_eq!(status(&operator(false), Method::GET, "http://evil.example/api/overview", ""), 403);
    assert_eq!(status(&operator(false), Method::GET, "http://evil.example/api/overview", "host: localhost"), 400);
}

#[test]
fn a_post_of_another_site_is_refused() {
    let json = "host: localhost:80\ncontent-type: application/json\n";
    assert_eq!(post(json), 200, "no browser sent it");
    for origin in ["http://localhost:80", "https://localhost:80", "http://LOCALHOST:80"] {
        assert_eq!(post(&format!("{json}origin: {origin}")), 200, "{origin}");
    }
    for origin in ["http://localhost", "http://localhost:81", "http://evil.example", "null", "localhost:80", "file://"]
    {
        assert_eq!(post(&format!("{json}origin: {origin}")), 403, "{origin}");
    }
    assert_eq!(get("host: localhost\norigin: http://evil.example"), 200, "its script cannot read the answer");
}

/// A form of any site can send these, without a question before.
#[test]
fn a_body_that_is_not_said_to_be_json_is_refused() {
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx", ""] {
        assert_eq!(post(&format!("host: localhost\ncontent-type: {kind}")), 403, "{kind}");
    }
    assert_eq!(post("host: localhost"), 403);
    for kind in ["application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(post(&format!("host: localhost\ncontent-type: {kind}")), 200, "{kind}");
    }
}

#[test]
fn a_page_that_only_shows_takes_no_act() {
    let read_only = operator(true);
    let json = "host: localhost\ncontent-type: application/json";
    for path in ["/api/queue/put", "/api/queue/purge", "/api/connection/close", "/api/drain", "/api/checkpoint"] {
        assert_eq!(status(&read_only, Method::POST, path, json), 403, "{path}");
        assert_eq!(status(&operator(false), Method::POST, path, json), 200, "{path}");
    }
    assert_eq!(status(&read_only, Method::GET, "/api/queues", "host: localhost"), 200);
}

#[test]
fn a_login_is_a_name_and_a_password_that_may_have_a_colon() {
    let pair = |name: &str, password: &str| Some((name.as_bytes().to_vec(), password.as_bytes().to_vec()));
    let encoded = |text: &str| Base64::encode_string(text.as_bytes());
    assert_eq!(login(&format!("Basic {}", encoded("ann:a:b"))), pair("ann", "a:b"));
    assert_eq!(login(&format!("basic  {} ", encoded("ann:"))), pair("ann", ""));
    for bad in ["", "Basic", "Basic !", &format!("Basic {}", encoded("ann")), &format!("Bearer {}", encoded("a:b"))] {
        assert_eq!(login(bad), None, "{bad}");
    }
}
