//! What the operator's interface does, to queues on a shard that is asked from afar and on the one that serves the page.

use std::time::Duration;

use serde_json::{Value, json};

use crate::admin_client::Http;
use crate::admin_shows::queues;
use crate::client::Client;
use crate::process::{Launch, Server, wait_until};

fn server() -> Server {
    Launch::new().with(&["--admin", "0"]).start()
}

fn put(client: &mut Client, queue: &str, bodies: std::ops::Range<u32>) {
    bodies.for_each(|body| assert_eq!(client.set(queue, body.to_string().as_bytes()), "STORED"));
}

/// All that waits in a queue, in its order.
fn drained(client: &mut Client, queue: &str) -> Vec<String> {
    std::iter::from_fn(|| client.get(queue).map(|body| String::from_utf8(body).unwrap())).collect()
}

fn waiting(http: &mut Http, queue: &str) -> Value {
    http.show(&format!("/api/queue?queue={queue}"))["waiting"].clone()
}

#[test]
fn a_message_is_put() {
    let mut server = server();
    let (mut client, mut http) = (server.connect(), Http::connect(&server));
    for queue in queues() {
        assert_eq!(http.act("/api/queue/put", &json!({"queue": queue, "text": "é"})), json!({"stored": true}));
        http.act("/api/queue/put", &json!({"queue": queue, "base64": "/wA=", "flags": 7}));
        http.act("/api/queue/put", &json!({"queue": queue, "text": "later", "delay_s": 60}));
        assert_eq!(client.get(&queue).as_deref(), Some("é".as_bytes()));
        assert_eq!(client.command(&format!("get {queue}")), format!("VALUE {queue} 7 2"));
        client.expect_bytes(b"\xff\x00\r\nEND\r\n");
        assert_eq!(client.get(&queue), None, "the last one is delayed");
        http.act("/api/queue/put", &json!({"queue": format!("{queue}%2Bchild"), "text": "to a child"}));
        assert_eq!(client.get(&format!("{queue}+child")).as_deref(), Some(&b"to a child"[..]));
        server.wait_for_line(&format!("a message of 2 bytes is put into {queue}"));
    }
    http.post("/api/queue/put", &json!({"queue": "q/dead", "text": "m"})).error(400);
    http.post("/api/queue/put", &json!({"queue": "q/ticket=a", "text": "m"})).error(400);
    let put = http.show("/api/overview")["totals"]["put"].clone();
    assert_eq!(put, json!(8), "puts of the page are puts");
}

/// Planted once: a purge without the look at the count drops five messages that nobody has counted.
#[test]
fn a_purge_takes_the_count_that_is_there() {
    let mut server = server();
    let (mut client, mut http) = (server.connect(), Http::connect(&server));
    for queue in queues() {
        put(&mut client, &queue, 0..5);
        for count in [0, 6, 1_000_000] {
            let error = http.post("/api/queue/purge", &json!({"queue": queue, "count": count})).error(409);
            assert!(error.starts_with("5 messages are there"), "{error}");
        }
        assert_eq!(waiting(&mut http, &queue), json!(5), "nothing is dropped");
        assert_eq!(http.act("/api/queue/purge", &json!({"queue": queue, "count": 3})), json!({"purged": 3}));
        server.wait_for_line(&format!("3 messages of {queue} are purged"));
        assert_eq!(drained(&mut client, &queue), ["3", "4"], "the oldest go");
    }
    http.post("/api/queue/purge", &json!({"queue": "none", "count": 1})).error(404);
}

#[test]
fn what_is_open_outlives_a_purge() {
    let server = server();
    let (mut client, mut http) = (server.connect(), Http::connect(&server));
    for queue in queues() {
        put(&mut client, &queue, 0..3);
        assert_eq!(client.get(&format!("{queue}/open")).as_deref(), Some(&b"0"[..]));
        http.post("/api/queue/purge", &json!({"queue": queue, "count": 3})).error(409);
        assert_eq!(http.act("/api/queue/purge", &json!({"queue": queue, "count": 2})), json!({"purged": 2}));
        client.send(format!("get {queue}/abort\r\n"));
        client.expect("END\r\n");
        assert_eq!(drained(&mut client, &queue), ["0"]);
    }
}

#[test]
fn a_queue_is_deleted_when_its_name_is_typed() {
    let mut server = server();
    let (mut client, mut http) = (server.connect(), Http::connect(&server));
    for queue in queues() {
        put(&mut client, &queue, 0..1);
        http.post("/api/queue/delete", &json!({"queue": queue, "name": "no"})).error(409);
        assert_eq!(waiting(&mut http, &queue), json!(1));
        http.act("/api/queue/delete", &json!({"queue": queue, "name": queue}));
        http.post("/api/queue/delete", &json!({"queue": queue, "name": queue})).error(404);
        assert_eq!(client.get(&queue), None);
        server.wait_for_line(&format!("{queue} is deleted"));
    }
}

