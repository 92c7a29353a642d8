//! Sessions against two shards that are collections.

use std::collections::VecDeque;

use protocol::KeyRules;
use shards::Moment;

use super::*;

/// Two shards: the queues `far` and `f` are the other's, and its outcomes come when the test delivers them.
#[derive(Default)]
struct Fake {
    queues: std::collections::HashMap<Vec<u8>, VecDeque<Vec<u8>>>,
    later: VecDeque<Outcome>,
    draining: bool,
    /// So many operations of the first shard find that the disk is slow.
    stalls: usize,
    flushed: Vec<u16>,
}

impl Backend for Fake {
    fn is_draining(&self) -> bool {
        self.draining
    }

    fn now(&self) -> Moment {
        Moment::EPOCH
    }

    fn submit(&mut self, to: ShardId, op: Op<'_>) -> Answer {
        if to == ShardId(0) && self.stalls > 0 {
            self.stalls -= 1;
            return Answer::Stalled;
        }
        if op == Op::FlushAll {
            self.flushed.push(to.0);
        }
        let outcome = match op {
            Op::Put { queue, body, .. } | Op::PutWith { queue, body, .. } => {
                self.queues.entry(queue.to_vec()).or_default().push_back(body.to_vec());
                Outcome::Stored
            }
            Op::Take { queue } => match self.queues.get_mut(queue).and_then(VecDeque::pop_front) {
                Some(body) => Outcome::Message(Taken { seq: 1, flags: 0, body: body.into() }),
                None => Outcome::Empty,
            },
            Op::Create { .. } => Outcome::Stored,
            Op::Delete { queue } => self.queues.remove(queue).map_or(Outcome::NotFound, |_| Outcome::Deleted),
            _ => Outcome::Done,
        };
        if to == ShardId(0) {
            return Answer::Now(outcome);
        }
        self.later.push_back(outcome);
        Answer::Later
    }
}

const RULES: Rules = Rules {
    body_bytes_max: 1024,
    flush_all: true,
    zend_greeting: true,
    keys: KeyRules { options: true, fanout: true },
    bare_keys: false,
    open_max: 1,
    wait_ms_max: 300_000,
    config: true,
    login: false,
    shards: 2,
};

fn replies(input: &str) -> String {
    replies_under(RULES, input)
}

fn replies_under(rules: Rules, input: &str) -> String {
    replies_of(rules, &mut Fake::default(), input)
}

fn replies_of(rules: Rules, fake: &mut Fake, input: &str) -> String {
    let mut session = Session::new(rules);
    let mut input = input.as_bytes();
    loop {
        let (done, step) = session.run(input, fake);
        input = &input[done..];
        fake.later.drain(..).for_each(|outcome| session.deliver(outcome));
        assert!(session.awaits_no_outcome());
        if !matches!(step, Step::RoundFull | Step::Stalled) {
            return String::from_utf8(session.answers.out).expect("text");
        }
    }
}

#[test]
fn replies_come_in_the_order_of_the_commands() {
    let input =
        "set far 0 0 1\r\n1\r\nset near 0 0 1\r\n2\r\nget near far\r\nbad\r\nget far\r\nversion\r\ndelete far\r\n";
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "STORED\r\nSTORED\r\nVALUE near 0 1\r\n2\r\nVALUE far 0 1\r\n1\r\nEND\r\nERROR\r\nEND\r\nVERSION {version}\r\n\
         DELETED\r\n"
    );
    assert_eq!(replies(input), expected);
}

#[test]
fn a_command_for_all_shards_is_answered_once() {
    assert_eq!(replies("flush_all\r\nflush_all noreply\r\nflush f\r\n"), "OK\r\nEND\r\n");
}

/// The command that stalls is done once, after those before it and before those behind it.
#[test]
fn what_waits_for_the_disk_is_tried_again() {
    let input = "set near 0 0 1\r\n1\r\nset far 0 0 1\r\n2\r\nget far near nothing\r\nflush_all\r\nversion\r\n";
    let expected = replies(input);
    for stalls in 1..5 {
        let mut fake = Fake { stalls, ..Fake::default() };
        assert_eq!(replies_of(RULES, &mut fake, input), expected);
        assert_eq!(fake.flushed, [0, 1], "each shard once");
    }
    let (mut session, mut fake) = (Session::new(RULES), Fake { stalls: 1, ..Fake::default() });
    assert_eq!(session.run(b"version\r\nget near\r\n", &mut fake), (12, Step::Stalled), "up to the name");
    assert_eq!((session.counters.commands, session.counters.gets), (2, 0));
    assert_eq!(session.run(b" near\r\n", &mut fake), (7, Step::NeedInput));
    assert_eq!((session.counters.commands, session.counters.gets), (2, 1));
}

/// What asks nothing of a queue fills a round too: a client that streams it is not to hold up others.
#[test]
fn every_command_counts_in_a_round() {
    for line in ["version\r\n", "x\r\n", "\r\n", "verbosity 0 noreply\r\n"] {
        let (mut session, mut fake) = (Session::new(RULES), Fake::default());
        let (done, step) = session.run(line.repeat(10 * ROUND_OPS_MAX).as_bytes(), &mut fake);
        assert_eq!((done, step), (ROUND_OPS_MAX * line.len(), Step::RoundFull), "{line}");
    }
}

