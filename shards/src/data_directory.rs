//! The data directory: who may use it, how many shards it is made for, and where each keeps its files.
//!
//! ```text
//! DIR/lock                   held by the process that uses the directory; contains its process id
//! DIR/layout                 "rushq 1", "shards N" and "generation G", a line each
//! DIR/data-G/shard-000/log   the log's segments
//! DIR/data-G/shard-000/index the log's index
//! DIR/damaged-G/             what a repair of generation G set aside
//! ```
//!
//! Another number of shards means another generation: all queues are written into a new directory, which counts once
//! `layout` names it. That file is replaced by a rename, so at any moment one generation is whole and named; any other
//! is a leftover of a move that was interrupted, before the rename or behind it, and is removed by the next start.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use nix::fcntl::OFlag;
use storage::{Error, Files, Options, Recovered, Store, Survey};

use crate::damage::{damage_report, set_aside};
use crate::layout::{self, Layout};
use crate::moving::{MoveError, Moved, move_all, roomy};
use crate::shard::Shard;

/// A file that every environment of Berkeley DB has.
const BERKELEY_DB: &str = "__db.001";

/// Why a data directory cannot be used, for the person who reads it.
#[derive(Debug)]
pub struct DirectoryError(String);

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DirectoryError {}

type Result<T> = std::result::Result<T, DirectoryError>;

/// A data directory, locked for this process as long as the value lives.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    lock: File,
}

/// What a repair did.
#[derive(Debug)]
pub struct Repaired {
    /// What is in the directory now.
    pub moved: Moved,
    /// The files that damaged parts of the logs were written to, each with what was wrong.
    pub set_aside: Vec<(PathBuf, String)>,
}

