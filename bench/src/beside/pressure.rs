//! The connections that put the load on, in a thread of their own. Requests are made beforehand and answers are read
//! but not looked into, so that the server has more to do than this.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use memchr::memchr_iter;
use nix::libc::linger;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::socket::{setsockopt, sockopt};

use super::gate::Gate;
use super::load::{Plan, Step};
use crate::connection::CONNECT_TIMEOUT;
use crate::usage;

const BUFFER_BYTES: usize = 256 * 1024;
const EVENTS_MAX: usize = 64;
/// How long the end waits for the answers to what was sent; connections are reset then.
const ENDING_MAX: Duration = Duration::from_secs(2);
/// How often the thread looks for the end when nothing comes.
const TICK_MS: u8 = 20;
/// Asked behind the requests of a step that has an end: its answer is the last.
const MARK: &[u8] = b"version\r\n";
const MARKED: &[u8] = b"VERSION";
/// As much of a step's first answer as is kept.
const FIRST_BYTES: usize = 80;
/// More than the version's line can have.
const TAIL_BYTES: usize = 256;

/// What the load came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pressed {
    /// Requests of the load that were answered, or handled where they have no answer.
    pub(crate) requests: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// How long the load was on.
    pub(crate) took: Duration,
    /// Of a core.
    pub(crate) cpu_share: f64,
}

struct Line {
    socket: TcpStream,
    step: usize,
    /// How often this step's bytes are sent.
    round: u64,
    sent: usize,
    /// The mark is being sent.
    is_marking: bool,
    /// The end of what was received since the step began.
    tail: Vec<u8>,
    /// The beginning of what was received since the step began.
    first: Vec<u8>,
    waits_to_send: bool,
    /// The mark is sent behind the requests that were begun, and then nothing more.
    is_ending: bool,
    is_ended: bool,
    /// Lines of the load's answers.
    answers: u64,
}

/// Puts the load on until the gate says that it is over.
pub(super) fn press(plan: &Plan, address: &SocketAddr, gate: &Gate) -> Result<Pressed, String> {
    let pressed = Pressure::new(plan, address, gate).and_then(Pressure::run);
    gate.end();
    pressed
}

struct Pressure<'a> {
    plan: &'a Plan,
    gate: &'a Gate,
    epoll: Epoll,
    lines: Vec<Line>,
    buffer: Vec<u8>,
    pressed: Pressed,
    /// When the load last began.
    since: Option<Instant>,
}

