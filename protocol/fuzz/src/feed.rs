//! Gives a parser its input as reads of a socket would bring it, and checks each step.

use protocol::{Command, GET_LINE_BYTES_MAX, Key, KeyRules, LINE_BYTES_MAX, Parse, Parser, QUEUE_NAME_BYTES_MAX};

use super::reference::{Found, Outcome};
use super::{BODY_BYTES_MAX, allocations};

/// Inputs up to this length are fed byte by byte too; longer ones would take too long.
const BYTEWISE_MAX: usize = 60;
/// How many bytes a read brings at most, on each of the random ways.
const READ_BYTES_MAX: [usize; 2] = [40, 400];

/// Ways to cut the input: where each read ends. They depend on the fuzzer's `data` only, so that a failure comes again.
pub(crate) fn cuts(data: &[u8], input: &[u8]) -> Vec<Vec<usize>> {
    let mut ways = vec![vec![input.len()]];
    if input.len() <= BYTEWISE_MAX {
        ways.push((1..=input.len()).collect());
    }
    // FNV-1a, and splitmix64 from there on.
    let hash = data
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    for most in READ_BYTES_MAX {
        let mut state = hash ^ most as u64;
        let mut random = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (z ^ (z >> 27)) as usize >> 16
        };
        // At most some 60 reads, since each looks at what came before again.
        let most = most.max(input.len() / 30);
        let (mut ends, mut end) = (Vec::new(), 0);
        while end < input.len() {
            end = (end + 1 + random() % most).min(input.len());
            ends.push(end);
        }
        ways.push(ends);
    }
    ways
}

/// What came out of `input` when each read ended where `cuts` says.
pub(crate) fn feed<'a>(input: &'a [u8], cuts: &[usize], rules: KeyRules) -> Found<'a> {
    let mut parser = Parser::with_rules(BODY_BYTES_MAX, rules);
    let mut found = Found::default();
    let mut done = 0;
    for &available in cuts {
        loop {
            let window = &input[done..available];
            let before = allocations();
            let (used, parse) = parser.next(window);
            assert_eq!(allocations(), before, "a parser allocates nothing");
            assert!(used <= window.len(), "{used} of {} bytes are done with", window.len());
            done += used;
            if parse == Parse::Incomplete {
                break;
            }
            assert!(used > 0, "nothing is done with, so this would go on for ever");
            if let Parse::Command(command) = &parse {
                check(input, done, command);
            }
            found.outcomes.push(Outcome::of(&parse));
            found.ends.push(done);
            if let Parse::Close(_) = parse {
                found.held_from = input.len();
                return found;
            }
        }
        let held = &input[done..available];
        assert_eq!(parser.next(held), (0, Parse::Incomplete), "a call without more input is of no use");
        let is_get = held.get(..3).is_some_and(|word| word.eq_ignore_ascii_case(b"get"));
        let line_bytes_max = if is_get { GET_LINE_BYTES_MAX } else { LINE_BYTES_MAX };
        assert!(held.len() < line_bytes_max + 1 + BODY_BYTES_MAX + 2, "{} bytes are held", held.len());
    }
    found.held_from = done;
    found.between_commands = parser.is_between_commands();
    found
}

/// What a command that ends at `end` of the input must be, whatever was asked for.
fn check(input: &[u8], end: usize, command: &Command<'_>) {
    match *command {
        Command::Set { queue, body, .. } => {
            is_name(queue);
            is_body(input, end, body);
        }
        Command::SetWith { key, body, .. } | Command::Configure { key, words: body, .. } => {
            is_key(key);
            assert!(!key.is_dead(), "no message is put among dead letters");
            is_body(input, end, body);
        }
        Command::Get { queues, .. } => {
            assert!(queues.count() > 0, "a get names a queue");
            queues.for_each(is_name);
            assert_eq!(input[end - 1], b'\n');
        }
        Command::Consume { key, .. }
        | Command::Delete { key, .. }
        | Command::Acknowledge { key, .. }
        | Command::Unconfigure { key, .. }
        | Command::Touch { key, .. }
        | Command::Flush { key } => is_key(key),
        _ => assert_eq!(input[end - 1], b'\n'),
    }
}

/// What a set's body must be.
fn is_body(input: &[u8], end: usize, body: &[u8]) {
    let start = body.as_ptr() as usize - input.as_ptr() as usize;
    assert_eq!(input[start - 1], b'\n', "the body begins behind a line");
    match &input[start + body.len()..end] {
        b"\r\n" => {}
        b"\n" => assert_ne!(input[start - 2], b'\r', "a body ends as its line did, or in both"),
        other => panic!("the body ends in {}", other.escape_ascii()),
    }
    assert!(body.len() <= BODY_BYTES_MAX);
}

/// A key's parts are names, and stand at its beginning.
fn is_key(key: Key<'_>) {
    is_name(key.asked());
    is_name(key.queue());
    key.child().into_iter().for_each(is_name);
    let whole = [key.queue()].into_iter().chain(key.child()).collect::<Vec<_>>().join(&b'+');
    assert_eq!(key.name(), whole);
    assert!(key.asked().starts_with(&whole));
}

fn is_name(name: &[u8]) {
    let good = |byte: &u8| *byte > b' ' && *byte != 0x7f;
    assert!((1..=QUEUE_NAME_BYTES_MAX).contains(&name.len()) && name.iter().all(good), "{}", name.escape_ascii());
}
