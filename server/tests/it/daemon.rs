//! Running as a daemon, as another user, with a file that holds the process id.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};

use crate::client::Client;
use crate::process::{Launch, end, the_one_that_runs, wait_until};
use crate::root::is_root;

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A daemon, killed when the test is over.
struct Daemon {
    pid: u32,
    port: u16,
}

impl Daemon {
    /// Starts one with `-d`, `-P` and other arguments. The command must end well, and what it was to do be done.
    fn start(launch: &Launch, pid_file: &Path, arguments: &[&str]) -> Daemon {
        let port = free_port();
        let launch = launch.clone().port(port);
        let arguments = [&["-d", "-P", pid_file.to_str().unwrap()], arguments].concat();
        // A pipe that the daemon kept open would make this wait for ever.
        let output = launch.with(&arguments).command().stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let pid = fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
        Daemon { pid, port }
    }

    fn connect(&self) -> Client {
        Client::connect(([127, 0, 0, 1], self.port).into())
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.pid.to_string()).join(file)
    }

    /// A line of /proc/PID/status, in words.
    fn status(&self, name: &str) -> Vec<String> {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.split_whitespace().map(String::from).collect()
    }

    /// Its child.
    fn keeper(&self) -> u32 {
        let children = fs::read_to_string(self.proc(&format!("task/{}/children", self.pid))).unwrap();
        children.trim().parse().unwrap()
    }

    fn terminate(self) {
        kill(Pid::from_raw(self.pid.cast_signed()), Signal::SIGTERM).unwrap();
        wait_until("the daemon's end", EVENT_TIMEOUT, || !is_running(self.pid));
    }
}

fn is_running(pid: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/status")).ok();
    state.is_some_and(|status| !status.contains("State:\tZ"))
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.pid.cast_signed()), Signal::SIGKILL);
    }
}

#[test]
fn a_daemon_listens_when_its_command_returns() {
    let launch = Launch::new();
    let pid_file = launch.scratch().join("pid");
    let daemon = Daemon::start(&launch, &pid_file, &[]);
    let mut client = daemon.connect();
    assert_eq!(client.set("q", b"x"), "STORED");
    assert_eq!(client.figure("pid"), u64::from(daemon.pid));
    // Of no terminal and no shell: in a session of its own that it does not lead.
    let stat = fs::read_to_string(daemon.proc("stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let own_session = nix::unistd::getsid(None).unwrap().to_string();
    assert_ne!(fields[3], own_session, "the session");
    assert_ne!(fields[3], daemon.pid.to_string());
    assert_eq!(fs::read_link(daemon.proc("cwd")).unwrap(), Path::new("/"));
    for stream in ["fd/0", "fd/1", "fd/2"] {
        assert_eq!(fs::read_link(daemon.proc(stream)).unwrap(), Path::new("/dev/null"));
    }
    daemon.terminate();
    assert!(!pid_file.exists(), "removed at the end");
}

/// A daemon's log goes on in the file that standard error was.
#[test]
fn a_daemon_keeps_a_log_that_is_a_file() {
    let launch = Launch::new();
    let (pid_file, log) = (launch.scratch().join("pid"), launch.scratch().join("log"));
    let port = free_port().to_string();
    let arguments = ["-dP", pid_file.to_str().unwrap(), "-p", &port];
    let file = fs::File::create(&log).unwrap();
    let status = launch.clone().with(&arguments).command().stderr(file).status().unwrap();
    assert!(status.success());
    let pid = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    Daemon { pid, port: 0 }.terminate();
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.contains("listening on") && said.contains("signal 15"), "{said}");
}

#[test]
fn a_daemon_that_cannot_start_says_so_to_the_shell() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let launch = Launch::new();
    let pid_file = launch.scratch().join("pid");
    let arguments = ["-d", "-P", pid_file.to_str().unwrap()];
    launch.clone().port(port).with(&arguments).refused().assert_one_line(&[&port.to_string(), "-p"]);
    assert!(!pid_file.exists());
    let first = Launch::new().start();
    let second = Launch::new().directory(first.directory().to_path_buf()).with(&arguments);
    second.refused().assert_one_line(&["in use", "-H"]);
    assert!(!pid_file.exists());
}

