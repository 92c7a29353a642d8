//! What the engines have done, held against plain collections.

use shards::{Answer, Asker, Fate, Late, Moment, Outcome, Taken};
use storage_testing::Op;

use super::Simulation;
use crate::asked::{Asked, Holding, Open, Wanted, Which};
use crate::client::{Address, Applied};
use crate::lines::Wait;

/// What was seen of an engine, in its order.
#[derive(Debug)]
pub(super) enum Seen {
    /// An operation was answered. `None`: that its client leaves.
    Asked(Asker, Option<Asked>, SeenAnswer),
    /// A wait has ended, with a message or with nothing.
    Ended(Asker, SeenAnswer),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeenAnswer {
    Taken { seq: u64 },
    Peeked { seq: u64 },
    Opened { lease: u64, flags: u32, waits: bool },
    Empty,
    Held,
    Ended,
    NotFound,
    Touched,
    Purged { count: u64, is_done: bool },
    Other,
    Later,
    Stalled,
}

impl Seen {
    pub(super) fn ended(late: &Late) -> Seen {
        Seen::Ended(late.by, SeenAnswer::of_outcome(&late.outcome))
    }
}

impl SeenAnswer {
    pub(super) fn of(answer: &Answer) -> SeenAnswer {
        match answer {
            Answer::Now(outcome) => SeenAnswer::of_outcome(outcome),
            Answer::Later => SeenAnswer::Later,
            Answer::Stalled => SeenAnswer::Stalled,
        }
    }

    fn of_outcome(outcome: &Outcome) -> SeenAnswer {
        match outcome {
            Outcome::Message(taken) => SeenAnswer::Taken { seq: taken.seq },
            Outcome::Peeked(taken) => SeenAnswer::Peeked { seq: taken.seq },
            Outcome::Opened { lease, flags, waits, .. } => {
                SeenAnswer::Opened { lease: *lease, flags: *flags, waits: *waits }
            }
            Outcome::Empty => SeenAnswer::Empty,
            Outcome::Held => SeenAnswer::Held,
            Outcome::Ended => SeenAnswer::Ended,
            Outcome::NotFound => SeenAnswer::NotFound,
            Outcome::Touched => SeenAnswer::Touched,
            Outcome::Purged { count, next } => SeenAnswer::Purged { count: *count, is_done: next.is_none() },
            _ => SeenAnswer::Other,
        }
    }
}

impl Simulation<'_> {
    pub(super) fn note_seen(&mut self, at: usize, seen: Seen) {
        match seen {
            Seen::Ended(by, answer) => self.note_end(at, by, answer),
            Seen::Asked(by, None, answer) => {
                self.shards[at].lines.leave(by.client);
                if answer != SeenAnswer::Stalled {
                    self.shards[at].out.leave(by.client);
                }
            }
            Seen::Asked(_, _, SeenAnswer::Stalled) => {}
            Seen::Asked(by, Some(asked), answer) => {
                let key = (by.client.shard().index(), by.address);
                let address = self.under_way.remove(&key).expect("it was sent, and is applied once");
                // It may have gone.
                let client = self.clients.iter_mut().find(|client| client.round == address.round);
                if let Some(client) = client {
                    let pending = &client.pending[address.slot];
                    assert_eq!((pending.owner, &pending.asked), (at, &asked), "the operation that was sent");
                }
                self.note_answer(at, by, address, asked, answer);
            }
        }
    }

