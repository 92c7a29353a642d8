//! The command line: memcacheQ's short options, memcached's where memcacheQ has none, and a long name for each.

use std::path::PathBuf;
use std::process;

use clap::error::ErrorKind;
use clap::{ArgAction, Parser, ValueEnum};
use shards::CommitMode;

use crate::process::keeper::Kept;

/// A persistent message queue server that speaks the memcache text protocol: set appends to a queue, get takes from it.
#[derive(Parser, Debug)]
#[command(name = "rushq", version, args_override_self = true, disable_help_flag = true, disable_version_flag = true)]
#[command(override_usage = "rushq [options]")]
pub(crate) struct Arguments {
    /// TCP port; 0 takes any free one [default: 22201, none when -s is given]
    #[arg(short = 'p', long, value_name = "N", help_heading = "Who gets in")]
    pub(crate) port: Option<u16>,

    /// UDP port; 0 is none
    #[arg(short = 'U', long, value_name = "N", default_value = "0", help_heading = "Who gets in")]
    pub(crate) udp_port: u16,

    /// Unix socket
    #[arg(short = 's', long, value_name = "FILE", help_heading = "Who gets in")]
    pub(crate) unix_socket: Option<PathBuf>,

    /// Access mask of the Unix socket, octal
    #[arg(short = 'a', long, value_name = "MASK", default_value = "0700", value_parser = octal)]
    #[arg(help_heading = "Who gets in")]
    pub(crate) unix_mask: u32,

    /// Address or host name to listen on, with :PORT for another port; several have commas between them, or -l again
    #[arg(short = 'l', long, value_name = "ADDRESS", default_value = "127.0.0.1", value_delimiter = ',')]
    #[arg(help_heading = "Who gets in")]
    pub(crate) listen: Vec<String>,

    /// Simultaneous connections
    #[arg(short = 'c', long, value_name = "N", default_value = "1024", help_heading = "Who gets in")]
    pub(crate) connections: usize,

    /// Seconds after which a connection is closed that neither sends nor takes anything; 0 is never
    #[arg(long, value_name = "SECONDS", default_value = "0", help_heading = "Who gets in")]
    pub(crate) idle_timeout: u32,

    /// Data directory
    #[arg(short = 'H', long, value_name = "DIR", default_value = "rushq-data", help_heading = "Messages")]
    pub(crate) home: PathBuf,

    /// Bytes of the largest body
    #[arg(short = 'B', long, value_name = "BYTES", default_value = "1048576", help_heading = "Messages")]
    pub(crate) body_bytes: usize,

    /// Megabytes of bodies that stay in memory, in the whole process
    #[arg(short = 'm', long, value_name = "MB", default_value = "256", help_heading = "Messages")]
    pub(crate) memory: usize,

    /// Acknowledge after the write, and sync once a second: a power cut may cost the last second
    #[arg(short = 'N', long, help_heading = "Messages")]
    pub(crate) no_sync: bool,

    /// Kilobytes of the largest commit
    #[arg(short = 'L', long, value_name = "KB", default_value = "16384", help_heading = "Messages")]
    pub(crate) commit_kilobytes: usize,

    /// Where commits run: on the shard's thread, on another, or where the last ones were quick
    #[arg(long, value_name = "WHERE", default_value = "auto", help_heading = "Messages")]
    pub(crate) commit: Where,

    /// Seconds between checkpoints, besides those that a growing log causes; 0: only those
    #[arg(short = 'C', long, value_name = "SECONDS", default_value = "300", help_heading = "Messages")]
    pub(crate) checkpoint_seconds: u32,

    /// Remove log files that are no longer needed; rushq always does
    #[arg(short = 'R', long, help_heading = "Messages")]
    pub(crate) remove_logs: bool,

    /// Bytes of a segment of the log, for a new data directory [default: 67108864]
    #[arg(long, value_name = "BYTES", help_heading = "Messages")]
    pub(crate) segment_bytes: Option<usize>,

    /// Refuse flush_all
    #[arg(short = 'F', long, help_heading = "Messages")]
    pub(crate) no_flush_all: bool,

