//! Runs `rushq-bench`.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// What came of a run.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What --json-out-file wrote; null without a report.
    pub(crate) document: Value,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a run that ended with {:?}\n{}{}", self.code, self.stdout, self.stderr)
    }
}

impl Run {
    pub(crate) fn number(&self, path: &str) -> f64 {
        self.document.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path} in {self:#?}"))
    }
}

/// A path in the tests' directory that no other test has.
pub(crate) fn path(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{count}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

pub(crate) fn command(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rushq-bench"));
    command.args(line.split_whitespace());
    command
}

/// Runs it against a server on this port.
pub(crate) fn bench(port: u16, line: &str) -> Run {
    let json = path("out.json");
    let mut command = command(line);
    command.args(["-p", &port.to_string(), "--hide-histogram", "--json-out-file"]).arg(&json);
    let output = command.output().unwrap();
    let document = fs::read_to_string(&json).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
    let _ = fs::remove_file(&json);
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        document,
    }
}
