//! The words that a queue is told: `depth=1000 tries=5`.

use std::fmt;

use super::{Dead, Expire, Full, PutWhen, Ttl};

/// Bytes of the longest text that is read as words.
pub const TEXT_BYTES_MAX: usize = 4096;
/// Delays that a backoff lists at most.
pub const BACKOFF_DELAYS_MAX: usize = 16;
/// The most tries that a queue can have: a try is one byte.
pub const TRIES_MAX: u8 = 250;
/// The most tickets that a gate has, and the most places in its line.
pub const TICKETS_MAX: u32 = 100_000_000;
/// How often a buyer can be given more time at most: it is counted in a byte.
pub const HOLD_MAX_MAX: u8 = 250;
/// A value of `open=` from this one on is a second since 1970, in 2001 and later. Below, it is a number of messages.
const MOMENT_MIN: u64 = 1_000_000_000;
/// The last second of `open=` and `close=`: far below what a number of milliseconds can be.
const MOMENT_MAX: u64 = 1 << 40;
/// Bytes of a bad word that are shown, before those that are no plain text are written out.
const SHOWN_BYTES_MAX: usize = 64;

/// One word, as it was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    Depth(u64),
    Bytes(u64),
    Full(Full),
    Age(u32),
    Expire(Expire),
    Ttl(Ttl),
    Delay(u32),
    Lease(u32),
    Tries(u8),
    Backoff(Box<[u32]>),
    Open(u32),
    Dedup(u32),
    Dead(Dead),
    FanoutOnly(bool),
    Tickets(u32),
    Hold(u32),
    HoldMax(u8),
    Put(PutWhen),
    Line(u32),
    Opens(u64),
    Closes(u64),
    Pause(bool),
}

/// The names of the words, in the order in which they are written. Two are called `open`, and told by their values.
const NAMES: [&str; 22] = [
    "depth",
    "bytes",
    "full",
    "age",
    "expire",
    "ttl",
    "delay",
    "lease",
    "tries",
    "backoff",
    "open",
    "dedup",
    "dead",
    "fanout_only",
    "tickets",
    "hold",
    "hold_max",
    "put",
    "line",
    "open",
    "close",
    "pause",
];

impl Word {
    /// Its place in [`NAMES`].
    fn order(&self) -> usize {
        match self {
            Word::Depth(_) => 0,
            Word::Bytes(_) => 1,
            Word::Full(_) => 2,
            Word::Age(_) => 3,
            Word::Expire(_) => 4,
            Word::Ttl(_) => 5,
            Word::Delay(_) => 6,
            Word::Lease(_) => 7,
            Word::Tries(_) => 8,
            Word::Backoff(_) => 9,
            Word::Open(_) => 10,
            Word::Dedup(_) => 11,
            Word::Dead(_) => 12,
            Word::FanoutOnly(_) => 13,
            Word::Tickets(_) => 14,
            Word::Hold(_) => 15,
            Word::HoldMax(_) => 16,
            Word::Put(_) => 17,
            Word::Line(_) => 18,
            Word::Opens(_) => 19,
            Word::Closes(_) => 20,
            Word::Pause(_) => 21,
        }
    }

    /// Reads a word; `None` when it is none.
    fn read(text: &str) -> Option<Word> {
        let (name, value) = text.split_once('=')?;
        Some(match name {
            "depth" => Word::Depth(number(value)?),
            "bytes" => Word::Bytes(number(value)?),
            "full" => Word::Full(one_of(value, [("refuse", Full::Refuse), ("drop", Full::Drop)])?),
            "age" => Word::Age(number(value)?),
            "expire" => Word::Expire(one_of(value, [("drop", Expire::Drop), ("dead", Expire::Dead)])?),
            "ttl" => Word::Ttl(one_of(value, [("off", Ttl::Off), ("client", Ttl::Client)])?),
            "delay" => Word::Delay(number(value)?),
            "lease" => Word::Lease(number(value)?),
            "tries" => Word::Tries(number(value).filter(|tries| *tries <= TRIES_MAX)?),
            "backoff" => Word::Backoff(delays(value)?),
            // With 0 nothing could be opened.
            "open" => match number(value)? {
                moment @ MOMENT_MIN..=MOMENT_MAX => Word::Opens(moment),
                open => Word::Open(u32::try_from(open).ok().filter(|open| *open > 0)?),
            },
            "dedup" => Word::Dedup(number(value)?),
            "dead" => Word::Dead(one_of(value, [("keep", Dead::Keep), ("drop", Dead::Drop)])?),
            "fanout_only" => Word::FanoutOnly(one_of(value, [("0", false), ("1", true)])?),
            "tickets" => Word::Tickets(number(value).filter(|tickets| *tickets <= TICKETS_MAX)?),
            "hold" => Word::Hold(number(value)?),
            "hold_max" => Word::HoldMax(number(value).filter(|times| *times <= HOLD_MAX_MAX)?),
            "put" => Word::Put(one_of(value, [("given", PutWhen::Given), ("paid", PutWhen::Paid)])?),
            "line" => Word::Line(number(value).filter(|places| *places <= TICKETS_MAX)?),
            "pause" => Word::Pause(one_of(value, [("0", false), ("1", true)])?),
            "close" => Word::Closes(number(value).filter(|moment| *moment <= MOMENT_MAX)?),
            _ => return None,
        })
    }
}