#[test]
fn messages_move_from_shard_to_shard() {
    let mut server = server();
    let (mut client, mut http) = (server.connect(), Http::connect(&server));
    let [here, there] = queues();
    for (from, to) in [(&here, &there), (&there, &here)] {
        put(&mut client, from, 0..9);
        http.post("/api/queue/move", &json!({"queue": from, "to": "none", "count": 5})).error(404);
        http.post("/api/queue/move", &json!({"queue": from, "to": from, "count": 5})).error(400);
        http.act("/api/queue/config", &json!({"queue": to, "words": "depth=2"}));
        let error = http.post("/api/queue/move", &json!({"queue": from, "to": to, "count": 5})).error(409);
        assert!(error.starts_with("2 moved, then "), "{error}");
        assert_eq!((waiting(&mut http, from), waiting(&mut http, to)), (json!(7), json!(2)), "the third is back");
        http.act("/api/queue/unconfig", &json!({"queue": to}));
        assert_eq!(http.act("/api/queue/move", &json!({"queue": from, "to": to, "count": 3})), json!({"moved": 3}));
        server.wait_for_line(&format!("3 messages moved from {from} to {to}"));
        assert_eq!(drained(&mut client, to), ["0", "1", "2", "3", "4"]);
        assert_eq!(http.act("/api/queue/move", &json!({"queue": from, "to": to, "count": 100})), json!({"moved": 4}));
        assert_eq!(drained(&mut client, to), ["5", "6", "7", "8"]);
    }
}

/// Its messages begin with the same numbers again: were they taken for those that moved before, they would be lost.
#[test]
fn messages_move_out_of_a_queue_that_was_made_anew() {
    let server = server();
    let (mut client, mut http) = (server.connect(), Http::connect(&server));
    for from in queues() {
        put(&mut client, "into", 0..1);
        for round in 0..2 {
            put(&mut client, &from, 0..3);
            assert_eq!(
                http.act("/api/queue/move", &json!({"queue": from, "to": "into", "count": 9})),
                json!({"moved": 3})
            );
            assert_eq!(waiting(&mut http, "into"), json!(4 + 3 * round));
            client.send(format!("delete {from}\r\n"));
            client.expect("DELETED\r\n");
        }
        assert_eq!(drained(&mut client, "into").len(), 7);
    }
}

#[test]
fn dead_letters_are_shown_kicked_and_moved() {
    let mut server = server();
    let (mut client, mut http) = (server.connect(), Http::connect(&server));
    let other = "other";
    put(&mut client, other, 0..1);
    for queue in queues() {
        put(&mut client, &queue, 0..3);
        for _ in 0..3 {
            client.get(&format!("{queue}/open")).unwrap();
            client.send(format!("get {queue}/bury\r\n"));
            client.expect("END\r\n");
        }
        assert_eq!(http.show(&format!("/api/queue?queue={queue}"))["dead"], json!(3));
        let dead = http.show(&format!("/api/queue/messages?queue={queue}%2Fdead"));
        assert_eq!(dead["messages"].as_array().unwrap().len(), 3, "{dead}");
        assert_eq!(http.act("/api/queue/kick", &json!({"queue": queue, "count": 1})), json!({"kicked": 1}));
        server.wait_for_line(&format!("1 dead letters are back in {queue}"));
        assert_eq!(drained(&mut client, &queue), ["0"]);
        let moves = json!({"queue": format!("{queue}/dead"), "to": other, "count": 1});
        assert_eq!(http.act("/api/queue/move", &moves), json!({"moved": 1}));
        let purge = json!({"queue": format!("{queue}%2Fdead"), "count": 1});
        assert_eq!(http.act("/api/queue/purge", &purge), json!({"purged": 1}));
        assert_eq!(http.act("/api/queue/kick", &json!({"queue": queue, "count": 9})), json!({"kicked": 0}));
    }
    assert_eq!(drained(&mut client, other), ["0", "1", "1"]);
    http.post("/api/queue/kick", &json!({"queue": "none", "count": 1})).error(404);
}

#[test]
fn a_lease_is_given_back() {
    let mut server = server();
    let (mut client, mut http) = (server.connect(), Http::connect(&server));
    for queue in queues() {
        put(&mut client, &queue, 0..1);
        let opened = client.command(&format!("gets {queue}/open/for=60"));
        client.expect("0\r\nEND\r\n");
        let lease = opened.rsplit(' ').next().unwrap();
        assert_eq!(http.show(&format!("/api/queue/opens?queue={queue}"))["opens"][0]["lease"], json!(lease));
        http.act("/api/queue/release", &json!({"queue": queue, "lease": lease}));
        http.post("/api/queue/release", &json!({"queue": queue, "lease": lease})).error(404);
        assert_eq!(drained(&mut client, &queue), ["0"]);
        server.wait_for_line(&format!("lease {lease} of {queue} is given back"));
    }
}