impl DataDirectory {
    /// Locks the directory at `path`, and makes it when it is not there, with mode 0700.
    ///
    /// # Errors
    /// When it cannot be made or written to, or another process uses it.
    pub fn lock(path: &Path) -> Result<DataDirectory> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| unusable(path, &error))?;
        DataDirectory::lock_with(path, OpenOptions::new().create(true))
    }

    /// Locks a directory that must be a data directory already, and changes nothing in it.
    ///
    /// # Errors
    /// When it is none, or another process uses it.
    pub fn lock_existing(path: &Path) -> Result<DataDirectory> {
        if !path.join(layout::FILE).exists() {
            return Err(DirectoryError(format!("{} is no data directory of rushq; name one by -H", path.display())));
        }
        DataDirectory::lock_with(path, &mut OpenOptions::new())
    }

    fn lock_with(path: &Path, options: &mut OpenOptions) -> Result<DataDirectory> {
        let options = options.read(true).write(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
        let mut lock = options.open(path.join("lock")).map_err(|error| unusable(path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(unusable(path, &error)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who holds it is a courtesy only.
                let _ = lock.read_to_string(&mut holder);
                let (path, holder) = (path.display(), holder.trim());
                return Err(DirectoryError(format!(
                    "data directory {path} is in use by another rushq (process {holder}); stop that, or name another by -H"
                )));
            }
        }
        Ok(DataDirectory { path: path.to_path_buf(), lock })
    }

    /// Gives the directory and all that is in it to a user. No link is followed, and what is neither a file nor a
    /// directory is left alone.
    ///
    /// # Errors
    /// When something cannot be given away.
    pub fn give_to(&self, user: u32, group: u32) -> Result<()> {
        give(&self.path, user, group)
            .map_err(|error| DirectoryError(format!("{} cannot be given away: {error}", self.path.display())))
    }

    /// Opens the shards, each on a thread of its own, and recovers their queues; moves all queues first when the directory
    /// is made for another number of shards. The threads are not pinned, and those that sled starts meanwhile inherit
    /// that.
    ///
    /// # Errors
    /// When a log cannot be read or is damaged, or there is no room to move. No message is changed then.
    pub fn open(&self, shards: u16, options: Options) -> Result<Vec<(Shard, Recovered)>> {
        self.refuse_links()?;
        let layout = self.layout()?;
        if let Err(error) = self.sign() {
            // As on a full disk. Who holds the lock is a courtesy.
            log::debug!("{}", self.failed("lock", &error));
        }
        let generation = match layout {
            Some(layout) => {
                self.remove_all_but(layout.generation)?;
                if layout.shards == shards { layout.generation } else { self.move_to(layout, shards, options)? }
            }
            None => {
                if self.path.join(BERKELEY_DB).exists() {
                    let path = self.path.display();
                    log::warn!(
                        "{path} has files of Berkeley DB, perhaps memcacheQ's: they stay as they are, and messages in them \
                         are not seen; --import drains a memcacheQ that runs"
                    );
                }
                let layout = Layout { shards, generation: 1 };
                layout.write(&self.path).map_err(|error| self.failed(layout::FILE, &error))?;
                layout.generation
            }
        };
        let sources: Vec<PathBuf> = (0..shards).map(|shard| self.shard_path(generation, shard)).collect();
        on_threads(&sources, |path| open_shard(path, options)).into_iter().collect()
    }

    /// Reads all shards' logs, without changing anything. The shards are in their order.
    ///
    /// # Errors
    /// When the files cannot be read. Damage is no error here.
    pub fn survey(&self) -> Result<Vec<Survey>> {
        self.refuse_links()?;
        let layout = self.existing_layout()?;
        self.survey_generation(layout)
    }

    /// Makes a new generation of all that is whole, and sets the damaged parts of the logs aside. `None`: nothing is
    /// damaged, and nothing was changed.
    ///
    /// # Errors
    /// When the files cannot be read, or there is no room for a second copy. No message is changed then.
    pub fn repair(&self, options: Options) -> Result<Option<Repaired>> {
        self.refuse_links()?;
        let layout = self.existing_layout()?;
        self.remove_all_but(layout.generation)?;
        let sources = self.survey_generation(layout)?;
        if sources.iter().all(Survey::is_whole) {
            return Ok(None);
        }
        let aside = self.path.join(format!("damaged-{}", layout.generation));
        let set_aside = set_aside(&aside, &sources)
            .map_err(|error| DirectoryError(format!("{}: {error}; nothing was repaired", aside.display())))?;
        let (moved, _) = self.replace(layout, layout.shards, &sources, options)?;
        Ok(Some(Repaired { moved, set_aside }))
    }

    // ---- generations ----

    fn generation_path(&self, generation: u32) -> PathBuf {
        self.path.join(format!("data-{generation}"))
    }

    fn shard_path(&self, generation: u32, shard: u16) -> PathBuf {
        self.generation_path(generation).join(format!("shard-{shard:03}"))
    }

    /// Removes what an interrupted move left.
    fn remove_all_but(&self, generation: u32) -> Result<()> {
        let kept = self.generation_path(generation);
        let entries = fs::read_dir(&self.path).map_err(|error| unusable(&self.path, &error))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_generation = name.strip_prefix("data-").is_some_and(|number| number.parse::<u32>().is_ok());
            if is_generation && path != kept {
                fs::remove_dir_all(&path).map_err(|error| unusable(&path, &error))?;
            }
        }
        Ok(())
    }

    fn survey_generation(&self, layout: Layout) -> Result<Vec<Survey>> {
        let paths: Vec<PathBuf> = (0..layout.shards).map(|shard| self.shard_path(layout.generation, shard)).collect();
        let surveys = on_threads(&paths, |path| {
            let files = Files::open(&path.join("log")).map_err(|error| at(path, &error))?;
            Survey::read(&files).map_err(|error| at(path, &error))
        });
        surveys.into_iter().collect()
    }

    /// Moves all queues to where they belong with another number of shards. Returns the new generation.
    fn move_to(&self, layout: Layout, shards: u16, options: Options) -> Result<u32> {
        let began = Instant::now();
        log::info!("moving all queues from {} to {shards} shards", layout.shards);
        let sources = self.survey_generation(layout)?;
        for (shard, source) in (0..).zip(&sources) {
            if !source.is_whole() {
                let path = self.shard_path(layout.generation, shard);
                return Err(DirectoryError(damage_report(&path, source)));
            }
        }
        let (moved, generation) = self.replace(layout, shards, &sources, options)?;
        let (queues, messages, took) = (moved.queues, moved.messages, began.elapsed());
        log::info!("moved {messages} messages in {queues} queues to {shards} shards, in {took:.1?}");
        Ok(generation)
    }

    /// Writes a new generation with what `sources` hold, makes it the one that counts, and removes the old one.
    fn replace(&self, old: Layout, shards: u16, sources: &[Survey], options: Options) -> Result<(Moved, u32)> {
        let new = Layout { shards, generation: old.generation + 1 };
        let path = self.generation_path(new.generation);
        let moved = self.write_generation(new, sources, roomy(options, sources)).map_err(|what| {
            // What cannot be removed now is removed by the next start.
            let _ = fs::remove_dir_all(&path);
            DirectoryError(format!("{}: {what}; the queues are where they were", path.display()))
        })?;
        new.write(&self.path).map_err(|error| self.failed(layout::FILE, &error))?;
        self.remove_all_but(new.generation)?;
        Ok((moved, new.generation))
    }

    fn write_generation(
        &self,
        layout: Layout,
        sources: &[Survey],
        options: Options,
    ) -> std::result::Result<Moved, MoveError> {
        let mut targets = Vec::new();
        for shard in 0..layout.shards {
            let path = self.shard_path(layout.generation, shard);
            let files = Files::open(&path.join("log")).map_err(MoveError::Directory)?;
            // Without an index: sled lets go of its files some time after it was closed, and the start follows at once.
            let (store, _) = Store::open(Arc::new(files), None, options)?;
            targets.push(store);
        }
        move_all(sources, &mut targets)
    }

    // ---- the small files ----

    /// No symbolic link is followed below the directory: whoever laid one there could have us read or write elsewhere.
    fn refuse_links(&self) -> Result<()> {
        let entries = fs::read_dir(&self.path).map_err(|error| unusable(&self.path, &error))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if ["lock", layout::FILE].contains(&&*name)
                || ["layout.", "data-", "damaged-"].iter().any(|ours| name.starts_with(ours))
            {
                refuse_links_below(&path)?;
            }
        }
        Ok(())
    }

    fn layout(&self) -> Result<Option<Layout>> {
        Layout::read(&self.path).map_err(|error| self.failed(layout::FILE, &error))
    }

    fn existing_layout(&self) -> Result<Layout> {
        self.layout()?.ok_or_else(|| self.failed(layout::FILE, &"it is not there"))
    }

    fn failed(&self, file: &str, error: &dyn fmt::Display) -> DirectoryError {
        DirectoryError(format!("{}: {error}", self.path.join(file).display()))
    }

    /// Says in the lock file who holds it.
    fn sign(&self) -> io::Result<()> {
        let mut lock = &self.lock;
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())
    }
}

