//! rushq: a persistent message queue server that speaks the memcache text protocol.
//!
//! This binary is glue. What a message goes through lies in the libraries: `protocol` (bytes to commands), `shards` (who
//! does it), `storage` (where it stays). Here are the parts that touch the machine: [`options`], [`limits`], the
//! executors ([`executors`]), the listener and the connections.
//!
//! Architecture invariants: `connection` has the only loop that awaits a client's socket; `session` alone turns commands
//! into operations and outcomes into replies, and touches no socket.

mod connection;
mod control;
mod drain;
mod executors;
mod getopt;
mod greeting;
mod limits;
mod listener;
mod options;
mod session;
mod settings;
mod stop;

use std::process::ExitCode;
use std::sync::Arc;

use shards::DataDirectory;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::drain::Drain;
use crate::executors::Executors;
use crate::options::Options;
use crate::stop::Stop;

fn main() -> ExitCode {
    let options = Options::from_command_line();
    options.start_logging();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("rushq: {what}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for a signal that ends the server, and obeys the others meanwhile. Returns its number.
fn wait_for_end(signals: &mut Signals, drain: &Drain) -> i32 {
    for signal in signals.forever() {
        match signal {
            SIGUSR1 => drain.set(true),
            SIGUSR2 => drain.set(false),
            ending => return ending,
        }
    }
    unreachable!("the signals are never closed")
}

/// The server's life, in order. An error is one line for the operator, and comes before `listening on`.
fn run(options: &Options) -> Result<(), String> {
    let settings = Arc::new(options.settings()?);
    limits::check(&settings)?;
    // Before anything slow, so that whoever starts the server hears of it at once; and no signal is lost from here on.
    let mut signals =
        Signals::new([SIGTERM, SIGINT, SIGUSR1, SIGUSR2]).map_err(|e| format!("signals cannot be handled: {e}"))?;
    let address = listener::reserve(settings.address)?;
    let directory = DataDirectory::lock(&settings.directory).map_err(|e| e.to_string())?;
    let opened = directory.open(settings.shards, settings.storage).map_err(|e| e.to_string())?;
    for (shard, (_, recovered)) in opened.iter().enumerate() {
        let source = if recovered.from_index { "index and log" } else { "log" };
        let (queues, messages, took) = (recovered.queues, recovered.messages, recovered.took);
        log::info!("shard {shard}: {messages} messages in {queues} queues, from {source}, in {took:.1?}");
    }
    let (stop, drain) = (Arc::new(Stop::default()), Arc::new(Drain::default()));
    let shards = opened.into_iter().map(|(shard, _)| shard).collect();
    let executors = Executors::start(shards, address.local(), &settings, &stop, &drain)?;
    log::info!("listening on {}", address.local());

    let signal = wait_for_end(&mut signals, &drain);
    log::info!("signal {signal}: finishing what was read");
    std::thread::spawn(move || {
        wait_for_end(&mut signals, &drain);
        log::warn!("second signal: exiting at once");
        std::process::exit(1);
    });
    stop.begin();
    executors.join()
}
