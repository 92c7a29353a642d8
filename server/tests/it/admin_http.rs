//! The operator's page as HTTP: heads, odd and slow clients, sites that are not this one, and the stop.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::admin_client::Http;
use crate::process::{Launch, Server, wait_until};

fn server() -> Server {
    Launch::new().with(&["--admin", "0"]).start()
}

#[test]
fn the_page_says_what_it_is_and_is_sent_once() {
    let server = server();
    let mut http = Http::connect(&server);
    for (path, content_type) in [
        ("/", "text/html"),
        ("/page.css", "text/css"),
        ("/page.js", "text/javascript"),
        ("/api/overview", "application/json"),
    ] {
        let answer = http.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").starts_with(content_type) && !answer.body.is_empty(), "{answer:?}");
        let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      frame-ancestors 'none'; form-action 'none'; base-uri 'none'";
        assert_eq!(answer.header("content-security-policy"), policy);
        assert_eq!(
            (answer.header("x-content-type-options"), answer.header("referrer-policy")),
            ("nosniff", "no-referrer")
        );
        let is_file = path != "/api/overview";
        assert_eq!(answer.header("cache-control"), if is_file { "no-cache" } else { "no-store" });
        if is_file {
            let tag = format!("If-None-Match: {}\r\n", answer.header("etag"));
            let again = http.request("GET", path, &tag);
            http.send(again);
            let again = http.head();
            assert_eq!((again.status, again.header("etag")), (304, answer.header("etag")), "{path}");
        }
        let head = http.request("HEAD", path, "");
        http.send(head);
        let head = http.head();
        // The next answer would be taken for a body.
        assert_eq!((head.status, head.header("content-type")), (200, answer.header("content-type")));
    }
}

