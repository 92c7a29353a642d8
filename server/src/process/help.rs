//! What `--help` prints: every option once, in groups.

use std::fmt::Write;

use crate::process::commands::{COMMANDS, Command};
use crate::process::getopt::Known;

/// The groups, each with the long names of its options in the order in which they are shown.
const GROUPS: [(&str, &[&str]); 8] = [
    (
        "Who gets in",
        &[
            "--port",
            "--udp-port",
            "--unix-socket",
            "--unix-mask",
            "--listen",
            "--connections",
            "--connections-per-address",
            "--idle-timeout",
            "--users",
            "--open",
            "--tls-cert",
            "--tls-key",
            "--tls-ca",
            "--proxy-protocol",
        ],
    ),
    (
        "Messages",
        &[
            "--home",
            "--body-bytes",
            "--memory",
            "--no-sync",
            "--commit-kilobytes",
            "--commit",
            "--checkpoint-seconds",
            "--remove-logs",
            "--segment-bytes",
            "--no-flush-all",
            "--no-zend-greeting",
        ],
    ),
    (
        "Queues",
        &[
            "--queue-config",
            "--no-config",
            "--no-options",
            "--no-fanout",
            "--kestrel-keys",
            "--open-per-connection",
            "--wait-max",
        ],
    ),
    ("The operator", &["--admin", "--admin-read-only", "--admin-host", "--agent-check"]),
    ("Process", &["--daemon", "--threads", "--user", "--pid-file", "--stop-timeout", "--core-files"]),
    ("Data directory", &["--check", "--repair", "--import", "--import-queue"]),
    ("Log and help", &["--verbose", "--statistics-seconds", "--log-file", "--license", "--help", "--version"]),
    (
        "Of memcacheQ's Berkeley DB, without effect here",
        &["--page-size", "--trickle-seconds", "--trickle-percent", "--deadlock-milliseconds", "--extent-pages"],
    ),
];

/// The whole text. `about`: what the program is, in a line.
pub(crate) fn text(about: &str, known: &[Known]) -> String {
    let mut text = format!("{about}\n\nUsage: rushq [options]\n       rushq COMMAND [options]\n");
    for (heading, names) in GROUPS {
        group(&mut text, heading, known_in_order(names, known).map(|option| (forms(option), option.description)));
    }
    let commands = COMMANDS.iter().map(|command| (command.name.to_string(), command.summary));
    group(&mut text, "Commands for a running server, each with a --help of its own", commands);
    text
}

/// The whole text of a command's `--help`.
pub(crate) fn of_command(command: &Command) -> String {
    let blank = if command.words.is_empty() { "" } else { " " };
    let mut text = format!("{}\n\nUsage: rushq {} [options]{blank}{}\n", command.about, command.name, command.words);
    for (heading, options) in command.groups() {
        group(&mut text, heading, options.iter().map(|option| (forms(option), option.description)));
    }
    text
}

/// A heading, and below it lines of two columns.
fn group<'a>(text: &mut String, heading: &str, lines: impl Iterator<Item = (String, &'a str)>) {
    let lines: Vec<(String, &str)> = lines.collect();
    let width = lines.iter().map(|(forms, _)| forms.len()).max().unwrap_or(0);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\n{heading}:");
    for (forms, description) in lines {
        // argh has them begin with a small letter.
        let (first, rest) = description.split_at(1);
        let _ = writeln!(text, "  {forms:width$}  {}{rest}", first.to_uppercase());
    }
}

fn known_in_order<'a>(names: &'a [&str], known: &'a [Known]) -> impl Iterator<Item = &'a Known> {
    names.iter().filter_map(|name| known.iter().find(|option| option.long == *name))
}

/// An option as it is written: its letter, its long name, and the word for its value.
fn forms(option: &Known) -> String {
    let letter = option.letter.map_or_else(|| "    ".to_string(), |letter| format!("-{letter}, "));
    let value = option.value.map_or_else(String::new, |value| format!(" <{value}>"));
    // What takes no value and counts each time.
    let again = if option.value.is_none() && option.repeats { "..." } else { "" };
    format!("{letter}{}{value}{again}", option.long)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::process::options::known;

    #[test]
    fn every_option_is_in_one_group() {
        let known = known();
        let shown: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let distinct: BTreeSet<&str> = shown.iter().copied().collect();
        assert_eq!(distinct.len(), shown.len(), "none is shown twice");
        let all: BTreeSet<&str> = known.iter().filter(|option| !option.hidden).map(|option| option.long).collect();
        assert_eq!(distinct, all);
        let text = text("", &known);
        for option in known {
            let lines = text
                .lines()
                .filter(|line| line.split_whitespace().any(|word| word.trim_end_matches("...") == option.long));
            assert_eq!(lines.count() > 0, !option.hidden, "{}", option.long);
        }
    }
}
