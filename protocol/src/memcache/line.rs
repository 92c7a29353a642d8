//! What a command's line says, once it is here with its end.

use super::act::{self, Act, Which};
use super::command::{Command, Queues};
use super::foreign::foreign;
use super::key::{self, Key, KeyRules, Look};
use super::number;
use super::options::{self, CONFIG, DEAD, DELAY, ID, LEASE, NAME, SECONDS_MAX, TICKET};
use super::rejection::Rejection;
use super::tokens::Tokens;

/// The most bytes that a body may be said to have: 4 GiB. What is larger than a server takes is passed over as it comes,
/// and a larger claim closes the connection.
const CLAIM_BYTES_MAX: u64 = 1 << 32;

/// The token that asks for no reply.
const NOREPLY: &[u8] = b"noreply";

/// A line, understood.
pub(crate) enum Line<'a> {
    /// The line is all there is to it.
    Whole(Command<'a>),
    /// A set: its body follows.
    Set { to: SetTo<'a>, flags: u32, exptime: i64, body_bytes: usize, noreply: bool },
    /// Bad, and no body follows. None: no reply is sent.
    Rejected(Option<Rejection>),
    /// Bad, and a body follows, which must not be taken for commands.
    RejectedWithBody { body_bytes: usize, then: Option<Rejection> },
    /// Bad, and a body follows whose size is not known: what comes next may be anything, and is no command.
    RejectedWithBodyOfUnknownSize(Option<Rejection>),
}

/// Where a set's body goes.
pub(crate) enum SetTo<'a> {
    /// Into the queue of this name.
    Queue(&'a [u8]),
    /// Into a queue or a child, with what its key says.
    Key { key: Key<'a>, delay_s: Option<u32>, id: &'a [u8] },
    /// It is a queue's settings.
    Config(Key<'a>),
    /// Into a queue, with a ticket for the buyer.
    Ticket { key: Key<'a>, buyer: &'a [u8] },
}

use Line::{Rejected, RejectedWithBody, RejectedWithBodyOfUnknownSize, Whole};

/// The longest command word, in bytes.
const WORD_BYTES_MAX: usize = b"db_checkpoint".len();

const ERROR: Line<'static> = Rejected(Some(Rejection::Error));
const BAD_FORMAT: Line<'static> = Rejected(Some(Rejection::BadFormat));
/// The tokens of a storing command are not as many as they should be, so none of them can be told to be the size.
pub(crate) const UNKNOWN_SIZE: Line<'static> = RejectedWithBodyOfUnknownSize(Some(Rejection::Error));

/// Understands `line`, which is without its end; that has `end_bytes`.
#[inline]
pub(crate) fn understand(line: &[u8], end_bytes: usize, rules: KeyRules) -> Line<'_> {
    let mut tokens = Tokens::new(line);
    let Some(word) = tokens.next() else { return ERROR };
    match word {
        b"set" => set(tokens, rules),
        b"get" => get(tokens, false, end_bytes, rules),
        b"gets" => get(tokens, true, end_bytes, rules),
        word => other(word, tokens, end_bytes, rules),
    }
}

/// All other commands, and those in capitals: kestrel's clients for node and Python send `GET` and `FLUSH`.
fn other<'a>(word: &[u8], tokens: Tokens<'a>, end_bytes: usize, rules: KeyRules) -> Line<'a> {
    let mut small = [0; WORD_BYTES_MAX];
    let Some(small) = small.get_mut(..word.len()) else { return ERROR };
    small.copy_from_slice(word);
    small.make_ascii_lowercase();
    match &*small {
        b"set" => set(tokens, rules),
        b"get" => get(tokens, false, end_bytes, rules),
        b"gets" => get(tokens, true, end_bytes, rules),
        b"gat" => gat(tokens, false, rules),
        b"gats" => gat(tokens, true, rules),
        b"touch" => touch(tokens, rules),
        b"delete" => delete(tokens, rules),
        b"incr" => incr(tokens, rules),
        b"add" => add(tokens, rules),
        b"flush" => flush(tokens, rules),
        b"flush_all" => flush_all(tokens),
        b"stats" => stats(tokens, rules),
        b"verbosity" => verbosity(tokens),
        b"version" => alone(Command::Version, tokens),
        b"quit" => alone(Command::Quit, tokens),
        b"db_checkpoint" => alone(Command::DbCheckpoint, tokens),
        b"db_archive" => alone(Command::DbArchive, tokens),
        word => foreign(word, tokens),
    }
}

/// `rejection`, or None for a `noreply`.
pub(crate) fn unless(noreply: bool, rejection: Rejection) -> Option<Rejection> {
    (!noreply).then_some(rejection)
}

