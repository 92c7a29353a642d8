//! The command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process;
use std::str::FromStr;

use argh::{EarlyExit, FromArgs};
use shards::{CommitMode, Durability};

use crate::getopt;
use crate::limits;
use crate::settings::Settings;

/// Segments of the log, unless a larger body needs larger ones.
const SEGMENT_BYTES: usize = 64 << 20;
/// Offsets in a segment are 32 bits wide.
const SEGMENT_BYTES_MAX: usize = 1 << 31;
/// Shards beyond this would only make every listing and every checkpoint longer.
const SHARDS_MAX: u16 = 256;

/// A persistent message queue server that speaks the memcache text protocol: set appends to a queue, get takes from it.
#[derive(FromArgs, Debug)]
pub(crate) struct Options {
    /// TCP port to listen on (22201; 0: any free one)
    #[argh(option, short = 'p', default = "22201")]
    port: u16,

    /// address to listen on (127.0.0.1)
    #[argh(option, short = 'l', default = "IpAddr::V4(Ipv4Addr::LOCALHOST)")]
    listen: IpAddr,

    /// shards, one thread each (all cores that this process may use)
    #[argh(option, short = 't')]
    threads: Option<u16>,

    /// data directory (./rushq-data)
    #[argh(option, short = 'H', default = "PathBuf::from(\"rushq-data\")")]
    home: PathBuf,

    /// megabytes of message bodies that are kept in memory, for the whole process (256)
    #[argh(option, short = 'm', default = "256")]
    memory: usize,

    /// bytes of the largest body (1048576)
    #[argh(option, short = 'B', default = "1 << 20")]
    body_bytes: usize,

    /// acknowledge after the write, and sync once a second: a power cut may cost the last second
    #[argh(switch, short = 'N')]
    no_sync: bool,

    /// simultaneous connections (1024)
    #[argh(option, short = 'c', default = "1024")]
    connections: usize,

    /// refuse flush_all
    #[argh(switch, short = 'F')]
    no_flush_all: bool,

    /// treat Zend_Queue's greeting as a message like any other
    #[argh(switch)]
    no_zend_greeting: bool,

    /// log more; twice: everything
    #[argh(switch, short = 'v')]
    verbose: u8,

    /// where commits run: auto, inline (on the shard's thread) or thread (on another)
    #[argh(option, default = "Mode(CommitMode::Auto)")]
    commit: Mode,

    /// bytes of a segment of the log, for a new data directory (67108864)
    #[argh(option)]
    segment_bytes: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Mode(CommitMode);

impl FromStr for Mode {
    type Err = String;

    fn from_str(word: &str) -> Result<Mode, String> {
        match word {
            "auto" => Ok(Mode(CommitMode::Auto)),
            "inline" => Ok(Mode(CommitMode::Inline)),
            "thread" => Ok(Mode(CommitMode::Thread)),
            _ => Err("it is one of auto, inline and thread".to_string()),
        }
    }
}

/// What is logged at a verbosity.
pub(crate) fn log_level(verbosity: u32) -> log::LevelFilter {
    match verbosity {
        0 => log::LevelFilter::Info,
        1 => log::LevelFilter::Debug,
        _ => log::LevelFilter::Trace,
    }
}

impl Options {
    /// Parses the process's command line; prints and exits when it asks for help, or is wrong.
    pub(crate) fn from_command_line() -> Options {
        let words: Vec<String> = std::env::args().skip(1).collect();
        Options::parse(&words).unwrap_or_else(|exit| match exit.status {
            Ok(()) => {
                println!("{}", exit.output);
                process::exit(0)
            }
            Err(()) => {
                eprintln!("{}\nrushq --help lists all options", exit.output.trim_end());
                process::exit(1)
            }
        })
    }

    fn parse(words: &[String]) -> Result<Options, EarlyExit> {
        let words = getopt::take_apart(words);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Options::from_args(&["rushq"], &words)
    }

    /// Starts the log on standard error: RUST_LOG decides, else -v and -vv, and later the command `verbosity`.
    pub(crate) fn start_logging(&self) {
        let everything_of_ours = "warn,rushq=trace,shards=trace,storage=trace";
        let environment = env_logger::Env::default().default_filter_or(everything_of_ours);
        env_logger::Builder::from_env(environment).format_target(false).init();
        if std::env::var_os("RUST_LOG").is_none() {
            log::set_max_level(log_level(u32::from(self.verbose)));
        }
    }

