#![doc = include_str!("../README.md")]

mod addresses;
mod check;
mod connection;
mod control;
mod conversation;
mod daemon;
mod data_directory;
mod drain;
mod entry;
mod executors;
mod fault;
mod figures;
mod greeting;
mod handover;
mod import;
mod keeper;
mod limits;
mod listener;
mod logging;
mod options;
mod paths;
mod patience;
mod peer;
mod pid_file;
mod places;
mod privileges;
mod readiness;
mod replies;
mod retrying;
mod server;
mod session;
mod settings;
mod signals;
mod sockets;
mod stop;
mod tasks;
mod trace;
mod udp;
mod unix_socket;
mod uring_enter;

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

use crate::daemon::Role;
use crate::options::Arguments;
use crate::settings::Settings;

/// Bodies of all sizes come and go in no order: the C library's allocator tidies up after them for milliseconds.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let options = Arguments::from_command_line();
    match run(&options) {
        Ok(code) => code,
        Err(what) => {
            // A daemon's standard error is gone once it listens.
            if logging::has_file() {
                log::error!("{what}");
            }
            eprintln!("rushq: {what}");
            ExitCode::FAILURE
        }
    }
}

/// What the options ask this process to be. An error is one line for the operator.
fn run(options: &Arguments) -> Result<ExitCode, String> {
    if options.kept.is_any() {
        options.kept.keep()?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = Settings::new(options)?;
    if options.check {
        check::run(&settings)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(source) = &options.import {
        logging::start(options, settings.log_file.as_deref(), settings.identity.as_ref())?;
        import::run(&settings, source, &options.import_queue)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut starting = None;
    if settings.daemon {
        match daemon::split()? {
            Role::Starter { started: true } => return Ok(ExitCode::SUCCESS),
            // The daemon has said why.
            Role::Starter { started: false } => return Ok(ExitCode::FAILURE),
            Role::Daemon(daemon) => starting = Some(daemon),
        }
    }
    logging::start(options, settings.log_file.as_deref(), settings.identity.as_ref())?;
    fault::end_with_one_line(settings.core_files);
    for letter in options.without_effect() {
        log::warn!("{letter} is for memcacheQ's Berkeley DB and has no effect here");
    }
    server::run(settings, starting)?;
    Ok(ExitCode::SUCCESS)
}
