//! Requests out, answers in: what is done millions of times.

use std::sync::PoisonError;

use super::Worker;
use crate::answers::{Answer, Dialect};
use crate::connection::{Asked, Trouble};
use crate::tally::{Run, Tally};
use crate::verify::Verifier;

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
            connection.outstanding.push_back(Asked { request, at_ns, tick, bytes });
            if let Some(verifier) = &mut verifier
                && request.is_set
            {
                verifier.sent(producer, request.number);
            }
        }
        client.left = client.left.map(|left| left - count);
        self.outstanding += count;
    }

    /// Takes in what has come.
    pub(super) fn receive(&mut self, number: usize) -> Result<(), Trouble> {
        let client = &mut self.clients[number];
        let Some(connection) = &mut client.connection else {
            return Ok(());
        };
        let (shared, dialect, tally) = (self.shared, &self.dialect, &mut *self.tally);
        let (producer, consumer) = (client.workload.producer, client.consumer);
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
            run.add(tally, asked.request.is_set, now_ns.saturating_sub(asked.at_ns));
            if let Some(verifier) = &mut verifier {
                account(verifier, (producer, consumer), &asked, answer);
            }
            answers += 1;
            sets |= asked.request.is_set;
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
        Answer::Error(line) => tally.error(asked.request.is_set, line),
        Answer::Nonsense(line) => {
            let what = if asked.request.is_set { "set" } else { "get" };
            let line = line.escape_ascii().to_string();
            return Err(format!("the server answers nonsense to a {what}: {line:.80}"));
        }
    }
    Ok(())
}

fn account(verifier: &mut Verifier, (producer, consumer): (u32, usize), asked: &Asked, answer: Answer<'_>) {
    match answer {
        Answer::Stored => verifier.stored(producer, asked.request.number),
        Answer::Message { body, .. } => verifier.received(consumer, asked.tick, asked.request.queue, body),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::parse;
    use crate::workload::Request;

    fn counted(is_set: bool, answer: Answer<'_>) -> Result<Tally, String> {
        let dialect = Dialect::new(&parse("").unwrap(), None);
        let asked = Asked { request: Request { is_set, queue: 7, number: 0 }, at_ns: 0, tick: 0, bytes: 5 };
        let mut tally = Tally::new();
        count(&mut tally, &dialect, &asked, answer).map(|()| tally)
    }

    #[test]
    fn answers_are_told_apart() {
        let message = Answer::Message { queue: Some(b"q7"), body: b"abc" };
        let figures = |tally: Tally| (tally.sets.done, tally.gets.done, tally.hits, tally.refused, tally.errors());
        assert_eq!(figures(counted(true, Answer::Stored).unwrap()), (1, 0, 0, 0, 0));
        assert_eq!(figures(counted(true, Answer::Refused).unwrap()), (0, 0, 0, 1, 0));
        assert_eq!(figures(counted(false, message).unwrap()), (0, 1, 1, 0, 0));
        assert_eq!(figures(counted(false, Answer::Empty).unwrap()), (0, 1, 0, 0, 0));
        assert_eq!(figures(counted(false, Answer::Error(b"ERROR")).unwrap()), (0, 0, 0, 0, 1));
    }

    #[test]
    fn nonsense_is_the_end() {
        let other = Answer::Message { queue: Some(b"q8"), body: b"abc" };
        assert!(counted(false, other).unwrap_err().contains("q8"));
        assert!(counted(true, Answer::Nonsense(b"HTTP/1.1 400")).unwrap_err().contains("HTTP"));
    }
}
