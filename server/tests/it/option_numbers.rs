//! Every option that takes a number, at the ends of what a number can be: it works, or is refused in one line.

use crate::client::Client;
use crate::process::{Launch, refusal_or_running};

const OPTIONS: [&str; 16] = [
    "--port",
    "--udp-port",
    "--unix-mask",
    "--connections",
    "--connections-per-address",
    "--idle-timeout",
    "--body-bytes",
    "--memory",
    "--commit-kilobytes",
    "--checkpoint-seconds",
    "--segment-bytes",
    "--threads",
    "--statistics-seconds",
    "--stop-timeout",
    "--open-per-connection",
    "--wait-max",
];
const NUMBERS: [&str; 6] = ["0", "1", "4294967295", "4294967296", "18446744073709551615", "18446744073709551616"];

#[test]
fn every_number_works_or_is_refused_in_a_line() {
    let help = std::process::Command::new(crate::process::binary()).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for number in NUMBERS {
        for option in OPTIONS {
            assert!(help.contains(option), "{option}");
            let launch = Launch::new().shards(1);
            let socket = launch.scratch().join("s");
            let mut arguments = vec![option, number];
            if option == "--unix-mask" {
                arguments.extend(["-s", socket.to_str().unwrap()]);
            }
            let what = format!("{option} {number}");
            match refusal_or_running(launch.with(&arguments)) {
                Ok(mut server) => {
                    let mut client = Client::connect(server.address());
                    // A body of one byte fits in the smallest that there may be.
                    assert_eq!(client.set("q", b"x"), "STORED", "{what}");
                    assert_eq!(client.get("q").as_deref(), Some(&b"x"[..]), "{what}");
                    server.terminate();
                    println!("{what}: works");
                }
                Err(refusal) => {
                    println!("{what}: {}", refusal.stderr.trim());
                    refusal.assert_one_line(&[]);
                    let short = help.lines().find(|line| line.contains(option)).unwrap().trim_start();
                    let names = [option, short.split(',').next().unwrap()];
                    let named = names.iter().any(|name| refusal.stderr.contains(name));
                    assert!(named || refusal.stderr.contains("TCP port 1"), "{what}: {}", refusal.stderr);
                }
            }
        }
    }
}

#[test]
fn connections_that_no_process_can_have_are_refused() {
    let refusal = Launch::new().with(&["-c", "4294967295"]).refused();
    refusal.assert_one_line(&["-c 4294967295", "fs.nr_open", "make -c smaller"]);
}

/// What a number of bytes means is said where one was given.
#[test]
fn memory_in_bytes_is_refused_with_its_unit() {
    let refusal = Launch::new().with(&["-m", "268435456"]).refused();
    refusal.assert_one_line(&["-m 268435456", "megabytes", "-m 256"]);
    Launch::new().with(&["-m", "99999999999"]).refused().assert_one_line(&["-m 99999999999", "megabytes"]);
}
