//! Two shards whose tasks run when a test says so, at the time that it says.

use std::mem;
use std::sync::Arc;
use std::task::Waker;

use shards::{Answer, Due, Engine, GatherId, Moment, Op, Outcome, Packet, Shard, ShardId};
use storage::Store;
use storage_testing::CrashDisk;

use crate::setup::small_store;

/// The shard that all queues here belong to, and one that has clients only.
pub(crate) const OWNER: ShardId = ShardId(0);
pub(crate) const OTHER: ShardId = ShardId(1);
pub(crate) const QUEUE: &[u8] = b"q";

/// Two shards, whose tasks run when the test says so.
pub(crate) struct Shards {
    engines: Vec<Engine>,
    /// What is due of each, and when its timer goes off.
    due: Vec<Due>,
    alarms: Vec<Moment>,
    disks: Vec<CrashDisk>,
    pub(crate) now: Moment,
}

/// A client of one of them.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub(crate) shard: ShardId,
    pub(crate) gather: GatherId,
}

impl Shards {
    pub(crate) fn new() -> Shards {
        let now = Moment::from_ms(1_700_000_000_000);
        let disks = vec![CrashDisk::default(), CrashDisk::default()];
        let engine = |me: u16| {
            let disk = disks[usize::from(me)].clone();
            let (store, _) = Store::open(Arc::new(disk), None, small_store()).unwrap();
            Engine::new(ShardId(me), 2, Shard::new(store), now)
        };
        let (engines, due, alarms) = ((0..2).map(engine).collect(), vec![Due::default(); 2], vec![now; 2]);
        Shards { engines, due, alarms, disks, now }
    }

    pub(crate) fn engine(&mut self, shard: ShardId) -> &mut Engine {
        &mut self.engines[shard.index()]
    }

    pub(crate) fn disk(&self, shard: ShardId) -> &CrashDisk {
        &self.disks[shard.index()]
    }

    pub(crate) fn connect(&mut self, shard: ShardId) -> Client {
        Client { shard, gather: self.engine(shard).open() }
    }

    /// A client asks for something, and nothing else happens.
    pub(crate) fn ask(&mut self, client: Client, op: Op<'_>) -> Answer {
        let now = self.now;
        self.engine(client.shard).submit(now, client.gather, OWNER, op, None, &mut 0).unwrap()
    }

    pub(crate) fn wait(&mut self, client: Client, ms: u64) {
        let until = self.now.after_ms(ms);
        assert_eq!(self.ask(client, Op::TakeWait { queue: QUEUE, until }), Answer::Later);
    }

    pub(crate) fn put(&mut self, client: Client, body: &[u8]) -> Answer {
        self.ask(client, Op::Put { queue: QUEUE, flags: 0, body })
    }

    /// All tasks of all shards run, at this time, until nothing is left to do.
    pub(crate) fn run(&mut self) {
        for _ in 0..20 {
            self.carry();
            for ((engine, due), alarm) in self.engines.iter_mut().zip(&mut self.due).zip(&mut self.alarms) {
                while engine.apply_step(self.now, |_, _, _, _| {}).unwrap() {}
                due.add(engine.take_due());
                // As the pump's does, this task runs when it is woken, or when it was told to be.
                while mem::take(&mut due.time) || *alarm <= self.now {
                    due.time = engine.pass_time(self.now).unwrap();
                    *alarm = engine.next_deadline().unwrap();
                }
                while let Some(mut chore) = engine.segment_chore().or_else(|| engine.read_chore()) {
                    chore.run();
                    engine.finish_chore(chore).unwrap();
                }
                while let Some(mut commit) = engine.begin_commit() {
                    commit.run().unwrap();
                    engine.finish_commit(commit, true);
                }
            }
        }
        assert!(self.engines.iter().all(Engine::is_idle), "waits count as nothing that is under way");
    }

    /// Sends what is to be sent; returns how many requests were.
    pub(crate) fn carry(&mut self) -> usize {
        let mut requests = 0;
        for from in [OWNER, OTHER] {
            self.engine(from).send_batches();
            while let Some((to, packet)) = self.engine(from).next_packet() {
                requests += usize::from(matches!(packet, Packet::Request(_)));
                self.engine(to).receive(from, packet);
            }
        }
        requests
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now = self.now.after_ms(ms);
        self.run();
    }

    /// The outcomes that have come for a client: a body, or nothing. `None`: some are missing.
    pub(crate) fn come(&mut self, client: Client) -> Option<Vec<String>> {
        let engine = self.engine(client.shard);
        if !engine.is_complete(client.gather, Waker::noop()) {
            return None;
        }
        Some(std::iter::from_fn(|| engine.next_outcome(client.gather)).map(text).collect())
    }

    /// A client asks for something, and all tasks run until it is answered.
    #[track_caller]
    pub(crate) fn get(&mut self, client: Client, op: Op<'_>) -> Outcome {
        for _ in 0..10 {
            match self.ask(client, op) {
                Answer::Now(outcome) => return outcome,
                Answer::Later => {
                    self.run();
                    let engine = self.engine(client.shard);
                    assert!(engine.is_complete(client.gather, Waker::noop()), "{op:?} is not answered");
                    return engine.next_outcome(client.gather).unwrap();
                }
                Answer::Stalled => self.run(),
            }
        }
        panic!("{op:?} stalls for ever")
    }

    /// The same, as a text.
    #[track_caller]
    pub(crate) fn tell(&mut self, client: Client, op: Op<'_>) -> String {
        text(self.get(client, op))
    }

    #[track_caller]
    pub(crate) fn assert_came(&mut self, client: Client, expected: &[&str]) {
        let come = self.come(client);
        assert_eq!(
            come.as_deref(),
            Some(expected.iter().map(|text| (*text).to_string()).collect::<Vec<_>>().as_slice())
        );
    }
}

/// An outcome as a text: a body, with the try of one that is open.
pub(crate) fn text(outcome: Outcome) -> String {
    match outcome {
        Outcome::Message(taken) | Outcome::Peeked(taken) => String::from_utf8(taken.body.into_vec()).unwrap(),
        Outcome::Opened { lease, body, .. } => {
            format!("{}, try {}", std::str::from_utf8(&body).unwrap(), lease & 0xff)
        }
        Outcome::Empty => "nothing".to_string(),
        Outcome::Kicked(count) => format!("kicked {count}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

pub(crate) fn message(seq: u64, body: &[u8]) -> Answer {
    Answer::Now(Outcome::Message(shards::Taken { seq, flags: 0, body: body.into() }))
}
