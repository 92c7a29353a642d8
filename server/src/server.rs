//! The server's life, in order.

use std::sync::Arc;

use sd_notify::NotifyState;
use shards::{DataDirectory, Durability};

use crate::access::Users;
use crate::executors::{Executors, Shared};
use crate::net::sockets::Sockets;
use crate::process::certificates::Certificates;
use crate::process::daemon::Starting;
use crate::process::data_directory;
use crate::process::drain::Drain;
use crate::process::keeper::OwnFiles;
use crate::process::limits;
use crate::process::names;
use crate::process::operator::Operator;
use crate::process::pid_file::PidFile;
use crate::process::queue_config::QueueConfig;
use crate::process::settings::Settings;
use crate::process::signals::Signals;
use crate::process::socket_file::SocketFile;
use crate::process::stop::Stop;

/// Serves until a signal ends it. `starting`: this process is a daemon whose starter waits.
///
/// # Errors
/// Before `listening on`: when the machine, the sockets, the files or the data directory do not let the server start.
/// Later: when a shard has ended by itself.
pub(crate) fn run(mut settings: Settings, starting: Option<Starting>) -> Result<(), String> {
    limits::check(&settings)?;
    // Before anything slow, so that an operator sees at once that an address is taken; and no signal is lost from here on.
    let mut signals = Signals::hold()?;
    let mut sockets = Sockets::bind(&settings)?;
    sockets.tell(&mut settings);
    let settings = Arc::new(settings);
    let directory = DataDirectory::lock(&settings.directory).map_err(|error| data_directory::line(&error))?;
    let mut own_files = OwnFiles::default();
    if let Some(unix) = &settings.unix {
        let (socket, file) = SocketFile::bind("-s", unix, settings.identity.as_ref())?;
        own_files.sockets.push(file);
        sockets.add_unix(socket);
    }
    if let Some(unix) = settings.operator.as_ref().and_then(Operator::socket) {
        let (socket, file) = SocketFile::bind("--admin", unix, settings.identity.as_ref())?;
        own_files.sockets.push(file);
        sockets.add_admin_unix(socket);
    }
    own_files.pid_file = settings.pid_file.as_deref().map(|path| PidFile::write("-P", path)).transpose()?;
    if let Some(identity) = &settings.identity {
        directory.give_to(identity.uid(), identity.gid()).map_err(|error| data_directory::line(&error))?;
        own_files.start_keeper()?;
        identity.assume(settings.core_files)?;
    }
    // By the user that reads it again later.
    let queue_config = Arc::new(QueueConfig::read(settings.queue_config.as_deref())?);
    let certificates = settings.tls.as_ref().map(Certificates::read).transpose()?.map(Arc::new);
    let users = settings.users.as_deref().map(Users::read).transpose()?;

    if settings.repair {
        repair(&directory, &settings)?;
    }
    let opened = data_directory::open(&directory, &settings)?;
    log_what_starts(&settings);
    for (shard, (_, recovered)) in opened.iter().enumerate() {
        let source = if recovered.from_index { "index and log" } else { "log" };
        let (queues, messages, took) = (recovered.queues, recovered.messages, recovered.took);
        log::info!("shard {shard}: {messages} messages in {queues} queues, from {source}, in {took:.1?}");
    }
    names::check(opened.iter().flat_map(|(shard, _)| shard.names()), &settings)?;
    let (stop, drain) = (Arc::new(Stop::default()), Arc::new(Drain::default()));
    let shards = opened.into_iter().map(|(shard, _)| shard).collect();
    let addresses = settings.addresses().join(", ");
    let executors = Executors::start(
        shards,
        sockets.split(settings.shards),
        Shared {
            settings: &settings,
            queue_config: &queue_config,
            certificates: certificates.as_ref(),
            users: &users,
            stop: &stop,
            drain: &drain,
        },
    )?;
    log::info!("listening on {addresses}");
    notify_service_manager(NotifyState::Ready);
    starting.map(Starting::ready).transpose()?;

    signals.receive()?;
    let read_again = move || {
        queue_config.read_again();
        certificates.iter().for_each(|certificates| certificates.read_again());
        users.iter().for_each(|users| users.read_again());
    };
    let signal = signals.wait_for_end(&drain, &read_again);
    log::info!("signal {signal}: finishing what was read");
    notify_service_manager(NotifyState::Stopping);
    std::thread::spawn(move || {
        signals.wait_for_end(&drain, read_again);
        log::warn!("second signal: exiting at once");
        std::process::exit(1);
    });
    stop.request();
    executors.wait()?;
    let (queues, messages) = stop.left();
    log::info!("stopped: {messages} messages wait in {queues} queues");
    Ok(())
}

/// Logs the line by which an operator tells one server from another.
fn log_what_starts(settings: &Settings) {
    let durability = match settings.storage.durability {
        Durability::Synced => "a reply follows the fdatasync of its commit",
        Durability::Written => "-N: a reply follows the write, a power cut may cost the last second",
    };
    log::info!(
        "rushq {}: data directory {}, {} shards, {} MB of bodies in memory; {durability}",
        env!("CARGO_PKG_VERSION"),
        settings.directory.display(),
        settings.shards,
        settings.memory_bytes >> 20,
    );
    for address in settings.open_addresses() {
        log::warn!(
            "-l {address}: every machine that reaches it may do everything; give --users FILE, or --open if so meant"
        );
    }
}

/// Sets the damaged parts of a data directory aside.
fn repair(directory: &DataDirectory, settings: &Settings) -> Result<(), String> {
    let Some(repaired) = directory.repair(settings.storage).map_err(|error| data_directory::line(&error))? else {
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

/// Notifies systemd, where it has started this process with Type=notify.
fn notify_service_manager(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        log::warn!("the service manager cannot be notified: {error}");
    }
}
