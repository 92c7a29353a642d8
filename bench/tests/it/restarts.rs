//! A server that goes away in the middle of the run, and comes back.

use crate::fake::{Fake, Mischief};
use crate::program::{Run, bench, command, path};

const LINE: &str = "--verify -c 4 --pipeline 8 --test-time 0.6";

fn restarted(losses: usize) -> Run {
    restarted_with("--key-maximum 3 --ratio 3:2", losses, None)
}

fn restarted_with(line: &str, losses: usize, drop_later: Option<u64>) -> Run {
    let fake = Fake::start(Mischief::None);
    let (file, json) = (path("restart"), path("out.json"));
    fake.restart_at(file.clone(), losses, drop_later);
    let mut command = command(&format!("-p {} --hide-histogram {LINE} {line}", fake.port()));
    command.arg("--restart-command").arg(format!("touch {}", file.display())).arg("--json-out-file").arg(&json);
    let output = command.output().unwrap();
    let document = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        document,
    }
}

#[test]
fn connections_are_made_again_and_nothing_is_lost() {
    let run = restarted(0);
    assert_eq!((run.code, run.number("/verify/lost"), run.number("/verify/doubled")), (Some(0), 0.0, 0.0), "{run:#?}");
    assert_eq!(run.number("/reconnects"), 4.0, "{run:#?}");
    assert!(run.number("/restart/at_seconds") >= 0.3 && run.number("/restart/gap_seconds") > 0.0, "{run:#?}");
    assert!(run.stdout.contains("nothing was answered for"), "{run:#?}");
}

#[test]
fn what_is_lost_at_a_restart_is_found() {
    // Gets whose answers were lost with the connection may have taken so many messages and no more.
    let run = restarted(100);
    let missing = run.number("/verify/lost") + run.number("/verify/excused");
    assert!(run.number("/verify/lost") > 0.0 && missing >= 100.0, "{run:#?}");
    assert_eq!(run.code, Some(1));
}

/// The gets that broke at the restart, most of them of an empty queue, cannot have taken what was sent after it.
#[test]
fn what_is_lost_after_a_restart_is_not_excused_by_it() {
    let run = restarted_with("--key-maximum 0 --ratio 1:9", 0, Some(50));
    assert!(run.number("/unanswered") > 0.0, "{run:#?}");
    assert_eq!((run.code, run.number("/verify/lost")), (Some(1), 1.0), "{run:#?}");
}

/// What connections had open comes again, perhaps before all of them have seen that the server was gone.
#[test]
fn what_is_open_at_a_restart_comes_again() {
    for way in ["open-close", "close-open"] {
        let run = restarted_with(&format!("--key-maximum 3 --reliable {way}"), 0, None);
        let count = |fault: &str| run.number(&format!("/verify/{fault}"));
        let faults = ["lost", "doubled", "shared", "reordered"].map(count);
        assert_eq!((run.code, faults, run.number("/reconnects")), (Some(0), [0.0; 4], 4.0), "{way}: {run:#?}");
        assert!(count("acknowledged") > 0.0, "{way}: {run:#?}");
    }
}

#[test]
fn a_restart_command_that_fails_fails_the_run() {
    let fake = Fake::start(Mischief::None);
    let run = bench(fake.port(), "--test-time 0.2 --restart-command false");
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("FAILED: the restart command"), "{run:#?}");
}
