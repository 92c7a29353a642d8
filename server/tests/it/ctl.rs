//! The commands for a running server, as an operator types them, over the memcache port: TCP and Unix socket. What they
//! do by the admin port is in `ctl_admin`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{Launch, binary};

/// What a command printed.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: i32,
    pub(crate) out: String,
    error: String,
}

impl Done {
    /// Its output; it must have succeeded.
    pub(crate) fn good(self) -> String {
        assert!(self.status == 0 && self.error.is_empty(), "{self:#?}");
        self.out
    }

    /// The one line that it owes the operator, with each of these words; it must have failed, and printed nothing else.
    pub(crate) fn bad(self, words: &[&str]) {
        assert!(self.status == 1 && self.out.is_empty() && self.error.lines().count() == 1, "{self:#?}");
        assert!(self.error.starts_with("rushq: "), "{self:#?}");
        for word in words {
            assert!(self.error.contains(word), "no {word:?} in {}", self.error);
        }
    }
}

/// Runs `rushq` with these words, and no terminal.
pub(crate) fn rushq(words: &[&str]) -> Done {
    run(Command::new(binary()).args(words))
}

pub(crate) fn run(command: &mut Command) -> Done {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { status: output.status.code().unwrap(), out: text(output.stdout), error: text(output.stderr) }
}

/// The lines of a table as words.
pub(crate) fn words(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

/// A server of this protocol or that, which answers each connection's first bytes so, and closes.
fn that_says(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
        }
    });
    address
}

/// Every command, once by each kind of socket.
#[test]
fn commands_do_by_either_socket_what_clients_see() {
    let launch = Launch::new();
    let path = launch.scratch().join("socket");
    let path = path.to_str().unwrap();
    let server = launch.with(&["-s", path]).start();
    let address = server.address().to_string();
    let port = server.address().port().to_string();
    let mut client = server.connect();
    for (place, queue) in [(["-p", &address], "jobs"), (["-p", &port], "work"), (["-s", path], "tasks")] {
        let rushq = |words: &[&str]| rushq(&[words, &place[..]].concat());
        let (other, bodies) = (format!("{queue}-2"), ["a", "b", "c", "d", "e"]);
        let of_this = rushq(&["ping"]).good();
        assert!(of_this.starts_with(&format!("rushq {} at ", env!("CARGO_PKG_VERSION"))), "{of_this}");
        for body in bodies {
            assert_eq!(client.set(queue, body.as_bytes()), "STORED");
        }

        let peeked = rushq(&["peek", queue]).good();
        assert!(peeked.starts_with("-- message 1, ") && peeked.ends_with(" 1 bytes\na\n"), "{peeked}");
        assert_eq!(rushq(&["peek", queue, "--raw"]).good(), "a");

        assert_eq!(
            rushq(&["config", queue, "tries=1", "lease=60"]).good(),
            format!("{queue} is told tries=1 lease=60\n")
        );
        let settings = rushq(&["config", queue]).good();
        assert!(words(&settings).contains(&vec!["tries=1"]) && client.get(&format!("{queue}/config")).is_some());
        rushq(&["config", queue, "treis=1"]).bad(&["bad config treis"]);

        // Two go through the dead letters.
        for _ in 0..2 {
            assert_eq!(client.try_get(&format!("{queue}/open")).unwrap().len(), 1);
            assert_eq!(client.command(&format!("get {queue}/abort")), "END");
        }
        let table = rushq(&["top", "--once", "--filter", queue]).good();
        let lines = words(&table);
        assert_eq!(lines[0].last(), Some(&"QUEUE"), "{table}");
        let line = lines.iter().find(|line| line.last() == Some(&queue)).unwrap();
        // Waiting, open, delayed, dead.
        assert_eq!(line[..4], ["3", "0", "0", "2"], "{table}");
        assert_eq!(rushq(&["kick", queue, "-n", "1"]).good(), format!("1 dead letter of {queue} put back\n"));
        assert_eq!(rushq(&["kick", queue]).good(), format!("1 dead letter of {queue} put back\n"));
        assert_eq!(rushq(&["kick", queue]).good(), format!("0 dead letters of {queue} put back\n"));

        rushq(&["move", queue, &other]).bad(&["there is no queue", &other]);
        assert_eq!(client.set(&other, b"z"), "STORED");
        assert_eq!(
            rushq(&["move", queue, &other, "--count", "2"]).good(),
            format!("2 messages moved from {queue} to {other}\n")
        );
        assert_eq!(rushq(&["move", queue, &other]).good(), format!("3 messages moved from {queue} to {other}\n"));
        assert_eq!(client.get(queue), None);
        assert_eq!(client.get(&other).unwrap(), b"z");

        rushq(&["purge", &other]).bad(&["5 messages (5 waiting, 0 delayed)", "--count 5"]);
        rushq(&["purge", &other, "--count", "4"]).bad(&["--count 4", "5 messages", "nothing was dropped"]);
        assert_eq!(client.figure("curr_items"), 5, "nothing is dropped without its count");
        assert_eq!(rushq(&["purge", &other, "-n5"]).good(), format!("5 messages of {other} dropped\n"));
        assert_eq!(client.figure("curr_items"), 0);
        assert_eq!(rushq(&["purge", &other]).good(), format!("{other} has no message to drop\n"));

        assert_eq!(rushq(&["config", queue, "--default"]).good(), format!("{queue} has its defaults\n"));
        assert_eq!(rushq(&["config", queue]).good(), "");
        let stats = rushq(&["stats"]).good();
        assert!(words(&stats).contains(&vec!["curr_items", "0"]), "{stats}");
        let stats = rushq(&["stats", "queues", &other]).good();
        assert!(words(&stats).contains(&vec![format!("{other}:waiting").as_str(), "0"]), "{stats}");
    }
}

