//! What the command line must not say.

use super::{Arguments, Protocol};
use crate::message;

const TEST_TIME_MAX_SECS: f64 = 24.0 * 60.0 * 60.0;
const RATE_MAX: f64 = 1e8;
/// Larger bodies are no load on a queue, but on the load generator.
const DATA_SIZE_MAX: usize = 16 * 1024 * 1024;
/// Room for a queue's number behind it, within a name's limit.
const KEY_PREFIX_MAX: usize = protocol::QUEUE_NAME_BYTES_MAX - 10;
const PIPELINE_MAX: usize = 10_000;
const CONNECTIONS_MAX: usize = 100_000;
/// What a server lets a get wait.
const WAIT_MS_MAX: usize = 300_000;

impl Arguments {
    /// Says what is wrong with the values, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.check_counts()?;
        self.check_numbers()?;
        self.check_gate()?;
        let bad = self.key_prefix.bytes().any(|byte| byte <= b' ' || byte == 0x7f);
        if bad || self.key_prefix.len() > KEY_PREFIX_MAX {
            return Err(format!("--key-prefix must be at most {KEY_PREFIX_MAX} bytes without spaces"));
        }
        if self.key_minimum > self.key_maximum {
            return Err(String::from("--key-minimum must not be above --key-maximum"));
        }
        let size_min = self.sizes().min;
        if self.verifies() && size_min < message::STAMP_BYTES {
            let needed = message::STAMP_BYTES;
            return Err(format!("a message that can be verified has at least {needed} bytes, not {size_min}"));
        }
        if self.tls && self.tls_ca.is_none() && !self.tls_insecure {
            return Err(String::from("--tls needs --tls-ca with whom to trust, or --tls-insecure"));
        }
        if !self.beside.is_empty() && self.protocol != Protocol::Memcache {
            return Err(String::from("--beside speaks memcache's protocol alone"));
        }
        if (self.reliable.is_some() || self.wait.is_some()) && self.protocol != Protocol::Memcache {
            return Err(String::from("--reliable and --wait speak memcache's protocol alone"));
        }
        let is_timed = self.restart_after.is_some() || self.test_time.is_some();
        if self.restart_command.is_some() && !is_timed && self.gate.is_none() {
            return Err(String::from("--restart-command needs --test-time, or --restart-after"));
        }
        if self.restart_after.is_some() && self.restart_at() >= self.time_max() {
            return Err(String::from("--restart-after must be before the end of the run"));
        }
        let is_file = |path: &Option<std::path::PathBuf>| path.as_ref().is_none_or(|path| !path.as_os_str().is_empty());
        if !is_file(&self.html) || !is_file(&self.json_out_file) {
            return Err(String::from("a file's name must not be empty"));
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), String> {
        let within = |name: &str, value: usize, min: usize, max: usize| {
            let fits = (min..=max).contains(&value);
            fits.then_some(()).ok_or_else(|| format!("--{name} must be {min} to {max}, not {value}"))
        };
        within("clients", self.clients, 1, CONNECTIONS_MAX)?;
        within("threads", self.threads, 1, 1024)?;
        within("producers", self.producers.unwrap_or(0), 0, CONNECTIONS_MAX)?;
        within("consumers", self.consumers.unwrap_or(0), 0, CONNECTIONS_MAX)?;
        within("pipeline", self.pipeline, 1, PIPELINE_MAX)?;
        within("data-size", self.sizes().max, 0, DATA_SIZE_MAX)?;
        if !(1..=CONNECTIONS_MAX).contains(&self.roles().len()) {
            return Err(format!("there must be 1 to {CONNECTIONS_MAX} connections"));
        }
        if self.requests == Some(0) {
            return Err(String::from("--requests must be at least 1"));
        }
        within("kill-consumers", self.kill_consumers.unwrap_or(1) as usize, 1, 100)?;
        within("wait", self.wait.unwrap_or(1) as usize, 1, WAIT_MS_MAX)?;
        if self.rush {
            within("requests", self.batch(), 1, PIPELINE_MAX)?;
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), String> {
        for (name, value, max) in [
            ("test-time", self.test_time, TEST_TIME_MAX_SECS),
            ("restart-after", self.restart_after, TEST_TIME_MAX_SECS),
            ("rate", self.rate, RATE_MAX),
            ("rate-limiting", self.rate_limiting, RATE_MAX),
            ("consumer-rate", self.consumer_rate, RATE_MAX),
        ] {
            // A comparison with what is not a number is false.
            if value.is_some_and(|value| !(value > 0.0 && value <= max)) {
                return Err(format!("--{name} must be above 0 and at most {max}"));
            }
        }
        if self.consumer_rate.is_some() && self.consumers.is_none() {
            return Err(String::from("--consumer-rate needs --consumers"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::options::tests::parse;

    use super::*;

    #[test]
    fn values_that_make_no_sense() {
        for line in ["-c 0", "-t 0", "-n 0", "--test-time 0", "--test-time 86401", "--pipeline 0", "--test-time nan"] {
            parse(line).unwrap_err();
        }
        for line in ["-p 65536", "-d 16777217", "--what", "--rate 0", "--rate -1", "--rate inf", "--consumer-rate 5"] {
            parse(line).unwrap_err();
        }
        for line in ["--producers 0", "--key-minimum 64", "--verify -d 20", "--rush --test-time 1", "--rush -n 10001"] {
            parse(line).unwrap_err();
        }
        for line in ["--restart-command x", "--restart-command x --restart-after 6", "-P telnet", "--rate 1 --rush"] {
            parse(line).unwrap_err();
        }
        for line in ["--consumers 1 --wait 0", "--consumers 1 --wait 300001", "--consumers 1 --wait 5 -P redis"] {
            parse(line).unwrap_err();
        }
        for percent in ["0", "101", "50 -P redis"] {
            parse(&format!("--reliable named --consumers 1 --kill-consumers {percent}")).unwrap_err();
        }
        parse("--reliable open").unwrap_err();
        for line in ["--beside sets -c 2", "--beside nothing", "--beside all --verify", "--beside none -P redis"] {
            parse(line).unwrap_err();
        }
        let prefix = format!("--key-prefix {}", "k".repeat(KEY_PREFIX_MAX + 1));
        assert!(parse(&prefix).unwrap_err().contains("--key-prefix"));
    }
}
