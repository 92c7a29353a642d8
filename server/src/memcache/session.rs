//! A memcache session: one client's commands turned into operations, and outcomes into replies, in the order of the commands.

use log::log_enabled;
use protocol::{Command, Parse, Parser, Queues, reply};
use shards::{Counters, Op, Outcome, ShardId, Taken, owner_of};

use crate::memcache::answer::{Answers, Reply};
use crate::memcache::greeting::{self, Greetings};
use crate::memcache::trace;
use crate::process::logging;
use crate::process::settings::Settings;
use crate::session::peer::Peer;
use crate::session::pending::{Pending, Ready};
use crate::session::{Backend, Control, Step, Submitted};

/// Operations of one client that may wait for their outcomes at once. With the largest body it bounds what one client
/// can make the server hold in replies.
const ROUND_OPS_MAX: usize = 128;
/// Of these, messages that other shards may be asked for: their sizes are not known before they come, and together they
/// are what a client that does not read can make the server hold.
const ROUND_FOREIGN_TAKES_MAX: usize = 32;
/// A round of replies ends when it has grown beyond this.
const ROUND_BYTES_MAX: usize = 256 << 10;

/// What the server's options allow a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Bytes of the largest body.
    pub(crate) body_bytes_max: usize,
    /// Whether `flush_all` is done.
    pub(crate) flush_all: bool,
    /// Whether Zend_Queue's greeting is told from a message.
    pub(crate) zend_greeting: bool,
    /// How many shards there are.
    pub(crate) shards: u16,
}

impl Rules {
    pub(crate) fn of(settings: &Settings) -> Rules {
        Rules {
            body_bytes_max: settings.storage.body_bytes_max,
            flush_all: settings.flush_all,
            zend_greeting: settings.zend_greeting,
            shards: settings.shards,
        }
    }
}

/// One client's state.
#[derive(Debug)]
pub(crate) struct Session {
    /// Named in the log.
    pub(crate) peer: Peer,
    parser: Parser,
    rules: Rules,
    greetings: Greetings,
    /// Replies that await outcomes of other shards, and all that are behind such a one.
    pending: Pending<Reply>,
    pub(crate) answers: Answers,
    /// What was counted since the conversation took it last.
    pub(crate) counters: Counters,
    /// Commands since the conversation took this last, without those that look at the server: how long their answers took is
    /// for `stats latency`.
    pub(crate) timed: u64,
    round_ops: usize,
    /// What is left of a command that takes several rounds.
    unfinished: Option<Unfinished>,
}

/// A command that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unfinished {
    /// The input begins with the names that are left of a get's line, which has so many bytes left.
    Get { with_number: bool, rest_bytes: usize },
    /// The shards from this one on have not been told of a `flush_all`.
    FlushAll { noreply: bool, next: u16 },
}

impl Session {
    pub(crate) fn new(rules: Rules) -> Session {
        Session {
            peer: Peer::Unknown,
            parser: Parser::new(rules.body_bytes_max),
            rules,
            greetings: Greetings::default(),
            pending: Pending::default(),
            answers: Answers::default(),
            counters: Counters::default(),
            timed: 0,
            round_ops: 0,
            unfinished: None,
        }
    }

    /// Goes through the commands in `input`. Returns how many bytes are done with, and why it has stopped.
    pub(crate) fn run(&mut self, input: &[u8], backend: &mut impl Backend) -> (usize, Step) {
        let mut done = 0;
        self.round_ops = 0;
        loop {
            if let Some(unfinished) = self.unfinished {
                let (used, step) = self.go_on(unfinished, &input[done..], backend);
                done += used;
                if let Some(step) = step {
                    return (done, step);
                }
            }
            if self.is_round_full() {
                return (done, Step::RoundFull);
            }
            let (used, parsed) = self.parser.next(&input[done..]);
            let ops_before = self.round_ops;
            let step = match parsed {
                Parse::Command(command) => {
                    let step = self.command(command, backend);
                    if step == Some(Step::Stalled) {
                        // The same command again, when it can be done.
                        return (done, Step::Stalled);
                    }
                    self.counters.commands += 1;
                    self.timed += u64::from(!matches!(step, Some(Step::Control(_))));
                    step
                }
                Parse::Incomplete => Some(Step::NeedInput),
                Parse::Rejected(rejection) => {
                    self.counters.commands += 1;
                    self.timed += 1;
                    rejection.into_iter().for_each(|rejection| self.text(rejection.reply()));
                    None
                }
                Parse::Close(rejection) => {
                    rejection.into_iter().for_each(|rejection| self.text(rejection.reply()));
                    Some(Step::Close)
                }
            };
            if self.round_ops == ops_before && self.unfinished.is_none() {
                // What asks nothing of a queue takes its time too.
                self.round_ops += 1;
            }
            if used > 0 && log_enabled!(log::Level::Trace) {
                trace::command(self.peer, &input[done..done + used]);
            }
            done += used - self.unread_bytes();
            if let Some(step) = step {
                return (done, step);
            }
        }
    }

