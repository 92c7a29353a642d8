//! Sessions against a shard that says what the test has told it, and notes what it was asked.

use std::collections::VecDeque;

use protocol::KeyRules;
use shards::{Answer, ShardId, Taken};

use super::*;
use crate::memcache::session::Rules;

/// What time it is, in milliseconds.
const NOW: u64 = 5_000;

const RULES: Rules = Rules {
    body_bytes_max: 1024,
    flush_all: true,
    zend_greeting: true,
    keys: KeyRules { options: true, fanout: true },
    bare_keys: false,
    open_max: 3,
    wait_ms_max: 10_000,
    config: true,
    login: false,
    shards: 2,
};

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    asked: Vec<String>,
    draining: bool,
}

impl Backend for Script {
    fn is_draining(&self) -> bool {
        self.draining
    }

    fn now(&self) -> Moment {
        Moment::from_ms(NOW)
    }

    fn submit(&mut self, to: ShardId, op: Op<'_>) -> Answer {
        assert_eq!(to, owner_of(queue_of(&op), RULES.shards), "{op:?}");
        self.asked.push(render(op));
        self.answers.pop_front().unwrap_or(Answer::Now(Outcome::Empty))
    }
}

fn queue_of<'a>(op: &Op<'a>) -> &'a [u8] {
    match *op {
        Op::Put { queue, .. }
        | Op::PutWith { queue, .. }
        | Op::Create { queue }
        | Op::Take { queue }
        | Op::TakeWait { queue, .. }
        | Op::Peek { queue }
        | Op::Open(Open { queue, .. })
        | Op::End { queue, .. }
        | Op::Touch { queue, .. }
        | Op::Kick { queue, .. }
        | Op::Configure { queue, .. }
        | Op::Config { queue }
        | Op::Unconfigure { queue }
        | Op::Delete { queue }
        | Op::Flush { queue } => queue,
        op => panic!("{op:?} has no queue"),
    }
}

/// An operation with its texts as text.
fn render(op: Op<'_>) -> String {
    let queue = queue_of(&op).escape_ascii();
    let which = |which| match which {
        Which::Mine => String::from("mine"),
        Which::Name(name) => name.escape_ascii().to_string(),
        Which::Lease(lease) => lease.to_string(),
    };
    match op {
        Op::PutWith { flags, body, delay_s, exptime, id, .. } => {
            let (body, id) = (body.escape_ascii(), id.escape_ascii());
            format!("put {queue} {flags} {body} delay {delay_s:?} exptime {exptime} id [{id}]")
        }
        Op::TakeWait { until, .. } => format!("take {queue} until {}", until.ms()),
        Op::Open(Open { holder, lease_s, close, until, .. }) => {
            let holder = match holder {
                Holding::Connection { max } => format!("{max} of the connection"),
                Holding::Name(name) => name.escape_ascii().to_string(),
                Holding::Number => String::from("the number"),
            };
            format!("open {queue} for {holder}, {lease_s:?} s, close {close}, until {:?}", until.map(Moment::ms))
        }
        Op::End { which: ended, fate, .. } => format!("end {queue} of {}: {fate:?}", which(ended)),
        Op::Touch { which: touched, lease_s, .. } => format!("touch {queue} of {} {lease_s}", which(touched)),
        Op::Kick { count, .. } => format!("kick {queue} {count}"),
        Op::Configure { words, .. } => format!("configure {queue} {}", words.escape_ascii()),
        op => format!("{} {queue}", format!("{op:?}").split(' ').next().expect("a word").to_ascii_lowercase()),
    }
}

fn message() -> Outcome {
    Outcome::Message(Taken { seq: 7, flags: 9, body: b"hi".as_slice().into() })
}

fn opened() -> Outcome {
    Outcome::Opened { lease: 259, flags: 9, body: b"hi".as_slice().into(), waits: false }
}

/// What is asked of the shard for `input`, and what the client is told when the shard says `outcome`.
fn converse_under(rules: Rules, input: &str, outcome: Outcome) -> (String, String) {
    let mut session = Session::new(rules);
    let mut script = Script { answers: [Answer::Now(outcome)].into(), ..Script::default() };
    assert_eq!(session.run(input.as_bytes(), &mut script), (input.len(), Step::NeedInput), "{input}");
    let reply = String::from_utf8(session.answers.out).expect("text");
    (script.asked.join("; "), reply.replace("\r\n", "|"))
}

#[track_caller]
fn check(input: &str, asked: &str, outcome: Outcome, reply: &str) {
    assert_eq!(converse_under(RULES, input, outcome), (asked.to_owned(), reply.to_owned()), "{input}");
}

