//! Feeds input in pieces, and renders what came out as lines that are easy to write down in a test.

use protocol::{
    Act, Command, Fate, GET_LINE_BYTES_MAX, Holder, Key, KeyRules, LINE_BYTES_MAX, Parse, Parser, Rejection, Which,
};

/// The parsers of these tests take bodies of up to so many bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64;

/// Every input is parsed whole, and in pieces of so many bytes.
const PIECES: [usize; 7] = [usize::MAX, 1000, 100, 10, 5, 2, 1];

/// Checks that `input` comes out as `wanted`, however it is cut.
#[track_caller]
pub(crate) fn check(input: impl AsRef<[u8]>, wanted: &[&str]) {
    check_under(KeyRules::default(), input, wanted);
}

/// As [`check`], for keys under these rules.
#[track_caller]
pub(crate) fn check_under(rules: KeyRules, input: impl AsRef<[u8]>, wanted: &[&str]) {
    let input = input.as_ref();
    for piece in PIECES {
        let came = feed(rules, input, piece);
        assert_eq!(came, wanted, "\ninput: {}\npieces of {piece}", input.escape_ascii());
    }
}

/// Checks that `input` comes out the same however it is cut.
#[track_caller]
pub(crate) fn check_cuts(input: &[u8]) {
    let feed = |piece| feed(KeyRules::default(), input, piece);
    let whole = feed(usize::MAX);
    for piece in PIECES {
        assert_eq!(feed(piece), whole, "\ninput: {}\npieces of {piece}", input.escape_ascii());
    }
}

/// What came out of `input`, fed in pieces of `piece` bytes as reads of a socket would bring them.
fn feed(rules: KeyRules, input: &[u8], piece: usize) -> Vec<String> {
    let mut parser = Parser::with_rules(BODY_BYTES_MAX, rules);
    let mut buffer = Vec::new();
    let mut came = Vec::new();
    for piece in input.chunks(piece.min(input.len().max(1))) {
        buffer.extend_from_slice(piece);
        loop {
            let (used, parse) = parser.next(&buffer);
            match parse {
                Parse::Command(command) => came.push(render(command)),
                Parse::Rejected(rejection) => came.push(render_rejection(rejection)),
                Parse::Close(rejection) => {
                    came.push(format!("{}, close", render_rejection(rejection)));
                    return came;
                }
                Parse::Incomplete => {}
            }
            let incomplete = parse == Parse::Incomplete;
            assert!(used > 0 || incomplete, "nothing is done with, so this would go on for ever");
            buffer.drain(..used);
            if incomplete {
                break;
            }
        }
        assert_eq!(parser.next(&buffer), (0, Parse::Incomplete), "a call without more input is of no use");
        let is_get = buffer.len() > 2 && buffer[..3].eq_ignore_ascii_case(b"get");
        let line_bytes_max = if is_get { GET_LINE_BYTES_MAX } else { LINE_BYTES_MAX };
        assert!(buffer.len() <= line_bytes_max + 1 + BODY_BYTES_MAX + 2, "{} bytes are held", buffer.len());
    }
    if !buffer.is_empty() {
        came.push(format!("{} bytes left", buffer.len()));
    }
    came
}