/// The set that the other queue refuses leaves its message where it was, and no try of it counts.
#[test]
fn a_move_ends_where_the_other_queue_is_full() {
    let server = Launch::new().start();
    let mut client = server.connect();
    let place = server.address().to_string();
    for body in [b"a", b"b", b"c", b"d"] {
        assert_eq!(client.set("from", body), "STORED");
    }
    assert_eq!(client.set("to/config", b"depth=2"), "STORED");
    let moved = rushq(&["move", "from", "to", "-p", &place]);
    moved.bad(&["to: it takes no more", "2 messages moved before that"]);
    assert_eq!(client.stats("queues from").iter().find(|(name, _)| name == "from:tries").unwrap().1, "0");
    let left: Vec<_> = std::iter::from_fn(|| client.get("from")).collect();
    assert_eq!(left, [b"c", b"d"]);
    let there: Vec<_> = std::iter::from_fn(|| client.get("to")).collect();
    assert_eq!(there, [b"a", b"b"]);
}

#[test]
fn a_body_cannot_act_on_the_terminal_and_comes_raw_if_it_is_asked_for() {
    let server = Launch::new().start();
    let place = server.address().to_string();
    let body = b"\x1b]0;title\x07\xff\r\nline 2";
    assert_eq!(server.connect().set("q", body), "STORED");
    let peeked = rushq(&["peek", "q", "-p", &place]).good();
    assert!(peeked.ends_with("\\u{1b}]0;title\\u{7}\\xff\\r\nline 2\n"), "{peeked:?}");
    let raw = Command::new(binary()).args(["peek", "q", "--raw", "-p", &place]).output().unwrap();
    assert_eq!(raw.stdout, body);
    rushq(&["peek", "q", "-n", "2", "-p", &place]).bad(&["--count 2", "admin port"]);
    rushq(&["peek", "none", "-p", &place]).bad(&["none: no message waits there"]);
}

/// What stands at the end of a place that is none: nothing, a server that is silent, closes, answers half, or speaks
/// something else. Each is one line that names the place.
#[test]
fn what_is_no_rushq_is_told_apart() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cases = [
        (free, "nothing listens there"),
        (silent.local_addr().unwrap(), "no answer within 1 s"),
        (that_says(b""), "it closed the connection"),
        (that_says(b"VERSI"), "in the middle of an answer"),
        (that_says(b"-ERR unknown command 'version'\r\n"), "no rushq: \"-ERR unknown command 'version'\""),
        (that_says(b"SERVER_ERROR too many open connections\r\n"), "too many open connections"),
        (that_says(b"\x15\x03\x01\x00\x02\x02\x46"), "it speaks TLS"),
        (that_says(b"CLIENT_ERROR this port takes TLS\r\n"), "it speaks TLS"),
    ];
    for (address, expected) in cases {
        let place = address.to_string();
        for words in [&["ping"][..], &["stats"], &["top", "--once"], &["peek", "q"], &["config", "q"]] {
            rushq(&[words, &["-p", &place, "--timeout", "1"]].concat()).bad(&[&place, expected]);
        }
    }
    // One that speaks HTTP, but is none of ours.
    for page in [
        &b"HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\n<html></html>"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n<html></html>\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n<html></html>",
    ] {
        let place = that_says(page).to_string();
        for words in [&["ping"][..], &["stats"], &["top", "--once"], &["kick", "q"], &["purge", "q", "-n1"]] {
            rushq(&[words, &["-p", &place]].concat()).bad(&[&place, "no rushq's admin port"]);
        }
    }
    for (page, expected) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"vers"[..], "in the middle of an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "length is wrong"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "no good length"),
    ] {
        let place = that_says(page).to_string();
        rushq(&["stats", "-p", &place]).bad(&[&place, expected]);
    }
}

