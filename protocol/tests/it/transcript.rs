//! Feeds input in pieces, and renders what came out as lines that are easy to write down in a test.

use protocol::{Command, GET_LINE_BYTES_MAX, LINE_BYTES_MAX, Parse, Parser, Rejection};

/// The parsers of these tests take bodies of up to so many bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64;

/// Every input is parsed whole, and in pieces of so many bytes.
const PIECES: [usize; 7] = [usize::MAX, 1000, 100, 10, 5, 2, 1];

/// Checks that `input` comes out as `wanted`, however it is cut.
#[track_caller]
pub(crate) fn check(input: impl AsRef<[u8]>, wanted: &[&str]) {
    let input = input.as_ref();
    for piece in PIECES {
        let came = feed(input, piece);
        assert_eq!(came, wanted, "\ninput: {}\npieces of {piece}", input.escape_ascii());
    }
}

/// Checks that `input` comes out the same however it is cut.
#[track_caller]
pub(crate) fn check_cuts(input: &[u8]) {
    let whole = feed(input, usize::MAX);
    for piece in PIECES {
        assert_eq!(feed(input, piece), whole, "\ninput: {}\npieces of {piece}", input.escape_ascii());
    }
}

/// What came out of `input`, fed in pieces of `piece` bytes as reads of a socket would bring them.
pub(crate) fn feed(input: &[u8], piece: usize) -> Vec<String> {
    let mut parser = Parser::new(BODY_BYTES_MAX);
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
        let is_get = buffer.starts_with(b"get");
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
        Command::Delete { queue, noreply } => format!("delete {}{}", queue.escape_ascii(), quiet(noreply)),
        Command::Flush { queue } => format!("flush {}", queue.escape_ascii()),
        Command::FlushAll { noreply } => format!("flush_all{}", quiet(noreply)),
        Command::Verbosity { level, noreply } => format!("verbosity {level}{}", quiet(noreply)),
        other => format!("{other:?}"),
    }
}

fn render_rejection(rejection: Option<Rejection>) -> String {
    let Some(rejection) = rejection else {
        return String::from("no reply");
    };
    let reply = std::str::from_utf8(rejection.reply()).expect("replies are text");
    reply.strip_suffix("\r\n").expect("replies are whole lines").to_owned()
}