#[test]
fn the_pid_file_must_be_writable() {
    let launch = Launch::new();
    let nowhere = launch.scratch().join("no-such-directory").join("pid");
    launch.with(&["-P", nowhere.to_str().unwrap()]).refused().assert_one_line(&["-P", nowhere.to_str().unwrap()]);
}

fn pid_argument(pid_file: &Path) -> [&str; 2] {
    ["-P", pid_file.to_str().unwrap()]
}

/// Two configurations that name one file: stopping the second by it would end the first.
#[test]
fn the_pid_file_of_a_server_that_runs_is_not_overwritten() {
    let launch = Launch::new();
    let pid_file = launch.scratch().join("pid");
    let mut first = launch.with(&pid_argument(&pid_file)).start();
    let second = Launch::new().with(&[&["-d"], &pid_argument(&pid_file)[..]].concat());
    second.refused().assert_one_line(&["-P", pid_file.to_str().unwrap(), &first.pid().to_string()]);
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), format!("{}\n", first.pid()));
    // What a kill leaves is replaced, as a memcacheQ's is.
    first.kill_9();
    assert!(pid_file.exists());
    first.start();
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), format!("{}\n", first.pid()));
    first.terminate();
    assert!(!pid_file.exists());
}

/// Of all that start at once, one runs.
#[test]
fn starts_that_race_for_one_pid_file() {
    let scratch = Launch::new();
    let pid_file = scratch.scratch().join("pid");
    for before in [None, Some("1\n")] {
        if let Some(stale) = before {
            fs::write(&pid_file, stale).unwrap();
        }
        let launches = || Launch::new().shards(1).with(&pid_argument(&pid_file));
        let (server, said) = the_one_that_runs((0..6).map(|_| launches()).collect());
        assert_eq!(fs::read_to_string(&pid_file).unwrap(), format!("{}\n", server.id()));
        assert!(said.iter().all(|line| line.contains("-P")), "{said:#?}");
        end(server);
        assert!(!pid_file.exists());
    }
}

#[test]
fn a_pid_file_takes_the_place_of_no_other_file() {
    let mut server = Launch::new().start();
    assert_eq!(server.connect().set("q", b"x"), "STORED");
    server.terminate();
    let data = server.directory().to_path_buf();
    let own = ["layout", "lock", "data-1/pid", "layout.new", "damaged-1/pid"];
    for path in own.map(|name| data.join(name)) {
        let (before, refusal) = (fs::read(&path).ok(), server.launch().clone().with(&pid_argument(&path)).refused());
        refusal.assert_one_line(&["-P", path.to_str().unwrap(), "own"]);
        assert_eq!(fs::read(&path).ok(), before);
    }
    let other = server.launch().scratch().join("other");
    let link = server.launch().scratch().join("link");
    fs::write(&other, "precious").unwrap();
    std::os::unix::fs::symlink(&other, &link).unwrap();
    let with = |path: &Path| server.launch().clone().with(&pid_argument(path));
    with(&other).refused().assert_one_line(&["-P", "no process id"]);
    with(&link).refused().assert_one_line(&["-P", "symbolic link"]);
    with(&data).refused().assert_one_line(&["-P", "no file"]);
    assert_eq!(fs::read(&other).unwrap(), b"precious");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    server.start();
    assert_eq!(server.connect().get("q").as_deref(), Some(&b"x"[..]));
}

/// Another server that has written it since keeps it.
#[test]
fn the_pid_file_is_removed_by_its_owner_only() {
    let launch = Launch::new();
    let pid_file = launch.scratch().join("pid");
    let mut server = launch.with(&["-P", pid_file.to_str().unwrap()]).start();
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), format!("{}\n", server.pid()));
    fs::write(&pid_file, "1\n").unwrap();
    server.terminate();
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), "1\n");
}

