//! `--users`: the file, roles over the wire, SIGHUP, and limits for one client.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::client::Client;
use crate::process::{Launch, Server, wait_until};

const EVENT_TIMEOUT: Duration = Duration::from_secs(20);

/// Of "correct horse" and of "battery staple".
pub(crate) const HASH: &str =
    "$6$rounds=1000$saltstring$YiR6NSM0LQXmu7vAhkMXfkdYk7qtFouVx1Mdr3HmzXspT8kONjlpU3CsV7ezCB62uXJoAdaagsH4ck7/tB9js.";
const OTHER_HASH: &str =
    "$6$rounds=1000$saltstrinh$pkb41Fv3MDquXQ7zxwJQskWFJbzCbw9imsKcGLoiUO86eNt7JMl9RtJNakdh2FJtwsK03/AxYLn4k7bgbiYI7.";
pub(crate) const PASSWORD: &str = "correct horse";

/// A file of users that are told by their words; all have [`PASSWORD`].
pub(crate) fn users_file(launch: &Launch, users: &[(&str, &str)]) -> PathBuf {
    let path = launch.scratch().join("users");
    let lines: String = users.iter().map(|(name, words)| format!("{name}:{HASH}: {words}\n")).collect();
    write_users(&path, &lines);
    path
}

fn write_users(path: &Path, lines: &str) {
    fs::write(path, lines).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// A server with two shards and these users.
pub(crate) fn start(users: &[(&str, &str)], more: &[&str]) -> Server {
    let launch = Launch::new();
    let path = users_file(&launch, users);
    launch.with(&[&["--users", path.to_str().unwrap()], more].concat()).start()
}

pub(crate) fn login_line(name: &str, password: &str) -> String {
    format!("set login 0 0 {}\r\n{name} {password}\r\n", name.len() + 1 + password.len())
}

/// A client that has logged in.
pub(crate) fn connect_as(server: &Server, name: &str) -> Client {
    let mut client = server.connect();
    client.send(login_line(name, PASSWORD));
    assert_eq!(client.line(), "STORED", "{name}");
    client
}

#[test]
fn a_file_that_is_none_refuses_the_start() {
    for (text, words) in [
        (None, &["No such file"][..]),
        (Some(format!("root:{HASH}: admin\nshop:{HASH}\n")), &["line 2", "name:hash: words"]),
        (Some(format!("root:{HASH}: root\n")), &["line 1", "bad word root"]),
        (Some(format!("root:{}: admin\n", HASH.replace("1000", "1000001"))), &["line 1", "rounds=1000001"]),
        (Some("root:secret: admin\n".to_string()), &["line 1", "openssl passwd -6"]),
        (Some("# nobody\n".to_string()), &["has no user"]),
    ] {
        let launch = Launch::new().shards(1);
        let path = launch.scratch().join("users");
        if let Some(text) = text {
            write_users(&path, &text);
        }
        let path = path.to_str().unwrap();
        launch.with(&["--users", path]).refused().assert_one_line(&[&["--users", path][..], words].concat());
    }
    let udp = Launch::new().shards(1).with(&["-U", "22999", "--users", "users"]).refused();
    udp.assert_one_line(&["-U", "--users", "by UDP no client can log in"]);
}

#[test]
fn a_file_that_others_can_read_is_warned_of() {
    let said = |mode| {
        let launch = Launch::new().shards(1);
        let path = users_file(&launch, &[("shop", "put=a")]);
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let server = launch.with(&["--users", path.to_str().unwrap()]).start();
        server.said().iter().any(|line| line.contains("WARN") && line.contains("chmod o-r"))
    };
    assert_eq!((said(0o644), said(0o640)), (true, false));
}

#[test]
fn an_open_address_is_warned_of_at_each_start() {
    let warned = |arguments: &[&str]| {
        let mut server = Launch::new().shards(1).with(arguments).start();
        let warnings = server.said().iter().filter(|line| line.contains("WARN") && line.contains("--open")).count();
        server.terminate();
        server.start();
        let again = server.said().iter().filter(|line| line.contains("WARN") && line.contains("--open")).count();
        assert_eq!(warnings, again, "{:?}", server.said());
        warnings
    };
    assert_eq!((warned(&["-l", "0.0.0.0"]), warned(&["-l", "0.0.0.0", "--open"]), warned(&[])), (1, 0, 0));
}

/// Queues on both shards; each role by a user that has it and one that has not.
#[test]
fn each_role_may_do_its_own_and_nothing_is_done_without() {
    let users = [("root", "admin"), ("shop", "put=q-*"), ("worker", "take=q-*"), ("monitor", "")];
    let server = start(&users, &[]);
    let [mut root, mut shop, mut worker, mut monitor] = users.map(|(name, _)| connect_as(&server, name));
    for number in 0..8 {
        let queue = format!("q-{number}");
        assert_eq!(worker.set(&queue, b"x"), format!("CLIENT_ERROR not allowed, user worker lacks put={queue}"));
        assert_eq!(monitor.set(&queue, b"x"), format!("CLIENT_ERROR not allowed, user monitor lacks put={queue}"));
        assert_eq!([(); 3].map(|()| shop.set(&queue, b"x")), ["STORED"; 3]);
        let refused = format!("CLIENT_ERROR not allowed, user shop lacks take={queue}");
        for command in
            [format!("get {queue}"), format!("get q-x {queue}/peek").replace("/peek", ""), format!("gat 9 {queue}")]
        {
            let refusal = shop.command(&command);
            assert!(refusal == refused || refusal.ends_with("lacks take=q-x"), "{refusal}");
        }
        assert_eq!(worker.get(&queue).as_deref(), Some(&b"x"[..]));
        assert_eq!(worker.get(&format!("{queue}/open")).as_deref(), Some(&b"x"[..]));
        assert_eq!(worker.command(&format!("get {queue}/bury")), "END");
        assert_eq!(worker.get(&format!("{queue}/dead/peek")).as_deref(), Some(&b"x"[..]));
        for client in [&mut shop, &mut worker] {
            assert!(client.command(&format!("delete {queue}")).ends_with("lacks admin"));
            assert!(client.set(&format!("{queue}/config"), b"depth=1").ends_with("lacks admin"));
        }
        assert_eq!(root.get(&queue).as_deref(), Some(&b"x"[..]), "it is still there");
    }
    assert!(shop.command("flush_all").ends_with("lacks admin"));
    assert_eq!(monitor.figure("set_cmds"), 24);
    assert_eq!(monitor.stats("queues q-").len(), 16 * 15);
    for kind in ["settings", "conns"] {
        assert_eq!(monitor.command(&format!("stats {kind}")), "CLIENT_ERROR not allowed, user monitor lacks admin");
        assert!(!root.stats(kind).is_empty());
    }
    assert_eq!(root.command("flush_all"), "OK");
}

#[test]
fn a_get_of_many_names_takes_nothing_when_one_is_not_allowed() {
    let server = start(&[("root", "admin"), ("worker", "take=a-*")], &[]);
    let (mut root, mut worker) = (connect_as(&server, "root"), connect_as(&server, "worker"));
    let names: Vec<String> = (0..300).map(|number| format!("a-{number}")).collect();
    for name in &names {
        assert_eq!(root.set(name, b"x"), "STORED");
    }
    let line = names.join(" ");
    worker.send(format!("get {line} b\r\nversion\r\n"));
    assert_eq!(worker.line(), "CLIENT_ERROR not allowed, user worker lacks take=b");
    assert!(worker.line().starts_with("VERSION"), "it is in step");
    assert_eq!(worker.try_get(&line).unwrap().len(), 300, "nothing was taken");
}

fn of_user<'a>(stats: &'a [(String, String)], user: &str) -> Option<&'a str> {
    let figure = stats.iter().find(|(name, value)| name.ends_with(":user") && value == user)?;
    figure.0.strip_suffix(":user")
}

