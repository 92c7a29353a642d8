//! What an operator meets: refusals of one line that say what to do, a clean stop, and the help.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::process::{Launch, binary};
use crate::root::is_root;

#[test]
fn a_port_that_another_program_has() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    Launch::new().port(port).refused().assert_one_line(&[&port.to_string(), "-p"]);
}

/// The kernel would let both listen, and spread the clients over two servers with different data.
#[test]
fn a_port_that_another_rushq_has() {
    let first = Launch::new().start();
    let port = first.address().port();
    Launch::new().port(port).refused().assert_one_line(&[&port.to_string(), "-p"]);
    assert_eq!(first.connect().set("q", b"still here"), "STORED");
}

/// As a service manager does: its port is still in the kernel's hands for a moment.
#[test]
fn a_restart_right_after_a_kill_on_the_same_port() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Launch::new().port(port).start();
    for number in 0..5 {
        assert_eq!(server.connect().set("q", format!("{number}").as_bytes()), "STORED");
        server.kill_9();
        server.start();
    }
    for number in 0..5 {
        assert_eq!(server.connect().get("q"), Some(format!("{number}").into_bytes()));
    }
}

#[test]
fn a_directory_that_another_rushq_has() {
    let first = Launch::new().start();
    assert_eq!(first.connect().set("q", b"one"), "STORED");
    let refusal = first.launch().clone().port(0).refused();
    refusal.assert_one_line(&[first.directory().to_str().unwrap(), "-H"]);
    let mut client = first.connect();
    assert_eq!(client.set("q", b"two"), "STORED");
    assert_eq!(client.get("q").as_deref(), Some(&b"one"[..]));
    assert_eq!(client.get("q").as_deref(), Some(&b"two"[..]));
}

/// Root may write anywhere, but not below a file.
#[test]
fn a_directory_that_cannot_be_made() {
    let launch = Launch::new();
    let file = launch.scratch().join("a-file");
    fs::write(&file, "in the way").unwrap();
    let directory = file.join("data");
    // The clone keeps the file until the end.
    launch.clone().directory(directory.clone()).refused().assert_one_line(&[directory.to_str().unwrap(), "-H"]);
    assert_eq!(fs::read(&file).unwrap(), b"in the way");
}

/// Without the right to raise the limit itself, as a service has it. Root has it, so it is taken away.
#[test]
fn too_little_memory_may_be_locked() {
    let without_right = ["setpriv", "--bounding-set=-sys_resource"];
    let mut through = vec!["prlimit", "--memlock=65536:65536"];
    if nix::unistd::geteuid().is_root() {
        through.extend(without_right);
    }
    Launch::new().through(&through).refused().assert_one_line(&["memlock", "LimitMEMLOCK"]);
}

/// Refuses io_uring_setup, whose number is the same on all machines, as the seccomp profiles of containers do; then runs
/// the rest of its command line.
const WITHOUT_IO_URING: &str = r#"
import ctypes, os, struct, sys
refuse = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (6, 0, 0, 0x00050001), (6, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in refuse))
class Program(ctypes.Structure):
    _fields_ = [("lines", ctypes.c_ushort), ("code", ctypes.c_void_p)]
program = Program(len(refuse), ctypes.cast(code, ctypes.c_void_p))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
"#;

#[test]
fn io_uring_is_refused() {
    let launch = Launch::new().through(&["python3", "-c", WITHOUT_IO_URING]);
    launch.refused().assert_one_line(&["io_uring", "seccomp"]);
}

/// As in a bare chroot. Root may unmount it in a namespace of its own.
#[test]
fn no_sysfs() {
    if !is_root("only root can take /sys away") {
        return;
    }
    let without = "mount -t tmpfs tmpfs /sys && exec \"$0\" \"$@\"";
    Launch::new().through(&["unshare", "--mount", "sh", "-c", without]).refused().assert_one_line(&["/sys", "mount"]);
}