fn render(command: Command<'_>) -> String {
    let quiet = |noreply: bool| if noreply { " noreply" } else { "" };
    match command {
        Command::Set { queue, flags, exptime, body, noreply } => {
            let (queue, body) = (queue.escape_ascii(), body.escape_ascii());
            format!("set {queue} {flags} {exptime} \"{body}\"{}", quiet(noreply))
        }
        Command::Get { queues, with_number } => {
            let mut line = String::from(if with_number { "gets" } else { "get" });
            for queue in queues {
                line.push_str(&format!(" {}", queue.escape_ascii()));
            }
            line
        }
        Command::SetWith { key, flags, exptime, body, delay_s, id, noreply } => {
            let body = body.escape_ascii();
            let delay = delay_s.map(|delay| format!(" delay {delay}")).unwrap_or_default();
            let id = if id.is_empty() { String::new() } else { format!(" id {}", id.escape_ascii()) };
            format!("set {}{delay}{id} {flags} {exptime} \"{body}\"{}", name(key), quiet(noreply))
        }
        Command::Configure { key, words, noreply } => {
            format!("configure {} \"{}\"{}", name(key), words.escape_ascii(), quiet(noreply))
        }
        Command::Consume { key, act, with_number } => {
            let number = if with_number { " with number" } else { "" };
            format!("{} {} as {}{number}", render_act(act), name(key), key.asked().escape_ascii())
        }
        Command::Delete { key, noreply } => format!("delete {}{}", name(key), quiet(noreply)),
        Command::Acknowledge { key, which, noreply } => {
            format!("acknowledge {} {}{}", render_which(which), name(key), quiet(noreply))
        }
        Command::Unconfigure { key, noreply } => format!("unconfigure {}{}", name(key), quiet(noreply)),
        Command::Touch { key, which, lease_s, noreply } => {
            format!("touch {} {} {lease_s}{}", render_which(which), name(key), quiet(noreply))
        }
        Command::Join { key, buyer, message, noreply } => {
            let message = message.map(|(flags, body)| format!(" with {flags} \"{}\"", body.escape_ascii()));
            let message = message.unwrap_or_default();
            format!("join {} of {}{message}{}", buyer.escape_ascii(), name(key), quiet(noreply))
        }
        Command::Pay { key, buyer, noreply } => {
            format!("pay {} of {}{}", buyer.escape_ascii(), name(key), quiet(noreply))
        }
        Command::Extend { key, buyer, seconds, noreply } => {
            format!("extend {} of {} {seconds} s{}", buyer.escape_ascii(), name(key), quiet(noreply))
        }
        Command::Return { key, buyer, noreply } => {
            format!("return {} of {}{}", buyer.escape_ascii(), name(key), quiet(noreply))
        }
        Command::StatsGate { key } => format!("stats gate {}", name(key)),
        Command::Flush { key } => format!("flush {}", name(key)),
        Command::StatsQueues { prefix } => format!("stats queues [{}]", prefix.escape_ascii()),
        Command::FlushAll { noreply } => format!("flush_all{}", quiet(noreply)),
        Command::Verbosity { level, noreply } => format!("verbosity {level}{}", quiet(noreply)),
        other => format!("{other:?}"),
    }
}

/// A key's queue, child, and whether dead letters are meant.
fn name(key: Key<'_>) -> String {
    let child = key.child().map(|child| format!(" child {}", child.escape_ascii())).unwrap_or_default();
    format!("{}{child}{}", key.queue().escape_ascii(), if key.is_dead() { " dead" } else { "" })
}

fn render_act(act: Act<'_>) -> String {
    let wait = |wait_ms: Option<u32>| wait_ms.map(|ms| format!(" wait {ms}")).unwrap_or_default();
    match act {
        Act::Take { wait_ms } => format!("take{}", wait(wait_ms)),
        Act::Open { holder, lease_s, close, wait_ms } => {
            let holder = match holder {
                Holder::Connection => String::new(),
                Holder::Name(name) => format!(" for {}", name.escape_ascii()),
                Holder::Number => String::from(" for its number"),
            };
            let lease = lease_s.map(|seconds| format!(" {seconds} s")).unwrap_or_default();
            format!("{}open{holder}{lease}{}", if close { "close and " } else { "" }, wait(wait_ms))
        }
        Act::Peek => String::from("peek"),
        Act::End { which, fate } => {
            let after = |delay_s: Option<u32>| delay_s.map(|seconds| format!(" after {seconds} s")).unwrap_or_default();
            let fate = match fate {
                Fate::Acknowledge => String::from("close"),
                Fate::Abort { delay_s } => format!("abort{}", after(delay_s)),
                Fate::Release { delay_s } => format!("release{}", after(delay_s)),
                Fate::Bury => String::from("bury"),
            };
            format!("{fate} {}", render_which(which))
        }
        Act::Kick { count } => format!("kick {count}"),
        Act::Config => String::from("config of"),
        Act::Join { buyer } => format!("join {} of", buyer.escape_ascii()),
        Act::Look { buyer } => format!("look {} of", buyer.escape_ascii()),
        Act::Pay { buyer } => format!("pay {} of", buyer.escape_ascii()),
        Act::Gate => String::from("gate of"),
    }
}

fn render_which(which: Which<'_>) -> String {
    match which {
        Which::Mine => String::from("mine of"),
        Which::Name(name) => format!("{} of", name.escape_ascii()),
        Which::Lease(lease) => format!("lease {lease} of"),
    }
}

fn render_rejection(rejection: Option<Rejection>) -> String {
    let Some(rejection) = rejection else {
        return String::from("no reply");
    };
    let reply = std::str::from_utf8(rejection.reply()).expect("replies are text");
    reply.strip_suffix("\r\n").expect("replies are whole lines").to_owned()
}
