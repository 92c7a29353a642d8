//! The data directory itself: how it comes to be, who has it, who may read it, and what older builds left.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::unistd::User;

use crate::process::{Launch, Server, binary};
use crate::root::is_root;

/// Small segments, so that few system calls make a log.
fn small() -> Launch {
    Launch::new().segment_bytes(16 << 10).with(&["-B", "1024"])
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn layout(server: &Server) -> String {
    fs::read_to_string(server.directory().join("layout")).unwrap()
}

fn put(server: &Server, from: usize, to: usize) {
    let mut client = server.connect();
    for number in from..to {
        assert_eq!(client.set(&format!("q{}", number % 7), format!("{number}").as_bytes()), "STORED");
    }
}

/// Takes all that `put` has put.
fn take(server: &Server, from: usize, to: usize) {
    let mut client = server.connect();
    for number in from..to {
        assert_eq!(client.get(&format!("q{}", number % 7)), Some(format!("{number}").into_bytes()));
    }
}

/// Runs a start that strace kills at the `number`th call of one of these on some thread. `false`: it listened before.
fn is_killed_at(server: &Server, calls: &str, number: usize) -> bool {
    let inject = format!("inject={calls}:signal=SIGKILL:when={number}");
    let trace = format!("trace={calls}");
    let through = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let launch = server.launch().clone().through(&through);
    let mut child = launch.spawn();
    let mut lines =
        std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap())).map_while(Result::ok);
    let listened = lines.any(|line| line.contains("listening on"));
    if listened {
        // strace ends with the server that it runs.
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
        for id in children.split_whitespace() {
            let id = nix::unistd::Pid::from_raw(id.parse().unwrap());
            nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL).unwrap();
        }
    }
    child.wait().unwrap();
    !listened
}

/// Every call that changes a directory or makes something durable is the last one once.
#[test]
fn a_first_start_that_is_cut_anywhere_is_completed_by_the_next() {
    for calls in ["?mkdir,mkdirat", "?rename,?renameat,renameat2", "fsync", "fdatasync", "openat"] {
        let mut cuts = 0;
        // Most files are opened by the loader and the libraries, before the data directory is there.
        let step = if calls == "openat" { 7 } else { 1 };
        for number in (1..).step_by(step) {
            let mut server = small().later();
            if !is_killed_at(&server, calls, number) {
                break;
            }
            cuts += 1;
            assert!(cuts < 200, "it never listens");
            server.start();
            put(&server, 0, 20);
            server.kill_9();
            server.start();
            take(&server, 0, 20);
            let layout = layout(&server);
            assert!(layout.starts_with("rushq 5\nshards 2\ngeneration 1\nlog ") && !layout.contains("new"), "{layout}");
        }
        assert!(cuts >= 1, "{cuts} cuts at {calls}");
    }
}

/// The same for a move to another number of shards.
#[test]
fn a_move_that_is_cut_anywhere_is_completed_by_the_next_start() {
    let mut server = small().start();
    put(&server, 0, 50);
    server.terminate();
    for calls in ["?rename,?renameat,renameat2", "fsync", "unlinkat"] {
        let mut cuts = 0;
        for number in 1.. {
            server.set_shards(if layout(&server).contains("shards 2") { 3 } else { 2 });
            assert!(number < 200, "it never listens");
            if !is_killed_at(&server, calls, number) {
                break;
            }
            cuts += 1;
            let checked = check(server.launch());
            assert!(checked.status.success(), "{checked:?}");
            assert!(String::from_utf8_lossy(&checked.stdout).contains("50 stored"), "{checked:?}");
        }
        assert!(cuts >= 2, "{cuts} cuts at {calls}");
    }
    server.start();
    assert_eq!(names(server.directory()).len(), 3, "the lock, the layout and one generation");
    take(&server, 0, 50);
}

/// The same for a repair, here of a directory without its layout, and for another number of shards.
#[test]
fn a_repair_that_is_cut_anywhere_is_completed_by_the_next() {
    let mut server = small().start();
    put(&server, 0, 50);
    server.terminate();
    let whole = server.directory().with_file_name("whole");
    fs::rename(server.directory(), &whole).unwrap();
    fs::remove_file(whole.join("layout")).unwrap();
    server.set_shards(3);
    server.set_arguments(&["-B", "1024", "--repair"]);
    for calls in ["?rename,?renameat,renameat2", "?mkdir,mkdirat"] {
        let mut cuts = 0;
        for number in 1.. {
            assert!(Command::new("cp").arg("-a").arg(&whole).arg(server.directory()).status().unwrap().success());
            let is_killed = is_killed_at(&server, calls, number);
            cuts += 1;
            server.start();
            take(&server, 0, 50);
            server.kill_9();
            fs::remove_dir_all(server.directory()).unwrap();
            if !is_killed {
                break;
            }
        }
        assert!(cuts >= 2, "{cuts} cuts at {calls}");
    }
    fs::rename(&whole, server.directory()).unwrap();
    server.set_arguments(&["-B", "1024"]);
    server.launch().clone().refused().assert_one_line(&["layout is missing", "data-1", "--repair"]);
}

