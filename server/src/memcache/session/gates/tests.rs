//! A gate's commands against a shard that says what the test has told it, and notes what it was asked.

use std::collections::VecDeque;

use protocol::KeyRules;
use shards::{Answer, GateAnswer, GateAnswered, GateCurve, GateFigures, GateState, Moment, Outcome, ShardId, owner_of};

use super::*;
use crate::memcache::session::Rules;

const RULES: Rules = Rules {
    body_bytes_max: 1024,
    flush_all: true,
    zend_greeting: true,
    keys: KeyRules { options: true, fanout: true },
    bare_keys: false,
    open_max: 1,
    wait_ms_max: 10_000,
    config: true,
    login: false,
    shards: 2,
};

const FIGURES: GateFigures = GateFigures {
    tickets: 100,
    given: 57,
    paid: 3,
    held: 54,
    returned: 0,
    lapsed: 1,
    line: 5,
    refused: 7,
    repeats: 2,
    state: GateState::SoldOut,
    first_ms: 1_700_000_000_003,
    last_ms: 0,
    curve: GateCurve::EMPTY,
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
        Moment::EPOCH
    }

    fn submit(&mut self, to: ShardId, op: Op<'_>) -> Answer {
        let (queue, text) = match op {
            Op::Gate { queue, buyer, act } => (queue, format!("{} {}", render(act), buyer.escape_ascii())),
            Op::GateFigures { queue } => (queue, String::from("figures")),
            op => panic!("{op:?} is not asked of a gate"),
        };
        assert_eq!(to, owner_of(queue, RULES.shards));
        self.asked.push(format!("{} {text}", queue.escape_ascii()));
        self.answers.pop_front().expect("the test says what is answered")
    }
}

fn render(act: GateAct<'_>) -> String {
    match act {
        GateAct::Join { message, admits } => {
            let message = message.map(|(flags, body)| format!(" with {flags} {}", body.escape_ascii()));
            format!("join{}{}", message.unwrap_or_default(), if admits { "" } else { " drained" })
        }
        act => format!("{act:?}"),
    }
}

/// What is asked of the shard for `input`, and what the client is told when the shard says `outcome`.
fn converse_under(rules: Rules, input: &str, outcome: Outcome) -> (String, String) {
    let mut session = Session::new(rules);
    let mut script = Script { answers: [Answer::Now(outcome)].into(), ..Script::default() };
    assert_eq!(session.run(input.as_bytes(), &mut script), (input.len(), Step::NeedInput), "{input}");
    let reply = String::from_utf8(session.answers.out).expect("text");
    (script.asked.join("; "), reply.replace("\r\n", "|"))
}

fn told(answer: GateAnswer) -> Outcome {
    Outcome::Gate(GateAnswered { answer, waits: false })
}

/// A line, what is asked of the gate for it, and for each of its answers what the client is told.
#[track_caller]
fn check(input: &str, asked: &str, replies: &[(GateAnswer, &str)]) {
    let further = [(GateAnswer::NotNow, "SERVER_ERROR try again|")];
    for (answer, reply) in replies.iter().chain(&further) {
        let came = converse_under(RULES, input, told(*answer));
        assert_eq!(came, (asked.to_owned(), (*reply).to_owned()), "{input} {answer:?}");
    }
}

#[test]
fn a_join_is_answered_in_the_words_of_its_command() {
    use GateAnswer::{InLine, Seat, SoldOut};
    let seat = [(Seat(17), "VALUE c/ticket=a/b 0 2|17|END|"), (SoldOut, "END|"), (InLine(3), "END|")];
    check("get c/ticket=a/b\r\n", "c join a/b", &seat);
    check("gets c/ticket=a\r\n", "c join a", &[(Seat(9), "VALUE c/ticket=a 0 1 0|9|END|"), (SoldOut, "END|")]);
    let count = [(Seat(100_000_000), "100000000|"), (SoldOut, "NOT_FOUND|"), (InLine(1), "NOT_FOUND|")];
    check("incr c/ticket=a 1\r\n", "c join a", &count);
    let stored = [(Seat(1), "STORED|"), (SoldOut, "NOT_STORED|"), (InLine(1), "NOT_STORED|")];
    check("add c/ticket=a 7 0 4\r\nx\r\ny\r\n", r"c join with 7 x\r\ny a", &stored);
}

#[test]
fn a_look_is_told_what_the_buyer_has() {
    use GateAnswer::{Held, InLine, Paid, Unknown};
    let replies = [
        (Held { seat: 17, left_s: 412 }, "VALUE c/place=a 0 11|17 held 412|END|"),
        (Paid { seat: 17 }, "VALUE c/place=a 0 7|17 paid|END|"),
        (InLine(3), "VALUE c/place=a 0 6|3 line|END|"),
        (Unknown, "END|"),
    ];
    check("get c/place=a\r\n", "c Look a", &replies);
    check("gets c/place=a\r\n", "c Look a", &[(InLine(3), "VALUE c/place=a 0 6 0|3 line|END|")]);
}

#[test]
fn what_becomes_of_a_ticket_is_answered_in_the_words_of_its_command() {
    use GateAnswer::{Done, NoMoreTime, Seat, Unknown};
    check("touch c/ticket=a 0\r\n", "c Pay a", &[(Seat(3), "TOUCHED|"), (Unknown, "NOT_FOUND|")]);
    check("get c/paid=a\r\n", "c Pay a", &[(Seat(3), "VALUE c/paid=a 0 1|3|END|"), (Unknown, "END|")]);
    let extended = [(Done, "TOUCHED|"), (Unknown, "NOT_FOUND|"), (NoMoreTime, "CLIENT_ERROR no more time|")];
    check("touch c/ticket=a 60\r\n", "c Extend { seconds: 60 } a", &extended);
    check("delete c/ticket=a\r\n", "c Return a", &[(Done, "DELETED|"), (Unknown, "NOT_FOUND|")]);
}

