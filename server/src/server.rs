//! The server's life, in order.

use std::sync::Arc;

use sd_notify::NotifyState;
use shards::DataDirectory;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::daemon::Starting;
use crate::drain::Drain;
use crate::executors::Executors;
use crate::limits;
use crate::pid_file::PidFile;
use crate::settings::Settings;
use crate::sockets::Sockets;
use crate::stop::Stop;

/// Serves until a signal ends it. `starting`: whom to tell that it listens, when it is a daemon.
///
/// # Errors
/// One line for the operator: before `listening on`, what keeps the server from starting; later, what has ended it.
pub(crate) fn run(mut settings: Settings, starting: Option<Starting>) -> Result<(), String> {
    limits::check(&settings)?;
    // Before anything slow, so that whoever starts the server hears of it at once; and no signal is lost from here on.
    let mut signals =
        Signals::new([SIGTERM, SIGINT, SIGUSR1, SIGUSR2]).map_err(|e| format!("signals cannot be handled: {e}"))?;
    let mut sockets = Sockets::bind(&settings)?;
    settings.tcp = sockets.tcp_address();
    let settings = Arc::new(settings);
    let directory = DataDirectory::lock(&settings.directory).map_err(|e| e.to_string())?;
    if let Some(unix) = &settings.unix {
        sockets.bind_unix(unix, settings.identity.as_ref())?;
    }
    let mut pid_file = settings.pid_file.as_deref().map(PidFile::write).transpose()?;
    if let Some(identity) = &settings.identity {
        directory.give_to(identity.uid(), identity.gid()).map_err(|e| e.to_string())?;
        pid_file.as_mut().map(PidFile::start_keeper).transpose()?;
        identity.assume()?;
    }

    if settings.repair {
        repair(&directory, &settings)?;
    }
    let opened = directory.open(settings.shards, settings.storage).map_err(|e| e.to_string())?;
    for (shard, (_, recovered)) in opened.iter().enumerate() {
        let source = if recovered.from_index { "index and log" } else { "log" };
        let (queues, messages, took) = (recovered.queues, recovered.messages, recovered.took);
        log::info!("shard {shard}: {messages} messages in {queues} queues, from {source}, in {took:.1?}");
    }
    let (stop, drain) = (Arc::new(Stop::default()), Arc::new(Drain::default()));
    let shards = opened.into_iter().map(|(shard, _)| shard).collect();
    let addresses = sockets.addresses();
    let executors = Executors::start(shards, sockets.split(settings.shards), &settings, &stop, &drain)?;
    for address in addresses {
        log::info!("listening on {address}");
    }
    tell_service_manager(NotifyState::Ready);
    starting.map(Starting::ready).transpose()?;

    let signal = wait_for_end(&mut signals, &drain);
    log::info!("signal {signal}: finishing what was read");
    tell_service_manager(NotifyState::Stopping);
    std::thread::spawn(move || {
        wait_for_end(&mut signals, &drain);
        log::warn!("second signal: exiting at once");
        std::process::exit(1);
    });
    stop.begin();
    executors.join()
}

/// Makes the best of a damaged data directory.
fn repair(directory: &DataDirectory, settings: &Settings) -> Result<(), String> {
    let Some(repaired) = directory.repair(settings.storage).map_err(|e| e.to_string())? else {
        log::info!("nothing is damaged, so nothing is repaired");
        return Ok(());
    };
    for missing in &repaired.missing {
        log::warn!("{} {}; what was in it is lost", missing.path.display(), missing.what);
    }
    for (path, what) in &repaired.set_aside {
        log::warn!("{what}; set aside in {}", path.display());
    }
    let (queues, messages) = (repaired.moved.queues, repaired.moved.messages);
    log::warn!("repaired: {messages} messages in {queues} queues are whole, and go on");
    Ok(())
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

/// Tells systemd, where it has started this process and wants to know.
fn tell_service_manager(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        log::warn!("the service manager cannot be told: {error}");
    }
}