#[test]
fn a_shard_without_room_is_said_for_all() {
    let (mut session, mut fake) = (Session::new(RULES), Fake::default());
    session.run(b"flush_all\r\nflush_all\r\n", &mut fake);
    session.deliver(Outcome::NoRoom);
    session.deliver(Outcome::Done);
    assert_eq!(session.answers.out, [reply::NO_ROOM, reply::OK].concat());
}

#[test]
fn a_long_pipeline_is_answered_in_rounds() {
    let sets = "set far 0 0 1\r\n1\r\n".repeat(3 * ROUND_OPS_MAX + 5);
    assert_eq!(replies(&sets), "STORED\r\n".repeat(3 * ROUND_OPS_MAX + 5));
}

/// What a client that does not read makes the server hold does not grow with the names on its line.
#[test]
fn a_get_of_many_names_is_answered_in_rounds() {
    let sets = "set far 0 0 1\r\n1\r\nset near 0 0 1\r\n2\r\n".repeat(500);
    let get = format!("get{}\r\nversion\r\n", " far near nothing".repeat(500));
    let (mut session, mut fake) = (Session::new(RULES), Fake::default());
    let mut input = (sets + &get).into_bytes();
    let mut output = Vec::new();
    let mut rounds = 0;
    loop {
        let (done, step) = session.run(&input, &mut fake);
        input.drain(..done);
        assert!(fake.later.len() <= ROUND_OPS_MAX);
        let takes = fake.later.iter().filter(|outcome| matches!(outcome, Outcome::Message(_) | Outcome::Empty));
        assert!(takes.count() <= ROUND_FOREIGN_TAKES_MAX);
        fake.later.drain(..).for_each(|outcome| session.deliver(outcome));
        assert!(session.awaits_no_outcome());
        output.append(&mut session.answers.out);
        rounds += 1;
        if step != Step::RoundFull {
            break;
        }
    }
    assert!(rounds > 500 / ROUND_FOREIGN_TAKES_MAX, "{rounds}");
    let both = "VALUE far 0 1\r\n1\r\nVALUE near 0 1\r\n2\r\n".repeat(500);
    let expected = format!("{}{both}END\r\nVERSION {}\r\n", "STORED\r\n".repeat(1000), env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(output).expect("text"), expected);
    assert_eq!((session.counters.commands, session.counters.gets), (1002, 1500));
}

#[test]
fn noreply_is_silent() {
    assert_eq!(
        replies("set far 0 0 1 noreply\r\n1\r\nset near 0 0 1 noreply\r\n1\r\nget far\r\n"),
        "VALUE far 0 1\r\n1\r\nEND\r\n"
    );
}

#[test]
fn flush_all_can_be_switched_off() {
    let answer = replies_under(Rules { flush_all: false, ..RULES }, "flush_all\r\n");
    assert_eq!(answer.as_bytes(), reply::FLUSH_ALL_NOT_ALLOWED);
}

#[test]
fn a_server_that_drains_refuses_sets_and_serves_gets() {
    let (mut session, mut fake) = (Session::new(RULES), Fake::default());
    session.run(b"set near 0 0 1\r\n1\r\n", &mut fake);
    fake.draining = true;
    session.run(b"set near 0 0 1\r\n2\r\nset near 0 0 1 noreply\r\n3\r\nget near\r\nget near\r\n", &mut fake);
    assert_eq!(session.answers.out, b"STORED\r\nNOT_STORED\r\nVALUE near 0 1\r\n1\r\nEND\r\nEND\r\n");
}

#[test]
fn zend_queues_greeting_destroys_no_message() {
    let commands = "set far 0 0 1\r\n1\r\nset far 0 15 14\r\ncreating queue\r\nget far\r\nget far\r\nget far\r\n";
    let greeting = "VALUE far 0 14\r\ncreating queue\r\nEND\r\n";
    let message = "VALUE far 0 1\r\n1\r\nEND\r\n";
    assert_eq!(replies(commands), format!("STORED\r\nSTORED\r\n{greeting}{message}END\r\n"));
    let off = replies_under(Rules { zend_greeting: false, ..RULES }, commands);
    assert_eq!(off, format!("STORED\r\nSTORED\r\n{message}{greeting}END\r\n"), "then it is a message like any other");
}

/// What looks at the server would otherwise be among what it looks at.
#[test]
fn commands_that_look_at_the_server_are_counted_and_not_timed() {
    let (mut session, mut fake) = (Session::new(RULES), Fake::default());
    let input = b"version\r\nstats latency\r\nget near\r\nbad\r\n";
    let (done, step) = session.run(input, &mut fake);
    assert_eq!(step, Step::Control(Control::StatsLatency));
    assert_eq!((session.counters.commands, session.timed), (2, 1));
    session.run(&input[done..], &mut fake);
    assert_eq!((session.counters.commands, session.timed), (4, 3));
}
