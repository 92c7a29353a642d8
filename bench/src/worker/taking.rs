//! Requests out, answers in: what is done millions of times.

use std::sync::PoisonError;

use hashbrown::HashSet;

use super::kills::Fate;
use super::{SECOND_NS, Worker};
use crate::answers::{Answer, Dialect};
use crate::connection::{Asked, Trouble};
use crate::tally::{Run, Tally};
use crate::verify::{NEVER_NS, Opening, Verifier};
use crate::workload::{Act, Request, Workload};

/// How much earlier than that by this clock a server may end a lease, whose own has whole milliseconds and is read once in a
/// while.
const CLOCK_NS: u64 = 10_000_000;
/// The lease of a name that asks for none.
const SERVERS_LEASE_S: u64 = 60;

impl Worker<'_> {
    /// Puts `count` of a client's requests into its outbox. Their time counts from `at_ns`.
    pub(super) fn fill(&mut self, number: usize, count: u64, at_ns: u64) {
        let client = &mut self.clients[number];
        let Some(connection) = &mut client.connection else {
            return;
        };
        let mut verifier = self.shared.verifier();
        let tick = verifier.as_mut().map_or(0, |it| it.sending(client.consumer));
        for _ in 0..count {
            let request = client.workload.next();
            let producer = client.workload.producer;
            let bytes = self.dialect.append(&mut connection.outbox, request, producer);
            connection.outstanding.push_back(Asked { request, at_ns, tick, bytes, is_repeated: false });
            if let Some(verifier) = &mut verifier
                && request.act.is_set()
            {
                verifier.sent(producer, request.number);
            }
        }
        client.left = client.left.map(|left| left - count);
        self.outstanding += count;
    }

    /// Puts these requests into a client's outbox, beyond those that its load consists of.
    pub(super) fn ask(&mut self, number: usize, requests: impl Iterator<Item = Request>, at_ns: u64) {
        let client = &mut self.clients[number];
        let Some(connection) = &mut client.connection else {
            return;
        };
        let tick = self.shared.verifier().map_or(0, |mut it| it.sending(client.consumer));
        for request in requests {
            let bytes = self.dialect.append(&mut connection.outbox, request, client.workload.producer);
            connection.outstanding.push_back(Asked { request, at_ns, tick, bytes, is_repeated: false });
            self.outstanding += 1;
        }
    }

    /// Takes in what has come.
    pub(super) fn receive(&mut self, number: usize) -> Result<(), Trouble> {
        let client = &mut self.clients[number];
        let Some(connection) = &mut client.connection else {
            return Ok(());
        };
        let (shared, dialect, tally) = (self.shared, &self.dialect, &mut *self.tally);
        let producer = client.workload.producer;
        let (workload, open, fate, consumer) =
            (&mut client.workload, &mut client.open, &mut client.fate, client.consumer);
        let lease_ns = shared.options.lease_s().unwrap_or(SERVERS_LEASE_S) * SECOND_NS;
        let mut verifier = None;
        let mut run = Run::default();
        let mut heard_ns = None;
        let mut answers = 0;
        let mut sets = false;
        let outcome = connection.receive(dialect, &mut self.buffer, |asked, answer| {
            // The clock is read, and the lock is taken, when the answers are here, and once for all of them.
            let now_ns = *heard_ns.get_or_insert_with(|| shared.now_ns());
            if verifier.is_none() {
                verifier = shared.verifier();
            }
            count(tally, dialect, &asked, answer)?;
            let act = asked.request.act;
            run.add(tally, act, now_ns.saturating_sub(asked.at_ns));
            if let Some(verifier) = &mut verifier {
                account(verifier, (producer, consumer), &asked, answer, (now_ns, lease_ns));
            }
            if act.opens() {
                note(workload, open, fate, &asked.request, answer);
            }
            answers += 1;
            sets |= act.is_set();
            Ok(())
        });
        run.finish(tally);
        if let Some(verifier) = &mut verifier {
            verifier.answered(consumer, connection.outstanding.front().map(|asked| asked.tick));
        }
        self.outstanding -= answers;
        if let Some(heard_ns) = heard_ns {
            self.heard_ns = heard_ns;
            if sets {
                self.ended.last_set_ns = heard_ns;
            }
            if let Some(gap) = &self.shared.gap {
                gap.lock().unwrap_or_else(PoisonError::into_inner).heard(heard_ns);
            }
        }
        outcome
    }
}

