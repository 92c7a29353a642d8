//! What queues are told by their names: a file of patterns.
//!
//! A line is a pattern with a colon, and words: `jobs-*: tries=5 lease=30`. `*` is any bytes, `?` any one, in the name as
//! a client says it: `*` has the `+` and the `/` in it. Of two lines that match, the later one has the say, word by word.
//! What stands behind a word that begins with `#` is a comment; empty lines are skipped.
//!
//! Dead letters are other queues than those that they come from: `*: age=60` would throw away within a minute what is
//! kept for a person to look at. So only a pattern that ends in `/dead` speaks of dead letters.

use std::fmt;

use super::words::{BadWord, Words, words_of};
use crate::names::{KEY_BYTES_MAX, is_dead, parent_of, shown};

/// Lines with words that a file has at most.
pub const PATTERNS_MAX: usize = 1000;
const DEAD: &[u8] = b"/dead";
/// Bytes of the longest pattern: longer ones match no name, or could be shorter.
const PATTERN_BYTES_MAX: usize = 2 * KEY_BYTES_MAX;

/// Words by patterns of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns(Vec<(Box<[u8]>, Words)>);

/// A line of a file of patterns that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub what: Box<str>,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl Patterns {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// The first line that begins with no pattern and colon, or has a bad word; or there are more than
    /// [`PATTERNS_MAX`].
    pub fn parse(text: &[u8]) -> Result<Patterns, BadLine> {
        let mut patterns = Patterns::default();
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let bad = |what: String| BadLine { line: at + 1, what: what.into() };
            let Some((pattern, words)) = read_line(line).map_err(bad)? else { continue };
            if patterns.0.len() == PATTERNS_MAX {
                return Err(bad(format!("there are more than {PATTERNS_MAX} patterns")));
            }
            patterns.0.push((pattern.into(), words));
        }
        Ok(patterns)
    }

    /// What the patterns say of the queue with this stored name.
    #[must_use]
    pub fn words_of(&self, name: &[u8]) -> Words {
        let parent = parent_of(name).filter(|_| is_dead(name));
        let said = shown(parent.unwrap_or(name));
        let mut words = Words::default();
        for (pattern, more) in &self.0 {
            let pattern = if parent.is_some() { pattern.strip_suffix(DEAD) } else { Some(&**pattern) };
            if pattern.is_some_and(|pattern| matches(pattern, &said)) {
                words = more.over(&words);
            }
        }
        words
    }

    /// Whether there is no pattern.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The pattern of a line and its words; `None` when there is nothing on it.
fn read_line(line: &[u8]) -> Result<Option<(&[u8], Words)>, String> {
    let mut parts = words_of(line).take_while(|word| word[0] != b'#');
    let Some(first) = parts.next() else { return Ok(None) };
    let pattern = first.strip_suffix(b":").filter(|pattern| (1..=PATTERN_BYTES_MAX).contains(&pattern.len()));
    let Some(pattern) = pattern else {
        let shown = first[..first.len().min(PATTERN_BYTES_MAX)].escape_ascii();
        return Err(format!("{shown} is no pattern with a colon and a blank, as in \"jobs-*: tries=5\""));
    };
    let words = Words::parse(&parts.collect::<Vec<_>>().join(&b' '));
    match words {
        Ok(words) => Ok(Some((pattern, words))),
        Err(bad) => Err(bad_word(&bad)),
    }
}

fn bad_word(bad: &BadWord) -> String {
    format!("bad word {bad}")
}

/// Whether a name is what a pattern says: `*` is any bytes, `?` any one. Steps: at most the product of their bytes.
#[must_use]
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where the last star is, and the byte of the name behind what it takes.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                // The last star takes one byte more. Those before it can stay as they are.
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{child, dead};

    #[test]
    fn stars_are_any_bytes_and_question_marks_one() {
        for (pattern, good, bad) in [
            ("jobs", &["jobs"][..], &["job", "jobs1", "xjobs", ""][..]),
            ("jobs-*", &["jobs-", "jobs-1", "jobs-a+b/c", "jobs-*"], &["jobs", "xjobs-1"]),
            ("*", &["a", "a/b", "a+b"], &[]),
            ("*:mail:*", &["a:mail:b", ":mail:", "a:mail:mail:"], &["a:mail", "mail:a"]),
            ("a?c", &["abc", "a?c", "a*c"], &["ac", "abbc"]),
            ("*a*b?", &["abc", "aabbb", "xaxbxbx"], &["ab", "acb", "bac"]),
            ("**x", &["x", "yx"], &["xy"]),
        ] {
            for name in good {
                assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
            }
            for name in bad {
                assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
            }
        }
        // A pattern that has to be tried at every byte takes its time once.
        let pattern = [b"*a".repeat(100), b"b".to_vec()].concat();
        assert!(!matches(&pattern, &[b'a'; KEY_BYTES_MAX]));
    }

    #[test]
    fn later_lines_have_the_say_word_by_word() {
        let text = b"# Defaults of the shop.\n\n* : x\n";
        assert_eq!(Patterns::parse(text).unwrap_err().line, 3);
        let text = b"# The shop.\r\n*: tries=3 lease=30 # all\n\n  jobs-*:\ttries=5\r\njobs-*/dead: age=9\nempty:\n*+log: depth=7";
        let patterns = Patterns::parse(text).unwrap();
        for (name, words) in [
            (&b"other"[..], "lease=30 tries=3"),
            (b"jobs-1", "lease=30 tries=5"),
            (b"empty", "lease=30 tries=3"),
            (&child(b"jobs-1", b"log"), "depth=7 lease=30 tries=5"),
            (&dead(b"jobs-1"), "age=9"),
            (&dead(b"other"), ""),
            (&dead(&child(b"jobs-1", b"log")), "age=9"),
        ] {
            assert_eq!(patterns.words_of(name).to_string(), words, "{}", name.escape_ascii());
        }
        assert!(!patterns.is_empty() && Patterns::parse(b" \n# nothing").unwrap().is_empty());
        assert!(Patterns::default().words_of(b"q").is_empty());
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, line, what) in [
            (&b"\n#\njobs: tries=5 depht=1"[..], 3, "bad word depht=1"),
            (b"jobs tries=5", 1, "jobs is no pattern with a colon and a blank, as in \"jobs-*: tries=5\""),
            (b"jobs:tries=5", 1, "jobs:tries=5 is no pattern with a colon and a blank, as in \"jobs-*: tries=5\""),
            (b":", 1, ": is no pattern with a colon and a blank, as in \"jobs-*: tries=5\""),
            (b"q: age=1 age=2", 1, "bad word age=2"),
            (b"q: age=\xff", 1, "bad word age=\\xff"),
        ] {
            let bad = Patterns::parse(text).unwrap_err();
            assert_eq!(bad, BadLine { line, what: what.into() });
        }
        let many = "q: age=1\n".repeat(PATTERNS_MAX);
        assert!(Patterns::parse(many.as_bytes()).is_ok());
        let bad = Patterns::parse(format!("{many}q: age=1").as_bytes()).unwrap_err();
        assert_eq!((bad.line, &*bad.what), (PATTERNS_MAX + 1, "there are more than 1000 patterns"));
    }
}
