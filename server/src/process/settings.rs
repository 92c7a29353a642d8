//! The server's settings: what the options come to, checked, and the same for all shards.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use shards::pump::PumpOptions;
use shards::{CommitMode, Durability};

use crate::process::addresses::{self, Endpoint, endpoints};
use crate::process::certificates::TlsFiles;
use crate::process::logging;
use crate::process::machine;
use crate::process::networks::{Network, networks};
use crate::process::operator::{self, Operator};
use crate::process::options::Arguments;
use crate::process::paths::{absolute, refuse_own_name};
use crate::process::privileges::Identity;

const PORT: u16 = 22201;
/// Segments of the log, unless a larger body needs larger ones.
const SEGMENT_BYTES: usize = 64 << 20;
/// Offsets in a segment are 32 bits wide.
const SEGMENT_BYTES_MAX: usize = 1 << 31;
/// Shards beyond this would make every listing and every checkpoint longer, and nothing faster.
const SHARDS_MAX: u16 = 256;
/// A stop that may take longer than a day is a mistake.
const STOP_SECONDS_MAX: u64 = 24 * 60 * 60;
/// So is a get that waits for longer.
const WAIT_SECONDS_MAX: u32 = 24 * 60 * 60;
/// More messages than this a client does not have in work; each of them costs a lease.
const OPEN_PER_CONNECTION_MAX: u32 = 100_000;

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
    pub(crate) tcp: Vec<Endpoint>,
    pub(crate) udp: Vec<Endpoint>,
    pub(crate) unix: Option<UnixSocket>,
    /// `None`: the TCP ports are plain.
    pub(crate) tls: Option<TlsFiles>,
    /// From where connections begin with a PROXY header.
    pub(crate) proxies: Vec<Network>,
    /// The operator's page. `None`: there is none.
    pub(crate) operator: Option<Operator>,
    /// Where HAProxy's agent-check is answered.
    pub(crate) agent: Vec<Endpoint>,
    pub(crate) directory: PathBuf,
    pub(crate) shards: u16,
    /// The cores that this process may run on.
    pub(crate) cores: Vec<usize>,
    pub(crate) connections_max: usize,
    /// Connections that one address may have.
    pub(crate) connections_per_address: Option<NonZeroU32>,
    pub(crate) idle_timeout: Option<Duration>,
    /// Where the users are that may log in; `None`: no client needs to.
    pub(crate) users: Option<PathBuf>,
    /// Whether clients of other machines need not log in, and that is meant.
    pub(crate) open: bool,
    /// The longest that a stop waits for clients.
    pub(crate) stop_timeout: Duration,
    pub(crate) flush_all: bool,
    pub(crate) zend_greeting: bool,
    /// Whether VALUE has a key without its options.
    pub(crate) kestrel_keys: bool,
    /// Whether a `/` begins an option of a key.
    pub(crate) options: bool,
    /// Whether a `+` begins a child.
    pub(crate) fanout: bool,
    /// Messages of a queue that one connection may have open.
    pub(crate) open_per_connection: u32,
    /// The longest that a get waits for a message.
    pub(crate) wait_max: Duration,
    /// Whether clients may give queues settings.
    pub(crate) config: bool,
    /// Where patterns of names have settings.
    pub(crate) queue_config: Option<PathBuf>,
    pub(crate) daemon: bool,
    pub(crate) core_files: bool,
    /// The user that the process becomes; `None`: it stays its own.
    pub(crate) identity: Option<Identity>,
    pub(crate) pid_file: Option<PathBuf>,
    /// `None`: the log goes to standard error.
    pub(crate) log_file: Option<PathBuf>,
    /// Whether to set damaged parts of the log aside and start with the rest.
    pub(crate) repair: bool,
    pub(crate) statistics_interval: Option<Duration>,
    /// Bytes of bodies in memory, for the whole process.
    pub(crate) memory_bytes: usize,
    pub(crate) pump: PumpOptions,
    /// For each shard.
    pub(crate) storage: shards::StoreOptions,
}

