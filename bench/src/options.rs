//! The command line.

mod check;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::beside::Load;

pub(crate) use values::{Pattern, Protocol, Ratio, Sizes};

/// How long a run may take that is limited by its requests alone.
const REQUESTS_TIME_MAX: Duration = Duration::from_secs(600);
const TEST_TIME_DEFAULT: Duration = Duration::from_secs(5);
/// What would have another meaning, or none, with --beside.
const BESIDE_NOT: [&str; 16] = [
    "clients",
    "threads",
    "requests",
    "ratio",
    "pipeline",
    "data_size_range",
    "key_minimum",
    "key_maximum",
    "key_pattern",
    "rate",
    "rate_limiting",
    "producers",
    "consumers",
    "verify",
    "rush",
    "restart_command",
];

/// Puts load on a memcache queue server: set appends a message to a queue, get takes one. Names and meanings of the
/// options are memtier_benchmark's where it has them; the defaults are for queues: 64 of them, as many gets as sets.
#[derive(Parser, Debug, Clone, PartialEq)]
#[command(name = "rushq-bench", version, args_override_self = true)]
pub(crate) struct Arguments {
    /// Host name or address of the server
    #[arg(short, long, default_value = "127.0.0.1")]
    pub(crate) server: String,
    /// Port of the server
    #[arg(short = 'p', long, default_value = "22201")]
    pub(crate) port: u16,
    /// What the server speaks; redis is sent RPUSH and LPOP
    #[arg(short = 'P', long, value_enum, default_value = "memcache_text")]
    pub(crate) protocol: Protocol,
    /// Clients of each thread, one connection each
    #[arg(short = 'c', long, default_value = "50")]
    pub(crate) clients: usize,
    /// Threads (memtier: 4)
    #[arg(short = 't', long, default_value = "1")]
    pub(crate) threads: usize,
    /// Requests of each client, instead of --test-time; ends after 600 seconds at the latest
    #[arg(short = 'n', long, conflicts_with = "test_time")]
    pub(crate) requests: Option<u64>,
    /// Seconds that the run takes; 5 without -n
    #[arg(long, visible_alias = "seconds", value_name = "SECONDS")]
    pub(crate) test_time: Option<f64>,
    /// Sets to gets (memtier: 1:10)
    #[arg(long, default_value = "1:1")]
    pub(crate) ratio: Ratio,
    /// Requests of a connection that may be unanswered. A closed loop sends them as one batch, waits for all the
    /// answers, and sends the next; with a rate, each goes out when it is due and the connection has room
    #[arg(long, default_value = "1")]
    pub(crate) pipeline: usize,
    /// Bytes of a message (memtier: 32)
    #[arg(short = 'd', long, default_value = "100")]
    pub(crate) data_size: usize,
    /// Bytes of a message, at random between the two
    #[arg(long, value_name = "MIN-MAX")]
    pub(crate) data_size_range: Option<Sizes>,
    /// What the queues' names begin with; a number follows (memtier: memtier-)
    #[arg(long, default_value = "q")]
    pub(crate) key_prefix: String,
    /// Number of the first queue
    #[arg(long, default_value = "0")]
    pub(crate) key_minimum: u32,
    /// Number of the last queue (memtier: 10000000)
    #[arg(long, default_value = "63")]
    pub(crate) key_maximum: u32,
    /// Which queues sets and gets go to: R:R at random, S:S one after the other
    #[arg(long, default_value = "R:R")]
    pub(crate) key_pattern: Pattern,
    /// Requests per second of each connection, on a schedule that does not wait for the server: latency counts from
    /// when a request was due
    #[arg(long, value_name = "RATE", conflicts_with_all = ["rate", "consumer_rate"])]
    pub(crate) rate_limiting: Option<f64>,
    /// The same for all connections together; with --producers, for the producers
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Connections that only set, in all threads together, instead of --clients with --ratio; -n is for them alone
    #[arg(long, value_name = "CONNECTIONS", conflicts_with_all = ["clients", "ratio", "rush"])]
    pub(crate) producers: Option<usize>,
    /// Connections that only get, over and over, as long as there are producers at work
    #[arg(long, value_name = "CONNECTIONS", conflicts_with_all = ["clients", "ratio", "rush"])]
    pub(crate) consumers: Option<usize>,
    /// Gets per second of all the consumers together; without it they poll as fast as they are answered
    #[arg(long, value_name = "RATE")]
    pub(crate) consumer_rate: Option<f64>,
    /// Stamps every message, empties the queues at the end, and fails if a message was lost, doubled, reordered,
    /// corrupted, in the wrong queue, or not of this run: begin with empty queues, or with another --key-prefix
    #[arg(long)]
    pub(crate) verify: bool,
    /// Ticket rush: all connect, and in the same instant send -n sets each (1 without it) to one queue, which is then
    /// worked off and verified
    #[arg(long, conflicts_with_all = ["test_time", "ratio", "rate", "rate_limiting", "consumer_rate"])]
    pub(crate) rush: bool,
    /// Measures what a client feels beside a load, which is put on by other connections: the time of a set and of the get
    /// behind it, with one request in flight, for --test-time seconds each. Of the other options -s, -p, -d, --key-prefix
    /// and those of the results count
    #[arg(long, value_name = "LOAD", value_enum, value_delimiter = ',', num_args = 1.., conflicts_with_all = BESIDE_NOT)]
    pub(crate) beside: Vec<Load>,
    /// A shell command that restarts the server in the middle of the run; connections that it breaks are made again
    #[arg(long, value_name = "COMMAND")]
    pub(crate) restart_command: Option<String>,
    /// When to restart; in the middle of --test-time without it
    #[arg(long, value_name = "SECONDS", requires = "restart_command")]
    pub(crate) restart_after: Option<f64>,
    /// Process whose CPU time is the server's
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// Leaves out the latency distribution
    #[arg(long)]
    pub(crate) hide_histogram: bool,
    /// Writes everything to a file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json_out_file: Option<PathBuf>,
    /// Writes a page with plots to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// What the result is called in a comparison: CASE/SERVER
    #[arg(long, default_value = "")]
    pub(crate) label: String,
    /// Runs nothing, but compares results that --json-out-file wrote
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) compare: Vec<PathBuf>,
    /// The server that the others are compared to; without it, the first
    #[arg(long, value_name = "SERVER", requires = "compare")]
    pub(crate) baseline: Option<String>,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Sets and gets in turn.
    Mixed,
    Producer,
    Consumer,
}

