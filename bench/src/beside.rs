//! What a client feels beside a load: the time of its set and get, while other connections do one thing all the time.

mod gate;
mod load;
mod pressure;
mod probe;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::thread;
use std::time::SystemTime;

use protocol::response::Response;

use crate::connection::reachable;
use crate::options::{Arguments, Load};
use gate::Gate;
use load::Plan;
pub(crate) use pressure::Pressed;
pub(crate) use probe::Felt;
use probe::Wire;

/// One load, and what was felt beside it.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) load: Load,
    pub(crate) outcome: Result<(Felt, Pressed), String>,
}

/// All loads that were asked for.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) began: SystemTime,
    pub(crate) loads: Vec<Measured>,
}

impl Beside {
    pub(crate) fn is_good(&self) -> bool {
        self.loads.iter().all(|it| it.outcome.is_ok())
    }
}

/// Measures beside each load that the options name, one after the other.
pub(crate) fn run(options: &Arguments) -> Result<Beside, String> {
    let address = reachable(options)?;
    let began = SystemTime::now();
    let mut loads = Vec::new();
    for load in Load::of(&options.beside) {
        if std::io::stderr().is_terminal() {
            eprintln!("beside {} ...", load.name());
        }
        loads.push(Measured { load, outcome: measure(options, &address, load) });
    }
    Ok(Beside { began, loads })
}

fn measure(options: &Arguments, address: &SocketAddr, load: Load) -> Result<(Felt, Pressed), String> {
    let prefix = options.key_prefix.as_str();
    let body_bytes = options.data_size;
    let plan = Plan::new(load, prefix, body_bytes);
    let queues = [plan.queues.as_slice(), &probe::queues(prefix)].concat();
    remove(address, &queues)?;
    let gate = Gate::default();
    let (felt, pressed) = thread::scope(|scope| {
        let pressing = scope.spawn(|| pressure::press(&plan, address, &gate));
        let felt = probe::probe(address, prefix, body_bytes, options.time_max(), &gate);
        (felt, pressing.join().unwrap_or_else(|_| Err(String::from("the load's thread panicked"))))
    });
    // The load's failure comes first: it ends the client's measurement too.
    let pressed = pressed?;
    let felt = felt?;
    remove(address, &queues)?;
    if felt.latency_ns.is_empty() {
        return Err(String::from("no set and get was answered while the load was on"));
    }
    Ok((felt, pressed))
}

/// Deletes queues and what is in them, so that one load does not slow the next.
fn remove(address: &SocketAddr, queues: &[String]) -> Result<(), String> {
    let lines: String = queues.iter().map(|queue| format!("delete {queue}\r\n")).collect();
    let mut left = queues.len();
    let asked = Wire::new(address)?.ask(lines.as_bytes(), |response| match response {
        Response::Deleted | Response::NotFound => {
            left -= 1;
            Ok(left == 0)
        }
        other => Err(format!("a delete is answered {other:?}")),
    });
    asked.map_err(|reason| format!("the queues of this measurement are not empty: {reason}"))
}
