//! `--queue-config`: settings of queues by patterns of their names.

use std::fs;

use nix::sys::signal::Signal;

use crate::process::Launch;

#[test]
fn a_file_that_cannot_be_read_or_has_a_bad_line_is_refused() {
    for (text, words) in [
        (None, &["No such file"][..]),
        (Some("# Jobs.\njobs-*: tries=5 depht=1\n"), &["line 2", "depht=1"]),
        (Some("jobs-* tries=5\n"), &["line 1", "jobs-*", "colon"]),
        (Some("jobs-*: tries=251\n"), &["line 1", "tries=251"]),
    ] {
        let launch = Launch::new().shards(1);
        let file = launch.scratch().join("queues");
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        let path = file.to_str().unwrap();
        launch
            .with(&["--queue-config", path])
            .refused()
            .assert_one_line(&[&["--queue-config", path][..], words].concat());
    }
}

#[test]
fn it_is_read_again_at_sighup_and_a_bad_one_is_one_line() {
    let launch = Launch::new();
    let file = launch.scratch().join("queues");
    fs::write(&file, "jobs-*: tries=5\n").unwrap();
    let mut server = launch.with(&["--queue-config", file.to_str().unwrap()]).start();
    fs::write(&file, "jobs-*: tries=six\n").unwrap();
    server.signal(Signal::SIGHUP);
    let line = server.wait_for_line("stays in force");
    assert!(line.contains("ERROR") && line.contains("line 1: bad word tries=six"), "{line}");
    fs::write(&file, "jobs-*: tries=6\n").unwrap();
    server.signal(Signal::SIGHUP);
    let line = server.wait_for_line("is read again");
    assert!(line.contains("--queue-config"), "{line}");
    server.terminate();
}
