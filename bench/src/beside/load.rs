//! What the load beside the measured client sends, as bytes.

use std::io::Write;

use protocol::GET_LINE_BYTES_MAX;

use crate::options::Load;

/// Queues that a load uses, in turn: on a server with several shards, a connection has some on its own and some on others.
const QUEUES: usize = 64;
/// Requests that are streamed are handed to the socket in pieces of at least this many bytes.
const BLOCK_BYTES: usize = 64 * 1024;
const BURST_REQUESTS: usize = 16_000;
const ERROR_CONNECTIONS: usize = 50;
/// So much less than 1 MiB that memcached takes it too, whose limit counts the name and its own overhead.
const LARGE_BYTES: usize = (1 << 20) - 1024;
const LARGE_QUEUES: usize = 16;
/// How often all the large queues are filled with a body each before the gets begin.
const LARGE_ROUNDS: u64 = 16;

/// Some requests, and when they are done.
#[derive(Debug, PartialEq)]
pub(super) struct Step {
    pub(super) bytes: Vec<u8>,
    /// The requests in `bytes`.
    pub(super) requests: u64,
    /// How often `bytes` are sent before all answers are waited for; None: without an end, and nothing is waited for.
    pub(super) times: Option<u64>,
    /// The first answer begins with this.
    pub(super) answer: &'static [u8],
    /// Lines of the answers to `bytes`.
    pub(super) lines: u64,
    /// It is the load that the client is measured beside, and not the preparation of one.
    pub(super) is_load: bool,
}

/// The connections of a load, and the steps that each of them takes over and over.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) connections: usize,
    pub(super) steps: Vec<Step>,
    /// What the load may leave queues of.
    pub(super) queues: Vec<String>,
}

impl Plan {
    /// The plan of a load whose queues' names begin with `prefix` and whose bodies have `body_bytes`.
    pub(super) fn new(load: Load, prefix: &str, body_bytes: usize) -> Plan {
        let queues: Vec<String> = (0..QUEUES).map(|number| format!("{prefix}-load-{number}")).collect();
        let body = vec![b'b'; body_bytes];
        let name = |number: usize| queues[number % QUEUES].as_str();
        let nothing = |number: usize| format!("{prefix}-n{number}");
        let set = |out: &mut Vec<u8>, number: usize| append_set(out, name(number), "", &body);
        let steps = match load {
            Load::None | Load::All => vec![],
            Load::SetsNoreply => {
                let mut step = stream(|out, number| append_set(out, name(number), " noreply", &body), b"VERSION");
                // One answer among hundreds of requests tells how far the server is.
                step.bytes.extend_from_slice(b"version\r\n");
                vec![Step { lines: 1, ..step }]
            }
            Load::Sets => vec![stream(set, b"STORED")],
            Load::GetsEmpty => vec![stream(|out, number| append_get(out, &nothing(number % QUEUES)), b"END")],
            Load::GetsLarge => large(name),
            Load::Version => vec![stream(|out, _| out.extend_from_slice(b"version\r\n"), b"VERSION")],
            Load::LongGet => vec![stream(|out, _| append_long_get(out, nothing), b"END")],
            Load::Bursts => {
                let burst = |out: &mut Vec<u8>, number: usize| match number % 2 {
                    0 => set(out, number / 2),
                    _ => append_get(out, name(number / 2)),
                };
                // STORED, or VALUE with the body's line and END: two in the mean.
                vec![once(BURST_REQUESTS, 1, burst, (b"STORED", 2), true)]
            }
            Load::Errors => vec![stream(|out, _| out.extend_from_slice(b"x\r\n"), b"ERROR")],
        };
        let connections = match load {
            Load::None | Load::All => 0,
            Load::Errors => ERROR_CONNECTIONS,
            _ => 1,
        };
        Plan { connections, steps, queues }
    }
}

/// Requests without an end.
fn stream(append: impl Fn(&mut Vec<u8>, usize), answer: &'static [u8]) -> Step {
    let mut bytes = Vec::new();
    let mut requests: usize = 0;
    while bytes.len() < BLOCK_BYTES || !requests.is_multiple_of(QUEUES) {
        append(&mut bytes, requests);
        requests += 1;
        if bytes.len() >= BLOCK_BYTES * QUEUES {
            break;
        }
    }
    let requests = requests as u64;
    Step { bytes, requests, times: None, answer, lines: requests, is_load: true }
}

