//! What the engines have done, held against plain collections.

use shards::{Answer, Asker, Late, Outcome};
use storage_testing::Op;

use super::Simulation;
use crate::asked::Asked;
use crate::client::Address;
use crate::lines::Wait;

/// What was seen of an engine, in its order.
#[derive(Debug)]
pub(super) enum Seen {
    /// An operation was answered. `None`: that its client leaves.
    Asked(Asker, Option<Asked>, SeenAnswer),
    /// A wait has ended, with a message or with nothing.
    Ended(Asker, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeenAnswer {
    Message,
    Other,
    Later,
    Stalled,
}

impl Seen {
    pub(super) fn ended(late: &Late) -> Seen {
        Seen::Ended(late.by, matches!(late.outcome, Outcome::Message(_)))
    }
}

impl SeenAnswer {
    pub(super) fn of(answer: &Answer) -> SeenAnswer {
        match answer {
            Answer::Now(Outcome::Message(_)) => SeenAnswer::Message,
            Answer::Now(_) => SeenAnswer::Other,
            Answer::Later => SeenAnswer::Later,
            Answer::Stalled => SeenAnswer::Stalled,
        }
    }
}

impl Simulation<'_> {
    pub(super) fn note_seen(&mut self, at: usize, seen: Seen) {
        match seen {
            Seen::Ended(by, is_message) => self.note_end(at, by, is_message),
            Seen::Asked(by, None, _) => self.shards[at].lines.leave(by.client),
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
            Asked::Now(op) => {
                let (number, outcome) = shard.history.apply(op);
                (Some(number), outcome)
            }
            Asked::TakeWait { name, until } => match answer {
                SeenAnswer::Message => {
                    shard.lines.check_taken(name, by);
                    let (number, outcome) = shard.history.apply(Op::Take { name });
                    (Some(number), outcome)
                }
                SeenAnswer::Other => {
                    shard.lines.check_refused(by, until, now);
                    (None, Outcome::Empty)
                }
                SeenAnswer::Later => {
                    self.counts.waits += 1;
                    return shard.lines.line_up(name, Wait { by, address, until }, now);
                }
                SeenAnswer::Stalled => unreachable!("it gets in line"),
            },
        };
        self.note_applied(address, applied);
    }

    /// Notes that waits have ended since this was noted last.
    pub(super) fn note_ended(&mut self, at: usize) {
        let shard = &mut self.shards[at];
        let ended: Vec<Seen> = shard.engine.late()[shard.late_seen..].iter().map(Seen::ended).collect();
        shard.late_seen += ended.len();
        ended.into_iter().for_each(|ended| self.note_seen(at, ended));
    }

    fn note_end(&mut self, at: usize, by: Asker, is_message: bool) {
        let shard = &mut self.shards[at];
        if is_message {
            let (name, wait) = shard.lines.serve(by);
            let (number, outcome) = shard.history.apply(Op::Take { name });
            self.counts.waits_served += 1;
            self.note_applied(wait.address, (Some(number), outcome));
        } else {
            let wait = shard.lines.end(by, self.now);
            self.counts.waits_over += 1;
            self.note_applied(wait.address, (None, Outcome::Empty));
        }
    }

    fn note_applied(&mut self, address: Address, applied: (Option<usize>, Outcome)) {
        // It may have gone.
        let client = self.clients.iter_mut().find(|client| client.round == address.round);
        if let Some(client) = client {
            let before = client.pending[address.slot].applied.replace(applied);
            assert_eq!(before, None, "an operation is answered once");
        }
    }
}
