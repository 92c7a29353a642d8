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

#[test]
fn unknown_commands() {
    lines_rejected(&["", " ", "   ", "x", "GET q", "SET q 0 0 1", "getx q", "ge", "touch q 0", "incr q 1"], ERROR);
    rejected("\n", ERROR);
    rejected(b"\x00\xff\r\n", ERROR);
    rejected("get\tq\r\n", ERROR);
}

#[test]
fn wrong_number_of_tokens() {
    lines_rejected(&["set", "set q", "set q 0", "set q 0 0", "set q 0 0 1 noreply x", "set q 0 0 1 x noreply"], ERROR);
    lines_rejected(&["get", "get ", "gets", "gets   "], ERROR);
    lines_rejected(&["delete", "delete q 0 noreply x", "flush", "flush q q", "flush_all 0 noreply x"], ERROR);
    lines_rejected(
        &[
            "stats foo",
            "stats queue x",
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
        rejected(format!("{word} q 0 0 x\r\n"), ERROR);
        rejected(format!("{word} q 0 0 -1 noreply\r\n"), "no reply");
        rejected(format!("{word} q 0 0\r\n"), ERROR);
        rejected(format!("{word} q 0 0 1 noreply x\r\n"), ERROR);
    }
    rejected("cas q 0 0 7 99\r\nget x\r\n\r\n", ERROR);
    rejected("cas q 0 0 7 99 noreply\r\nget x\r\n\r\n", "no reply");
    rejected("cas q 0 0 7\r\n", ERROR);
    rejected("cas q 0 0 7 99 noreply x\r\n", ERROR);
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
    for numbers in ["0 0 x", "0 0 7x", "0 0 2147483646", "0 0 -2147483649", "0 0 99999999999999999999", "x 0 -1"] {
        rejected(format!("set q {numbers}\r\n"), BAD_FORMAT);
        rejected(format!("set q {numbers} noreply\r\n"), "no reply");
    }
    lines_rejected(&["delete q 5", "delete q x", "delete q 0 x", "delete q noreply 0"], BAD_FORMAT);
    lines_rejected(&["flush_all x", "flush_all 0 x", "verbosity x", "verbosity -1", "verbosity 1 x"], BAD_FORMAT);
    let quiet = ["delete q 5 noreply", "flush_all x noreply", "verbosity x noreply", "verbosity noreply"];
    lines_rejected(&quiet, "no reply");
}

#[test]
fn negative_bytes() {
    rejected("set q 0 0 -1\r\n", BAD_DATA_CHUNK);
    rejected("set q 0 0 -2147483648\r\n", BAD_DATA_CHUNK);
    rejected("set q 0 0 -1 noreply\r\n", "no reply");
}

#[test]
fn bodies_too_large_are_swallowed() {
    rejected(format!("set q 0 0 65\r\n{:65}\r\n", ""), TOO_LARGE);
    rejected(format!("set q 0 0 65 noreply\r\n{:65}\r\n", ""), "no reply");
    rejected(format!("set q 0 0 5000\r\n{}\r\n", "get x\r\n\r\n\n".repeat(500)), TOO_LARGE);
    rejected(format!("set {} 0 0 65\r\n{:65}\r\n", "q".repeat(251), ""), BAD_FORMAT);
    // The answer waits for the end of the body.
    check("set q 0 0 2147483645\r\nget x\r\n", &[]);
    check(format!("set q 0 0 65\r\n{:65}\r", ""), &["1 bytes left"]);
}

#[test]
fn bodies_too_large_are_never_held() {
    let mut parser = Parser::new(64);
    assert_eq!(parser.next(b"set q 0 0 2147483645\r\nabc"), (25, Parse::Incomplete));
    let mut left = 2147483645 - 3;
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
    rejected(line("set", 2048) + "\n", ERROR);
    rejected(line("set", 2047) + "\r\n", ERROR);
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

#[test]
fn the_words_of_the_replies() {
    let words: [(&[u8], &str); 4] = [
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
        (reply::NOT_FOUND, "NOT_FOUND"),
        (reply::OK, "OK"),
        (reply::RESET, "RESET"),
    ];
    for (reply, word) in lines {
        assert_eq!(reply, format!("{word}\r\n").as_bytes());
    }
}
