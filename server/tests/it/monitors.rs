//! What monitors that were written for memcached read, and that it is true.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::time::Duration;

use crate::client::Client;
use crate::process::{Launch, wait_until};

/// What munin's plugin, Nagios' check_memcached, phpMemcachedAdmin and the exporter for Prometheus read, of what has a
/// meaning here or is always 0.
const READ: &str = "pid uptime time version pointer_size rusage_user rusage_system curr_connections total_connections \
    connection_structures bytes_read bytes_written threads cmd_get cmd_set cmd_flush cmd_touch get_hits get_misses \
    delete_hits delete_misses incr_hits incr_misses decr_hits decr_misses cas_hits cas_misses cas_badval touch_hits \
    touch_misses bytes curr_items total_items evictions reclaimed limit_maxbytes max_connections rejected_connections \
    listen_disabled_num accepting_conns";

fn figures(client: &mut Client) -> HashMap<String, u64> {
    let numbers = client.stats("").into_iter().filter_map(|(name, value)| Some((name, value.parse().ok()?)));
    numbers.collect()
}

#[track_caller]
fn assert_figures(client: &mut Client, wanted: &[(&str, u64)]) {
    let figures = figures(client);
    for (name, value) in wanted {
        assert_eq!(figures[*name], *value, "{name}");
    }
}

#[test]
fn all_that_monitors_read_is_there() {
    let server = Launch::new().start();
    let stats: HashMap<String, String> = server.connect().stats("").into_iter().collect();
    for name in READ.split_whitespace() {
        assert!(stats.contains_key(name), "no {name}");
    }
    for name in ["evictions", "reclaimed", "cas_hits", "cas_misses", "cas_badval", "touch_hits", "incr_misses"] {
        assert_eq!(stats[name], "0", "{name}");
    }
}

#[test]
fn figures_for_monitors_are_true() {
    let server = Launch::new().start();
    let mut client = server.connect();
    let empty = figures(&mut client)["bytes"];
    for number in 0..20 {
        assert_eq!(client.set(&format!("q{number}"), &[b'x'; 1000]), "STORED");
    }
    assert!(client.get("q0").is_some());
    let full = figures(&mut client)["bytes"];
    assert!((19_000..25_000).contains(&(full - empty)), "{empty} and then {full} bytes for 19 messages of 1000");
    for queue in ["q1", "q2"] {
        assert_eq!(client.command(&format!("delete {queue}")), "DELETED");
        assert_eq!(client.command(&format!("delete {queue}")), "NOT_FOUND");
    }
    client.send("delete q3 noreply\r\ndelete q3 noreply\r\ndelete nothing noreply\r\n");
    assert_eq!(client.command("flush q4"), "END");
    let wanted = [("total_items", 20), ("curr_items", 15), ("delete_hits", 3), ("delete_misses", 4), ("cmd_flush", 1)];
    assert_figures(&mut client, &wanted);
    client.send("flush_all noreply\r\n");
    assert_eq!(client.command("flush_all"), "OK");
    assert_figures(&mut client, &[("cmd_flush", 3), ("curr_items", 0), ("total_items", 20)]);
    assert_eq!(client.command("stats reset"), "RESET");
    assert_figures(&mut client, &[("total_items", 0), ("delete_hits", 0), ("delete_misses", 0), ("cmd_flush", 0)]);
}