/// Counts one answer, if it makes sense.
fn count(tally: &mut Tally, dialect: &Dialect, asked: &Asked, answer: Answer<'_>) -> Result<(), String> {
    let queue_asked = asked.request.queue;
    match answer {
        Answer::Stored => {
            tally.sets.done += 1;
            tally.sets.bytes += asked.bytes as u64;
        }
        Answer::Refused => tally.refused += 1,
        Answer::Message { queue: Some(queue), .. } if !dialect.is_name(queue, queue_asked) => {
            let queue = queue.escape_ascii();
            return Err(format!("the server answers a get with a message of another queue: {queue}"));
        }
        Answer::Message { body, .. } => {
            tally.gets.done += 1;
            tally.gets.bytes += body.len() as u64;
            tally.hits += 1;
        }
        Answer::Empty => tally.gets.done += 1,
        Answer::Acknowledged => tally.acks.done += 1,
        Answer::NotHeld => tally.not_held += 1,
        Answer::Error(line) => tally.error(asked.request.act, line),
        Answer::Nonsense(line) => {
            let what = match asked.request.act {
                Act::Set => "set",
                Act::Delete => "delete",
                _ => "get",
            };
            let line = line.escape_ascii().to_string();
            return Err(format!("the server answers nonsense to a {what}: {line:.80}"));
        }
    }
    Ok(())
}

/// `now_ns` and `lease_ns`: when the answer is here, and the lease of what is opened under a name.
fn account(
    verifier: &mut Verifier,
    (producer, consumer): (u32, usize),
    asked: &Asked,
    answer: Answer<'_>,
    (now_ns, lease_ns): (u64, u64),
) {
    let Asked { request, at_ns, tick: sent, .. } = *asked;
    let (act, queue, slot) = (request.act, request.queue, request.slot());
    let is_done = matches!(answer, Answer::Acknowledged | Answer::Message { .. } | Answer::Empty);
    if act.acknowledges() && is_done {
        verifier.acknowledged(consumer, slot);
    }
    match answer {
        Answer::Stored => verifier.stored(producer, request.number),
        Answer::Message { body, .. } if act.opens() => {
            // The lease begins when the server handles the open, which is no earlier than it was sent.
            let until_ns = if act == Act::OpenNamed { at_ns + lease_ns - CLOCK_NS } else { NEVER_NS };
            verifier.opened(Opening { consumer, slot, sent, until_ns, now_ns }, queue, body);
        }
        Answer::Message { body, .. } => verifier.received(consumer, sent, now_ns, queue, body),
        Answer::NotHeld => verifier.not_held(consumer, slot, asked.is_repeated),
        _ => {}
    }
}

/// What the answer to an open means for what the client does next.
fn note(
    workload: &mut Workload,
    open: &mut HashSet<u32>,
    fate: &mut Option<Fate>,
    request: &Request,
    answer: Answer<'_>,
) {
    match answer {
        Answer::Message { .. } => {
            if request.act == Act::CloseOpen {
                open.insert(request.queue);
            }
            if let Some(fate) = fate {
                fate.live();
            }
        }
        Answer::Empty if request.act == Act::CloseOpen => _ = open.remove(&request.queue),
        // An open that failed has nothing to acknowledge either.
        _ => workload.brought_nothing(request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::parse;

    fn counted(act: Act, answer: Answer<'_>) -> Result<Tally, String> {
        let dialect = Dialect::new(&parse("").unwrap(), None);
        let asked =
            Asked { request: Request { act, queue: 7, number: 0 }, at_ns: 0, tick: 0, bytes: 5, is_repeated: false };
        let mut tally = Tally::new();
        count(&mut tally, &dialect, &asked, answer).map(|()| tally)
    }

    #[test]
    fn answers_are_told_apart() {
        let message = Answer::Message { queue: Some(b"q7"), body: b"abc" };
        let figures = |tally: Tally| (tally.sets.done, tally.gets.done, tally.hits, tally.refused, tally.errors());
        assert_eq!(figures(counted(Act::Set, Answer::Stored).unwrap()), (1, 0, 0, 0, 0));
        assert_eq!(figures(counted(Act::Set, Answer::Refused).unwrap()), (0, 0, 0, 1, 0));
        assert_eq!(figures(counted(Act::Get, message).unwrap()), (0, 1, 1, 0, 0));
        assert_eq!(figures(counted(Act::Get, Answer::Empty).unwrap()), (0, 1, 0, 0, 0));
        assert_eq!(figures(counted(Act::Get, Answer::Error(b"ERROR")).unwrap()), (0, 0, 0, 0, 1));
        let acks = |tally: Tally| (tally.acks.done, tally.not_held, tally.errors());
        assert_eq!(acks(counted(Act::Close, Answer::Acknowledged).unwrap()), (1, 0, 0));
        assert_eq!(acks(counted(Act::Delete, Answer::NotHeld).unwrap()), (0, 1, 0));
        assert_eq!(acks(counted(Act::Delete, Answer::Error(b"ERROR")).unwrap()), (0, 0, 1));
    }

    #[test]
    fn nonsense_is_the_end() {
        let other = Answer::Message { queue: Some(b"q8"), body: b"abc" };
        assert!(counted(Act::Get, other).unwrap_err().contains("q8"));
        assert!(counted(Act::Set, Answer::Nonsense(b"HTTP/1.1 400")).unwrap_err().contains("HTTP"));
    }
}
