//! The command line.
//!
//! argh makes values of it. It takes no `--port=1` and no `-p1`, so `forms` takes those apart before. Which options
//! there are is said once, by [`Arguments`]: `forms` and `help` get them from argh.

mod check;
mod forms;
mod gate;
mod help;
mod load;
mod together;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use argh::{ArgsInfo, FromArgs};

use values::{number, whole};

pub(crate) use load::Load;
pub(crate) use values::{Pattern, Protocol, Ratio, Reliable, Sizes};

/// How long a run may take that is limited by its requests alone.
const REQUESTS_TIME_MAX: Duration = Duration::from_secs(600);
const TEST_TIME_DEFAULT: Duration = Duration::from_secs(5);
/// How long a message stays with a name whose consumer is gone.
const KILLED_LEASE_S: u64 = 2;

/// Puts load on a memcache queue server: set appends a message to a queue, get takes one. Names and meanings of the
/// options are memtier_benchmark's where it has them; the defaults are for queues: 64 of them, as many gets as sets.
#[derive(FromArgs, ArgsInfo, Debug, Clone, PartialEq)]
pub(crate) struct Arguments {
    /// host name or address of the server [default: 127.0.0.1]
    #[argh(option, short = 's', arg_name = "HOST", default = "String::from(\"127.0.0.1\")")]
    pub(crate) server: String,

    /// port of the server [default: 22201]
    #[argh(option, short = 'p', arg_name = "N", default = "22201", from_str_fn(whole))]
    pub(crate) port: u16,

    /// what the server speaks: memcache_text, or redis, which is sent RPUSH and LPOP [default: memcache_text]
    #[argh(option, short = 'P', arg_name = "PROTOCOL", default = "Protocol::Memcache")]
    pub(crate) protocol: Protocol,

    /// clients of each thread, one connection each [default: 50]
    #[argh(option, short = 'c', arg_name = "N", default = "50", from_str_fn(whole))]
    pub(crate) clients: usize,

    /// threads; memtier: 4 [default: 1]
    #[argh(option, short = 't', arg_name = "N", default = "1", from_str_fn(whole))]
    pub(crate) threads: usize,

    /// requests of each client, instead of --test-time; ends after 600 seconds at the latest
    #[argh(option, short = 'n', arg_name = "N", from_str_fn(whole))]
    pub(crate) requests: Option<u64>,

    /// seconds that the run takes, 5 without -n; also --seconds
    #[argh(option, arg_name = "SECONDS", from_str_fn(number))]
    pub(crate) test_time: Option<f64>,

    /// sets to gets; memtier: 1:10 [default: 1:1]
    #[argh(option, arg_name = "SETS:GETS", default = "Ratio { sets: 1, gets: 1 }")]
    pub(crate) ratio: Ratio,

    /// requests of a connection that may be unanswered. A closed loop sends them as one batch, waits for all the
    /// answers, and sends the next; with a rate, each goes out when it is due and the connection has room [default: 1]
    #[argh(option, arg_name = "N", default = "1", from_str_fn(whole))]
    pub(crate) pipeline: usize,

    /// bytes of a message; memtier: 32 [default: 100]
    #[argh(option, short = 'd', arg_name = "BYTES", default = "100", from_str_fn(whole))]
    pub(crate) data_size: usize,

    /// bytes of a message, at random between the two
    #[argh(option, arg_name = "MIN-MAX")]
    pub(crate) data_size_range: Option<Sizes>,

    /// what the queues' names begin with; a number follows; memtier: memtier- [default: q]
    #[argh(option, arg_name = "PREFIX", default = "String::from(\"q\")")]
    pub(crate) key_prefix: String,

    /// number of the first queue [default: 0]
    #[argh(option, arg_name = "N", default = "0", from_str_fn(whole))]
    pub(crate) key_minimum: u32,

    /// number of the last queue; memtier: 10000000 [default: 63]
    #[argh(option, arg_name = "N", default = "63", from_str_fn(whole))]
    pub(crate) key_maximum: u32,

    /// which queues sets and gets go to: R:R at random, S:S one after the other [default: R:R]
    #[argh(option, arg_name = "PATTERN", default = "Pattern::Random")]
    pub(crate) key_pattern: Pattern,

