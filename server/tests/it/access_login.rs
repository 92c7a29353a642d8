//! The login: right, wrong, pipelined and in pieces, over TCP and a Unix socket, and a flood of wrong ones.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use crate::access::{HASH, PASSWORD, connect_as, login_line, start, users_file};
use crate::client::Client;
use crate::process::Launch;

/// Of [`PASSWORD`], and many times as slow as usual.
const SLOW_HASH: &str = "$6$rounds=200000$saltstring$xy.m9kWviM72QNRxK2PkicQXo0TLh2Z3iGb4riM0joUoBp7tMDqS8.y.z02g2g04H18K9WxIvxiPv0TM52Hym.";

#[test]
fn commands_behind_the_login_are_done_in_order_however_they_come() {
    let server = start(&[("shop", "put=* take=*")], &[]);
    let input = format!("version\r\n{}set q 0 0 1\r\nx\r\nget q/peek\r\nget q other\r\n", login_line("shop", PASSWORD));
    let expected = "CLIENT_ERROR unauthenticated\r\nSTORED\r\nSTORED\r\nVALUE q/peek 0 1\r\nx\r\nEND\r\nVALUE q 0 1\r\nx\r\nEND\r\n";
    for _ in 0..4 {
        let mut client = server.connect();
        client.send(&input);
        client.expect(expected);
        let mut client = server.connect();
        for byte in input.bytes() {
            client.send([byte]);
        }
        client.expect(expected);
    }
    // What is pipelined behind the login is more than is read before it.
    let mut client = server.connect();
    let mut bytes = login_line("shop", PASSWORD).into_bytes();
    for _ in 0..2000 {
        bytes.extend_from_slice(format!("set q 0 0 100\r\n{}\r\n", "x".repeat(100)).as_bytes());
    }
    client.send(&bytes);
    client.expect(&"STORED\r\n".repeat(2001));
}

#[test]
fn a_wrong_login_costs_a_second_and_the_third_the_connection() {
    let mut server = start(&[("shop", "put=*")], &[]);
    let mut client = server.connect();
    for (name, password) in [("shop", "correct horsf"), ("nobody", PASSWORD), ("shop", "x")] {
        let began = Instant::now();
        client.send(login_line(name, password));
        assert_eq!(client.line(), "CLIENT_ERROR authentication failure");
        assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    }
    client.expect_close();
    let line = server.wait_for_line("logins denied");
    assert!(line.contains("WARN") && line.contains("127.0.0.1:") && line.contains("user shop: wrong"), "{line}");
    let mut client = server.connect();
    client.send(format!("{}{}", login_line("shop", "x"), login_line("shop", PASSWORD)));
    assert_eq!([client.line(), client.line()], ["CLIENT_ERROR authentication failure", "STORED"]);
}

/// The example in server/README.md, run as it is written up to the start of the server.
#[test]
fn the_readme_makes_a_file_whose_users_log_in() {
    let (_, below) = include_str!("../../README.md").split_once("\n## Users\n").unwrap();
    let block = below.split("```sh\n").nth(1).and_then(|block| block.split("```").next()).unwrap();
    let (script, command) = block.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(command, "rushq --users users");
    let launch = Launch::new();
    let status = Command::new("sh").args(["-euc", script]).current_dir(launch.scratch()).status().unwrap();
    assert!(status.success(), "is openssl installed?");
    let users = launch.scratch().join("users");
    let server = launch.with(&["--users", users.to_str().unwrap()]).start();
    assert!(!server.said().iter().any(|line| line.contains("WARN")), "{:?}", server.said());
    for (name, command, reply) in [
        ("root", "flush_all", "OK"),
        ("shop", "get orders", "CLIENT_ERROR not allowed, user shop lacks take=orders"),
        ("worker", "get orders-1/open", "END"),
        ("monitor", "flush_all", "CLIENT_ERROR not allowed, user monitor lacks admin"),
    ] {
        let mut client = server.connect();
        client.send(login_line(name, &format!("of {name}")));
        assert_eq!(client.line(), "STORED", "{name}");
        assert_eq!(client.command(command), reply);
    }
}

#[test]
fn a_unix_socket_needs_a_login_too() {
    let launch = Launch::new();
    let (users, socket) = (users_file(&launch, &[("shop", "put=*")]), launch.scratch().join("s"));
    let arguments = ["--users", users.to_str().unwrap(), "-s", socket.to_str().unwrap()];
    let _server = launch.without_port().with(&arguments).start();
    for _ in 0..4 {
        let mut stream = UnixStream::connect(&socket).unwrap();
        let input = format!("set q 0 0 1\r\nx\r\nquit\r\n{}set q 0 0 1\r\nx\r\nquit\r\n", login_line("shop", PASSWORD));
        stream.write_all(input.as_bytes()).unwrap();
        let mut output = String::new();
        stream.read_to_string(&mut output).unwrap();
        let expected =
            "CLIENT_ERROR bad authentication token format\r\nCLIENT_ERROR unauthenticated\r\nSTORED\r\nSTORED\r\n";
        assert_eq!(output, expected);
    }
}

