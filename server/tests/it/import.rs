//! Moving over from another server.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::write_set;
use crate::process::{Launch, Server, wait_until};

pub(crate) fn import(launch: &Launch, from: SocketAddr, arguments: &[&str]) -> Output {
    let from = from.to_string();
    let arguments = [&["--import", &from], arguments].concat();
    launch.clone().with(&arguments).command().stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn fill(server: &Server, queues: u32, messages: u32) {
    let mut client = server.connect();
    for number in 0..messages {
        for queue in 0..queues {
            let body = format!("{queue} {number}");
            client.send(format!("set from{queue} {queue} 0 {}\r\n{body}\r\n", body.len()));
            client.expect("STORED\r\n");
        }
    }
}

fn check(server: &Server, queues: u32, messages: u32) {
    let mut client = server.connect();
    for queue in 0..queues {
        for number in 0..messages {
            let body = format!("{queue} {number}");
            client.send(format!("get from{queue}\r\n"));
            client.expect(&format!("VALUE from{queue} {queue} {}\r\n{body}\r\nEND\r\n", body.len()));
        }
        assert_eq!(client.get(&format!("from{queue}")), None);
    }
}

#[test]
fn all_queues_of_a_rushq_in_order_and_with_flags() {
    let old = Launch::new().start();
    fill(&old, 5, 40);
    // Counters from before are no messages.
    assert_eq!(old.connect().set("empty", b"x"), "STORED");
    assert_eq!(old.connect().get("empty").as_deref(), Some(&b"x"[..]));
    let launch = Launch::new().shards(3);
    let text = said(&import(&launch, old.address(), &[]));
    assert!(text.contains("moved 40 messages of queue from3\n"), "{text}");
    assert!(text.contains("moved 200 messages of 6 queues from"), "{text}");
    assert_eq!(old.connect().figure("curr_items"), 0);
    check(&launch.start(), 5, 40);
}

#[test]
fn only_the_queues_that_are_named() {
    let old = Launch::new().start();
    fill(&old, 4, 3);
    let launch = Launch::new();
    let text = said(&import(&launch, old.address(), &["--import-queue", "from1", "--import-queue", "from2"]));
    assert!(text.contains("moved 6 messages of 2 queues"), "{text}");
    assert_eq!(old.connect().figure("curr_items"), 6);
    assert_eq!(launch.start().connect().queue_counters().len(), 2);
}

#[test]
fn nothing_listens_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let launch = Launch::new().with(&["--import", &format!("127.0.0.1:{port}")]);
    launch.refused().assert_one_line(&["--import", &port.to_string(), "host:port"]);
}

#[test]
fn a_data_directory_in_use_is_left_alone() {
    let (old, new) = (Launch::new().start(), Launch::new().start());
    fill(&old, 1, 1);
    let launch = new.launch().clone().with(&["--import", &old.address().to_string()]);
    launch.refused().assert_one_line(&["in use", "-H"]);
    assert_eq!(old.connect().figure("curr_items"), 1);
}

/// It goes back to where it came from, behind what waits there: that server knows no opens.
#[test]
fn a_message_that_is_too_large_is_given_back() {
    let old = Launch::new().with(&["--no-options"]).start();
    let mut client = old.connect();
    for body in [&b"small"[..], &[b'x'; 2000], b"behind"] {
        let mut bytes = Vec::new();
        write_set(&mut bytes, "q", body);
        client.send(bytes);
        client.expect("STORED\r\n");
    }
    let launch = Launch::new();
    let output = import(&launch, old.address(), &["-B", "1000"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("-B") && error.contains("back there"), "{error}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("moved 1 messages"));
    assert_eq!(client.get("q").as_deref(), Some(&b"behind"[..]));
    assert_eq!(client.get("q").unwrap().len(), 2000);
    assert_eq!(launch.start().connect().get("q").as_deref(), Some(&b"small"[..]));
}

/// Lines that a server reads, and what it says to each.
type Script = Vec<(&'static str, &'static str)>;

/// A server that says what the script says.
fn scripted(script: Script) -> (SocketAddr, JoinHandle<()>) {
    scripted_connections(vec![script])
}

/// What a server says that knows no opens, before its script.
const KNOWS_NO_OPENS: (&str, &str) = ("stats settings", "ERROR\r\n");

/// The same with a script for each connection, all of which are open until the end.
fn scripted_connections(scripts: Vec<Script>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut streams = Vec::new();
        for (number, script) in scripts.into_iter().enumerate() {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = BufReader::new(stream);
            let is_first = number == 0 && script.first().is_none_or(|(line, _)| *line != KNOWS_NO_OPENS.0);
            for (expected, answer) in is_first.then_some(KNOWS_NO_OPENS).into_iter().chain(script) {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                assert_eq!(line, format!("{expected}\r\n"));
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
            streams.push(stream);
        }
        for mut stream in streams {
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "nothing else is asked");
        }
    });
    (address, server)
}

