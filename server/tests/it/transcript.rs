//! Conversations written down as they would look on a terminal, held against the real binary.
//!
//! `> text` is a line that the client sends, `< text` one that the server must answer, each with `\r\n` behind it;
//! `>| text` and `<| text` go without it. `= close` means that the server closes. `\xNN`, `\s`, `\r` and `\n` stand for
//! a byte, `{x*250}` for 250 times x, `{n}` in an answer for any number, and `$name` for a queue's name that is another
//! one in every round. A line that starts otherwise is a comment.
//!
//! A transcript runs in three ways: typed turn by turn, sent in one write, and sent in single bytes. Each way runs
//! several times, over a new connection and with other names, because the kernel picks the shard that gets a connection
//! and the name picks the shard that owns a queue: so both the local and the foreign path run.

use std::net::SocketAddr;

use crate::client::Client;
use crate::process::{Launch, Server};

const ROUNDS: u32 = 6;

#[derive(Debug, Clone, Copy)]
enum Way {
    Turns,
    Whole,
    Bytes,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Exactly(Vec<u8>),
    Number,
}

#[derive(Debug, Default)]
struct Turn {
    sends: Vec<u8>,
    expects: Vec<Piece>,
}

#[derive(Debug)]
struct Transcript {
    turns: Vec<Turn>,
    closes: bool,
}

/// Runs a transcript against a server with two shards.
pub(crate) fn run(text: &str) {
    run_on(Launch::new(), ROUNDS, text);
}

pub(crate) fn run_on(launch: Launch, rounds: u32, text: &str) {
    let server = launch.start();
    for way in [Way::Turns, Way::Whole, Way::Bytes] {
        for round in 0..rounds {
            let suffix = format!("-{way:?}-{round}");
            Transcript::parse(text, &suffix).play(server.address(), way);
            forget_queues(&server);
        }
    }
}

/// So that the next round finds a server without queues, as the first one did.
fn forget_queues(server: &Server) {
    let mut client = server.connect();
    for (queue, _) in client.stats("queue") {
        let reply = client.command(&format!("delete {queue}"));
        // Dead letters go with their queue.
        assert!(reply == "DELETED" || (reply == "NOT_FOUND" && queue.ends_with("/dead")), "delete {queue}: {reply}");
    }
}

impl Transcript {
    fn parse(text: &str, suffix: &str) -> Transcript {
        let mut turns: Vec<Turn> = Vec::new();
        let mut closes = false;
        for line in text.lines().map(str::trim_start) {
            let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
            match mark {
                ">" | ">|" => {
                    if turns.last().is_none_or(|turn| !turn.expects.is_empty()) {
                        turns.push(Turn::default());
                    }
                    let turn = turns.last_mut().unwrap();
                    turn.sends.extend(bytes_of(rest, suffix));
                    turn.sends.extend(if mark == ">" { &b"\r\n"[..] } else { b"" });
                }
                "<" | "<|" => {
                    let turn = turns.last_mut().expect("a transcript begins with the client");
                    turn.expects.extend(pieces_of(rest, suffix));
                    turn.expects.push(Piece::Exactly(if mark == "<" { b"\r\n".to_vec() } else { Vec::new() }));
                }
                "=" => closes = true,
                _ => {}
            }
        }
        if !closes {
            // An answer too many, or a connection that is out of step, shows in the answer to this.
            let expects = vec![Piece::Exactly(b"OK\r\n".to_vec())];
            turns.push(Turn { sends: b"verbosity 0\r\n".to_vec(), expects });
        }
        assert!(!turns.is_empty(), "an empty transcript");
        Transcript { turns, closes }
    }

    fn play(&self, address: SocketAddr, way: Way) {
        let mut client = Client::connect(address);
        let mut received = Vec::new();
        let mut expected: Vec<&Piece> = Vec::new();
        for turn in &self.turns {
            self.send(&mut client, turn, way);
            expected.extend(&turn.expects);
            if matches!(way, Way::Turns) {
                receive(&mut client, &mut received, &expected, way);
            }
        }
        receive(&mut client, &mut received, &expected, way);
        if self.closes {
            client.expect_close();
        }
    }

