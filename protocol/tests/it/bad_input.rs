//! What bad input gets, and that the connection stays in step.

use protocol::{Parse, Parser, Rejection, reply};

use crate::transcript::check;

const ERROR: &str = "ERROR";
const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format";
const BAD_DATA_CHUNK: &str = "CLIENT_ERROR bad data chunk";
const TOO_LARGE: &str = "SERVER_ERROR object too large for cache";
const LINE_TOO_LONG: &str = "CLIENT_ERROR line too long, close";

/// Checks that `input` gets `reply`, and that a command behind it is understood.
#[track_caller]
fn rejected(input: impl AsRef<[u8]>, reply: &str) {
    let mut input = input.as_ref().to_vec();
    input.extend_from_slice(b"get after\r\n");
    check(input, &[reply, "get after"]);
}

/// Checks that each of `lines` gets `reply`.
#[track_caller]
fn lines_rejected(lines: &[&str], reply: &str) {
    for line in lines {
        rejected(format!("{line}\r\n"), reply);
    }
}

/// Checks that `input` gets `reply`, that the connection is to be closed, and that no command behind it is understood.
#[track_caller]
fn closed(input: impl AsRef<[u8]>, reply: &str) {
    let mut input = input.as_ref().to_vec();
    input.extend_from_slice(b"flush_all\r\nget after\r\n");
    check(&input, &[&format!("{reply}, close")]);
    let later = [b"get before\r\n", &input[..]].concat();
    check(later, &["get before", &format!("{reply}, close")]);
}

#[test]
fn unknown_commands() {
    lines_rejected(
        &[
            "",
            " ",
            "   ",
            "x",
            "getx q",
            "ge",
            "GE q",
            "incr q 1",
            "INCR q 1",
            "mg q v",
            "setx q 0 0 1",
            "db_checkpoints",
        ],
        ERROR,
    );
    rejected("\n", ERROR);
    check(b"version\r\n\x00\xff\r\nversion\r\n", &["Version", ERROR, "Version"]);
    rejected("get\tq\r\n", ERROR);
}

#[test]
fn wrong_number_of_tokens() {
    lines_rejected(&["get", "get ", "gets", "gets   "], ERROR);
    lines_rejected(&["gat", "gat 30", "gats", "touch q", "touch q/as=a", "touch q/as=a 5 noreply x"], ERROR);
    lines_rejected(&["delete", "delete q 0 noreply x", "flush", "flush q q", "flush_all 0 noreply x"], ERROR);
    lines_rejected(
        &[
            "stats foo",
            "stats queue x",
            "stats queues a b",
            "stats conns x",
            "stats reset 1",
            "stats latency x",
            "stats latency  1",
            "stats Latency",
            "stats \u{1}",
        ],
        ERROR,
    );
    lines_rejected(&["version x", "quit x", "db_checkpoint x", "db_archive x"], ERROR);
    lines_rejected(&["verbosity", "verbosity 1 noreply x"], ERROR);
}

#[test]
fn stores_of_a_cache_are_swallowed() {
    for word in ["add", "replace", "append", "prepend"] {
        rejected(format!("{word} q 0 0 7\r\nget x\r\n\r\n"), ERROR);
        rejected(format!("{word} q 0 0 0\r\n\r\n"), ERROR);
        rejected(format!("{word} q 0 0 7 noreply\r\nget x\r\n\r\n"), "no reply");
        rejected(format!("{word} q x x 7 noreply\r\nget x\r\n\r\n"), "no reply");
        rejected(format!("{word} q 0 0 1000\r\n{:1000}\r\n", ""), ERROR);
    }
    rejected("cas q 0 0 7 99\r\nget x\r\n\r\n", ERROR);
    rejected("cas q 0 0 7 99 noreply\r\nget x\r\n\r\n", "no reply");
}