/// The one line on standard error of an import that failed.
pub(crate) fn failure(output: &Output) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success() && error.lines().count() == 1, "{output:?}");
    error
}

/// Byte for byte what kestrel 2 answers: it has no `stats queue` and no `stats settings`, and takes both for `stats`.
#[test]
fn a_kestrel_is_drained_by_opens() {
    let stats = "STAT uptime 5\r\nSTAT cmd_get 5\r\nSTAT cmd_peek 0\r\nSTAT queue_work_items 2\r\nSTAT queue_work_total_items 9\r\n\
                 STAT queue_work_expired_items 0\r\nSTAT queue_work_mem_items 2\r\nEND\r\n";
    let (address, kestrel) = scripted(vec![
        ("stats settings", stats),
        ("stats queue", stats),
        ("get work/open", "VALUE work 0 5\r\nfirst\r\nEND\r\n"),
        ("get work/close/open", "VALUE work 3 6\r\nsecond\r\nEND\r\n"),
        ("get work/close/open", "END\r\n"),
    ]);
    let launch = Launch::new();
    assert!(said(&import(&launch, address, &[])).contains("moved 2 messages of 1 queues"));
    kestrel.join().unwrap();
    let server = launch.start();
    let mut client = server.connect();
    client.send("get work work\r\n");
    client.expect("VALUE work 0 5\r\nfirst\r\nVALUE work 3 6\r\nsecond\r\nEND\r\n");
}