#[test]
fn opens() {
    let value = "VALUE q/open 9 2|hi|END|";
    check("get q/open\r\n", "open q for 3 of the connection, None s, close false, until None", opened(), value);
    let with_lease = "VALUE q 9 2 259|hi|END|";
    check("gats 30 q\r\n", "open q for the number, Some(30) s, close false, until None", opened(), with_lease);
    let named = "open q dead for w1, None s, close false, until None";
    check("get q/dead/open/as=w1\r\n", named, opened(), "VALUE q/dead/open/as=w1 9 2|hi|END|");
    let child = "open q +c for 3 of the connection, None s, close true, until None";
    check("get q+c/close/open\r\n", child, Outcome::Made, "END|");
    check("get q+c/close/open\r\n", child, Outcome::NoRoom, "SERVER_ERROR out of memory, no room on the disk|");
    check("get q+c/close/open\r\n", child, Outcome::Held, "CLIENT_ERROR close current item first|");
}

#[test]
fn ends() {
    check("get q/close\r\n", "end q of mine: Acknowledge", Outcome::Ended, "END|");
    check("get q/close/as=w1\r\n", "end q of w1: Acknowledge", Outcome::NotFound, "END|");
    check("get q/abort/delay=5\r\n", "end q of mine: Abort { delay_s: Some(5) }", Outcome::Empty, "END|");
    check("get q/release/lease=7\r\n", "end q of 7: Release { delay_s: None }", Outcome::Ended, "END|");
    check("get q/bury\r\n", "end q of mine: Bury", Outcome::Ended, "END|");
    check("delete q/as=w1\r\n", "end q of w1: Acknowledge", Outcome::Ended, "DELETED|");
    check("delete q/lease=7\r\n", "end q of 7: Acknowledge", Outcome::NotFound, "NOT_FOUND|");
    check("delete q/lease=7 noreply\r\n", "end q of 7: Acknowledge", Outcome::Ended, "");
    check("touch q/as=w1 60\r\n", "touch q of w1 60", Outcome::Touched, "TOUCHED|");
    check("touch q/lease=7 -1\r\n", "touch q of 7 -1", Outcome::NotFound, "NOT_FOUND|");
}

#[test]
fn takes_and_looks() {
    check("gets q/t=500\r\n", "take q until 5501", message(), "VALUE q/t=500 9 2 7|hi|END|");
    check("get q/t=0\r\n", "take q", message(), "VALUE q/t=0 9 2|hi|END|");
    check("get q/t=99999\r\n", "take q until 15001", Outcome::Empty, "END|");
    let peeked = Outcome::Peeked(Taken { seq: 7, flags: 9, body: b"hi".as_slice().into() });
    check("gets q/peek\r\n", "peek q", peeked, "VALUE q/peek 9 2 7|hi|END|");
    check("get q/kick=5\r\n", "kick q 5", Outcome::Kicked(3), "VALUE q/kick=5 0 1|3|END|");
    check("gets q/config\r\n", "config q", Outcome::Words(b"depth=9".to_vec()), "VALUE q/config 0 7 0|depth=9|END|");
    check("get q/config\r\n", "config q", Outcome::Words(Vec::new()), "END|");
}

#[test]
fn puts_and_settings() {
    let put = "put q +c 7 x delay Some(5) exptime 9 id [a]";
    check("set q+c/delay=5/id=a 7 9 1\r\nx\r\n", put, Outcome::Stored, "STORED|");
    check("set q 7 9 1\r\nx\r\n", "put q 7 x delay None exptime 9 id []", Outcome::NotStored, "NOT_STORED|");
    check("set q/config 0 0 7\r\ndepth=9\r\n", "configure q depth=9", Outcome::Configured, "STORED|");
    let bad = Outcome::BadWord(b"depth=x".as_slice().into());
    check("set q/config 0 0 7\r\ndepth=x\r\n", "configure q depth=x", bad, "CLIENT_ERROR bad config depth=x|");
    check("delete q/config\r\n", "unconfigure q", Outcome::Deleted, "DELETED|");
    check("delete q/dead\r\n", "delete q dead", Outcome::Deleted, "DELETED|");
    check("flush q+c/dead\r\n", "flush q +c dead", Outcome::Done, "END|");
}