#[test]
fn what_is_not_there_is_told_in_json() {
    let server = server();
    let mut http = Http::connect(&server);
    for (method, path, status) in [
        ("GET", "/nothing", 404),
        ("GET", "/page/index.html", 404),
        ("GET", "/api/queue?queue=none", 404),
        ("GET", "/api/queue?queue=", 400),
        ("GET", "/api/queue?queue=q%2Fopen", 400),
        ("GET", "/api/queues?limit=x", 400),
        ("GET", "/api/queue/purge", 405),
        ("PUT", "/api/overview", 405),
        ("DELETE", "/nothing", 404),
    ] {
        let request = http.request(method, path, "");
        http.send(request);
        let answer = http.answer();
        assert!(!answer.error(status).is_empty());
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
    assert_eq!((http.get("/healthz").status, http.get("/readyz").status), (200, 200));
}

/// Planted once each: without the look at Host a name that another site has made lead here is this server; without that at
/// Origin or Content-Type a page of any site purges a queue.
#[test]
fn other_sites_are_refused() {
    let server = Launch::new().with(&["--admin", "0", "--admin-host", "queue.example"]).start();
    server.connect().set("q", b"m");
    let mut http = Http::connect(&server);
    let purge = r#"{"queue":"q","count":1}"#;
    let mut ask = |method: &str, path: &str, headers: &str, body: &str| {
        http.send(format!("{method} {path} HTTP/1.1\r\n{headers}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        http.answer().status
    };
    for (host, status) in [("queue.example", 200), ("localhost:1", 200), ("10.0.0.1", 200), ("evil.example", 403)] {
        assert_eq!(ask("GET", "/api/overview", &format!("Host: {host}"), ""), status, "{host}");
        assert_eq!(ask("GET", "/", &format!("Host: {host}"), ""), status, "{host}");
    }
    let json = "Content-Type: application/json";
    for headers in [
        format!("Host: evil.example\r\nOrigin: http://evil.example\r\n{json}"),
        format!("Host: localhost\r\nOrigin: http://evil.example\r\n{json}"),
        format!("Host: localhost\r\nOrigin: null\r\n{json}"),
        "Host: localhost\r\nContent-Type: text/plain".to_string(),
        "Host: localhost".to_string(),
    ] {
        assert_eq!(ask("POST", "/api/queue/purge", &headers, purge), 403, "{headers}");
    }
    let ours = format!("Host: queue.example\r\nOrigin: https://queue.example\r\n{json}");
    assert_eq!(ask("POST", "/api/queue/purge", &ours, purge), 200);
}

#[test]
fn a_page_that_only_shows_changes_nothing() {
    let server = Launch::new().with(&["--admin", "0", "--admin-read-only"]).start();
    server.connect().set("q", b"m");
    let mut http = Http::connect(&server);
    for (path, body) in [
        ("/api/queue/put", json!({"queue": "q", "text": "m"})),
        ("/api/queue/purge", json!({"queue": "q", "count": 1})),
        ("/api/queue/delete", json!({"queue": "q", "name": "q"})),
        ("/api/drain", json!({"on": true})),
        ("/api/connection/close", json!({"id": "0-0"})),
    ] {
        assert!(http.post(path, &body).error(403).contains("--admin-read-only"), "{path}");
    }
    assert_eq!(http.show("/api/queue?queue=q")["waiting"], json!(1));
    assert_eq!(http.show("/api/overview")["read_only"], json!(true));
}

#[test]
fn a_request_comes_in_any_pieces() {
    let server = server();
    let mut http = Http::connect(&server);
    let body = r#"{"queue":"q","text":"m"}"#;
    let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let request = http.request("POST", "/api/queue/put", &headers) + body;
    request.bytes().for_each(|byte| http.send([byte]));
    assert_eq!(http.answer().status, 200);
    // Several at once, one of them in chunks.
    let chunked =
        http.request("POST", "/api/queue/put", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n");
    let chunked = format!("{chunked}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let shown = http.request("GET", "/api/queue?queue=q", "");
    http.send([&shown, &chunked, &shown, &request, &shown].map(String::as_str).concat());
    let waiting: Vec<_> = (0..5).map(|_| http.answer().json()["waiting"].clone()).collect();
    assert_eq!([&waiting[0], &waiting[2], &waiting[4]], [&json!(1), &json!(2), &json!(3)]);
}

#[test]
fn a_thousand_requests_on_one_connection() {
    let server = server();
    let mut http = Http::connect(&server);
    for _ in 0..1000 {
        assert_eq!(http.get("/api/overview").status, 200);
    }
    for _ in 0..4 {
        let request = http.request("GET", "/healthz", "").repeat(250);
        http.send(request);
        (0..250).for_each(|_| assert_eq!(http.answer().status, 200));
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let server = Launch::new().with(&["--admin", "0", "-B", "1000"]).start();
    let post = |headers: &str, body: &str| {
        let mut http = Http::connect(&server);
        let request =
            http.request("POST", "/api/queue/put", &format!("Content-Type: application/json\r\n{headers}\r\n"));
        http.send_until_refused((request + body).as_bytes());
        http.answer().status
    };
    let most = json!({"queue": "q", "text": "x".repeat(1000)}).to_string();
    assert_eq!(post(&format!("Content-Length: {}", most.len()), &most), 200);
    let more = json!({"queue": "q", "text": "x".repeat(1001)}).to_string();
    assert_eq!(post(&format!("Content-Length: {}", more.len()), &more), 413);
    assert_eq!(post("Content-Length: 1000000000", "{"), 413, "before it has come");
    let piece = format!("400\r\n{}\r\n", "x".repeat(1024));
    assert_eq!(post("Transfer-Encoding: chunked", &piece.repeat(1000)), 413);
    let mut http = Http::connect(&server);
    let request = http.request("GET", "/", &format!("X: {}\r\n", "x".repeat(20_000)));
    http.send_until_refused(request.as_bytes());
    assert_eq!(http.head().status, 431);
}

/// Each of them has its own way to hold a place, and none keeps it; another client is served at once all the while.
#[test]
fn slow_clients_hold_nobody_up_and_are_ended() {
    let server = server();
    let request = |http: &Http| http.request("GET", "/page.js", "");
    let mut ways: Vec<Http> = (0..3).map(|_| Http::connect(&server)).collect();
    let (head, body, reader) = (
        request(&ways[0]),
        ways[1].request("POST", "/api/drain", "Content-Type: application/json\r\nContent-Length: 9\r\n"),
        request(&ways[2]),
    );
    ways[0].send(&head[..20]);
    ways[1].send(body + "{\"on");
    // Answers that nobody reads, until the socket takes no more.
    let mut unread = ways.pop().unwrap();
    let flood = thread::spawn(move || {
        let ended = (0..100_000).any(|_| unread.send_until_refused(reader.as_bytes()));
        assert!(ended, "100,000 answers have gone nowhere");
    });
    let mut slow: Vec<_> = ways.into_iter().map(|mut http| thread::spawn(move || http.ends())).collect();
    slow.push(flood);
    let mut beside = Http::connect(&server);
    let mut worst = Duration::ZERO;
    while !slow.iter().all(thread::JoinHandle::is_finished) {
        let began = Instant::now();
        assert_eq!(beside.get("/api/overview").status, 200);
        worst = worst.max(began.elapsed());
        thread::sleep(Duration::from_millis(50));
    }
    slow.into_iter().for_each(|ended| ended.join().unwrap());
    assert!(worst < Duration::from_secs(2), "{worst:?}");
    assert_eq!(beside.show("/api/overview")["draining"], json!(false), "half a body is no act");
}

/// So they do not count against `-c` either, which is 1 here.
#[test]
fn there_are_64_connections_of_the_page_and_clients_are_served_beside_them() {
    let server = Launch::new().with(&["--admin", "0", "-c", "1"]).start();
    let mut client = server.connect();
    let mut open: Vec<Http> = (0..64).map(|_| Http::connect(&server)).collect();
    assert!(open.iter_mut().all(|http| http.get("/healthz").status == 200));
    assert_eq!(client.set("q", b"m"), "STORED");
    assert_eq!(open[0].show("/api/overview")["connections"], json!(1));
    let mut one_more = Http::connect(&server);
    assert_eq!(one_more.answer().status, 503);
    one_more.ends();
    drop(open);
    wait_until("a place to be free", Duration::from_secs(10), || {
        let mut http = Http::connect(&server);
        let request = http.request("GET", "/healthz", "");
        !http.send_until_refused(request.as_bytes()) && http.head().status == 200
    });
}

#[test]
fn a_stop_does_not_wait_for_an_open_page() {
    let mut server = server();
    let mut idle = Http::connect(&server);
    assert_eq!(idle.get("/").status, 200);
    let mut slow = Http::connect(&server);
    slow.send("GET / HT");
    let mut unread = Http::connect(&server);
    let request = unread.request("GET", "/page.css", "").repeat(2500);
    unread.send_until_refused(request.as_bytes());
    let began = Instant::now();
    server.terminate();
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    idle.ends();
    slow.ends();
}

#[test]
fn a_unix_socket_serves_the_page_to_its_owner() {
    let launch = Launch::new();
    let path = launch.scratch().join("page.socket");
    let mut server = launch.with(&["--admin", path.to_str().unwrap()]).start();
    assert!(
        server.said().iter().any(|line| line.ends_with(&format!("admin {}", path.display()))),
        "{:?}",
        server.said()
    );
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
    server.terminate();
    assert!(!path.exists() && !path.with_extension("socket.lock").exists());
}

#[test]
fn a_page_that_cannot_be_served_keeps_the_server_from_starting() {
    let running = server();
    let taken = running.address_for("admin").to_string();
    Launch::new().with(&["--admin", &taken]).refused().assert_one_line(&["--admin", "stop what is there"]);
    Launch::new().with(&["--admin", "0.0.0.0:0"]).refused().assert_one_line(&["--admin", "--users"]);
    Launch::new().with(&["--admin", "192.0.2.1:1"]).refused().assert_one_line(&["--admin", "--users"]);
    Launch::new().with(&["--admin", "x"]).refused().assert_one_line(&["--admin x"]);
}
