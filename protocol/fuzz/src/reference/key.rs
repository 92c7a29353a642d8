//! The keys once more: each command has rows of options that must be there and options that may be, as in the README.

use protocol::{Act, Fate, Holder, Key, KeyRules, Which};

use super::{BAD_TIME, Outcome, is_key, number, rejected};

const YEAR: i128 = 365 * 24 * 60 * 60;

/// Whose messages are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    asked: &'a [u8],
    queue: &'a [u8],
    child: Option<&'a [u8]>,
    dead: bool,
}

pub(crate) fn name_of(key: Key<'_>) -> Name<'_> {
    Name { asked: key.asked(), queue: key.queue(), child: key.child(), dead: key.is_dead() }
}

/// Options as they stand, each a word and what is behind its equals sign.
#[derive(Default)]
struct Options<'a>(Vec<(&'a str, &'a [u8])>);

impl<'a> Options<'a> {
    fn has(&self, word: &str) -> bool {
        self.0.iter().any(|(it, _)| *it == word)
    }

    fn value(&self, word: &str) -> Option<&'a [u8]> {
        self.0.iter().find(|(it, _)| *it == word).map(|(_, value)| *value)
    }

    fn number(&self, word: &str) -> Option<u32> {
        self.value(word).map(|value| number(value, 0, u32::MAX.into()).expect("it was looked at") as u32)
    }

    /// Whether all words in front of the colon are there, and no other but those behind it.
    fn fit(&self, row: &str) -> bool {
        let (all, some) = row.split_once(':').expect("a row has two sides");
        let both = format!(" {all} {some} ");
        let mut all = all.split_whitespace();
        all.all(|word| self.has(word)) && self.0.iter().all(|(it, _)| both.contains(&format!(" {it} ")))
    }

    fn fit_one(&self, rows: &[&str]) -> bool {
        rows.iter().any(|row| self.fit(row))
    }

    fn buyer(&self) -> Option<&'a [u8]> {
        ["ticket", "place", "paid"].iter().find_map(|word| self.value(word))
    }

    fn which(&self) -> Which<'a> {
        match (self.value("as"), self.value("lease")) {
            (Some(name), _) => Which::Name(name),
            (_, Some(lease)) => Which::Lease(number(lease, 0, 1 << 53).expect("it was looked at") as u64),
            _ => Which::Mine,
        }
    }
}

/// What a part behind a slash is: no option, a bad one, or a good one.
fn option(part: &[u8]) -> Option<Option<(&str, &[u8])>> {
    let text = std::str::from_utf8(part).ok();
    if let Some(word) = ["open", "close", "abort", "release", "bury", "peek", "dead", "config", "gate"]
        .iter()
        .find(|it| text == Some(it))
    {
        return Some(Some((word, b"")));
    }
    let words = ["t=", "as=", "for=", "lease=", "delay=", "id=", "kick="];
    let word = words.iter().find(|word| part.starts_with(word.as_bytes()))?;
    let value = &part[word.len()..];
    // A sign is no digit, and a minus in front of zeros is a number to the other commands.
    let between = |least, most| !value.starts_with(b"-") && number(value, least, most).is_some();
    let good = match *word {
        "t=" => between(0, 86_400_000),
        "for=" | "delay=" => between(0, YEAR),
        "lease=" => between(0, (1 << 53) - 1),
        "kick=" => between(1, 10_000),
        _ => (1..65).contains(&value.len()),
    };
    Some(good.then_some((&word[..word.len() - 1], value)))
}

/// The first part behind a slash that names a buyer, and its word.
fn buyer_at(parts: &[&[u8]]) -> Option<(usize, &'static str)> {
    let word =
        |part: &[u8]| ["ticket", "place", "paid"].into_iter().find(|it| part.starts_with(format!("{it}=").as_bytes()));
    (1..parts.len()).find_map(|at| Some((at, word(parts[at])?)))
}

/// Whether a key names a buyer, be it a good one or not.
pub(crate) fn has_buyer(asked: &[u8], rules: KeyRules) -> bool {
    rules.options && buyer_at(&asked.split(|byte| *byte == b'/').collect::<Vec<_>>()).is_some()
}