    /// Checks the options against each other and the machine.
    ///
    /// # Errors
    /// One line that names the option and says what to do.
    pub(crate) fn settings(&self) -> Result<Settings, String> {
        let cores = limits::allowed_cores()?;
        let shards = self.threads.unwrap_or_else(|| u16::try_from(cores.len()).unwrap_or(SHARDS_MAX).min(SHARDS_MAX));
        if !(1..=SHARDS_MAX).contains(&shards) {
            return Err(format!("-t {shards} is not possible; it is 1 to {SHARDS_MAX}"));
        }
        if self.connections == 0 {
            return Err("-c 0 would serve nobody; it is 1 or more".to_string());
        }
        let least = shards::Options::segment_bytes_min(self.body_bytes);
        let segment_bytes = self.segment_bytes.unwrap_or(SEGMENT_BYTES.max(least));
        if segment_bytes > SEGMENT_BYTES_MAX {
            return Err(format!(
                "segments of {segment_bytes} bytes are not possible; make -B or --segment-bytes smaller"
            ));
        }
        if segment_bytes < least {
            let body = self.body_bytes;
            return Err(format!(
                "--segment-bytes {segment_bytes} is too small for -B {body}; it takes {least} or more"
            ));
        }
        let memory_bytes = self.memory.saturating_mul(1 << 20);
        Ok(Settings {
            address: SocketAddr::new(self.listen, self.port),
            directory: self.home.clone(),
            shards,
            cores,
            connections_max: self.connections,
            flush_all: !self.no_flush_all,
            zend_greeting: !self.no_zend_greeting,
            verbosity: self.verbose,
            memory_bytes,
            commit: self.commit.0,
            storage: shards::Options {
                durability: if self.no_sync { Durability::Written } else { Durability::Synced },
                segment_bytes: segment_bytes as u32,
                memory_bytes: memory_bytes / usize::from(shards),
                body_bytes_max: self.body_bytes,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Options {
        let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        Options::parse(&words).expect("a good line")
    }

    #[test]
    fn defaults_are_safe_and_local() {
        let settings = parse("").settings().expect("good");
        assert_eq!(settings.address.to_string(), "127.0.0.1:22201");
        assert_eq!(settings.storage.durability, Durability::Synced);
        assert_eq!(usize::from(settings.shards), settings.cores.len());
    }

    #[test]
    fn short_options_are_written_as_getopt_takes_them() {
        let options = parse("-Nvvp22202 -t2 -m64");
        assert_eq!((options.no_sync, options.verbose, options.port), (true, 2, 22202));
        assert_eq!((options.threads, options.memory), (Some(2), 64));
    }

    #[test]
    fn getopt_knows_every_short_option() {
        let help = Options::parse(&["--help".to_string()]).expect_err("help ends the parsing").output;
        let short: Vec<char> = help.lines().filter_map(|line| line.trim().strip_prefix('-')?.chars().next()).collect();
        let short = short.into_iter().filter(|letter| *letter != '-');
        assert_eq!(short.clone().count(), 10, "{help}");
        assert!(short.into_iter().all(getopt::knows), "{help}");
    }

    #[test]
    fn vv_is_twice_v() {
        assert_eq!(parse("-vv").verbose, 2);
        assert_eq!(parse("-v").verbose, 1);
    }

    #[test]
    fn memory_is_for_the_whole_process() {
        let settings = parse("-m 64 -t 4").settings().expect("good");
        assert_eq!(settings.storage.memory_bytes, 16 << 20);
    }

    #[test]
    fn what_cannot_be_says_so() {
        for (line, named) in [("-t 0", "-t"), ("-c 0", "-c"), ("--segment-bytes 1000", "-B"), ("-B 4000000000", "-B")] {
            let error = parse(line).settings().expect_err(line);
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_large_body_makes_segments_larger() {
        let settings = parse("-B 100000000").settings().expect("good");
        assert!(settings.storage.segment_bytes >= 200_000_000);
    }
}