/// What the last replies of each connection had counts too, however it ends.
#[test]
fn bytes_written_are_all_that_was_written() {
    let server = Launch::new().start();
    let mut watcher = server.connect();
    let ends: [fn(&mut Client); 3] = [
        |_| {},
        |client| {
            client.send("quit\r\n");
            client.expect_close();
        },
        |client| {
            client.send("set q 0 0 x\r\n");
            client.expect("CLIENT_ERROR bad command line format\r\n");
            client.expect_close();
        },
    ];
    for end in ends {
        assert_eq!(watcher.command("stats reset"), "RESET");
        let mut received = 0;
        for number in 0..60 {
            let mut client = server.connect();
            let queue = format!("q{}", number % 10);
            assert_eq!(client.set(&queue, &[b'x'; 10_000]), "STORED");
            assert_eq!(client.get(&queue).map(|body| body.len()), Some(10_000));
            received += "STORED\r\n".len() + format!("VALUE {queue} 0 10000\r\n").len() + 10_002 + "END\r\n".len();
            end(&mut client);
        }
        let mut before = 0;
        wait_until("all to have gone", Duration::from_secs(10), || {
            let figures = figures(&mut watcher);
            before = figures["bytes_written"];
            figures["curr_connections"] == 1
        });
        // What the watcher itself was sent is in it.
        assert!((received..received + 300_000).contains(&(before as usize)), "{before} of {received} bytes");
    }
}

/// Long answers, which leave in pieces, and those over UDP count as well.
#[test]
fn bytes_written_count_listings_and_datagrams() {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Launch::new().with(&["-U", &port.to_string()]).start();
    let mut client = server.connect();
    let mut sets = Vec::new();
    (0..3000).for_each(|number| crate::client::write_set(&mut sets, &format!("{number:0200}"), b"x"));
    client.send(&sets);
    (0..3000).for_each(|_| client.expect("STORED\r\n"));
    let before = client.figure("bytes_written");
    let listed: usize = client.stats("queue").iter().map(|(name, counts)| name.len() + counts.len() + 8).sum();
    let after = client.figure("bytes_written");
    assert!(listed > 600_000 && after - before > listed as u64, "{} of {listed} bytes", after - before);

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(client.command("stats reset"), "RESET");
    for _ in 0..100 {
        socket.send_to(b"\0\x01\0\0\0\x01\0\0version\r\n", ("127.0.0.1", port)).unwrap();
        let mut answer = [0; 2000];
        assert!(socket.recv(&mut answer).unwrap() > 8);
    }
    let written = client.figure("bytes_written");
    assert!(written >= 100 * "VERSION 1.0.0\r\n".len() as u64, "{written} bytes");
}

#[test]
fn connections_that_are_refused_are_counted_and_said() {
    let mut server = Launch::new().with(&["-c", "3"]).start();
    let mut welcome: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut welcome[1..] {
        assert!(client.command("version").starts_with("VERSION"));
    }
    let counted = |client: &mut Client| {
        ["rejected_connections", "listen_disabled_num", "accepting_conns"].map(|name| client.figure(name))
    };
    assert_eq!(counted(&mut welcome[0]), [0, 0, 0], "none was refused, and the next one would be");
    for refused in 1..=5 {
        let mut client = server.connect();
        client.expect("SERVER_ERROR too many open connections\r\n");
        client.expect_close();
        assert_eq!(counted(&mut welcome[0]), [refused, 1, 0]);
    }
    // All that were refused are said, in a line a second.
    let refused = |line: &String| {
        let (_, number) = line.split_once("connections refused: ")?;
        number.split(',').next()?.parse::<u64>().ok()
    };
    server.wait_for_line("connections refused: ");
    let said = |server: &crate::process::Server| server.said().iter().filter_map(refused).collect::<Vec<u64>>();
    while said(&server).iter().sum::<u64>() < 5 {
        server.wait_for_another_line();
    }
    assert_eq!(said(&server).iter().sum::<u64>(), 5);
    assert!(said(&server).len() <= 2, "{:?}", server.said());

    drop(welcome.pop());
    wait_until("a place", Duration::from_secs(10), || counted(&mut welcome[0])[2] == 1);
    let mut third = server.connect();
    assert!(third.command("version").starts_with("VERSION"));
    server.connect().expect("SERVER_ERROR too many open connections\r\n");
    assert_eq!(counted(&mut welcome[0]), [6, 2, 0], "it has stopped accepting twice");
}