/// So many requests, so many times.
fn once(
    requests: usize,
    times: u64,
    append: impl Fn(&mut Vec<u8>, usize),
    (answer, lines_each): (&'static [u8], u64),
    is_load: bool,
) -> Step {
    let mut bytes = Vec::new();
    (0..requests).for_each(|number| append(&mut bytes, number));
    let requests = requests as u64;
    Step { bytes, requests, times: Some(times), answer, lines: requests * lines_each, is_load }
}

/// Queues are filled, and then emptied: a queue server hands each body out once.
fn large<'a>(name: impl Fn(usize) -> &'a str) -> Vec<Step> {
    let body = vec![b'b'; LARGE_BYTES];
    let fill = |out: &mut Vec<u8>, number: usize| append_set(out, name(number), "", &body);
    let take = |out: &mut Vec<u8>, number: usize| append_get(out, name(number));
    vec![
        once(LARGE_QUEUES, LARGE_ROUNDS, fill, (b"STORED", 1), false),
        once(LARGE_QUEUES, LARGE_ROUNDS, take, (b"VALUE", 3), true),
    ]
}

fn append_set(out: &mut Vec<u8>, name: &str, noreply: &str, body: &[u8]) {
    // Writing to a Vec does not fail.
    let _ = write!(out, "set {name} 0 0 {}{noreply}\r\n", body.len());
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

fn append_get(out: &mut Vec<u8>, name: &str) {
    let _ = write!(out, "get {name}\r\n");
}

/// As many names as fit into the longest line.
fn append_long_get(out: &mut Vec<u8>, name: impl Fn(usize) -> String) {
    let begin = out.len();
    out.extend_from_slice(b"get");
    for number in 0.. {
        let name = name(number);
        if out.len() - begin + 1 + name.len() + 2 > GET_LINE_BYTES_MAX {
            break;
        }
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(load: Load) -> Plan {
        Plan::new(load, "q", 10)
    }

    #[test]
    fn all_is_each_once() {
        let loads = Load::of(&[Load::All]);
        assert_eq!((loads.len(), loads[0], loads.contains(&Load::All)), (9, Load::None, false));
        assert_eq!(Load::of(&[Load::Sets, Load::None]), [Load::Sets, Load::None]);
        assert_eq!(Load::GetsLarge.name(), "gets-large");
    }

    #[test]
    fn streams_are_whole_requests_over_all_queues() {
        let plan = plan(Load::SetsNoreply);
        let step = &plan.steps[0];
        assert!(step.bytes.len() >= BLOCK_BYTES && step.bytes.len() < 2 * BLOCK_BYTES && step.lines == 1);
        let text = std::str::from_utf8(&step.bytes).unwrap();
        assert_eq!(text.matches("noreply\r\nbbbbbbbbbb\r\n").count() as u64, step.requests);
        assert!(plan.queues.iter().all(|queue| text.contains(&format!("set {queue} 0 0 10 noreply\r\n"))));
    }

    #[test]
    fn a_long_get_is_as_long_as_a_line_may_be() {
        let plan = plan(Load::LongGet);
        let line = plan.steps[0].bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap();
        assert!((GET_LINE_BYTES_MAX - 10..=GET_LINE_BYTES_MAX).contains(&line.len()), "{}", line.len());
    }

    #[test]
    fn a_burst_gets_what_it_sets() {
        let step = &plan(Load::Bursts).steps[0];
        let text = std::str::from_utf8(&step.bytes).unwrap();
        assert_eq!((text.matches("set ").count(), text.matches("get ").count()), (8000, 8000));
        assert!(text.starts_with("set q-load-0 0 0 10\r\nbbbbbbbbbb\r\nget q-load-0\r\nset q-load-1 "));
    }

    #[test]
    fn large_bodies_are_put_before_they_are_taken() {
        let steps = plan(Load::GetsLarge).steps;
        assert_eq!(
            steps.iter().map(|step| (step.is_load, step.times)).collect::<Vec<_>>(),
            [(false, Some(LARGE_ROUNDS)), (true, Some(LARGE_ROUNDS))]
        );
        assert_eq!(steps[0].requests, steps[1].requests);
    }
}