#[test]
fn a_queue_is_paused_and_resumed() {
    let server = server();
    let (mut client, mut http) = (server.connect(), Http::connect(&server));
    for queue in queues() {
        http.act("/api/queue/config", &json!({"queue": queue, "words": "depth=9"}));
        assert_eq!(http.act("/api/queue/pause", &json!({"queue": queue})), json!({"paused": true}));
        put(&mut client, &queue, 0..1);
        assert_eq!(client.get(&queue), None);
        let shown = http.show(&format!("/api/queue?queue={queue}"));
        assert_eq!((&shown["paused"], &shown["waiting"]), (&json!(true), &json!(1)));
        assert!(shown["settings"].as_str().unwrap().contains("depth=9"), "{shown}");
        http.act("/api/queue/resume", &json!({"queue": queue}));
        assert_eq!(drained(&mut client, &queue), ["0"]);
        let shown = http.show(&format!("/api/queue?queue={queue}"));
        assert_eq!((&shown["paused"], &shown["settings"]), (&json!(false), &json!("depth=9")));
    }
    http.post("/api/queue/pause", &json!({"queue": "none"})).error(404);
    http.post("/api/queue?queue=none", &json!({})).error(405);
}

#[test]
fn settings_are_given_and_taken_back() {
    let server = server();
    let mut http = Http::connect(&server);
    for queue in queues() {
        http.act("/api/queue/config", &json!({"queue": queue, "words": "depth=5 tries=3"}));
        let settings = http.show(&format!("/api/queue?queue={queue}"))["settings"].clone();
        assert_eq!(settings, json!("depth=5 tries=3"));
        let error = http.post("/api/queue/config", &json!({"queue": queue, "words": "depht=5"})).error(400);
        assert!(error.contains("depht=5"), "{error}");
        http.act("/api/queue/unconfig", &json!({"queue": queue}));
        assert_eq!(http.show(&format!("/api/queue?queue={queue}"))["settings"], json!(""));
    }
    let server = Launch::new().with(&["--admin", "0", "--no-config"]).start();
    let mut http = Http::connect(&server);
    assert!(http.post("/api/queue/config", &json!({"queue": "q", "words": ""})).error(403).contains("--no-config"));
    http.post("/api/queue/unconfig", &json!({"queue": "q"})).error(403);
}

#[test]
fn the_server_is_drained_and_a_checkpoint_written() {
    let mut server = server();
    let (mut client, mut http) = (server.connect(), Http::connect(&server));
    put(&mut client, "q", 0..1);
    assert_eq!(http.act("/api/checkpoint", &json!({})), json!({"done": true}));
    http.act("/api/drain", &json!({"on": true}));
    assert_eq!(client.set("q", b"m"), "NOT_STORED");
    let ready = http.get("/readyz");
    assert!(ready.status == 503 && ready.text().contains("draining"), "{ready:?}");
    assert_eq!(http.get("/healthz").status, 200);
    http.post("/api/queue/put", &json!({"queue": "q", "text": "m"})).error(503);
    assert_eq!(http.show("/api/overview")["draining"], json!(true));
    http.act("/api/drain", &json!({"on": false}));
    assert_eq!((client.set("q", b"m").as_str(), http.get("/readyz").status), ("STORED", 200));
    server.wait_for_line("draining ends");
    let peer = server.wait_for_line("a checkpoint is written");
    assert!(peer.contains("127.0.0.1:"), "who did it: {peer}");
}

#[test]
fn a_connection_is_closed_and_what_it_had_open_comes_back() {
    let mut server = server();
    let (mut beside, mut http) = (server.connect(), Http::connect(&server));
    for queue in queues() {
        let mut client = server.connect();
        put(&mut client, &queue, 0..1);
        client.get(&format!("{queue}/open")).unwrap();
        let mut waiter = server.connect();
        waiter.send(format!("get {queue}x/t=100000\r\n"));
        for (client, is_waiting) in [(&mut client, false), (&mut waiter, true)] {
            let peer = client.local_address().to_string();
            let mut id = Value::Null;
            wait_until("it to be listed", Duration::from_secs(10), || {
                let connections = http.show("/api/connections?limit=500")["connections"].clone();
                let line = connections.as_array().unwrap().iter().find(|line| line["peer"] == json!(peer)).unwrap();
                id = line["id"].clone();
                line["waiting"] == json!(is_waiting)
            });
            assert_eq!(http.act("/api/connection/close", &json!({"id": id})), json!({"closed": true}));
            assert!(client.try_line().is_err(), "it has ended");
            server.wait_for_line(&format!("connection {} of {peer} is closed", id.as_str().unwrap()));
        }
        wait_until("the message to be back", Duration::from_secs(10), || beside.get(&queue).is_some());
    }
    http.post("/api/connection/close", &json!({"id": "0-4711"})).error(404);
    http.post("/api/connection/close", &json!({"id": "900-1"})).error(404);
}
