//! One thread's clients, and the loop that waits for all of them.

mod client;
mod kills;
mod pace;
mod taking;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Barrier, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::answers::Dialect;
use crate::connection::{CONNECT_TIMEOUT, Connection, Server, Trouble};
use crate::options::{Arguments, Role};
use crate::restart::Gap;
use crate::tally::Tally;
use crate::usage;
use crate::verify::Verifier;
pub(crate) use client::Client;
use kills::Death;
use pace::Pace;
pub(crate) use pace::be_punctual;

/// A server that is silent for so long does not answer any more.
const SILENCE_NS_MAX: u64 = 10_000_000_000;
/// Requests that were due before the end of the run are still sent for so long behind it.
const GRACE_NS: u64 = 5_000_000_000;
/// How long a restarted server may take until it is back.
const RETURN_NS_MAX: u64 = 60_000_000_000;
const RETRY_PAUSE_NS: u64 = 20_000_000;
const SECOND_NS: u64 = 1_000_000_000;
/// How often a thread looks at the clock and for the end of the others when nothing comes.
const TICK_MS: u8 = 20;
const EVENTS_MAX: usize = 256;
const BUFFER_BYTES: usize = 256 * 1024;
/// The timer's number among the clients'.
const TIMER: u64 = u64::MAX;

/// What the threads have in common.
#[derive(Debug)]
pub(crate) struct Shared<'a> {
    pub(crate) options: &'a Arguments,
    pub(crate) server: Server,
    /// All threads, and who started them, begin at once.
    pub(crate) barrier: Barrier,
    pub(crate) start: OnceLock<Instant>,
    /// A thread has failed.
    pub(crate) stop: AtomicBool,
    pub(crate) producers_left: AtomicUsize,
    pub(crate) run: Option<u32>,
    pub(crate) verifier: Option<Mutex<Verifier>>,
    pub(crate) gap: Option<Mutex<Gap>>,
}

impl Shared<'_> {
    /// Nanoseconds since the start of the run.
    pub(crate) fn now_ns(&self) -> u64 {
        self.start.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }

    pub(crate) fn verifier(&self) -> Option<MutexGuard<'_, Verifier>> {
        self.verifier.as_ref().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a thread has to say at the end, besides its tallies.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) failure: Option<String>,
    /// Of a core.
    pub(crate) cpu_share: f64,
    /// Requests that were due, and were never sent.
    pub(crate) unsent: u64,
    /// Requests whose connection broke before they were answered.
    pub(crate) unanswered: u64,
    pub(crate) reconnects: u64,
    /// Connections that consumers dropped with messages open.
    pub(crate) kills: u64,
    /// When the thread had nothing more to do.
    pub(crate) took_ns: u64,
    /// When the last answer to a set came.
    pub(crate) last_set_ns: u64,
}

pub(crate) struct Worker<'a> {
    shared: &'a Shared<'a>,
    end_ns: u64,
    clients: Vec<Client>,
    pace: Pace,
    dialect: Dialect,
    epoll: Epoll,
    buffer: Vec<u8>,
    tally: Box<Tally>,
    second: u64,
    seconds: Sender<(u64, Box<Tally>)>,
    /// Clients that are not finished.
    active: usize,
    /// Requests on their way.
    outstanding: u64,
    heard_ns: u64,
    /// Clients without a connection.
    lost: Vec<usize>,
    lost_since_ns: u64,
    retry_at_ns: u64,
    ended: Ended,
}

fn no_epoll(error: nix::Error) -> String {
    format!("cannot wait for sockets: {error}")
}