impl Arguments {
    /// What each connection does, in the order in which the threads are given them.
    pub(crate) fn roles(&self) -> Vec<Role> {
        if self.has_populations() {
            let of = |role, count: Option<usize>| std::iter::repeat_n(role, count.unwrap_or(0));
            return of(Role::Producer, self.producers).chain(of(Role::Consumer, self.consumers)).collect();
        }
        let role = if self.rush { Role::Producer } else { Role::Mixed };
        vec![role; self.clients * self.threads]
    }

    /// Producers and consumers are different connections.
    pub(crate) fn has_populations(&self) -> bool {
        self.producers.is_some() || self.consumers.is_some()
    }

    /// The requests of a client of this role; None for no limit.
    pub(crate) fn requests_of(&self, role: Role) -> Option<u64> {
        match role {
            Role::Consumer if self.producers.unwrap_or(0) > 0 => None,
            _ if self.rush => Some(self.requests.unwrap_or(1)),
            _ => self.requests,
        }
    }

    /// The number of queues.
    pub(crate) fn queues(&self) -> u64 {
        if self.rush { 1 } else { u64::from(self.key_maximum) - u64::from(self.key_minimum) + 1 }
    }

    pub(crate) fn sizes(&self) -> Sizes {
        self.data_size_range.unwrap_or(Sizes { min: self.data_size, max: self.data_size })
    }