impl Settings {
    /// Checks the options against each other and the machine.
    ///
    /// # Errors
    /// When an option is impossible by itself, beside another one, or on this machine. The line names it and the remedy.
    pub(crate) fn new(options: &Arguments) -> Result<Settings, String> {
        let cores = machine::allowed_cores()?;
        let shards =
            options.threads.unwrap_or_else(|| u16::try_from(cores.len()).unwrap_or(SHARDS_MAX).min(SHARDS_MAX));
        if !(1..=SHARDS_MAX).contains(&shards) {
            return Err(format!("-t {shards} is not possible; it is 1 to {SHARDS_MAX}"));
        }
        if options.connections == 0 {
            return Err("-c 0 would serve no client; it is 1 or more".to_string());
        }
        let memory_bytes = sizes(options, machine::memory_bytes()?)?;
        // memcacheQ's rule: a Unix socket alone means no network, unless a port is asked for.
        let port = options.port.or_else(|| options.unix_socket.is_none().then_some(PORT));
        let listen = options.addresses();
        let tcp = endpoints(&listen, port)?;
        let udp = match options.udp_port {
            0 => Vec::new(),
            port => endpoints(&listen, Some(port))?,
        };
        if let (Some(users), Some(_)) = (&options.users, udp.first()) {
            let users = users.display();
            return Err(format!("-U with --users {users}: by UDP no client can log in; leave one of the two out"));
        }
        let directory = absolute(&options.home, "-H")?;
        let unix = match &options.unix_socket {
            Some(path) => Some(UnixSocket { path: beside_own_names(path, "-s", &directory)?, mask: options.unix_mask }),
            None => None,
        };
        let operator = Operator::of(options, &directory, options.users.is_some())?;
        if let (Some(unix), Some(admin)) = (&unix, operator.as_ref().and_then(Operator::socket))
            && unix.path == admin.path
        {
            return Err(format!("-s and --admin are both {}; name another by one of them", unix.path.display()));
        }
        let agent = options.agent_check.as_deref().map(|place| addresses::of_option("--agent-check", place, ""));
        let file =
            |path: Option<&Path>, option| path.map(|path| beside_own_names(path, option, &directory)).transpose();
        let pid_file = file(options.pid_file.as_deref(), "-P")?;
        let log_file = file(options.log_file.as_deref(), "--log-file")?;
        if let Some(path) = log_file.as_ref().filter(|path| pid_file.as_ref() == Some(*path)) {
            return Err(format!("-P and --log-file are both {}; name another file by one of them", path.display()));
        }
        let seconds = |seconds: u32| (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        Ok(Settings {
            tcp,
            udp,
            unix,
            tls: tls_files(options)?,
            proxies: options.proxy_protocol.as_deref().map_or(Ok(Vec::new()), |it| networks("--proxy-protocol", it))?,
            operator,
            agent: agent.transpose()?.unwrap_or_default(),
            directory,
            shards,
            cores,
            connections_max: options.connections,
            connections_per_address: NonZeroU32::new(options.connections_per_address),
            idle_timeout: seconds(options.idle_timeout),
            users: options.users.as_deref().map(|path| absolute(path, "--users")).transpose()?,
            open: options.open,
            stop_timeout: stop_timeout(options.stop_timeout)?,
            flush_all: !options.no_flush_all,
            zend_greeting: !options.no_zend_greeting,
            kestrel_keys: options.kestrel_keys,
            options: !options.no_options,
            fanout: !options.no_fanout,
            open_per_connection: open_per_connection(options.open_per_connection)?,
            wait_max: wait_max(options.wait_max)?,
            config: !options.no_config,
            queue_config: options.queue_config.as_deref().map(|path| absolute(path, "--queue-config")).transpose()?,
            daemon: options.daemon,
            core_files: options.core_files,
            identity: options.user.as_deref().map(Identity::of).transpose()?.flatten(),
            pid_file,
            log_file,
            repair: options.repair,
            statistics_interval: seconds(options.statistics_seconds),
            memory_bytes,
            pump: PumpOptions { commit: options.commit, checkpoint_interval: seconds(options.checkpoint_seconds) },
            storage: shards::StoreOptions {
                durability: if options.no_sync { Durability::Written } else { Durability::Synced },
                segment_bytes: segment_bytes(options)?,
                memory_bytes: memory_bytes / usize::from(shards),
                body_bytes_max: options.body_bytes,
                commit_bytes_max: options.commit_kilobytes << 10,
            },
        })
    }

    /// What the server can be reached at, in words, once its sockets are bound: the addresses of TCP behind the others,
    /// then the page's and the agent's.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let unix = self.unix.iter().map(|unix| unix.path.display().to_string());
        let udp = self.udp.iter().map(|endpoint| format!("udp {}", endpoint.address));
        let tcp = self.tcp.iter().map(|endpoint| endpoint.address.to_string());
        let agent = self.agent.iter().map(|endpoint| format!("agent {}", endpoint.address));
        unix.chain(udp).chain(tcp).chain(self.operator.iter().flat_map(Operator::addresses)).chain(agent).collect()
    }

