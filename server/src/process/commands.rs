//! The commands of `rushq` for a running server: `rushq top`, `rushq purge jobs`. Which there are, with their options, is
//! written once, here; their help is made of it. What they do is in `tools/ctl`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::process::getopt::{self, Known};
use crate::process::help;
use crate::process::path_text;

/// A command.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) which: Which,
    pub(crate) name: &'static str,
    /// What stands behind its name, besides options.
    pub(crate) words: &'static str,
    /// How many of those there are.
    least: usize,
    most: usize,
    /// For a list of all of them.
    pub(crate) summary: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
    options: &'static [Known],
}

/// Which command it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Ping,
    Stats,
    Top,
    Peek,
    Purge,
    Move,
    Kick,
    Config,
}

const fn option(
    letter: Option<char>,
    long: &'static str,
    value: Option<&'static str>,
    description: &'static str,
) -> Known {
    Known { letter, long, value, repeats: false, hidden: false, description }
}

/// Where the server is, and as which user it is spoken to: options of every command.
const WHERE: [Known; 6] = [
    option(
        Some('p'),
        "--port",
        Some("[HOST:]PORT"),
        "memcache port or admin port of the server [default: 127.0.0.1:22201]",
    ),
    option(Some('s'), "--unix-socket", Some("FILE"), "the Unix socket of either, in place of a port"),
    option(
        None,
        "--user",
        Some("NAME"),
        "user to log in as; the password is that of RUSHQ_PASSWORD or --password-file, or is asked for",
    ),
    option(None, "--password-file", Some("FILE"), "file whose first line is the password"),
    option(None, "--timeout", Some("SECONDS"), "most seconds that an answer may take [default: 5]"),
    option(Some('h'), "--help", None, "print this help"),
];

/// All commands.
pub(crate) const COMMANDS: [Command; 8] = [
    Command {
        which: Which::Top,
        name: "top",
        words: "",
        least: 0,
        most: 0,
        summary: "Shows the queues as they change, in the terminal",
        about: "Shows the queues of a running server, with their depths, ages and rates, as they change. Keys: h lists them. \
                Without a terminal, and with --once, the table is printed once",
        options: &[
            option(Some('1'), "--once", None, "print the table once, and end"),
            option(
                None,
                "--sort",
                Some("COLUMN"),
                "column to sort by, largest first, names from a on [default: waiting] [possible values: name, waiting, \
                 open, delayed, dead, oldest, in, out, bytes, waiters]",
            ),
            option(None, "--filter", Some("TEXT"), "show only queues whose names contain this"),
            option(None, "--limit", Some("N"), "queues that --once prints at most [default: 50]"),
            option(None, "--interval", Some("SECONDS"), "seconds between two looks [default: 2]"),
        ],
    },
    Command {
        which: Which::Stats,
        name: "stats",
        words: "[KIND [NAME]]",
        least: 0,
        most: 2,
        summary: "Prints figures of the server, or of one kind: settings, cores, latency, conns, queues, gate",
        about: "Prints figures of a running server, a line each: its name and its value. KIND is what the memcache command \
                stats takes: settings, cores, latency, conns, queue, queues, gate. The admin port has the figures without a \
                KIND only",
        options: &[],
    },
    Command {
        which: Which::Peek,
        name: "peek",
        words: "QUEUE",
        least: 1,
        most: 1,
        summary: "Shows messages of a queue, and takes none",
        about: "Shows the messages at the head of a queue, and takes none. Those that are open or delayed are shown by the \
                admin port, as is more than one. Dead letters are QUEUE/dead",
        options: &[
            option(Some('n'), "--count", Some("N"), "messages to show, 1 to 1000 [default: 1]"),
            option(None, "--raw", None, "print nothing but the bytes of one body, as they are"),
        ],
    },
    Command {
        which: Which::Purge,
        name: "purge",
        words: "QUEUE",
        least: 1,
        most: 1,
        summary: "Drops the messages of a queue",
        about: "Drops the messages of a queue that wait or are delayed; over the memcache port its dead letters too. What is \
                open stays. It shows how many there are, and asks for that number; in a script, --count gives it",
        options: &[option(
            Some('n'),
            "--count",
            Some("N"),
            "drop them without a question, if there are as many as this now, or, over the admin port, the oldest so many",
        )],
    },
    Command {
        which: Which::Move,
        name: "move",
        words: "QUEUE TO",
        least: 2,
        most: 2,
        summary: "Moves messages to another queue that there is",
        about: "Moves messages from the head of a queue to the end of another, which must exist. None is lost if it is killed \
                in the middle; over the memcache port one may then be in both",
        options: &[option(Some('n'), "--count", Some("N"), "messages to move [default: those that wait now]")],
    },
    Command {
        which: Which::Kick,
        name: "kick",
        words: "QUEUE",
        least: 1,
        most: 1,
        summary: "Puts dead letters back into their queue",
        about: "Puts the oldest dead letters of a queue back into it, as if they had never been tried",
        options: &[option(Some('n'), "--count", Some("N"), "dead letters to put back [default: all]")],
    },
    Command {
        which: Which::Config,
        name: "config",
        words: "QUEUE [WORD=VALUE ...]",
        least: 1,
        most: usize::MAX,
        summary: "Shows what a queue is told, or tells it something else",
        about: "Without words, prints the settings of a queue that differ from the defaults. With words, they are all that it \
                is told: what it was told before is gone. `rushq config jobs tries=5 lease=60`",
        options: &[option(None, "--default", None, "bring the defaults back")],
    },
    Command {
        which: Which::Ping,
        name: "ping",
        words: "",
        least: 0,
        most: 0,
        summary: "Asks whether a server answers, for health checks",
        about: "Exits with 0 if a server answers in time, and with 1 if none does. No login is needed",
        options: &[],
    },
];

