//! Names of queues that would mean something else by other options: a start says so, and changes nothing.

use std::process::Command;

use crate::process::{Launch, binary};

#[test]
fn old_names_that_would_be_read_as_keys_are_refused_until_an_option_keeps_them() {
    let names = ["a+b", "jobs/open", "c/t=5", "plain", "jobs/todo"];
    let mut server = Launch::new().with(&["--no-options", "--no-fanout"]).start();
    let mut client = server.connect();
    for name in names {
        assert_eq!(client.set(name, name.as_bytes()), "STORED");
    }
    server.terminate();
    for (arguments, words) in [
        (&[][..], &["3 queues", "--no-options and --no-fanout"][..]),
        (&["--no-options"], &["1 queues", "a+b", "--no-fanout"]),
        (&["--no-fanout"], &["2 queues", "jobs/open", "c/t=5", "--no-options"]),
    ] {
        server.set_arguments(arguments);
        let refusal = server.try_start().unwrap_err();
        let line = refusal.stderr.lines().last().unwrap();
        assert_eq!(refusal.status.code(), Some(1));
        for word in words {
            assert!(line.contains(word), "no {word:?} in: {line}");
        }
        assert!(!line.contains("jobs/todo") && !line.contains("plain"), "{line}");
    }
    server.set_arguments(&["--no-options", "--no-fanout"]);
    server.start();
    let mut client = server.connect();
    for name in names {
        assert_eq!(client.get(name).as_deref(), Some(name.as_bytes()), "{name}");
    }
}

#[test]
fn dead_letters_that_an_option_makes_unreachable_are_warned_of() {
    let mut server = Launch::new().start();
    let mut client = server.connect();
    assert_eq!(client.set("jobs", b"poison"), "STORED");
    assert_eq!(client.try_get("jobs/open").unwrap().len(), 1);
    assert_eq!(client.command("get jobs/bury"), "END");
    assert_eq!(client.queue_counters().iter().map(|(name, ..)| name.as_str()).max(), Some("jobs/dead"));
    server.terminate();
    let checked = Command::new(binary()).arg("--check").arg("-H").arg(server.directory()).output().unwrap();
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.contains("queue jobs/dead: 1 sets"), "{checked}");
    server.set_arguments(&["--no-options"]);
    server.start();
    let warnings: Vec<_> = server.said().iter().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("jobs/dead") && warnings[0].contains("--no-options"), "{warnings:?}");
    assert_eq!(server.connect().get("jobs/dead"), None, "it is a queue's name by now");
    server.terminate();
    server.set_arguments(&[]);
    server.start();
    assert!(server.said().iter().all(|line| !line.contains("WARN")), "{:?}", server.said());
    assert_eq!(server.connect().get("jobs/dead").as_deref(), Some(&b"poison"[..]));
}
