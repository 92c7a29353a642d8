//! `--agent-check`: what HAProxy is told about an instance.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::disk_full::{SmallDisk, fill};
use crate::process::{Launch, Server, wait_until};
use crate::root::is_root;

const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

/// What an agent-check that sends this is answered, to the close.
fn asked(address: SocketAddr, sends: &[u8]) -> String {
    let mut agent = TcpStream::connect(address).unwrap();
    agent.set_read_timeout(Some(EVENT_TIMEOUT)).unwrap();
    agent.write_all(sends).unwrap();
    let mut line = String::new();
    agent.read_to_string(&mut line).unwrap();
    assert!(line.ends_with('\n') && line.lines().count() == 1, "{line:?}");
    line.trim_end().to_string()
}

fn wait_for(server: &Server, line: &str) {
    let mut last = String::new();
    let address = server.address_for("agent");
    // An answer may be a moment old.
    wait_until(&format!("{line:?}"), EVENT_TIMEOUT, || {
        last = asked(address, b"");
        last == line
    });
}

/// The weight that a server is given.
fn weight(line: &str) -> u64 {
    let weight = line.strip_prefix("up ready ").and_then(|rest| rest.strip_suffix('%'));
    weight.unwrap_or_else(|| panic!("{line:?}")).parse().unwrap()
}

#[test]
fn each_state_of_a_server_is_told() {
    let mut server = Launch::new().with(&["-m", "4", "--agent-check", "0"]).start();
    let address = server.address_for("agent");
    assert!(address.ip().is_loopback(), "{address}");
    let idle = weight(&asked(address, b""));
    // The disk of this machine may be rather full.
    assert!([100, 50, 25, 10].contains(&idle), "{idle}");
    // What HAProxy's agent-send sends is not looked at.
    weight(&asked(address, b"rushq/a\n"));

    // A backlog that does not fit into memory.
    let mut client = server.connect();
    for number in 0..12 {
        assert_eq!(client.set(&format!("q{number}"), &[b'x'; 1 << 20]), "STORED");
    }
    wait_for(&server, &format!("up ready {}%", idle.min(25)));

    server.signal(Signal::SIGUSR1);
    wait_for(&server, "drain");
    server.signal(Signal::SIGUSR2);
    wait_for(&server, &format!("up ready {}%", idle.min(25)));

    // While it stops, which a client that does not read holds up, it is told so.
    client.send((0..12).map(|number| format!("get q{number}\r\n")).collect::<String>());
    assert!(!client.read_once().unwrap().is_empty());
    server.signal(Signal::SIGTERM);
    wait_for(&server, "maint");
    drop(client);
    server.wait_for_end(Signal::SIGTERM);
}

#[test]
fn a_full_disk_leaves_a_weight_that_is_not_a_drain() {
    if !is_root("a small file system is mounted") {
        return;
    }
    let launch = Launch::new().with(&["--agent-check", "0"]);
    let _disk = SmallDisk::mount(&launch.scratch().join("data"), 24);
    let server = launch.start();
    let mut client = server.connect();
    fill(&mut client, 0);
    wait_for(&server, "up ready 1%");
}

#[test]
fn many_checks_at_once_are_all_answered() {
    let server = Launch::new().with(&["-c", "1", "--agent-check", "0"]).start();
    // The one place for a client is taken, and agents need none.
    let mut client = server.connect();
    assert!(client.command("version").starts_with("VERSION"));
    let address = server.address_for("agent");
    let agents: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
    for mut agent in agents {
        agent.set_read_timeout(Some(EVENT_TIMEOUT)).unwrap();
        let mut line = String::new();
        agent.read_to_string(&mut line).unwrap();
        assert!(line.starts_with("up ready "), "{line:?}");
    }
    assert_eq!(client.figure("curr_connections"), 1);
    assert_eq!(client.figure("rejected_connections"), 0);
}

#[test]
fn a_place_that_cannot_be_is_refused_with_its_option() {
    for place in ["65536", "127.0.0.1", "/run/agent"] {
        Launch::new().with(&["--agent-check", place]).refused().assert_one_line(&["--agent-check", "PORT"]);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    Launch::new().with(&["--agent-check", &port]).refused().assert_one_line(&["--agent-check", "in use"]);
}
