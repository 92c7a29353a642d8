//! A backup of a server at work: a copy of the data directory without its indexes, taken while it is changed. One that
//! `--check` calls whole has all that it must have.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::client::{Client, write_set};
use crate::process::Launch;

/// How many copies are taken; `RUSHQ_BACKUPS` sets another number.
const COPIES: usize = 6;
const QUEUES: u64 = 6;
/// Messages that wait in each queue at most, before consumers take them: segments come and go all the while.
const BACKLOG: u64 = 320;
/// Messages that are put or taken at once.
const BATCH: u64 = 40;

fn body(number: u64) -> Vec<u8> {
    let mut body = format!("{number} ").into_bytes();
    body.resize(3000, b'.');
    body
}

fn number_in(found: &[u8]) -> u64 {
    let text = std::str::from_utf8(found).unwrap();
    let number = text.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(found, body(number), "message {number} is not what was put");
    number
}

/// What was put into one queue and taken from it, as far as it was acknowledged. Messages are numbered from 0 on.
#[derive(Debug, Default)]
struct Ledger {
    put: AtomicU64,
    /// What a consumer has asked for, answered or not.
    asked: AtomicU64,
}

fn work(address: SocketAddr, queue: u64, ledger: &Ledger, done: &AtomicBool) {
    let (mut client, name) = (Client::connect(address), format!("q{queue}"));
    for start in (0..).step_by(BATCH as usize) {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let mut sets = Vec::new();
        (start..start + BATCH).for_each(|number| write_set(&mut sets, &name, &body(number)));
        client.send(sets);
        (0..BATCH).for_each(|_| client.expect("STORED\r\n"));
        ledger.put.store(start + BATCH, Ordering::SeqCst);
        if start >= BACKLOG {
            ledger.asked.store(start + BATCH - BACKLOG, Ordering::SeqCst);
            client.send(format!("get {name}\r\n").repeat(BATCH as usize));
            for number in start - BACKLOG..start + BATCH - BACKLOG {
                let body = String::from_utf8(body(number)).unwrap();
                client.expect(&format!("VALUE {name} 0 {}\r\n{body}\r\nEND\r\n", body.len()));
            }
        }
    }
}

/// As server/README.md has it.
fn back_up(from: &Path, to: &Path) {
    // What was recycled or unlinked meanwhile is no longer there to be copied.
    let _ = Command::new("cp").arg("-a").arg(from).arg(to).stderr(Stdio::null()).status().unwrap();
    for shard in fs::read_dir(to.join("data-1")).unwrap() {
        let _ = fs::remove_dir_all(shard.unwrap().path().join("index"));
    }
}

#[test]
fn a_copy_that_a_check_calls_whole_has_everything() {
    let copies = std::env::var("RUSHQ_BACKUPS").map_or(COPIES, |copies| copies.parse().unwrap());
    let server = Launch::new().segment_bytes(512 << 10).with(&["-B", "65536"]).start();
    let ledgers: Vec<Ledger> = (0..QUEUES).map(|_| Ledger::default()).collect();
    let (done, whole) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for (queue, ledger) in (0..).zip(&ledgers) {
            let (address, done) = (server.address(), &done);
            scope.spawn(move || work(address, queue, ledger, done));
        }
        for number in 0..copies {
            let to = server.launch().scratch().join(format!("copy-{number}"));
            let put: Vec<u64> = ledgers.iter().map(|ledger| ledger.put.load(Ordering::SeqCst)).collect();
            back_up(server.directory(), &to);
            let asked: Vec<u64> = ledgers.iter().map(|ledger| ledger.asked.load(Ordering::SeqCst)).collect();
            let copy = server.launch().clone().directory(to.clone());
            let checked = copy.command().arg("--check").stdin(Stdio::null()).output().unwrap();
            match checked.status.success() {
                true => whole.lock().unwrap().push((copy, put, asked)),
                false => fs::remove_dir_all(&to).unwrap(),
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    let whole = whole.into_inner().unwrap();
    println!("{} of {copies} copies are whole", whole.len());
    assert!(!whole.is_empty(), "no copy is whole");
    for (copy, put, asked) in whole {
        let mut restored = copy.with(&["-B", "65536", "-N"]).start();
        let mut client = restored.connect();
        for queue in 0..QUEUES as usize {
            let mut found = BTreeSet::new();
            while let Some(body) = client.get(&format!("q{queue}")) {
                assert!(found.insert(number_in(&body)), "doubled");
            }
            let due = asked[queue]..put[queue];
            let lost: Vec<u64> = due.filter(|number| !found.contains(number)).collect();
            assert!(lost.is_empty(), "queue {queue} lost {lost:?}");
        }
        restored.kill_9();
    }
}
