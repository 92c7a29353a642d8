//! The commands for a running server by its admin port.

use std::process::Command;

use crate::ctl::{run, rushq, words};
use crate::process::{Launch, Server, binary};

fn place(server: &Server) -> String {
    server.address_for("admin").to_string()
}

/// Every command, for queues of both shards, by a port and by a Unix socket.
#[test]
fn commands_do_by_the_admin_port_what_clients_see() {
    let launch = Launch::new();
    let path = launch.scratch().join("admin");
    let path = path.to_str().unwrap();
    for of_admin in ["0", path] {
        let server = launch.clone().with(&["--admin", of_admin]).start();
        let place = if of_admin == "0" { ["-p".into(), place(&server)] } else { ["-s".into(), path.to_string()] };
        let place = place.each_ref().map(String::as_str);
        let rushq = |words: &[&str]| rushq(&[words, &place[..]].concat());
        let mut client = server.connect();
        assert!(rushq(&["ping"]).good().starts_with("the admin port of rushq at "));
        let stats = rushq(&["stats"]).good();
        assert!(words(&stats).contains(&vec!["version", env!("CARGO_PKG_VERSION")]), "{stats}");
        rushq(&["stats", "queues"]).bad(&["queues", "memcache port"]);
        for queue in ["jobs", "work+a/b", "für"] {
            let other = format!("{queue}-2");
            for body in ["a", "b", "c\x1b", "d", "e"] {
                assert_eq!(client.set(queue, body.as_bytes()), "STORED");
            }
            let peeked = rushq(&["peek", queue, "-n", "3"]).good();
            let heads: Vec<&str> = peeked.lines().filter(|line| line.starts_with("-- message ")).collect();
            assert!(heads.len() == 3 && heads[0].contains(" waiting, ") && peeked.contains("\nc\\u{1b}\n"), "{peeked}");
            assert_eq!(rushq(&["peek", queue, "--raw"]).good(), "a");

            rushq(&["config", queue, "tries=1"]).good();
            assert!(rushq(&["config", queue]).good().contains("tries=1\n"));
            rushq(&["config", queue, "treis=1"]).bad(&["treis"]);
            assert_eq!(client.try_get(&format!("{queue}/open")).unwrap().len(), 1);
            assert_eq!(client.command(&format!("get {queue}/abort")), "END");
            assert!(rushq(&["peek", &format!("{queue}/dead")]).good().ends_with("\na\n"));
            let table = rushq(&["top", "--once", "--filter", queue, "--sort", "dead"]).good();
            let lines = words(&table);
            // Waiting, open, delayed, dead.
            assert_eq!((&lines[1][..4], lines[1].last()), (&["4", "0", "0", "1"][..], Some(&queue)), "{table}");
            assert_eq!(rushq(&["kick", queue]).good(), format!("1 dead letter of {queue} put back\n"));

            rushq(&["move", queue, &other]).bad(&[&other]);
            assert_eq!(client.set(&other, b"z"), "STORED");
            assert_eq!(rushq(&["move", queue, &other]).good(), format!("5 messages moved from {queue} to {other}\n"));
            assert_eq!(client.get(queue), None);

            rushq(&["purge", &other]).bad(&["6 messages (6 waiting, 0 delayed)", "--count 6"]);
            rushq(&["purge", &other, "-n", "7"]).bad(&["6 messages", "nothing was dropped"]);
            assert_eq!(client.get(&other).unwrap(), b"z");
            assert_eq!(rushq(&["purge", &other, "-n", "5"]).good(), format!("5 messages of {other} dropped\n"));
            assert_eq!(client.get(&other), None);
            rushq(&["config", queue, "--default"]).good();
            assert_eq!(rushq(&["config", queue]).good(), "");
            rushq(&["peek", "none"]).bad(&["none"]);
        }
    }
}

/// The password comes from the environment or a file, and is in no command line.
#[test]
fn users_log_in_by_either_port() {
    let launch = Launch::new();
    let (users, password) = (launch.scratch().join("users"), launch.scratch().join("password"));
    // `openssl passwd -6 secret`
    let hash = Command::new("openssl").args(["passwd", "-6", "-salt", "saltsalt", "secret"]).output().unwrap();
    let hash = String::from_utf8(hash.stdout).unwrap();
    std::fs::write(&users, format!("joe:{}: admin\n", hash.trim())).unwrap();
    std::fs::write(&password, "secret\n").unwrap();
    let server = launch.with(&["--admin", "0", "--users", users.to_str().unwrap()]).start();
    for place in [server.address().to_string(), place(&server)] {
        let with = |words: &[&str], password: Option<&str>| {
            let mut command = Command::new(binary());
            command.args(words).args(["-p", &place]).env_remove("RUSHQ_PASSWORD");
            run(command.envs(password.map(|password| ("RUSHQ_PASSWORD", password))))
        };
        // A health check needs none.
        with(&["ping"], None).good();
        with(&["stats"], None).bad(&[&place, "--user NAME"]);
        with(&["stats", "--user", "joe"], Some("guess")).bad(&[&place]);
        with(&["stats", "--user", "joe"], Some("secret")).good();
        with(&["stats", "--user", "joe", "--password-file", password.to_str().unwrap()], None).good();
    }
    // To a server without users the login would be a message.
    let open = Launch::new().start();
    let place = open.address().to_string();
    let mut command = Command::new(binary());
    run(command.args(["stats", "--user", "joe", "-p", &place]).env("RUSHQ_PASSWORD", "secret")).good();
    assert_eq!(open.connect().figure("curr_items"), 0);
}