#[test]
fn core_files_have_no_limit() {
    let limit = |arguments: &[&str]| {
        let launch = Launch::new().through(&["prlimit", "--core=0:unlimited"]);
        let server = launch.with(arguments).start();
        let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap().to_string();
        line.split_whitespace().next().unwrap().to_string()
    };
    assert_eq!(limit(&["-r"]), "unlimited");
    assert_eq!(limit(&[]), "0");
}

fn owner(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().uid()
}

fn assert_all_owned(path: &Path, uid: u32) {
    assert_eq!(owner(path), uid, "{}", path.display());
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        assert_all_owned(&entry.path(), uid);
    }
}

/// The data is where another user may go, which is not so below a home of root's.
fn launch_for_others() -> (Launch, PathBuf) {
    let launch = Launch::new();
    let name = launch.scratch().file_name().unwrap().to_str().unwrap().to_string();
    let public = std::env::temp_dir().join(format!("rushq-{name}"));
    fs::create_dir(&public).unwrap();
    fs::set_permissions(&public, fs::Permissions::from_mode(0o755)).unwrap();
    (launch.directory(public.join("data")), public)
}

/// memcacheQ's start-up line, with paths and a port of the test's own. Only root can become another user.
#[test]
fn the_start_up_line_of_a_memcacheq() {
    if !is_root("only root can start a server that becomes nobody") {
        return;
    }
    let nobody = User::from_name("nobody").unwrap().unwrap().uid;
    let (launch, public) = launch_for_others();
    // What a start without -u has left there is root's, and a link leads out of it.
    let mut as_root = launch.clone().start();
    assert_eq!(as_root.connect().set("q", b"from before"), "STORED");
    as_root.terminate();
    let outside = public.join("outside");
    fs::write(&outside, "root's").unwrap();
    std::os::unix::fs::symlink(&outside, public.join("data/link")).unwrap();

    let pid_file = public.join("rushq.pid");
    let arguments = ["-r", "-N", "-R", "-v", "-L", "1024", "-B", "1024", "-u", "nobody", "-c", "1024"];
    let daemon = Daemon::start(&launch, &pid_file, &arguments);
    let id = nobody.to_string();
    assert_eq!(daemon.status("Uid"), [id.as_str(); 4]);
    assert_eq!(daemon.status("Gid"), [User::from_name("nobody").unwrap().unwrap().gid.to_string().as_str(); 4]);
    let mut client = daemon.connect();
    assert_eq!(client.get("q").as_deref(), Some(&b"from before"[..]));
    for number in 0..100 {
        assert_eq!(client.set(&format!("q{number}"), b"x"), "STORED");
    }
    assert!(client.set("q", &[b'x'; 1025]).starts_with("SERVER_ERROR object too large"));
    assert_all_owned(&public.join("data/data-1/shard-000"), nobody.as_raw());
    assert_eq!(owner(&public.join("data")), nobody.as_raw());
    assert_eq!(owner(&outside), 0, "no link is followed");
    // The directory of the file is root's, so the daemon itself may not remove it.
    assert_eq!(owner(&public), 0);
    daemon.terminate();
    wait_until("the file's removal", EVENT_TIMEOUT, || !pid_file.exists());
    fs::remove_dir_all(&public).unwrap();
}

#[test]
fn the_pid_file_goes_even_when_the_daemon_is_killed() {
    if !is_root("only root can start a server that becomes nobody") {
        return;
    }
    let (launch, public) = launch_for_others();
    let socket = public.join("socket");
    let pid_file = public.join("rushq.pid");
    let arguments = ["-u", "nobody", "-s", socket.to_str().unwrap()];
    let daemon = Daemon::start(&launch, &pid_file, &arguments);
    assert_eq!(owner(&socket), User::from_name("nobody").unwrap().unwrap().uid.as_raw());
    kill(Pid::from_raw(daemon.pid.cast_signed()), Signal::SIGKILL).unwrap();
    wait_until("the file's removal", EVENT_TIMEOUT, || !pid_file.exists());
    fs::remove_dir_all(&public).unwrap();
}

