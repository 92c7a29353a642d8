//! Damaged and missing logs: what is said of them, and what becomes of the damaged parts.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use storage::{Damaged, Survey, names};

use crate::data::error::{DirectoryError, Remedy};
use crate::data::inventory::Missing;

/// What is wrong with a log, in one line: each damaged part, and the queues that miss something.
pub(crate) fn damage_report(path: &Path, survey: &Survey) -> DirectoryError {
    let parts = survey.damaged().iter().map(describe);
    let queues = survey.queues().filter(|queue| !queue.is_whole()).map(|queue| {
        let name = String::from_utf8_lossy(&names::shown(&queue.name())).into_owned();
        format!("queue {name} misses {} messages", queue.lost())
    });
    let found: Vec<String> = parts.chain(queues).collect();
    let what = format!("{}: {}; nothing was changed", path.display(), found.join("; "));
    DirectoryError::with(what, Remedy::Repair)
}

/// A damaged part, in words.
fn describe(damaged: &Damaged) -> String {
    let Damaged { file, offset, bytes, what, .. } = damaged;
    format!("{file} is damaged at offset {offset}, {bytes} bytes: {what}")
}

/// What is missing, in one line.
pub(crate) fn missing_report(missing: &[Missing]) -> DirectoryError {
    let found: Vec<String> =
        missing.iter().map(|Missing { path, what }| format!("{} {what}", path.display())).collect();
    DirectoryError::with(format!("{}; nothing was changed", found.join("; ")), Remedy::PutBack)
}

/// Writes the damaged parts of all logs into files of their own, and makes them durable.
pub(crate) fn set_aside(aside: &Path, sources: &[Survey]) -> io::Result<Vec<(PathBuf, String)>> {
    if sources.iter().all(|source| source.damaged().is_empty()) {
        return Ok(Vec::new());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(aside)?;
    let mut written = Vec::new();
    for (shard, source) in sources.iter().enumerate() {
        for damaged in source.damaged() {
            let name = format!("shard-{shard:03}-{}-{}", damaged.file, damaged.offset);
            let path = aside.join(name);
            let bytes = source.bytes_of(damaged).map_err(io::Error::other)?;
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            written.push((path, describe(damaged)));
        }
    }
    File::open(aside)?.sync_all()?;
    Ok(written)
}
