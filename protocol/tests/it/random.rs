//! Random input, good and bad. The seed is printed when a test fails; `SEED=` gives it back.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::seeds::fuzz;
use crate::transcript::{BODY_BYTES_MAX, check, check_cuts};

const ROUNDS: usize = 500;

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn from_environment() -> Random {
        let seed = match std::env::var("SEED") {
            Ok(seed) => seed.parse().expect("SEED is a number"),
            Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64),
        };
        println!("SEED={seed}");
        Random(seed | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// What may stand in a body; line ends and the protocol's own words more often than by chance.
    fn body(&mut self, len: usize) -> Vec<u8> {
        let mut body = Vec::new();
        while body.len() < len {
            match self.below(4) {
                0 => {
                    body.extend_from_slice(self.pick(&["\r\n", "\n", "\r", "get x\r\n", "set x 0 0 3\r\n"]).as_bytes())
                }
                _ => body.push(self.below(256) as u8),
            }
        }
        body.truncate(len);
        body
    }

    fn name(&mut self) -> String {
        let len = if self.one_in(10) { 250 } else { 1 + self.below(12) };
        let name: String = (0..len).map(|_| char::from(b'!' + self.below(94) as u8)).collect();
        // Keys are another test's business.
        name.replace(['/', '+'], ":")
    }

    /// A key with options, most of them good and most of them together where they should be.
    fn key(&mut self) -> String {
        let mut key = String::from(self.pick(&["q", "q", "jobs/todo", "q+c", "a/b+c", "q+c/d", "+c", "q+", ""]));
        for _ in 0..self.below(4) {
            key.push('/');
            let option = match self.below(4) {
                0 => self.pick(&["open", "close", "abort", "release", "bury", "peek", "dead", "config"]),
                1 => self.pick(&["t=5", "as=w", "for=5", "lease=7", "delay=5", "id=a", "kick=5", "open", "close"]),
                2 => self.pick(&["ticket=a", "ticket=a", "place=a", "paid=a", "gate", "ticket="]),
                _ => self.pick(&["t=", "t=x", "as=", "delay=-0", "lease=9007199254740992", "todo", ""]),
            };
            key.push_str(option);
        }
        key
    }

    /// A line with a key, and a body where it may be a set's.
    fn keyed_line(&mut self) -> String {
        let (key, other) = (self.key(), self.key());
        let last = self.pick(&["", "", " noreply", " 0", " x"]);
        match self.below(10) {
            0..=2 => format!("{} {key}\r\n", self.pick(&["get", "gets", "GET"])),
            3 => format!("{} {} {key}\r\n", self.pick(&["gat", "gats"]), self.pick(&["0", "30", "-1", "31536001"])),
            4 => format!("touch {key} {}{last}\r\n", self.pick(&["0", "30", "-1", "31536001"])),
            5 => format!("{} {key}{last}\r\n", self.pick(&["delete", "flush"])),
            6 => format!("{} {key} 0 0 5{last}\r\nget x\r\n", self.pick(&["set", "set", "add"])),
            7 => format!("incr {key} {}{last}\r\n", self.pick(&["1", "1", "01", "2", "x"])),
            8 => format!("stats gate {key}\r\n"),
            _ => format!("get {key} {other}\r\n"),
        }
    }

    fn bad_name(&mut self) -> String {
        let mut name = self.name();
        if self.one_in(2) {
            return name.repeat(251);
        }
        name.insert_str(self.below(name.len()), self.pick(&["\t", "\0", "\u{7f}", "\r!"]));
        name
    }
}

/// Input, and what must come out of it.
#[derive(Default)]
struct Script {
    input: Vec<u8>,
    wanted: Vec<String>,
    closed: bool,
}