/// Who may write to the data directory must not have the server write elsewhere.
#[test]
fn no_link_is_followed_in_the_data_directory() {
    let mut server = Launch::new().start();
    assert_eq!(server.connect().set("q", b"x"), "STORED");
    server.terminate();
    let data = server.directory().to_path_buf();
    let elsewhere = data.with_file_name("elsewhere");
    for inside in ["layout", "lock", "data-1", "data-1/shard-001", "data-1/shard-000/log", "data-1/shard-000/index"] {
        let path = data.join(inside);
        fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        server.launch().clone().refused().assert_one_line(&[data.to_str().unwrap()]);
        fs::remove_file(&path).unwrap();
        fs::rename(&elsewhere, &path).unwrap();
    }
    server.start();
    assert_eq!(server.connect().get("q").as_deref(), Some(&b"x"[..]));
}

#[test]
fn what_is_stored_can_be_read_by_no_other_user() {
    let server = Launch::new().start();
    assert_eq!(server.connect().set("q", b"x"), "STORED");
    let mode = |path: &str| fs::metadata(server.directory().join(path)).unwrap().permissions().mode() & 0o777;
    for directory in ["", "data-1", "data-1/shard-000", "data-1/shard-000/log"] {
        assert_eq!(mode(directory), 0o700, "{directory}");
    }
    assert_eq!(mode("data-1/shard-000/log/0000000001.log"), 0o600);
}

fn keeps_everything_over_a_clean_stop(arguments: &[&str]) {
    let mut server = Launch::new().with(arguments).start();
    let mut client = server.connect();
    for number in 0..500 {
        assert_eq!(client.set(&format!("q{}", number % 20), format!("{number}").as_bytes()), "STORED");
    }
    for number in 0..100 {
        assert_eq!(client.get(&format!("q{}", number % 20)), Some(format!("{number}").into_bytes()));
    }
    server.terminate();
    server.start();
    let mut client = server.connect();
    let mut counters = client.queue_counters();
    counters.sort();
    let mut expected: Vec<_> = (0..20).map(|queue| (format!("q{queue}"), 25, 5)).collect();
    expected.sort();
    assert_eq!(counters, expected);
    for number in 100..500 {
        assert_eq!(client.get(&format!("q{}", number % 20)), Some(format!("{number}").into_bytes()));
    }
    assert_eq!(client.get("q0"), None);
}

#[test]
fn sigterm_keeps_everything() {
    keeps_everything_over_a_clean_stop(&[]);
}

#[test]
fn sigterm_keeps_everything_without_waiting_for_the_disk() {
    keeps_everything_over_a_clean_stop(&["-N"]);
}

/// A server that no client talked to, and one whose clients are still there.
#[test]
fn sigterm_is_prompt() {
    Launch::new().start().terminate();
    let mut server = Launch::new().start();
    let mut idle = server.connect();
    assert_eq!(idle.command("verbosity 0"), "OK");
    server.terminate();
    idle.expect_close();
}

#[test]
fn help_names_every_option() {
    let output = Command::new(binary()).arg("-h").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let help = String::from_utf8(output.stdout).unwrap();
    for option in ["-p", "-l", "-t", "-H", "-m", "-B", "-N", "-c", "-v", "-F"] {
        assert!(help.contains(option), "no {option} in:\n{help}");
    }
}

#[test]
fn an_unknown_option_is_refused() {
    let output = Command::new(binary()).arg("--no-such-option").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--no-such-option"), "{output:?}");
}

/// What a stop has closed stays in the kernel's hands for a minute.
#[test]
fn a_restart_on_the_same_port_right_after_a_stop_that_closed_connections() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Launch::new().port(port).start();
    let mut client = server.connect();
    assert_eq!(client.set("q", b"m"), "STORED");
    server.terminate();
    client.expect_close();
    drop(client);
    server.start();
    assert_eq!(server.connect().get("q").as_deref(), Some(&b"m"[..]));
}