/// The keeper looks at what it removes: not by way of a link, and only what is the server's own.
#[test]
fn the_keeper_removes_the_own_files_only() {
    if !is_root("only root can start a server that becomes nobody") {
        return;
    }
    let (launch, public) = launch_for_others();
    let (pid_file, target) = (public.join("rushq.pid"), public.join("target"));
    let daemon = Daemon::start(&launch, &pid_file, &["-u", "nobody"]);
    let held = fs::read(&pid_file).unwrap();
    fs::remove_file(&pid_file).unwrap();
    fs::write(&target, &held).unwrap();
    std::os::unix::fs::symlink(&target, &pid_file).unwrap();
    let keeper = daemon.keeper();
    daemon.terminate();
    wait_until("the keeper's end", EVENT_TIMEOUT, || !is_running(keeper));
    assert!(fs::symlink_metadata(&pid_file).unwrap().is_symlink());
    assert_eq!(fs::read(&target).unwrap(), held);
    fs::remove_dir_all(&public).unwrap();
}

/// Root's directory: the user `nobody` cannot remove anything there.
#[test]
fn the_unix_socket_goes_with_a_server_that_has_become_another_user() {
    if !is_root("only root can start a server that becomes nobody") {
        return;
    }
    let (launch, public) = launch_for_others();
    let (socket, pid_file) = (public.join("socket"), public.join("rushq.pid"));
    let arguments = ["-u", "nobody", "-s", socket.to_str().unwrap()];
    let left = || {
        let names = fs::read_dir(&public).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "data").collect::<Vec<String>>()
    };
    let daemon = Daemon::start(&launch, &pid_file, &arguments);
    assert_eq!(left().len(), 3, "{:?}", left());
    // It decides itself when it ends, whatever the group is signalled.
    let keeper = Pid::from_raw(daemon.keeper().cast_signed());
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1] {
        kill(keeper, signal).unwrap();
    }
    daemon.terminate();
    wait_until("the removal of all", EVENT_TIMEOUT, || left().is_empty());
    let daemon = Daemon::start(&launch, &pid_file, &arguments);
    kill(Pid::from_raw(daemon.pid.cast_signed()), Signal::SIGKILL).unwrap();
    wait_until("the removal of all", EVENT_TIMEOUT, || left().is_empty());
    fs::remove_dir_all(&public).unwrap();
}

/// Whether another process of the user `nobody` can look into a server's memory.
fn is_open_to_nobody(pid: u32) -> bool {
    let read = |file: &str| {
        let nobody = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"];
        let read = Command::new("setpriv").args(nobody).args(["cat", &format!("/proc/{pid}/{file}")]).output().unwrap();
        read.status.success() && !read.stdout.is_empty()
    };
    // maps is what ptrace's rules let a debugger read; environ lies in the memory itself.
    let seen = [read("maps"), read("environ")];
    assert_eq!(seen[0], seen[1]);
    seen[0]
}

#[test]
fn the_memory_of_a_server_with_u_is_closed_to_its_user_but_with_r() {
    if !is_root("only root can start a server that becomes nobody") {
        return;
    }
    let (launch, public) = launch_for_others();
    let pid_file = public.join("rushq.pid");
    for (more, expected) in [(&[][..], false), (&["-r"][..], true)] {
        let daemon = Daemon::start(&launch, &pid_file, &[&["-u", "nobody"], more].concat());
        assert_eq!(is_open_to_nobody(daemon.pid), expected, "with {more:?}");
        daemon.terminate();
        wait_until("the file's removal", EVENT_TIMEOUT, || !pid_file.exists());
    }
    fs::remove_dir_all(&public).unwrap();
}

#[test]
fn a_user_that_does_not_exist() {
    Launch::new().with(&["-u", "no-such-user-here"]).refused().assert_one_line(&["-u", "no-such-user-here"]);
}
