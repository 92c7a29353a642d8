//! What the options come to, checked, and the same for all shards.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use shards::pump::PumpOptions;
use shards::{CommitMode, Durability};

use crate::limits;
use crate::options::Options;
use crate::privileges::Identity;
use crate::session::Rules;

const PORT: u16 = 22201;
/// Segments of the log, unless a larger body needs larger ones.
const SEGMENT_BYTES: usize = 64 << 20;
/// Offsets in a segment are 32 bits wide.
const SEGMENT_BYTES_MAX: usize = 1 << 31;
/// Shards beyond this would only make every listing and every checkpoint longer.
const SHARDS_MAX: u16 = 256;
/// A stop that takes longer than a day is none.
const STOP_SECONDS_MAX: u64 = 24 * 60 * 60;

/// A Unix socket that is to be made.
#[derive(Debug, Clone)]
pub(crate) struct UnixSocket {
    pub(crate) path: PathBuf,
    /// Its access mode.
    pub(crate) mask: u32,
}

/// The server's settings.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) tcp: Option<SocketAddr>,
    pub(crate) udp: Option<SocketAddr>,
    pub(crate) unix: Option<UnixSocket>,
    pub(crate) directory: PathBuf,
    pub(crate) shards: u16,
    /// The cores that this process may run on.
    pub(crate) cores: Vec<usize>,
    pub(crate) connections_max: usize,
    pub(crate) idle_timeout: Option<Duration>,
    /// The longest that a stop waits for clients.
    pub(crate) stop_timeout: Duration,
    pub(crate) flush_all: bool,
    pub(crate) zend_greeting: bool,
    pub(crate) verbosity: u8,
    pub(crate) daemon: bool,
    pub(crate) core_files: bool,
    /// Who the process becomes; `None`: it stays who it is.
    pub(crate) identity: Option<Identity>,
    pub(crate) pid_file: Option<PathBuf>,
    /// Whether to go on with what is whole of a damaged log.
    pub(crate) repair: bool,
    pub(crate) statistics_interval: Option<Duration>,
    /// Of bodies in memory, for the whole process.
    pub(crate) memory_bytes: usize,
    pub(crate) pump: PumpOptions,
    /// For each shard.
    pub(crate) storage: shards::Options,
}

impl Settings {
    /// Checks the options against each other and the machine.
    ///
    /// # Errors
    /// One line that names the option and says what to do.
    pub(crate) fn new(options: &Options) -> Result<Settings, String> {
        let cores = limits::allowed_cores()?;
        let shards =
            options.threads.unwrap_or_else(|| u16::try_from(cores.len()).unwrap_or(SHARDS_MAX).min(SHARDS_MAX));
        if !(1..=SHARDS_MAX).contains(&shards) {
            return Err(format!("-t {shards} is not possible; it is 1 to {SHARDS_MAX}"));
        }
        if options.connections == 0 {
            return Err("-c 0 would serve nobody; it is 1 or more".to_string());
        }
        if options.commit_kilobytes == 0 {
            return Err("-L 0 would commit nothing; it is 1 or more".to_string());
        }
        // memcacheQ's rule: a Unix socket alone means no network, unless a port is asked for.
        let port = options.port.or_else(|| options.unix_socket.is_none().then_some(PORT));
        let tcp = port.map(|port| address(&options.listen, port)).transpose()?;
        let udp = (options.udp_port > 0).then(|| address(&options.listen, options.udp_port)).transpose()?;
        let unix = match &options.unix_socket {
            Some(path) => Some(UnixSocket { path: absolute(path, "-s")?, mask: options.unix_mask }),
            None => None,
        };
        let seconds = |seconds: u64| (seconds > 0).then(|| Duration::from_secs(seconds));
        let memory_bytes = options.memory.saturating_mul(1 << 20);
        Ok(Settings {
            tcp,
            udp,
            unix,
            directory: absolute(&options.home, "-H")?,
            shards,
            cores,
            connections_max: options.connections,
            idle_timeout: seconds(options.idle_timeout),
            stop_timeout: stop_timeout(options.stop_timeout)?,
            flush_all: !options.no_flush_all,
            zend_greeting: !options.no_zend_greeting,
            verbosity: options.verbose,
            daemon: options.daemon,
            core_files: options.core_files,
            identity: options.user.as_deref().map(Identity::of).transpose()?.flatten(),
            pid_file: options.pid_file.as_deref().map(|path| absolute(path, "-P")).transpose()?,
            repair: options.repair,
            statistics_interval: seconds(options.statistics_seconds),
            memory_bytes,
            pump: PumpOptions {
                commit: options.commit.into(),
                checkpoint_interval: seconds(options.checkpoint_seconds),
            },
            storage: shards::Options {
                durability: if options.no_sync { Durability::Written } else { Durability::Synced },
                segment_bytes: segment_bytes(options)?,
                memory_bytes: memory_bytes / usize::from(shards),
                body_bytes_max: options.body_bytes,
                commit_bytes_max: options.commit_kilobytes.saturating_mul(1 << 10),
            },
        })
    }

    /// What a session may do.
    pub(crate) fn rules(&self) -> Rules {
        let body_bytes_max = self.storage.body_bytes_max;
        Rules { body_bytes_max, flush_all: self.flush_all, zend_greeting: self.zend_greeting }
    }

