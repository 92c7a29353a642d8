//! Clients whose network goes away, so that no end of their connections ever comes.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use crate::client::Client;
use crate::process::{Launch, wait_until};
use crate::root::is_root;

/// Runs a program in the network of a process.
fn inside(pid: u32, line: &str) {
    let status = Command::new("nsenter").args(["-t", &pid.to_string(), "-n"]).args(line.split(' ')).status().unwrap();
    assert!(status.success(), "{line}: {status}");
}

/// The kernel's list of connections says which of them have a keepalive timer: `02` before its time.
#[test]
fn accepted_connections_have_a_keepalive_timer() {
    let server = Launch::new().start();
    let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert!(client.command("version").starts_with("VERSION"));
    }
    let ours = format!(":{:04X}", server.address().port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let established = rows.filter(|row| row[1].ends_with(&ours) && row[3] == "01");
    let timers: Vec<String> = established.map(|row| row[5].to_owned()).collect();
    assert_eq!(timers.len(), clients.len());
    assert!(timers.iter().all(|timer| timer.starts_with("02:")), "{timers:?}");
}

/// A server with a network of its own, where a dead client is looked for after 2 seconds, 3 times, one second apart. All
/// four places are taken, then the network goes away; a Unix socket is the way in that stays.
#[test]
fn a_client_whose_network_has_gone_gives_its_place_back() {
    if !is_root("only root can take a server's network away") {
        return;
    }
    let launch = Launch::new();
    let socket = launch.scratch().join("socket");
    let alone = "ip link set lo up && cd /proc/sys/net/ipv4 && echo 2 > tcp_keepalive_time && \
                 echo 1 > tcp_keepalive_intvl && echo 3 > tcp_keepalive_probes && exec \"$@\"";
    let through = ["unshare", "--net", "sh", "-c", alone, "sh"];
    let server = launch.through(&through).with(&["-c", "4", "-s", socket.to_str().unwrap()]).start();
    let (address, namespace) = (server.address(), File::open(format!("/proc/{}/ns/net", server.pid())).unwrap());
    let clients: Vec<Client> = thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
        let mut clients: Vec<Client> = (0..4).map(|_| Client::connect(address)).collect();
        // Who is answered has a place.
        clients.iter_mut().for_each(|client| assert!(client.command("version").starts_with("VERSION")));
        clients
    })
    .join()
    .unwrap();
    let is_served = || {
        let stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut line = String::new();
        let _ = std::io::Write::write_all(&mut &stream, b"version\r\n");
        let _ = std::io::BufRead::read_line(&mut std::io::BufReader::new(&stream), &mut line);
        line.starts_with("VERSION")
    };
    assert!(!is_served(), "all places are taken");
    inside(server.pid(), "ip link set lo down");
    wait_until("a place to be free", Duration::from_secs(20), is_served);
    drop(clients);
}