#[test]
fn stores_that_are_not_known_are_swallowed() {
    for line in [
        // memcached's meta commands, with flags, a key in base64, and asked to be quiet.
        "ms q 11",
        "ms q 11 T0 F7",
        "ms Zm9v 11 b",
        "ms q 11 MS q",
        "ms q 11 noreply",
        "ms q S11",
        "ms q T0 S11 F7",
        "MS q 11",
        // beanstalkd's.
        "put 0 0 60 11",
        "ADD q 0 0 11",
        "CAS q 0 0 11 99",
    ] {
        rejected(format!("{line}\r\nflush_all\r\n\r\n"), ERROR);
        rejected(format!("{line}\nflush_all\r\n\n"), ERROR);
        rejected(format!("{line}\r\nflush_all\r\nget x\r\n"), ERROR);
    }
    rejected(format!("ms q 3000\r\n{}\r\n", "flush_all\r\n\n".repeat(250)), ERROR);
    rejected("ADD q 0 0 11 noreply\r\nflush_all\r\n\r\n", "no reply");
}

/// What comes next may be a body: it is never run.
#[test]
fn a_store_whose_size_is_not_known_ends_the_connection() {
    for word in ["set", "SET", "add", "replace", "append", "prepend"] {
        let lines =
            ["", " q", " q 0", " q 0 0", " q 0 0 1 noreply x", " q 0 0 1 x noreply", " a q 0 0 9", " a 0 0 0 9"];
        for rest in lines {
            closed(format!("{word}{rest}\r\n"), ERROR);
            closed(format!("{word}{rest}\n"), ERROR);
        }
    }
    for size in ["x", "7x", "-1", "4294967297", "99999999999999999999", "+7", "1.5", "0x7"] {
        for word in ["add", "replace", "append", "prepend", "ADD"] {
            closed(format!("{word} q 0 0 {size}\r\n"), ERROR);
            closed(format!("{word} q 0 0 {size} noreply\r\n"), "no reply");
        }
        closed(format!("cas q 0 0 {size} 99\r\n"), ERROR);
        closed(format!("cas q 0 0 {size} 99 noreply\r\n"), "no reply");
        closed(format!("ms q {size} T0\r\n"), ERROR);
        closed(format!("put 0 0 60 {size}\r\n"), ERROR);
    }
    for line in [
        "cas q 0 0 7",
        "cas q 0 0 7 99 noreply x",
        "ms",
        "ms q",
        "ms q T0",
        "ms q Sx",
        "put",
        "put 0 0 60",
        "put 0 0 60 7 7",
    ] {
        closed(format!("{line}\r\n"), ERROR);
    }
}

#[test]
fn names_too_long_or_with_control_characters() {
    for name in [&"q".repeat(251), "a\tb", "a\0b", "\u{7f}", "a\rb", "\u{1b}"] {
        rejected(format!("set {name} 0 0 7\r\nget x\r\n\r\n"), BAD_FORMAT);
        rejected(format!("set {name} 0 0 7 noreply\r\nget x\r\n\r\n"), "no reply");
        lines_rejected(&[&format!("get {name}"), &format!("gets a {name}"), &format!("get a {name} b")], BAD_FORMAT);
        lines_rejected(&[&format!("delete {name}"), &format!("flush {name}")], BAD_FORMAT);
        rejected(format!("delete {name} noreply\r\n"), "no reply");
    }
}

#[test]
fn numbers_that_are_none() {
    for numbers in ["x 0 7", "-1 0 7", "+1 0 7", "4294967296 0 7", "1.5 0 7", "0 x 7", "0 2147483648 7"] {
        rejected(format!("set q {numbers}\r\nget x\r\n\r\n"), BAD_FORMAT);
        rejected(format!("set q {numbers} noreply\r\nget x\r\n\r\n"), "no reply");
    }
    for numbers in ["0 0 x", "0 0 7x", "0 0 4294967297", "0 0 99999999999999999999", "0 0 1.5", "x 0 -1", "x 0 x"] {
        closed(format!("set q {numbers}\r\n"), BAD_FORMAT);
        closed(format!("set q {numbers} noreply\r\n"), "no reply");
    }
    lines_rejected(&["delete q 5", "delete q x", "delete q 0 x", "delete q noreply 0"], BAD_FORMAT);
    lines_rejected(&["flush_all x", "flush_all 0 x", "verbosity x", "verbosity -1", "verbosity 1 x"], BAD_FORMAT);
    let quiet = ["delete q 5 noreply", "flush_all x noreply", "verbosity x noreply", "verbosity noreply"];
    lines_rejected(&quiet, "no reply");
}

