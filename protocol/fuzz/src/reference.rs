//! The protocol's framing once more, as plainly as it can be said: of an input that is there as a whole, with no state
//! and no care for speed.

use protocol::KeyRules;

mod key;
mod other;
mod outcome;

use other::{is_other_protocol, is_request};
pub(crate) use outcome::Outcome;

const NAME_BYTES_MAX: usize = 250;
const LINE_BYTES_MAX: usize = 2048;
const GET_LINE_BYTES_MAX: usize = 65536;

const ERROR: &str = "ERROR";
const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format";
const BAD_DATA_CHUNK: &str = "CLIENT_ERROR bad data chunk";
const TOO_LARGE: &str = "SERVER_ERROR object too large for cache";
const LINE_TOO_LONG: &str = "CLIENT_ERROR line too long";
const BAD_TIME: &str = "CLIENT_ERROR invalid exptime argument";

/// All that an input holds.
#[derive(Debug, Default)]
pub(crate) struct Found<'a> {
    pub(crate) outcomes: Vec<Outcome<'a>>,
    /// Where in the input each of them ends. What follows a bad body may be skipped with it or later.
    pub(crate) ends: Vec<usize>,
    /// The input from here on must be there again when more comes.
    pub(crate) held_from: usize,
    /// Whether the next byte is a command's, and no body's or line's that is skipped.
    pub(crate) between_commands: bool,
}