    /// Notes that an operation was answered.
    pub(super) fn note_answer(&mut self, at: usize, by: Asker, address: Address, asked: Asked, answer: SeenAnswer) {
        let (shard, now) = (&mut self.shards[at], self.now);
        let applied = match asked {
            Asked::Now(Op::Take { name }) => self.note_got(at, by, name, Wanted::Take, answer),
            Asked::Now(op) => {
                if let Op::Delete { name } = op {
                    shard.out.drop_queue(name);
                }
                let outcome = shard.history.apply(op);
                let promise = (outcome != Outcome::NotFound).then(|| shard.history.len());
                Applied { promise, outcome }
            }
            Asked::TakeWait { name, until } => {
                if answer == SeenAnswer::Later {
                    return self.line_up(at, by, address, name, Wanted::Take, until, None);
                }
                self.check_at_once(at, by, name, answer, until);
                self.note_got(at, by, name, Wanted::Take, answer)
            }
            Asked::Open(open) => return self.note_open(at, by, address, open, answer),
            Asked::Pause { name, pause } => {
                self.counts.pauses += u64::from(pause);
                let settings = if pause { b"pause=1".to_vec() } else { Vec::new() };
                let outcome = shard.history.apply(Op::Tell { name, settings });
                let promise = (outcome != Outcome::NotFound).then(|| shard.history.len());
                Applied { promise, outcome }
            }
            Asked::Purge { name, count } => {
                let SeenAnswer::Purged { count: purged, is_done } = answer else {
                    panic!("a purge is answered with {answer:?}")
                };
                let oldest: Vec<u64> = shard.history.messages(name).map(|it| it.seq).take(count as usize).collect();
                assert!(purged == oldest.len() as u64 || (!is_done && purged < oldest.len() as u64));
                oldest[..purged as usize].iter().for_each(|seq| drop(shard.history.take(name, *seq)));
                self.counts.purged += purged;
                let next = (!is_done).then(|| oldest[purged as usize - 1]);
                Applied { promise: Some(shard.history.len()), outcome: Outcome::Purged { count: purged, next } }
            }
            Asked::Peek { name } => match answer {
                SeenAnswer::Peeked { seq } => {
                    shard.out.hand_out(&mut shard.history, name, seq, now);
                    let message = shard.history.messages(name).find(|message| message.seq == seq).unwrap();
                    let body = message.body.clone().into();
                    Applied::nothing(Outcome::Peeked(Taken { seq, flags: message.flags, body }))
                }
                _ => self.note_got(at, by, name, Wanted::Take, answer),
            },
            Asked::End { name, which, fate } => match answer {
                SeenAnswer::Ended => {
                    self.counts.ended += 1;
                    shard.out.end(&mut shard.history, by.client, (name, which, fate), now);
                    Applied { promise: Some(shard.history.len()), outcome: Outcome::Ended }
                }
                SeenAnswer::NotFound => {
                    shard.out.not_found(&mut shard.history, by.client, name, which, now);
                    Applied::nothing(Outcome::NotFound)
                }
                other => panic!("an end is answered with {other:?}"),
            },
            Asked::Touch { name, which, lease_s } => match answer {
                SeenAnswer::Touched => {
                    shard.out.touch(&mut shard.history, by.client, name, (which, lease_s), now);
                    Applied::nothing(Outcome::Touched)
                }
                SeenAnswer::NotFound => {
                    shard.out.not_found(&mut shard.history, by.client, name, which, now);
                    Applied::nothing(Outcome::NotFound)
                }
                other => panic!("a touch is answered with {other:?}"),
            },
        };
        self.note_applied(address, applied);
    }

    /// Notes that an open was answered: what it closes is gone with it.
    fn note_open(&mut self, at: usize, by: Asker, address: Address, open: Open, answer: SeenAnswer) {
        let (shard, now) = (&mut self.shards[at], self.now);
        let Open { name, close, until, .. } = open;
        if shard.lines.is_gone(by.client) && matches!(answer, SeenAnswer::Empty | SeenAnswer::Other) {
            let outcome = if close { Outcome::NoRoom } else { Outcome::Empty };
            return self.note_applied(address, Applied::nothing(outcome));
        }
        let closed = if close { shard.out.held_by(by.client, name) } else { 0 };
        if closed > 0 {
            let acknowledged = (name, Which::Mine, Fate::Acknowledge);
            shard.out.end(&mut shard.history, by.client, acknowledged, now);
            self.counts.ended += closed as u64;
        }
        let promise = (closed > 0).then(|| shard.history.len());
        if answer == SeenAnswer::Later {
            let until = until.expect("it waits");
            return self.line_up(at, by, address, name, Wanted::Open(open), until, promise);
        }
        if let Some(until) = until {
            self.check_at_once(at, by, name, answer, until);
        }
        let mut applied = match answer {
            // Nothing more was there, or it has to be read first.
            SeenAnswer::Ended => {
                assert!(closed > 0, "nothing was closed");
                Applied::nothing(Outcome::Ended)
            }
            _ => self.note_got(at, by, name, Wanted::Open(open), answer),
        };
        if let Outcome::Opened { waits, .. } = applied.outcome {
            assert!(waits || closed == 0, "the open waits for what it closes");
        }
        applied.promise = applied.promise.max(promise);
        self.note_applied(address, applied);
    }