    fn send(&self, client: &mut Client, turn: &Turn, way: Way) {
        match way {
            Way::Turns => client.send(&turn.sends),
            // Everything goes with the first turn, so that it leaves in one write.
            Way::Whole if std::ptr::eq(turn, &self.turns[0]) => {
                let all: Vec<u8> = self.turns.iter().flat_map(|turn| turn.sends.iter().copied()).collect();
                client.send(all);
            }
            Way::Whole => {}
            Way::Bytes => {
                for byte in &turn.sends {
                    let sent = client.try_send(&[*byte]);
                    assert!(sent.is_ok() || self.closes, "the server went away: {sent:?}");
                }
            }
        }
    }
}

fn receive(client: &mut Client, received: &mut Vec<u8>, expected: &[&Piece], way: Way) {
    loop {
        match compare(expected, received) {
            Ok(true) => return,
            Ok(false) => {}
            Err(at) => fail(expected, received, &format!("differs at byte {at}"), way),
        }
        match client.read_once() {
            Ok(bytes) if bytes.is_empty() => fail(expected, received, "the server closed", way),
            Ok(bytes) => received.extend(bytes),
            Err(error) => fail(expected, received, &error.to_string(), way),
        }
    }
}

/// Whether everything expected is there, or only a part so far; or the byte at which it differs.
fn compare(expected: &[&Piece], received: &[u8]) -> Result<bool, usize> {
    let mut at = 0;
    for piece in expected {
        let rest = &received[at..];
        match piece {
            Piece::Exactly(bytes) => {
                let common = rest.iter().zip(bytes).take_while(|(a, b)| a == b).count();
                if common < bytes.len() {
                    return if common == rest.len() { Ok(false) } else { Err(at + common) };
                }
                at += common;
            }
            Piece::Number => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                if digits == rest.len() {
                    return Ok(false);
                }
                if digits == 0 {
                    return Err(at);
                }
                at += digits;
            }
        }
    }
    if at == received.len() { Ok(true) } else { Err(at) }
}

fn fail(expected: &[&Piece], received: &[u8], why: &str, way: Way) -> ! {
    let text = |piece: &&Piece| match piece {
        Piece::Exactly(bytes) => bytes.escape_ascii().to_string(),
        Piece::Number => String::from("{n}"),
    };
    let expected: String = expected.iter().map(text).collect();
    panic!("{way:?}: {why}\nexpected {expected}\nreceived {}", received.escape_ascii());
}

fn bytes_of(text: &str, suffix: &str) -> Vec<u8> {
    let pieces = pieces_of(text, suffix);
    let bytes = |piece| match piece {
        Piece::Exactly(bytes) => bytes,
        Piece::Number => panic!("{{n}} is for answers"),
    };
    pieces.into_iter().flat_map(bytes).collect()
}

fn pieces_of(text: &str, suffix: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut bytes: Vec<u8> = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let (taken, stands_for) = match character {
            '\\' if rest.starts_with("\\x") => (4, vec![u8::from_str_radix(&rest[2..4], 16).unwrap()]),
            '\\' => (2, vec![escape(rest.as_bytes()[1])]),
            '$' => {
                let name: String = rest[1..].chars().take_while(char::is_ascii_alphanumeric).collect();
                (1 + name.len(), format!("{name}{suffix}").into_bytes())
            }
            '{' if rest.starts_with("{n}") => {
                pieces.push(Piece::Exactly(std::mem::take(&mut bytes)));
                pieces.push(Piece::Number);
                (3, Vec::new())
            }
            '{' => {
                let (inside, _) = rest[1..].split_once('}').unwrap();
                let (unit, times) = inside.rsplit_once('*').unwrap();
                (2 + inside.len(), bytes_of(unit, suffix).repeat(times.parse().unwrap()))
            }
            other => (other.len_utf8(), other.to_string().into_bytes()),
        };
        bytes.extend(stands_for);
        rest = &rest[taken..];
    }
    pieces.push(Piece::Exactly(bytes));
    pieces
}

fn escape(letter: u8) -> u8 {
    match letter {
        b's' => b' ',
        b'r' => b'\r',
        b'n' => b'\n',
        b'0' => 0,
        other => panic!("no such escape: \\{}", char::from(other)),
    }
}
