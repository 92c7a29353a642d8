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
mod executors;
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
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

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

/// The server's life, in order. An error is one line for the operator, and comes before `listening on`.
fn run(options: &Options) -> Result<(), String> {
    let settings = Arc::new(options.settings()?);
    limits::check(&settings)?;
    // Before anything slow, so that whoever starts the server hears of it at once; and no signal is lost from here on.
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|e| format!("signals cannot be handled: {e}"))?;
    let address = listener::reserve(settings.address)?;
    let directory = DataDirectory::lock(&settings.directory).map_err(|e| e.to_string())?;
    let opened = directory.open(settings.shards, settings.storage).map_err(|e| e.to_string())?;
    for (shard, (_, recovered)) in opened.iter().enumerate() {
        let source = if recovered.from_index { "index and log" } else { "log" };
        let (queues, messages, took) = (recovered.queues, recovered.messages, recovered.took);
        log::info!("shard {shard}: {messages} messages in {queues} queues, from {source}, in {took:.1?}");
    }
    let stop = Arc::new(Stop::default());
    let shards = opened.into_iter().map(|(shard, _)| shard).collect();
    let executors = Executors::start(shards, address.local(), &settings, &stop)?;
    log::info!("listening on {}", address.local());

    let first = signals.forever().next();
    log::info!("signal {}: finishing what was read", first.unwrap_or_default());
    std::thread::spawn(move || {
        signals.forever().next();
        log::warn!("second signal: exiting at once");
        std::process::exit(1);
    });
    stop.begin();
    executors.join()
}
