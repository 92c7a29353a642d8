//! A memcache session: one client's commands turned into operations, and outcomes into replies, in the order of the
//! commands.

mod gates;
mod keyed;
mod login;
mod rights;
mod rules;

use log::log_enabled;
use protocol::{Command, Key, Parse, Parser, Queues, reply};
use shards::{Answer, Counters, Op, Outcome, ShardId, Taken, owner_of};

use crate::access::{LOGIN_BYTES_MAX, Pass};
use crate::memcache::answer::{Answers, Reply};
use crate::memcache::greeting::{self, Greetings};
use crate::memcache::trace;
use crate::process::logging;
use crate::session::peer::{Peer, Who};
use crate::session::pending::{Pending, Ready, Waiting};
use crate::session::stored;
use crate::session::{Backend, Control, Step};

use login::Login;
pub(crate) use rules::Rules;

/// Operations of one client that may wait for their outcomes at once. With the largest body it bounds what one client
/// can make the server hold in replies.
const ROUND_OPS_MAX: usize = 128;
/// Of these, messages that other shards may be asked for: their sizes are seen only when they come, and together they
/// are what a client that does not read can make the server hold.
const ROUND_FOREIGN_TAKES_MAX: usize = 32;
const _: () = assert!(
    ROUND_OPS_MAX.is_multiple_of(ROUND_FOREIGN_TAKES_MAX),
    "a foreign take counts as a whole number of operations"
);
/// A round of replies ends when it has grown beyond this.
const ROUND_BYTES_MAX: usize = 256 << 10;

/// One client's state.
#[derive(Debug)]
pub(crate) struct Session {
    /// Named in the log.
    pub(crate) peer: Peer,
    /// There is no connection that could hold a message, or wait for one.
    pub(crate) is_by_datagram: bool,
    parser: Parser,
    rules: Rules,
    /// The client has not logged in, and has to.
    login: Option<Box<Login>>,
    /// The client has logged in; neither: it need not.
    pass: Option<Box<Pass>>,
    greetings: Greetings,
    /// Replies that await outcomes of other shards, and all that are behind such a one.
    pending: Pending<Reply>,
    pub(crate) answers: Answers,
    /// What the names of the queues begin with whose figures were asked for last.
    pub(crate) prefix: Vec<u8>,
    /// What was counted since the conversation took it last.
    pub(crate) counters: Counters,
    /// Commands since the conversation took this last, without those that look at the server and those that wait: how
    /// long their answers took is for `stats latency`.
    pub(crate) timed: u64,
    round_ops: usize,
    /// What is left of a command that takes several rounds.
    unfinished: Option<Unfinished>,
}

/// A command that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unfinished {
    /// The input begins with the names that are left of a get's line, which has so many bytes left.
    Get { with_number: bool, has_children: bool, rest_bytes: usize },
    /// As above, but before anything is taken: whether the user may take from the names in the last `unseen_bytes` of
    /// those bytes was not looked at.
    Look { with_number: bool, has_children: bool, rest_bytes: usize, unseen_bytes: usize },
    /// The shards from this one on have not got the `flush_all`.
    FlushAll { noreply: bool, next: u16 },
}

