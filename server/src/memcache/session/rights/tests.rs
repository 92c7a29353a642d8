use std::sync::Arc;

use protocol::KeyRules;
use shards::{Answer, GateAnswer, GateAnswered, Moment, Op, ShardId};

use super::*;
use crate::access::{Account, Pass};
use crate::memcache::session::Rules;
use crate::session::Control;

const RULES: Rules = Rules {
    body_bytes_max: 1024,
    flush_all: true,
    zend_greeting: false,
    keys: KeyRules { options: true, fanout: true },
    bare_keys: false,
    open_max: 1,
    wait_ms_max: 0,
    config: true,
    login: false,
    shards: 1,
};

/// A shard that counts what it is asked, and stores all.
#[derive(Default)]
struct Shard {
    ops: usize,
    stalls: usize,
    now_ms: u64,
}

impl Backend for Shard {
    fn is_draining(&self) -> bool {
        false
    }

    fn now(&self) -> Moment {
        Moment::from_ms(self.now_ms)
    }

    fn submit(&mut self, _: ShardId, op: Op<'_>) -> Answer {
        if self.stalls > 0 {
            self.stalls -= 1;
            return Answer::Stalled;
        }
        self.ops += 1;
        Answer::Now(match op {
            Op::Put { .. } | Op::PutWith { .. } => Outcome::Stored,
            Op::FlushAll | Op::Flush { .. } => Outcome::Done,
            Op::Gate { .. } => Outcome::Gate(GateAnswered { answer: GateAnswer::Unknown, waits: false }),
            Op::GateFigures { .. } => Outcome::GateFigures(None),
            Op::End { .. } | Op::Delete { .. } | Op::Unconfigure { .. } | Op::Touch { .. } => Outcome::NotFound,
            Op::Configure { .. } => Outcome::Configured,
            _ => Outcome::Empty,
        })
    }
}

fn session(account: &Arc<Account>) -> Session {
    let mut session = Session::new(RULES);
    session.pass = Some(Box::new(Pass::new(Arc::clone(account))));
    session
}

/// Runs an input to its end. Returns the replies, and why it has stopped.
fn run(session: &mut Session, shard: &mut Shard, input: &str) -> (String, Step) {
    let mut input = input.as_bytes();
    loop {
        let (done, step) = session.run(input, shard);
        input = &input[done..];
        if !matches!(step, Step::RoundFull | Step::Stalled) {
            let replies = std::mem::take(&mut session.answers.out);
            return (String::from_utf8(replies).expect("text"), step);
        }
    }
}

/// Every command, with the right that it needs; none: to be logged in.
const COMMANDS: [(&str, &str); 52] = [
    ("set q 0 0 1\r\nx", "put=q"),
    ("set q+c 0 0 1\r\nx", "put=q+c"),
    ("set q/delay=9 0 0 1\r\nx", "put=q"),
    ("set q/id=a 0 0 1\r\nx", "put=q"),
    ("add q/ticket=a 0 0 1\r\nx", "put=q"),
    ("incr q/ticket=a 1", "put=q"),
    ("get q/ticket=a", "put=q"),
    ("get q/paid=a", "put=q"),
    ("touch q/ticket=a 9", "put=q"),
    ("touch q/ticket=a 0", "put=q"),
    ("delete q/ticket=a", "put=q"),
    ("get q", "take=q"),
    ("get q/dead", "take=q"),
    ("get q+c/dead", "take=q+c"),
    ("gets q", "take=q"),
    ("get a/b", "take=a/b"),
    ("get q/t=9", "take=q"),
    ("get q/open", "take=q"),
    ("gets q/open/for=9", "take=q"),
    ("get q/close", "take=q"),
    ("get q/close/open", "take=q"),
    ("get q/abort", "take=q"),
    ("get q/release", "take=q"),
    ("get q/bury", "take=q"),
    ("get q/peek", "take=q"),
    ("get q/dead/peek", "take=q"),
    ("get q/kick=9", "take=q"),
    ("gat 9 q", "take=q"),
    ("gats 9 q", "take=q"),
    ("touch q/lease=7 9", "take=q"),
    ("delete q/lease=7", "take=q"),
    ("delete q/as=a", "take=q"),
    ("get q/config", "put= or take=q"),
    ("get q/place=a", "put= or take=q"),
    ("set q/config 0 0 7\r\ndepth=1", "admin"),
    ("delete q/config", "admin"),
    ("delete q", "admin"),
    ("delete q/dead", "admin"),
    ("flush q", "admin"),
    ("flush_all", "admin"),
    ("stats conns", "admin"),
    ("stats settings", "admin"),
    ("stats reset", "admin"),
    ("verbosity 1", "admin"),
    ("db_checkpoint", "admin"),
    ("db_archive", "admin"),
    ("stats", ""),
    ("stats queues", ""),
    ("stats gate q", ""),
    ("get q/gate", ""),
    ("version", ""),
    ("quit", ""),
];

#[test]
fn each_command_needs_its_right_and_no_other() {
    for (command, needs) in COMMANDS {
        let line = format!("{command}\r\n");
        let refused = format!("CLIENT_ERROR not allowed, user u lacks {needs}\r\n");
        let is_refused = |words: &str| {
            let mut shard = Shard::default();
            let mut of_user = session(&Account::with("u", words));
            let (replies, _) = run(&mut of_user, &mut shard, &line);
            assert!(replies == refused || !replies.contains("not allowed"), "{command}: {replies}");
            assert!(replies != refused || shard.ops == 0, "{command} does something");
            replies == refused
        };
        // The names in the table have no star and no question mark.
        let rights: &[&str] = match needs.split_once(" or take=") {
            Some((_, queue)) => &[&format!("put={queue}"), &format!("take={queue}")],
            None => &[needs],
        };
        for words in rights.iter().chain(&["admin"]) {
            assert!(!is_refused(words), "{command} with {words}");
        }
        let all_but_this = match needs.split_once('=') {
            None if needs.is_empty() => continue,
            Some(("put", _)) if rights.len() == 1 => "take=*",
            Some(("take", _)) => "put=*",
            Some(_) => "put=x take=y",
            None => "put=* take=*",
        };
        for words in [all_but_this, "", "put=Q take=qq"] {
            assert!(is_refused(words), "{command} with {words:?}");
        }
    }
}

