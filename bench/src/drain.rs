//! Empties the queues at the end of a run that is verified.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use hashbrown::HashSet;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::answers::{Answer, Dialect};
use crate::connection::{Asked, CONNECT_TIMEOUT, Connection, Server, Trouble};
use crate::options::Arguments;
use crate::verify::Verifier;
use crate::workload::{Act, Request};

/// Gets on their way at once.
const GETS_MAX: usize = 512;
/// So many bytes of answers may be on their way at once.
const BYTES_MAX: usize = 16 << 20;
const SILENCE_MAX: Duration = Duration::from_secs(10);
const TIME_MAX: Duration = Duration::from_secs(300);
const WAIT_MS: u16 = 100;
/// How long a message that was open with a connection may take to be back in its queue when that has ended.
const COME_BACK_MAX: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const BUFFER_BYTES: usize = 256 * 1024;

/// How it went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drained {
    pub(crate) messages: u64,
    pub(crate) took: Duration,
}

/// The queues that may have messages, each with how many gets it is worth.
#[derive(Debug)]
struct Remaining(VecDeque<(u32, usize)>);

impl Remaining {
    /// Gets for the first queues, `room` in all.
    fn next(&mut self, room: usize) -> Vec<(u32, usize)> {
        let mut taken = Vec::new();
        let mut left = room;
        while left > 0
            && let Some((queue, worth)) = self.0.pop_front()
        {
            let gets = worth.min(left);
            left -= gets;
            taken.push((queue, gets));
        }
        taken
    }

    /// All the gets brought messages: the queue may have more, and is worth more of them.
    fn keep(&mut self, queue: u32, gets: usize) {
        self.0.push_back((queue, gets * 2));
    }
}

/// Gets until every queue has answered that it is empty.
pub(crate) fn drain(
    options: &Arguments,
    run: u32,
    server: &Server,
    verifier: &mut Verifier,
    now_ns: impl Fn() -> u64,
) -> Result<Drained, String> {
    let start = Instant::now();
    // An empty queue is to say so at once.
    let mut dialect = Dialect::new(&options.without_waits(), Some(run));
    let connection = Connection::new(server, CONNECT_TIMEOUT);
    let mut connection = connection.map_err(|error| format!("cannot connect: {error}"))?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|error| error.to_string())?;
    let event = EpollEvent::new(EpollFlags::EPOLLIN, 0);
    epoll.add(&connection, event).map_err(|error| error.to_string())?;
    let consumer = verifier.consumer();
    let room = (BYTES_MAX / options.sizes().max.max(1)).clamp(1, GETS_MAX);
    let mut remaining = all_of(options);
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut drained = Drained::default();
    loop {
        let batch = remaining.next(room);
        if batch.is_empty() {
            // What was open when a connection ended comes back at once or at the end of its lease, and not before that.
            let patience = COME_BACK_MAX + Duration::from_secs(options.lease_s().unwrap_or(0));
            if options.reliable.is_none() || !verifier.is_missing_any() || start.elapsed() > patience {
                break;
            }
            thread::sleep(LOOK_AGAIN);
            remaining = all_of(options);
            continue;
        }
        if start.elapsed() > TIME_MAX {
            return Err(format!("they were not empty after {} s", TIME_MAX.as_secs()));
        }
        let tick = verifier.sending(consumer);
        for queue in batch.iter().flat_map(|(queue, gets)| std::iter::repeat_n(*queue, *gets)) {
            let request = Request { act: Act::Get, queue, number: 0 };
            dialect.append(&mut connection.outbox, request, 0);
            connection.outstanding.push_back(Asked { request, at_ns: 0, tick, bytes: 0, is_repeated: false });
        }
        let empty = answers(&mut connection, &epoll, &dialect, &mut buffer, |asked, body| {
            drained.messages += 1;
            verifier.received(consumer, asked.tick, now_ns(), asked.request.queue, body);
        })?;
        verifier.answered(consumer, None);
        for (queue, gets) in batch.into_iter().filter(|(queue, _)| !empty.contains(queue)) {
            remaining.keep(queue, gets);
        }
    }
    drained.took = start.elapsed();
    Ok(drained)
}

fn all_of(options: &Arguments) -> Remaining {
    Remaining((0..options.queues()).map(|queue| (queue as u32, 1)).collect())
}

/// Sends what is in the outbox, and waits for all the answers. Queues that were empty are returned.
fn answers(
    connection: &mut Connection,
    epoll: &Epoll,
    dialect: &Dialect,
    buffer: &mut [u8],
    mut message: impl FnMut(&Asked, &[u8]),
) -> Result<HashSet<u32>, String> {
    let mut empty = HashSet::new();
    let mut heard = Instant::now();
    while !connection.outstanding.is_empty() {
        let sent = connection.send();
        let received = sent.and_then(|()| {
            connection.receive(dialect, buffer, |asked, answer| {
                heard = Instant::now();
                match answer {
                    Answer::Message { body, .. } => message(&asked, body),
                    Answer::Empty => _ = empty.insert(asked.request.queue),
                    other => return Err(format!("the server answers a get: {other:.80?}")),
                }
                Ok(())
            })
        });
        received.map_err(|(Trouble::Lost(reason) | Trouble::Nonsense(reason))| reason)?;
        if heard.elapsed() > SILENCE_MAX {
            return Err(format!("the server has answered nothing for {} s", SILENCE_MAX.as_secs()));
        }
        if !connection.outstanding.is_empty() {
            let output = if connection.is_sending() { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
            let mut event = EpollEvent::new(EpollFlags::EPOLLIN | output, 0);
            epoll.modify(&*connection, &mut event).map_err(|error| error.to_string())?;
            // Whether it was an answer, a signal or the time that woke it is seen above.
            let _ = epoll.wait(&mut [EpollEvent::empty()], WAIT_MS);
        }
    }
    Ok(empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_queues_are_given_more_gets() {
        let mut remaining = Remaining((0..5).map(|queue| (queue, 1)).collect());
        assert_eq!(remaining.next(3), [(0, 1), (1, 1), (2, 1)]);
        remaining.keep(1, 1);
        assert_eq!(remaining.next(100), [(3, 1), (4, 1), (1, 2)]);
        remaining.keep(1, 2);
        assert_eq!(remaining.next(3), [(1, 3)]);
        assert_eq!(remaining.next(3), []);
    }
}
