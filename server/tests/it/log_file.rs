//! The log: where it goes, what it says, and what clients can have it say.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::client::Client;
use crate::process::{Launch, Server, wait_until};
use crate::root::is_root;

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn wait_for(path: &Path, text: &str) {
    wait_until(&format!("{text:?} in {}", path.display()), EVENT_TIMEOUT, || read(path).contains(text));
}

/// A server that logs to a file, with a client. Its standard error says nothing, so that it listens is seen there.
fn with_log(launch: Launch, more: &[&str]) -> (Server, PathBuf, Client) {
    let log = launch.scratch().join("log");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let arguments = [&["--log-file", log.to_str().unwrap()], more].concat();
    let (server, client) = start_and_connect(launch.port(port).with(&arguments), port, &log);
    (server, log, client)
}

/// The same, with the log on standard error, which is a file.
fn with_log_on_stderr(launch: Launch, more: &[&str]) -> (Server, PathBuf, Client) {
    let log = launch.scratch().join("log");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let redirect = format!("exec \"$0\" \"$@\" 2>'{}'", log.display());
    let launch = launch.through(&["sh", "-c", &redirect]).port(port).with(more);
    let (server, client) = start_and_connect(launch, port, &log);
    (server, log, client)
}

fn start_and_connect(launch: Launch, port: u16, log: &Path) -> (Server, Client) {
    let mut server = launch.start_silent();
    wait_until("listening", EVENT_TIMEOUT, || {
        assert!(server.is_running(), "{}", read(log));
        read(log).contains(&format!("127.0.0.1:{port}"))
    });
    (server, Client::connect(([127, 0, 0, 1], port).into()))
}

#[test]
fn sighup_opens_the_log_anew() {
    let (mut server, log, mut client) = with_log(Launch::new(), &[]);
    let old = log.with_extension("1");
    fs::rename(&log, &old).unwrap();
    server.signal(Signal::SIGHUP);
    wait_for(&log, "SIGHUP: the log is opened again");
    let before = read(&old);
    assert_eq!(client.set("q", b"x"), "STORED");
    server.terminate();
    wait_for(&log, "stopped: 1 messages wait in 1 queues");
    assert_eq!(read(&old), before, "nothing more goes there");
    assert!(before.contains("listening on "));
}

/// What was logged before is not lost by a start.
#[test]
fn a_log_is_appended_to() {
    let launch = Launch::new();
    fs::write(launch.scratch().join("log"), "before\n").unwrap();
    let (mut server, log, _client) = with_log(launch, &[]);
    server.terminate();
    assert!(read(&log).starts_with("before\n"), "{}", read(&log));
}

#[test]
fn a_log_that_cannot_be_opened_anew_goes_on_where_it_was() {
    let (mut server, log, mut client) = with_log(Launch::new(), &[]);
    let old = log.with_extension("1");
    fs::rename(&log, &old).unwrap();
    fs::create_dir(&log).unwrap();
    server.signal(Signal::SIGHUP);
    wait_for(&old, "cannot be opened again");
    assert_eq!(client.set("q", b"x"), "STORED");
    server.terminate();
    assert!(read(&old).contains("stopped: "), "{}", read(&old));
}

#[test]
fn a_log_file_that_cannot_be_is_refused() {
    let launch = Launch::new();
    let (nowhere, target, link) =
        (launch.scratch().join("none/log"), launch.scratch().join("target"), launch.scratch().join("link"));
    fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let refused = |path: &Path| launch.clone().with(&["--log-file", path.to_str().unwrap()]).refused();
    refused(&nowhere).assert_one_line(&["--log-file", nowhere.to_str().unwrap()]);
    refused(launch.scratch()).assert_one_line(&["--log-file", launch.scratch().to_str().unwrap()]);
    refused(&link).assert_one_line(&["--log-file", "symbolic link"]);
    assert_eq!(read(&target), "precious");
}