fn alone<'a>(command: Command<'a>, tokens: Tokens<'a>) -> Line<'a> {
    if tokens.is_empty() { Whole(command) } else { ERROR }
}

/// `set <key> <flags> <exptime> <bytes> [noreply]`
#[inline]
fn set(tokens: Tokens<'_>, rules: KeyRules) -> Line<'_> {
    store(tokens, |key| match key::look(key) {
        Look::Plain => Some(SetTo::Queue(key)),
        Look::Marked => set_to(key, rules),
        Look::Bad => None,
    })
}

/// `add <key> <flags> <exptime> <bytes> [noreply]`, of a key with a buyer. With any other it is a cache's.
fn add(tokens: Tokens<'_>, rules: KeyRules) -> Line<'_> {
    if !names_a_buyer(tokens, rules) {
        return foreign(b"add", tokens);
    }
    store(tokens, |key| ticket(key, rules).map(|(key, buyer)| SetTo::Ticket { key, buyer }))
}

/// A command that stores what follows its line where `to` says for its key.
#[inline]
fn store<'a>(mut tokens: Tokens<'a>, to: impl FnOnce(&'a [u8]) -> Option<SetTo<'a>>) -> Line<'a> {
    let (Some(key), Some(flags), Some(exptime), Some(bytes)) =
        (tokens.next(), tokens.next(), tokens.next(), tokens.next())
    else {
        return UNKNOWN_SIZE;
    };
    let Some(noreply) = noreply(tokens) else { return UNKNOWN_SIZE };
    let to = to(key);
    let flags = number::unsigned(flags).and_then(|flags| u32::try_from(flags).ok());
    let exptime = number::signed(exptime).filter(|exptime| i32::try_from(*exptime).is_ok());
    match (to, flags, exptime, claim(bytes)) {
        (Some(to), Some(flags), Some(exptime), Claim::Bytes(body_bytes)) => {
            Line::Set { to, flags, exptime, body_bytes, noreply }
        }
        (Some(_), Some(_), Some(_), Claim::Negative) => {
            RejectedWithBodyOfUnknownSize(unless(noreply, Rejection::BadDataChunk))
        }
        (_, _, _, Claim::Bytes(body_bytes)) => {
            RejectedWithBody { body_bytes, then: unless(noreply, Rejection::BadFormat) }
        }
        _ => RejectedWithBodyOfUnknownSize(unless(noreply, Rejection::BadFormat)),
    }
}

/// Where a set goes whose key looks [`Marked`](Look::Marked). `None`: nowhere.
#[cold]
fn set_to(key: &[u8], rules: KeyRules) -> Option<SetTo<'_>> {
    let (key, options) = key::read_marked(key, rules)?;
    match options.given() {
        0 if key.queue() == key.asked() => Some(SetTo::Queue(key.asked())),
        CONFIG => Some(SetTo::Config(key)),
        given if given & !(DELAY | ID) == 0 => Some(SetTo::Key { key, delay_s: options.delay_s(), id: options.id() }),
        _ => None,
    }
}

/// Whether the tokens behind a storing command's numbers end in `noreply`. `None`: they are too many.
///
/// A last token that is something else is passed over, as memcached does. One more number means that the name has a
/// space in it: then no number is where it should be.
#[inline]
pub(crate) fn noreply(mut tokens: Tokens<'_>) -> Option<bool> {
    let last = tokens.next();
    let good = tokens.is_empty() && last.is_none_or(|last| number::signed(last).is_none());
    good.then_some(last == Some(NOREPLY))
}

/// How large a body is said to be.
pub(crate) enum Claim {
    Bytes(usize),
    Negative,
    None,
}

#[inline]
pub(crate) fn claim(token: &[u8]) -> Claim {
    match number::signed(token) {
        Some(bytes) if (0..=CLAIM_BYTES_MAX as i64).contains(&bytes) => Claim::Bytes(bytes as usize),
        Some(bytes) if bytes < 0 => Claim::Negative,
        _ => Claim::None,
    }
}