#[test]
fn noreply_is_silent_whatever_the_gate_says() {
    let lines = ["incr c/ticket=a 1", "touch c/ticket=a 0", "touch c/ticket=a 5", "delete c/ticket=a"];
    for line in lines
        .map(|line| format!("{line} noreply\r\n"))
        .into_iter()
        .chain(["add c/ticket=a 0 0 0 noreply\r\n\r\n".into()])
    {
        for answer in [GateAnswer::Seat(1), GateAnswer::NotNow, GateAnswer::NoMoreTime] {
            let (asked, reply) = converse_under(RULES, &line, told(answer));
            assert_eq!((asked.is_empty(), reply.as_str()), (false, ""), "{line} {answer:?}");
        }
    }
}

#[test]
fn figures_are_told_on_one_line_or_on_one_each() {
    let figures = || Outcome::GateFigures(Some(Box::new(FIGURES)));
    let line = "tickets=100 given=57 paid=3 held=54 returned=0 lapsed=1 line=5 refused=7 repeats=2 state=sold_out \
                first=1700000000.003 last=0";
    let value = format!("VALUE c/gate 0 {}|{line}|END|", line.len());
    assert_eq!(converse_under(RULES, "get c/gate\r\n", figures()), ("c figures".into(), value));
    let stats: String = line.split(' ').map(|word| format!("STAT {}|", word.replace('=', " "))).collect();
    assert_eq!(converse_under(RULES, "stats gate c\r\n", figures()), ("c figures".into(), stats + "END|"));
    for line in ["get c/gate\r\n", "gets c/gate\r\n", "stats gate c\r\n"] {
        assert_eq!(converse_under(RULES, line, Outcome::GateFigures(None)).1, "END|");
    }
    let states = [
        (GateState::None, "none"),
        (GateState::Before, "before"),
        (GateState::Open, "open"),
        (GateState::Closed, "closed"),
    ];
    for (state, word) in states {
        let figures = Outcome::GateFigures(Some(Box::new(GateFigures { state, ..FIGURES })));
        let told = converse_under(RULES, "stats gate c\r\n", figures).1;
        assert!(told.contains(&format!("|STAT state {word}|")), "{told}");
    }
}

#[test]
fn the_answer_can_have_the_bare_name() {
    let bare = Rules { bare_keys: true, ..RULES };
    let came = converse_under(bare, "get c/ticket=a\r\n", told(GateAnswer::Seat(1)));
    assert_eq!(came.1, "VALUE c 0 1|1|END|");
}

/// Who has a ticket is told so: the gate decides, and it is told that no other is to be given.
#[test]
fn a_server_that_drains_gives_no_ticket() {
    let mut session = Session::new(RULES);
    let answers = [GateAnswer::NotNow, GateAnswer::Seat(1), GateAnswer::NotNow, GateAnswer::Unknown];
    let answers = answers.map(|answer| Answer::Now(told(answer))).into();
    let mut script = Script { answers, draining: true, ..Script::default() };
    session.run(b"get c/ticket=a\r\nincr c/ticket=b 1\r\nadd c/ticket=a 0 0 1\r\nx\r\nget c/place=a\r\n", &mut script);
    assert_eq!(script.asked, ["c join drained a", "c join drained b", "c join with 0 x drained a", "c Look a"]);
    assert_eq!(session.answers.out, b"SERVER_ERROR try again\r\n1\r\nSERVER_ERROR try again\r\nEND\r\n");
}

#[test]
fn a_datagram_asks_nothing_of_a_gate() {
    let mut session = Session::new(RULES);
    session.is_by_datagram = true;
    let input = "get c/ticket=a\r\nget c/place=a\r\nget c/paid=a\r\nget c/gate\r\nstats gate c\r\nincr c/ticket=a 1\r\n\
                 touch c/ticket=a 0\r\ntouch c/ticket=a 5\r\ndelete c/ticket=a\r\nadd c/ticket=a 0 0 1\r\nx\r\n";
    let silent = "incr c/ticket=a 1 noreply\r\nadd c/ticket=a 0 0 1 noreply\r\nx\r\n";
    let mut script = Script::default();
    session.run(format!("{input}{silent}").as_bytes(), &mut script);
    assert!(script.asked.is_empty());
    assert_eq!(session.answers.out, reply::BAD_FORMAT.repeat(10));
}

/// What another shard answers later is told in the order of the commands, and what stalls is asked once more.
#[test]
fn answers_keep_the_order_of_their_commands() {
    let mut session = Session::new(RULES);
    let answers = [Answer::Later, Answer::Now(told(GateAnswer::SoldOut)), Answer::Stalled];
    let mut script = Script { answers: answers.into(), ..Script::default() };
    let input = b"get c/ticket=a\r\nincr c/ticket=b 1\r\ntouch c/ticket=a 0\r\n";
    assert_eq!(session.run(input, &mut script), (35, Step::Stalled));
    assert!(session.answers.out.is_empty());
    session.deliver(told(GateAnswer::Seat(5)));
    assert_eq!(session.answers.out, b"VALUE c/ticket=a 0 1\r\n5\r\nEND\r\nNOT_FOUND\r\n");
    script.answers.push_back(Answer::Now(told(GateAnswer::Seat(5))));
    assert_eq!(session.run(&input[35..], &mut script), (20, Step::NeedInput));
    assert!(session.answers.out.ends_with(b"NOT_FOUND\r\nTOUCHED\r\n"));
}
