#![doc = include_str!("../README.md")]

mod answers;
mod beside;
mod connection;
mod drain;
mod gate;
mod live;
mod message;
mod options;
mod report;
mod restart;
mod run;
mod schedule;
mod tally;
mod tls;
mod usage;
mod verify;
mod worker;
mod workload;

use std::io::{self, Write};
use std::process::ExitCode;

use options::{Arguments, Asked};

/// Of a command line that cannot be understood.
const USAGE_STATUS: u8 = 2;

fn main() -> ExitCode {
    let options = match Arguments::read(std::env::args_os().skip(1)) {
        Ok(Asked::Run(options)) => options,
        Ok(Asked::Text(text)) => {
            // A reader that has seen enough may have closed the pipe.
            let _ = io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(reason) => {
            eprintln!("rushq-bench: {reason}; rushq-bench --help lists all options");
            return ExitCode::from(USAGE_STATUS);
        }
    };
    let outcome = options.check().and_then(|()| {
        if !options.compare.is_empty() {
            return report::compare(&options).map(|()| true);
        }
        if !options.beside.is_empty() {
            let outcome = beside::run(&options)?;
            report::tell_beside(&options, &outcome)?;
            return Ok(outcome.is_good());
        }
        if options.buyers.is_some() {
            let outcome = gate::run(&options)?;
            report::tell_rush(&options, &outcome)?;
            return Ok(outcome.is_good());
        }
        let outcome = run::run(&options)?;
        report::tell(&options, &outcome)?;
        Ok(outcome.is_good())
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("rushq-bench: {reason}");
            ExitCode::FAILURE
        }
    }
}
