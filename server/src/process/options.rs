//! The command line: memcacheQ's short options, memcached's where memcacheQ has none, and a long name for each.
//!
//! argh makes values of it. It takes no grouped letters and no `--port=1`, so `getopt` takes those apart before. Which
//! options there are is written once, in [`Arguments`]: `getopt` and `help` get their table from argh.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process;

use argh::{ArgsInfo, FlagInfoKind, FromArgs, Optionality};
use shards::CommitMode;

use crate::process::entry::FileId;
use crate::process::getopt::{self, Given, Known};
use crate::process::help;
use crate::process::path_text;
use crate::process::path_text::decode as path;
use crate::process::values::{commit_mode, file_id, number, octal};

/// Where the server listens without `-l`.
const ADDRESS: &str = "127.0.0.1";

/// A persistent message queue server that speaks the memcache text protocol: set appends to a queue, get takes from it
#[derive(FromArgs, ArgsInfo, Debug)]
pub(crate) struct Arguments {
    /// TCP port; 0 takes any free one [default: 22201, none when -s is given]
    #[argh(option, short = 'p', arg_name = "N", from_str_fn(number))]
    pub(crate) port: Option<u16>,

    /// UDP port; 0 is none [default: 0]
    #[argh(option, short = 'U', arg_name = "N", default = "0", from_str_fn(number))]
    pub(crate) udp_port: u16,

    /// unix socket
    #[argh(option, short = 's', arg_name = "FILE", from_str_fn(path))]
    pub(crate) unix_socket: Option<PathBuf>,

    /// access mask of the Unix socket, octal [default: 0700]
    #[argh(option, short = 'a', arg_name = "MASK", default = "0o700", from_str_fn(octal))]
    pub(crate) unix_mask: u32,

    /// address or host name to listen on, with :PORT for another port; several have commas between them, or -l
    /// again [default: 127.0.0.1]
    #[argh(option, short = 'l', arg_name = "ADDRESS")]
    listen: Vec<String>,

    /// simultaneous connections [default: 1024]
    #[argh(option, short = 'c', arg_name = "N", default = "1024", from_str_fn(number))]
    pub(crate) connections: usize,

    /// seconds after which a connection is closed that neither sends nor takes anything; 0 is never [default: 0]
    #[argh(option, arg_name = "SECONDS", default = "0", from_str_fn(number))]
    pub(crate) idle_timeout: u32,

    /// connections that one address may have; of IPv6 a network of 64 bits is one; 0: no such limit [default: 0]
    #[argh(option, arg_name = "N", default = "0", from_str_fn(number))]
    pub(crate) connections_per_address: u32,

    /// file with the users that may log in, their passwords and rights, read again at SIGHUP; without it there are
    /// none, and every client may do everything
    #[argh(option, arg_name = "FILE", from_str_fn(path))]
    pub(crate) users: Option<PathBuf>,

    /// no warning that -l lets other machines in without a login
    #[argh(switch)]
    pub(crate) open: bool,

    /// certificate of the TCP ports, and those that sign it, in PEM: they take TLS alone then; read again at SIGHUP
    #[argh(option, arg_name = "FILE", from_str_fn(path))]
    pub(crate) tls_cert: Option<PathBuf>,

    /// its private key, in PEM
    #[argh(option, arg_name = "FILE", from_str_fn(path))]
    pub(crate) tls_key: Option<PathBuf>,

    /// certificates in PEM, by one of which a client's is to be signed: without such a one no client gets in
    #[argh(option, arg_name = "FILE", from_str_fn(path))]
    pub(crate) tls_ca: Option<PathBuf>,

    /// proxies whose connections begin with a PROXY header, which has the client's address; commas between several
    #[argh(option, arg_name = "ADDRESS[/BITS]")]
    pub(crate) proxy_protocol: Option<String>,

    /// data directory [default: rushq-data]
    #[argh(option, short = 'H', arg_name = "DIR", default = "PathBuf::from(\"rushq-data\")", from_str_fn(path))]
    pub(crate) home: PathBuf,