/// With -d and -u: opened as root, and then the user's own.
#[test]
fn a_daemon_that_becomes_nobody_opens_its_log_anew() {
    if !is_root("only root can start a server that becomes nobody") {
        return;
    }
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let launch = Launch::new();
    let name = launch.scratch().file_name().unwrap().to_str().unwrap().to_string();
    let public = std::env::temp_dir().join(format!("rushq-{name}"));
    fs::create_dir(&public).unwrap();
    fs::set_permissions(&public, fs::Permissions::from_mode(0o755)).unwrap();
    let (log, pid_file) = (public.join("log"), public.join("pid"));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let arguments = ["-d", "-u", "nobody", "-P", pid_file.to_str().unwrap(), "--log-file", log.to_str().unwrap()];
    let launch = launch.port(port).directory(public.join("data")).with(&arguments);
    let output = launch.command().output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid.as_raw();
    assert_eq!((fs::metadata(&log).unwrap().uid(), fs::metadata(&log).unwrap().mode() & 0o777), (nobody, 0o640));
    let pid = nix::unistd::Pid::from_raw(read(&pid_file).trim().parse().unwrap());
    // As logrotate does with `create`; and then without, where the user `nobody` may make no file.
    let old = public.join("log.1");
    fs::rename(&log, &old).unwrap();
    fs::write(&log, "").unwrap();
    std::os::unix::fs::chown(&log, Some(nobody), None).unwrap();
    nix::sys::signal::kill(pid, Signal::SIGHUP).unwrap();
    wait_for(&log, "the log is opened again");
    fs::rename(&log, &old).unwrap();
    nix::sys::signal::kill(pid, Signal::SIGHUP).unwrap();
    wait_for(&old, "cannot be opened again");
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    wait_for(&old, "stopped: 0 messages");
    wait_until("the end", EVENT_TIMEOUT, || !pid_file.exists());
    fs::remove_dir_all(&public).unwrap();
}

#[test]
fn the_log_says_what_starts_and_what_has_stopped() {
    let mut server = Launch::new().with(&["-m", "64"]).start();
    let directory = server.directory().to_str().unwrap().to_string();
    let line = server.said().iter().find(|line| line.contains("data directory")).unwrap().clone();
    for word in [env!("CARGO_PKG_VERSION"), &directory, "2 shards", "64 MB", "fdatasync"] {
        assert!(line.contains(word), "no {word:?} in: {line}");
    }
    let listening = server.said().iter().filter(|line| line.contains("listening on"));
    assert_eq!(listening.count(), 1);
    for number in 0..5 {
        assert_eq!(server.connect().set(&format!("q{}", number % 2), b"x"), "STORED");
    }
    server.signal(Signal::SIGTERM);
    server.wait_for_line("stopped: 5 messages wait in 2 queues");
    // A second signal would end it badly, if it is still there.
    server.wait_for_end(Signal::SIGTERM);

    let server = Launch::new().with(&["-N"]).start();
    assert!(server.said().iter().any(|line| line.contains("data directory") && line.contains("-N")));
}

fn verbosity_in_force(client: &mut Client) -> String {
    client.stats("settings").into_iter().find(|(name, _)| name == "verbose").unwrap().1
}

/// What other clients send and get is none of a client's business.
#[test]
fn a_client_cannot_have_bodies_logged() {
    let (mut server, log, mut client) = with_log_on_stderr(Launch::new(), &[]);
    assert_eq!(verbosity_in_force(&mut client), "0");
    for asked in ["2", "4294967295"] {
        assert_eq!(client.command(&format!("verbosity {asked}")), "OK");
        assert_eq!(verbosity_in_force(&mut client), "1");
    }
    assert_eq!(client.set("tickets", b"secret-body"), "STORED");
    assert_eq!(client.get("tickets").as_deref(), Some(&b"secret-body"[..]));
    // What -v has is there: the end of a connection by a reset, with who it was.
    let from = Client::connect(server_address(&log)).reset();
    wait_for(&log, &format!("{from}: the connection ended"));
    server.terminate();
    assert!(!read(&log).contains("tickets") && !read(&log).contains("secret-body"), "{}", read(&log));
}

fn server_address(log: &Path) -> std::net::SocketAddr {
    let said = read(log);
    let line = said.lines().find_map(|line| line.split_once("listening on ")).unwrap();
    line.1.parse().unwrap()
}

#[test]
fn the_operator_has_commands_logged_with_who_sent_them() {
    let launch = Launch::new();
    let socket = launch.scratch().join("s");
    let (mut server, log, mut client) = with_log_on_stderr(launch, &["-vv", "-s", socket.to_str().unwrap()]);
    let from = client.local_address();
    assert_eq!(client.set("tickets", b"seat 14"), "STORED");
    wait_for(&log, &format!("{from} < set tickets 0 0 7"));
    wait_for(&log, &format!("{from} > STORED\\r\\n"));
    let mut unix = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    std::io::Write::write_all(&mut unix, b"version\r\n").unwrap();
    wait_for(&log, &format!("process {} of user {} < version", std::process::id(), nix::unistd::geteuid()));
    assert_eq!(client.command("verbosity 0"), "OK");
    assert_eq!(verbosity_in_force(&mut client), "0");
    assert_eq!(client.command("verbosity 2"), "OK");
    assert_eq!(verbosity_in_force(&mut client), "2", "the command line allows it");
    server.terminate();
}