    /// Holds what did not get in line against the line.
    fn check_at_once(&self, at: usize, by: Asker, name: u8, answer: SeenAnswer, until: Moment) {
        let lines = &self.shards[at].lines;
        match answer {
            SeenAnswer::Taken { .. } | SeenAnswer::Opened { .. } => lines.check_taken(name, by),
            SeenAnswer::Held => {}
            _ => lines.check_refused(by, until, self.now),
        }
    }

    /// Notes what was got by a client whose turn it was.
    fn note_got(&mut self, at: usize, by: Asker, name: u8, wanted: Wanted, answer: SeenAnswer) -> Applied {
        let (shard, now) = (&mut self.shards[at], self.now);
        let held = shard.out.held_by(by.client, name);
        match (wanted, answer) {
            (Wanted::Take, SeenAnswer::Taken { seq }) => {
                assert_eq!(held, 0, "{by:?} has something open");
                assert!(!shard.history.is_paused(name), "{} is paused, and {seq} is taken", char::from(name));
                shard.out.hand_out(&mut shard.history, name, seq, now);
                let outcome = shard.history.take(name, seq);
                Applied { promise: Some(shard.history.len()), outcome }
            }
            (Wanted::Open(open), SeenAnswer::Opened { lease, flags, waits }) => {
                self.counts.opened += 1;
                shard.out.open(&mut shard.history, by.client, &open, (lease, flags), now);
                let message = shard.history.messages(name).find(|message| message.flags == flags).unwrap();
                let outcome = Outcome::Opened { lease, flags, body: message.body.clone().into(), waits };
                self.leases.push((name, lease, matches!(open.holder, Holding::Connection { .. })));
                // That it was tried before must be known from then on: a crash forgets this try, and no other.
                let promises = waits || lease as u8 > 1;
                Applied { promise: promises.then(|| shard.history.len()), outcome }
            }
            (Wanted::Take, SeenAnswer::Held) => {
                assert!(held > 0, "{by:?} has nothing open");
                Applied::nothing(Outcome::Held)
            }
            (Wanted::Open(Open { holder: Holding::Connection { max }, .. }), SeenAnswer::Held) => {
                assert!(held >= max as usize, "{by:?} has {held} open");
                Applied::nothing(Outcome::Held)
            }
            (_, SeenAnswer::Empty) => {
                let first = shard.out.first_to_hand_out(&shard.history, name);
                // It may be for a client that is in line.
                let is_for_another = shard.lines.queues().any(|of| of == name) || shard.lines.is_gone(by.client);
                assert!(first.is_none() || is_for_another, "{wanted:?} found nothing, and {first:?} is there");
                Applied::nothing(Outcome::Empty)
            }
            (wanted, answer) => panic!("{wanted:?} is answered with {answer:?}"),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "all of it is known of a wait")]
    fn line_up(
        &mut self,
        at: usize,
        by: Asker,
        address: Address,
        name: u8,
        wanted: Wanted,
        until: Moment,
        promise: Option<usize>,
    ) {
        self.counts.waits += 1;
        let wait = Wait { by, address, wanted, until, promise, is_replaced: false };
        self.shards[at].lines.line_up(name, wait, self.now);
    }

    /// Notes that waits have ended since this was noted last.
    pub(super) fn note_ended(&mut self, at: usize) {
        let shard = &mut self.shards[at];
        let ended: Vec<Seen> = shard.tasks.engine.late()[shard.late_seen..].iter().map(Seen::ended).collect();
        shard.late_seen += ended.len();
        ended.into_iter().for_each(|ended| self.note_seen(at, ended));
    }

    fn note_end(&mut self, at: usize, by: Asker, answer: SeenAnswer) {
        if answer == SeenAnswer::Empty {
            let wait = self.shards[at].lines.end(by, self.now);
            self.counts.waits_over += 1;
            return self.note_applied(wait.address, Applied { promise: wait.promise, outcome: Outcome::Empty });
        }
        let (name, wait) = self.shards[at].lines.serve(by);
        self.counts.waits_served += 1;
        let mut applied = self.note_got(at, by, name, wait.wanted, answer);
        applied.promise = applied.promise.max(wait.promise);
        self.note_applied(wait.address, applied);
    }

    fn note_applied(&mut self, address: Address, applied: Applied) {
        // It may have gone.
        let client = self.clients.iter_mut().find(|client| client.round == address.round);
        if let Some(client) = client {
            let before = client.pending[address.slot].applied.replace(applied);
            assert_eq!(before, None, "an operation is answered once");
        }
    }
}
