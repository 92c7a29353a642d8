//! The buyers: each asks until it is answered. One thread, so that all times are of one clock and in one order.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::RUN;
use super::check::{Ask, Told};
use super::kills::Progress;
use super::ledger::Ledger;
use super::slot::{Errand, Slot, Step};
use super::told::{Untold, told};
use crate::answers::Dialect;
use crate::connection::{Asked, Connection, Trouble};
use crate::options::Arguments;
use crate::schedule::{Schedule, Waiting};
use crate::workload::Request;

/// How long a buyer goes on asking.
const PATIENCE_NS: u64 = 60_000_000_000;
/// How often the loop looks at the kills when nothing comes.
const TICK_MS: u8 = 5;
const EVENTS_MAX: usize = 256;
const BUFFER_BYTES: usize = 64 * 1024;
/// Buyers that come before the loop looks for answers: an answer counts from when it is seen.
const LET_IN_MAX: usize = 32;
/// The timer's number among the slots'.
const TIMER: u64 = u64::MAX;
/// Winners that ask again when the server is back from a kill: the last, whose tickets were the least safe.
const AGAIN_MAX: usize = 32;

pub(super) struct Rush<'a> {
    options: &'a Arguments,
    address: SocketAddr,
    progress: &'a Progress,
    dialect: Dialect,
    epoll: Epoll,
    timer: TimerFd,
    armed_ns: Option<u64>,
    slots: Vec<Slot>,
    idle: Vec<usize>,
    /// Slots that pause before they ask again.
    resting: Waiting,
    schedule: Option<Schedule>,
    /// The next buyer to come.
    next: u32,
    /// Winners that are to ask again.
    again: VecDeque<u32>,
    returned: u32,
    buffer: Vec<u8>,
    ledger: Ledger,
}

fn no_epoll(error: nix::Error) -> String {
    format!("cannot wait for sockets: {error}")
}