    /// Every option's long name and value, for `stats settings`.
    pub(crate) fn list(&self) -> Vec<(&'static str, String)> {
        let on = |on: bool| if on { "on" } else { "off" }.to_string();
        let seconds = |interval: Option<Duration>| interval.map_or(0, |interval| interval.as_secs()).to_string();
        let path = |path: Option<&PathBuf>| path.map_or_else(|| "none".to_string(), |path| path.display().to_string());
        let listen = self.tcp.or(self.udp).map_or_else(|| "none".to_string(), |address| address.ip().to_string());
        let mask = self.unix.as_ref().map_or_else(|| "none".to_string(), |unix| format!("{:04o}", unix.mask));
        let commit = match self.pump.commit {
            CommitMode::Auto => "auto",
            CommitMode::Inline => "inline",
            CommitMode::Thread => "thread",
        };
        vec![
            ("port", self.tcp.map_or(0, |address| address.port()).to_string()),
            ("udp_port", self.udp.map_or(0, |address| address.port()).to_string()),
            ("unix_socket", path(self.unix.as_ref().map(|unix| &unix.path))),
            ("unix_mask", mask),
            ("listen", listen),
            ("connections", self.connections_max.to_string()),
            ("idle_timeout", seconds(self.idle_timeout)),
            ("stop_timeout", self.stop_timeout.as_secs().to_string()),
            ("home", self.directory.display().to_string()),
            ("body_bytes", self.storage.body_bytes_max.to_string()),
            ("memory", (self.memory_bytes >> 20).to_string()),
            ("no_sync", on(self.storage.durability == Durability::Written)),
            ("commit_kilobytes", (self.storage.commit_bytes_max >> 10).to_string()),
            ("commit", commit.to_string()),
            ("checkpoint_seconds", seconds(self.pump.checkpoint_interval)),
            ("remove_logs", on(true)),
            ("segment_bytes", self.storage.segment_bytes.to_string()),
            ("no_flush_all", on(!self.flush_all)),
            ("no_zend_greeting", on(!self.zend_greeting)),
            ("daemon", on(self.daemon)),
            ("threads", self.shards.to_string()),
            ("user", self.identity.as_ref().map_or("none", Identity::name).to_string()),
            ("pid_file", path(self.pid_file.as_ref())),
            ("core_files", on(self.core_files)),
            ("repair", on(self.repair)),
            ("verbose", self.verbosity.to_string()),
            ("statistics_seconds", seconds(self.statistics_interval)),
        ]
    }
}

fn stop_timeout(seconds: u64) -> Result<Duration, String> {
    if !(1..=STOP_SECONDS_MAX).contains(&seconds) {
        return Err(format!("--stop-timeout {seconds} is not possible; it is 1 to {STOP_SECONDS_MAX} seconds"));
    }
    Ok(Duration::from_secs(seconds))
}

/// The first address of a host at a port.
fn address(host: &str, port: u16) -> Result<SocketAddr, String> {
    let unknown = |why: String| format!("-l {host}: {why}; give an address or a host name of this machine");
    let mut addresses = (host, port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
    addresses.next().ok_or_else(|| unknown("no address has this name".to_string()))
}

/// A path that stays right when the working directory changes, as it does in a daemon.
fn absolute(path: &Path, option: &str) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{option} {}: {error}", path.display()))
}

fn segment_bytes(options: &Options) -> Result<u32, String> {
    let body = options.body_bytes;
    let least = shards::Options::segment_bytes_min(body);
    let bytes = options.segment_bytes.unwrap_or(SEGMENT_BYTES.max(least));
    if bytes > SEGMENT_BYTES_MAX {
        return Err(format!("segments of {bytes} bytes are not possible; make -B or --segment-bytes smaller"));
    }
    if bytes < least {
        return Err(format!("--segment-bytes {bytes} is too small for -B {body}; it takes {least} or more"));
    }
    Ok(bytes as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::parse;

    fn settings(line: &str) -> Settings {
        Settings::new(&parse(line)).expect("good")
    }

    #[test]
    fn defaults_are_safe_and_local() {
        let settings = settings("");
        assert_eq!(settings.tcp.expect("TCP").to_string(), "127.0.0.1:22201");
        assert!(settings.udp.is_none() && settings.unix.is_none());
        assert_eq!(settings.storage.durability, Durability::Synced);
        assert_eq!(usize::from(settings.shards), settings.cores.len());
    }

    #[test]
    fn memory_is_for_the_whole_process() {
        assert_eq!(settings("-m 64 -t 4").storage.memory_bytes, 16 << 20);
    }

    #[test]
    fn a_unix_socket_alone_means_no_network() {
        assert!(settings("-s /tmp/s").tcp.is_none());
        assert_eq!(settings("-s /tmp/s -p 1").tcp.expect("asked for").port(), 1);
        assert_eq!(settings("-U 2").udp.expect("asked for").port(), 2);
    }

    #[test]
    fn paths_outlive_a_change_of_directory() {
        let settings = settings("-H data -P pid -s socket");
        let unix = settings.unix.expect("asked for");
        assert!(settings.directory.is_absolute() && settings.pid_file.expect("asked for").is_absolute());
        assert!(unix.path.is_absolute());
    }

    #[test]
    fn what_cannot_be_says_so() {
        let lines = [
            ("-t 0", "-t"),
            ("-c 0", "-c"),
            ("-L 0", "-L"),
            ("--stop-timeout 0", "--stop-timeout"),
            ("--stop-timeout 99999999999999", "--stop-timeout"),
            ("--segment-bytes 1000", "-B"),
            ("-B 4000000000", "-B"),
            ("-l no-such-host.invalid", "-l"),
            ("-u no-such-user-here", "-u"),
        ];
        for (line, named) in lines {
            let error = Settings::new(&parse(line)).expect_err(line);
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_large_body_makes_segments_larger() {
        assert!(settings("-B 100000000").storage.segment_bytes >= 200_000_000);
    }
}
