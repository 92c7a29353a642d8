//! The binary as a child process: started on a port of its own, killed, and started again on the same data.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::Client;

/// Long enough for a start that has to read a whole log of 2 GB, on a machine that is busy with other tests.
const START_TIMEOUT: Duration = Duration::from_secs(120);
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const LINE_TIMEOUT: Duration = Duration::from_secs(30);
/// A start that cannot succeed says so at once.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) fn binary() -> String {
    std::env::var("RUSHQ_BINARY").unwrap_or_else(|_| String::from(env!("CARGO_BIN_EXE_rushq")))
}

/// A seed for a random test, printed; `SEED=` gives one back.
pub(crate) fn random_seed() -> u64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = std::env::var("SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    seed
}

/// Polls for an event and fails the test when it does not come.
pub(crate) fn wait_until(what: &str, timeout: Duration, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < timeout, "waited {timeout:?} for: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What `du` counts: the blocks that are allocated, not the lengths.
pub(crate) fn disk_bytes(path: &Path) -> u64 {
    // A server at work renames and unlinks; what is gone between listing and looking takes no room.
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    let below: u64 = match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| disk_bytes(&entry.path())).sum(),
        Err(_) => 0,
    };
    metadata.blocks() * 512 + below
}

/// A directory for one test. It stays when the test fails and goes when it passes.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let test = thread::current().name().unwrap_or("test").replace("::", "-");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{test}-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("kept for a look: {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// How a server is to be started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    scratch: Arc<Scratch>,
    directory: PathBuf,
    through: Vec<String>,
    shards: u32,
    /// `None`: no port is asked for.
    port: Option<u16>,
    segment_bytes: u64,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Launch {
    /// Two shards, so that commands for local and for foreign queues both run; and small segments, which are quick to
    /// make and often finished.
    pub(crate) fn new() -> Launch {
        let scratch = Arc::new(Scratch::new());
        Launch {
            directory: scratch.0.join("data"),
            scratch,
            through: Vec::new(),
            shards: 2,
            port: Some(0),
            segment_bytes: 3 << 20,
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, arguments: &[&str]) -> Launch {
        self.arguments = arguments.iter().map(|argument| String::from(*argument)).collect();
        self
    }

    pub(crate) fn shards(mut self, shards: u32) -> Launch {
        self.shards = shards;
        self
    }

    pub(crate) fn port(mut self, port: u16) -> Launch {
        self.port = Some(port);
        self
    }

    /// Without TCP: there must be a Unix socket among the arguments.
    pub(crate) fn without_port(mut self) -> Launch {
        self.port = None;
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Launch {
        self.environment.push((String::from(name), String::from(value)));
        self
    }

    pub(crate) fn segment_bytes(mut self, segment_bytes: u64) -> Launch {
        self.segment_bytes = segment_bytes;
        self
    }

    pub(crate) fn directory(mut self, directory: PathBuf) -> Launch {
        self.directory = directory;
        self
    }

    /// Starts the server by way of another program, which must end in an exec so that the process stays the same.
    pub(crate) fn through(mut self, program: &[&str]) -> Launch {
        self.through = program.iter().map(|word| String::from(*word)).collect();
        self
    }

    /// A place beside the data directory for what the test itself writes.
    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch.0
    }

    pub(crate) fn start(self) -> Server {
        let mut server = Server { launch: self, running: None };
        server.start();
        server
    }

    /// A server that was not started yet.
    pub(crate) fn later(self) -> Server {
        Server { launch: self, running: None }
    }

    /// Starts a server whose log is elsewhere: when it listens must be seen there.
    pub(crate) fn start_silent(self) -> Server {
        let mut child = self.spawn();
        let stderr = lines_of(child.stderr.take().unwrap());
        Server { launch: self, running: Some(Running { child, stderr, said: Vec::new(), addresses: Vec::new() }) }
    }

    /// Starts a server that must refuse to run, and returns what it said.
    pub(crate) fn refused(self) -> Refusal {
        let mut child = self.spawn();
        let mut stderr = child.stderr.take().unwrap();
        let reader = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text)
        });
        let status = wait_for_exit(&mut child, REFUSAL_TIMEOUT);
        if status.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let stderr = reader.join().unwrap().unwrap();
        let Some(status) = status else { panic!("still running after {REFUSAL_TIMEOUT:?}, stderr:\n{stderr}") };
        Refusal { status, stderr }
    }

    pub(crate) fn spawn(&self) -> Child {
        self.command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {self:?}: {error}; is it installed?"))
    }

    /// The command line.
    pub(crate) fn command(&self) -> Command {
        let mut words = self.through.clone();
        words.push(binary());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["-t", &self.shards.to_string()]);
        if let Some(port) = self.port {
            command.args(["-p", &port.to_string()]);
        }
        command.args(["--segment-bytes", &self.segment_bytes.to_string(), "-H"]).arg(&self.directory);
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        command
    }
}

