//! Damaged data: the start is refused and says what is wrong, `--check` says what is there, `--repair` goes on with it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::process::{Launch, Server};

const MESSAGES: usize = 200;

fn log_of(server: &Server) -> PathBuf {
    server.directory().join("data-1/shard-000/log")
}

fn body(number: usize) -> Vec<u8> {
    let mut body = format!("message {number} of them").into_bytes();
    body.resize(60_000, b'.');
    body
}

/// A start with an index reads the end of the log only; one without reads it all.
fn remove_index(server: &Server) {
    fs::remove_dir_all(server.directory().join("data-1/shard-000/index")).unwrap();
}

/// A stopped server with messages in two queues, over several segments; each is a frame of its own.
fn filled() -> Server {
    let mut server = Launch::new().shards(1).start();
    let mut client = server.connect();
    for number in 0..MESSAGES {
        assert_eq!(client.set(&format!("q{}", number % 2), &body(number)), "STORED");
    }
    assert!(client.get("q0").is_some() && client.get("q1").is_some());
    server.kill_9();
    server
}

/// Where a message's text stands.
fn find(server: &Server, number: usize) -> (PathBuf, u64) {
    let text = format!("message {number} of them");
    for entry in fs::read_dir(log_of(server)).unwrap().flatten() {
        let bytes = fs::read(entry.path()).unwrap();
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text.as_bytes()) {
            return (entry.path(), at as u64);
        }
    }
    panic!("no {text}");
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn check(server: &Server) -> Output {
    server.launch().clone().with(&["--check"]).command().stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn files_below(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        match entry.path().is_dir() {
            true => files.extend(files_below(&entry.path())),
            false => files.push((entry.path(), fs::read(entry.path()).unwrap())),
        }
    }
    files.sort();
    files
}

#[test]
fn a_check_says_what_is_there_and_changes_nothing() {
    let mut server = Launch::new().start();
    let mut client = server.connect();
    for number in 0..10 {
        assert_eq!(client.set("orders", format!("{number}").as_bytes()), "STORED");
        assert_eq!(client.set("mail", b"four"), "STORED");
    }
    for _ in 0..4 {
        client.get("orders").unwrap();
    }
    assert_eq!(client.command("flush mail"), "END");
    server.kill_9();
    let before = files_below(server.directory());
    let output = check(&server);
    assert!(output.status.success(), "{output:?}");
    let text = said(&output);
    assert!(text.contains("queue orders: 10 sets - 4 gets = 6 stored, 6 bytes\n"), "{text}");
    assert!(text.contains("queue mail: 10 sets - 0 gets - 10 flushed = 0 stored, 0 bytes\n"), "{text}");
    assert!(text.contains("2 queues: 20 sets - 4 gets - 10 flushed = 6 stored"), "{text}");
    assert!(before == files_below(server.directory()), "a check changes nothing");
    server.start();
    let refused = check(&server);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && error.contains("in use"), "{error}");
}

#[test]
fn a_check_of_what_is_no_data_directory() {
    let launch = Launch::new();
    let directory = launch.scratch().join("other");
    fs::create_dir(&directory).unwrap();
    launch
        .clone()
        .directory(directory.clone())
        .with(&["--check"])
        .refused()
        .assert_one_line(&["no data directory", "-H"]);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "and none is made");
}

/// Takes what is left of both queues; the numbers of the messages that are gone.
fn gone(server: &Server) -> Vec<usize> {
    let mut client = server.connect();
    let mut there = Vec::new();
    for queue in ["q0", "q1"] {
        while let Some(found) = client.get(queue) {
            let text = String::from_utf8(found.clone()).unwrap();
            let number: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
            assert!(found == body(number), "message {number} is not what was put");
            there.push(number);
        }
    }
    let in_order = |queue: usize| there.iter().filter(|number| **number % 2 == queue).is_sorted();
    assert!(in_order(0) && in_order(1), "{there:?}");
    (2..MESSAGES).filter(|number| !there.contains(number)).collect()
}

/// Damages a stopped server's log, and sees it refused, checked and repaired. Returns the messages that are gone.
fn damaged(damage: impl FnOnce(&Server) -> PathBuf) -> Vec<usize> {
    let mut server = filled();
    let file = damage(&server);
    remove_index(&server);
    let damaged_files = files_below(&log_of(&server));
    server.launch().clone().refused().assert_one_line(&[file_name(&file), "--repair", "--check"]);
    let output = check(&server);
    assert!(!output.status.success());
    assert!(said(&output).contains(&format!("damaged: shard 0, {}", file_name(&file))), "{}", said(&output));
    assert!(damaged_files == files_below(&log_of(&server)), "neither changed anything");

    server.set_arguments(&["--repair"]);
    server.start();
    let warned = server.said().iter().any(|line| line.contains("set aside") && line.contains(file_name(&file)));
    assert!(warned, "{:?}", server.said());
    let aside = server.directory().join("damaged-1");
    assert!(fs::read_dir(aside).unwrap().count() > 0);
    // It is whole again, also for a start that repairs nothing.
    server.kill_9();
    server.set_arguments(&[]);
    assert!(check(&server).status.success());
    server.start();
    gone(&server)
}

#[test]
fn a_flipped_bit_costs_its_frame_alone() {
    let gone = damaged(|server| {
        let (path, at) = find(server, 20);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(b"M", at).unwrap();
        path
    });
    assert_eq!(gone, [20]);
}

