//! What `--help` prints: every option once, in groups.

use std::fmt::Write;

use argh::{FlagInfo, FlagInfoKind};

use super::Arguments;
use super::forms::ALIASES;
use crate::options::Load;

/// The widest line.
const COLUMNS: usize = 100;
/// Where descriptions begin.
const INDENT: usize = 34;

/// The groups, each with its options in the order in which they are shown.
const GROUPS: [(&str, &[&str]); 9] = [
    ("Server", &["--server", "--port", "--protocol", "--tls", "--tls-ca", "--tls-insecure", "--server-pid"]),
    ("Load", &["--clients", "--threads", "--requests", "--test-time", "--ratio", "--pipeline"]),
    (
        "Messages and queues",
        &["--data-size", "--data-size-range", "--key-prefix", "--key-minimum", "--key-maximum", "--key-pattern"],
    ),
    ("Rates and roles", &["--rate-limiting", "--rate", "--producers", "--consumers", "--consumer-rate"]),
    ("Opens and acknowledgements", &["--reliable", "--kill-consumers", "--wait"]),
    ("Gates", &["--gate", "--buyers", "--gate-config", "--gate-unread", "--gate-kills", "--gate-refusals"]),
    ("Other runs", &["--verify", "--rush", "--beside", "--restart-command", "--restart-after"]),
    ("Results", &["--hide-histogram", "--json-out-file", "--html", "--label", "--compare", "--baseline"]),
    ("Help", &["--help", "--version"]),
];

/// The whole text. `about`: what the program is.
pub(super) fn text(about: &str, flags: &[FlagInfo<'_>]) -> String {
    let mut text = String::new();
    wrap(&mut text, about, 0);
    text.push_str("\nUsage: rushq-bench [options]\n");
    for (heading, names) in GROUPS {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{heading}:");
        for flag in names.iter().filter_map(|name| flags.iter().find(|flag| flag.long == *name)) {
            let forms = forms(flag);
            let fits = forms.len() + 4 <= INDENT;
            let _ =
                if fits { write!(text, "  {forms:0$}", INDENT - 2) } else { write!(text, "  {forms}\n{:INDENT$}", "") };
            // argh has descriptions begin with a small letter.
            let (first, rest) = flag.description.split_at(1);
            wrap(&mut text, &format!("{}{rest}", first.to_uppercase()), INDENT);
            if flag.long == "--beside" {
                for (_, word, description) in Load::ALL {
                    let _ = write!(text, "{:INDENT$}", "");
                    wrap(&mut text, &format!("{word}: {description}"), INDENT + 2);
                }
            }
        }
    }
    text
}

/// An option as it is written: its letter, its long name, and the word for its value.
fn forms(flag: &FlagInfo<'_>) -> String {
    let alias = ALIASES.iter().find(|(alias, own)| *own == flag.long && !alias.starts_with("--"));
    let letter = flag.short.map(|letter| format!("-{letter}")).or(alias.map(|(alias, _)| alias.to_string()));
    let letter = letter.map_or_else(|| "    ".to_string(), |letter| format!("{letter}, "));
    let value = match flag.kind {
        FlagInfoKind::Option { arg_name } => format!(" <{arg_name}>"),
        FlagInfoKind::Switch => String::new(),
    };
    format!("{letter}{}{value}", flag.long)
}

/// Appends `words`, the first where the line stands, which is column `indent` or before it, and each further line at
/// `indent`.
fn wrap(text: &mut String, words: &str, indent: usize) {
    let mut column = indent;
    for (number, word) in words.split(' ').enumerate() {
        if number > 0 && column + 1 + word.len() > COLUMNS {
            let _ = write!(text, "\n{:indent$}", "");
            column = indent;
        } else if number > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.len();
    }
    text.push('\n');
}

/// All options, as [`Arguments`] has them.
pub(super) fn flags() -> &'static [FlagInfo<'static>] {
    <Arguments as argh::ArgsInfo>::get_args_info().flags
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_option_is_in_one_group() {
        let shown: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let distinct: BTreeSet<&str> = shown.iter().copied().collect();
        assert_eq!(distinct.len(), shown.len(), "none is shown twice");
        let all: BTreeSet<&str> = flags().iter().map(|flag| flag.long).collect();
        assert_eq!(distinct, all);
    }

    #[test]
    fn the_text_has_every_option_with_its_letter_and_every_load() {
        let text = text("about", flags());
        for flag in flags() {
            let begins = |line: &&str| {
                let behind = line.strip_prefix("  ").and_then(|line| line.strip_prefix(forms(flag).as_str()));
                behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(' '))
            };
            assert_eq!(text.lines().filter(begins).count(), 1, "{} in\n{text}", flag.long);
        }
        for (_, word, _) in Load::ALL {
            assert!(text.contains(&format!("{word}: ")), "{word}");
        }
        assert!(text.lines().all(|line| line.len() <= COLUMNS && !line.ends_with(' ')), "{text}");
    }
}