#[test]
fn stats_conns_has_the_user() {
    let server = start(&[("root", "admin"), ("shop", "put=a")], &[]);
    let (mut root, _shop, before) = (connect_as(&server, "root"), connect_as(&server, "shop"), server.connect());
    let stats = root.stats("conns");
    assert!(of_user(&stats, "root").is_some() && of_user(&stats, "shop").is_some());
    let address = before.local_address().to_string();
    let number = stats.iter().find(|(_, value)| *value == address).unwrap().0.strip_suffix(":peer").unwrap();
    assert!(!stats.iter().any(|(name, _)| *name == format!("{number}:user")), "it has not logged in");
}

#[test]
fn sighup_gives_rights_takes_users_and_leaves_a_bad_file() {
    let launch = Launch::new();
    let users = [("root", "admin"), ("gone", "put=*"), ("waits", "take=*"), ("shop", "put=a"), ("again", "put=*")];
    let path = users_file(&launch, &users);
    let mut server = launch.with(&["--users", path.to_str().unwrap()]).start();
    let [mut root, mut gone, mut waits, mut shop, mut again] = users.map(|(name, _)| connect_as(&server, name));
    write_users(&path, "root\n");
    server.signal(Signal::SIGHUP);
    let line = server.wait_for_line("stays in force");
    assert!(line.contains("ERROR") && line.contains("line 1"), "{line}");
    assert_eq!(gone.set("a", b"x"), "STORED");

    waits.send("get nothing/t=60000\r\n");
    wait_until("the wait", EVENT_TIMEOUT, || root.figure("waiters") == 1);
    let lines = format!("root:{HASH}: admin\nshop:{HASH}: put=b take=a\nagain:{OTHER_HASH}: put=*\n");
    write_users(&path, &lines);
    server.signal(Signal::SIGHUP);
    server.wait_for_line("--users");
    for (client, what) in [(&mut gone, "no user any more"), (&mut waits, "it waits"), (&mut again, "another password")]
    {
        client.expect_close();
        println!("closed: {what}");
    }
    assert_eq!(root.set("nothing", b"x"), "STORED");
    assert_eq!(root.get("nothing").as_deref(), Some(&b"x"[..]), "it went to no client that is out");
    assert_eq!(shop.set("a", b"x"), "CLIENT_ERROR not allowed, user shop lacks put=a");
    assert_eq!(shop.set("b", b"x"), "STORED");
    assert_eq!(shop.get("a").as_deref(), Some(&b"x"[..]));
    for (name, password, reply) in [
        ("gone", PASSWORD, "CLIENT_ERROR authentication failure"),
        ("again", PASSWORD, "CLIENT_ERROR authentication failure"),
        ("again", "battery staple", "STORED"),
    ] {
        let mut client = server.connect();
        client.send(login_line(name, password));
        assert_eq!(client.line(), reply, "{name} {password}");
    }
}