    /// requests per second of each connection, on a schedule that does not wait for the server: latency counts from
    /// when a request was due
    #[argh(option, arg_name = "RATE", from_str_fn(number))]
    pub(crate) rate_limiting: Option<f64>,

    /// requests per second of all connections together, on the same schedule; with --producers, of the producers
    #[argh(option, arg_name = "RATE", from_str_fn(number))]
    pub(crate) rate: Option<f64>,

    /// connections that only set, in all threads together, instead of --clients with --ratio; -n is for them alone
    #[argh(option, arg_name = "N", from_str_fn(whole))]
    pub(crate) producers: Option<usize>,

    /// connections that only get, over and over, as long as there are producers at work
    #[argh(option, arg_name = "N", from_str_fn(whole))]
    pub(crate) consumers: Option<usize>,

    /// gets per second of all the consumers together; without it they poll as fast as they are answered
    #[argh(option, arg_name = "RATE", from_str_fn(number))]
    pub(crate) consumer_rate: Option<f64>,

    /// open messages, and acknowledge each when it is there, where gets would take them: open-close (get q/open, get
    /// q/close), close-open (get q/close/open) or named (get q/open/as=NAME, delete q/as=NAME)
    #[argh(option, arg_name = "WAY")]
    pub(crate) reliable: Option<Reliable>,

    /// percent of the consumers that drop their connection with messages open, again and again, and make a new one; each
    /// has one request in flight, and opens names for 2 seconds
    #[argh(option, arg_name = "PERCENT", from_str_fn(whole))]
    pub(crate) kill_consumers: Option<u32>,

    /// most milliseconds that a consumer's get waits in the server for a message
    #[argh(option, arg_name = "MS", from_str_fn(whole))]
    pub(crate) wait: Option<u32>,

    /// stamp every message, empty the queues at the end, and fail if a message was lost, doubled, with two consumers at a
    /// time, reordered, corrupted, in the wrong queue, or not of this run: begin with empty queues, or with another
    /// --key-prefix
    #[argh(switch)]
    pub(crate) verify: bool,

    /// ticket rush: all connect, and in the same instant send -n sets each (1 without it) to one queue, which is then
    /// worked off and verified
    #[argh(switch)]
    pub(crate) rush: bool,

    /// measure what a client feels beside a load, which is put on by other connections: the time of a set and of the
    /// get behind it, with one request in flight, for --test-time seconds each. Of the other options -s, -p, -d,
    /// --key-prefix and those of the results count. Several loads have spaces or commas between them
    #[argh(option, arg_name = "LOAD")]
    pub(crate) beside: Vec<Load>,

    /// a queue with so many tickets, for which --buyers ask; or a sold-out one, with --gate-refusals. It is
    /// KEY-PREFIX followed by --key-minimum, and must be empty. With -P redis: a stock and a script
    #[argh(option, arg_name = "TICKETS", from_str_fn(whole))]
    pub(crate) gate: Option<u32>,

    /// so many buyers ask for a ticket each, at the --rate or all at once, over the connections of -c, one buyer at a
    /// time on each. A buyer asks until it is answered, over new connections if need be. At the end the winners ask once
    /// more, the queue is emptied, and all that was told is checked: it fails if a ticket was sold twice, too many were,
    /// one was lost or taken back, a buyer was refused too early, or came after a later one
    #[argh(option, arg_name = "N", from_str_fn(whole))]
    pub(crate) buyers: Option<u32>,

    /// more words of the queue's config, beside tickets=; several have spaces between them
    #[argh(option, arg_name = "WORD=VALUE")]
    pub(crate) gate_config: Vec<String>,

    /// percent of the buyers that drop their connection as soon as they have asked, and ask again
    #[argh(option, arg_name = "PERCENT", from_str_fn(whole))]
    pub(crate) gate_unread: Option<u32>,

    /// how often --restart-command is run while buyers ask, once without it: most often between the first and the last
    /// ticket, for which fewer of the buyers come before each kill than there are tickets
    #[argh(option, arg_name = "N", from_str_fn(whole))]
    pub(crate) gate_kills: Option<u32>,

