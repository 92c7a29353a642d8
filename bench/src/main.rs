//! `rushq-bench` puts load on a memcache queue server, over the wire, and says how it held up.

mod client;
mod load;
mod options;
mod run;
mod tally;

use std::process::ExitCode;

use clap::Parser;
use options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    match options.check().and_then(|()| run::run(&options)) {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("rushq-bench: {reason}");
            ExitCode::FAILURE
        }
    }
}