    /// The addresses by which other machines come in although no client needs to log in, and nothing says that this is
    /// meant.
    pub(crate) fn open_addresses(&self) -> Vec<SocketAddr> {
        let is_safe = self.users.is_some() || self.open;
        let endpoints = self.tcp.iter().chain(&self.udp).filter(|_| !is_safe).map(|endpoint| endpoint.address);
        endpoints.filter(|address| !address.ip().to_canonical().is_loopback()).collect()
    }

    /// Every option's long name and value that is in force, for `stats settings`.
    pub(crate) fn list(&self) -> Vec<(&'static str, String)> {
        let on = |on: bool| if on { "on" } else { "off" }.to_string();
        let seconds = |interval: Option<Duration>| interval.map_or(0, |interval| interval.as_secs()).to_string();
        let path = |path: Option<&PathBuf>| path.map_or_else(|| "none".to_string(), |path| path.display().to_string());
        let port = |endpoints: &[Endpoint]| endpoints.first().map_or(0, |endpoint| endpoint.address.port()).to_string();
        let mask = self.unix.as_ref().map_or_else(|| "none".to_string(), |unix| format!("{:04o}", unix.mask));
        let commit = match self.pump.commit {
            CommitMode::Auto => "auto",
            CommitMode::Inline => "inline",
            CommitMode::Thread => "thread",
        };
        vec![
            ("port", port(&self.tcp)),
            ("udp_port", port(&self.udp)),
            ("unix_socket", path(self.unix.as_ref().map(|unix| &unix.path))),
            ("unix_mask", mask),
            ("listen", listen_words(if self.tcp.is_empty() { &self.udp } else { &self.tcp })),
            ("connections", self.connections_max.to_string()),
            ("connections_per_address", self.connections_per_address.map_or(0, NonZeroU32::get).to_string()),
            ("idle_timeout", seconds(self.idle_timeout)),
            ("tls_cert", path(self.tls.as_ref().map(|tls| &tls.cert))),
            ("tls_key", path(self.tls.as_ref().map(|tls| &tls.key))),
            ("tls_ca", path(self.tls.as_ref().and_then(|tls| tls.ca.as_ref()))),
            ("proxy_protocol", network_words(&self.proxies)),
            ("users", path(self.users.as_ref())),
            ("open", on(self.open)),
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
            ("queue_config", path(self.queue_config.as_ref())),
            ("no_config", on(!self.config)),
            ("no_options", on(!self.options)),
            ("no_fanout", on(!self.fanout)),
            ("kestrel_keys", on(self.kestrel_keys)),
            ("open_per_connection", self.open_per_connection.to_string()),
            ("wait_max", self.wait_max.as_secs().to_string()),
            ("admin", operator::place(self.operator.as_ref())),
            ("admin_read_only", on(self.operator.as_ref().is_some_and(|operator| operator.read_only))),
            ("admin_host", operator::hosts(self.operator.as_ref())),
            ("agent_check", socket_addresses(&self.agent)),
            ("daemon", on(self.daemon)),
            ("threads", self.shards.to_string()),
            ("user", self.identity.as_ref().map_or("none", Identity::name).to_string()),
            ("pid_file", path(self.pid_file.as_ref())),
            ("core_files", on(self.core_files)),
            ("repair", on(self.repair)),
            ("verbose", logging::verbosity().to_string()),
            ("statistics_seconds", seconds(self.statistics_interval)),
            ("log_file", path(self.log_file.as_ref())),
        ]
    }
}

/// Addresses and ports, with commas between them.
fn socket_addresses(endpoints: &[Endpoint]) -> String {
    let words: Vec<String> = endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
    if words.is_empty() { "none".to_string() } else { words.join(",") }
}

/// Addresses with commas between them, with their ports where these differ.
fn listen_words(endpoints: &[Endpoint]) -> String {
    let addresses = || endpoints.iter().map(|endpoint| endpoint.address);
    let mut ports = addresses().map(|address| address.port());
    let first = ports.next();
    let words: Vec<String> = match ports.all(|port| Some(port) == first) {
        true => addresses().map(|address| address.ip().to_string()).collect(),
        false => addresses().map(|address| address.to_string()).collect(),
    };
    if words.is_empty() { "none".to_string() } else { words.join(",") }
}

