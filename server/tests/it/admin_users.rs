//! The operator's page where users are asked for.

use std::fs;

use base64ct::{Base64, Encoding};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::access::{PASSWORD, start, users_file};
use crate::admin_client::{Answer, Http};

/// Asks as a user.
fn ask(http: &mut Http, login: Option<&str>, method: &str, path: &str, body: &str) -> Answer {
    let login = login.map(|login| format!("Authorization: Basic {}\r\n", Base64::encode_string(login.as_bytes())));
    let headers =
        format!("{}Content-Type: application/json\r\nContent-Length: {}\r\n", login.unwrap_or_default(), body.len());
    let request = http.request(method, path, &headers) + body;
    http.send(request);
    http.answer()
}

#[test]
fn the_page_takes_a_user_with_the_role_of_an_admin() {
    let mut server = start(&[("root", "admin"), ("shop", "put=*")], &["--admin", "0"]);
    let mut http = Http::connect(&server);
    let (root, shop) = (format!("root:{PASSWORD}"), format!("shop:{PASSWORD}"));
    let wrong = "root:wrong";
    for path in ["/", "/page.js", "/api/overview", "/api/queues", "/nothing"] {
        let nobody = ask(&mut http, None, "GET", path, "");
        assert_eq!(nobody.status, 401, "{path}");
        assert!(nobody.header("www-authenticate").starts_with("Basic "), "{nobody:?}");
        ask(&mut http, Some(&shop), "GET", path, "").error(403);
        let wanted = if path == "/nothing" { 404 } else { 200 };
        assert_eq!(ask(&mut http, Some(&root), "GET", path, "").status, wanted, "{path}");
    }
    ask(&mut http, Some(wrong), "GET", "/api/overview", "").error(401);
    assert_eq!(ask(&mut http, Some(&root), "GET", "/api/overview", "").json()["user"], json!("root"));
    let put = r#"{"queue":"q","text":"m"}"#;
    ask(&mut http, None, "POST", "/api/queue/put", put).error(401);
    ask(&mut http, Some(&shop), "POST", "/api/queue/put", put).error(403);
    assert_eq!(ask(&mut http, Some(&root), "POST", "/api/queue/put", put).status, 200);
    let line = server.wait_for_line("a message of 1 bytes is put into q");
    assert!(line.contains("user root at 127.0.0.1:"), "{line}");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ask(&mut http, None, "GET", path, "").status, 200, "{path}");
    }
}

/// Though its password was right on this connection a moment ago.
#[test]
fn a_user_who_is_out_is_refused() {
    let mut server = start(&[("root", "admin"), ("other", "admin")], &["--admin", "0"]);
    let mut http = Http::connect(&server);
    let root = format!("root:{PASSWORD}");
    assert_eq!(ask(&mut http, Some(&root), "GET", "/api/overview", "").status, 200);
    let path = users_file(server.launch(), &[("other", "admin")]);
    assert!(fs::metadata(path).is_ok());
    server.signal(Signal::SIGHUP);
    server.wait_for_line("is read again");
    ask(&mut http, Some(&root), "GET", "/api/overview", "").error(401);
}