    /// Messages are stamped and accounted for.
    pub(crate) fn verifies(&self) -> bool {
        self.verify || self.rush
    }

    /// In a rush, everything that a connection has to send goes out at once.
    pub(crate) fn batch(&self) -> usize {
        if self.rush { self.requests.unwrap_or(1) as usize } else { self.pipeline }
    }

    /// How long clients may begin new requests.
    pub(crate) fn time_max(&self) -> Duration {
        match (self.test_time, self.requests) {
            (Some(seconds), _) => Duration::from_secs_f64(seconds),
            (None, None) if !self.rush => TEST_TIME_DEFAULT,
            (None, _) => REQUESTS_TIME_MAX,
        }
    }

    /// When the restart command is run.
    pub(crate) fn restart_at(&self) -> Duration {
        self.restart_after.map_or(self.time_max() / 2, Duration::from_secs_f64)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn parse(line: &str) -> Result<Arguments, String> {
        let words = std::iter::once("rushq-bench").chain(line.split_whitespace());
        let options = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        options.check().map(|()| options)
    }

    #[test]
    fn defaults_are_for_queues() {
        let options = parse("").unwrap();
        assert_eq!((options.server.as_str(), options.port, options.clients), ("127.0.0.1", 22201, 50));
        assert_eq!((options.time_max(), options.ratio), (TEST_TIME_DEFAULT, Ratio { sets: 1, gets: 1 }));
        assert_eq!((options.queues(), options.sizes()), (64, Sizes { min: 100, max: 100 }));
        assert_eq!(options.roles(), [Role::Mixed; 50]);
    }

    #[test]
    fn what_memtier_users_type() {
        let line = "-s host -p 1 -P redis -c 2 -t 3 -n 4 --ratio=6:0 --pipeline=7 --data-size-range=8-9 \
                    --key-prefix=k --key-minimum=5 --key-maximum=14 --rate-limiting 10 --hide-histogram \
                    --json-out-file=out.json --key-pattern=S:S";
        let options = parse(line).unwrap();
        assert_eq!((options.protocol, options.threads, options.requests), (Protocol::Redis, 3, Some(4)));
        assert_eq!((options.ratio, options.sizes()), (Ratio { sets: 6, gets: 0 }, Sizes { min: 8, max: 9 }));
        assert_eq!((options.queues(), options.roles().len()), (10, 6));
        assert_eq!((options.rate_limiting, options.key_pattern), (Some(10.0), Pattern::Sequential));
        assert!(parse("-n 10 --test-time 1").is_err());
    }

    #[test]
    fn producers_and_consumers_are_in_all() {
        let options = parse("--producers 2 --consumers 3 -t 2 -n 7").unwrap();
        assert_eq!(options.roles(), [vec![Role::Producer; 2], vec![Role::Consumer; 3]].concat());
        assert_eq!((options.requests_of(Role::Producer), options.requests_of(Role::Consumer)), (Some(7), None));
        assert_eq!(parse("--consumers 3 -n 7").unwrap().requests_of(Role::Consumer), Some(7));
        parse("--producers 2 -c 3").unwrap_err();
    }

    #[test]
    fn a_rush_is_for_one_queue_at_once() {
        let options = parse("--rush -c 100 -n 3").unwrap();
        assert_eq!((options.roles(), options.queues(), options.batch()), (vec![Role::Producer; 100], 1, 3));
        assert!(options.verifies());
        assert_eq!(parse("--rush").unwrap().requests_of(Role::Producer), Some(1));
    }

    #[test]
    fn a_run_always_has_an_end() {
        assert_eq!(parse("-n 10").unwrap().time_max(), REQUESTS_TIME_MAX);
        assert_eq!(parse("--test-time 0.5").unwrap().time_max(), Duration::from_millis(500));
        assert_eq!(parse("--test-time 8 --restart-command x").unwrap().restart_at(), Duration::from_secs(4));
    }
}