/// A data directory of version 1 says nothing of its logs.
fn make_older(server: &Server) {
    let text = layout(server);
    let before: Vec<&str> = text.lines().skip(1).take(2).collect();
    fs::write(server.directory().join("layout"), format!("rushq 1\n{}\n", before.join("\n"))).unwrap();
}

#[test]
fn a_data_directory_of_the_build_before_is_taken_over() {
    let mut server = small().start();
    put(&server, 0, 30);
    server.kill_9();
    let made = layout(&server);
    make_older(&server);
    assert!(check(server.launch()).status.success());
    server.start();
    assert_eq!(layout(&server), made);
    server.kill_9();
    make_older(&server);
    server.set_shards(3);
    server.start();
    assert!(layout(&server).starts_with("rushq 5\nshards 3\ngeneration 2\n"), "{}", layout(&server));
    take(&server, 0, 30);
}

/// Of such a directory, a log that is missing is missed too; one whose making was cut is completed.
#[test]
fn a_log_is_missing_from_a_data_directory_of_the_build_before() {
    let mut server = small().start();
    put(&server, 0, 30);
    server.kill_9();
    make_older(&server);
    let (log, aside) = (server.directory().join("data-1/shard-001/log"), server.directory().with_file_name("aside"));
    fs::rename(&log, &aside).unwrap();
    server.launch().clone().refused().assert_one_line(&["shard-001/log", "--repair"]);
    fs::rename(&aside, &log).unwrap();
    server.start();
    take(&server, 0, 30);

    let mut unfinished = small().start();
    unfinished.kill_9();
    make_older(&unfinished);
    let log = unfinished.directory().join("data-1/shard-001/log");
    names(&log).iter().for_each(|name| fs::remove_file(log.join(name)).unwrap());
    fs::write(log.join("0000000001.log"), [0; 5000]).unwrap();
    unfinished.start();
    put(&unfinished, 0, 30);
    take(&unfinished, 0, 30);
}

/// As after an earlier build took a directory without a layout for new.
#[test]
fn a_generation_that_the_layout_does_not_name_stays() {
    let mut server = small().start();
    put(&server, 0, 10);
    server.terminate();
    let other = server.directory().join("data-2");
    assert!(
        Command::new("cp").arg("-a").arg(server.directory().join("data-1")).arg(&other).status().unwrap().success()
    );
    let inside = names(&other.join("shard-000/log"));
    for shards in [2, 3, 2] {
        server.set_shards(shards);
        server.start();
        assert!(server.said().iter().any(|line| line.contains("data-2 stays")), "{:?}", server.said());
        server.terminate();
    }
    assert_eq!(names(&other.join("shard-000/log")), inside);
    server.start();
    take(&server, 0, 10);
}

/// The logs of two shards changed places: neither is where its queues are looked for.
#[test]
fn logs_that_changed_places_are_refused_and_repaired() {
    let mut server = small().start();
    put(&server, 0, 30);
    server.terminate();
    let shard = |number: u32| server.directory().join(format!("data-1/shard-00{number}"));
    let swap = || {
        fs::rename(shard(0), shard(9)).unwrap();
        fs::rename(shard(1), shard(0)).unwrap();
        fs::rename(shard(9), shard(1)).unwrap();
    };
    swap();
    server.launch().clone().refused().assert_one_line(&["shard-000/log", "shard-001/log", "another log", "--repair"]);
    server.set_arguments(&["-B", "1024", "--repair"]);
    server.start();
    take(&server, 0, 30);
}

/// A log from elsewhere in the place of one is neither taken for it nor removed.
#[test]
fn a_log_from_elsewhere_is_refused_and_stays() {
    let mut server = small().start();
    put(&server, 0, 30);
    server.terminate();
    let mut other = small().start();
    put(&other, 0, 30);
    other.terminate();
    let (log, aside) = (server.directory().join("data-1/shard-001/log"), server.directory().with_file_name("aside"));
    fs::rename(&log, &aside).unwrap();
    fs::rename(other.directory().join("data-1/shard-001/log"), &log).unwrap();
    server.launch().clone().refused().assert_one_line(&["shard-001/log", "another log"]);
    let repair = server.launch().clone().with(&["-B", "1024", "--repair"]);
    repair.refused().assert_one_line(&["shard-001/log", "not made in this data directory", "elsewhere"]);
    assert_eq!(names(&log), names(&aside));
    fs::rename(&log, other.directory().join("data-1/shard-001/log")).unwrap();
    fs::rename(&aside, &log).unwrap();
    for server in [&mut server, &mut other] {
        server.start();
        take(server, 0, 30);
    }
}