#[test]
fn negative_bytes() {
    for size in ["-1", "-2147483648", "-2147483649", "-9223372036854775808"] {
        closed(format!("set q 0 0 {size}\r\n"), BAD_DATA_CHUNK);
        closed(format!("set q 0 0 {size} noreply\r\n"), "no reply");
    }
}

#[test]
fn bodies_too_large_are_swallowed() {
    rejected(format!("set q 0 0 65\r\n{:65}\r\n", ""), TOO_LARGE);
    rejected(format!("set q 0 0 65 noreply\r\n{:65}\r\n", ""), "no reply");
    rejected(format!("set q 0 0 5000\r\n{}\r\n", "get x\r\n\r\n\n".repeat(500)), TOO_LARGE);
    rejected(format!("set {} 0 0 65\r\n{:65}\r\n", "q".repeat(251), ""), BAD_FORMAT);
    // The answer waits for the end of the body.
    check("set q 0 0 2147483648\r\nget x\r\n", &[]);
    check("set q 0 0 4294967296\r\nget x\r\n", &[]);
    check(format!("set q 0 0 65\r\n{:65}\r", ""), &["1 bytes left"]);
}

#[test]
fn bodies_too_large_are_never_held() {
    let mut parser = Parser::new(64);
    assert_eq!(parser.next(b"set q 0 0 4294967296\r\nabc"), (25, Parse::Incomplete));
    let mut left = (1 << 32) - 3;
    let junk = vec![b'\n'; 1 << 20];
    while left >= junk.len() {
        assert_eq!(parser.next(&junk), (junk.len(), Parse::Incomplete));
        left -= junk.len();
    }
    let mut end = vec![b'\n'; left];
    end.extend_from_slice(b"\r\nget q\r\n");
    assert_eq!(parser.next(&end), (left + 2, Parse::Rejected(Some(Rejection::TooLarge))));
}

#[test]
fn swallowed_bodies_that_do_not_end_where_they_should() {
    rejected(format!("set q 0 0 65\r\n{:65}get x\r\n", ""), TOO_LARGE);
    rejected(format!("set q 0 0 65\r\n{:65}\n", ""), TOO_LARGE);
    rejected(format!("set q 0 0 65\r\n{:65}\rget x\r\n", ""), TOO_LARGE);
    rejected("set q x 0 1 noreply\r\nabc\n", "no reply");
}