    /// Take Zend_Queue's greeting for a message like any other
    #[arg(long, help_heading = "Messages")]
    pub(crate) no_zend_greeting: bool,

    /// Run as a daemon; the command returns when it listens, or with what went wrong
    #[arg(short = 'd', long, help_heading = "Process")]
    pub(crate) daemon: bool,

    /// Shards, one thread each [default: one for each core that this process may use]
    #[arg(short = 't', long, value_name = "N", help_heading = "Process")]
    pub(crate) threads: Option<u16>,

    /// User to become once the sockets are bound, when started as root; owns the data directory then
    #[arg(short = 'u', long, value_name = "NAME", help_heading = "Process")]
    pub(crate) user: Option<String>,

    /// File that holds the process id while the server runs
    #[arg(short = 'P', long, value_name = "FILE", help_heading = "Process")]
    pub(crate) pid_file: Option<PathBuf>,

    /// Most seconds that a stop waits for clients that are reading their replies
    #[arg(long, value_name = "SECONDS", default_value = "60", help_heading = "Process")]
    pub(crate) stop_timeout: u64,

    /// Raise the limit of core files as far as it goes; with -u, processes of that user can then read the memory, too
    #[arg(short = 'r', long, help_heading = "Process")]
    pub(crate) core_files: bool,

    /// Read everything in the data directory, change nothing, print what is there, and end
    #[arg(long, help_heading = "Data directory")]
    pub(crate) check: bool,

    /// Set damaged parts of the log aside in the data directory, and start with all that is whole
    #[arg(long, help_heading = "Data directory")]
    pub(crate) repair: bool,

    /// Take over all messages of the memcacheQ, kestrel or rushq at this address, then end; nobody is served meanwhile
    #[arg(long, value_name = "HOST:PORT", help_heading = "Data directory")]
    pub(crate) import: Option<String>,

    /// Import only this queue; can be given again
    #[arg(long, value_name = "NAME", requires = "import", help_heading = "Data directory")]
    pub(crate) import_queue: Vec<String>,

    /// Log more; twice (-vv): each command and reply
    #[arg(short = 'v', long, action = ArgAction::Count, help_heading = "Log and help")]
    pub(crate) verbose: u8,

    /// Seconds between statistics in the log; 0 is never
    #[arg(short = 'S', long, value_name = "SECONDS", default_value = "0", help_heading = "Log and help")]
    pub(crate) statistics_seconds: u32,

    /// File that the log is appended to, opened again at SIGHUP [default: standard error]
    #[arg(long, value_name = "FILE", help_heading = "Log and help")]
    pub(crate) log_file: Option<PathBuf>,

    /// Print the license
    #[arg(short = 'i', long, help_heading = "Log and help")]
    pub(crate) license: bool,

    /// Print this help
    #[arg(short = 'h', long, action = ArgAction::Help, help_heading = "Log and help")]
    help: Option<bool>,

    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version, help_heading = "Log and help")]
    version: Option<bool>,

    #[command(flatten)]
    berkeley_db: BerkeleyDb,

    #[command(flatten)]
    pub(crate) kept: Kept,
}

/// What memcacheQ hands to Berkeley DB.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Of memcacheQ's Berkeley DB, without effect here")]
struct BerkeleyDb {
    /// Page size
    #[arg(short = 'A', long, value_name = "BYTES")]
    page_size: Option<String>,

    /// Seconds between trickles
    #[arg(short = 'T', long, value_name = "SECONDS")]
    trickle_seconds: Option<String>,

    /// Percent of clean pages
    #[arg(short = 'e', long, value_name = "PERCENT")]
    trickle_percent: Option<String>,

    /// Milliseconds between looks for deadlocks
    #[arg(short = 'D', long, value_name = "MS")]
    deadlock_milliseconds: Option<String>,

    /// Pages in a file
    #[arg(short = 'E', long, value_name = "N")]
    extent_pages: Option<String>,
}

/// [`CommitMode`] as it is written on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Where {
    Auto,
    Inline,
    Thread,
}

