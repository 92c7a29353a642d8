//! The loads of `--beside`, by their words.

use std::str::FromStr;

/// What happens beside the client that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    None,
    SetsNoreply,
    Sets,
    GetsEmpty,
    GetsLarge,
    Version,
    LongGet,
    Bursts,
    Errors,
    All,
}

impl FromStr for Load {
    type Err = String;

    fn from_str(text: &str) -> Result<Load, String> {
        let found = Load::ALL.iter().find(|(_, word, _)| *word == text);
        let words = || Load::ALL.map(|(_, word, _)| word).join(", ");
        found.map(|(load, _, _)| *load).ok_or_else(|| format!("it is one of {}", words()))
    }
}

impl Load {
    /// Each with its word on the command line, and what it does.
    pub(crate) const ALL: [(Load, &str, &str); 10] = [
        (Load::None, "none", "nothing: the base to compare with"),
        (Load::SetsNoreply, "sets-noreply", "one connection streams sets with noreply"),
        (Load::Sets, "sets", "one connection streams sets, and reads the answers"),
        (Load::GetsEmpty, "gets-empty", "one connection streams gets of queues that do not exist"),
        (
            Load::GetsLarge,
            "gets-large",
            "one connection streams gets that bring 1 MiB each; the client is not measured while they are put",
        ),
        (Load::Version, "version", "one connection streams `version`"),
        (Load::LongGet, "long-get", "one connection streams gets of 64 KiB, each with thousands of names"),
        (
            Load::Bursts,
            "bursts",
            "one connection sends 16,000 sets and gets at once, and does it again when all are answered",
        ),
        (Load::Errors, "errors", "50 connections stream lines that are no command"),
        (Load::All, "all", "each of these, one after the other"),
    ];

    /// The word on the command line.
    pub(crate) fn name(self) -> String {
        let own = Load::ALL.iter().find(|(load, _, _)| *load == self);
        own.map(|(_, word, _)| word.to_string()).unwrap_or_default()
    }

    /// The loads that these words stand for.
    pub(crate) fn of(words: &[Load]) -> Vec<Load> {
        let every = || Load::ALL.iter().map(|(load, _, _)| *load).filter(|load| *load != Load::All);
        words.iter().flat_map(|word| if *word == Load::All { every().collect() } else { vec![*word] }).collect()
    }
}