/// A server that would not start.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

impl Refusal {
    /// The one line it owes the operator, with every one of these words in it.
    pub(crate) fn assert_one_line(&self, words: &[&str]) {
        assert!(self.status.code().is_some_and(|code| code != 0), "{self:?}");
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "one line was due, not:\n{}", self.stderr);
        for word in words {
            assert!(lines[0].contains(word), "no {word:?} in: {}", lines[0]);
        }
    }
}

/// A server, running or between two runs on the same data directory.
#[derive(Debug)]
pub(crate) struct Server {
    launch: Launch,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    stderr: Receiver<String>,
    said: Vec<String>,
    /// Of TCP.
    addresses: Vec<SocketAddr>,
}

impl Server {
    /// Starts on the data that is there and returns how long it took to listen.
    pub(crate) fn start(&mut self) -> Duration {
        self.try_start().unwrap_or_else(|refusal| panic!("ended before it listened: {}", refusal.stderr))
    }

    /// The same, or why it would not.
    pub(crate) fn try_start(&mut self) -> Result<Duration, Refusal> {
        assert!(self.running.is_none(), "already running");
        let began = Instant::now();
        let mut child = self.launch.spawn();
        let stderr = lines_of(child.stderr.take().unwrap());
        // From here on Drop takes care of the child, whatever goes wrong.
        let running = self.running.insert(Running { child, stderr, said: Vec::new(), addresses: Vec::new() });
        loop {
            let left = START_TIMEOUT.saturating_sub(began.elapsed());
            match running.stderr.recv_timeout(left) {
                Ok(line) => {
                    let listening = line.split_once("listening on ").map(|(_, addresses)| String::from(addresses));
                    running.said.push(line);
                    let Some(addresses) = listening else { continue };
                    running.addresses = addresses.split(", ").filter_map(|address| address.parse().ok()).collect();
                    return Ok(began.elapsed());
                }
                Err(RecvTimeoutError::Timeout) => panic!("not listening after {START_TIMEOUT:?}: {:#?}", running.said),
                Err(RecvTimeoutError::Disconnected) => {
                    let Running { mut child, said, .. } = self.running.take().unwrap();
                    return Err(Refusal { status: child.wait().unwrap(), stderr: said.join("\n") });
                }
            }
        }
    }

    /// A start that is cut off by kill -9 after a moment, wherever it has got to by then.
    pub(crate) fn start_and_kill_9_after(&mut self, moment: Duration) {
        assert!(self.running.is_none(), "already running");
        let mut child = self.launch.spawn();
        let _drained = lines_of(child.stderr.take().unwrap());
        thread::sleep(moment);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Other options for the next start, on the same data.
    pub(crate) fn set_arguments(&mut self, arguments: &[&str]) {
        self.launch = self.launch.clone().with(arguments);
    }

    /// Another number of shards for the next start, on the same data.
    pub(crate) fn set_shards(&mut self, shards: u32) {
        self.launch = self.launch.clone().shards(shards);
    }

    pub(crate) fn kill_9(&mut self) {
        let mut running = self.running.take().unwrap();
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }

    /// The server must end by itself, and badly.
    pub(crate) fn wait_for_failure(&mut self) {
        let status = wait_for_exit(&mut self.running.as_mut().unwrap().child, STOP_TIMEOUT);
        let Some(status) = status else { panic!("still running after {STOP_TIMEOUT:?}") };
        assert!(status.code().is_some_and(|code| code != 0), "{status}");
        self.running = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).unwrap();
    }

    /// SIGTERM, and the exit with 0 that it must lead to.
    pub(crate) fn terminate(&mut self) {
        self.end_by(Signal::SIGTERM);
    }

    /// A signal, and the exit with 0 that it must lead to.
    pub(crate) fn end_by(&mut self, signal: Signal) {
        self.signal(signal);
        self.wait_for_end(signal);
    }

    /// The exit with 0 that a signal must lead to, which was sent before.
    pub(crate) fn wait_for_end(&mut self, signal: Signal) {
        let status = wait_for_exit(&mut self.running.as_mut().unwrap().child, STOP_TIMEOUT);
        let Some(status) = status else { panic!("still running {STOP_TIMEOUT:?} after {signal}") };
        assert_eq!(status.code(), Some(0), "exit after {signal}: {status}");
        let rest = self.running.take().unwrap().stderr;
        let fault = rest.iter().find(|line| line.contains("panicked") || line.contains("cannot go on"));
        assert_eq!(fault, None, "after {signal}");
    }

