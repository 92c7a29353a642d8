//! The command line.

use std::str::FromStr;
use std::time::Duration;

use clap::Parser;

/// How long a run may take that is limited by its requests alone.
const REQUESTS_TIME_MAX: Duration = Duration::from_secs(600);
const TEST_TIME_DEFAULT: Duration = Duration::from_secs(5);
const TEST_TIME_MAX_SECS: u64 = 24 * 60 * 60;
/// Larger bodies are no load on a queue, but on the load generator.
const DATA_SIZE_MAX: usize = 16 * 1024 * 1024;
/// Room for a queue's number behind it, within a name's limit.
const KEY_PREFIX_MAX: usize = protocol::QUEUE_NAME_BYTES_MAX - 20;
const PIPELINE_MAX: usize = 10_000;

/// Puts load on a memcache queue server. Each client sends a batch of --pipeline commands, waits for all the answers,
/// and sends the next.
#[derive(Parser, Debug, PartialEq)]
#[command(name = "rushq-bench", version, args_override_self = true)]
pub(crate) struct Options {
    /// Host name or address of the server
    #[arg(short, long, default_value = "127.0.0.1")]
    pub(crate) server: String,
    /// Port of the server
    #[arg(short = 'p', long, default_value = "22201")]
    pub(crate) port: u16,
    /// Clients of each thread
    #[arg(short = 'c', long, default_value = "50")]
    pub(crate) clients: usize,
    /// Threads
    #[arg(short = 't', long, default_value = "1")]
    pub(crate) threads: usize,
    /// Commands of each client; without it, --test-time ends the run, and with it, at the latest 600 seconds do
    #[arg(short = 'n', long)]
    pub(crate) requests: Option<u64>,
    /// Seconds that the run takes at most
    #[arg(long)]
    pub(crate) test_time: Option<u64>,
    /// Sets to gets
    #[arg(long, default_value = "1:1")]
    pub(crate) ratio: Ratio,
    /// Commands in a batch
    #[arg(long, default_value = "1")]
    pub(crate) pipeline: usize,
    /// Bytes of a message
    #[arg(short = 'd', long, default_value = "100")]
    pub(crate) data_size: usize,
    /// Queues that the load is spread over
    #[arg(long, default_value = "64")]
    pub(crate) queues: u64,
    /// What the queues' names begin with; a number follows
    #[arg(long, default_value = "q")]
    pub(crate) key_prefix: String,
}

/// So many sets are followed by so many gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) sets: u32,
    pub(crate) gets: u32,
}

impl FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Ratio, String> {
        let parts = text.split_once(':').and_then(|(sets, gets)| Some((sets.parse().ok()?, gets.parse().ok()?)));
        match parts {
            Some((sets, gets)) if (sets, gets) != (0, 0) => Ok(Ratio { sets, gets }),
            _ => Err(String::from("a ratio is two numbers, sets:gets, that are not both 0")),
        }
    }
}

impl Options {
    /// Says what is wrong with the values, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: usize, min: usize, max: usize| {
            let fits = (min..=max).contains(&value);
            fits.then_some(()).ok_or_else(|| format!("--{name} must be {min} to {max}, not {value}"))
        };
        within("clients", self.clients, 1, 100_000)?;
        within("threads", self.threads, 1, 1024)?;
        within("pipeline", self.pipeline, 1, PIPELINE_MAX)?;
        within("data-size", self.data_size, 0, DATA_SIZE_MAX)?;
        within("test-time", self.test_time.unwrap_or(1) as usize, 1, TEST_TIME_MAX_SECS as usize)?;
        let bad = self.key_prefix.bytes().any(|byte| byte <= b' ' || byte == 0x7f);
        if self.queues == 0 || self.requests == Some(0) {
            return Err(String::from("--queues and --requests must be at least 1"));
        }
        if bad || self.key_prefix.len() > KEY_PREFIX_MAX {
            return Err(format!("--key-prefix must be at most {KEY_PREFIX_MAX} bytes without spaces"));
        }
        Ok(())
    }

    /// How long clients may begin new batches.
    pub(crate) fn time_max(&self) -> Duration {
        match (self.test_time, self.requests) {
            (Some(seconds), _) => Duration::from_secs(seconds),
            (None, Some(_)) => REQUESTS_TIME_MAX,
            (None, None) => TEST_TIME_DEFAULT,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn parse(line: &str) -> Result<Options, String> {
        let words = std::iter::once("rushq-bench").chain(line.split_whitespace());
        let options = Options::try_parse_from(words).map_err(|error| error.to_string())?;
        options.check().map(|()| options)
    }

    #[test]
    fn defaults_and_every_option() {
        let options = parse("").unwrap();
        assert_eq!((options.server.as_str(), options.port, options.clients), ("127.0.0.1", 22201, 50));
        assert_eq!((options.time_max(), options.ratio), (TEST_TIME_DEFAULT, Ratio { sets: 1, gets: 1 }));
        let all = "-s host -p 1 -c 2 -t 3 -n 4 --test-time 5 --ratio 6:0 --pipeline 7 -d 8 --queues 9 --key-prefix k";
        let wanted = Options {
            server: String::from("host"),
            port: 1,
            clients: 2,
            threads: 3,
            requests: Some(4),
            test_time: Some(5),
            ratio: Ratio { sets: 6, gets: 0 },
            pipeline: 7,
            data_size: 8,
            queues: 9,
            key_prefix: String::from("k"),
        };
        assert_eq!(parse(all), Ok(wanted));
    }

    #[test]
    fn a_run_always_has_an_end() {
        assert_eq!(parse("-n 10").unwrap().time_max(), REQUESTS_TIME_MAX);
        assert_eq!(parse("-n 10 --test-time 7").unwrap().time_max(), Duration::from_secs(7));
    }

    #[test]
    fn values_that_make_no_sense() {
        for line in ["-c 0", "-t 0", "-n 0", "--test-time 0", "--test-time 86401", "--pipeline 0", "--queues 0"] {
            parse(line).unwrap_err();
        }
        for line in ["--ratio 0:0", "--ratio 1", "--ratio a:1", "--ratio -1:1", "-p 65536", "-d 16777217", "--what"] {
            parse(line).unwrap_err();
        }
        let prefix = format!("--key-prefix {}", "k".repeat(KEY_PREFIX_MAX + 1));
        assert!(parse(&prefix).unwrap_err().contains("--key-prefix"));
    }
}