    /// bytes of the largest body [default: 1048576]
    #[argh(option, short = 'B', arg_name = "BYTES", default = "1_048_576", from_str_fn(number))]
    pub(crate) body_bytes: usize,

    /// megabytes of bodies that stay in memory, in the whole process [default: 256]
    #[argh(option, short = 'm', arg_name = "MB", default = "256", from_str_fn(number))]
    pub(crate) memory: usize,

    /// acknowledge after the write, and sync once a second: a power cut may cost the last second
    #[argh(switch, short = 'N')]
    pub(crate) no_sync: bool,

    /// kilobytes of the largest commit [default: 16384]
    #[argh(option, short = 'L', arg_name = "KB", default = "16_384", from_str_fn(number))]
    pub(crate) commit_kilobytes: usize,

    /// where commits run: on the shard's thread, on another, or where the last ones were quick [default: auto]
    /// [possible values: auto, inline, thread]
    #[argh(option, arg_name = "WHERE", default = "CommitMode::Auto", from_str_fn(commit_mode))]
    pub(crate) commit: CommitMode,

    /// seconds between checkpoints, besides those that a growing log causes; 0: only those [default: 300]
    #[argh(option, short = 'C', arg_name = "SECONDS", default = "300", from_str_fn(number))]
    pub(crate) checkpoint_seconds: u32,

    /// remove log files that are no longer needed; rushq always does
    #[allow(dead_code, reason = "rushq does so without it")]
    #[argh(switch, short = 'R')]
    remove_logs: bool,

    /// bytes of a segment of the log, for a new data directory [default: 67108864]
    #[argh(option, arg_name = "BYTES", from_str_fn(number))]
    pub(crate) segment_bytes: Option<usize>,

    /// refuse flush_all
    #[argh(switch, short = 'F')]
    pub(crate) no_flush_all: bool,

    /// take Zend_Queue's greeting for a message like any other
    #[argh(switch)]
    pub(crate) no_zend_greeting: bool,

    /// have VALUE name a key without its options, as kestrel does
    #[argh(switch)]
    pub(crate) kestrel_keys: bool,

    /// take a / in a key for a part of the queue's name: no opens, waits, dead letters and settings
    #[argh(switch)]
    pub(crate) no_options: bool,

    /// take a + in a key for a part of the queue's name: no children
    #[argh(switch)]
    pub(crate) no_fanout: bool,

    /// messages of a queue that one connection may have open at once, by get q/open [default: 1]
    #[argh(option, arg_name = "N", default = "1", from_str_fn(number))]
    pub(crate) open_per_connection: u32,

    /// most seconds that a get waits for a message, by get q/t=MS; 0: none waits [default: 300]
    #[argh(option, arg_name = "SECONDS", default = "300", from_str_fn(number))]
    pub(crate) wait_max: u32,

    /// refuse q/config: queues have their settings from --queue-config alone
    #[argh(switch)]
    pub(crate) no_config: bool,

    /// file with settings of queues by patterns of their names, read again at SIGHUP
    #[argh(option, arg_name = "FILE", from_str_fn(path))]
    pub(crate) queue_config: Option<PathBuf>,

    /// run as a daemon; the command returns when it listens, or with what went wrong
    #[argh(switch, short = 'd')]
    pub(crate) daemon: bool,

    /// shards, one thread each [default: one for each core that this process may use]
    #[argh(option, short = 't', arg_name = "N", from_str_fn(number))]
    pub(crate) threads: Option<u16>,

    /// user to become once the sockets are bound, when started as root; owns the data directory then
    #[argh(option, short = 'u', arg_name = "NAME")]
    pub(crate) user: Option<String>,

    /// file that holds the process id while the server runs
    #[argh(option, short = 'P', arg_name = "FILE", from_str_fn(path))]
    pub(crate) pid_file: Option<PathBuf>,