/// As after a build before took a directory of two shards without its layout for a new one of three: messages of before
/// are in the logs of two shards, and newer ones in all three. A move finds all of them.
#[test]
fn queues_in_the_logs_of_two_shards_keep_all_messages() {
    let mut server = small().start();
    put(&server, 0, 50);
    server.terminate();
    let mut three = small().shards(3).start();
    put(&three, 0, 50);
    three.terminate();
    fs::rename(three.directory().join("data-1/shard-002"), server.directory().join("data-1/shard-002")).unwrap();
    fs::write(server.directory().join("layout"), "rushq 1\nshards 3\ngeneration 1\n").unwrap();
    server.set_shards(3);
    server.start();
    let there = server.connect().figure("curr_items");
    assert!(there > 50, "{there}: no queue is in two logs");
    server.terminate();
    server.set_shards(2);
    server.start();
    assert!(server.said().iter().any(|line| line.contains("two shards: one of them is now called repaired-")));
    take(&server, 0, 50);
    assert_eq!(server.connect().figure("curr_items"), there - 50);
}

fn check(launch: &Launch) -> Output {
    launch.clone().command().arg("--check").stdin(Stdio::null()).output().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn paths_below(directory: &Path) -> Vec<PathBuf> {
    let paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    let below = |path: &PathBuf| if path.is_dir() { paths_below(path) } else { Vec::new() };
    paths.iter().flat_map(|path| [vec![path.clone()], below(path)].concat()).collect()
}

#[test]
fn the_umask_opens_nothing_to_others() {
    let mut server = small().through(&["sh", "-c", "umask 0; exec \"$0\" \"$@\""]).start();
    put(&server, 0, 200);
    server.terminate();
    server.set_shards(3);
    server.start();
    let mut client = server.connect();
    assert_eq!(client.command("db_checkpoint"), "OK");
    for path in [vec![server.directory().to_path_buf()], paths_below(server.directory())].concat() {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}

/// A second server on the same logs would be their end.
#[test]
fn without_its_lock_file_a_directory_is_still_locked() {
    let server = small().start();
    put(&server, 0, 10);
    let lock = server.directory().join("lock");
    let assert_locked = || {
        let directory = server.directory().to_str().unwrap();
        server.launch().clone().refused().assert_one_line(&[directory, "in use", "-H"]);
        let checked = check(server.launch());
        assert!(
            !checked.status.success() && String::from_utf8_lossy(&checked.stderr).contains("in use"),
            "{checked:?}"
        );
    };
    let process = format!("process {}", server.pid());
    server.launch().clone().refused().assert_one_line(&[&process]);
    fs::remove_file(&lock).unwrap();
    assert_locked();
    fs::write(&lock, "made anew").unwrap();
    assert_locked();
    take(&server, 0, 10);
}

/// The build before locked that file alone.
#[test]
fn a_server_of_the_build_before_is_seen() {
    let mut server = small().start();
    put(&server, 0, 10);
    server.kill_9();
    let lock = fs::File::options().read(true).write(true).open(server.directory().join("lock")).unwrap();
    lock.try_lock().unwrap();
    server.launch().clone().refused().assert_one_line(&["in use"]);
    assert!(!check(server.launch()).status.success());
    drop(lock);
    server.start();
    take(&server, 0, 10);
}

/// By a user who may only read, and on a file system that is mounted to be read only.
#[test]
fn a_check_needs_no_right_to_write() {
    if !is_root("only root can become another user and mount") {
        return;
    }
    let mut server = small().start();
    put(&server, 0, 100);
    server.kill_9();
    let public = std::env::temp_dir().join(format!("rushq-read-only-{}", std::process::id()));
    fs::create_dir(&public).unwrap();
    fs::set_permissions(&public, fs::Permissions::from_mode(0o755)).unwrap();
    let (program, copy) = (public.join("rushq"), public.join("copy"));
    fs::copy(binary(), &program).unwrap();
    assert!(Command::new("cp").arg("-a").arg(server.directory()).arg(&copy).status().unwrap().success());
    fs::remove_file(copy.join("lock")).unwrap();
    let nobody = User::from_name("nobody").unwrap().unwrap();
    for path in [paths_below(&copy), vec![copy.clone()]].concat() {
        chown(&path, Some(nobody.uid.as_raw()), None).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(if path.is_dir() { 0o500 } else { 0o400 })).unwrap();
    }
    let uid = nobody.uid.to_string();
    let as_nobody = ["setpriv", "--reuid", &uid, "--clear-groups"];
    let read_only =
        ["unshare", "--mount", "sh", "-c", "mount --bind -o ro \"$0\" \"$0\" && exec \"$@\"", copy.to_str().unwrap()];
    for through in [&as_nobody[..], &read_only[..]] {
        let mut command = Command::new(through[0]);
        command.args(&through[1..]).arg(&program).arg("--check").arg("-H").arg(&copy);
        let checked = command.output().unwrap();
        assert!(checked.status.success(), "{checked:?}");
        assert!(String::from_utf8_lossy(&checked.stdout).contains("7 queues: 100 sets"), "{checked:?}");
        assert_eq!(names(&copy), ["data-1", "layout"]);
    }
    fs::remove_dir_all(&public).unwrap();
}
