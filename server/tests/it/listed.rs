//! `stats queues` and `stats conns`: what an operator sees of single queues and connections.

use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::client::{Client, write_set};
use crate::process::{Launch, wait_until};

const EVENT_TIMEOUT: Duration = Duration::from_secs(20);

/// The figures of each connection or queue, by its name.
fn by_name(stats: Vec<(String, String)>) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut all = BTreeMap::<_, BTreeMap<_, _>>::new();
    for (name, value) in stats {
        let (of, figure) = name.rsplit_once(':').unwrap();
        let before = all.entry(String::from(of)).or_default().insert(String::from(figure), value);
        assert_eq!(before, None, "{name} is there twice");
    }
    all
}

/// The figures of the connection of this peer.
fn of_peer(client: &mut Client, peer: &str) -> Option<BTreeMap<String, String>> {
    by_name(client.stats("conns")).into_values().find(|figures| figures["peer"] == peer)
}

#[test]
fn stats_conns_shows_each_connection_of_each_shard() {
    let server = Launch::new().shards(3).start();
    let mut operator = server.connect();
    let mut clients: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.command("verbosity 0"), "OK");
    }
    let mut set = Vec::new();
    write_set(&mut set, "q", b"12345");
    clients[7].send([&set[..], &set, b"get q\r\n"].concat());
    clients[7].expect("STORED\r\nSTORED\r\nVALUE q 0 5\r\n12345\r\nEND\r\n");
    let peer = clients[7].local_address().to_string();
    // What is sent is counted once the kernel has it, which the client may see before.
    wait_until("its figures", EVENT_TIMEOUT, || of_peer(&mut operator, &peer).unwrap()["bytes_written"] == "45");
    let figures = of_peer(&mut operator, &peer).unwrap();
    assert_eq!(figures["commands"], "4", "{figures:?}");
    assert_eq!(figures["bytes_read"], (13 + 2 * set.len() + 7).to_string());
    assert_eq!(figures["waiting"], "0");
    let all = by_name(operator.stats("conns"));
    assert_eq!(all.len(), clients.len() + 1);
    let peers: HashSet<&String> = all.values().map(|figures| &figures["peer"]).collect();
    for client in clients.iter().chain([&operator]) {
        assert!(peers.contains(&client.local_address().to_string()));
    }
    for figures in all.values() {
        let number = |figure: &str| figures[figure].parse::<u64>().unwrap();
        assert!(number("shard") < 3 && number("idle") <= number("age"), "{figures:?}");
    }
    drop(clients);
    wait_until("them to go", EVENT_TIMEOUT, || by_name(operator.stats("conns")).len() == 1);
}

#[test]
fn age_and_idle_are_seconds() {
    let launch = Launch::new();
    let path = launch.scratch().join("s");
    let server = launch.with(&["-s", path.to_str().unwrap()]).start();
    let mut client = UnixStream::connect(&path).unwrap();
    let mut speak = || {
        client.write_all(b"verbosity 0\r\n").unwrap();
        client.read_exact(&mut [0; 4]).unwrap();
    };
    speak();
    let mut operator = server.connect();
    let peer = format!("unix:{}:{}", std::process::id(), nix::unistd::getuid());
    wait_until("an idle second", EVENT_TIMEOUT, || of_peer(&mut operator, &peer).unwrap()["idle"] == "1");
    speak();
    let figures = of_peer(&mut operator, &peer).unwrap();
    assert!(figures["idle"] == "0" && figures["age"] != "0", "{figures:?}");
}

/// Several hundred kilobytes.
#[test]
fn stats_conns_is_never_cut_short() {
    const CONNECTIONS: usize = 900;
    let server = Launch::new().start();
    let clients: Vec<Client> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    let mut operator = server.connect();
    wait_until("all to be accepted", EVENT_TIMEOUT, || operator.figure("curr_connections") == CONNECTIONS as u64 + 1);
    assert_eq!(by_name(operator.stats("conns")).len(), CONNECTIONS + 1);
    drop(clients);
}

/// Both shards have queues of each kind.
fn queues(name: &str) -> Vec<String> {
    (0..6).map(|number| format!("{name}-{number}")).collect()
}