impl<'a> Rush<'a> {
    /// The connections are made.
    pub(super) fn new(
        options: &'a Arguments,
        address: SocketAddr,
        connections: Vec<Connection>,
        progress: &'a Progress,
    ) -> Result<Rush<'a>, String> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(no_epoll)?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK);
        let timer = timer.map_err(|error| format!("cannot set a timer: {error}"))?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER)).map_err(no_epoll)?;
        for (number, connection) in connections.iter().enumerate() {
            epoll.add(connection, EpollEvent::new(EpollFlags::EPOLLIN, number as u64)).map_err(no_epoll)?;
        }
        let slots: Vec<Slot> = connections.into_iter().map(Slot::new).collect();
        Ok(Rush {
            options,
            address,
            progress,
            dialect: Dialect::new(options, None),
            epoll,
            timer,
            armed_ns: None,
            idle: (0..slots.len()).rev().collect(),
            slots,
            resting: Waiting::default(),
            schedule: options.rate.map(|rate| Schedule::new(rate, 0, 1, u64::MAX)),
            next: 0,
            again: VecDeque::new(),
            returned: 0,
            buffer: vec![0; BUFFER_BYTES],
            ledger: Ledger::new(),
        })
    }

    /// Lets all buyers come. What was told until a failure is told.
    pub(super) fn run(mut self) -> (Ledger, Result<(), String>) {
        let outcome = self.serve();
        (self.ledger, outcome)
    }

    fn serve(&mut self) -> Result<(), String> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        loop {
            if self.progress.is_stopped() {
                return Err(self.progress.failure().unwrap_or_else(|| String::from("the run was stopped")));
            }
            self.look_at_kills();
            while let Some(slot) = self.resting.pop(self.progress.now_ns()) {
                self.ask(slot)?;
            }
            let are_more_due = self.let_in()?;
            let buyers = self.options.buyers.unwrap_or(0);
            if self.idle.len() == self.slots.len() && self.next == buyers && self.again.is_empty() {
                return Ok(());
            }
            self.arm()?;
            let ready = match self.epoll.wait(&mut events, if are_more_due { 0 } else { TICK_MS }) {
                Err(nix::Error::EINTR) => 0,
                ready => ready.map_err(no_epoll)?,
            };
            for event in &events[..ready] {
                match event.data() {
                    TIMER => {
                        // It does not block, and has nothing to say.
                        let _ = self.timer.wait();
                        self.armed_ns = None;
                    }
                    slot => self.handle(slot as usize, event.events())?,
                }
            }
        }
    }

    /// Has the last winners ask again when the server is back from a kill.
    fn look_at_kills(&mut self) {
        let returned = self.progress.returned.load(Ordering::Relaxed);
        if returned > self.returned {
            self.returned = returned;
            let last = self.ledger.winners.len().saturating_sub(AGAIN_MAX);
            self.again.extend(&self.ledger.winners[last..]);
        }
    }

    /// Gives some idle slots what is due. True: more may be due.
    fn let_in(&mut self) -> Result<bool, String> {
        let may_come = self.progress.may_come.load(Ordering::Relaxed);
        for _ in 0..LET_IN_MAX {
            let Some(slot) = self.idle.last().copied() else { return Ok(false) };
            let now_ns = self.progress.now_ns();
            let errand = if let Some(winner) = self.again.pop_front() {
                Errand::again(winner, now_ns)
            } else if self.next < may_come {
                let due_ns = match &mut self.schedule {
                    Some(schedule) => schedule.take(now_ns),
                    None => Some(now_ns),
                };
                let Some(due_ns) = due_ns else { return Ok(false) };
                self.next += 1;
                self.progress.came.store(self.next, Ordering::Relaxed);
                Errand::first(self.options, self.next - 1, due_ns)
            } else {
                return Ok(false);
            };
            self.idle.pop();
            self.slots[slot].errand = Some(errand);
            self.ask(slot)?;
        }
        Ok(true)
    }

    /// Lets the timer go off when something is due next.
    fn arm(&mut self) -> Result<(), String> {
        let may_come = self.next < self.progress.may_come.load(Ordering::Relaxed) && !self.idle.is_empty();
        let due_ns = self.schedule.as_ref().filter(|_| may_come).and_then(Schedule::due);
        let next_ns = due_ns.into_iter().chain(self.resting.next()).min();
        let Some(next_ns) = next_ns.filter(|next_ns| self.armed_ns != Some(*next_ns)) else { return Ok(()) };
        let wait = Duration::from_nanos(next_ns.saturating_sub(self.progress.now_ns()).max(1));
        let when = Expiration::OneShot(TimeSpec::from_duration(wait));
        self.timer.set(when, TimerSetTimeFlags::empty()).map_err(|error| format!("cannot set a timer: {error}"))?;
        self.armed_ns = Some(next_ns);
        Ok(())
    }

    /// Sends a slot's request, over a new connection if it has none.
    fn ask(&mut self, number: usize) -> Result<(), String> {
        let slot = &mut self.slots[number];
        let Some(errand) = &mut slot.errand else { return Ok(()) };
        if slot.connection.is_none() {
            match Connection::begin(&self.address) {
                Ok(connection) => {
                    let event = EpollEvent::new(EpollFlags::EPOLLIN, number as u64);
                    self.epoll.add(&connection, event).map_err(no_epoll)?;
                    slot.connection = Some(connection);
                    slot.waits_to_send = false;
                }
                Err(error) => return self.lose(number, Trouble::Lost(error.to_string())),
            }
        }
        let Some(connection) = &mut slot.connection else { return Ok(()) };
        let act = errand.step.act();
        let request = Request { act, queue: 0, number: u64::from(errand.buyer) };
        self.dialect.append(&mut connection.outbox, request, RUN);
        let sent_ns = self.progress.now_ns();
        errand.sent_ns = sent_ns;
        // Without a schedule a request is due when it is sent.
        if errand.attempts == 0 && self.schedule.is_none() {
            errand.due_ns = sent_ns;
        }
        let asked = Asked { request, at_ns: sent_ns, tick: 0, bytes: 0, is_repeated: errand.attempts > 0 };
        connection.outstanding.push_back(asked);
        match self.send(number) {
            Ok(()) if self.slots[number].drops_now() => {
                self.lose(number, Trouble::Lost(String::from("the buyer dropped its connection")))
            }
            Ok(()) => Ok(()),
            Err(trouble) => self.lose(number, trouble),
        }
    }

    /// Sends what the socket takes, and listens for when it takes more.
    fn send(&mut self, number: usize) -> Result<(), Trouble> {
        let slot = &mut self.slots[number];
        let Some(connection) = &mut slot.connection else { return Ok(()) };
        connection.send()?;
        if connection.is_sending() != slot.waits_to_send {
            slot.waits_to_send = connection.is_sending();
            let output = if slot.waits_to_send { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
            let mut event = EpollEvent::new(EpollFlags::EPOLLIN | output, number as u64);
            let modified = self.epoll.modify(connection, &mut event);
            return modified.map_err(|error| Trouble::Lost(no_epoll(error)));
        }
        Ok(())
    }

    /// Something happened on a slot's socket.
    fn handle(&mut self, number: usize, events: EpollFlags) -> Result<(), String> {
        let Some(connection) = &mut self.slots[number].connection else { return Ok(()) };
        let mut answer = None;
        let progress = self.progress;
        let received = if events == EpollFlags::EPOLLOUT {
            Ok(())
        } else {
            connection.receive(&self.dialect, &mut self.buffer, |asked, said| {
                answer = Some((progress.now_ns(), told(asked.request.act, said)));
                Ok(())
            })
        };
        if let Some((heard_ns, told)) = answer {
            self.hear(number, heard_ns, told)?;
        }
        match received.and_then(|()| self.send(number)) {
            Ok(()) if self.slots[number].drops_now() => {
                self.lose(number, Trouble::Lost(String::from("the buyer dropped its connection")))
            }
            Ok(()) => Ok(()),
            Err(trouble) => self.lose(number, trouble),
        }
    }

    /// A slot's request is answered.
    fn hear(&mut self, number: usize, heard_ns: u64, told: Result<Told, Untold>) -> Result<(), String> {
        let slot = &mut self.slots[number];
        let Some(errand) = &mut slot.errand else { return Ok(()) };
        let told = match told {
            Ok(told) => told,
            Err(Untold::NotNow(reason)) => {
                self.ledger.not_now += 1;
                return self.lose(number, Trouble::Lost(reason));
            }
            Err(nonsense) => return Err(format!("{nonsense}, which is no answer of a gate")),
        };
        self.ledger.sent(errand.sent_ns);
        let ask = Ask { buyer: errand.buyer, sent_ns: errand.sent_ns, told: Some((heard_ns, told)) };
        if errand.step == Step::First {
            self.ledger.first(ask, errand.due_ns);
        } else {
            self.ledger.asks.push(ask);
        }
        let is_seat = matches!(told, Told::Seat(_));
        if is_seat && errand.step == Step::First {
            self.progress.seats.fetch_add(1, Ordering::Relaxed);
            if self.options.gate_hold_s() > 0 {
                errand.pay(heard_ns);
                return self.ask(number);
            }
        }
        slot.errand = None;
        self.idle.push(number);
        Ok(())
    }

    /// A slot's connection is of no more use, or its buyer is to ask again. It pauses, and asks over another one.
    fn lose(&mut self, number: usize, trouble: Trouble) -> Result<(), String> {
        let reason = match trouble {
            Trouble::Nonsense(reason) => return Err(reason),
            Trouble::Lost(reason) => reason,
        };
        let now_ns = self.progress.now_ns();
        let slot = &mut self.slots[number];
        let was_sent = slot.connection.take().is_some_and(|connection| connection.has_sent());
        let Some(errand) = &mut slot.errand else { return Ok(()) };
        if was_sent {
            self.ledger.sent(errand.sent_ns);
            self.ledger.untold(errand.buyer, errand.sent_ns);
            self.ledger.unanswered += 1;
        }
        let pause_ns = errand.fail();
        if now_ns.saturating_sub(errand.began_ns) > PATIENCE_NS {
            let (buyer, seconds) = (errand.buyer, PATIENCE_NS / 1_000_000_000);
            return Err(format!("buyer {buyer} has asked for {seconds} s, and was not answered: {reason}"));
        }
        self.resting.push(now_ns + pause_ns, number);
        Ok(())
    }
}