fn network_words(networks: &[Network]) -> String {
    let words: Vec<String> = networks.iter().map(Network::to_string).collect();
    if words.is_empty() { "none".to_string() } else { words.join(",") }
}

/// The files of TLS: certificate and key, or neither.
fn tls_files(options: &Arguments) -> Result<Option<TlsFiles>, String> {
    let path = |path: &Option<PathBuf>, option| path.as_deref().map(|path| absolute(path, option)).transpose();
    let ca = path(&options.tls_ca, "--tls-ca")?;
    match (path(&options.tls_cert, "--tls-cert")?, path(&options.tls_key, "--tls-key")?) {
        (Some(_), Some(_)) if options.udp_port != 0 => {
            Err(format!("-U {} beside --tls-cert: UDP has no TLS; leave one of them out", options.udp_port))
        }
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key, ca })),
        (Some(cert), None) => Err(format!("--tls-cert {}: --tls-key is missing, which names its key", cert.display())),
        (None, Some(key)) => Err(format!("--tls-key {}: --tls-cert is missing", key.display())),
        (None, None) => match ca {
            Some(ca) => Err(format!("--tls-ca {}: --tls-cert and --tls-key are missing", ca.display())),
            None => Ok(None),
        },
    }
}

fn stop_timeout(seconds: u64) -> Result<Duration, String> {
    if !(1..=STOP_SECONDS_MAX).contains(&seconds) {
        return Err(format!("--stop-timeout {seconds} is not possible; it is 1 to {STOP_SECONDS_MAX} seconds"));
    }
    Ok(Duration::from_secs(seconds))
}

fn wait_max(seconds: u32) -> Result<Duration, String> {
    if seconds > WAIT_SECONDS_MAX {
        return Err(format!("--wait-max {seconds} is not possible; it is 0 to {WAIT_SECONDS_MAX} seconds"));
    }
    Ok(Duration::from_secs(seconds.into()))
}

fn open_per_connection(messages: u32) -> Result<u32, String> {
    if !(1..=OPEN_PER_CONNECTION_MAX).contains(&messages) {
        return Err(format!("--open-per-connection {messages} is not possible; it is 1 to {OPEN_PER_CONNECTION_MAX}"));
    }
    Ok(messages)
}

/// The path of a file that does not take the place of one of rushq's own.
fn beside_own_names(path: &Path, option: &str, data: &Path) -> Result<PathBuf, String> {
    let path = absolute(path, option)?;
    refuse_own_name(&path, option, data)?;
    Ok(path)
}

/// Checks the sizes that must fit in the machine's memory. Returns that of `-m` in bytes.
fn sizes(options: &Arguments, machine_bytes: u64) -> Result<usize, String> {
    let (memory, commit) = (options.memory as u64, options.commit_kilobytes as u64);
    let (machine_megabytes, machine_kilobytes) = (machine_bytes >> 20, machine_bytes >> 10);
    if memory > machine_megabytes {
        let as_bytes = memory >> 20;
        let remedy = match (1..=machine_megabytes).contains(&as_bytes) {
            true => format!("-m counts megabytes: for {memory} bytes it is -m {as_bytes}"),
            false => "-m counts megabytes".to_string(),
        };
        return Err(format!("-m {memory} is more than this machine's memory, {machine_megabytes} megabytes; {remedy}"));
    }
    if commit == 0 {
        return Err("-L 0 would commit nothing; it is 1 or more".to_string());
    }
    if commit > machine_kilobytes {
        return Err(format!("-L {commit} is more than this machine's memory, {machine_kilobytes} kilobytes"));
    }
    Ok(options.memory << 20)
}

