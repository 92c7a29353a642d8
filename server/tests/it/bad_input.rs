//! What bad input gets: one transcript for every row of that table. Unless the table says that the server closes, the
//! runner finds every connection usable and in step at the end.

use std::time::Duration;

use crate::process::{Launch, Server, wait_until};
use crate::transcript::{run, run_on};

#[test]
fn unknown_commands() {
    run(r"
        > hello
        < ERROR
        >
        < ERROR
        > incr $q 1
        < ERROR
        > setx $q 0 0 5
        < ERROR
        >| get $q\n
        < END
    ");
}

#[test]
fn wrong_number_of_tokens() {
    run(r"
        > get
        < ERROR
        > gets
        < ERROR
        > delete
        < ERROR
        > flush
        < ERROR
        > flush $q $q
        < ERROR
        > verbosity
        < ERROR
    ");
}

#[test]
fn commands_that_a_queue_does_not_have() {
    run(r"
        > add $q 0 0 5
        > get x
        < ERROR
        > replace $q 0 0 5
        > get x
        < ERROR
        > append $q 0 0 5
        > get x
        < ERROR
        > prepend $q 0 0 5
        > get x
        < ERROR
        > cas $q 0 0 5 77
        > get x
        < ERROR
        > add $q 0 0 5 noreply
        > get x
        > cas $q 0 0 5 77 noreply
        > get x
        > ms $q 11 T0 F7
        > flush_all\r\n
        < ERROR
        > ms $q S11
        > flush_all\r\n
        < ERROR
        > ADD $q 0 0 11
        > flush_all\r\n
        < ERROR
        > put 0 0 60 11
        > flush_all\r\n
        < ERROR
        > get $q
        < END
    ");
}

/// Sends it to a server that has a message, in one write and in single bytes. The answer and a close must come, and the
/// message must still be there: nothing of what was sent behind may have run.
#[track_caller]
fn closes(server: &Server, sent: &[u8], answer: &str) {
    let mut other = server.connect();
    for size in [sent.len(), 1] {
        let mut client = server.connect();
        for piece in sent.chunks(size) {
            if client.try_send(piece).is_err() {
                break;
            }
        }
        client.expect(answer);
        client.expect_close();
        assert_eq!(other.figure("curr_items"), 1, "{} was run", sent.escape_ascii());
    }
}

/// What any web page can have a browser send to a port of the machine that it runs on.
#[test]
fn other_protocols_are_closed_and_nothing_of_theirs_is_run() {
    let server = Launch::new().start();
    assert_eq!(server.connect().set("q", b"kept"), "STORED");
    let requests: [&[u8]; 9] = [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nflush_all\r\n",
        b"OPTIONS / HTTP/1.0\nget q\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nflush_all\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\nflush_all\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\nflush_all\r\n",
        b"AMQP\x00\x00\x09\x01\r\nflush_all\r\n",
        b"\x80\x00\x00\x01\r\nflush_all\r\n",
        b"*2\r\n$4\r\nECHO\r\n$9\r\nflush_all\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\nflush_all\r\n",
    ];
    for request in requests {
        closes(&server, request, "");
    }
    // A request on a connection that has been of use is closed too.
    closes(&server, b"get nothing\r\nGET /q HTTP/1.1\r\n\r\nflush_all\r\n", "END\r\n");
    assert_eq!(server.connect().get("q").as_deref(), Some(&b"kept"[..]));
}

#[test]
fn a_store_whose_size_is_not_known_is_answered_and_closed() {
    let server = Launch::new().start();
    assert_eq!(server.connect().set("q", b"kept"), "STORED");
    for (line, answer) in [
        ("set q 0 0 4294967297", "CLIENT_ERROR bad command line format\r\n"),
        ("set q 0 0 99999999999999999999999", "CLIENT_ERROR bad command line format\r\n"),
        ("set q 0 0 five", "CLIENT_ERROR bad command line format\r\n"),
        ("set q 0 0 5x", "CLIENT_ERROR bad command line format\r\n"),
        ("set q 0 0 five noreply", ""),
        ("set q 0 0 -1", "CLIENT_ERROR bad data chunk\r\n"),
        ("set q 0 0", "ERROR\r\n"),
        ("set", "ERROR\r\n"),
        ("set my queue 0 0 9", "ERROR\r\n"),
        ("add q 0 0 many", "ERROR\r\n"),
        ("cas q 0 0 9", "ERROR\r\n"),
        ("ms q T0", "ERROR\r\n"),
    ] {
        closes(&server, format!("{line}\r\nflush_all\r\nget q\r\n").as_bytes(), answer);
    }
    assert_eq!(server.connect().get("q").as_deref(), Some(&b"kept"[..]));
}

/// nc sends what is typed, and a line that is typed ends in a bare newline.
#[test]
fn the_first_example_of_the_readme_works_as_it_is_typed() {
    let readme = include_str!("../../../README.md");
    let (_, example) = readme.split_once("```\n$ nc 127.0.0.1 22201\n").expect("its first example is of nc");
    let (example, _) = example.split_once("```").unwrap();
    let server = Launch::new().start();
    let mut client = server.connect();
    let lines: Vec<&str> = example.lines().collect();
    let (set, body, get) = (lines[0], lines[1], lines[3]);
    for typed in [set, body] {
        client.send(format!("{typed}\n"));
    }
    let mut came = vec![client.line()];
    client.send(format!("{get}\n"));
    came.extend((0..3).map(|_| client.line()));
    client.send("quit\n");
    client.expect_close();
    let [stored, value, again, end] = &came[..] else { unreachable!("four lines") };
    assert_eq!(lines, [set, body, stored, get, value, again, end, "quit"]);
    assert!(set.starts_with("set ") && get.starts_with("get ") && stored == "STORED", "{came:?}");
}

#[test]
fn what_is_typed_into_nc() {
    run(r"
        >| set $q 0 0 5\nhello\nset $q 0 0 11\nget x\nget x\nset $q 0 0 1\nx\r\n
        < STORED
        < STORED
        < STORED
        >| get $q $q $q\n
        < VALUE $q 0 5
        < hello
        < VALUE $q 0 11
        <| get x\nget x\r\n
        < VALUE $q 0 1
        < x
        < END
        >| set $q 0 0 5\nhello, world\n
        < CLIENT_ERROR bad data chunk
        > set $q 0 0 5
        >| hello\n
        < CLIENT_ERROR bad data chunk
        > get $q
        < END
    ");
}

#[test]
fn queue_names() {
    run(r"
        > set {a*250} 0 0 5
        > hello
        < STORED
        > get {a*250}
        < VALUE {a*250} 0 5
        < hello
        < END
        > set {a*251} 0 0 5
        > get x
        < CLIENT_ERROR bad command line format
        > set a\x01b 0 0 5
        > get x
        < CLIENT_ERROR bad command line format
        > get {a*251}
        < CLIENT_ERROR bad command line format
        > gets a\x02b
        < CLIENT_ERROR bad command line format
        > delete {a*251}
        < CLIENT_ERROR bad command line format
        > flush {a*251}
        < CLIENT_ERROR bad command line format
        > set $a/b+c 0 0 1
        > x
        < STORED
        > get $a/b+c
        < VALUE $a/b+c 0 1
        < x
        < END
    ");
}

#[test]
fn numbers() {
    run(r"
        > set $q red 0 5
        > get x
        < CLIENT_ERROR bad command line format
        > set $q 4294967296 0 5
        > get x
        < CLIENT_ERROR bad command line format
        > set $q -1 0 5
        > get x
        < CLIENT_ERROR bad command line format
        > set $q 0 soon 5
        > get x
        < CLIENT_ERROR bad command line format
        > get $q
        < END
    ");
}

#[test]
fn bodies_over_the_limit() {
    let text = r"
        > set $q 0 0 100
        > {y*100}
        < STORED
        > set $q 0 0 101
        > {y*101}
        < SERVER_ERROR object too large for cache
        > set $q 0 0 2100
        > {get x\r\n*300}
        < SERVER_ERROR object too large for cache
        > get $q $q
        < VALUE $q 0 100
        < {y*100}
        < END
    ";
    run_on(Launch::new().with(&["-B", "100"]), 6, text);
}

/// 16 MiB in all, far beyond what a server may hold for a client whose message it will not take.
#[test]
fn the_largest_body_and_one_byte_more() {
    let server = Launch::new().start();
    let mut client = server.connect();
    let body = vec![b'z'; 1 << 20];
    assert_eq!(client.set("q", &body), "STORED");
    assert_eq!(client.get("q").as_ref(), Some(&body));
    let before = server.rss_bytes();
    assert_eq!(client.set("q", &vec![b'z'; 16 << 20]), "SERVER_ERROR object too large for cache");
    let grown = server.rss_bytes().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes held for a body that is refused");
    assert_eq!(client.set("q", &vec![b'z'; (1 << 20) + 1]), "SERVER_ERROR object too large for cache");
    assert_eq!(client.get("q"), None);
}

#[test]
fn bodies_that_do_not_end_where_they_should() {
    run(r"
        > set $q 0 0 5
        > hello, world
        < CLIENT_ERROR bad data chunk
        > set $q 0 0 5
        > hello\rget x
        < CLIENT_ERROR bad data chunk
        > get $q
        < END
    ");
}

#[test]
fn lines_without_an_end() {
    let launch = Launch::new();
    run_on(launch, 2, ">| set {x*2045}\n< CLIENT_ERROR line too long\n= close");
}

#[test]
fn a_get_line_without_an_end() {
    run_on(Launch::new(), 1, ">| get {x\\s*32766}x\n< CLIENT_ERROR line too long\n= close");
}

/// Three hundred names: longer than other lines may be, and well within what a get may have.
#[test]
fn a_long_get_line() {
    let text = r"
        > set $q 0 0 5
        > hello
        < STORED
        > get {some-name\s*300}$q
        < VALUE $q 0 5
        < hello
        < END
    ";
    run_on(Launch::new(), 2, text);
}

#[test]
fn more_connections_than_allowed() {
    let server = Launch::new().with(&["-c", "3"]).start();
    let mut welcome: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for client in &mut welcome {
        assert_eq!(client.command("verbosity 0"), "OK");
    }
    for _ in 0..4 {
        let mut refused = server.connect();
        refused.expect("SERVER_ERROR too many open connections\r\n");
        refused.expect_close();
    }
    for client in &mut welcome {
        assert_eq!(client.command("verbosity 0"), "OK");
    }
    welcome.pop();
    wait_until("a place after one client left", Duration::from_secs(10), || {
        let mut client = server.connect();
        client.try_send(b"verbosity 0\r\n").is_ok() && client.try_line().is_ok_and(|line| line == "OK")
    });
}

/// A client's claim that much is to come must not cost memory before it comes.
#[test]
fn claims_cost_nothing() {
    let server = Launch::new().start();
    let mut clients: Vec<_> = (0..400).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.command("verbosity 0"), "OK");
    }
    let before = server.rss_bytes();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("verbosity 0\r\nset q{number} 0 0 1048576\r\nx"));
    }
    for client in &mut clients {
        assert_eq!(client.line(), "OK");
    }
    let grown = server.rss_bytes().saturating_sub(before);
    assert!(grown < 50 << 20, "{grown} bytes for 400 bodies of which one byte has come");
}