impl Session {
    pub(crate) fn new(rules: Rules) -> Session {
        Session {
            peer: Peer::Unknown,
            is_by_datagram: false,
            parser: match rules.login {
                true => Parser::for_login(LOGIN_BYTES_MAX),
                false => Parser::with_rules(rules.body_bytes_max, rules.keys),
            },
            rules,
            login: rules.login.then(Box::default),
            pass: None,
            greetings: Greetings::default(),
            pending: Pending::default(),
            answers: Answers::default(),
            prefix: Vec::new(),
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
        if self.login.is_some() {
            return self.before_login(input);
        }
        loop {
            while let Some(unfinished) = self.unfinished {
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
                    if let Some(step @ (Step::Stalled | Step::RoundFull)) = step {
                        // The same command again, when it can be done.
                        self.pass.iter_mut().for_each(|pass| pass.give_back());
                        return (done, step);
                    }
                    self.counters.commands += 1;
                    self.timed += u64::from(!matches!(step, Some(Step::Control(_) | Step::Waiting)));
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
                    trace::closed(self.peer, &input[done..]);
                    rejection.into_iter().for_each(|rejection| self.text(rejection.reply()));
                    Some(Step::Close)
                }
            };
            if self.round_ops == ops_before && self.unfinished.is_none() {
                // What asks nothing of a queue takes its time too.
                self.round_ops += 1;
            }
            if used > 0 && log_enabled!(log::Level::Trace) {
                trace::command(&self.who(), &input[done..done + used]);
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
            Some(Unfinished::Get { rest_bytes, .. } | Unfinished::Look { rest_bytes, .. }) => rest_bytes,
            Some(Unfinished::FlushAll { .. }) | None => 0,
        }
    }

    /// Goes on with a command that was begun. Returns how many bytes of the input that took, and why it has stopped, if it
    /// has.
    fn go_on(&mut self, command: Unfinished, input: &[u8], backend: &mut impl Backend) -> (usize, Option<Step>) {
        match command {
            Unfinished::Get { with_number, has_children, rest_bytes } => {
                let mut queues = Queues::resume(&input[..rest_bytes], has_children);
                let step = self.get(&mut queues, with_number, backend);
                let left = match step {
                    None => 0,
                    Some(_) => queues.rest_bytes(),
                };
                self.unfinished = (left > 0).then_some(Unfinished::Get { with_number, has_children, rest_bytes: left });
                (rest_bytes - left, step)
            }
            Unfinished::Look { with_number, has_children, rest_bytes, unseen_bytes } => {
                self.go_on_looking(with_number, (rest_bytes, unseen_bytes), has_children, input)
            }
            Unfinished::FlushAll { noreply, next } => (0, self.flush_all(next, noreply, backend)),
        }
    }

    fn command(&mut self, command: Command<'_>, backend: &mut impl Backend) -> Option<Step> {
        if self.pass.is_some()
            && let Err(step) = self.check_rights(&command, backend)
        {
            return step;
        }
        match command {
            Command::Set { queue, flags, exptime, body, noreply } => {
                if backend.is_draining() {
                    self.counters.sets += 1;
                    self.outcome(Reply::Set { noreply }, b"", Outcome::NotStored);
                    return None;
                }
                let greets =
                    self.rules.zend_greeting && exptime == greeting::EXPTIME && self.greetings.is_greeting(flags, body);
                let op = match (greets, exptime) {
                    (true, _) => Op::Create { queue },
                    (false, 0) => Op::Put { queue, flags, body },
                    (false, exptime) => Op::PutWith { queue, flags, body, delay_s: None, exptime, id: b"" },
                };
                let step = self.submit(backend, owner_of(queue, self.rules.shards), op, Reply::Set { noreply }, b"");
                self.counters.sets += u64::from(step.is_none());
                if greets && step.is_none() {
                    self.greetings.open(queue);
                }
                return step;
            }
            // Its names may take several rounds. They are gone through as a command that was begun.
            Command::Get { queues, with_number } => {
                let (has_children, rest_bytes) = (queues.has_children(), queues.rest_bytes());
                self.unfinished = Some(Unfinished::Get { with_number, has_children, rest_bytes });
            }
            Command::Flush { key } => {
                let step = self.submit_for(&key, backend, Op::Flush { queue: &stored::name(&key) }, Reply::End);
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
            Command::SetWith { .. }
            | Command::Configure { .. }
            | Command::Consume { .. }
            | Command::Delete { .. }
            | Command::Acknowledge { .. }
            | Command::Unconfigure { .. }
            | Command::Touch { .. } => return self.keyed(command, backend),
            Command::Join { .. }
            | Command::Pay { .. }
            | Command::Extend { .. }
            | Command::Return { .. }
            | Command::StatsGate { .. } => return self.of_gate(command, backend),
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
            Command::StatsQueues { prefix } => {
                self.prefix = prefix.to_vec();
                return Some(Step::Control(Control::StatsQueues));
            }
            Command::StatsConns => return Some(Step::Control(Control::StatsConns)),
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
                let reply = Reply::Value { with_number };
                let step = if queues.has_children() {
                    let key = Key::of_name(queue);
                    self.submit_for(&key, backend, Op::Take { queue: &stored::name(&key) }, reply)
                } else {
                    self.submit(backend, owner_of(queue, self.rules.shards), Op::Take { queue }, reply, queue)
                };
                if step.is_some() {
                    *queues = before;
                    return step;
                }
            }
            self.counters.gets += 1;
        }
        self.outcome(Reply::Got, b"", Outcome::Done);
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
            Answer::Now(outcome) => self.outcome(reply, name, outcome),
            Answer::Later => {
                if matches!(reply, Reply::Value { .. } | Reply::Consumed { .. }) {
                    self.round_ops += ROUND_OPS_MAX / ROUND_FOREIGN_TAKES_MAX - 1;
                }
                self.pending.push(Waiting::ForOutcome(reply), name);
            }
            Answer::Stalled => return Some(Step::Stalled),
        }
        self.round_ops += 1;
        None
    }

    /// Writes the reply to an outcome that is there, now or when its turn comes.
    fn outcome(&mut self, reply: Reply, name: &[u8], outcome: Outcome) {
        if self.pending.is_empty() {
            self.answers.outcome(&mut self.counters, reply, name, outcome);
        } else {
            self.pending.push(Waiting::WithOutcome(reply, outcome), name);
        }
    }

    /// Writes a reply that needs no outcome, now or when its turn comes.
    fn text(&mut self, text: &[u8]) {
        if self.pending.is_empty() {
            self.answers.text(text);
        } else {
            self.pending.push(Waiting::Text, text);
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

    /// The client, for the log.
    pub(crate) fn who(&self) -> Who<'_> {
        Who { peer: self.peer, user: self.pass.as_ref().map(|pass| pass.account().name()) }
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
    pub(crate) fn awaits_no_outcome(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests;
