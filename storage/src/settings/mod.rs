//! What queues are told: settings.
//!
//! [`Words`] are what was said: by a client to one queue, or by a line of a file to all whose names match
//! ([`Patterns`]). [`Settings`] are what holds: a queue's own words over those of the patterns, over the defaults. A
//! queue's own words are stored with it as text; they are all that it was told last, not joined with what it was told
//! before. `0` takes back what a pattern says: no limit, no age, no lease or no tries of its own.

mod patterns;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;

pub use patterns::{BadLine, PATTERNS_MAX, Patterns, matches};
use words::Word;
pub use words::{BACKOFF_DELAYS_MAX, BadWord, HOLD_MAX_MAX, TEXT_BYTES_MAX, TICKETS_MAX, TRIES_MAX, Words};

/// What a put beyond a limit meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Full {
    /// It is refused.
    #[default]
    Refuse,
    /// The oldest message that waits makes room for it.
    Drop,
}

/// What becomes of a message that is too old.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expire {
    /// It is gone.
    #[default]
    Drop,
    /// It goes to the dead letters.
    Dead,
}

/// Whether a client's exptime counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ttl {
    /// It is read and ignored.
    #[default]
    Off,
    /// It counts, by memcached's rule.
    Client,
}

/// What becomes of a message whose tries are used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dead {
    /// It goes to the dead letters.
    #[default]
    Keep,
    /// It is gone.
    Drop,
}

/// When the message of a ticket may be handed out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PutWhen {
    /// When the ticket is given.
    #[default]
    Given,
    /// When it is paid.
    Paid,
}

/// What holds for the gate of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateSettings {
    /// Tickets that may be out at once; `None`: there is no gate.
    pub tickets: Option<u32>,
    /// How long a buyer has to pay, in seconds; 0: a ticket is final at once.
    pub hold: u32,
    /// How often a buyer may be given more time.
    pub hold_max: u8,
    /// When the message of a ticket may be handed out.
    pub put: PutWhen,
    /// Buyers in line for what comes back, at most.
    pub line: u32,
    /// The second since 1970 from which on buyers are let in; 0: from the beginning.
    pub opens: u64,
    /// The second since 1970 from which on none is let in any more; 0: there is none.
    pub closes: u64,
}

impl Default for GateSettings {
    fn default() -> GateSettings {
        GateSettings { tickets: None, hold: 0, hold_max: 1, put: PutWhen::Given, line: 0, opens: 0, closes: 0 }
    }
}

/// The lease, in seconds, of an open that names none and is of no queue with one.
pub const LEASE_S: u32 = 60;

/// What holds for a queue. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The most messages that it holds: waiting, delayed and open together.
    pub depth: Option<u64>,
    /// The most bytes of their bodies.
    pub bytes: Option<u64>,
    /// What a put beyond these meets.
    pub full: Full,
    /// Messages that are older go.
    pub age: Option<u32>,
    /// Where they go.
    pub expire: Expire,
    /// Whether a set's exptime counts.
    pub ttl: Ttl,
    /// How long a message is kept back after its put.
    pub delay: u32,
    /// The lease of an open that names none; `None`: [`LEASE_S`], and none at all for what a connection holds.
    pub lease: Option<u32>,
    /// After so many tries, 1 to [`TRIES_MAX`], a message goes to the dead letters.
    pub tries: Option<u8>,
    /// How long a message is kept back after its first try, its second, and so on; the last one repeats. None when it is
    /// empty.
    pub backoff: Box<[u32]>,
    /// The most messages that are open at once.
    pub open: u32,
    /// How long the id of a put is remembered.
    pub dedup: u32,
    /// Where a message's last try ends.
    pub dead: Dead,
    /// Whether a put goes to the children alone.
    pub fanout_only: bool,
    /// Whether it hands out no message.
    pub pause: bool,
    /// Its gate.
    pub gate: GateSettings,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            depth: None,
            bytes: None,
            full: Full::Refuse,
            age: None,
            expire: Expire::Drop,
            ttl: Ttl::Off,
            delay: 0,
            lease: None,
            tries: None,
            backoff: Box::default(),
            open: Settings::OPEN_MAX,
            dedup: 300,
            dead: Dead::Keep,
            fanout_only: false,
            pause: false,
            gate: GateSettings::default(),
        }
    }
}

impl Settings {
    /// The most messages that are open at once, where no word says another number.
    pub const OPEN_MAX: u32 = 100_000;

    /// What holds for the queue with this stored name, which was told `own`.
    #[must_use]
    pub fn of(name: &[u8], own: &Words, patterns: &Patterns) -> Settings {
        Settings::from(&own.over(&patterns.words_of(name)))
    }