/// `get <key>+`, `gets <key>+`
#[inline]
fn get(tokens: Tokens<'_>, with_number: bool, line_end_bytes: usize, rules: KeyRules) -> Line<'_> {
    let mut keys = tokens;
    let Some(mut key) = keys.next() else { return ERROR };
    let first = key;
    loop {
        match key::look(key) {
            Look::Plain => {}
            Look::Bad => return BAD_FORMAT,
            Look::Marked => {
                return match key::ticket_alone(key, rules).filter(|_| std::ptr::eq(key, first) && keys.is_empty()) {
                    Some((key, buyer)) => Whole(Command::Consume { key, act: Act::Join { buyer }, with_number }),
                    None => get_marked(tokens, with_number, line_end_bytes, rules),
                };
            }
        }
        let Some(next) = keys.next() else { break };
        key = next;
    }
    Whole(Command::Get { queues: Queues::new(tokens, line_end_bytes, false), with_number })
}

/// A get of which one key looks [`Marked`](Look::Marked). Options are for a get of one key, since some of them wait, and
/// some must not be done in part.
#[cold]
fn get_marked(tokens: Tokens<'_>, with_number: bool, line_end_bytes: usize, rules: KeyRules) -> Line<'_> {
    let (mut keys, mut has_children, mut wants) = (0, false, None);
    for token in tokens {
        let Some((key, options)) = key::read(token, rules) else { return BAD_FORMAT };
        keys += 1;
        has_children |= key.child().is_some();
        if options.given() != 0 {
            let Some(act) = act::of_get(&options, with_number) else { return BAD_FORMAT };
            wants = Some((key, act));
        }
    }
    match wants {
        Some((key, act)) if keys == 1 => Whole(Command::Consume { key, act, with_number }),
        Some(_) => BAD_FORMAT,
        None => Whole(Command::Get { queues: Queues::new(tokens, line_end_bytes, has_children), with_number }),
    }
}

/// `gat <seconds> <key>`, `gats <seconds> <key>`
fn gat(mut tokens: Tokens<'_>, with_number: bool, rules: KeyRules) -> Line<'_> {
    let (Some(seconds), Some(key)) = (tokens.next(), tokens.next()) else { return ERROR };
    let wants = opening(seconds, key, with_number, rules).filter(|_| tokens.is_empty());
    wants.map_or(BAD_FORMAT, |(key, act)| Whole(Command::Consume { key, act, with_number }))
}

fn opening<'a>(seconds: &[u8], key: &'a [u8], with_number: bool, rules: KeyRules) -> Option<(Key<'a>, Act<'a>)> {
    let seconds = options::up_to(seconds, SECONDS_MAX)?;
    let (key, options) = key::read(key, rules)?;
    Some((key, act::of_gat(&options, seconds, with_number)?))
}

/// `touch <key> <seconds> [noreply]`
fn touch(mut tokens: Tokens<'_>, rules: KeyRules) -> Line<'_> {
    let (Some(key), Some(seconds), last) = (tokens.next(), tokens.next(), tokens.next()) else { return ERROR };
    if !tokens.is_empty() {
        return ERROR;
    }
    let noreply = last == Some(NOREPLY);
    let seconds = number::signed(seconds).filter(|seconds| *seconds <= i64::from(SECONDS_MAX));
    let read = key::read(key, rules).zip(seconds).filter(|_| noreply || last.is_none());
    let command = read.and_then(|((key, options), seconds)| match options.given() {
        TICKET => {
            let buyer = options.buyer();
            Some(match u32::try_from(seconds) {
                Ok(0) => Ok(Command::Pay { key, buyer, noreply }),
                Ok(seconds) => Ok(Command::Extend { key, buyer, seconds, noreply }),
                Err(_) => Err(Rejection::BadTime),
            })
        }
        _ if options.has(NAME | LEASE) => {
            let which = act::which(&options, 0)?;
            Some(Ok(Command::Touch { key, which, lease_s: seconds, noreply }))
        }
        _ => None,
    });
    match command.unwrap_or(Err(Rejection::BadFormat)) {
        Ok(command) => Whole(command),
        Err(rejection) => Rejected(unless(noreply, rejection)),
    }
}

/// `incr <key> 1 [noreply]`, of a key with a buyer. A queue has nothing else to count.
fn incr(mut tokens: Tokens<'_>, rules: KeyRules) -> Line<'_> {
    if !names_a_buyer(tokens, rules) {
        return ERROR;
    }
    let (Some(key), Some(by), last) = (tokens.next(), tokens.next(), tokens.next()) else { return ERROR };
    if !tokens.is_empty() {
        return ERROR;
    }
    let noreply = last == Some(NOREPLY);
    let good = number::unsigned(by) == Some(1) && (noreply || last.is_none());
    match ticket(key, rules).filter(|_| good) {
        Some((key, buyer)) => Whole(Command::Join { key, buyer, message: None, noreply }),
        None => Rejected(unless(noreply, Rejection::BadFormat)),
    }
}

/// Whether the first token is a key of a gate's with a buyer, a bad one included. If not, a command that only a gate has
/// is not known.
fn names_a_buyer(mut tokens: Tokens<'_>, rules: KeyRules) -> bool {
    rules.options && tokens.next().and_then(options::of_buyer).is_some()
}

/// The queue and the buyer of a key that is for a ticket.
fn ticket(key: &[u8], rules: KeyRules) -> Option<(Key<'_>, &[u8])> {
    let (key, options) = key::read(key, rules)?;
    (options.given() == TICKET).then(|| (key, options.buyer()))
}

/// `delete <key> [0] [noreply]`. The 0 is a time to hold the key back that memcached once had.
fn delete(mut tokens: Tokens<'_>, rules: KeyRules) -> Line<'_> {
    let Some(key) = tokens.next() else { return ERROR };
    let (first, second) = (tokens.next(), tokens.next());
    if !tokens.is_empty() {
        return ERROR;
    }
    let noreply = second.or(first) == Some(NOREPLY);
    let good = match (first, second) {
        (None, _) => true,
        (Some(hold), None) => hold == b"0" || noreply,
        (Some(hold), Some(_)) => hold == b"0" && noreply,
    };
    let command = key::read(key, rules).and_then(|(key, options)| match options.given() {
        0 | DEAD => Some(Command::Delete { key, noreply }),
        CONFIG => Some(Command::Unconfigure { key, noreply }),
        TICKET => Some(Command::Return { key, buyer: options.buyer(), noreply }),
        _ => match act::which(&options, 0)? {
            Which::Mine => None,
            which => Some(Command::Acknowledge { key, which, noreply }),
        },
    });
    command.filter(|_| good).map_or(Rejected(unless(noreply, Rejection::BadFormat)), Whole)
}

/// `flush <key>`
fn flush(mut tokens: Tokens<'_>, rules: KeyRules) -> Line<'_> {
    match tokens.next() {
        Some(key) if tokens.is_empty() => {
            let read = key::read(key, rules).filter(|(_, options)| act::is_only(options, 0));
            read.map_or(BAD_FORMAT, |(key, _)| Whole(Command::Flush { key }))
        }
        _ => ERROR,
    }
}

/// `flush_all [delay] [noreply]`
fn flush_all(mut tokens: Tokens<'_>) -> Line<'_> {
    let (first, second) = (tokens.next(), tokens.next());
    if !tokens.is_empty() {
        return ERROR;
    }
    let noreply = second.or(first) == Some(NOREPLY);
    // Unlike a set's, a last token that is something else is not passed over: what is dropped does not come back.
    let good = match (first, second) {
        (None, _) => true,
        (Some(delay), None) => noreply || number::signed(delay).is_some(),
        (Some(delay), Some(_)) => noreply && number::signed(delay).is_some(),
    };
    if good { Whole(Command::FlushAll { noreply }) } else { Rejected(unless(noreply, Rejection::BadFormat)) }
}

/// `stats [queue | queues [prefix] | gate name | conns | cores | latency | reset | settings | items | slabs | sizes]`
fn stats(mut tokens: Tokens<'_>, rules: KeyRules) -> Line<'_> {
    let command = match tokens.next() {
        None => Command::Stats,
        Some(b"queue") => Command::StatsQueue,
        Some(b"queues") => Command::StatsQueues { prefix: tokens.next().unwrap_or_default() },
        Some(b"gate") => match tokens.next() {
            Some(key) if tokens.is_empty() => {
                let read = key::read(key, rules).filter(|(key, options)| options.given() == 0 && key.child().is_none());
                return read.map_or(BAD_FORMAT, |(key, _)| Whole(Command::StatsGate { key }));
            }
            _ => return ERROR,
        },
        Some(b"conns") => Command::StatsConns,
        Some(b"cores") => Command::StatsCores,
        Some(b"latency") => Command::StatsLatency,
        Some(b"reset") => Command::StatsReset,
        Some(b"settings") => Command::StatsSettings,
        Some(b"items" | b"slabs" | b"sizes") => Command::StatsOfCache,
        Some(_) => return ERROR,
    };
    alone(command, tokens)
}

/// `verbosity <n> [noreply]`
fn verbosity(mut tokens: Tokens<'_>) -> Line<'_> {
    let (Some(level), last) = (tokens.next(), tokens.next()) else {
        return ERROR;
    };
    if !tokens.is_empty() {
        return ERROR;
    }
    let noreply = last.unwrap_or(level) == NOREPLY;
    let level = number::unsigned(level).and_then(|level| u32::try_from(level).ok());
    match level {
        Some(level) if noreply || last.is_none() => Whole(Command::Verbosity { level, noreply }),
        _ => Rejected(unless(noreply, Rejection::BadFormat)),
    }
}
