use protocol::KeyRules;
use shards::{Answer, Moment, Op, Outcome, ShardId};

use super::*;
use crate::memcache::session::Rules;
use crate::session::Backend;

const RULES: Rules = Rules {
    body_bytes_max: 1024,
    flush_all: true,
    zend_greeting: false,
    keys: KeyRules { options: true, fanout: true },
    bare_keys: false,
    open_max: 1,
    wait_ms_max: 0,
    config: true,
    login: true,
    shards: 1,
};

/// A shard on which every operation finds nothing, and that counts them.
#[derive(Default)]
struct Empty(usize);

impl Backend for Empty {
    fn is_draining(&self) -> bool {
        false
    }

    fn now(&self) -> Moment {
        Moment::EPOCH
    }

    fn submit(&mut self, _: ShardId, op: Op<'_>) -> Answer {
        self.0 += 1;
        Answer::Now(if matches!(op, Op::Put { .. }) { Outcome::Stored } else { Outcome::Empty })
    }
}

/// All replies to an input that comes in pieces of so many bytes, and how many operations there were. The user is
/// `shop`, its password `a pass`.
fn replies(input: &[u8], piece: usize) -> (String, usize) {
    let (mut session, mut shard, mut held) = (Session::new(RULES), Empty::default(), Vec::new());
    'all: for piece in input.chunks(piece) {
        held.extend_from_slice(piece);
        loop {
            let (used, step) = session.run(&held, &mut shard);
            held.drain(..used);
            let step = match step {
                Step::LogIn => {
                    assert!(session.is_before_login());
                    let asked = session.take_asked();
                    let is_right = (&*asked.name, &*asked.password) == (&b"shop"[..], &b"a pass"[..]);
                    let checked = if is_right { Ok(Account::with("shop", "put=*")) } else { Err(Denied::Wrong) };
                    session.answer_login(&asked, checked)
                }
                step => step,
            };
            match step {
                Step::Close => break 'all,
                Step::NeedInput => break,
                _ => {}
            }
        }
        assert!(held.len() <= 2048 + LOGIN_BYTES_MAX + 2, "{} bytes are held", held.len());
    }
    (String::from_utf8(session.answers.out).expect("text"), shard.0)
}

/// Whatever its pieces are, an input has these replies.
#[track_caller]
fn check(input: &[u8], expected: &str, ops: usize) {
    for piece in [1, 2, 5, 10, 100, 1000, 100_000] {
        let (replies, did) = replies(input, piece);
        assert_eq!((replies.as_str(), did), (expected, ops), "in pieces of {piece}");
    }
}

const UNAUTHENTICATED: &str = "CLIENT_ERROR unauthenticated\r\n";
const FAILURE: &str = "CLIENT_ERROR authentication failure\r\n";

#[test]
fn the_first_set_is_the_login_whatever_its_key_flags_and_time() {
    for line in ["set x 0 0 11", "SET q/open 7 -1 11", "set a+b/ticket=c 0 0 11", "set q/config 0 0 11 "] {
        let input = format!("{line}\r\nshop a pass\r\nset q 0 0 1\r\nx\r\nget q/config\r\n");
        check(input.as_bytes(), "STORED\r\nSTORED\r\nEND\r\n", 2);
    }
    check(b"set x 0 0 11\nshop a pass\nset q 0 0 1\nx\n", "STORED\r\nSTORED\r\n", 1);
    check(b"set x 0 0 11 noreply\r\nshop a pass\r\nset q 0 0 1\r\nx\r\n", "STORED\r\n", 1);
}

#[test]
fn nothing_is_done_before_the_login_and_the_connection_stays_in_step() {
    for line in ["get q", "version", "quit", "stats", "flush_all", "no such command", "", "delete q", "gets a b c"] {
        let input = format!("{line}\r\n{line}\r\nset x 0 0 11\r\nshop a pass\r\nset q 0 0 1\r\nx\r\n");
        check(input.as_bytes(), &format!("{UNAUTHENTICATED}{UNAUTHENTICATED}STORED\r\nSTORED\r\n"), 1);
    }
    for line in ["add q/ticket=a 0 0 6\r\nversio\r\n", "cas q 0 0 6 1\r\nversio\r\n", "set a\u{7f} 0 0 6\r\nversio\r\n"]
    {
        check(format!("{line}version\r\n").as_bytes(), &format!("{UNAUTHENTICATED}{UNAUTHENTICATED}"), 0);
    }
    check(b"flush_all noreply\r\nversion\r\n", UNAUTHENTICATED, 0);
    check(
        b"set q 0 0 5\r\nshop a pass\r\nversion\r\n",
        &format!("CLIENT_ERROR bad data chunk\r\n{UNAUTHENTICATED}"),
        0,
    );
}

#[test]
fn three_failures_and_it_is_closed() {
    let wrong = "set x 0 0 9\r\nshop pass\r\n";
    let right = "set x 0 0 11\r\nshop a pass\r\n";
    check(format!("{wrong}{wrong}{right}").as_bytes(), &format!("{FAILURE}{FAILURE}STORED\r\n"), 0);
    let closed = format!("{wrong}version\r\n{wrong}{wrong}{right}set q 0 0 1\r\nx\r\n");
    check(closed.as_bytes(), &format!("{FAILURE}{UNAUTHENTICATED}{FAILURE}{FAILURE}"), 0);
}

#[test]
fn a_body_that_is_no_name_and_password_is_no_try() {
    let bad = "CLIENT_ERROR bad authentication token format\r\n";
    for body in ["", "shop", "shop ", " pass", &"p".repeat(100_000), &format!("shop {}", "p".repeat(LOGIN_BYTES_MAX))] {
        let input = format!("set x 0 0 {}\r\n{body}\r\n", body.len()).repeat(4);
        check(format!("{input}version\r\n").as_bytes(), &format!("{}{UNAUTHENTICATED}", bad.repeat(4)), 0);
    }
}

/// A get's line may be 65,536 bytes long otherwise.
#[test]
fn long_lines_and_other_protocols_close() {
    let long = format!("get {}\r\nversion\r\n", "q ".repeat(5000));
    check(long.as_bytes(), "CLIENT_ERROR line too long\r\n", 0);
    check("x".repeat(100_000).as_bytes(), "CLIENT_ERROR line too long\r\n", 0);
    check(b"POST / HTTP/1.1\r\n\r\nset x 0 0 11\r\nshop a pass\r\n", "", 0);
    check(b"\x16\x03\x01", "", 0);
    check(b"version\r\n\x80xx", UNAUTHENTICATED, 0);
    // Behind the login a line is as long as ever.
    let after = format!("set x 0 0 11\r\nshop a pass\r\nget {}\r\n", "q".repeat(250));
    assert!(replies(after.as_bytes(), 7).0.starts_with("STORED\r\nCLIENT_ERROR not allowed, user shop lacks take=q"));
}

/// A password is not to be seen in the log.
#[test]
fn what_was_asked_hides_the_password() {
    let mut session = Session::new(RULES);
    assert_eq!(session.run(b"set x 0 0 11\r\nshop a pass\r\n", &mut Empty::default()).1, Step::LogIn);
    let shown = format!("{session:?}");
    assert!(shown.contains("shop") && !shown.contains("a pass"), "{shown}");
}