    /// Whether the process has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(|running| running.child.try_wait().unwrap().is_none())
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// The first TCP address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses()[0]
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.running.as_ref().unwrap().addresses
    }

    /// The address that the server listens on for something else than clients: `agent`, `admin`.
    pub(crate) fn address_for(&self, what: &str) -> SocketAddr {
        let listening = self.said().iter().find_map(|line| Some(line.split_once("listening on ")?.1)).unwrap();
        let found = listening.split(", ").find_map(|address| address.strip_prefix(what)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("no {what} in {listening}"))
    }

    /// Waits for a line of the server's log that contains this.
    pub(crate) fn wait_for_line(&mut self, text: &str) -> String {
        let running = self.running.as_mut().unwrap();
        let began = Instant::now();
        loop {
            if let Some(line) = running.said.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let left = LINE_TIMEOUT.saturating_sub(began.elapsed());
            let line = running.stderr.recv_timeout(left);
            running.said.push(line.unwrap_or_else(|_| panic!("no {text:?} in the log: {:#?}", running.said)));
        }
    }

    /// Waits for the next line of the server's log.
    pub(crate) fn wait_for_another_line(&mut self) {
        let running = self.running.as_mut().unwrap();
        let line = running.stderr.recv_timeout(LINE_TIMEOUT);
        running.said.push(line.unwrap_or_else(|_| panic!("no other line in the log: {:#?}", running.said)));
    }

    /// The log until the server listened, and what was waited for since.
    pub(crate) fn said(&self) -> &[String] {
        &self.running.as_ref().unwrap().said
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().unwrap().child.id()
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.launch.directory
    }

    pub(crate) fn launch(&self) -> &Launch {
        &self.launch
    }

    pub(crate) fn rss_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kilobytes * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(running) = &mut self.running else { return };
        let ended = running.child.try_wait();
        let _ = running.child.kill();
        let status = running.child.wait();
        if thread::panicking() {
            running.said.extend(running.stderr.iter());
            let end = if matches!(ended, Ok(Some(_))) { "ended by itself" } else { "ran until now" };
            eprintln!("the server {end} ({status:?}) and said:\n{}", running.said.join("\n"));
        }
    }
}

/// Starts a server that may run or refuse to.
pub(crate) fn refusal_or_running(launch: Launch) -> Result<Server, Refusal> {
    let mut server = launch.later();
    server.try_start().map(|_| server)
}

/// Starts several servers at once that want the same thing, of which one must run. Returns that, and what the others have
/// said, a line each.
pub(crate) fn the_one_that_runs(launches: Vec<Launch>) -> (Child, Vec<String>) {
    let mut children: Vec<(Child, Receiver<String>)> = launches
        .iter()
        .map(|launch| {
            let mut child = launch.spawn();
            let stderr = lines_of(child.stderr.take().unwrap());
            (child, stderr)
        })
        .collect();
    let mut running = Vec::new();
    let mut refusals = Vec::new();
    for (mut child, stderr) in children.drain(..) {
        let mut said: Vec<String> = Vec::new();
        let listens = loop {
            match stderr.recv_timeout(START_TIMEOUT) {
                Ok(line) if line.contains("listening on ") => break true,
                Ok(line) => said.push(line),
                Err(_) => break false,
            }
        };
        if listens {
            running.push((child, said));
        } else {
            assert_ne!(child.wait().unwrap().code(), Some(0), "{said:#?}");
            refusals.extend(said.pop());
        }
    }
    let count = running.len();
    let winner = running.pop();
    running.into_iter().for_each(|(mut child, _)| child.kill().and_then(|()| child.wait().map(drop)).unwrap());
    let (mut winner, _) = winner.unwrap_or_else(|| panic!("none runs: {refusals:#?}"));
    if count != 1 {
        winner.kill().unwrap();
        panic!("{count} of {} run", launches.len());
    }
    (winner, refusals)
}

/// SIGTERM, and the end that follows.
pub(crate) fn end(mut server: Child) {
    kill(Pid::from_raw(server.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(wait_for_exit(&mut server, STOP_TIMEOUT).is_some_and(|status| status.success()));
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // No test reads the lines once it is over; the pipe must still be emptied.
            let _ = sender.send(line);
        }
    });
    receiver
}

fn wait_for_exit(child: &mut Child, timeout: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if start.elapsed() > timeout {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
