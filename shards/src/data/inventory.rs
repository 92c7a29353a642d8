//! What is in a data directory, and what should be there and is not.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;

use storage::{Files, Survey, log_ids};

use crate::data::layout::{Layout, Logs};

/// Something that should be there and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What is missing, or is not what was made there.
    pub path: PathBuf,
    /// What is wrong with it, as the predicate of a sentence.
    pub what: String,
}

/// What all shards' logs hold.
#[derive(Debug)]
pub struct Inventory {
    /// Each shard's log, in their order. That of a log that is missing is empty.
    pub logs: Vec<Survey>,
    /// What is missing.
    pub missing: Vec<Missing>,
}

impl Inventory {
    /// Whether nothing is missing, nothing is damaged, and no message is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.logs.iter().all(Survey::is_whole)
    }
}

pub(crate) fn generation_path(directory: &Path, generation: u32) -> PathBuf {
    directory.join(format!("data-{generation}"))
}

pub(crate) fn shard_path(directory: &Path, generation: u32, shard: u16) -> PathBuf {
    generation_path(directory, generation).join(format!("shard-{shard:03}"))
}

/// The paths of all shards of a layout's generation, in their order.
pub(crate) fn shard_paths(directory: &Path, layout: &Layout) -> Vec<PathBuf> {
    (0..layout.shards).map(|shard| shard_path(directory, layout.generation, shard)).collect()
}

/// The numbers in the names that a directory has of this kind, as `data-1` is of `data-`.
fn numbers(directory: &Path, prefix: &str) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The generations that there are.
pub(crate) fn generations(directory: &Path) -> io::Result<Vec<u32>> {
    numbers(directory, "data-")
}

/// A number that no generation has or had, as far as can be seen.
pub(crate) fn next_generation(directory: &Path, generation: u32) -> io::Result<u32> {
    let there = generations(directory)?.into_iter().chain(numbers(directory, "damaged-")?);
    Ok(there.fold(generation, u32::max) + 1)
}

/// What the directory of a generation says of itself, where there is no layout: as many shards as it has.
pub(crate) fn layout_of(directory: &Path, generation: u32) -> io::Result<Layout> {
    let last = numbers(&generation_path(directory, generation), "shard-")?.last().copied();
    let shards = last.map_or(1, |last| u16::try_from(last).unwrap_or(u16::MAX - 1) + 1);
    Ok(Layout { shards, generation, logs: Logs::Unknown, obsolete: Vec::new() })
}

/// Which of a layout's logs are not there, without reading them. Where they are being made, nothing is missing.
pub(crate) fn missing(directory: &Path, layout: &Layout) -> io::Result<Vec<Missing>> {
    let expected = match &layout.logs {
        Logs::New => return Ok(Vec::new()),
        Logs::Made(expected) => expected.iter().copied().map(Some).collect(),
        Logs::Unknown => vec![None; usize::from(layout.shards)],
    };
    let mut missing = Vec::new();
    for (path, expected) in shard_paths(directory, layout).into_iter().zip(expected) {
        let path = path.join("log");
        let what = match (found_ids(&path)?, expected) {
            (Found::Nothing, _) => Some("is missing"),
            (Found::Logs(ids), _) if ids.is_empty() => Some("has lost all segments of the log that was there"),
            (Found::Logs(ids), Some(Some(id))) if !ids.contains(&id) => Some("holds another log than was made there"),
            (_, Some(None)) => Some("was missing when a repair began, which has not ended"),
            _ => None,
        };
        missing.extend(what.map(|what| Missing { path, what: what.to_string() }));
    }
    Ok(missing)
}

enum Found {
    Nothing,
    Logs(std::collections::BTreeSet<u64>),
}

fn found_ids(path: &Path) -> io::Result<Found> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(error),
        Ok(_) => log_ids(&Files::read_only(path)).map(Found::Logs).map_err(io::Error::other),
    }
}

/// Reads all of a layout's logs, each on a thread, without changing anything.
pub(crate) fn take(directory: &Path, layout: &Layout) -> io::Result<Inventory> {
    let paths = shard_paths(directory, layout);
    let surveys = on_threads(&paths, |path| {
        let path = path.join("log");
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Survey::nothing()),
            Err(error) => Err(error),
            Ok(_) => Survey::read(&Files::read_only(&path)).map_err(io::Error::other),
        }
    });
    let mut logs = surveys.into_iter().collect::<io::Result<Vec<_>>>()?;
    let mut missing = missing(directory, layout)?;
    // What a log's own survey says of its files says more.
    missing.retain(|missing| {
        let shard = paths.iter().position(|path| missing.path.starts_with(path));
        shard.is_none_or(|shard| logs[shard].log_id().is_some() || logs[shard].is_whole())
    });
    let mut seen = HashMap::new();
    for (shard, log) in logs.iter_mut().enumerate() {
        let Some(first) = log.log_id().and_then(|id| seen.insert(id, shard)) else { continue };
        let what = format!("holds the same log as {}", paths[first].display());
        missing.push(Missing { path: paths[shard].join("log"), what });
        *log = Survey::nothing();
    }
    Ok(Inventory { logs, missing })
}

/// A log that is none of those that the layout names. What is in it belongs elsewhere.
pub(crate) fn foreign(directory: &Path, layout: &Layout, inventory: &Inventory) -> Option<PathBuf> {
    let Logs::Made(made) = &layout.logs else { return None };
    let is_foreign = |log: &Survey| log.log_id().is_some_and(|id| !made.contains(&Some(id)));
    let paths = shard_paths(directory, layout).into_iter().zip(&inventory.logs);
    paths.into_iter().find(|(_, log)| is_foreign(log)).map(|(path, _)| path.join("log"))
}

/// The ids of logs that are there, as they are written into a layout.
pub(crate) fn made(inventory: &Inventory) -> Logs {
    Logs::Made(inventory.logs.iter().map(Survey::log_id).collect())
}

/// Does something for each shard, on a thread each.
pub(crate) fn on_threads<T: Send>(paths: &[PathBuf], each: impl Fn(&Path) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let threads: Vec<_> = paths.iter().map(|path| scope.spawn(|| each(path))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    })
}