/// A client that gets an error may throw away what came with it.
#[test]
fn a_get_of_what_the_connection_has_open_is_refused_unless_it_has_a_message() {
    check("get q\r\n", "take q", Outcome::Held, "CLIENT_ERROR close current item first|");
    let (mut session, mut script) = (Session::new(RULES), Script::default());
    script.answers.extend([message(), Outcome::Held, Outcome::Held, Outcome::Held, Outcome::Made].map(Answer::Now));
    session.run(b"get a b\r\nget a b\r\nget q+c\r\n", &mut script);
    assert_eq!(script.asked, ["take a", "take b", "take a", "take b", "take q +c"]);
    let replies = "VALUE a 9 2\r\nhi\r\nEND\r\nCLIENT_ERROR close current item first\r\nEND\r\n";
    assert_eq!(session.answers.out, replies.as_bytes());
}

#[test]
fn options_of_the_server() {
    let bare = Rules { bare_keys: true, ..RULES };
    assert_eq!(converse_under(bare, "get q+c/open\r\n", opened()).1, "VALUE q+c 9 2|hi|END|");
    let alone = Rules { wait_ms_max: 0, config: false, ..RULES };
    assert_eq!(converse_under(alone, "get q/t=500\r\n", message()).0, "take q");
    for (line, reply) in [("set q/config 0 0 1\r\nx\r\n", "NOT_STORED|"), ("delete q/config\r\n", "NOT_FOUND|")] {
        assert_eq!(converse_under(alone, line, Outcome::Empty), (String::new(), reply.to_owned()));
    }
    let off = Rules { keys: KeyRules { options: false, fanout: false }, ..RULES };
    assert_eq!(
        converse_under(off, "get q+c/open\r\n", message()),
        ("take q+c/open".into(), "VALUE q+c/open 9 2|hi|END|".into())
    );
}

/// The replies to what came before are sent while it waits, and what comes behind it is not begun.
#[test]
fn a_get_that_waits_has_a_round_of_its_own() {
    let (mut session, mut script) = (Session::new(RULES), Script::default());
    let input = b"version\r\nget q/t=500\r\nget q\r\n";
    assert_eq!(session.run(input, &mut script), (9, Step::RoundFull));
    assert!(script.asked.is_empty());
    script.answers.push_back(Answer::Later);
    assert_eq!(session.run(&input[9..], &mut script), (13, Step::Waiting));
    assert_eq!((&script.asked[..], session.counters.gets), (&["take q until 5501".to_owned()][..], 1));
    assert_eq!((session.counters.commands, session.timed), (2, 1), "the time that it waited is no answer's");
    session.deliver(message());
    assert!(session.awaits_no_outcome() && session.answers.out.ends_with(b"VALUE q/t=500 9 2\r\nhi\r\nEND\r\n"));
    script.answers.push_back(Answer::Now(message()));
    assert_eq!(session.run(&input[22..], &mut script), (7, Step::NeedInput));
}

/// What stalls is done once, whether it may wait or not.
#[test]
fn a_get_that_stalls_is_tried_again() {
    for line in ["get q/t=500\r\n", "get q/open\r\n", "delete q/as=w1\r\n", "touch q/as=w1 5\r\n"] {
        let (mut session, mut script) = (Session::new(RULES), Script::default());
        script.answers.extend([Answer::Stalled, Answer::Now(Outcome::NotFound)]);
        assert_eq!(session.run(line.as_bytes(), &mut script), (0, Step::Stalled), "{line}");
        assert_eq!((session.counters.gets, session.counters.touches), (0, 0), "{line}");
        assert_eq!(session.run(line.as_bytes(), &mut script), (line.len(), Step::NeedInput), "{line}");
        assert_eq!((session.counters.commands, script.asked.len()), (1, 2), "{line}");
    }
}

#[test]
fn a_server_that_drains_takes_nothing_and_lets_nothing_wait() {
    let (mut session, mut script) = (Session::new(RULES), Script { draining: true, ..Script::default() });
    session.run(b"set q/id=a 0 0 1\r\nx\r\nset q/config 0 0 1\r\nx\r\nget q/open/t=500\r\n", &mut script);
    assert_eq!(script.asked, ["open q for 3 of the connection, None s, close false, until None"]);
    assert_eq!(session.answers.out, b"NOT_STORED\r\nNOT_STORED\r\nEND\r\n");
}

#[test]
fn a_datagram_opens_nothing_and_waits_for_nothing() {
    let (mut session, mut script) = (Session::new(RULES), Script::default());
    session.is_by_datagram = true;
    script.answers.extend([Outcome::Empty, Outcome::NotFound].map(Answer::Now));
    session.run(b"get q/open\r\ngat 30 q\r\nget q/t=5\r\nget q+c\r\ndelete q/as=w1\r\n", &mut script);
    assert_eq!(script.asked, ["take q +c", "end q of w1: Acknowledge"]);
    assert!(session.answers.out.starts_with(&reply::BAD_FORMAT.repeat(3)));
}
