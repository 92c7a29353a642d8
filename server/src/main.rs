#![doc = include_str!("../README.md")]

mod access;
mod admin;
mod context;
mod conversation;
mod executors;
mod memcache;
mod net;
mod process;
mod server;
mod session;
mod tools;
mod web;

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

use crate::process::daemon::{self, Role};
use crate::process::keeper::Kept;
use crate::process::options::Arguments;
use crate::process::settings::Settings;
use crate::process::{fault, logging};
use crate::tools::{check, ctl, import};

/// Bodies of all sizes come and go in no order: the C library's allocator tidies up after them for milliseconds.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    if let Some(code) = ctl::run(std::env::args_os().skip(1)) {
        return code;
    }
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
    if let Some(kept) = Kept::of(options) {
        kept.keep()?;
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
            // The daemon has printed the reason.
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