/// One that sends for ever what is no login keeps the server from nothing, and its bytes are not kept.
#[test]
fn what_comes_before_a_login_is_not_held() {
    let server = start(&[("root", "admin")], &[]);
    let mut root = connect_as(&server, "root");
    let mut client = server.connect();
    let before = server.rss_bytes();
    client.send(format!("set x 0 0 {}\r\n", 64 << 20));
    for _ in 0..64 {
        client.send(vec![b'x'; 1 << 20]);
    }
    client.send("\r\nversion\r\n");
    assert_eq!(client.line(), "CLIENT_ERROR bad authentication token format");
    assert_eq!(client.line(), "CLIENT_ERROR unauthenticated");
    let grown = server.rss_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes");
    let mut client = server.connect();
    client.send("get ".to_string() + &"q ".repeat(3000));
    assert_eq!(client.line(), "CLIENT_ERROR line too long");
    client.expect_close();
    assert!(root.command("version").starts_with("VERSION"));
}

/// The log shows who does what, and no password.
#[test]
fn the_log_names_the_user_and_shows_no_password() {
    let mut server = start(&[("shop", "put=* take=*")], &["-vv"]);
    let mut client = connect_as(&server, "shop");
    assert_eq!(client.set("q", b"x"), "STORED");
    let mut wrong = server.connect();
    wrong.send("version horse-a\r\nset x 0 0 7\r\nhorse-b\r\nset x 0 0 9\r\nhorse-c x\r\n");
    for _ in 0..3 {
        assert!(wrong.line().starts_with("CLIENT_ERROR"));
    }
    wrong.reset_now();
    let line = server.wait_for_line("has logged in as user shop");
    assert!(line.contains("DEBUG") && line.contains("127.0.0.1:"), "{line}");
    server.wait_for_line(" (user shop) < set q 0 0 1");
    assert_eq!(client.command("get other"), "END");
    server.wait_for_line(" (user shop) < get other");
    let said = server.said();
    assert!(said.iter().any(|line| line.ends_with(" < a login")));
    assert!(!said.iter().any(|line| line.contains("horse")), "{said:#?}");
}

/// However slowly it sends.
#[test]
fn a_client_that_does_not_log_in_is_closed_and_one_that_has_is_not() {
    let server = start(&[("shop", "put=*")], &[]);
    let (mut shop, mut silent, mut slow) = (connect_as(&server, "shop"), server.connect(), server.connect());
    let began = Instant::now();
    let mut bytes = b"set x 0 0 ".iter().chain(b"0".iter().cycle());
    while slow.try_send(&[*bytes.next().unwrap()]).is_ok() && !slow.has_answer() {
        assert!(began.elapsed() < Duration::from_secs(20), "it is still there");
        thread::sleep(Duration::from_millis(100));
    }
    silent.expect_close();
    slow.expect_close();
    assert!(began.elapsed() > Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(shop.set("q", b"x"), "STORED");
}

/// Latencies of a client that puts and takes, until it is told to stop.
fn latencies(mut client: Client, stop: &AtomicBool) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while !stop.load(Relaxed) {
        let began = Instant::now();
        assert_eq!(client.set("q", b"x"), "STORED");
        assert!(client.get("q").is_some());
        latencies.push(began.elapsed());
    }
    latencies.sort_unstable();
    latencies
}

/// Each hash takes some tenths of a second here, on no shard's thread.
#[test]
fn a_flood_of_wrong_logins_holds_up_no_client_that_is_logged_in() {
    const FLOOD: usize = 24;
    let launch = Launch::new();
    let users = users_file(&launch, &[]);
    std::fs::write(&users, format!("slow:{SLOW_HASH}: admin\nshop:{HASH}: put=* take=*\n")).unwrap();
    let server = launch.with(&["--users", users.to_str().unwrap()]).start();
    let client = connect_as(&server, "shop");
    let stop = AtomicBool::new(false);
    let (latencies, failures) = thread::scope(|scope| {
        let beside = scope.spawn(|| latencies(client, &stop));
        let flood: Vec<_> = (0..FLOOD)
            .map(|number| {
                let mut client = server.connect();
                scope.spawn(move || {
                    let began = Instant::now();
                    client.send(login_line("slow", &format!("wrong {number}")));
                    assert_eq!(client.line(), "CLIENT_ERROR authentication failure");
                    began.elapsed()
                })
            })
            .collect();
        // Amid the flood, of the same address: one that was right before needs no hash.
        thread::sleep(Duration::from_millis(100));
        let began = Instant::now();
        let mut next = connect_as(&server, "shop");
        assert_eq!(next.set("other", b"x"), "STORED");
        let took = began.elapsed();
        let failures: Vec<Duration> = flood.into_iter().map(|thread| thread.join().unwrap()).collect();
        stop.store(true, Relaxed);
        assert!(took < Duration::from_millis(500), "a right login took {took:?}");
        (beside.join().unwrap(), failures)
    });
    let (p50, p99) = (latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100]);
    let hash = *failures.iter().max().unwrap() / FLOOD as u32;
    println!("{} pairs beside wrong logins of {hash:?} each: p50 {p50:?}, p99 {p99:?}", latencies.len());
    assert!(failures.iter().all(|took| *took >= Duration::from_secs(1)), "{failures:?}");
    // On a shard's thread each hash would hold up the client for as long as it takes.
    assert!(p50 * 4 < hash, "p50 {p50:?} beside hashes of {hash:?}");
}

/// A stop ends logins that wait.
#[test]
fn a_stop_does_not_wait_for_logins() {
    let launch = Launch::new();
    let users = users_file(&launch, &[]);
    std::fs::write(&users, format!("slow:{SLOW_HASH}: admin\n")).unwrap();
    let mut server = launch.with(&["--users", users.to_str().unwrap()]).start();
    let mut clients: Vec<Client> = (0..50).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(login_line("slow", "wrong"));
    }
    let began = Instant::now();
    server.terminate();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}