impl Command {
    /// Its options, in the groups of its help.
    pub(crate) fn groups(&self) -> Vec<(&'static str, &'static [Known])> {
        let own = (!self.options.is_empty()).then_some(("Options", self.options));
        own.into_iter().chain([("Server", &WHERE[..])]).collect()
    }

    fn known(&self) -> Vec<Known> {
        self.groups().into_iter().flat_map(|(_, options)| options.iter().copied()).collect()
    }
}

/// A command as it was given.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) which: Which,
    words: Vec<String>,
    /// Options by their long names.
    given: Vec<(&'static str, Option<String>)>,
}

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Run(Line),
    /// Something to print.
    Text(String),
}

/// Reads a command line that begins with a word. `None`: it begins with an option, or is empty.
///
/// # Errors
/// When there is no such command or option, or words are missing or too many.
pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Option<Result<Asked, String>> {
    let mut arguments = arguments.map(|argument| path_text::encode(&argument)).peekable();
    let name = arguments.next_if(|first| !first.starts_with('-'))?;
    Some(understand(&name, arguments))
}

fn understand(name: &str, arguments: impl Iterator<Item = String>) -> Result<Asked, String> {
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        let near = getopt::nearest(name, COMMANDS.iter().map(|command| command.name));
        let near = near.map_or_else(String::new, |near| format!(", {near} perhaps"));
        return Err(format!("{name}: there is no such command{near}; rushq --help lists all"));
    };
    let remedy = |what: String| format!("{name}: {what}; rushq {name} --help lists all options");
    let known = command.known();
    let (given, words) = getopt::split_with_words(arguments, &known).map_err(remedy)?;
    if given.iter().any(|given| given.option.long == "--help") {
        return Ok(Asked::Text(help::of_command(command)));
    }
    if words.len() < command.least {
        return Err(remedy(format!("something is missing, it is rushq {name} {}", command.words)));
    }
    if let Some(word) = words.get(command.most) {
        let words = if command.words.is_empty() { "nothing but options" } else { command.words };
        return Err(remedy(format!("{word}: it is too much, {name} takes {words}")));
    }
    let given = given.into_iter().map(|given| (given.option.long, given.value)).collect();
    Ok(Asked::Run(Line { which: command.which, words, given }))
}