    /// How long a message is kept back after so many failed tries, from 1 on.
    #[must_use]
    pub fn backoff_s(&self, failed_tries: u8) -> u32 {
        let at = usize::from(failed_tries).saturating_sub(1);
        self.backoff.get(at).or(self.backoff.last()).copied().unwrap_or(0)
    }

    /// The lease, in seconds, of an open by name or number that names none.
    #[must_use]
    pub fn lease_s(&self) -> u32 {
        self.lease.unwrap_or(LEASE_S)
    }

    /// The words that make these settings: all that differs from the defaults.
    #[must_use]
    pub fn words(&self) -> Words {
        let defaults = Settings::default();
        let mut words = Words::default();
        let mut put = |differs: bool, word: Word| {
            if differs {
                words.put(word);
            }
        };
        put(self.depth != defaults.depth, Word::Depth(self.depth.unwrap_or(0)));
        put(self.bytes != defaults.bytes, Word::Bytes(self.bytes.unwrap_or(0)));
        put(self.full != defaults.full, Word::Full(self.full));
        put(self.age != defaults.age, Word::Age(self.age.unwrap_or(0)));
        put(self.expire != defaults.expire, Word::Expire(self.expire));
        put(self.ttl != defaults.ttl, Word::Ttl(self.ttl));
        put(self.delay != defaults.delay, Word::Delay(self.delay));
        put(self.lease != defaults.lease, Word::Lease(self.lease.unwrap_or(0)));
        put(self.tries != defaults.tries, Word::Tries(self.tries.unwrap_or(0)));
        put(self.backoff != defaults.backoff, Word::Backoff(self.backoff.clone()));
        put(self.open != defaults.open, Word::Open(self.open));
        put(self.dedup != defaults.dedup, Word::Dedup(self.dedup));
        put(self.dead != defaults.dead, Word::Dead(self.dead));
        put(self.fanout_only != defaults.fanout_only, Word::FanoutOnly(self.fanout_only));
        put(self.pause != defaults.pause, Word::Pause(self.pause));
        let (gate, none) = (&self.gate, &defaults.gate);
        put(gate.tickets != none.tickets, Word::Tickets(gate.tickets.unwrap_or(0)));
        put(gate.hold != none.hold, Word::Hold(gate.hold));
        put(gate.hold_max != none.hold_max, Word::HoldMax(gate.hold_max));
        put(gate.put != none.put, Word::Put(gate.put));
        put(gate.line != none.line, Word::Line(gate.line));
        put(gate.opens != none.opens, Word::Opens(gate.opens));
        put(gate.closes != none.closes, Word::Closes(gate.closes));
        words
    }
}

impl From<&Words> for Settings {
    /// These words over the defaults.
    fn from(words: &Words) -> Settings {
        let mut settings = Settings::default();
        for word in words.iter() {
            match word {
                Word::Depth(depth) => settings.depth = Some(*depth).filter(|depth| *depth > 0),
                Word::Bytes(bytes) => settings.bytes = Some(*bytes).filter(|bytes| *bytes > 0),
                Word::Full(full) => settings.full = *full,
                Word::Age(age) => settings.age = Some(*age).filter(|age| *age > 0),
                Word::Expire(expire) => settings.expire = *expire,
                Word::Ttl(ttl) => settings.ttl = *ttl,
                Word::Delay(delay) => settings.delay = *delay,
                Word::Lease(lease) => settings.lease = Some(*lease).filter(|lease| *lease > 0),
                Word::Tries(tries) => settings.tries = Some(*tries).filter(|tries| *tries > 0),
                Word::Backoff(delays) => {
                    let is_none = delays.iter().all(|delay| *delay == 0);
                    settings.backoff = if is_none { Box::default() } else { delays.clone() };
                }
                Word::Open(open) => settings.open = *open,
                Word::Dedup(dedup) => settings.dedup = *dedup,
                Word::Dead(dead) => settings.dead = *dead,
                Word::FanoutOnly(only) => settings.fanout_only = *only,
                Word::Pause(pause) => settings.pause = *pause,
                Word::Tickets(tickets) => settings.gate.tickets = Some(*tickets),
                Word::Hold(hold) => settings.gate.hold = *hold,
                Word::HoldMax(times) => settings.gate.hold_max = *times,
                Word::Put(when) => settings.gate.put = *when,
                Word::Line(places) => settings.gate.line = *places,
                Word::Opens(moment) => settings.gate.opens = *moment,
                Word::Closes(moment) => settings.gate.closes = *moment,
            }
        }
        settings
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words().fmt(f)
    }
}