    /// Bytes at the end of the command that was parsed last which are still to be gone through.
    fn unread_bytes(&self) -> usize {
        match self.unfinished {
            Some(Unfinished::Get { rest_bytes, .. }) => rest_bytes,
            Some(Unfinished::FlushAll { .. }) | None => 0,
        }
    }

    /// Goes on with a command that was begun. Returns how many bytes of the input that took, and why it has stopped, if it
    /// has.
    fn go_on(&mut self, command: Unfinished, input: &[u8], backend: &mut impl Backend) -> (usize, Option<Step>) {
        match command {
            Unfinished::Get { with_number, rest_bytes } => {
                let mut queues = Queues::resume(&input[..rest_bytes]);
                let step = self.get(&mut queues, with_number, backend);
                let left = match step {
                    None => 0,
                    Some(_) => queues.rest_bytes(),
                };
                self.unfinished = (left > 0).then_some(Unfinished::Get { with_number, rest_bytes: left });
                (rest_bytes - left, step)
            }
            Unfinished::FlushAll { noreply, next } => (0, self.flush_all(next, noreply, backend)),
        }
    }

    fn command(&mut self, command: Command<'_>, backend: &mut impl Backend) -> Option<Step> {
        match command {
            Command::Set { queue, flags, exptime, body, noreply } => {
                if backend.is_draining() {
                    self.counters.sets += 1;
                    self.outcome(Reply::Set { noreply }, b"", Outcome::NotStored);
                    return None;
                }
                let greets =
                    self.rules.zend_greeting && exptime == greeting::EXPTIME && self.greetings.is_greeting(flags, body);
                let op = if greets { Op::Create { queue } } else { Op::Put { queue, flags, body } };
                let step = self.submit(backend, self.owner_of(queue), op, Reply::Set { noreply }, b"");
                self.counters.sets += u64::from(step.is_none());
                if greets && step.is_none() {
                    self.greetings.open(queue);
                }
                return step;
            }
            // Its names may take several rounds. They are gone through as a command that was begun.
            Command::Get { queues, with_number } => {
                self.unfinished = Some(Unfinished::Get { with_number, rest_bytes: queues.rest_bytes() });
            }
            Command::Delete { queue, noreply } => {
                let to = self.owner_of(queue);
                return self.submit(backend, to, Op::Delete { queue }, Reply::Delete { noreply }, b"");
            }
            Command::Flush { queue } => {
                let to = self.owner_of(queue);
                let step = self.submit(backend, to, Op::Flush { queue }, Reply::End, b"");
                self.counters.flushes += u64::from(step.is_none());
                return step;
            }
            Command::FlushAll { noreply } if !self.rules.flush_all => {
                if !noreply {
                    self.text(reply::FLUSH_ALL_NOT_ALLOWED);
                }
            }
            Command::FlushAll { noreply } => {
                self.counters.flushes += 1;
                // The input is done with; what is left goes on as a command that was begun.
                self.unfinished = Some(Unfinished::FlushAll { noreply, next: 0 });
            }
            Command::StatsOfCache => self.text(reply::END),
            Command::Version => {
                let mut text = Vec::new();
                reply::version(&mut text, env!("CARGO_PKG_VERSION"));
                self.text(&text);
            }
            Command::Verbosity { level, noreply } => {
                logging::set_verbosity_by_client(level);
                if !noreply {
                    self.text(reply::OK);
                }
            }
            Command::Stats => return Some(Step::Control(Control::Stats)),
            Command::StatsQueue => return Some(Step::Control(Control::StatsQueue)),
            Command::StatsCores => return Some(Step::Control(Control::StatsCores)),
            Command::StatsLatency => return Some(Step::Control(Control::StatsLatency)),
            Command::StatsReset => return Some(Step::Control(Control::StatsReset)),
            Command::StatsSettings => return Some(Step::Control(Control::StatsSettings)),
            Command::DbCheckpoint | Command::DbArchive => return Some(Step::Control(Control::Checkpoint)),
            Command::Quit => return Some(Step::Close),
        }
        None
    }