/// The answer breaks off behind the version.
#[test]
fn half_an_answer_is_no_answer() {
    for (answer, words, expected) in [
        (&b"VERSION 1.0.0\r\nSTAT pid 1\r\n"[..], &["stats"][..], "in the middle of an answer"),
        (b"VERSION 1.0.0\r\nVALUE q/peek 0 10\r\nabc", &["peek", "q"], "in the middle of an answer"),
        (b"VERSION 1.0.0\r\nVALUE q/peek 0 3\r\nabcdef\r\nEND\r\n", &["peek", "q"], "not as it was announced"),
        (b"VERSION 1.0.0\r\nVALUE q/peek 0 99999999999\r\n", &["peek", "q"], "99999999999 bytes"),
        (b"VERSION 1.0.0\r\nERROR\r\n", &["stats"], "no such command"),
    ] {
        let place = that_says(answer).to_string();
        rushq(&[words, &["-p", &place]].concat()).bad(&[&place, expected]);
    }
}

#[test]
fn a_ping_is_bounded_by_its_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    rushq(&["ping", "-p", &silent.local_addr().unwrap().to_string(), "--timeout", "1"]).bad(&["within 1 s"]);
    assert!((1..10).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[test]
fn a_command_line_that_is_wrong_has_its_remedy() {
    for (words, expected) in [
        (&["strat"][..], &["strat: there is no such command", "rushq --help"][..]),
        (&["peek"], &["rushq peek QUEUE", "rushq peek --help"]),
        (&["peek", "a b"], &["a b", "1 to 250 bytes"]),
        (&["ping", "-p", "x"], &["--port x", "HOST:PORT"]),
        (&["ping", "-p", "1", "-s", "/x"], &["--port", "--unix-socket"]),
        (&["ping", "--timeout", "0"], &["--timeout 0", "from 1 to"]),
        (&["ping", "-s", "/nowhere/socket"], &["/nowhere/socket", "no such file"]),
        (&["top", "--sort", "depth"], &["--sort depth", "waiting"]),
        (&["move", "a", "a"], &["to itself"]),
        (&["stats", "reset"], &["reset"]),
        (&["stats", "--user", "joe"], &["RUSHQ_PASSWORD", "--password-file"]),
        (&["stats", "--user", "joe", "--password-file", "/nowhere"], &["--password-file /nowhere"]),
    ] {
        let mut command = Command::new(binary());
        run(command.args(words).env_remove("RUSHQ_PASSWORD")).bad(expected);
    }
}

/// A table of a million lines is no use, and costs the server more than it is worth.
#[test]
fn too_many_queues_are_not_listed_by_the_memcache_port() {
    let server = Launch::new().start();
    let place = server.address().to_string();
    let mut client = server.connect();
    let mut sets = Vec::new();
    for number in 0..10_001 {
        crate::client::write_set(&mut sets, &format!("q{number}"), b"x");
    }
    client.send(&sets);
    for _ in 0..10_001 {
        client.expect("STORED\r\n");
    }
    rushq(&["top", "--once", "-p", &place]).bad(&["10001 queues", "admin port"]);
    rushq(&["purge", "q", "-n", "1", "-p", &place]).bad(&["more than 10000 such queues", "admin port"]);
    // Where few names begin so, one is found.
    assert_eq!(rushq(&["purge", "q9999", "-n", "1", "-p", &place]).good(), "1 message of q9999 dropped\n");
    assert_eq!(client.figure("curr_items"), 10_000);
}

/// A reader that has gone, as `head` does, is no failure.
#[test]
fn a_closed_pipe_ends_it_quietly() {
    let server = Launch::new().start();
    let mut child = Command::new(binary())
        .args(["stats", "-p", &server.address().to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

/// `rushq top` in a terminal of `script`, which util-linux has: it draws, ends by its key, and gives the terminal back.
#[test]
fn top_draws_in_a_terminal_and_gives_it_back() {
    let server = Launch::new().start();
    assert_eq!(server.connect().set("jobs", b"x"), "STORED");
    for (keys, signal) in [("q", false), ("/jo\rq", false), ("\u{3}", false), ("", true)] {
        let top = format!("stty rows 20 cols 90; exec {} top -p {}", binary(), server.address());
        let mut child = Command::new("script")
            .args(["-qec", &top, "/dev/null"])
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut seen = Vec::new();
        let mut until = |seen: &mut Vec<u8>, text: &str| {
            while !String::from_utf8_lossy(seen).contains(text) {
                let mut piece = [0; 4096];
                let length = stdout.read(&mut piece).unwrap();
                assert!(length > 0, "no {text:?} in {}", String::from_utf8_lossy(seen));
                seen.extend_from_slice(&piece[..length]);
            }
        };
        until(&mut seen, "q quit");
        assert!(String::from_utf8_lossy(&seen).contains(" jobs"), "{}", String::from_utf8_lossy(&seen));
        if signal {
            // Of the terminal's processes, only `rushq top` has this name; `script` is its parent.
            let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
            let pid: i32 = children.split_whitespace().next().unwrap().parse().unwrap();
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
        }
        stdin.write_all(keys.as_bytes()).unwrap();
        // The screen that was before comes back, and the cursor.
        until(&mut seen, "\u{1b}[?1049l");
        assert!(String::from_utf8_lossy(&seen).contains("\u{1b}[?25h"), "{}", String::from_utf8_lossy(&seen));
        drop(stdin);
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(20), "it goes on after {keys:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}