/// As its command's line did; and what is between is a body, whatever it looks like.
#[test]
fn a_body_whose_line_ended_in_a_bare_newline_may_end_in_one() {
    rejected("set q 0 0 11\nget x\nget x\n", r#"set q 0 0 "get x\nget x""#);
    rejected("set q 0 0 11\nget x\nget x\r\n", r#"set q 0 0 "get x\nget x""#);
    rejected("set q 0 0 0\n\n", r#"set q 0 0 """#);
    rejected("set q 0 0 1\n\r\n", r#"set q 0 0 "\r""#);
    rejected("set q 0 0 1 noreply\nx\n", r#"set q 0 0 "x" noreply"#);
    rejected("set q 0 0 2\n\r\n\r\n", r#"set q 0 0 "\r\n""#);
    rejected("set q 0 0 1\nabc\n", BAD_DATA_CHUNK);
    rejected("set q 0 0 1\na\rget x\n", BAD_DATA_CHUNK);
    rejected("add q 0 0 11\nget x\nget x\n", ERROR);
    rejected("set q x 0 11\nget x\nget x\r\n", BAD_FORMAT);
    rejected(format!("set q 0 0 65\n{:65}\n", ""), TOO_LARGE);
    rejected(format!("set q 0 0 65\n{:65}\r\n", ""), TOO_LARGE);
    check("set q 0 0 1\nx\r", &["14 bytes left"]);
}

#[test]
fn bodies_not_followed_by_their_end() {
    rejected("set q 0 0 1\r\nabc\r\n", BAD_DATA_CHUNK);
    rejected("set q 0 0 1\r\na\n", BAD_DATA_CHUNK);
    rejected("set q 0 0 1\r\na\rget x\r\n", BAD_DATA_CHUNK);
    rejected("set q 0 0 1\r\na\r\r\n", BAD_DATA_CHUNK);
    rejected("set q 0 0 1 noreply\r\nabc\n", "no reply");
    rejected(format!("set q 0 0 1\r\na{:9000}\n", "x"), BAD_DATA_CHUNK);
    rejected(b"set q 0 0 1\r\na\x80\n", BAD_DATA_CHUNK);
    // The answer does not wait for the newline.
    check("set q 0 0 1\r\nab", &[BAD_DATA_CHUNK]);
}

#[test]
fn lines_too_long() {
    let line = |word: &str, len: usize| format!("{word} {}", "q ".repeat(len)).split_at(len).0.to_owned();
    for end in ["", "\n", "\r\n", "x"] {
        check(line("set", 2049) + end, &[LINE_TOO_LONG]);
        check(line("getx", 2049) + end, &[LINE_TOO_LONG]);
        check("\r".repeat(2049) + end, &[LINE_TOO_LONG]);
    }
    // The \r counts, the \n does not.
    rejected(line("stats", 2048) + "\n", ERROR);
    rejected(line("stats", 2047) + "\r\n", ERROR);
    check(line("set", 2048) + "\r\n", &[LINE_TOO_LONG]);
    check(line("set", 2048), &["2048 bytes left"]);
}

// Not in pieces of a byte: each would look at all that came before.
#[test]
fn lines_of_gets_too_long() {
    for word in ["get", "gets"] {
        let mut line = format!("{word} {}", "q ".repeat(40_000)).into_bytes();
        line.truncate(64 * 1024);
        let used = line.len() + 1;
        assert_eq!(Parser::new(0).next(&line), (0, Parse::Incomplete));
        for end in [&b"x"[..], b"\r\n"] {
            let input = [&line[..], end].concat();
            let too_long = Parse::Close(Some(Rejection::LineTooLong));
            assert_eq!(Parser::new(0).next(&input), (input.len(), too_long));
        }
        let input = [&line[..], b"\n"].concat();
        let (whole, parse) = Parser::new(0).next(&input);
        assert!(matches!(parse, Parse::Command(_)), "{parse:?}");
        assert_eq!(whole, used);
    }
}

#[test]
fn the_binary_protocol_is_closed_at_once() {
    check(b"\x80", &["no reply, close"]);
    check(b"get q\r\n\x80\x00\x00\x01get x\r\n", &["get q", "no reply, close"]);
    // Only at the start of a command's line.
    rejected(b"x\x80\r\n", ERROR);
    check(b"get \x80\r\n", &[r"get \x80"]);
    check(b"set q 0 0 1\r\n\x80\r\n", &[r#"set q 0 0 "\x80""#]);
}

/// Wherever it comes, also after commands of this protocol and in any spelling of a method.
#[test]
fn an_http_request_ends_the_connection() {
    for line in [
        "POST / HTTP/1.1",
        "GET / HTTP/1.0",
        "OPTIONS * HTTP/1.1 ",
        "PRI * HTTP/2.0",
        "CONNECT a:1 HTTP/1.1",
        "set / HTTP/1.1",
        "get q HTTP/1.1",
        "flush_all HTTP/1.1",
        "version HTTP/1.1",
        "ms / HTTP/1.1",
    ] {
        closed(format!("{line}\r\nHost: x\r\nContent-Length: 11\r\n\r\n"), "no reply");
        closed(format!("{line}\n"), "no reply");
    }
    check("\r\n\r\nPOST / HTTP/1.1\r\n\r\nflush_all\r\n", &[ERROR, ERROR, "no reply, close"]);
    // A body is a body.
    check("set q 0 0 15\r\nGET / HTTP/1.1\n\r\n", &[r#"set q 0 0 "GET / HTTP/1.1\n""#]);
    check("get /HTTP/1.1 xHTTP/1.1\r\n", &["get /HTTP/1.1 xHTTP/1.1"]);
}

#[test]
fn other_protocols_are_known_by_their_first_bytes() {
    let firsts: [&[u8]; 22] = [
        b"\x16\x03\x01\x02\x00\x01\x00\n", // TLS
        b"\x80\x2e\x01\x03\x01",           // TLS, as its clients once began
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"AMQP\x00\x00\x09\x01",
        b"*2\r\n$4\r\nECHO\r\n$9\r\n",       // redis
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f", // PostgreSQL
        b"\x3a\x00\x00\x00\x01\x00\x00\x00", // MongoDB
        b"\x10\x0c\x00\x04MQTT\x04\n",
        b"\x05\x01\x00",                             // SOCKS
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f", // ZeroMQ
        b"\0REQ\x00\x00\x00\x01",                    // gearman
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        b"CONNECT\naccept-version:1.2\n\n\0", // STOMP
        b"STOMP\naccept-version:1.2\n\n\0",
        b"CONNECT {}\r\nPUB a 9\r\n", // NATS
        b"  V2IDENTIFY\n",            // NSQ
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"OPTIONS rtsp://x RTSP/1.0\r\n",
        b"INVITE sip:x SIP/2.0\r\n",
        b"GIOP\x01\x02",       // CORBA
        b"EHLO x\r\nDATA\r\n", // mail
        b"NICK x\r\n",
    ];
    for first in firsts {
        let behind = [first, b"\r\nflush_all\r\nversion\r\n"].concat();
        check(&behind, &["no reply, close"]);
        check([&b"\r\n"[..], &behind].concat(), &[ERROR, "no reply, close"]);
    }
    // HAProxy's other greeting begins with lines.
    check(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0cflush_all\r\n", &[ERROR, ERROR, "no reply, close"]);
    // Later on they are what any unknown command is, and a client that begins with one stays welcome.
    check("version\r\n*2\r\nSSH-2.0-x\r\n\tx\r\n", &["Version", ERROR, ERROR, ERROR]);
    lines_rejected(&["hello", "*", "**", "*x", "SSH", "\tx", "CONNEC", "V2", "x RTSP/", "HTTP"], ERROR);
}

#[test]
fn the_words_of_the_replies() {
    let words: [(&[u8], &str); 5] = [
        (reply::CLOSE_CURRENT_ITEM_FIRST, "CLIENT_ERROR close current item first\r\n"),
        (Rejection::LineTooLong.reply(), "CLIENT_ERROR line too long\r\n"),
        (reply::TOO_MANY_CONNECTIONS, "SERVER_ERROR too many open connections\r\n"),
        (reply::FLUSH_ALL_NOT_ALLOWED, "CLIENT_ERROR flush_all not allowed\r\n"),
        (reply::MULTI_PACKET_REQUEST, "SERVER_ERROR multi-packet request not supported\r\n"),
    ];
    for (reply, words) in words {
        assert_eq!(reply, words.as_bytes());
    }
    let lines = [
        (reply::STORED, "STORED"),
        (reply::NOT_STORED, "NOT_STORED"),
        (reply::END, "END"),
        (reply::DELETED, "DELETED"),
        (reply::TOUCHED, "TOUCHED"),
        (reply::NOT_FOUND, "NOT_FOUND"),
        (reply::OK, "OK"),
        (reply::RESET, "RESET"),
    ];
    for (reply, word) in lines {
        assert_eq!(reply, format!("{word}\r\n").as_bytes());
    }
}