fn read(asked: &[u8], rules: KeyRules) -> Option<(Name<'_>, Options<'_>)> {
    let mut options = Options::default();
    let mut parts: Vec<&[u8]> = asked.split(|byte| *byte == b'/').collect();
    if let Some((at, word)) = buyer_at(&parts).filter(|_| rules.options) {
        let before: usize = parts[..at].iter().map(|part| part.len() + 1).sum();
        let buyer = &asked[before + word.len() + 1..];
        options.0.push((word, buyer));
        parts.truncate(at);
    }
    while let (true, [_, .., last]) = (rules.options, &parts[..]) {
        let Some(found) = option(last) else { break };
        let (word, value) = found?;
        if options.has(word) {
            return None;
        }
        options.0.push((word, value));
        parts.pop();
    }
    let name_bytes = parts.iter().map(|part| part.len() + 1).sum::<usize>() - 1;
    let name = &asked[..name_bytes];
    let mut names = name.splitn(if rules.fanout { 2 } else { 1 }, |byte| *byte == b'+');
    let (queue, child) = (names.next()?, names.next());
    let dead = options.has("dead");
    let of_gate = ["ticket", "place", "paid", "gate"].iter().any(|word| options.has(word));
    let buyer_good = options.buyer() != Some(b"");
    let good = is_key(asked) && !queue.is_empty() && child != Some(b"") && !(of_gate && child.is_some()) && buyer_good;
    good.then_some((Name { asked, queue, child, dead }, options))
}

pub(crate) fn set(key: &[u8], rules: KeyRules, flags: u32, exptime: i64, noreply: bool) -> Option<Outcome<'_>> {
    let (name, options) = read(key, rules)?;
    if options.fit("config:") {
        return Some(Outcome::Configure { name, words: b"", noreply });
    }
    let (delay_s, id) = (options.number("delay"), options.value("id").unwrap_or_default());
    if options.0.is_empty() && name.child.is_none() {
        return Some(Outcome::Set { queue: name.queue, flags, exptime, body: b"", noreply });
    }
    options.fit(": delay id").then_some(Outcome::SetWith { name, flags, exptime, body: b"", delay_s, id, noreply })
}

pub(crate) fn add(key: &[u8], rules: KeyRules, flags: u32, noreply: bool) -> Option<Outcome<'_>> {
    let (name, options) = read(key, rules)?;
    let buyer = options.value("ticket").filter(|_| options.fit("ticket:"))?;
    Some(Outcome::Add { name, buyer, flags, body: b"", noreply })
}

pub(crate) fn incr(key: &[u8], rules: KeyRules, noreply: bool) -> Option<Outcome<'_>> {
    let (name, options) = read(key, rules)?;
    let buyer = options.value("ticket").filter(|_| options.fit("ticket:"))?;
    Some(Outcome::OfBuyer { word: "incr", name, buyer, seconds: 0, noreply })
}

pub(crate) fn stats_gate(key: &[u8], rules: KeyRules) -> Option<Outcome<'_>> {
    let (name, options) = read(key, rules)?;
    (options.0.is_empty() && name.child.is_none()).then_some(Outcome::StatsGate { name })
}