impl<'a> Worker<'a> {
    pub(crate) fn new(
        shared: &'a Shared<'a>,
        clients: Vec<Client>,
        thread: usize,
        seconds: Sender<(u64, Box<Tally>)>,
    ) -> Result<Worker<'a>, String> {
        let end_ns = shared.options.time_max().as_nanos() as u64;
        Ok(Worker {
            shared,
            end_ns,
            pace: Pace::new(shared.options, &clients, thread, end_ns)?,
            active: clients.len(),
            clients,
            dialect: Dialect::new(shared.options, shared.run),
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(no_epoll)?,
            buffer: vec![0; BUFFER_BYTES],
            tally: Box::new(Tally::new()),
            second: 0,
            seconds,
            outstanding: 0,
            heard_ns: 0,
            lost: Vec::new(),
            lost_since_ns: 0,
            retry_at_ns: 0,
            ended: Ended::default(),
        })
    }

    /// Puts the load on. What was counted until a failure is counted.
    pub(crate) fn run(mut self) -> Ended {
        let prepared = self.prepare();
        self.shared.barrier.wait();
        let cpu_before = usage::of_this_thread();
        let outcome = prepared.and_then(|()| self.serve());
        self.count_unsent();
        // Closing the connections is no part of it.
        self.ended.took_ns = self.shared.now_ns();
        let wall = Duration::from_nanos(self.ended.took_ns).as_secs_f64();
        self.ended.cpu_share = (usage::of_this_thread() - cpu_before).as_secs_f64() / wall.max(1e-9);
        if let Err(reason) = outcome {
            self.shared.stop.store(true, Ordering::Relaxed);
            self.ended.failure = Some(reason);
        }
        // The receiver is gone only if the run has failed.
        let _ = self.seconds.send((self.second, self.tally));
        self.ended
    }

    fn prepare(&mut self) -> Result<(), String> {
        for (number, client) in self.clients.iter().enumerate() {
            if let Some(connection) = &client.connection {
                let event = EpollEvent::new(EpollFlags::EPOLLIN, number as u64);
                self.epoll.add(connection, event).map_err(no_epoll)?;
            }
        }
        self.epoll.add(&self.pace.timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER)).map_err(no_epoll)
    }

    fn serve(&mut self) -> Result<(), String> {
        for client in 0..self.clients.len() {
            self.settle(client)?;
        }
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now_ns = self.shared.now_ns();
            self.turn_second(now_ns);
            self.reconnect(now_ns)?;
            self.release(now_ns)?;
            if self.active == 0 {
                break;
            }
            self.check_silence(now_ns)?;
            self.pace.arm(self.shared.now_ns())?;
            let ready = match self.epoll.wait(&mut events, TICK_MS) {
                Err(nix::Error::EINTR) => 0,
                ready => ready.map_err(no_epoll)?,
            };
            for event in &events[..ready] {
                match event.data() {
                    TIMER => self.pace.disarm(),
                    client => self.handle(client as usize, event.events())?,
                }
            }
        }
        Ok(())
    }

    /// Something happened on a client's socket.
    fn handle(&mut self, number: usize, events: EpollFlags) -> Result<(), String> {
        let outcome = if events == EpollFlags::EPOLLOUT { Ok(()) } else { self.receive(number) };
        match outcome.and_then(|()| self.send(number)) {
            Ok(()) => {}
            Err(trouble) => return self.lose(number, trouble),
        }
        if self.kill_at(number, Death::WithMessage)? {
            return Ok(());
        }
        self.settle(number)?;
        self.kill_at(number, Death::Asking).map(drop)
    }

    /// Sends what the socket takes, and listens for when it takes more.
    fn send(&mut self, number: usize) -> Result<(), Trouble> {
        let client = &mut self.clients[number];
        let Some(connection) = &mut client.connection else {
            return Ok(());
        };
        connection.send()?;
        if connection.is_sending() != client.waits_to_send {
            client.waits_to_send = connection.is_sending();
            let output = if client.waits_to_send { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
            let mut event = EpollEvent::new(EpollFlags::EPOLLIN | output, number as u64);
            let modified = self.epoll.modify(connection, &mut event);
            return modified.map_err(|error| Trouble::Lost(no_epoll(error)));
        }
        Ok(())
    }

    /// Decides what a client does next: nothing yet, a new batch, or nothing any more.
    fn settle(&mut self, number: usize) -> Result<(), String> {
        let now_ns = self.shared.now_ns();
        let over = self.is_over(number, now_ns);
        let client = &mut self.clients[number];
        if client.finished || client.connection.is_none() {
            return Ok(());
        }
        let idle = client.connection.as_ref().is_none_or(|connection| connection.outstanding.is_empty());
        if self.pace.is_paced(number) {
            let more = !over && client.left != Some(0) && self.pace.goes_on(number);
            if more {
                self.pace.has_room(number, client, self.shared.options.pipeline);
            } else if idle {
                return self.finish(number, now_ns);
            }
            return Ok(());
        }
        if !idle {
            return Ok(());
        }
        let count =
            client.left.map_or(u64::MAX, |left| left).min(client.in_flight_max(self.shared.options.batch()) as u64);
        if over || count == 0 {
            return self.finish(number, now_ns);
        }
        self.fill(number, count, now_ns);
        self.send(number).or_else(|trouble| self.lose(number, trouble))
    }

    /// The client may begin nothing more. A paced one may still send what was due before the end.
    fn is_over(&self, number: usize, now_ns: u64) -> bool {
        let client = &self.clients[number];
        let grace_ns = if self.pace.is_paced(number) { GRACE_NS } else { 0 };
        let alone = client.role == Role::Consumer
            && self.shared.options.producers.unwrap_or(0) > 0
            && self.shared.producers_left.load(Ordering::Relaxed) == 0;
        alone || now_ns >= self.end_ns + grace_ns
    }

    /// A client whose requests are all answered has no more of them, but to acknowledge what it has open.
    fn finish(&mut self, number: usize, now_ns: u64) -> Result<(), String> {
        let last = self.clients[number].last_requests();
        if !last.is_empty() {
            self.ask(number, last.into_iter(), now_ns);
            return self.send(number).or_else(|trouble| self.lose(number, trouble));
        }
        let client = &mut self.clients[number];
        client.finished = true;
        self.active -= 1;
        if client.role == Role::Producer {
            self.shared.producers_left.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn turn_second(&mut self, now_ns: u64) {
        let second = now_ns / SECOND_NS;
        if second > self.second {
            let tally = std::mem::replace(&mut self.tally, Box::new(Tally::new()));
            let _ = self.seconds.send((self.second, tally));
            self.second = second;
        }
    }

    fn check_silence(&mut self, now_ns: u64) -> Result<(), String> {
        if self.outstanding == 0 || !self.lost.is_empty() {
            self.heard_ns = now_ns;
        }
        // A get that waits is answered after its time, and those behind it on its connection wait for that.
        let waits_ms = u64::from(self.shared.options.wait.unwrap_or(0)) * self.shared.options.batch() as u64;
        let silence_ns_max = SILENCE_NS_MAX + waits_ms * 1_000_000;
        if now_ns.saturating_sub(self.heard_ns) > silence_ns_max {
            let (seconds, requests) = (silence_ns_max / SECOND_NS, self.outstanding);
            return Err(format!("the server has answered nothing for {seconds} s; {requests} requests are unanswered"));
        }
        Ok(())
    }

    /// A connection is of no more use. That is the end, unless the server is being restarted.
    fn lose(&mut self, number: usize, trouble: Trouble) -> Result<(), String> {
        let reason = match trouble {
            Trouble::Nonsense(reason) => return Err(reason),
            Trouble::Lost(reason) => reason,
        };
        let now_ns = self.shared.now_ns();
        let client = &mut self.clients[number];
        let Some(connection) = client.connection.take() else {
            return Ok(());
        };
        let unanswered = connection.outstanding.len() as u64;
        if self.shared.gap.is_none() {
            let seconds = now_ns as f64 / SECOND_NS as f64;
            let words = self.tally.first_error.as_ref().map(|it| format!("; it had said {it}")).unwrap_or_default();
            return Err(format!("{reason} after {seconds:.1} s, with {unanswered} requests unanswered{words}"));
        }
        if let Some(mut verifier) = self.shared.verifier() {
            verifier.dropped(client.consumer, connection.outstanding.iter().map(|asked| &asked.request));
        }
        self.wait_for_return(number, unanswered);
        Ok(())
    }

    /// A client has no connection any more, and with it so many requests have gone without an answer.
    fn wait_for_return(&mut self, number: usize, unanswered: u64) {
        let now_ns = self.shared.now_ns();
        self.outstanding -= unanswered;
        self.ended.unanswered += unanswered;
        let client = &mut self.clients[number];
        client.workload.take_pending();
        client.open.clear();
        client.waits_to_send = false;
        if let Some(mut verifier) = self.shared.verifier() {
            client.workload.become_producer(verifier.producer());
        }
        if self.lost.is_empty() {
            self.lost_since_ns = now_ns;
            self.retry_at_ns = now_ns + RETRY_PAUSE_NS;
        }
        self.lost.push(number);
    }

    /// Gives a client a new connection.
    fn listen(&mut self, number: usize, connection: Connection) -> Result<(), String> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, number as u64);
        self.epoll.add(&connection, event).map_err(no_epoll)?;
        self.clients[number].connection = Some(connection);
        Ok(())
    }

    /// Makes lost connections again, with a pause where the server is not back yet.
    fn reconnect(&mut self, now_ns: u64) -> Result<(), String> {
        while let Some(number) = self.lost.last().copied().filter(|_| now_ns >= self.retry_at_ns) {
            if now_ns.saturating_sub(self.lost_since_ns) > RETURN_NS_MAX {
                return Err(format!("the server did not come back within {} s", RETURN_NS_MAX / SECOND_NS));
            }
            // At the end of the run too: the drain that follows finds the server back.
            let Ok(connection) = Connection::new(&self.shared.server, CONNECT_TIMEOUT) else {
                self.retry_at_ns = self.shared.now_ns() + RETRY_PAUSE_NS;
                return Ok(());
            };
            self.listen(number, connection)?;
            self.ended.reconnects += 1;
            self.lost.pop();
            self.settle(number)?;
        }
        Ok(())
    }
}