fn segment_bytes(options: &Arguments) -> Result<u32, String> {
    let body = options.body_bytes;
    let most = shards::StoreOptions::body_bytes_max_in(SEGMENT_BYTES_MAX as u32);
    if !(1..=most).contains(&body) {
        return Err(format!("-B {body} is not possible; it is 1 to {most}"));
    }
    let least = shards::StoreOptions::segment_bytes_min(body);
    let bytes = options.segment_bytes.unwrap_or(SEGMENT_BYTES.max(least));
    if bytes > SEGMENT_BYTES_MAX {
        return Err(format!("--segment-bytes {bytes} is not possible; it is {SEGMENT_BYTES_MAX} at most"));
    }
    if bytes < least {
        return Err(format!("--segment-bytes {bytes} is too small for -B {body}; it takes {least} or more"));
    }
    Ok(bytes as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::options::tests::parse;

    fn settings(line: &str) -> Settings {
        Settings::new(&parse(line)).expect("good")
    }

    fn addresses(endpoints: &[Endpoint]) -> Vec<String> {
        endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect()
    }

    #[test]
    fn defaults_are_safe_and_local() {
        let settings = settings("");
        assert_eq!(addresses(&settings.tcp), ["127.0.0.1:22201"]);
        assert!(settings.udp.is_empty() && settings.unix.is_none());
        assert_eq!(settings.storage.durability, Durability::Synced);
        assert_eq!(usize::from(settings.shards), settings.cores.len().min(usize::from(SHARDS_MAX)));
    }

    #[test]
    fn memory_is_for_the_whole_process() {
        assert_eq!(settings("-m 64 -t 4").storage.memory_bytes, 16 << 20);
    }

    #[test]
    fn a_unix_socket_alone_means_no_network() {
        assert!(settings("-s /tmp/s").tcp.is_empty());
        assert_eq!(addresses(&settings("-s /tmp/s -p 1").tcp), ["127.0.0.1:1"]);
        assert_eq!(addresses(&settings("-s /tmp/s -l 127.0.0.1,127.0.0.2:3").tcp), ["127.0.0.2:3"]);
        assert_eq!(addresses(&settings("-U 2").udp), ["127.0.0.1:2"]);
    }

    #[test]
    fn an_address_of_other_machines_without_users_is_meant_or_warned_of() {
        let open = |line: &str| settings(line).open_addresses().len();
        assert_eq!((open(""), open("-l 127.0.0.2,[::1]"), open("-s /tmp/s")), (0, 0, 0));
        assert_eq!((open("-l 0.0.0.0"), open("-l 127.0.0.1,192.0.2.1 -U 1"), open("-l [::]")), (1, 2, 1));
        assert_eq!((open("-l 0.0.0.0 --users u"), open("-l 0.0.0.0 --open")), (0, 0));
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
            ("-L 18446744073709551615", "-L"),
            ("-B 0", "-B"),
            ("-B 18446744073709551615", "-B"),
            ("--segment-bytes 18446744073709551615", "--segment-bytes"),
            ("-P data/layout -H data", "-P"),
            ("-s data/lock -H data", "-s"),
            ("-P file --log-file ./file", "--log-file"),
            ("--log-file data/data-1/log -H data", "--log-file"),
            ("--stop-timeout 0", "--stop-timeout"),
            ("--stop-timeout 99999999999999", "--stop-timeout"),
            ("--wait-max 86401", "--wait-max"),
            ("--open-per-connection 0", "--open-per-connection"),
            ("--open-per-connection 100001", "--open-per-connection"),
            ("--segment-bytes 1000", "-B"),
            ("-B 4000000000", "-B"),
            ("--tls-cert c", "--tls-key"),
            ("--tls-key k", "--tls-cert"),
            ("--tls-ca a", "--tls-cert"),
            ("--tls-cert c --tls-key k -U 1", "-U"),
            ("--proxy-protocol 10.0.0.0/33", "--proxy-protocol"),
            ("-l no-such-host.invalid", "-l"),
            ("-u no-such-user-here", "-u"),
            ("-U 1 --users u", "-U with --users u"),
        ];
        for (line, named) in lines {
            let error = Settings::new(&parse(line)).expect_err(line);
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn memory_that_the_machine_cannot_have_is_refused() {
        let sizes = |line: &str| sizes(&parse(line), 24_000 << 20);
        assert_eq!(sizes("-m 24000"), Ok(24_000 << 20));
        let error = sizes("-m 24001").expect_err("too much");
        assert!(error.contains("24000 megabytes") && error.ends_with("-m counts megabytes"), "{error}");
        let error = sizes("-m 1073741824").expect_err("bytes");
        assert!(error.ends_with("for 1073741824 bytes it is -m 1024"), "{error}");
        sizes("-m 18446744073709551615").expect_err("too much, and no number wraps around");
    }

    #[test]
    fn a_large_body_makes_segments_larger() {
        assert!(settings("-B 100000000").storage.segment_bytes >= 200_000_000);
    }
}