pub(crate) fn get<'a>(keys: &[&'a [u8]], rules: KeyRules, with_number: bool) -> Option<Outcome<'a>> {
    let read: Vec<_> = keys.iter().map(|key| read(key, rules)).collect::<Option<_>>()?;
    if read.iter().all(|(_, options)| options.0.is_empty()) {
        let has_children = read.iter().any(|(name, _)| name.child.is_some());
        return Some(Outcome::Get { queues: keys.to_vec(), with_number, has_children });
    }
    let [(name, options)] = &read[..] else { return None };
    let wait_ms = options.number("t");
    let end = |fate| Act::End { which: options.which(), fate };
    let delay_s = options.number("delay");
    let act = if options.fit(": t dead") {
        Act::Take { wait_ms }
    } else if options.fit("peek: dead") {
        Act::Peek
    } else if options.fit("kick:") {
        Act::Kick { count: options.number("kick")? }
    } else if options.fit("config:") {
        Act::Config
    } else if options.fit("gate:") {
        Act::Gate
    } else if options.fit("ticket:") {
        Act::Join { buyer: options.buyer()? }
    } else if options.fit("place:") {
        Act::Look { buyer: options.buyer()? }
    } else if options.fit("paid:") {
        Act::Pay { buyer: options.buyer()? }
    } else if options.fit_one(&["open: as for t dead", "open close: for t dead"]) {
        open(options, options.number("for"), with_number)?
    } else if options.fit_one(&["close: as dead", "close: lease dead"]) {
        end(Fate::Acknowledge)
    } else if options.fit_one(&["abort: as delay dead", "abort: lease delay dead"]) {
        end(Fate::Abort { delay_s })
    } else if options.fit_one(&["release: as delay dead", "release: lease delay dead"]) {
        end(Fate::Release { delay_s })
    } else if options.fit_one(&["bury: as", "bury: lease"]) {
        end(Fate::Bury)
    } else {
        return None;
    };
    Some(Outcome::Consume { name: *name, act, with_number })
}

pub(crate) fn gat<'a>(seconds: &[u8], key: &'a [u8], rules: KeyRules, with_number: bool) -> Option<Outcome<'a>> {
    let (name, options) = read(key, rules)?;
    let seconds = number(seconds, 0, YEAR).filter(|_| !seconds.starts_with(b"-"))?;
    let good = options.fit_one(&[": open as t dead", "open close: t dead"]);
    let act = open(&options, Some(seconds as u32), with_number).filter(|_| good)?;
    Some(Outcome::Consume { name, act, with_number })
}

/// By a name, where there is one; by the number, where both it and a time are asked for; else by the connection.
fn open<'a>(options: &Options<'a>, seconds: Option<u32>, with_number: bool) -> Option<Act<'a>> {
    let holder = match options.value("as") {
        Some(name) => Holder::Name(name),
        None if with_number && seconds.is_some() => Holder::Number,
        None => Holder::Connection,
    };
    let close = options.has("close");
    let act = Act::Open { holder, lease_s: seconds.filter(|it| *it != 0), close, wait_ms: options.number("t") };
    (!close || holder == Holder::Connection).then_some(act)
}

pub(crate) fn touch<'a>(key: &'a [u8], seconds: &[u8], rules: KeyRules, noreply: bool) -> Option<Outcome<'a>> {
    let (name, options) = read(key, rules)?;
    let lease_s = number(seconds, i64::MIN.into(), YEAR)? as i64;
    if options.fit("ticket:") {
        let buyer = options.buyer()?;
        return Some(match u32::try_from(lease_s) {
            Ok(seconds) => Outcome::OfBuyer { word: "touch", name, buyer, seconds, noreply },
            Err(_) => rejected(noreply, BAD_TIME),
        });
    }
    let good = options.fit_one(&["as: dead", "lease: dead"]);
    good.then(|| Outcome::Touch { name, which: options.which(), lease_s, noreply })
}

pub(crate) fn delete(key: &[u8], rules: KeyRules, noreply: bool) -> Option<Outcome<'_>> {
    let (name, options) = read(key, rules)?;
    if options.fit(": dead") {
        Some(Outcome::Delete { name, noreply })
    } else if options.fit("config:") {
        Some(Outcome::Unconfigure { name, noreply })
    } else if options.fit("ticket:") {
        Some(Outcome::OfBuyer { word: "delete", name, buyer: options.buyer()?, seconds: 0, noreply })
    } else if options.fit_one(&["as: dead", "lease: dead"]) {
        Some(Outcome::Acknowledge { name, which: options.which(), noreply })
    } else {
        None
    }
}

pub(crate) fn flush(key: &[u8], rules: KeyRules) -> Option<Outcome<'_>> {
    let (name, options) = read(key, rules)?;
    options.fit(": dead").then_some(Outcome::Flush { name })
}