#[test]
fn the_other_figures_need_a_login_alone() {
    let mut monitor = session(&Account::with("monitor", ""));
    for (command, control) in [
        ("stats queue", Control::StatsQueue),
        ("stats cores", Control::StatsCores),
        ("stats latency", Control::StatsLatency),
    ] {
        let step = run(&mut monitor, &mut Shard::default(), &format!("{command}\r\n")).1;
        assert_eq!(step, Step::Control(control));
    }
    assert_eq!(run(&mut monitor, &mut Shard::default(), "stats items\r\n").0, "END\r\n");
}

#[test]
fn what_is_refused_has_its_body_swallowed_and_no_answer_where_none_is_asked_for() {
    let (mut shard, mut shop) = (Shard::default(), session(&Account::with("shop", "put=a")));
    let input = "set b 0 0 9\r\nflush_all\r\nset b 0 0 1 noreply\r\nx\r\nflush_all noreply\r\nset a 0 0 1\r\ny\r\n";
    let expected = "CLIENT_ERROR not allowed, user shop lacks put=b\r\nSTORED\r\n";
    assert_eq!(run(&mut shop, &mut shard, input), (expected.to_string(), Step::NeedInput));
    assert_eq!(shard.ops, 1);
}

/// However many names there are, nothing is taken when one of them is not allowed.
#[test]
fn a_get_of_many_names_is_looked_at_as_a_whole() {
    let account = Account::with("worker", "take=a*,b");
    for names in [2, NAMES_AT_ONCE - 1, NAMES_AT_ONCE, NAMES_AT_ONCE + 1, 5 * NAMES_AT_ONCE] {
        for children in ["", "+c"] {
            let good = format!("get {}", format!("a{children} b ").repeat(names / 2));
            let mut shard = Shard::default();
            let (replies, _) = run(&mut session(&account), &mut shard, &format!("{good}\r\nversion\r\n"));
            assert!(replies.starts_with("END\r\nVERSION "), "{replies}");
            assert_eq!(shard.ops, names / 2 * 2);
            let (replies, _) = run(&mut session(&account), &mut shard, &format!("{good} c\r\nversion\r\n"));
            assert!(replies.starts_with("CLIENT_ERROR not allowed, user worker lacks take=c\r\nVERSION "), "{replies}");
            assert_eq!(shard.ops, names / 2 * 2, "nothing was taken");
        }
    }
}

/// Names are looked at a few at a time.
#[test]
fn a_long_line_leaves_time_for_others() {
    let (mut shard, mut worker) = (Shard::default(), session(&Account::with("worker", "take=a*")));
    let line = format!("get {}\r\n", "a ab ".repeat(2 * NAMES_AT_ONCE));
    let (used, step) = worker.run(line.as_bytes(), &mut shard);
    assert_eq!((step, shard.ops), (Step::RoundFull, 0));
    assert!(used < 10, "the names are still to be gone through: {used}");
}

#[test]
fn a_user_that_is_out_is_closed_at_the_next_command() {
    let account = Account::with("shop", "put=a");
    let (mut shard, mut shop) = (Shard::default(), session(&account));
    assert_eq!(run(&mut shop, &mut shard, "set a 0 0 1\r\nx\r\n").0, "STORED\r\n");
    account.end();
    let closed = run(&mut shop, &mut shard, "set a 0 0 1\r\nx\r\nset a 0 0 1\r\nx\r\n");
    assert_eq!((closed, shard.ops), ((reply_text(), Step::Close), 1));
}

fn reply_text() -> String {
    String::from_utf8_lossy(reply::UNAUTHENTICATED).into_owned()
}

#[test]
fn puts_beyond_the_rate_are_refused_for_now() {
    // A message of 68 bytes is 100.
    let set = format!("set a 0 0 68\r\n{}\r\n", "x".repeat(68));
    let account = Account::with("shop", "put=* rate=1000");
    let mut shard = Shard { now_ms: 1_764_400_000_000, ..Shard::default() };
    let mut connections = [session(&account), session(&account)];
    let replies: String = (0..12).map(|n| run(&mut connections[n % 2], &mut shard, &set).0).collect();
    assert_eq!(replies, "STORED\r\n".repeat(10) + &"NOT_STORED\r\n".repeat(2), "on all its connections together");
    assert_eq!((shard.ops, connections[0].counters.sets), (10, 6));
    shard.now_ms += 100;
    shard.stalls = 3;
    let one = run(&mut connections[0], &mut shard, &set.repeat(2)).0;
    assert_eq!(one, "STORED\r\nNOT_STORED\r\n", "what was tried again is paid once");
    let quick = format!("set a/id=1 0 0 68 noreply\r\n{0}\r\nset a 0 0 68\r\n{0}\r\n", "x".repeat(68));
    shard.now_ms += 100;
    assert_eq!(run(&mut connections[0], &mut shard, &quick).0, "NOT_STORED\r\n");
    assert_eq!(shard.ops, 12);
}