/// What was moved before the other server went away stays moved.
#[test]
fn the_other_server_goes_away() {
    let (address, server) = scripted(vec![
        ("stats queue", "STAT q 7/4\r\nEND\r\n"),
        ("get q", "VALUE q 0 3\r\none\r\nEND\r\n"),
        ("get q", "SERVER_ERROR out of memory\r\n"),
    ]);
    let launch = Launch::new();
    let output = import(&launch, address, &[]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("out of memory") && error.contains("queue q"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    server.join().unwrap();
    assert_eq!(launch.start().connect().get("q").as_deref(), Some(&b"one"[..]));
}

#[test]
fn names_that_no_command_can_say_stay_where_they_are() {
    let (address, server) = scripted(vec![
        ("stats queue", "STAT  3/2\r\nSTAT a\tb 1/0\r\nSTAT c\rd 1/0\r\nSTAT good 1/0\r\nEND\r\n"),
        ("get good", "VALUE good 0 3\r\none\r\nEND\r\n"),
        ("get good", "END\r\n"),
    ]);
    let launch = Launch::new();
    let output = import(&launch, address, &[]);
    let error = failure(&output);
    assert!(error.contains("3 queues were left") && error.contains("\"\", \"a\\tb\", \"c\\rd\""), "{error}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("moved 1 messages of 1 queues"), "{output:?}");
    server.join().unwrap();
    let started = launch.start();
    assert_eq!(started.connect().queue_counters().len(), 1);
    assert_eq!(started.connect().get("good").as_deref(), Some(&b"one"[..]));
}

#[test]
fn a_message_of_another_queue_is_given_back() {
    let (address, server) = scripted_connections(vec![
        vec![("stats queue", "STAT a 1/0\r\nEND\r\n"), ("get a", "VALUE b 5 3\r\none\r\nEND\r\n")],
        vec![("set a 5 0 3", ""), ("one", "STORED\r\n")],
    ]);
    let launch = Launch::new();
    let error = failure(&import(&launch, address, &[]));
    assert!(error.contains("queue a: ") && error.contains("queue \"b\"") && error.contains("back there"), "{error}");
    server.join().unwrap();
    assert!(launch.start().connect().queue_counters().is_empty());
}

#[test]
fn what_is_no_message_is_not_stored() {
    for (answer, words) in [
        ("VALUE q -1 3\r\none\r\nEND\r\n", "\"VALUE q -1 3\" in the answer to a get"),
        ("VALUE q 0 99999999999\r\none\r\nEND\r\n", "\"VALUE q 0 99999999999\" in the answer"),
        ("VALUE q 0 3\r\nlonger\r\nEND\r\n", "longer than the 3 bytes"),
        ("STORED\r\n", "\"STORED\" in the answer to a get"),
    ] {
        let (address, server) = scripted(vec![("stats queue", "STAT q 1/0\r\nEND\r\n"), ("get q", answer)]);
        let launch = Launch::new();
        let error = failure(&import(&launch, address, &[]));
        assert!(error.contains(words) && error.contains("queue q"), "{error}");
        // It may have closed its connection with what it did not read.
        let _ = server.join();
        assert!(launch.start().connect().queue_counters().is_empty());
    }
}

/// A message that came is kept, whatever comes behind it.
#[test]
fn a_message_without_an_end_behind_it_is_kept() {
    let (address, server) = scripted(vec![
        ("stats queue", "STAT q 2/0\r\nEND\r\n"),
        ("get q", "VALUE q 0 3\r\none\r\nVALUE q 0 3\r\ntwo\r\nEND\r\n"),
    ]);
    let launch = Launch::new();
    let error = failure(&import(&launch, address, &[]));
    assert!(error.contains("\"VALUE q 0 3\" where a get's END was due"), "{error}");
    let _ = server.join();
    assert_eq!(launch.start().connect().get("q").as_deref(), Some(&b"one"[..]));
}

/// Sends a piece over and over until the other side is gone; tells of each. There is an end, for an import that would hold
/// it all.
fn flood(mut stream: TcpStream, piece: &[u8], sent: &Sender<usize>) {
    const BYTES_MAX: usize = 64 << 30;
    let mut sum = 0;
    while sum < BYTES_MAX && stream.write_all(piece).is_ok() {
        sum += piece.len();
        // The test does not count any more.
        let _ = sent.send(piece.len());
        if piece.is_empty() {
            // Until the other side is gone.
            let _ = stream.read(&mut [0]);
            return;
        }
    }
}

/// A server that answers the listing, and the first get with `head`; then `piece` follows without an end. Whatever comes on
/// other connections is read and forgotten.
fn endless(head: &'static str, piece: Vec<u8>) -> (SocketAddr, Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, sent) = channel();
    thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        thread::spawn(move || {
            for other in listener.incoming() {
                let mut other = other.unwrap();
                thread::spawn(move || io::copy(&mut other, &mut io::sink()));
            }
        });
        for answer in ["ERROR\r\n", "STAT q 1/0\r\nEND\r\n", head] {
            stream.read_line(&mut String::new()).unwrap();
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
        flood(stream.into_inner(), &piece, &sender);
    });
    (address, sent)
}

/// How long an import may take to come as far as the test needs it.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(30);

/// An import as a child process, and its most memory so far in bytes.
pub(crate) struct Importing(pub(crate) Child);

impl Importing {
    pub(crate) fn start(launch: &Launch, from: SocketAddr) -> Importing {
        Importing(launch.clone().with(&["--import", &from.to_string()]).spawn())
    }

    fn memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// SIGTERM ends it within three seconds; what it said.
    pub(crate) fn stop(mut self) -> String {
        kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM).unwrap();
        let mut ended = None;
        wait_until("SIGTERM ends the import", Duration::from_secs(3), || {
            ended = self.0.try_wait().unwrap();
            ended.is_some()
        });
        assert!(ended.is_some_and(|status| status.code() == Some(1)), "{ended:?}");
        io::read_to_string(self.0.stderr.take().unwrap()).unwrap()
    }
}

impl Drop for Importing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// It is handed back as it comes, and a signal ends that.
#[test]
fn a_message_without_an_end_is_not_held_in_memory() {
    const SENT: usize = 200 << 20;
    let (address, sent) = endless("VALUE q 0 2147480000\r\n", vec![b'x'; 1 << 20]);
    let launch = Launch::new();
    let importing = Importing::start(&launch, address);
    let mut sum = 0;
    while sum < SENT {
        sum += sent.recv_timeout(IMPORT_TIMEOUT).expect("the import goes on");
    }
    let memory = importing.memory_bytes();
    assert!(memory < (SENT / 2) as u64, "{memory} bytes of memory");
    let error = importing.stop();
    assert!(error.contains("-B allows") && error.contains("stopped by a signal amid an answer"), "{error}");
}

#[test]
fn a_line_without_an_end_has_one() {
    let (address, _sent) = endless("STAT ", vec![b'x'; 1 << 10]);
    let error = failure(&import(&Launch::new(), address, &[]));
    assert!(error.contains("a line of more than 2048 bytes"), "{error}");
}

#[test]
fn a_signal_ends_the_wait_for_the_rest_of_a_message() {
    let (address, sent) = endless("VALUE q 0 10\r\n", vec![]);
    let launch = Launch::new();
    let importing = Importing::start(&launch, address);
    sent.recv_timeout(IMPORT_TIMEOUT).unwrap();
    let error = importing.stop();
    assert!(error.contains("stopped by a signal") && error.contains("under way is lost"), "{error}");
}