#[test]
fn stats_conns_shows_what_is_open_and_which_client_waits() {
    let server = Launch::new().with(&["--open-per-connection", "2"]).start();
    let (mut operator, mut worker, mut waiter) = (server.connect(), server.connect(), server.connect());
    let of = |client: &Client| client.local_address().to_string();
    for queue in queues("jobs") {
        assert_eq!(operator.set(&queue, b"x"), "STORED");
        assert_eq!(operator.set(&queue, b"y"), "STORED");
        assert_eq!(worker.try_get(&format!("{queue}/open")).unwrap().len(), 1);
        assert_eq!(worker.try_get(&format!("{queue}/open")).unwrap().len(), 1);
        // Another one's are not its own, nor are those that a name holds.
        let named = format!("{queue}/open/as=me");
        assert_eq!(operator.try_get(&named).unwrap().len(), 0);
    }
    assert_eq!(of_peer(&mut operator, &of(&worker)).unwrap()["open"], "12");
    assert_eq!(of_peer(&mut operator, &of(&waiter)).unwrap()["open"], "0");
    assert_eq!(worker.command("get jobs-0/close"), "END");
    assert_eq!(of_peer(&mut operator, &of(&worker)).unwrap()["open"], "10");
    for queue in queues("idle") {
        waiter.send(format!("get {queue}/t=20000\r\n"));
        wait_until("the wait", EVENT_TIMEOUT, || of_peer(&mut operator, &of(&waiter)).unwrap()["waiting"] == "1");
        assert_eq!(operator.set(&queue, b"x"), "STORED");
        assert_eq!(waiter.try_values().unwrap().len(), 1);
        wait_until("its end", EVENT_TIMEOUT, || of_peer(&mut operator, &of(&waiter)).unwrap()["waiting"] == "0");
    }
}

#[test]
fn stats_queues_shows_what_is_in_each_queue() {
    let server = Launch::new().start();
    let (mut client, mut waiter) = (server.connect(), server.connect());
    for queue in queues("jobs") {
        for _ in 0..5 {
            assert_eq!(client.set(&queue, b"12345"), "STORED");
        }
        assert_eq!(client.set(&format!("{queue}/delay=1000"), b"12345"), "STORED");
        assert_eq!(client.try_get(&format!("{queue}/open")).unwrap().len(), 1);
        assert_eq!(client.command(&format!("get {queue}/bury")), "END");
        assert_eq!(client.try_get(&format!("{queue}/open")).unwrap().len(), 1);
        assert_eq!(client.command(&format!("get {queue}/abort")), "END");
        assert_eq!(client.try_get(&format!("{queue}/open/as=a")).unwrap().len(), 1);
        assert_eq!(client.command(&format!("delete {queue}/as=a")), "DELETED");
        assert_eq!(client.try_get(&format!("{queue}/open/as=b")).unwrap().len(), 1);
        assert_eq!(client.set(&format!("{queue}/config"), b"depth=4 open=1"), "STORED");
        assert_eq!(client.set(&queue, b"x"), "NOT_STORED");
        assert_eq!(client.try_get(&format!("{queue}/open")).unwrap().len(), 0);
    }
    assert_eq!(client.set("other", b"x"), "STORED");
    let all = by_name(client.stats("queues jobs"));
    let names: Vec<String> = queues("jobs").into_iter().flat_map(|queue| [queue.clone(), queue + "/dead"]).collect();
    assert_eq!(all.keys().cloned().collect::<Vec<_>>(), names);
    let expected = [
        ("waiting", 2),
        ("open", 1),
        ("delayed", 1),
        ("dead", 1),
        ("bytes", 20),
        ("sets", 6),
        ("gets", 2),
        ("acked", 1),
        // The one that was buried too.
        ("returned", 2),
        ("expired", 0),
        ("refused", 1),
        ("open_full", 1),
        ("waiters", 0),
    ];
    for queue in queues("jobs") {
        for (figure, value) in expected {
            assert_eq!(all[&queue][figure], value.to_string(), "{figure} of {queue}: {all:#?}");
        }
        assert_eq!((&*all[&format!("{queue}/dead")]["waiting"]), "1");
    }
    let all = by_name(client.stats("queues"));
    assert!(all.contains_key("other"));
    // The sums, over both shards.
    for (figure, value) in
        [("open", 6), ("delayed", 6), ("dead", 6), ("waiters", 0), ("acked", 6), ("returned", 12), ("curr_items", 31)]
    {
        assert_eq!(client.figure(figure), value, "{figure}: {all:#?}");
    }
    assert!(client.stats("queues nothing").is_empty());
    for queue in queues("idle") {
        waiter.send(format!("get {queue}/t=20000\r\n"));
        assert_eq!(client.set(&format!("{queue}/config"), b"depth=9"), "STORED");
        wait_until("the wait", EVENT_TIMEOUT, || {
            by_name(client.stats("queues idle")).get(&queue).is_some_and(|figures| figures["waiters"] == "1")
        });
        assert_eq!(client.figure("waiters"), 1);
        assert_eq!(client.set(&queue, b"x"), "STORED");
        assert_eq!(waiter.try_values().unwrap().len(), 1);
    }
}
