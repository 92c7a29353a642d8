//! What comes of a command, in words of its own: the parser and the reference are compared by these.

use protocol::{Act, Command, Parse, Rejection, Which};

use super::key::{Name, name_of};

/// What came of a command. `Rejected` and `Closed` with the line to answer, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome<'a> {
    Set {
        queue: &'a [u8],
        flags: u32,
        exptime: i64,
        body: &'a [u8],
        noreply: bool,
    },
    SetWith {
        name: Name<'a>,
        flags: u32,
        exptime: i64,
        body: &'a [u8],
        delay_s: Option<u32>,
        id: &'a [u8],
        noreply: bool,
    },
    Configure {
        name: Name<'a>,
        words: &'a [u8],
        noreply: bool,
    },
    Get {
        queues: Vec<&'a [u8]>,
        with_number: bool,
        has_children: bool,
    },
    Consume {
        name: Name<'a>,
        act: Act<'a>,
        with_number: bool,
    },
    Delete {
        name: Name<'a>,
        noreply: bool,
    },
    Acknowledge {
        name: Name<'a>,
        which: Which<'a>,
        noreply: bool,
    },
    Unconfigure {
        name: Name<'a>,
        noreply: bool,
    },
    Touch {
        name: Name<'a>,
        which: Which<'a>,
        lease_s: i64,
        noreply: bool,
    },
    /// What an add asks of a gate.
    Add {
        name: Name<'a>,
        buyer: &'a [u8],
        flags: u32,
        body: &'a [u8],
        noreply: bool,
    },
    /// What any other command with a buyer but a get asks of a gate: the word, and the seconds of a touch.
    OfBuyer {
        word: &'static str,
        name: Name<'a>,
        buyer: &'a [u8],
        seconds: u32,
        noreply: bool,
    },
    Flush {
        name: Name<'a>,
    },
    StatsGate {
        name: Name<'a>,
    },
    StatsQueues {
        prefix: &'a [u8],
    },
    FlushAll {
        noreply: bool,
    },
    Verbosity {
        level: u32,
        noreply: bool,
    },
    Plain(&'static str),
    Rejected(Option<&'static str>),
    Closed(Option<&'static str>),
}

impl<'a> Outcome<'a> {
    /// What the parser says, in the words of this.
    pub(crate) fn of(parse: &Parse<'a>) -> Outcome<'a> {
        let words = |rejection: &Option<Rejection>| {
            let line = rejection.map(|it| std::str::from_utf8(it.reply()).expect("replies are text"));
            line.map(|line| line.strip_suffix("\r\n").expect("replies are whole lines"))
        };
        let command = match parse {
            Parse::Command(command) => *command,
            Parse::Rejected(rejection) => return Outcome::Rejected(words(rejection)),
            Parse::Close(rejection) => return Outcome::Closed(words(rejection)),
            Parse::Incomplete => unreachable!("not an outcome"),
        };
        match command {
            Command::Set { queue, flags, exptime, body, noreply } => {
                Outcome::Set { queue, flags, exptime, body, noreply }
            }
            Command::SetWith { key, flags, exptime, body, delay_s, id, noreply } => {
                Outcome::SetWith { name: name_of(key), flags, exptime, body, delay_s, id, noreply }
            }
            Command::Configure { key, words, noreply } => Outcome::Configure { name: name_of(key), words, noreply },
            Command::Get { queues, with_number } => {
                Outcome::Get { queues: queues.collect(), with_number, has_children: queues.has_children() }
            }
            Command::Consume { key, act, with_number } => Outcome::Consume { name: name_of(key), act, with_number },
            Command::Delete { key, noreply } => Outcome::Delete { name: name_of(key), noreply },
            Command::Acknowledge { key, which, noreply } => Outcome::Acknowledge { name: name_of(key), which, noreply },
            Command::Unconfigure { key, noreply } => Outcome::Unconfigure { name: name_of(key), noreply },
            Command::Touch { key, which, lease_s, noreply } => {
                Outcome::Touch { name: name_of(key), which, lease_s, noreply }
            }
            Command::Join { key, buyer, message: Some((flags, body)), noreply } => {
                Outcome::Add { name: name_of(key), buyer, flags, body, noreply }
            }
            Command::Join { key, buyer, message: None, noreply } => {
                Outcome::OfBuyer { word: "incr", name: name_of(key), buyer, seconds: 0, noreply }
            }
            Command::Pay { key, buyer, noreply } => {
                Outcome::OfBuyer { word: "touch", name: name_of(key), buyer, seconds: 0, noreply }
            }
            Command::Extend { key, buyer, seconds, noreply } => {
                Outcome::OfBuyer { word: "touch", name: name_of(key), buyer, seconds, noreply }
            }
            Command::Return { key, buyer, noreply } => {
                Outcome::OfBuyer { word: "delete", name: name_of(key), buyer, seconds: 0, noreply }
            }
            Command::StatsGate { key } => Outcome::StatsGate { name: name_of(key) },
            Command::Flush { key } => Outcome::Flush { name: name_of(key) },
            Command::StatsQueues { prefix } => Outcome::StatsQueues { prefix },
            Command::StatsConns => Outcome::Plain("stats conns"),
            Command::FlushAll { noreply } => Outcome::FlushAll { noreply },
            Command::Verbosity { level, noreply } => Outcome::Verbosity { level, noreply },
            Command::Stats => Outcome::Plain("stats"),
            Command::StatsQueue => Outcome::Plain("stats queue"),
            Command::StatsCores => Outcome::Plain("stats cores"),
            Command::StatsLatency => Outcome::Plain("stats latency"),
            Command::StatsReset => Outcome::Plain("stats reset"),
            Command::StatsSettings => Outcome::Plain("stats settings"),
            Command::StatsOfCache => Outcome::Plain("stats of a cache"),
            Command::Version => Outcome::Plain("version"),
            Command::Quit => Outcome::Plain("quit"),
            Command::DbCheckpoint => Outcome::Plain("db_checkpoint"),
            Command::DbArchive => Outcome::Plain("db_archive"),
        }
    }
}
