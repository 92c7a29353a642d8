//! The commands for a running server: `rushq top`, `rushq peek jobs`. They speak to its memcache port or to its admin port,
//! as any client does. What is made of answers is plain code; sockets and the terminal are a thin shell around it.

mod acts;
mod figures;
mod http;
mod memcache;
mod moving;
mod password;
mod peek;
mod place;
mod purge;
mod queue;
mod server;
mod socket;
mod text;
mod top;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use protocol::{QUEUE_NAME_BYTES_MAX, is_queue_name};

use crate::process::commands::{self, Asked, Line, Which};

/// Does what a command line asks for that begins with a command's name. `None`: it begins with an option, or is empty.
pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let outcome = commands::read(arguments)?.and_then(|asked| match asked {
        Asked::Text(text) => print(&text),
        Asked::Run(line) => obey(&line),
    });
    Some(match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("rushq: {what}");
            ExitCode::FAILURE
        }
    })
}

fn obey(line: &Line) -> Result<(), String> {
    match line.which {
        Which::Ping => figures::ping(line),
        Which::Stats => figures::stats(line),
        Which::Top => top::run(line),
        Which::Peek => peek::run(line),
        Which::Purge => purge::run(line),
        Which::Move => moving::run(line),
        Which::Kick => acts::kick(line),
        Which::Config => acts::config(line),
    }
}

/// The word at a place, which must be a queue's name.
fn queue_name(line: &Line, at: usize) -> Result<Vec<u8>, String> {
    let name = line.word(at)?;
    if is_queue_name(&name) {
        return Ok(name);
    }
    Err(format!(
        "{}: a queue's name has 1 to {QUEUE_NAME_BYTES_MAX} bytes without spaces and control bytes",
        text::line(&name)
    ))
}

/// Prints something. A reader that has seen enough may have closed the pipe, which is no failure.
fn print(text: &str) -> Result<(), String> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        _ => Ok(()),
    }
}
