//! kill -9 in the middle of checkpoints, with other load beside them: the next start succeeds, and nothing acknowledged is
//! lost. `scripts/crash.sh` is the long form.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use crate::client::{Client, write_set};
use crate::crash::{BESIDE, Ledger, NextNumbers, load_for, verify};
use crate::process::{Launch, Server, random_seed};

/// How often; `RUSHQ_CHECKPOINT_KILLS` sets another number.
const ROUNDS: usize = 20;
const LOAD_AT_MOST: Duration = Duration::from_millis(250);
/// Sets, and then gets at most, that are under way at a time in the queue of small messages.
const BATCH: u64 = 500;
/// That queue waits with so many messages on average: its directories have many pages.
const WAITING: u64 = 40_000;

/// Each round another way to commit, with and without waiting for the disk.
fn arguments_of(round: usize) -> Vec<&'static str> {
    let commit = ["inline", "thread", "auto"][round % 3];
    let mut arguments = vec!["--commit", commit, "-m", "16"];
    if round % 4 == 3 {
        arguments.push("-N");
    }
    arguments
}

/// Asks for one checkpoint after the other until the server dies. Returns how many were finished.
fn checkpoint_again_and_again(mut client: Client) -> usize {
    let mut finished = 0;
    while client.try_send(b"db_checkpoint\r\n").is_ok() {
        match client.try_line() {
            Ok(line) => assert_eq!(line, "OK"),
            Err(_) => break,
        }
        finished += 1;
    }
    finished
}

/// A queue of small messages, each of which is its number. One connection at a time sets and gets.
#[derive(Debug, Default)]
struct SmallMessages {
    /// Answered, and sent.
    sets: (u64, u64),
    gets: (u64, u64),
}

impl SmallMessages {
    /// Sets and gets until the server dies.
    fn stream(mut self, mut client: Client) -> SmallMessages {
        while self.batch(&mut client).is_ok() {}
        self
    }

    fn batch(&mut self, client: &mut Client) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        for number in self.sets.1..self.sets.1 + BATCH {
            write_set(&mut bytes, BESIDE, number.to_string().as_bytes());
        }
        self.sets.1 += BATCH;
        client.try_send(&bytes)?;
        for _ in 0..BATCH {
            assert_eq!(client.try_line()?, "STORED");
            self.sets.0 += 1;
        }
        // Fewer when few wait, and more when many do.
        let gets = BATCH * (self.sets.0 - self.gets.0).min(2 * WAITING) / WAITING;
        self.get(client, gets)
    }

    /// Gets so many messages, all of which are there: in their order, and each once.
    fn get(&mut self, client: &mut Client, many: u64) -> std::io::Result<()> {
        for batch in (0..many).step_by(100).map(|from| (many - from).min(100)) {
            self.gets.1 += batch;
            let values = client.try_get(&vec![BESIDE; batch as usize].join(" "))?;
            assert_eq!(values.len() as u64, batch, "so many wait");
            for value in values {
                assert_eq!(String::from_utf8(value.body).unwrap(), self.gets.0.to_string(), "in order and once");
                self.gets.0 += 1;
            }
        }
        Ok(())
    }

    /// After a start: holds the queue's counters against what was answered, and goes on from there.
    fn settle(&mut self, server: &Server) {
        let counters = server.connect().queue_counters();
        let (sets, gets) =
            counters.iter().find(|(name, ..)| name == BESIDE).map_or((0, 0), |(_, sets, gets)| (*sets, *gets));
        assert!((self.sets.0..=self.sets.1).contains(&sets), "{sets} of {self:?}");
        assert!((self.gets.0..=self.gets.1).contains(&gets), "{gets} of {self:?}");
        (self.sets, self.gets) = ((sets, sets), (gets, gets));
    }
}

#[test]
fn a_start_succeeds_after_a_kill_in_a_checkpoint() {
    let rounds = std::env::var("RUSHQ_CHECKPOINT_KILLS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut rng = Rng::with_seed(random_seed());
    let ledger = Arc::new(Ledger::default());
    let (mut next, mut small) = (NextNumbers::default(), SmallMessages::default());
    let (mut finished, mut from_index) = (0, 0);
    let mut server = Launch::new().with(&arguments_of(0)).start();
    for round in 0..rounds {
        let client = server.connect();
        let checkpoints = thread::spawn(move || checkpoint_again_and_again(client));
        let client = server.connect();
        let beside = thread::spawn(move || small.stream(client));
        load_for(LOAD_AT_MOST, &mut server, &ledger, &mut rng, &mut next, Server::kill_9);
        finished += checkpoints.join().unwrap();
        small = beside.join().unwrap();
        server.set_arguments(&arguments_of(round + 1));
        if rng.u8(..4) == 0 {
            // The start may be reading the log, or removing what the checkpoint left.
            server.start_and_kill_9_after(Duration::from_millis(rng.u64(..150)));
        }
        server.start();
        from_index += server.said().iter().filter(|line| line.contains("from index")).count();
        let last = round + 1 == rounds;
        verify(&server, &ledger, |_| last || rng.bool());
        small.settle(&server);
    }
    let waiting = small.sets.0 - small.gets.0;
    small.get(&mut server.connect(), waiting).unwrap();
    println!("{rounds} kills, {finished} checkpoints were finished, {from_index} shards started from their index");
    assert!(finished > rounds, "checkpoints were under way: {finished}");
    assert!(from_index > rounds, "a cut checkpoint leaves the one before: {from_index} of {}", 2 * rounds);
}
