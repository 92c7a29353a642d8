//! The password of `--user`: never on the command line, where other users of the machine can read it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use crate::process::commands::Line;

const VARIABLE: &str = "RUSHQ_PASSWORD";
/// A password longer than this is another file than the operator means.
const BYTES_MAX: u64 = 1024;

/// The password from `--password-file`, else from the environment, else from the terminal.
///
/// # Errors
/// When there is none.
pub(super) fn of(user: &str, line: &Line) -> Result<String, String> {
    if let Some(path) = line.path("--password-file")? {
        let mut first = String::new();
        let read = File::open(&path).and_then(|file| BufReader::new(file.take(BYTES_MAX)).read_line(&mut first));
        read.map_err(|error| {
            format!("--password-file {}: {error}; name a file that this user can read", path.display())
        })?;
        return Ok(first.trim_end_matches(['\r', '\n']).to_string());
    }
    if let Some(password) = std::env::var_os(VARIABLE) {
        return password.into_string().map_err(|_| format!("{VARIABLE}: the password in it is not UTF-8"));
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(format!(
            "--user {user}: the password is missing, and there is no terminal to ask at; give it by {VARIABLE} or \
             --password-file"
        ));
    }
    eprint!("Password of {user}: ");
    let asked = enable_raw_mode().and_then(|()| typed());
    // Whatever came before: a terminal that shows nothing is of no use.
    let _ = disable_raw_mode();
    eprintln!();
    let _ = io::stderr().flush();
    asked.map_err(|error| error.to_string())?.ok_or_else(|| format!("--user {user}: no password was given"))
}

/// What is typed up to Enter, which is not shown. `None`: Ctrl-C or Esc.
fn typed() -> io::Result<Option<String>> {
    let mut password = String::new();
    loop {
        let Event::Key(key) = event::read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        match key.code {
            KeyCode::Enter => return Ok(Some(password)),
            KeyCode::Esc => return Ok(None),
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(None),
            KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => password.clear(),
            KeyCode::Backspace => drop(password.pop()),
            KeyCode::Char(letter) => password.push(letter),
            _ => {}
        }
    }
}
