//! What the operator's interface shows, of queues on a shard that is asked from afar and on the one that serves the page.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fmt::Write, thread};

use serde_json::{Value, json};
use shards::{ShardId, owner_of};

use crate::admin_client::Http;
use crate::client::Client;
use crate::process::{Launch, Server, wait_until};

/// A queue of each shard.
pub(crate) fn queues() -> [String; 2] {
    [0, 1].map(|shard| {
        let mut names = (0..).map(|number| format!("q{number}"));
        names.find(|name| owner_of(name.as_bytes(), 2) == ShardId(shard)).unwrap()
    })
}

fn server() -> Server {
    Launch::new().with(&["--admin", "0", "--open-per-connection", "9"]).start()
}

#[test]
fn the_server_at_a_glance() {
    let server = server();
    let mut client = server.connect();
    for queue in queues() {
        (0..3).for_each(|_| assert_eq!(client.set(&queue, b"m"), "STORED"));
        client.get(&queue).unwrap();
    }
    let overview = Http::connect(&server).show("/api/overview");
    let totals = &overview["totals"];
    for (name, wanted) in [("queues", 2), ("messages", 4), ("waiting", 4), ("open", 0), ("put", 6), ("taken", 2)] {
        assert_eq!(totals[name], json!(wanted), "{name} in {overview}");
    }
    assert_eq!(overview["version"], json!(env!("CARGO_PKG_VERSION")));
    assert_eq!(overview["connections"], json!(1));
    for name in ["durable", "read_only", "draining", "full"] {
        assert_eq!(overview[name], json!(name == "durable"), "{name}");
    }
    assert_eq!(overview["user"], Value::Null);
    let addresses: Vec<&str> =
        overview["addresses"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    let admin = format!("admin {}", server.address_for("admin"));
    assert_eq!(addresses, [server.address().to_string(), admin]);
    let shards = overview["shards"].as_array().unwrap();
    assert_eq!(shards.iter().map(|shard| shard["queues"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 1]);
    assert!(
        overview["commit"]["p99_us"].as_u64() > Some(0) && overview["fsync"]["p50_us"].as_u64() > Some(0),
        "{overview}"
    );
    let mut http = Http::connect(&server);
    wait_until("the room on the disk", Duration::from_secs(10), || {
        let overview = http.show("/api/overview");
        let bytes = |name: &str| overview[name].as_u64();
        bytes("disk_free_bytes") > Some(0) && bytes("disk_bytes") >= bytes("disk_free_bytes")
    });
}

#[test]
fn the_last_minutes_are_the_servers_and_not_the_pages() {
    let server = server();
    let mut client = server.connect();
    client.set("q", b"m");
    let points = || {
        let history = Http::connect(&server).show("/api/history");
        assert_eq!(history["interval_s"], json!(2));
        history["points"].as_array().unwrap().clone()
    };
    wait_until("two points", Duration::from_secs(20), || {
        client.set("q", b"m");
        points().len() >= 2
    });
    let points = points();
    let put: f64 = points.iter().map(|point| point[2].as_f64().unwrap()).sum();
    assert!(points.iter().all(|point| point.as_array().unwrap().len() == 6) && put > 0.0, "{points:?}");
    assert!(points.last().unwrap()[0].as_f64() >= Some(1.0), "{points:?}");
    client.send("stats reset\r\n");
    client.expect("RESET\r\n");
}

#[test]
fn a_queue_and_its_messages() {
    let server = server();
    let (mut client, mut http) = (server.connect(), Http::connect(&server));
    let script = "<script>alert(1)</script>";
    for queue in queues() {
        assert_eq!(client.set(&format!("{queue}/config"), b"tries=3 depth=9"), "STORED");
        assert_eq!(client.set(&format!("{queue}+c/config"), b"depth=9"), "STORED");
        for body in [script.as_bytes(), b"\xff\x00", "x".repeat(5000).as_bytes()] {
            assert_eq!(client.set(&queue, body), "STORED");
        }
        assert!(client.get(&format!("{queue}/open")).is_some());
        let shown = http.show(&format!("/api/queue?queue={queue}"));
        for (name, wanted) in [("waiting", json!(2)), ("open", json!(1)), ("children", json!(1)), ("sets", json!(3))] {
            assert_eq!(shown[name], wanted, "{name} in {shown}");
        }
        assert_eq!(shown["children_names"], json!([format!("{queue}%2Bc")]));
        assert!(shown["settings"].as_str().unwrap().contains("tries=3"), "{shown}");
        assert_eq!((&shown["gate"], &shown["name"]), (&Value::Null, &json!(queue)));

        let answer = http.get(&format!("/api/queue/messages?queue={queue}"));
        assert_eq!(
            (answer.header("content-type"), answer.header("x-content-type-options")),
            ("application/json", "nosniff")
        );
        let messages = answer.json();
        let of = |at: usize, name: &str| messages["messages"][at][name].clone();
        assert_eq!((of(0, "text"), of(0, "state")), (json!(script), json!("open")));
        assert_eq!((of(1, "text"), of(1, "base64")), (Value::Null, json!("/wA=")));
        assert_eq!((of(2, "text"), of(2, "cut"), of(2, "bytes")), (json!("x".repeat(4096)), json!(true), json!(5000)));
        let second = http.show(&format!("/api/queue/messages?queue={queue}&count=1&after={}", of(0, "seq")));
        assert_eq!(second["messages"][0]["seq"], of(1, "seq"));

        let opens = http.show(&format!("/api/queue/opens?queue={queue}"));
        let open = &opens["opens"][0];
        assert_eq!((&open["seq"], &open["try"], &opens["next"]), (&of(0, "seq"), &json!(1), &Value::Null));
        let holder = open["holder"].as_str().unwrap();
        assert!(holder.contains(&client.local_address().to_string()), "{holder}");
        assert!(client.get(&format!("{queue}/open/as=worker/for=30")).is_some());
        let opens = http.show(&format!("/api/queue/opens?queue={queue}"));
        assert_eq!(opens["opens"][1]["holder"], json!("name worker"));
        assert!(opens["opens"][1]["ends_in_s"].as_u64() <= Some(30), "{opens}");
    }
}

#[test]
fn connections_are_listed_page_by_page() {
    let server = server();
    let mut clients: Vec<_> = (0..7).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.set("q", b"m");
    }
    clients[0].get("q/open").unwrap();
    let mut http = Http::connect(&server);
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = http.show(&format!("/api/connections?limit=3&after={after}"));
        seen.extend(page["connections"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => after = next.to_string(),
            None => break,
        }
    }
    let ids: BTreeSet<String> = seen.iter().map(|line| line["id"].to_string()).collect();
    assert_eq!((seen.len(), ids.len()), (7, 7), "those of the page are not among them");
    let of_first = clients[0].local_address().to_string();
    let first = seen.iter().find(|line| line["peer"] == json!(of_first)).unwrap();
    assert_eq!((&first["open"], &first["commands"], &first["waiting"]), (&json!(1), &json!(2), &json!(false)));
}

/// Under load, and with two pages at once.
#[test]
fn ten_thousand_queues_are_paged_each_once() {
    const QUEUES: usize = 10_000;
    let server = Launch::new().with(&["--admin", "0", "-N"]).start();
    let mut client = server.connect();
    for first in (0..QUEUES).step_by(500) {
        let mut commands = String::new();
        (first..first + 500).for_each(|number| write!(commands, "set jobs-{number} 0 0 1\r\nm\r\n").unwrap());
        client.send(commands);
        (0..500).for_each(|_| client.expect("STORED\r\n"));
    }
    let stops = AtomicBool::new(false);
    let (address, page) = (server.address(), server.address_for("admin"));
    let pages = |sort: &str, order: &str| {
        let (mut http, mut names, mut after) = (Http::at(page), Vec::new(), String::new());
        loop {
            let path = format!("/api/queues?filter=jobs-&sort={sort}&order={order}&limit=500&after={after}");
            let page = http.show(&path);
            assert_eq!(page["matched"], json!(QUEUES));
            names.extend(page["queues"].as_array().unwrap().iter().map(|line| line["name"].to_string()));
            match page["next"].as_str() {
                Some(next) => after = next.replace('%', "%25"),
                None => return names,
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = Client::connect(address);
            while !stops.load(Ordering::Relaxed) {
                assert_eq!(client.set("load", b"m"), "STORED");
                client.get("load");
            }
        });
        let by_waiting = scope.spawn(|| pages("waiting", "desc"));
        let by_name = pages("name", "asc");
        assert!(by_name.is_sorted(), "by name");
        for names in [by_name, by_waiting.join().unwrap()] {
            assert_eq!(names.len(), QUEUES);
            assert_eq!(names.into_iter().collect::<BTreeSet<_>>().len(), QUEUES, "each once");
        }
        stops.store(true, Ordering::Relaxed);
    });
    let mut http = Http::connect(&server);
    let found = http.show("/api/queues?filter=jobs-99&limit=3");
    assert_eq!((&found["matched"], found["queues"].as_array().unwrap().len()), (&json!(111), 3));
    assert_eq!(found["total"].as_u64(), Some(QUEUES as u64 + 1));
    assert!(found["took_ms"].is_number());
}