impl Script {
    /// Returns what a body behind it may end in.
    fn line(&mut self, random: &mut Random, line: &str) -> &'static [&'static str] {
        self.input.extend_from_slice(line.as_bytes());
        let end = random.pick(&["\r\n", "\r\n", "\n", " \r\n"]);
        self.input.extend_from_slice(end.as_bytes());
        if end == "\n" { &["\r\n", "\n"] } else { &["\r\n"] }
    }

    fn closed(&mut self, noreply: bool, reply: &str) {
        self.rejected(noreply, reply);
        self.wanted.last_mut().expect("just pushed").push_str(", close");
        self.closed = true;
    }

    fn rejected(&mut self, noreply: bool, reply: &str) {
        self.wanted.push(if noreply { String::from("no reply") } else { String::from(reply) });
    }

    /// A body's end: a good one, or anything at all through a newline.
    fn swallowed_end(&mut self, random: &mut Random) {
        let end = random.pick(&["\r\n", "\r\n", "\r\n", "\n", "\r\r\n", "get x\r\n", "\rx\n"]);
        self.input.extend_from_slice(end.as_bytes());
    }

    fn good(&mut self, random: &mut Random) {
        let name = random.name();
        match random.below(5) {
            0 | 1 => {
                let (flags, exptime) = (random.below(1 << 31), random.below(100) as i64 - 50);
                let len = random.below(BODY_BYTES_MAX + 1);
                let body = random.body(len);
                let noreply = random.pick(&["", " noreply"]);
                let ends = self.line(random, &format!("set {name} {flags} {exptime} {len}{noreply}"));
                self.input.extend_from_slice(&body);
                self.input.extend_from_slice(random.pick(ends).as_bytes());
                let name = name.as_bytes().escape_ascii();
                self.wanted.push(format!("set {name} {flags} {exptime} \"{}\"{noreply}", body.escape_ascii()));
            }
            2 | 3 => {
                let mut line = String::from(random.pick(&["get", "gets"]));
                let mut wanted = line.clone();
                for _ in 0..=random.below(5) {
                    let name = random.name();
                    line.push_str(random.pick(&[" ", "  "]));
                    line.push_str(&name);
                    wanted.push_str(&format!(" {}", name.as_bytes().escape_ascii()));
                }
                self.line(random, &line);
                self.wanted.push(wanted);
            }
            _ => {
                self.line(random, "version");
                self.wanted.push(String::from("Version"));
            }
        }
    }

    fn bad(&mut self, random: &mut Random) {
        let noreply = random.one_in(3);
        let last = if noreply { " noreply" } else { "" };
        let name = random.name();
        let len = random.below(2 * BODY_BYTES_MAX);
        let body = random.body(len);
        match random.below(8) {
            0 => {
                let line = random.pick(&["", "x", "get", "stats foo", "verbosity", "delete"]);
                self.line(random, line);
                self.rejected(false, "ERROR");
            }
            1 => {
                let (word, noreply) = match random.pick(&["add", "replace", "append", "prepend", "ADD", "ms"]) {
                    "ms" => ("ms", false),
                    word => (word, noreply),
                };
                let middle = if word == "ms" { "" } else { "0 0 " };
                self.line(random, &format!("{word} {name} {middle}{len}{last}"));
                self.input.extend_from_slice(&body);
                self.swallowed_end(random);
                self.rejected(noreply, "ERROR");
            }
            2 => {
                let bad_name = random.bad_name();
                let line = match random.below(3) {
                    0 => format!("set {bad_name} 0 0 {len}{last}"),
                    1 => format!("set {name} 4294967296 0 {len}{last}"),
                    _ => format!("set {name} 0 x {len}{last}"),
                };
                // A name may be so long that the line is too: another test's business.
                if line.len() < 2000 {
                    self.line(random, &line);
                    self.input.extend_from_slice(&body);
                    self.swallowed_end(random);
                    self.rejected(noreply, "CLIENT_ERROR bad command line format");
                }
            }
            3 => {
                let bad_name = random.bad_name();
                self.line(random, &format!("get {name} {bad_name} {name}"));
                self.rejected(false, "CLIENT_ERROR bad command line format");
            }
            4 => {
                self.line(random, &format!("set {name} 0 0 -1{last}"));
                self.closed(noreply, "CLIENT_ERROR bad data chunk");
            }
            6 => {
                let (size, reply) = match random.below(4) {
                    0 => ("", "ERROR"),
                    1 => ("1 2", "ERROR"),
                    _ => (random.pick(&["x", "4294967297"]), "CLIENT_ERROR bad command line format"),
                };
                let last = if reply == "ERROR" { "" } else { last };
                self.line(random, &format!("set {name} 0 0 {size}{last}"));
                self.closed(noreply && !last.is_empty(), reply);
            }
            5 => {
                let len = BODY_BYTES_MAX + 1 + random.below(2000);
                let body = random.body(len);
                self.line(random, &format!("set {name} 0 0 {len}{last}"));
                self.input.extend_from_slice(&body);
                self.swallowed_end(random);
                self.rejected(noreply, "SERVER_ERROR object too large for cache");
            }
            _ => {
                let len = len % BODY_BYTES_MAX;
                let ends = self.line(random, &format!("set {name} 0 0 {len}{last}"));
                self.input.extend_from_slice(&body[..len.min(body.len())]);
                let junk = match random.pick(&["\n", "x\n", "\rx\r\n", "get x\r\n", "\r\r\n"]) {
                    "\n" if ends.contains(&"\n") => "x\n",
                    junk => junk,
                };
                self.input.extend_from_slice(junk.as_bytes());
                self.rejected(noreply, "CLIENT_ERROR bad data chunk");
            }
        }
    }
}

fn script(random: &mut Random) -> Script {
    let mut script = Script::default();
    for _ in 0..1 + random.below(8) {
        if script.closed {
            // What comes behind must not matter.
            script.input.extend_from_slice(b"flush_all\r\n");
        } else if random.one_in(2) {
            script.bad(random);
        } else {
            script.good(random);
        }
    }
    script
}

#[test]
fn good_and_bad_commands_come_out_as_they_should_however_they_are_cut() {
    let mut random = Random::from_environment();
    for _ in 0..ROUNDS {
        let script = script(&mut random);
        let wanted: Vec<&str> = script.wanted.iter().map(String::as_str).collect();
        check(&script.input, &wanted);
    }
}

#[test]
fn keys_are_understood_as_the_reference_does() {
    let mut random = Random::from_environment();
    for _ in 0..4 * ROUNDS {
        let lines: String = (0..3).map(|_| random.keyed_line()).collect();
        fuzz::parser_holds(lines.as_bytes());
    }
}

#[test]
fn garbage_comes_out_the_same_however_it_is_cut() {
    let mut random = Random::from_environment();
    for _ in 0..ROUNDS {
        let mut input = script(&mut random).input;
        for _ in 0..=random.below(6) {
            let at = random.below(input.len().max(1)).min(input.len().saturating_sub(1));
            match random.below(4) {
                0 => input.truncate(at),
                1 if !input.is_empty() => input[at] = random.below(256) as u8,
                2 if !input.is_empty() => drop(input.remove(at)),
                _ => input.insert(at, *b"\r\n -9\x80*\x16".get(random.below(8)).unwrap_or(&0)),
            }
        }
        check_cuts(&input);
    }
}
