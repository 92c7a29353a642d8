//! Commands that are none of a queue's. Those that store, of memcached and of beanstalkd, have a body behind them, which is
//! a stranger's and no command.

use super::line::Line::{self, Rejected, RejectedWithBody, RejectedWithBodyOfUnknownSize};
use super::line::{Claim, UNKNOWN_SIZE, claim, noreply, unless};
use super::number;
use super::rejection::Rejection;
use super::tokens::Tokens;

/// A command whose word, in small letters, is none of a queue's.
pub(crate) fn foreign<'a>(word: &[u8], tokens: Tokens<'a>) -> Line<'a> {
    match word {
        b"add" | b"replace" | b"append" | b"prepend" => store(tokens, 0),
        b"cas" => store(tokens, 1),
        b"ms" => meta_set(tokens),
        b"put" => put(tokens),
        _ => Rejected(Some(Rejection::Error)),
    }
}

/// The stores of a cache, which a queue has no use for: as a set, with `more` tokens before the noreply.
fn store(mut tokens: Tokens<'_>, more: usize) -> Line<'_> {
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