/// What the start does not read is looked at when it is used: no damaged message is ever handed out.
#[test]
fn damage_that_the_start_does_not_see_stops_the_server_when_it_is_met() {
    let mut server = filled();
    let (path, at) = find(&server, 4);
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"M", at).unwrap();
    server.start();
    let mut client = server.connect();
    assert_eq!(client.get("q0"), Some(body(2)));
    client.try_get("q0").unwrap_err();
    server.wait_for_line(file_name(&path));
    server.wait_for_line("--repair");
    server.kill_9();
    server.set_arguments(&["--repair"]);
    server.start();
    assert_eq!(gone(&server), [2, 4]);
}

#[test]
fn a_zeroed_page() {
    let gone = damaged(|server| {
        let (path, at) = find(server, 31);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0; 4096], at / 4096 * 4096).unwrap();
        path
    });
    assert!(gone.contains(&31) && gone.len() <= 2, "{gone:?}");
}

#[test]
fn a_missing_segment() {
    let gone = damaged(|server| {
        let (path, _) = find(server, 70);
        fs::remove_file(&path).unwrap();
        path
    });
    // A segment of 3 MB holds some fifty of them.
    assert!(gone.contains(&70) && (30..60).contains(&gone.len()), "{gone:?}");
    assert!(gone.windows(2).all(|pair| pair[1] == pair[0] + 1), "all of them in one piece: {gone:?}");
}

/// The files of the log, oldest first.
fn segments(server: &Server) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(log_of(server)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Prepared segments with higher numbers are there.
#[test]
fn the_newest_segment_that_was_used_is_missing() {
    let gone = damaged(|server| {
        let (path, _) = find(server, MESSAGES - 1);
        assert!(segments(server).last() > Some(&path), "a segment is prepared behind it");
        fs::remove_file(&path).unwrap();
        path
    });
    assert!(gone.contains(&(MESSAGES - 1)) && gone.len() < 60, "{gone:?}");
}

#[test]
fn the_newest_segments_are_missing_all_of_them() {
    let gone = damaged(|server| {
        let (path, _) = find(server, MESSAGES - 1);
        segments(server).iter().filter(|file| **file >= path).for_each(|file| fs::remove_file(file).unwrap());
        path
    });
    assert!(gone.contains(&(MESSAGES - 1)) && gone.len() < 60, "{gone:?}");
}

/// Nothing but the header says so when the index is gone too.
#[test]
fn a_torn_end_is_damage_when_a_clean_stop_wrote_more() {
    let mut server = filled();
    server.start();
    server.terminate();
    let (path, at) = find(&server, MESSAGES - 1);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let rest = fs::metadata(&path).unwrap().len() - at;
    file.write_all_at(&vec![0; rest as usize], at).unwrap();
    remove_index(&server);
    server.launch().clone().refused().assert_one_line(&[file_name(&path), "--repair", "--check"]);
    assert!(!check(&server).status.success());
    server.set_arguments(&["--repair"]);
    server.start();
    assert_eq!(gone(&server), [MESSAGES - 1]);
}

#[test]
fn a_segment_that_was_cut_short() {
    let gone = damaged(|server| {
        let (path, at) = find(server, 60);
        File::options().write(true).open(&path).unwrap().set_len(at).unwrap();
        path
    });
    assert!(gone.contains(&60) && gone.len() < 60, "{gone:?}");
}

/// The oldest segment has the queues' names.
#[test]
fn the_queues_names_are_lost_and_their_messages_are_not() {
    let mut server = filled();
    let (first, at) = find(&server, 0);
    let second = find(&server, 1);
    assert_eq!(first, second.0);
    let file = OpenOptions::new().write(true).open(&first).unwrap();
    file.write_all_at(b"X", at).unwrap();
    file.write_all_at(b"X", second.1).unwrap();
    remove_index(&server);
    server.launch().clone().refused().assert_one_line(&[file_name(&first), "repaired-"]);
    server.set_arguments(&["--repair"]);
    server.start();
    let mut client = server.connect();
    let counters = client.queue_counters();
    assert!(counters.len() == 2 && counters.iter().all(|(name, ..)| name.starts_with("repaired-")), "{counters:?}");
    assert_eq!(client.figure("curr_items"), MESSAGES as u64 - 2);
}

/// What a power cut leaves at the end is no damage.
#[test]
fn a_torn_end_is_no_damage() {
    let mut server = filled();
    let (path, at) = find(&server, MESSAGES - 1);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    // All that follows was never synced, by what the log says of itself.
    let rest = fs::metadata(&path).unwrap().len() - at;
    file.write_all_at(&vec![0; rest as usize], at).unwrap();
    let output = check(&server);
    assert!(output.status.success(), "{output:?}");
    server.start();
    assert_eq!(server.connect().figure("curr_items"), MESSAGES as u64 - 1);
}

#[test]
fn a_repair_of_what_is_whole_changes_nothing() {
    let mut server = filled();
    server.set_arguments(&["--repair"]);
    server.start();
    assert!(server.said().iter().any(|line| line.contains("nothing is damaged")), "{:?}", server.said());
    assert!(!server.directory().join("damaged-1").exists());
    assert_eq!(gone(&server), Vec::<usize>::new());
}