/// A number in digits alone.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn delays(text: &str) -> Option<Box<[u32]>> {
    if text.bytes().filter(|byte| *byte == b',').count() >= BACKOFF_DELAYS_MAX {
        return None;
    }
    text.split(',').map(number).collect()
}

fn one_of<V>(text: &str, values: [(&str, V); 2]) -> Option<V> {
    values.into_iter().find(|(name, _)| *name == text).map(|(_, value)| value)
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", NAMES[self.order()])?;
        match self {
            Word::Depth(number) | Word::Bytes(number) | Word::Opens(number) | Word::Closes(number) => number.fmt(f),
            Word::Age(number)
            | Word::Delay(number)
            | Word::Lease(number)
            | Word::Open(number)
            | Word::Dedup(number)
            | Word::Tickets(number)
            | Word::Hold(number)
            | Word::Line(number) => number.fmt(f),
            Word::Tries(times) | Word::HoldMax(times) => times.fmt(f),
            Word::Put(PutWhen::Given) => f.write_str("given"),
            Word::Put(PutWhen::Paid) => f.write_str("paid"),
            Word::Full(Full::Refuse) => f.write_str("refuse"),
            Word::Full(Full::Drop) | Word::Expire(Expire::Drop) | Word::Dead(Dead::Drop) => f.write_str("drop"),
            Word::Expire(Expire::Dead) => f.write_str("dead"),
            Word::Ttl(Ttl::Off) => f.write_str("off"),
            Word::Ttl(Ttl::Client) => f.write_str("client"),
            Word::Dead(Dead::Keep) => f.write_str("keep"),
            Word::FanoutOnly(yes) | Word::Pause(yes) => u8::from(*yes).fmt(f),
            Word::Backoff(delays) => {
                for (at, delay) in delays.iter().enumerate() {
                    write!(f, "{}{delay}", if at == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

/// The word of a text that is none: its name is unknown, its value is bad or too large, or it is there twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadWord(Box<str>);

impl BadWord {
    fn new(word: &[u8]) -> BadWord {
        let shown = &word[..word.len().min(SHOWN_BYTES_MAX)];
        let more = if shown.len() < word.len() { "..." } else { "" };
        BadWord(format!("{}{more}", shown.escape_ascii()).into())
    }

    /// The word in printable ASCII, its end cut off when it is long.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BadWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Words, each at most once, in their order. A word that says what is so anyway is kept: it stands above what a pattern
/// says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(Vec<Word>);

impl Words {
    /// Reads words that are separated by blanks, tabs or newlines.
    ///
    /// # Errors
    /// The first word that is none or is there twice; or the text is longer than [`TEXT_BYTES_MAX`].
    pub fn parse(text: &[u8]) -> Result<Words, BadWord> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(BadWord(format!("longer-than-{TEXT_BYTES_MAX}-bytes").into()));
        }
        let mut words = Words::default();
        for text in words_of(text) {
            let word = std::str::from_utf8(text).ok().and_then(Word::read).ok_or_else(|| BadWord::new(text))?;
            if words.0.iter().any(|other| other.order() == word.order()) {
                return Err(BadWord::new(text));
            }
            words.put(word);
        }
        Ok(words)
    }

    /// These words, and from `defaults` those that these do not have.
    #[must_use]
    pub fn over(&self, defaults: &Words) -> Words {
        let mut words = defaults.clone();
        for word in &self.0 {
            words.put(word.clone());
        }
        words
    }

    /// Whether there is no word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words as they are stored and shown: in their order, with a blank between two; at most
    /// [`SETTINGS_BYTES_MAX`](crate::SETTINGS_BYTES_MAX) bytes.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    /// These words, with one that says whether the queue is paused, or none.
    pub(crate) fn with_pause(mut self, paused: Option<bool>) -> Words {
        self.0.retain(|word| !matches!(word, Word::Pause(_)));
        paused.into_iter().for_each(|paused| self.put(Word::Pause(paused)));
        self
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Word> {
        self.0.iter()
    }

    /// Adds a word, in place of the one of its name.
    pub(super) fn put(&mut self, word: Word) {
        match self.0.binary_search_by_key(&word.order(), Word::order) {
            Ok(at) => self.0[at] = word,
            Err(at) => self.0.insert(at, word),
        }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.0.iter().enumerate() {
            write!(f, "{}{word}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// What stands between blanks, tabs and newlines.
pub(super) fn words_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[track_caller]
    fn assert_text(text: &str, canonical: &str) {
        let words = Words::parse(text.as_bytes()).unwrap();
        assert_eq!(words.to_string(), canonical);
        assert_eq!(Words::parse(canonical.as_bytes()), Ok(words));
    }

    #[test]
    fn words_are_written_in_one_order_and_way() {
        assert_text("", "");
        assert_text(" \r\n\t", "");
        assert_text("tries=5\ndepth=1000\r\nlease=60", "depth=1000 lease=60 tries=5");
        assert_text(
            "\tfanout_only=1  dead=drop dedup=0 open=1 backoff=1,5,30",
            "backoff=1,5,30 open=1 dedup=0 dead=drop fanout_only=1",
        );
        assert_text("delay=007 ttl=off expire=drop age=0 full=refuse", "full=refuse age=0 expire=drop ttl=off delay=7");
    }

    #[test]
    fn open_is_a_number_of_messages_or_a_moment() {
        assert_text("open=1800000000 tickets=5", "tickets=5 open=1800000000");
        assert_text("open=1800000000 open=7 close=0", "open=7 open=1800000000 close=0");
        assert_eq!(Words::parse(b"open=1800000000 open=1000000000").unwrap_err().shown(), "open=1000000000");
        let settings = Settings::from(&Words::parse(b"open=999999999 open=1000000000").unwrap());
        assert_eq!((settings.open, settings.gate.opens), (999_999_999, 1_000_000_000));
    }

    #[test]
    fn a_bad_word_is_named() {
        let many = format!("backoff={}0", "0,".repeat(BACKOFF_DELAYS_MAX));
        for word in [
            "depht=1",
            "Depth=1",
            "depth",
            "=",
            "depth=",
            "depth=-1",
            "depth=+1",
            "depth=1s",
            "depth=18446744073709551616",
            "age=4294967296",
            "tries=251",
            "open=0",
            "full=",
            "full=dead",
            "ttl=on",
            "fanout_only=2",
            "pause=on",
            "backoff=",
            "backoff=1,,2",
            "backoff=1,",
            "backoff=4294967296",
            "tickets=100000001",
            "hold=-1",
            "hold_max=251",
            "put=sold",
            "close=1e9",
            "open=9999999999999999",
            &many,
        ] {
            let bad = Words::parse(format!("bytes=1 {word} lease=x").as_bytes()).unwrap_err();
            assert_eq!(bad.shown(), word);
        }
        assert!(Words::parse(many.replacen("0,", "", 1).as_bytes()).is_ok());
        assert_eq!(Words::parse(b"depth=1 tries=2 depth=1").unwrap_err().shown(), "depth=1", "there twice");
        assert_eq!(Words::parse(b"depth=1\0\xff").unwrap_err().shown(), "depth=1\\x00\\xff");
        let long = Words::parse(&[b'x'; 1000]).unwrap_err();
        assert_eq!(long.shown(), format!("{}...", "x".repeat(64)));
        assert!(Words::parse(&[b' '; TEXT_BYTES_MAX]).is_ok());
        assert_eq!(Words::parse(&[b' '; TEXT_BYTES_MAX + 1]).unwrap_err().shown(), "longer-than-4096-bytes");
    }

    #[test]
    fn a_queues_own_words_stand_above_others() {
        let words = |text: &str| Words::parse(text.as_bytes()).unwrap();
        let both = words("tries=0 depth=5").over(&words("depth=9 bytes=7 tries=3"));
        assert_eq!(both, words("depth=5 bytes=7 tries=0"));
        assert_eq!(words("").over(&words("age=1")), words("age=1"));
    }
}
