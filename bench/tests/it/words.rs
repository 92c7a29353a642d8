//! What the program says when things are not as they should be.

use std::net::TcpListener;

use crate::fake::{Fake, Mischief};
use crate::program::{bench, command};

#[test]
fn hits_are_told_from_misses() {
    let fake = Fake::start(Mischief::None);
    for number in 0..30 {
        fake.put("job5", format!("{number}").as_bytes());
    }
    let run = bench(fake.port(), "--key-prefix job --key-minimum 5 --key-maximum 5 --ratio 0:1 -c 4 -n 25 -d 2");
    assert_eq!((run.number("/gets/hits"), run.number("/gets/misses")), (30.0, 70.0), "{run:#?}");
    assert_eq!(run.code, Some(0));
}

/// They come as far as the server, which is not there.
#[test]
fn the_command_lines_of_the_readme_are_understood() {
    let readme = include_str!("../../README.md");
    let lines: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("target/release/rushq-bench ")).collect();
    assert!(lines.len() >= 4, "{lines:?}");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for line in lines {
        let output = command(line).args(["-p", &port.to_string()]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("cannot reach"), "rushq-bench {line}: {said}");
    }
}

#[test]
fn refusals_are_no_errors() {
    let run = bench(Fake::start(Mischief::Refuse).port(), "-n 10 -c 2 --pipeline 3");
    assert_eq!((run.number("/sets/refused"), run.number("/totals/errors")), (10.0, 0.0), "{run:#?}");
    assert_eq!((run.number("/gets/misses"), run.code), (10.0, Some(0)));
}

#[test]
fn errors_are_counted_and_the_first_is_shown() {
    let run = bench(Fake::start(Mischief::Fail).port(), "-n 10 -c 2");
    assert_eq!((run.number("/sets/errors"), run.number("/sets/count")), (10.0, 0.0), "{run:#?}");
    assert!(run.stdout.contains("first error: SERVER_ERROR <b>out of memory</b>"), "{run:#?}");
}

#[test]
fn a_connection_that_is_lost_or_refused_is_said() {
    let run = bench(Fake::start(Mischief::HangUp(20)).port(), "-c 2 --test-time 5");
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("FAILED: the server closed a connection after 0."), "{run:#?}");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let run = bench(port, "");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains(&format!("cannot reach 127.0.0.1:{port}: Connection refused")), "{run:#?}");
}

#[test]
fn nonsense_is_the_end() {
    let run = bench(Fake::start(Mischief::Babble).port(), "-c 1 --test-time 5");
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("answers nonsense to a set: HTTP/1.1 400 Bad Request"), "{run:#?}");
}

#[test]
fn help_says_where_it_differs_from_memtier() {
    let help = command("--help").output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(text.contains("memtier: 1:10") && text.contains("--rate-limiting"), "{text}");
}

#[test]
fn a_bad_command_line_is_one_line_and_status_2() {
    for (line, named) in
        [("--ratio 0:0", "--ratio"), ("-c 1 --colour", "--colour"), ("-n 1 --seconds 1", "--test-time")]
    {
        let output = command(line).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.lines().count() == 1 && text.contains(named) && text.contains("--help"), "{text}");
    }
}
