//! Options, each by what it does that can be seen from outside. Others are where what they do is tested: `-c` and `-B`
//! in `bad_input`, `-F` in `commands`, `-m` in `limits`, `-N` in `crash`, `-s`, `-a` and `-U` in `sockets`, `-d`, `-u`,
//! `-P` and `-r` in `daemon`, `--idle-timeout` in `hostile`, `--check` and `--repair` in `damage`, `--commit` in
//! `strace`, `--no-zend-greeting` in `zend`, `--import` in `import`, `-p` and `-H` in `start_up`.

use std::collections::HashSet;
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use crate::client::{Client, write_set};
use crate::process::{Launch, binary, wait_until};

const EVENT_TIMEOUT: Duration = Duration::from_secs(20);

fn output(arguments: &[&str]) -> String {
    let output = Command::new(binary()).args(arguments).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A figure of `stats cores`, over all shards.
fn of_all_cores(client: &mut Client, name: &str) -> u64 {
    let figures = client.stats("cores").into_iter().filter(|(of, _)| of.split_once(':').unwrap().1 == name);
    figures.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}

#[test]
fn the_readme_has_the_help_as_it_is() {
    let readme = include_str!("../../README.md");
    let help = output(&["--help"]);
    assert!(readme.contains(help.trim_end()), "server/README.md has other options than these:\n{help}");
    assert_eq!(output(&["-h"]), help);
}

#[test]
fn i_prints_the_license_and_v_the_version() {
    assert_eq!(output(&["-i"]), include_str!("../../../LICENSE"));
    assert_eq!(output(&["-V"]), format!("rushq {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn l_is_the_address() {
    let server = Launch::new().with(&["-l", "127.0.0.2"]).start();
    assert_eq!(server.address().ip().to_string(), "127.0.0.2");
    assert_eq!(server.connect().command("verbosity 0"), "OK");
    TcpStream::connect(("127.0.0.1", server.address().port())).unwrap_err();
    let server = Launch::new().with(&["-l", "localhost"]).start();
    assert_eq!(server.connect().command("verbosity 0"), "OK");
}

#[test]
fn t_is_the_number_of_shards() {
    for shards in [1, 3] {
        let server = Launch::new().shards(shards).start();
        let mut client = server.connect();
        assert_eq!(client.figure("threads"), u64::from(shards));
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap().flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        // A shard's blocking threads are named like the shard.
        let names: HashSet<String> = names.filter(|name| name.starts_with("rushq-shard")).collect();
        assert_eq!(names.len(), shards as usize, "{names:?}");
    }
}

/// The commits that 200 sets of 1 KB take which arrive at once.
fn commits_of_a_burst(arguments: &[&str]) -> u64 {
    let server = Launch::new().shards(1).with(arguments).start();
    let mut client = server.connect();
    let before = client.figure("commits");
    let mut burst = Vec::new();
    for _ in 0..200 {
        write_set(&mut burst, "q", &[b'x'; 1000]);
    }
    client.send(burst);
    for _ in 0..200 {
        client.expect("STORED\r\n");
    }
    client.figure("commits") - before
}

#[test]
fn capital_l_is_the_largest_commit() {
    assert!(commits_of_a_burst(&["-L", "2"]) >= 100);
    assert!(commits_of_a_burst(&[]) < 50);
}

#[test]
fn capital_c_is_the_time_between_checkpoints() {
    let server = Launch::new().with(&["-C", "1"]).start();
    let mut client = server.connect();
    let before = of_all_cores(&mut client, "checkpoints");
    assert_eq!(client.set("q", b"x"), "STORED");
    wait_until("a checkpoint", EVENT_TIMEOUT, || of_all_cores(&mut client, "checkpoints") > before);
}

#[test]
fn capital_s_is_the_time_between_statistics_in_the_log() {
    let mut server = Launch::new().with(&["-S", "1"]).start();
    let mut client = server.connect();
    assert_eq!(client.set("q", b"x"), "STORED");
    assert!(server.wait_for_line("1 messages waiting").contains("1 connections, 1 queues"));
}

/// What memcacheQ does with -R only.
#[test]
fn log_files_that_are_not_needed_go_away() {
    let server = Launch::new().shards(1).with(&["-R"]).start();
    let mut client = server.connect();
    let segments = || std::fs::read_dir(server.directory().join("data-1/shard-000/log")).unwrap().count();
    for _ in 0..40 {
        assert_eq!(client.set("q", &[b'x'; 1 << 20]), "STORED");
    }
    assert!(segments() >= 14, "40 MB in segments of 3 MB");
    for _ in 0..40 {
        assert_eq!(client.get("q").unwrap().len(), 1 << 20);
    }
    wait_until("segments to go", EVENT_TIMEOUT, || segments() <= 6);
    assert!(client.stats("settings").contains(&(String::from("remove_logs"), String::from("on"))));
}

#[test]
fn v_logs_more_and_vv_each_command_and_reply() {
    let quiet = Launch::new().start();
    assert!(quiet.said().iter().all(|line| !line.contains("DEBUG")), "{:?}", quiet.said());
    let verbose = Launch::new().with(&["-v"]).start();
    assert!(verbose.said().iter().any(|line| line.contains("DEBUG")), "{:?}", verbose.said());
    let mut chatty = Launch::new().with(&["-vv"]).start();
    assert_eq!(chatty.connect().set("tickets", b"seat 14"), "STORED");
    chatty.wait_for_line("< set tickets 0 0 7");
    chatty.wait_for_line("> STORED\\r\\n");
}

#[test]
fn rust_log_decides_what_is_logged() {
    let server = Launch::new().environment("RUST_LOG", "rushq=debug,storage=warn").with(&["-vv"]).start();
    assert!(server.said().iter().all(|line| !line.contains("index")), "{:?}", server.said());
}

#[test]
fn what_was_berkeley_dbs_is_taken_and_warned_of_once() {
    let arguments = ["-A", "4096", "-T", "30", "-e", "60", "-D", "100", "-E", "16384"];
    let server = Launch::new().with(&arguments).start();
    for letter in ["-A ", "-T ", "-e ", "-D ", "-E "] {
        let warnings = server.said().iter().filter(|line| line.contains("WARN") && line.contains(letter));
        assert_eq!(warnings.count(), 1, "{letter}: {:?}", server.said());
    }
}

/// The start-up line is taken over, directory and all.
#[test]
fn the_directory_of_a_memcacheq_is_shared_and_said_not_to_be_read() {
    let launch = Launch::new();
    let directory = launch.scratch().join("memcacheq");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("__db.001"), "Berkeley DB's").unwrap();
    let server = launch.directory(directory.clone()).start();
    assert!(server.said().iter().any(|line| line.contains("Berkeley DB") && line.contains("--import")));
    assert_eq!(server.connect().set("q", b"x"), "STORED");
    assert_eq!(std::fs::read(directory.join("__db.001")).unwrap(), b"Berkeley DB's");
}

#[test]
fn segments_have_the_size_that_is_asked_for() {
    let server = Launch::new().segment_bytes(5 << 20).start();
    let segment = server.directory().join("data-1/shard-000/log/0000000001.log");
    assert_eq!(std::fs::metadata(segment).unwrap().len(), 5 << 20);
}

#[test]
fn options_are_written_as_getopt_takes_them() {
    let server = Launch::new().with(&["-RNvt1", "-c77", "--memory=32"]).start();
    let settings = server.connect().stats("settings");
    for (name, value) in
        [("no_sync", "on"), ("threads", "1"), ("connections", "77"), ("memory", "32"), ("verbose", "1")]
    {
        assert!(settings.contains(&(String::from(name), String::from(value))), "{name}: {settings:?}");
    }
}

/// As systemd sees it with Type=notify.
#[test]
fn the_service_manager_is_told() {
    let launch = Launch::new();
    let path = launch.scratch().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(EVENT_TIMEOUT)).unwrap();
    let mut server = launch.environment("NOTIFY_SOCKET", path.to_str().unwrap()).start();
    let next = || {
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_string()
    };
    assert_eq!(next(), "READY=1");
    assert_eq!(server.connect().command("verbosity 0"), "OK");
    server.terminate();
    assert_eq!(next(), "STOPPING=1");
}

#[test]
fn the_log_says_what_was_recovered() {
    let mut server = Launch::new().shards(1).start();
    assert_eq!(server.connect().set("q", b"x"), "STORED");
    server.kill_9();
    server.start();
    let said = server.said().iter().any(|line| line.contains("1 messages in 1 queues, from log"));
    assert!(said, "{:?}", server.said());
}