/// The bodies of a second, and no more than that for a second, over connections on both shards.
#[test]
fn puts_beyond_a_users_rate_are_not_stored_and_counted() {
    let server = start(&[("root", "admin"), ("hog", "put=* rate=100000"), ("shop", "put=*")], &[]);
    let mut connections: Vec<Client> = (0..4).map(|_| connect_as(&server, "hog")).collect();
    let (mut shop, mut root) = (connect_as(&server, "shop"), connect_as(&server, "root"));
    let body = vec![b'x'; 10_000 - 32];
    let began = Instant::now();
    let replies: Vec<String> = (0..100).map(|n| connections[n % 4].set(&format!("q-{}", n % 8), &body)).collect();
    let seconds = began.elapsed().as_secs_f64();
    let stored = replies.iter().filter(|reply| *reply == "STORED").count();
    assert!(replies.iter().all(|reply| reply == "STORED" || reply == "NOT_STORED"), "{replies:?}");
    assert!((10..=11 + (seconds * 10.0) as usize).contains(&stored), "{stored} in {seconds} s");
    assert!(replies[..10].iter().all(|reply| reply == "STORED"));
    assert_eq!(root.figure("set_refused"), 100 - stored as u64);
    assert_eq!(shop.set("q", &body), "STORED", "it is the rate of one user");
    wait_until("the rate to let one through", EVENT_TIMEOUT, || connections[0].set("q", &body) == "STORED");
}

#[test]
fn an_address_has_so_many_connections_and_no_more() {
    let launch = Launch::new();
    let socket = launch.scratch().join("s");
    let server = launch
        .with(&["--connections-per-address", "3", "-l", "127.0.0.1,[::1]", "-s", socket.to_str().unwrap()])
        .start();
    let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    let refused = |address: SocketAddr| {
        let mut client = Client::connect(address);
        let line = client.command("version");
        line == "SERVER_ERROR too many open connections from your address"
    };
    assert!(clients.iter_mut().all(|client| client.command("version").starts_with("VERSION")));
    assert!(refused(server.address()) && refused(server.address()));
    assert_eq!(clients[0].figure("rejected_connections"), 2);
    let v6 = *server.addresses().iter().find(|address| address.is_ipv6()).unwrap();
    let mut others: Vec<Client> = (0..3).map(|_| Client::connect(v6)).collect();
    assert!(others.iter_mut().all(|client| client.command("version").starts_with("VERSION")));
    assert!(refused(v6), "of IPv6 too");
    let unix: Vec<_> = (0..5).map(|_| std::os::unix::net::UnixStream::connect(&socket).unwrap()).collect();
    wait_until("the Unix socket's", EVENT_TIMEOUT, || others[0].figure("curr_connections") == 11);
    drop((clients.pop(), unix));
    wait_until("a place to be free again", EVENT_TIMEOUT, || !refused(server.address()));
}