/// A line, and what follows it.
enum Line<'a> {
    Done(Outcome<'a>),
    /// Nothing that can be told from a body.
    Closed(Outcome<'a>),
    /// A body of so many bytes; when it has its end, then this.
    Body(usize, Outcome<'a>),
}

/// Reads all of an input.
pub(crate) fn read(input: &[u8], body_bytes_max: usize, rules: KeyRules) -> Found<'_> {
    let mut found = Found { between_commands: true, ..Found::default() };
    let mut at = 0;
    let mut is_first = true;
    loop {
        found.held_from = at;
        let rest = &input[at..];
        if rest.first() == Some(&0x80) || (is_first && is_other_protocol(rest)) {
            return found.closed(input, Outcome::Closed(None));
        }
        // A byte more than the longest word that is looked for: of many empty lines, each would be all that is left.
        let word: Vec<u8> = rest.iter().take_while(|byte| **byte != b' ').take(5).map(u8::to_ascii_lowercase).collect();
        let is_get = (word == b"get" || word == b"gets") && rest.len() > word.len();
        let most = if is_get { GET_LINE_BYTES_MAX } else { LINE_BYTES_MAX };
        let newline = rest.iter().position(|byte| *byte == b'\n');
        if newline.unwrap_or(rest.len()) > most {
            return found.closed(input, Outcome::Closed(Some(LINE_TOO_LONG)));
        }
        let Some(newline) = newline else { return found };
        let line = rest[..newline].strip_suffix(b"\r").unwrap_or(&rest[..newline]);
        if is_request(line, &["HTTP"]) {
            return found.closed(input, Outcome::Closed(None));
        }
        is_first &= line.iter().all(|byte| matches!(byte, b' ' | b'\r'));
        at += newline + 1;
        let (bytes, outcome) = match understand(line, rules) {
            Line::Done(outcome) => {
                found.push(at, outcome);
                continue;
            }
            Line::Closed(outcome) => return found.closed(input, outcome),
            Line::Body(bytes, outcome) => (bytes, outcome),
        };
        // A body that is wanted is held until it is whole; any other goes as it comes.
        let (is_set, outcome) = match outcome {
            Outcome::Set { noreply, .. }
            | Outcome::SetWith { noreply, .. }
            | Outcome::Configure { noreply, .. }
            | Outcome::Add { noreply, .. } => match bytes > body_bytes_max {
                true => (false, rejected(noreply, TOO_LARGE)),
                false => (true, outcome),
            },
            other => (false, other),
        };
        let end = at.saturating_add(bytes);
        match input.get(end..).unwrap_or_default() {
            [] | [b'\r'] => {
                if !is_set {
                    (found.held_from, found.between_commands) = (end.min(input.len()), false);
                }
                return found;
            }
            [b'\r', b'\n', ..] => {
                at = end + 2;
                found.push(at, with_body(outcome, &input[end - bytes..end]));
            }
            // The line's end was no more than that either.
            [b'\n', ..] if line.len() == newline => {
                at = end + 1;
                found.push(at, with_body(outcome, &input[end - bytes..end]));
            }
            bad => {
                let newline = bad.iter().position(|byte| *byte == b'\n');
                let outcome = match outcome {
                    Outcome::Set { noreply, .. }
                    | Outcome::SetWith { noreply, .. }
                    | Outcome::Configure { noreply, .. }
                    | Outcome::Add { noreply, .. } => rejected(noreply, BAD_DATA_CHUNK),
                    other => other,
                };
                at = newline.map_or(input.len(), |newline| end + newline + 1);
                found.push(at, outcome);
                if newline.is_none() {
                    (found.held_from, found.between_commands) = (at, false);
                    return found;
                }
            }
        }
    }
}

impl<'a> Found<'a> {
    fn push(&mut self, end: usize, outcome: Outcome<'a>) {
        self.outcomes.push(outcome);
        self.ends.push(end);
    }

    fn closed(mut self, input: &[u8], outcome: Outcome<'a>) -> Found<'a> {
        self.push(input.len(), outcome);
        self.held_from = input.len();
        self.between_commands = false;
        self
    }
}

fn with_body<'a>(mut outcome: Outcome<'a>, is: &'a [u8]) -> Outcome<'a> {
    match &mut outcome {
        Outcome::Set { body, .. }
        | Outcome::SetWith { body, .. }
        | Outcome::Configure { words: body, .. }
        | Outcome::Add { body, .. } => *body = is,
        _ => {}
    }
    outcome
}

fn rejected(noreply: bool, words: &'static str) -> Outcome<'static> {
    Outcome::Rejected((!noreply).then_some(words))
}

fn understand(line: &[u8], rules: KeyRules) -> Line<'_> {
    let tokens: Vec<&[u8]> = line.split(|byte| *byte == b' ').filter(|token| !token.is_empty()).collect();
    let is_noreply = |last: &[&[u8]]| last.last().is_some_and(|token| *token == b"noreply");
    let plain = |words| Line::Done(Outcome::Plain(words));
    let bad = |noreply, words| Line::Done(rejected(noreply, words));
    let closed = |noreply: bool, words| Line::Closed(Outcome::Closed((!noreply).then_some(words)));
    let swallowed = |bytes, noreply| match body_bytes(bytes) {
        Ok(bytes) => Line::Body(bytes, rejected(noreply, ERROR)),
        Err(_) => closed(noreply, ERROR),
    };
    // What else stands behind the size: one word at most, which is no number.
    let is_last = |last: &[&[u8]]| last.is_empty() || (last.len() == 1 && !is_number(last[0]));
    let lower = tokens.first().map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    match (lower.as_slice(), tokens.get(1..).unwrap_or_default()) {
        (word @ (b"set" | b"add"), [key, flags, exptime, bytes, last @ ..])
            if is_last(last) && (word == b"set" || key::has_buyer(key, rules)) =>
        {
            let noreply = is_noreply(last);
            let exptime = number(exptime, i32::MIN.into(), i32::MAX.into()).map(|exptime| exptime as i64);
            let flags = number(flags, 0, u32::MAX.into()).filter(|_| flags[0] != b'-').map(|flags| flags as u32);
            let set = exptime.zip(flags).and_then(|(exptime, flags)| match word {
                b"add" => key::add(key, rules, flags, noreply),
                _ => key::set(key, rules, flags, exptime, noreply),
            });
            match (set, body_bytes(bytes)) {
                (Some(set), Ok(bytes)) => Line::Body(bytes, set),
                (Some(_), Err(true)) => closed(noreply, BAD_DATA_CHUNK),
                (_, Ok(bytes)) => Line::Body(bytes, rejected(noreply, BAD_FORMAT)),
                _ => closed(noreply, BAD_FORMAT),
            }
        }
        (b"get", keys @ [_, ..]) => key::get(keys, rules, false).map_or(bad(false, BAD_FORMAT), Line::Done),
        (b"gets", keys @ [_, ..]) => key::get(keys, rules, true).map_or(bad(false, BAD_FORMAT), Line::Done),
        (b"gat" | b"gats", [seconds, keys @ .., _]) => {
            let key = tokens[tokens.len() - 1];
            let opens = key::gat(seconds, key, rules, lower == b"gats").filter(|_| keys.is_empty());
            opens.map_or(bad(false, BAD_FORMAT), Line::Done)
        }
        (b"touch", [key, seconds, last @ ..]) if last.len() < 2 => {
            let noreply = is_noreply(last);
            let touch = key::touch(key, seconds, rules, noreply).filter(|_| last.is_empty() || noreply);
            touch.map_or(bad(noreply, BAD_FORMAT), Line::Done)
        }
        (b"incr", [key, by, last @ ..]) if last.len() < 2 && key::has_buyer(key, rules) => {
            let noreply = is_noreply(last);
            let good = number(by, 1, 1).is_some() && (last.is_empty() || noreply);
            key::incr(key, rules, noreply).filter(|_| good).map_or(bad(noreply, BAD_FORMAT), Line::Done)
        }
        (b"delete", [key, last @ ..]) if last.len() < 3 => {
            let good = matches!(last, [] | [b"0"] | [b"noreply"] | [b"0", b"noreply"]);
            let delete = key::delete(key, rules, is_noreply(last)).filter(|_| good);
            delete.map_or(bad(is_noreply(last), BAD_FORMAT), Line::Done)
        }
        (b"flush", [key]) => key::flush(key, rules).map_or(bad(false, BAD_FORMAT), Line::Done),
        (b"stats", [b"queues", prefix @ ..]) if prefix.len() < 2 => {
            Line::Done(Outcome::StatsQueues { prefix: prefix.first().copied().unwrap_or_default() })
        }
        (b"stats", [b"gate", key]) => key::stats_gate(key, rules).map_or(bad(false, BAD_FORMAT), Line::Done),
        (b"flush_all", last) if last.len() < 3 => {
            let is_delay = |token| number(token, i64::MIN.into(), i64::MAX.into()).is_some();
            let good = match last {
                [] | [b"noreply"] => true,
                [delay] | [delay, b"noreply"] => is_delay(delay),
                _ => false,
            };
            match good {
                true => Line::Done(Outcome::FlushAll { noreply: is_noreply(last) }),
                false => bad(is_noreply(last), BAD_FORMAT),
            }
        }
        (b"verbosity", [level, last @ ..]) if last.len() < 2 => {
            let noreply = is_noreply(&tokens);
            match number(level, 0, u32::MAX.into()).filter(|_| level[0] != b'-') {
                Some(level) if noreply || last.is_empty() => {
                    Line::Done(Outcome::Verbosity { level: level as u32, noreply })
                }
                _ => bad(noreply, BAD_FORMAT),
            }
        }
        (b"stats", []) => plain("stats"),
        (b"stats", [b"queue"]) => plain("stats queue"),
        (b"stats", [b"cores"]) => plain("stats cores"),
        (b"stats", [b"latency"]) => plain("stats latency"),
        (b"stats", [b"reset"]) => plain("stats reset"),
        (b"stats", [b"settings"]) => plain("stats settings"),
        (b"stats", [b"conns"]) => plain("stats conns"),
        (b"stats", [b"items" | b"slabs" | b"sizes"]) => plain("stats of a cache"),
        (b"version", []) => plain("version"),
        (b"quit", []) => plain("quit"),
        (b"db_checkpoint", []) => plain("db_checkpoint"),
        (b"db_archive", []) => plain("db_archive"),
        (b"add" | b"replace" | b"append" | b"prepend", [_, _, _, bytes, last @ ..])
        | (b"cas", [_, _, _, bytes, _, last @ ..])
            if is_last(last) =>
        {
            swallowed(bytes, is_noreply(last))
        }
        (b"ms", [_, bytes, ..]) if is_number(bytes) => swallowed(bytes, false),
        (b"ms", [_, flags @ ..]) => match flags.iter().find(|flag| flag[0] == b'S') {
            Some(size) => swallowed(&size[1..], false),
            None => closed(false, ERROR),
        },
        (b"put", [_, _, _, bytes]) => swallowed(bytes, false),
        (b"set" | b"add" | b"replace" | b"append" | b"prepend" | b"cas" | b"ms" | b"put", _) => closed(false, ERROR),
        _ => bad(false, ERROR),
    }
}

fn is_number(token: &[u8]) -> bool {
    number(token, i64::MIN.into(), i64::MAX.into()).is_some()
}

fn is_key(token: &[u8]) -> bool {
    token.len() <= NAME_BYTES_MAX && !token.iter().any(u8::is_ascii_control)
}

/// A decimal number from `least` to `most`; `None` for anything else, a plus sign included.
fn number(token: &[u8], least: i128, most: i128) -> Option<i128> {
    let text = std::str::from_utf8(token).ok().filter(|text| !text.starts_with('+'))?;
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

/// The size of a body. The error: whether it is a number below 0.
fn body_bytes(token: &[u8]) -> Result<usize, bool> {
    match number(token, i64::MIN.into(), 1 << 32) {
        Some(bytes) => usize::try_from(bytes).map_err(|_| true),
        None => Err(false),
    }
}