impl Line {
    /// The word at a place, in its bytes.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn word(&self, at: usize) -> Result<Vec<u8>, String> {
        let word = self.words.get(at).ok_or_else(|| "a word is missing".to_string())?;
        Ok(path_text::decode(word)?.into_os_string().into_vec())
    }

    /// How many words there are.
    pub(crate) fn words(&self) -> usize {
        self.words.len()
    }

    /// Whether an option was given.
    pub(crate) fn has(&self, long: &str) -> bool {
        self.given.iter().any(|(name, _)| *name == long)
    }

    /// The value of an option: the last that was given.
    pub(crate) fn value(&self, long: &str) -> Option<&str> {
        self.given.iter().rev().find(|(name, _)| *name == long).and_then(|(_, value)| value.as_deref())
    }

    /// The value of an option that is a path.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn path(&self, long: &str) -> Result<Option<PathBuf>, String> {
        self.value(long).map(path_text::decode).transpose()
    }

    /// The value of an option that is a number.
    ///
    /// # Errors
    /// When it is none, or not within the bounds. The line names the option.
    pub(crate) fn number(&self, long: &str, least: u64, most: u64) -> Result<Option<u64>, String> {
        let number = |digits: &str| {
            let number = digits.parse().ok().filter(|number| (least..=most).contains(number));
            number.ok_or_else(|| format!("{long} {digits}: it is a number from {least} to {most}"))
        };
        self.value(long).map(number).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Option<Result<Asked, String>> {
        read(line.split_whitespace().map(OsString::from))
    }

    fn error(line: &str) -> String {
        of(line).expect("it begins with a word").expect_err("it is wrong")
    }

    #[test]
    fn a_command_line_begins_with_a_word() {
        for line in ["", "-p 1 top", "--help", "-"] {
            assert!(of(line).is_none(), "{line}");
        }
        let Some(Ok(Asked::Run(line))) = of("move a -p 22201 b --count=3 --count 4 -s/x --") else {
            panic!("it is good")
        };
        assert_eq!((line.which, line.words()), (Which::Move, 2));
        assert_eq!((line.word(0), line.word(1)), (Ok(b"a".to_vec()), Ok(b"b".to_vec())));
        assert_eq!((line.value("--port"), line.number("--count", 1, 9)), (Some("22201"), Ok(Some(4))));
        assert_eq!(line.path("--unix-socket"), Ok(Some(PathBuf::from("/x"))));
        assert!(line.has("--port") && !line.has("--user"));
        line.number("--count", 5, 9).expect_err("it is too small");
    }

    #[test]
    fn names_are_any_bytes() {
        let line = read([OsString::from("peek"), OsString::from_vec(b"\xff".to_vec())].into_iter());
        let Some(Ok(Asked::Run(line))) = line else { panic!("it is good") };
        assert_eq!(line.word(0), Ok(b"\xff".to_vec()));
    }

    #[test]
    fn what_is_wrong_is_named_with_the_remedy() {
        for (line, words) in [
            ("start", &["start: there is no such command", "rushq --help"][..]),
            ("tpo", &["top perhaps"]),
            ("peek", &["peek: something is missing", "rushq peek QUEUE", "rushq peek --help"]),
            ("peek a b", &["b: it is too much", "peek takes QUEUE"]),
            ("top jobs", &["jobs: it is too much", "nothing but options"]),
            ("purge a --cuont 1", &["--count perhaps"]),
            ("move a b -n", &["-n: its value is missing"]),
        ] {
            let error = error(line);
            assert!(words.iter().all(|word| error.contains(word)) && !error.contains('\n'), "{line}: {error}");
        }
    }

    #[test]
    fn each_has_a_help_with_all_its_options() {
        for command in &COMMANDS {
            let Some(Ok(Asked::Text(text))) = of(&format!("{} --help", command.name)) else {
                panic!("{}", command.name)
            };
            assert!(text.contains(&format!("Usage: rushq {} [options]", command.name)), "{text}");
            let known = command.known();
            for option in &known {
                assert_eq!(known.iter().filter(|other| other.long == option.long).count(), 1, "{}", option.long);
                assert!(text.contains(&format!("{} ", option.long)), "{} in {text}", option.long);
            }
            let letters: Vec<char> = known.iter().filter_map(|option| option.letter).collect();
            assert!(letters.iter().all(|letter| letters.iter().filter(|it| *it == letter).count() == 1), "{letters:?}");
        }
    }
}