impl<'a> Pressure<'a> {
    fn new(plan: &'a Plan, address: &SocketAddr, gate: &'a Gate) -> Result<Pressure<'a>, String> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(no_epoll)?;
        let mut lines = Vec::new();
        for number in 0..plan.connections {
            let line = Line::new(address).map_err(|error| format!("cannot connect the load to {address}: {error}"))?;
            let events = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT;
            epoll.add(&line.socket, EpollEvent::new(events, number as u64)).map_err(no_epoll)?;
            lines.push(line);
        }
        let buffer = vec![0; BUFFER_BYTES];
        Ok(Pressure { plan, gate, epoll, lines, buffer, pressed: Pressed::default(), since: None })
    }

    fn run(mut self) -> Result<Pressed, String> {
        let (cpu_before, began) = (usage::of_this_thread(), Instant::now());
        let is_prepared = self.plan.steps.first().is_some_and(|step| !step.is_load);
        if !is_prepared {
            self.begin();
        }
        while !self.gate.is_over() {
            self.turn_all()?;
        }
        self.pause();
        for line in &self.lines {
            let load = self.plan.steps.iter().find(|step| step.is_load);
            self.pressed.requests += load.map_or(0, |step| line.answers * step.requests / step.lines);
        }
        let cpu = usage::of_this_thread() - cpu_before;
        self.pressed.cpu_share = cpu.as_secs_f64() / began.elapsed().as_secs_f64().max(1e-9);
        self.end();
        Ok(self.pressed)
    }

    /// Waits for a while until all that was sent is answered, so that the queues can be removed.
    fn end(&mut self) {
        let end = Instant::now() + ENDING_MAX;
        self.lines.iter_mut().for_each(|line| line.is_ending = true);
        while self.lines.iter().any(|line| !line.is_ended) && Instant::now() < end {
            // The measurement is over: what goes wrong now is none of it.
            if self.turn_all().is_err() {
                return;
            }
        }
    }

    /// Waits for sockets, and serves those that are ready.
    fn turn_all(&mut self) -> Result<(), String> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let ready = match self.epoll.wait(&mut events, TICK_MS) {
            Err(nix::Error::EINTR) => 0,
            ready => ready.map_err(no_epoll)?,
        };
        events[..ready].iter().try_for_each(|event| self.turn(event.data() as usize))
    }

    fn begin(&mut self) {
        self.since = Some(Instant::now());
        self.gate.open();
    }

    fn pause(&mut self) {
        self.pressed.took += self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// Reads once and sends what the socket takes.
    fn turn(&mut self, number: usize) -> Result<(), String> {
        let line = &mut self.lines[number];
        let step = &self.plan.steps[line.step];
        let bytes = line.receive(&mut self.buffer, step)?;
        self.pressed.bytes_received += bytes as u64;
        if line.is_ending {
            line.is_ended |= line.is_answered();
        } else {
            if step.is_load {
                line.answers += memchr_iter(b'\n', &self.buffer[..bytes]).count() as u64;
            }
            if line.is_answered() {
                self.next_step(number);
            }
        }
        let line = &mut self.lines[number];
        self.pressed.bytes_sent += line.send(&self.plan.steps[line.step])?;
        let wants = line.has_more();
        if wants != line.waits_to_send {
            line.waits_to_send = wants;
            let output = if wants { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
            let mut event = EpollEvent::new(EpollFlags::EPOLLIN | output, number as u64);
            self.epoll.modify(&line.socket, &mut event).map_err(no_epoll)?;
        }
        Ok(())
    }

    fn next_step(&mut self, number: usize) {
        let line = &mut self.lines[number];
        let was_load = self.plan.steps[line.step].is_load;
        line.begin((line.step + 1) % self.plan.steps.len());
        match (was_load, self.plan.steps[line.step].is_load) {
            (true, false) => {
                self.pause();
                self.gate.close();
            }
            (false, true) => self.begin(),
            _ => {}
        }
    }
}

fn no_epoll(error: nix::Error) -> String {
    format!("cannot wait for sockets: {error}")
}

impl Line {
    fn new(address: &SocketAddr) -> std::io::Result<Line> {
        let socket = TcpStream::connect_timeout(address, CONNECT_TIMEOUT)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        // At the end there may be megabytes of requests on their way, which the next load does not have to wait for.
        setsockopt(&socket, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 })?;
        Ok(Line {
            socket,
            step: 0,
            round: 0,
            sent: 0,
            is_marking: false,
            tail: Vec::new(),
            first: Vec::new(),
            waits_to_send: true,
            is_ending: false,
            is_ended: false,
            answers: 0,
        })
    }

    fn begin(&mut self, step: usize) {
        (self.step, self.round, self.sent, self.is_marking) = (step, 0, 0, false);
        self.tail.clear();
        self.first.clear();
    }

    fn has_more(&self) -> bool {
        !self.is_marking || self.sent < MARK.len()
    }

    /// Sends what the socket takes, but not more than the step's bytes once.
    fn send(&mut self, step: &Step) -> Result<u64, String> {
        let mut bytes = 0;
        while self.has_more() {
            let block = if self.is_marking { MARK } else { &step.bytes };
            match self.socket.write(&block[self.sent..]) {
                Ok(written) => {
                    bytes += written as u64;
                    self.sent += written;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(format!("the load cannot be sent: {error}")),
            }
            if !self.is_marking && self.sent == block.len() {
                self.round += 1;
                self.sent = 0;
                self.is_marking = step.times == Some(self.round) || self.is_ending;
                // The others have their turn.
                break;
            }
        }
        Ok(bytes)
    }

    /// Reads once.
    fn receive(&mut self, buffer: &mut [u8], step: &Step) -> Result<usize, String> {
        let bytes = match self.socket.read(buffer) {
            Ok(0) => return Err(String::from("the server closed a connection of the load")),
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(0),
            Err(error) => return Err(format!("the load's answers cannot be read: {error}")),
        };
        let last = &buffer[bytes.saturating_sub(TAIL_BYTES)..bytes];
        if last.len() < TAIL_BYTES {
            let kept = self.tail.len().min(TAIL_BYTES - last.len());
            self.tail.drain(..self.tail.len() - kept);
        } else {
            self.tail.clear();
        }
        self.tail.extend_from_slice(last);
        self.check(&buffer[..bytes], step.answer)?;
        Ok(bytes)
    }

    /// Looks at the step's first answer, of which `bytes` may be a part.
    fn check(&mut self, bytes: &[u8], wanted: &[u8]) -> Result<(), String> {
        let known = self.first.len();
        self.first.extend_from_slice(&bytes[..bytes.len().min(FIRST_BYTES - known)]);
        if known >= wanted.len() || self.first.len() < wanted.len() || self.first.starts_with(wanted) {
            return Ok(());
        }
        let line = self.first.split(|byte| *byte == b'\r').next().unwrap_or_default();
        Err(format!("the load is answered {}, not {}", line.escape_ascii(), wanted.escape_ascii()))
    }

    /// The mark was answered, and so was all before it.
    fn is_answered(&self) -> bool {
        if !self.is_marking || self.has_more() {
            return false;
        }
        let Some(lines) = self.tail.strip_suffix(b"\r\n") else { return false };
        lines.rsplit(|byte| *byte == b'\n').next().is_some_and(|line| line.starts_with(MARKED))
    }
}