impl From<Where> for CommitMode {
    fn from(place: Where) -> CommitMode {
        match place {
            Where::Auto => CommitMode::Auto,
            Where::Inline => CommitMode::Inline,
            Where::Thread => CommitMode::Thread,
        }
    }
}

fn octal(digits: &str) -> Result<u32, String> {
    let mask = u32::from_str_radix(digits, 8).ok().filter(|mask| *mask <= 0o777);
    mask.ok_or_else(|| "it is octal, 0 to 0777".to_string())
}

impl Arguments {
    /// Parses the process's command line; prints and exits when it asks for help or the like, or is wrong.
    pub(crate) fn from_command_line() -> Arguments {
        let error = match Arguments::try_parse() {
            Ok(options) if options.license => {
                print!("{}", include_str!("../../../LICENSE"));
                process::exit(0)
            }
            Ok(options) => return options,
            Err(error) => error,
        };
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            print!("{error}");
            process::exit(0)
        }
        // The first line says it all; the others repeat what --help says.
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        eprintln!("rushq: {what}; rushq --help lists all options");
        process::exit(1)
    }

    /// The letters of the options that were given and have no effect.
    pub(crate) fn without_effect(&self) -> Vec<&'static str> {
        let BerkeleyDb { page_size, trickle_seconds, trickle_percent, deadlock_milliseconds, extent_pages } =
            &self.berkeley_db;
        let given = [
            ("-A", page_size),
            ("-T", trickle_seconds),
            ("-e", trickle_percent),
            ("-D", deadlock_milliseconds),
            ("-E", extent_pages),
        ];
        given.into_iter().filter(|(_, value)| value.is_some()).map(|(letter, _)| letter).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use clap::CommandFactory;

    pub(crate) fn parse(line: &str) -> Arguments {
        Arguments::try_parse_from(format!("rushq {line}").split_whitespace()).expect("a good line")
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn memcacheq_start_up_lines_are_taken_as_they_are() {
        let line = "-d -r -H /data1/memcacheq -N -R -v -L 1024 -B 1024 -u nobody -c 1024 -P /run/rushq.pid";
        let options = parse(line);
        assert!(options.daemon && options.core_files && options.no_sync && options.remove_logs);
        assert_eq!((options.commit_kilobytes, options.body_bytes, options.connections), (1024, 1024, 1024));
        assert_eq!(options.user.as_deref(), Some("nobody"));
        assert_eq!(options.pid_file, Some(PathBuf::from("/run/rushq.pid")));
        assert_eq!(options.home, PathBuf::from("/data1/memcacheq"));
    }

    #[test]
    fn switches_are_grouped_and_values_glued() {
        let options = parse("-drNvvp22202 -t2 -m64 -H/data");
        assert!(options.daemon && options.core_files && options.no_sync);
        assert_eq!((options.verbose, options.port), (2, Some(22202)));
        assert_eq!((options.threads, options.memory, options.home), (Some(2), 64, PathBuf::from("/data")));
    }

    /// Start-up scripts append to a line that has the option already.
    #[test]
    fn the_last_of_two_counts() {
        assert_eq!(parse("-p 1 -p 2 -N -N").port, Some(2));
    }

    /// But addresses add up, as memcached has it.
    #[test]
    fn addresses_add_up() {
        assert_eq!(parse("-l a,b:1 -l [::1]").listen, ["a", "b:1", "[::1]"]);
        assert_eq!(parse("").listen, ["127.0.0.1"]);
    }

    #[test]
    fn what_has_no_effect_is_known_by_name() {
        assert_eq!(parse("-A 4096 -E 16384 -T 30 -e 60 -D 100").without_effect(), ["-A", "-T", "-e", "-D", "-E"]);
        assert!(parse("-N").without_effect().is_empty());
    }

    #[test]
    fn the_mask_is_octal() {
        assert_eq!(parse("-a 0777").unix_mask, 0o777);
        assert_eq!(parse("").unix_mask, 0o700);
        for bad in ["8", "01000", "rw"] {
            assert!(Arguments::try_parse_from(["rushq", "-a", bad]).is_err(), "{bad}");
        }
    }
}