    /// most seconds that a stop waits for clients that are reading their replies [default: 60]
    #[argh(option, arg_name = "SECONDS", default = "60", from_str_fn(number))]
    pub(crate) stop_timeout: u64,

    /// raise the limit of core files as far as it goes; with -u, processes of that user can then read the memory,
    /// too
    #[argh(switch, short = 'r')]
    pub(crate) core_files: bool,

    /// read everything in the data directory, change nothing, print what is there, and end
    #[argh(switch)]
    pub(crate) check: bool,

    /// set damaged parts of the log aside in the data directory, and start with all that is whole
    #[argh(switch)]
    pub(crate) repair: bool,

    /// take over all messages of the memcacheQ, kestrel or rushq at this address, then end; no client is served
    /// meanwhile
    #[argh(option, arg_name = "HOST:PORT")]
    pub(crate) import: Option<String>,

    /// import only this queue; can be given again
    #[argh(option, arg_name = "NAME")]
    pub(crate) import_queue: Vec<String>,

    /// log more; twice (-vv): each command and reply
    #[argh(switch, short = 'v')]
    pub(crate) verbose: u8,

    /// seconds between statistics in the log; 0 is never [default: 0]
    #[argh(option, short = 'S', arg_name = "SECONDS", default = "0", from_str_fn(number))]
    pub(crate) statistics_seconds: u32,

    /// file that the log is appended to, opened again at SIGHUP [default: standard error]
    #[argh(option, arg_name = "FILE", from_str_fn(path))]
    pub(crate) log_file: Option<PathBuf>,

    /// serve the operator's page and its interface here: a port of 127.0.0.1, ADDRESS:PORT, or the path of a Unix
    /// socket, which has a /; port 0 takes any free one
    #[argh(option, arg_name = "WHERE")]
    pub(crate) admin: Option<String>,

    /// have the page and its interface show, and change nothing
    #[argh(switch)]
    pub(crate) admin_read_only: bool,

    /// a further name by which browsers reach the page; can be given again
    #[argh(option, arg_name = "NAME")]
    pub(crate) admin_host: Vec<String>,

    /// tell HAProxy's agent-check here how much to send: a port of 127.0.0.1, or ADDRESS:PORT; port 0 takes any free
    /// one
    #[argh(option, arg_name = "WHERE")]
    pub(crate) agent_check: Option<String>,

    /// print the license
    #[argh(switch, short = 'i')]
    license: bool,

    /// print the version
    #[argh(switch, short = 'V')]
    version: bool,

    /// page size
    #[argh(option, short = 'A', arg_name = "BYTES")]
    page_size: Option<String>,

    /// seconds between trickles
    #[argh(option, short = 'T', arg_name = "SECONDS")]
    trickle_seconds: Option<String>,

    /// percent of clean pages
    #[argh(option, short = 'e', arg_name = "PERCENT")]
    trickle_percent: Option<String>,

    /// milliseconds between looks for deadlocks
    #[argh(option, short = 'D', arg_name = "MS")]
    deadlock_milliseconds: Option<String>,

    /// pages in a file
    #[argh(option, short = 'E', arg_name = "N")]
    extent_pages: Option<String>,

    /// removes this file when standard input ends: what rushq starts itself as
    #[argh(option, hidden_help, arg_name = "FILE", from_str_fn(path))]
    pub(crate) keep_pid_file: Option<PathBuf>,

    /// the same for a Unix socket, and for the file beside it; can be given again
    #[argh(option, hidden_help, arg_name = "FILE", from_str_fn(path))]
    pub(crate) keep_socket: Vec<PathBuf>,

    /// the device and inode of each socket's file, in their order
    #[argh(option, hidden_help, arg_name = "DEVICE:INODE", from_str_fn(file_id))]
    pub(crate) keep_socket_id: Vec<FileId>,
}

