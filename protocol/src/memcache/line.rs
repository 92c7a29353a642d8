//! What a command's line says, once it is here with its end.

use super::command::{Command, Queues};
use super::number;
use super::rejection::Rejection;
use super::tokens::Tokens;
use crate::is_queue_name;

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
    Set { queue: &'a [u8], flags: u32, exptime: i64, body_bytes: usize, noreply: bool },
    /// Bad, and no body follows. None: no reply is sent.
    Rejected(Option<Rejection>),
    /// Bad, and a body follows, which must not be taken for commands.
    RejectedWithBody { body_bytes: usize, then: Option<Rejection> },
    /// Bad, and a body follows whose size is not known: what comes next may be anything, and is no command.
    RejectedWithBodyOfUnknownSize(Option<Rejection>),
}

use Line::{Rejected, RejectedWithBody, RejectedWithBodyOfUnknownSize, Whole};

const ERROR: Line<'static> = Rejected(Some(Rejection::Error));
/// The tokens of a storing command are not as many as they should be, so none of them can be told to be the size.
const UNKNOWN_SIZE: Line<'static> = RejectedWithBodyOfUnknownSize(Some(Rejection::Error));

/// Understands `line`, which is without its end; that has `end_bytes`.
#[inline]
pub(crate) fn understand(line: &[u8], end_bytes: usize) -> Line<'_> {
    let mut tokens = Tokens::new(line);
    let Some(word) = tokens.next() else { return ERROR };
    match word {
        b"set" => set(tokens),
        b"get" => get(tokens, false, end_bytes),
        b"gets" => get(tokens, true, end_bytes),
        b"delete" => delete(tokens),
        b"flush" => flush(tokens),
        b"flush_all" => flush_all(tokens),
        b"stats" => stats(tokens),
        b"verbosity" => verbosity(tokens),
        b"version" => alone(Command::Version, tokens),
        b"quit" => alone(Command::Quit, tokens),
        b"db_checkpoint" => alone(Command::DbCheckpoint, tokens),
        b"db_archive" => alone(Command::DbArchive, tokens),
        word => foreign(word, tokens),
    }
}

/// `rejection`, or None for a `noreply`.
fn unless(noreply: bool, rejection: Rejection) -> Option<Rejection> {
    (!noreply).then_some(rejection)
}

fn alone<'a>(command: Command<'a>, tokens: Tokens<'a>) -> Line<'a> {
    if tokens.is_empty() { Whole(command) } else { ERROR }
}