    /// sell all the tickets of the --gate, and then measure how fast further buyers are refused: each request is another
    /// buyer's, and its refusal counts as a miss
    #[argh(switch)]
    pub(crate) gate_refusals: bool,

    /// a shell command that restarts the server in the middle of the run; connections that it breaks are made again
    #[argh(option, arg_name = "COMMAND")]
    pub(crate) restart_command: Option<String>,

    /// when to restart; in the middle of --test-time without it
    #[argh(option, arg_name = "SECONDS", from_str_fn(number))]
    pub(crate) restart_after: Option<f64>,

    /// speak TLS: with --tls-ca or --tls-insecure
    #[argh(switch)]
    pub(crate) tls: bool,

    /// certificates in PEM, by one of which the server's is to be signed
    #[argh(option, arg_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,

    /// take any server for the right one
    #[argh(switch)]
    pub(crate) tls_insecure: bool,

    /// process whose CPU time is the server's
    #[argh(option, arg_name = "PID", from_str_fn(whole))]
    pub(crate) server_pid: Option<u32>,

    /// leave out the latency distribution
    #[argh(switch)]
    pub(crate) hide_histogram: bool,

    /// write everything to a file, as JSON
    #[argh(option, arg_name = "FILE")]
    pub(crate) json_out_file: Option<PathBuf>,

    /// write a page with plots to a file
    #[argh(option, arg_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// what the result is called in a comparison: CASE/SERVER
    #[argh(option, arg_name = "LABEL", default = "String::new()")]
    pub(crate) label: String,

    /// run nothing, but compare results that --json-out-file wrote; several have spaces between them
    #[argh(option, arg_name = "FILE")]
    pub(crate) compare: Vec<PathBuf>,

    /// the server that the others are compared to; without it, the first
    #[argh(option, arg_name = "SERVER")]
    pub(crate) baseline: Option<String>,

    /// print the version
    #[argh(switch, short = 'V')]
    version: bool,
}

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Run(Box<Arguments>),
    /// Something to print.
    Text(String),
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
    /// Reads a command line, which is without the program's name.
    ///
    /// # Errors
    /// When an option is not known, its value is missing or is none that it takes, or two exclude each other.
    pub(crate) fn read(words: impl Iterator<Item = OsString>) -> Result<Asked, String> {
        let flags = help::flags();
        let given = forms::split(words, flags)?;
        if given.iter().any(|given| given.name == "--help") {
            return Ok(Asked::Text(help::text(Arguments::get_args_info().description, flags)));
        }
        together::check(&given)?;
        let long_form = forms::in_long_form(&given, flags);
        let arguments = Arguments::from_args(&["rushq-bench"], &long_form).map_err(|exit| one_line(&exit.output))?;
        if arguments.version {
            return Ok(Asked::Text(format!("rushq-bench {}\n", env!("CARGO_PKG_VERSION"))));
        }
        Ok(Asked::Run(Box::new(arguments)))
    }

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

    /// The lease that opens under a name ask for; the server's own otherwise.
    pub(crate) fn lease_s(&self) -> Option<u64> {
        (self.kill_consumers.is_some() && self.reliable == Some(Reliable::Named)).then_some(KILLED_LEASE_S)
    }

    /// The same, with gets that are answered at once.
    pub(crate) fn without_waits(&self) -> Arguments {
        Arguments { wait: None, ..self.clone() }
    }

    /// How many of the consumers drop their connections.
    pub(crate) fn killed_consumers(&self) -> usize {
        let percent = self.kill_consumers.unwrap_or(0) as usize;
        (self.consumers.unwrap_or(0) * percent).div_ceil(100)
    }

    /// The number of queues.
    pub(crate) fn queues(&self) -> u64 {
        if self.rush || self.gate.is_some() { 1 } else { u64::from(self.key_maximum) - u64::from(self.key_minimum) + 1 }
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

/// What argh says of a value, in one line: `option '--port' with value 'x': it is a whole number from 0 to 65535`.
fn one_line(output: &str) -> String {
    let line = output.split_whitespace().collect::<Vec<_>>().join(" ");
    line.strip_prefix("Error parsing ").map_or_else(|| line.clone(), String::from)
}

#[cfg(test)]
pub(crate) mod tests;
