//! What the command line must not say of a gate.

use super::{Arguments, Protocol};

const TICKETS_MAX: u32 = 100_000_000;
/// What was told to each of them is kept until the end.
const BUYERS_MAX: u32 = 10_000_000;
const KILLS_MAX: u32 = 100_000;
/// Room for a queue's number and a buyer's name behind it, within a key's limit.
const KEY_PREFIX_MAX: usize = 190;
/// Seconds. A winner pays at once, but a server may be gone for a minute before it hears of that.
const HOLD_MIN_S: u64 = 150;

impl Arguments {
    /// Seconds that a winner has to pay; 0: tickets are for good at once.
    pub(crate) fn gate_hold_s(&self) -> u64 {
        let words = self.gate_words();
        words.iter().rev().find_map(|(name, value)| (*name == "hold").then(|| value.parse().ok())?).unwrap_or(0)
    }

    /// The queue that is a gate.
    pub(crate) fn gate_queue(&self) -> String {
        format!("{}{}", self.key_prefix, self.key_minimum)
    }

    /// The words of `--gate-config`, each with its value.
    fn gate_words(&self) -> Vec<(&str, &str)> {
        let words = self.gate_config.iter().flat_map(|words| words.split_whitespace());
        words.map(|word| word.split_once('=').unwrap_or((word, ""))).collect()
    }

    /// The body that makes the queue a gate.
    pub(crate) fn gate_body(&self) -> String {
        let mut body = format!("tickets={}", self.gate.unwrap_or(0));
        self.gate_words().iter().for_each(|(name, value)| body += &format!(" {name}={value}"));
        body
    }

    /// # Errors
    /// When an option of a gate has a value that it cannot have, or lacks another one.
    pub(super) fn check_gate(&self) -> Result<(), String> {
        let Some(tickets) = self.gate else { return Ok(()) };
        if self.buyers.is_none() && !self.gate_refusals {
            return Err(String::from("--gate: --buyers or --gate-refusals is missing, which it belongs to"));
        }
        for (name, value, max) in [
            ("gate", tickets, TICKETS_MAX),
            ("buyers", self.buyers.unwrap_or(1), BUYERS_MAX),
            ("gate-unread", self.gate_unread.unwrap_or(1), 100),
            ("gate-kills", self.gate_kills.unwrap_or(1), KILLS_MAX),
        ] {
            if !(1..=max).contains(&value) {
                return Err(format!("--{name} must be 1 to {max}, not {value}"));
            }
        }
        if self.restart_command.is_some() && self.buyers.unwrap_or(0) < 2 {
            return Err(String::from("--restart-command needs at least 2 --buyers, one of whom asks behind it"));
        }
        if self.key_prefix.len() > KEY_PREFIX_MAX {
            return Err(format!("--key-prefix must be at most {KEY_PREFIX_MAX} bytes with --gate"));
        }
        self.check_gate_words()
    }

    /// A word that would make promises other than those that are checked is refused.
    fn check_gate_words(&self) -> Result<(), String> {
        if self.protocol == Protocol::Redis && !self.gate_config.is_empty() {
            return Err(String::from("--gate-config speaks memcache's protocol alone"));
        }
        for (name, value) in self.gate_words() {
            match name {
                "tickets" => return Err(String::from("--gate-config: --gate has the number of tickets")),
                "close" => return Err(String::from("--gate-config: with close= a buyer is rightly refused early")),
                _ if value.is_empty() => return Err(format!("--gate-config: {name} is no WORD=VALUE")),
                _ => {}
            }
        }
        let hold_s = self.gate_hold_s();
        if hold_s > 0 && hold_s < HOLD_MIN_S {
            return Err(format!(
                "--gate-config: hold={hold_s} may lapse while a winner is about to pay; it must be 0 or at least {HOLD_MIN_S}"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::options::tests::parse;

    #[test]
    fn what_makes_no_gate_is_named() {
        for (line, expected) in [
            ("--gate 5", "--gate: --buyers or --gate-refusals is missing, which it belongs to"),
            ("--buyers 5", "--buyers: --gate is missing, which it belongs to"),
            ("--gate 0 --buyers 5", "--gate must be 1 to 100000000, not 0"),
            ("--gate 5 --buyers 0", "--buyers must be 1 to 10000000, not 0"),
            ("--gate 5 --buyers 5 --gate-unread 101", "--gate-unread must be 1 to 100, not 101"),
            ("--gate 5 --buyers 5 --gate-refusals", "--buyers cannot be used with --gate-refusals"),
            ("--gate 5 --buyers 5 --gate-kills 2", "--gate-kills: --restart-command is missing, which it belongs to"),
            ("--gate 5 --buyers 5 --gate-config tickets=6", "--gate-config: --gate has the number of tickets"),
            ("--gate 5 --buyers 5 --gate-config put", "--gate-config: put is no WORD=VALUE"),
            ("--gate 5 --buyers 5 -P redis --gate-config hold=0", "--gate-config speaks memcache's protocol alone"),
        ] {
            assert_eq!(parse(line).unwrap_err(), expected, "{line}");
        }
        for line in ["--gate-config close=9", "--gate-config hold=149", "--pipeline 2", "--test-time 1", "--rush"] {
            parse(&format!("--gate 5 --buyers 5 {line}")).unwrap_err();
        }
        parse("--gate 5 --buyers 1 --restart-command x").unwrap_err();
        parse("--gate 5 --gate-refusals --restart-command x").unwrap_err();
        assert!(parse(&format!("--gate 5 --buyers 5 --key-prefix {}", "k".repeat(191))).unwrap_err().contains("190"));
    }

    #[test]
    fn the_config_has_the_tickets_first() {
        let options = parse("--gate 5 --buyers 9 --gate-config hold=600 put=paid").unwrap();
        assert_eq!((options.gate_body().as_str(), options.gate_hold_s()), ("tickets=5 hold=600 put=paid", 600));
        assert_eq!((options.queues(), parse("--gate 5 --gate-refusals").unwrap().gate_hold_s()), (1, 0));
    }
}
