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
