//! The client that is measured: it sets a message and gets it back, with one request in flight.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use protocol::response::{self, Response};

use super::gate::Gate;
use crate::connection::CONNECT_TIMEOUT;
use crate::{tally, usage};

/// On a server with several shards some are on the load's and some are not.
const CONNECTIONS: usize = 8;
/// Queues, in turn. Not a multiple of the connections, so that each connection comes to each queue.
const QUEUES: usize = 61;
/// A server that is silent for so long does not answer any more.
const SILENCE_MAX: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 64 * 1024;
/// The share of the time that is not counted at first.
const WARM_UP: f64 = 0.1;
/// Preparing a load takes time that is not counted; the whole ends after so many times what is counted, and this.
const PREPARATIONS_MAX: u32 = 10;
const PREPARATION_MAX: Duration = Duration::from_secs(30);

/// What the client felt.
#[derive(Debug)]
pub(crate) struct Felt {
    /// How long a set and the get behind it took together, in nanoseconds.
    pub(crate) latency_ns: Histogram<u64>,
    /// In how much time.
    pub(crate) took: Duration,
    /// How much of that the thread could have run, but had no CPU; None where the system does not say.
    pub(crate) waited: Option<Duration>,
}

/// The queues that the client uses.
pub(super) fn queues(prefix: &str) -> Vec<String> {
    (0..QUEUES).map(|number| format!("{prefix}-probe-{number}")).collect()
}

/// Measures for `time` while the gate is open, and then ends what is beside it.
pub(super) fn probe(
    address: &SocketAddr,
    prefix: &str,
    body_bytes: usize,
    time: Duration,
    gate: &Gate,
) -> Result<Felt, String> {
    let felt = Probe::new(address, prefix, body_bytes).and_then(|probe| probe.run(time, gate));
    gate.end();
    felt
}

struct Probe {
    wires: Vec<Wire>,
    queues: Vec<String>,
    body: Vec<u8>,
}

impl Probe {
    fn new(address: &SocketAddr, prefix: &str, body_bytes: usize) -> Result<Probe, String> {
        let wires = (0..CONNECTIONS).map(|_| Wire::new(address)).collect::<Result<_, _>>()?;
        Ok(Probe { wires, queues: queues(prefix), body: vec![b'p'; body_bytes] })
    }

    fn run(mut self, time: Duration, gate: &Gate) -> Result<Felt, String> {
        let warm_up = time.mul_f64(WARM_UP);
        let end = Instant::now() + (time + warm_up) * PREPARATIONS_MAX + PREPARATION_MAX;
        let mut felt = Felt { latency_ns: tally::latencies(), took: Duration::ZERO, waited: None };
        let mut warmed = Duration::ZERO;
        let mut waited_before = None;
        for number in 0.. {
            if felt.took >= time || Instant::now() >= end || !gate.enter() {
                break;
            }
            let took = self.pair(number);
            gate.leave();
            let took = took?;
            if warmed < warm_up {
                warmed += took;
                waited_before = usage::waited_by_this_thread();
                continue;
            }
            felt.latency_ns.saturating_record(took.as_nanos() as u64);
            felt.took += took;
        }
        felt.waited = usage::waited_by_this_thread().zip(waited_before).and_then(|(now, then)| now.checked_sub(then));
        Ok(felt)
    }

    /// Sets and gets once; how long both took.
    fn pair(&mut self, number: usize) -> Result<Duration, String> {
        let wire = &mut self.wires[number % CONNECTIONS];
        let queue = &self.queues[number % QUEUES];
        // So that a message of another pair is known.
        let stamp = number.to_be_bytes();
        let stamped = stamp.len().min(self.body.len());
        self.body[..stamped].copy_from_slice(&stamp[stamp.len() - stamped..]);
        let line = format!("set {queue} 0 0 {}\r\n", self.body.len());
        let set = [line.as_bytes(), &self.body, b"\r\n"].concat();
        let get = format!("get {queue}\r\n");
        let began = Instant::now();
        wire.ask(&set, |response| match response {
            Response::Stored => Ok(true),
            other => Err(format!("the set beside the load is answered {other:?}")),
        })?;
        let mut messages = 0;
        let body = &self.body;
        wire.ask(get.as_bytes(), |response| match response {
            Response::Value { body: got, .. } if got == body => {
                messages += 1;
                Ok(false)
            }
            Response::Value { .. } => Err(format!("queue {queue} has a message that is not the one put there")),
            Response::End if messages == 1 => Ok(true),
            other => Err(format!("the get beside the load is answered {other:?}")),
        })?;
        Ok(began.elapsed())
    }
}

/// A connection that waits for its answers.
pub(super) struct Wire {
    socket: TcpStream,
    input: Vec<u8>,
}

impl Wire {
    pub(super) fn new(address: &SocketAddr) -> Result<Wire, String> {
        let failed = |error: std::io::Error| format!("cannot connect to {address}: {error}");
        let socket = TcpStream::connect_timeout(address, CONNECT_TIMEOUT).map_err(failed)?;
        socket.set_nodelay(true).map_err(failed)?;
        socket.set_read_timeout(Some(SILENCE_MAX)).map_err(failed)?;
        socket.set_write_timeout(Some(SILENCE_MAX)).map_err(failed)?;
        Ok(Wire { socket, input: Vec::new() })
    }

    /// Sends requests, and hands each response to `look` until it says that this was the last.
    pub(super) fn ask(
        &mut self,
        bytes: &[u8],
        mut look: impl FnMut(Response<'_>) -> Result<bool, String>,
    ) -> Result<(), String> {
        self.socket.write_all(bytes).map_err(failed)?;
        loop {
            while let Some((used, response)) = response::next(&self.input) {
                let is_last = look(response)?;
                self.input.drain(..used);
                if is_last {
                    return Ok(());
                }
            }
            let filled = self.input.len();
            self.input.resize(filled + READ_BYTES, 0);
            let read = self.socket.read(&mut self.input[filled..]);
            self.input.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Err(String::from("the server closed the connection")),
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(failed(error)),
                _ => {}
            }
        }
    }
}

fn failed(error: std::io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock => format!("the server has answered nothing for {} s", SILENCE_MAX.as_secs()),
        _ => error.to_string(),
    }
}