/// `set <queue> <flags> <exptime> <bytes> [noreply]`
#[inline]
fn set(mut tokens: Tokens<'_>) -> Line<'_> {
    let (Some(queue), Some(flags), Some(exptime), Some(bytes)) =
        (tokens.next(), tokens.next(), tokens.next(), tokens.next())
    else {
        return UNKNOWN_SIZE;
    };
    let Some(noreply) = noreply(tokens) else { return UNKNOWN_SIZE };
    let good = is_queue_name(queue).then_some(queue);
    let flags = number::unsigned(flags).and_then(|flags| u32::try_from(flags).ok());
    let exptime = number::signed(exptime).filter(|exptime| i32::try_from(*exptime).is_ok());
    match (good, flags, exptime, claim(bytes)) {
        (Some(queue), Some(flags), Some(exptime), Claim::Bytes(body_bytes)) => {
            Line::Set { queue, flags, exptime, body_bytes, noreply }
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

/// Whether the tokens behind a storing command's numbers end in `noreply`. `None`: they are too many.
///
/// A last token that is something else is passed over, as memcached does. One more number means that the name has a
/// space in it: then no number is where it should be.
#[inline]
fn noreply(mut tokens: Tokens<'_>) -> Option<bool> {
    let last = tokens.next();
    let good = tokens.is_empty() && last.is_none_or(|last| number::signed(last).is_none());
    good.then_some(last == Some(NOREPLY))
}

/// How large a body is said to be.
enum Claim {
    Bytes(usize),
    Negative,
    None,
}

#[inline]
fn claim(token: &[u8]) -> Claim {
    match number::signed(token) {
        Some(bytes) if (0..=CLAIM_BYTES_MAX as i64).contains(&bytes) => Claim::Bytes(bytes as usize),
        Some(bytes) if bytes < 0 => Claim::Negative,
        _ => Claim::None,
    }
}

/// A command that is none of a queue's. Those that store, of memcached and of beanstalkd, have a body behind them, which
/// is a stranger's and no command. Their words are known in any case, since a client may hold with capitals.
#[cold]
fn foreign<'a>(word: &[u8], tokens: Tokens<'a>) -> Line<'a> {
    let is = |words: &[&str]| words.iter().any(|it| word.eq_ignore_ascii_case(it.as_bytes()));
    if is(&["set", "add", "replace", "append", "prepend"]) {
        foreign_store(tokens, 0)
    } else if is(&["cas"]) {
        foreign_store(tokens, 1)
    } else if is(&["ms"]) {
        meta_set(tokens)
    } else if is(&["put"]) {
        put(tokens)
    } else {
        ERROR
    }
}

/// The stores of a cache, which a queue has no use for: as a set, with `more` tokens before the noreply.
fn foreign_store(mut tokens: Tokens<'_>, more: usize) -> Line<'_> {
    let Some(bytes) = tokens.nth(3) else { return UNKNOWN_SIZE };
    for _ in 0..more {
        if tokens.next().is_none() {
            return UNKNOWN_SIZE;
        }
    }
    let Some(noreply) = noreply(tokens) else { return UNKNOWN_SIZE };
    with_body(bytes, unless(noreply, Rejection::Error))
}

/// memcached's `ms <key> <bytes> <flag>*`; its first versions had the size among the flags, as `S<bytes>`. Its `q` makes
/// it silent about success, and never about an error.
fn meta_set(mut tokens: Tokens<'_>) -> Line<'_> {
    let _key = tokens.next();
    let (mut flags, first) = (tokens, tokens.next());
    let size = match first {
        Some(bytes) if number::signed(bytes).is_some() => Some(bytes),
        _ => flags.find_map(|flag| flag.strip_prefix(b"S")),
    };
    size.map_or(UNKNOWN_SIZE, |bytes| with_body(bytes, Some(Rejection::Error)))
}

/// beanstalkd's `put <priority> <delay> <time> <bytes>`
fn put(mut tokens: Tokens<'_>) -> Line<'_> {
    match tokens.nth(3) {
        Some(bytes) if tokens.is_empty() => with_body(bytes, Some(Rejection::Error)),
        _ => UNKNOWN_SIZE,
    }
}

/// A command that is rejected, and its body of so many `bytes` with it.
fn with_body<'a>(bytes: &[u8], then: Option<Rejection>) -> Line<'a> {
    match claim(bytes) {
        Claim::Bytes(body_bytes) => RejectedWithBody { body_bytes, then },
        Claim::Negative | Claim::None => RejectedWithBodyOfUnknownSize(then),
    }
}

/// `get <queue>+`, `gets <queue>+`
#[inline]
fn get(tokens: Tokens<'_>, with_number: bool, line_end_bytes: usize) -> Line<'_> {
    let mut names = tokens;
    let Some(mut name) = names.next() else { return ERROR };
    loop {
        if !is_queue_name(name) {
            return Rejected(Some(Rejection::BadFormat));
        }
        let Some(next) = names.next() else { break };
        name = next;
    }
    Whole(Command::Get { queues: Queues::new(tokens, line_end_bytes), with_number })
}

/// `delete <queue> [0] [noreply]`. The 0 is a time to hold the key back that memcached once had.
fn delete(mut tokens: Tokens<'_>) -> Line<'_> {
    let Some(queue) = tokens.next() else { return ERROR };
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
    if good && is_queue_name(queue) {
        Whole(Command::Delete { queue, noreply })
    } else {
        Rejected(unless(noreply, Rejection::BadFormat))
    }
}

/// `flush <queue>`
fn flush(mut tokens: Tokens<'_>) -> Line<'_> {
    match tokens.next() {
        Some(queue) if tokens.is_empty() => {
            if is_queue_name(queue) {
                Whole(Command::Flush { queue })
            } else {
                Rejected(Some(Rejection::BadFormat))
            }
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

/// `stats [queue | cores | latency | reset | settings | items | slabs | sizes]`
fn stats(mut tokens: Tokens<'_>) -> Line<'_> {
    let command = match tokens.next() {
        None => Command::Stats,
        Some(b"queue") => Command::StatsQueue,
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