    /// Takes a message from each queue, as far as the round goes. `None`: that was all.
    fn get(&mut self, queues: &mut Queues<'_>, with_number: bool, backend: &mut impl Backend) -> Option<Step> {
        loop {
            let before = *queues;
            let Some(queue) = queues.next() else { break };
            if self.is_round_full() {
                *queues = before;
                return Some(Step::RoundFull);
            }
            if self.greetings.take(queue) {
                let greeting = Taken { seq: 0, flags: 0, body: greeting::BODY.into() };
                self.outcome(Reply::Value { with_number }, queue, Outcome::Message(greeting));
            } else {
                let to = self.owner_of(queue);
                let step = self.submit(backend, to, Op::Take { queue }, Reply::Value { with_number }, queue);
                if step.is_some() {
                    *queues = before;
                    return step;
                }
            }
            self.counters.gets += 1;
        }
        self.text(reply::END);
        None
    }

    /// Has all shards from `next` on drop their messages. `None`: that was all.
    fn flush_all(&mut self, next: u16, noreply: bool, backend: &mut impl Backend) -> Option<Step> {
        let last = self.rules.shards - 1;
        for shard in next..=last {
            let reply = if shard == last { Reply::Ok { noreply } } else { Reply::Silent };
            let step = self.submit(backend, ShardId(shard), Op::FlushAll, reply, b"");
            if step.is_some() {
                self.unfinished = Some(Unfinished::FlushAll { noreply, next: shard });
                return step;
            }
        }
        self.unfinished = None;
        None
    }

    fn is_round_full(&self) -> bool {
        self.round_ops >= ROUND_OPS_MAX || self.has_much_to_send()
    }

    fn owner_of(&self, queue: &[u8]) -> ShardId {
        owner_of(queue, self.rules.shards)
    }

    /// Has an operation done, and writes its reply now or when its turn comes. `None`: it is under way or done.
    fn submit(
        &mut self,
        backend: &mut impl Backend,
        to: ShardId,
        op: Op<'_>,
        reply: Reply,
        name: &[u8],
    ) -> Option<Step> {
        match backend.submit(to, op) {
            Submitted::Done(outcome) => self.outcome(reply, name, outcome),
            Submitted::Forwarded => {
                if matches!(reply, Reply::Value { .. }) {
                    self.round_ops += ROUND_OPS_MAX / ROUND_FOREIGN_TAKES_MAX - 1;
                }
                self.pending.push_awaited(reply, name);
            }
            Submitted::Stalled => return Some(Step::Stalled),
        }
        self.round_ops += 1;
        None
    }

    /// Writes the reply to an outcome that is there, now or when its turn comes.
    fn outcome(&mut self, reply: Reply, name: &[u8], outcome: Outcome) {
        if self.pending.is_empty() {
            self.answers.outcome(&mut self.counters, reply, name, outcome);
        } else {
            self.pending.push_answered(reply, name, outcome);
        }
    }

    /// Writes a reply that needs no outcome, now or when its turn comes.
    fn text(&mut self, text: &[u8]) {
        if self.pending.is_empty() {
            self.answers.text(text);
        } else {
            self.pending.push_text(text);
        }
    }

    /// Takes the next outcome from another shard, and writes all replies whose turn has come.
    ///
    /// # Panics
    /// When no outcome is awaited.
    pub(crate) fn deliver(&mut self, outcome: Outcome) {
        let Session { pending, answers, counters, .. } = self;
        pending.deliver(outcome, |ready| match ready {
            Ready::Outcome(reply, name, outcome) => answers.outcome(counters, reply, name, outcome),
            Ready::Text(text) => answers.text(text),
        });
    }

    /// Whether what comes next belongs to a command that is being skipped.
    pub(crate) fn is_amid_body(&self) -> bool {
        !self.parser.is_between_commands()
    }

    /// Whether so much is to be sent that it is sent before more is written.
    pub(crate) fn has_much_to_send(&self) -> bool {
        self.answers.out.len() >= ROUND_BYTES_MAX
    }

    /// Whether a get has been answered in part.
    pub(crate) fn is_amid_get(&self) -> bool {
        matches!(self.unfinished, Some(Unfinished::Get { .. }))
    }

    /// Whether all replies are in [`Answers::out`].
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

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

        fn submit(&mut self, to: ShardId, op: Op<'_>) -> Submitted {
            if to == ShardId(0) && self.stalls > 0 {
                self.stalls -= 1;
                return Submitted::Stalled;
            }
            if op == Op::FlushAll {
                self.flushed.push(to.0);
            }
            let outcome = match op {
                Op::Put { queue, body, .. } => {
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
                return Submitted::Done(outcome);
            }
            self.later.push_back(outcome);
            Submitted::Forwarded
        }
    }

    const RULES: Rules = Rules { body_bytes_max: 1024, flush_all: true, zend_greeting: true, shards: 2 };

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
            assert!(session.is_settled());
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
            assert!(session.is_settled());
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
        assert_eq!(
            off,
            format!("STORED\r\nSTORED\r\n{message}{greeting}END\r\n"),
            "then it is a message like any other"
        );
    }
}