/// All options, as [`Arguments`] has them.
pub(crate) fn known() -> Vec<Known> {
    let flags = Arguments::get_args_info().flags.iter().map(|flag| {
        // argh has a flag of its own for this one, which has no letter.
        let is_help = flag.long == "--help";
        Known {
            letter: if is_help { Some('h') } else { flag.short },
            long: flag.long,
            value: match flag.kind {
                FlagInfoKind::Option { arg_name } => Some(arg_name),
                FlagInfoKind::Switch => None,
            },
            // The one switch that is counted.
            repeats: flag.optionality == Optionality::Repeating || flag.long == "--verbose",
            hidden: flag.hidden,
            description: if is_help { "print this help" } else { flag.description },
        }
    });
    flags.collect()
}

impl Arguments {
    /// Reads the process's command line; prints and exits when it asks for help or the like, or is wrong.
    pub(crate) fn from_command_line() -> Arguments {
        match Arguments::parse(std::env::args_os().skip(1)) {
            Ok(Asked::Run(arguments)) => *arguments,
            Ok(Asked::Text(text)) => {
                print!("{text}");
                process::exit(0)
            }
            Err(what) => {
                eprintln!("rushq: {what}; rushq --help lists all options");
                process::exit(1)
            }
        }
    }

    /// # Errors
    /// When an option is not known, or its value is missing or is none that it takes.
    fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Asked, String> {
        let known = known();
        let given = getopt::split(arguments.map(|argument| path_text::encode(&argument)), &known)?;
        if given.iter().any(|given| given.option.long == "--help") {
            return Ok(Asked::Text(help::text(Arguments::get_args_info().description, &known)));
        }
        for Given { option, value } in &given {
            if !option.takes_path() && value.as_deref().is_some_and(|value| !path_text::is_plain(value)) {
                return Err(format!("{}: its value is not UTF-8", option.long));
            }
        }
        let long_form = getopt::in_long_form(&given);
        let long_form: Vec<&str> = long_form.iter().map(String::as_str).collect();
        let arguments = Arguments::from_args(&["rushq"], &long_form).map_err(|exit| one_line(&exit.output))?;
        if arguments.version {
            return Ok(Asked::Text(format!("rushq {}\n", env!("CARGO_PKG_VERSION"))));
        }
        if arguments.license {
            return Ok(Asked::Text(include_str!("../../../LICENSE").to_string()));
        }
        if let (None, Some(queue)) = (&arguments.import, arguments.import_queue.first()) {
            return Err(format!("--import-queue {queue}: --import is missing, which names the server to take it from"));
        }
        if arguments.keep_socket.len() > arguments.keep_socket_id.len() {
            return Err("--keep-socket: --keep-socket-id is missing".to_string());
        }
        Ok(Asked::Run(Box::new(arguments)))
    }

    /// The addresses to listen on.
    pub(crate) fn addresses(&self) -> Vec<String> {
        match self.listen.as_slice() {
            [] => vec![ADDRESS.to_string()],
            given => given.iter().flat_map(|addresses| addresses.split(',')).map(str::to_string).collect(),
        }
    }

    /// The letters of the options that were given and have no effect: what memcacheQ hands to Berkeley DB.
    pub(crate) fn without_effect(&self) -> Vec<&'static str> {
        let given = [
            ("-A", &self.page_size),
            ("-T", &self.trickle_seconds),
            ("-e", &self.trickle_percent),
            ("-D", &self.deadlock_milliseconds),
            ("-E", &self.extent_pages),
        ];
        given.into_iter().filter(|(_, value)| value.is_some()).map(|(letter, _)| letter).collect()
    }
}

/// What a command line asks for.
#[derive(Debug)]
enum Asked {
    Run(Box<Arguments>),
    /// Something to print.
    Text(String),
}

/// What argh says of a value, in one line: `option '--port' with value 'x': it is a number from 0 to 65535`.
fn one_line(output: &str) -> String {
    let words: Vec<&str> = output.split_whitespace().collect();
    let line = words.join(" ");
    line.strip_prefix("Error parsing ").map_or(line.clone(), str::to_string)
}

#[cfg(test)]
pub(crate) mod tests;