fn unusable(path: &Path, error: &io::Error) -> DirectoryError {
    let path = path.display();
    DirectoryError(format!("data directory {path} cannot be used: {error}; make it writable, or name another by -H"))
}

fn at(path: &Path, error: &dyn fmt::Display) -> DirectoryError {
    DirectoryError(format!("{}: {error}", path.display()))
}

/// Does something for each shard, on a thread each.
fn on_threads<T: Send>(paths: &[PathBuf], each: impl Fn(&Path) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let threads: Vec<_> = paths.iter().map(|path| scope.spawn(|| each(path))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    })
}

fn open_shard(path: &Path, options: Options) -> Result<(Shard, Recovered)> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| at(path, &error))?;
    let files = Arc::new(Files::open(&path.join("log")).map_err(|error| at(path, &error))?);
    match Store::open(Arc::clone(&files) as Arc<_>, Some(path.join("index")), options) {
        Ok((store, recovered)) => Ok((Shard::new(store), recovered)),
        Err(damage @ Error::Damage { .. }) => {
            let survey = Survey::read(&*files).map_err(|error| at(path, &error))?;
            // What the start found counts, whatever the survey makes of it.
            let report = if survey.is_whole() { String::new() } else { damage_report(path, &survey) };
            Err(if report.is_empty() { at(path, &damage) } else { DirectoryError(report) })
        }
        Err(error) => Err(at(path, &error)),
    }
}

fn refuse_links_below(path: &Path) -> Result<()> {
    let kind = fs::symlink_metadata(path).map_err(|error| at(path, &error))?.file_type();
    if kind.is_symlink() {
        let path = path.display();
        return Err(DirectoryError(format!(
            "{path} is a symbolic link, and rushq follows none there; put what it means in its place"
        )));
    }
    if kind.is_dir() {
        let entries = fs::read_dir(path).map_err(|error| at(path, &error))?;
        entries.flatten().try_for_each(|entry| refuse_links_below(&entry.path()))?;
    }
    Ok(())
}

fn give(path: &Path, user: u32, group: u32) -> io::Result<()> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), user, group)?;
        }
    } else if !kind.is_file() {
        return Ok(());
    }
    lchown(path, Some(user), Some(group))
}
