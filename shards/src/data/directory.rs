//! The data directory: who may use it, how many shards it is made for, and where each keeps its files.
//!
//! ```text
//! DIR/lock                   contains the id of the process that uses the directory
//! DIR/layout                 what the directory is made of, see the module `layout`
//! DIR/data-G/shard-000/log   the log's segments
//! DIR/data-G/shard-000/index the log's index
//! DIR/damaged-G/             what a repair of generation G set aside
//! ```
//!
//! Another number of shards means another generation: all queues are written into a new directory, which counts once
//! `layout` names it. That file is replaced by a rename, so at any moment one generation is whole and named.
//!
//! What is missing is damage, and never newness: a directory is new when it holds nothing of these but `lock`. Nothing
//! is removed unless `layout` names it as obsolete. A new directory is made in an order that can be cut anywhere:
//! `layout` with `new` in it, the logs, `layout` with the logs. Before that last step nothing is served.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use nix::sys::stat::{Mode, umask};
use storage::{Error, Files, Recovered, Store, StoreOptions, Survey};

use crate::data::damage::{damage_report, missing_report, set_aside};
use crate::data::error::{DirectoryError, Remedy, Result};
use crate::data::inventory::{self, Inventory, Missing, shard_path, shard_paths};
use crate::data::layout::{self, Layout, Logs};
use crate::data::lock::{self, Lock, LockError, Signature};
use crate::data::moving::Moved;
use crate::data::ownership;
use crate::engine::shard::Shard;

/// A file that every environment of Berkeley DB has.
const BERKELEY_DB: &str = "__db.001";
/// What other users may do with files and directories that this process makes: nothing.
const UMASK: u32 = 0o077;

/// A data directory, locked for this process as long as the value lives.
#[derive(Debug)]
pub struct DataDirectory {
    pub(crate) path: PathBuf,
    lock: Lock,
    signature: OnceLock<Signature>,
}

/// What a repair did.
#[derive(Debug)]
pub struct Repaired {
    /// What is in the directory now.
    pub moved: Moved,
    /// The files that damaged parts of the logs were written to, each with what was wrong.
    pub set_aside: Vec<(PathBuf, String)>,
    /// What was missing.
    pub missing: Vec<Missing>,
}

impl DataDirectory {
    /// Locks the directory at `path`, and makes it when it is not there, with mode 0700.
    ///
    /// # Errors
    /// When it cannot be made or read, or another process uses it.
    pub fn lock(path: &Path) -> Result<DataDirectory> {
        Files::open(path).map_err(|error| unusable(path, &error))?;
        let lock = Lock::exclusive(path).map_err(|error| not_locked(path, &error))?;
        Ok(DataDirectory { path: path.to_path_buf(), lock, signature: OnceLock::new() })
    }

    /// Reads all that is in a directory, which must be a data directory already. Nothing in it is changed, and no right
    /// to write is needed. A server cannot start on it meanwhile.
    ///
    /// # Errors
    /// When it is no data directory, a server uses it, or it cannot be read. Damage is no error here.
    pub fn look_at(path: &Path) -> Result<Inventory> {
        let is_none =
            || DirectoryError::with(format!("{} is no data directory of rushq", path.display()), Remedy::NameDirectory);
        if !path.is_dir() {
            return Err(is_none());
        }
        let _lock = Lock::shared(path).map_err(|error| not_locked(path, &error))?;
        refuse_links(path)?;
        let (layout, lost) = match read_layout(path)? {
            Some(layout) => (layout, None),
            None => {
                let lost = lost_layout(path)?.ok_or_else(is_none)?;
                let Ok(generation) = only_generation(path)? else {
                    return Ok(Inventory { logs: Vec::new(), missing: vec![lost] });
                };
                (inventory::layout_of(path, generation).map_err(|error| at(path, &error))?, Some(lost))
            }
        };
        let mut inventory = inventory::take(path, &layout).map_err(|error| at(path, &error))?;
        inventory.missing.extend(lost);
        Ok(inventory)
    }

    /// Whether nothing of rushq's is in it yet, and files of Berkeley DB are, as memcacheQ leaves them.
    #[must_use]
    pub fn is_new_beside_berkeley_db(&self) -> bool {
        let is_new = matches!(read_layout(&self.path), Ok(None)) && matches!(lost_layout(&self.path), Ok(None));
        is_new && self.path.join(BERKELEY_DB).exists()
    }

    /// Gives the directory and what rushq has made in it to a user, as far as it is root's alone.
    ///
    /// # Errors
    /// When something in it is neither, or cannot be given away.
    pub fn give_to(&self, user: u32, group: u32) -> Result<()> {
        ownership::give(self.lock.directory(), &self.path, user, group)
    }

    /// Opens the shards, each on a thread of its own, and recovers their queues; moves all queues first when the directory
    /// is made for another number of shards. The threads are not pinned, and those that sled starts meanwhile inherit
    /// that. From here on, what this process makes is its user's alone: its umask is changed.
    ///
    /// # Errors
    /// When a log cannot be read, is missing or is damaged, or there is no room to move. No message is changed then.
    pub fn open(&self, shards: u16, options: StoreOptions) -> Result<Vec<(Shard, Recovered)>> {
        refuse_links(&self.path)?;
        let layout = self.checked_layout()?;
        self.begin_changes()?;
        let mut layout = match layout {
            Some(layout) => layout,
            None => self.begin(shards)?,
        };
        if layout.logs == Logs::New {
            layout = self.make_logs(layout, options)?;
        }
        let layout = self.remove_obsolete(layout)?;
        self.tell_of_others(&layout)?;
        let layout = if layout.shards == shards { layout } else { self.move_to(&layout, shards, options)? };
        let paths = shard_paths(&self.path, &layout);
        inventory::on_threads(&paths, |path| open_shard(path, options)).into_iter().collect()
    }

    /// Makes a new generation of all that is whole, and sets the damaged parts of the logs aside. `None`: nothing is
    /// damaged or missing, and nothing was changed.
    ///
    /// # Errors
    /// When the files cannot be read, or there is no room for a second copy. No message is changed then.
    pub fn repair(&self, options: StoreOptions) -> Result<Option<Repaired>> {
        refuse_links(&self.path)?;
        let (layout, lost) = match read_layout(&self.path)? {
            Some(Layout { logs: Logs::New, .. }) => return Ok(None),
            Some(layout) => (layout, None),
            None => match lost_layout(&self.path)? {
                None => return Ok(None),
                Some(lost) => {
                    let generation = only_generation(&self.path)?.map_err(DirectoryError::new)?;
                    let layout = inventory::layout_of(&self.path, generation);
                    (layout.map_err(|error| at(&self.path, &error))?, Some(lost))
                }
            },
        };
        let mut inventory = inventory::take(&self.path, &layout).map_err(|error| at(&self.path, &error))?;
        inventory.missing.extend(lost);
        if inventory.is_whole() {
            return Ok(None);
        }
        if let Some(foreign) = inventory::foreign(&self.path, &layout, &inventory) {
            let path = foreign.display();
            let what = format!("{path} holds a log that was not made in this data directory; nothing was changed");
            return Err(DirectoryError::with(what, Remedy::MoveAway));
        }
        self.begin_changes()?;
        let aside = self.path.join(format!("damaged-{}", layout.generation));
        let set_aside = set_aside(&aside, &inventory.logs)
            .map_err(|error| DirectoryError::new(format!("{}: {error}; nothing was repaired", aside.display())))?;
        let (moved, _) = self.replace(&layout, layout.shards, &inventory, options)?;
        Ok(Some(Repaired { moved, set_aside, missing: inventory.missing }))
    }

    /// The layout, when all is there that it names; `None` for a new directory. Nothing is changed.
    fn checked_layout(&self) -> Result<Option<Layout>> {
        let Some(layout) = read_layout(&self.path)? else {
            return match lost_layout(&self.path)? {
                Some(lost) => Err(missing_report(&[lost])),
                None => Ok(None),
            };
        };
        let missing = inventory::missing(&self.path, &layout).map_err(|error| at(&self.path, &error))?;
        if missing.is_empty() {
            return Ok(Some(layout));
        }
        let inventory = inventory::take(&self.path, &layout).map_err(|error| at(&self.path, &error))?;
        if layout.logs == Logs::Unknown && was_never_finished(&layout, &inventory) {
            return Ok(Some(Layout { logs: Logs::New, ..layout }));
        }
        let damaged = (0..).zip(&inventory.logs).find(|(_, log)| !log.is_whole());
        Err(match damaged {
            Some((shard, log)) if inventory.missing.is_empty() => {
                damage_report(&shard_path(&self.path, layout.generation, shard), log)
            }
            _ => missing_report(&missing),
        })
    }

    /// Begins a new data directory.
    fn begin(&self, shards: u16) -> Result<Layout> {
        let layout = Layout { shards, generation: 1, logs: Logs::New, obsolete: Vec::new() };
        self.write_layout(&layout)?;
        Ok(layout)
    }

    /// Makes the logs that a new directory is still without, and notes all of them.
    fn make_logs(&self, layout: Layout, options: StoreOptions) -> Result<Layout> {
        let made = inventory::on_threads(&shard_paths(&self.path, &layout), |path| {
            let files = Files::open(&path.join("log")).map_err(|error| at(path, &error))?;
            let (store, _) = Store::open(Arc::new(files), None, options).map_err(|error| at(path, &error))?;
            Ok(Some(store.log_id()))
        });
        let layout = Layout { logs: Logs::Made(made.into_iter().collect::<Result<_>>()?), ..layout };
        self.write_layout(&layout)?;
        Ok(layout)
    }

    /// Everything is looked at and agreed upon: from here on the directory is changed.
    fn begin_changes(&self) -> Result<()> {
        umask(Mode::from_bits_truncate(UMASK));
        if self.signature.get().is_some() {
            return Ok(());
        }
        match Signature::write(&self.path) {
            Ok(signature) => {
                let _ = self.signature.set(signature);
                Ok(())
            }
            Err(error @ LockError::Taken(_)) => Err(not_locked(&self.path, &error)),
            // As on a full disk. The directory itself is locked, and who has done that is a courtesy.
            Err(LockError::Io(error)) => {
                log::debug!("{}", failed(&self.path, lock::FILE, &error));
                Ok(())
            }
        }
    }

    pub(crate) fn write_layout(&self, layout: &Layout) -> Result<()> {
        layout.write(&self.path).map_err(|error| failed(&self.path, layout::FILE, &error))
    }
}

/// Whether the first start of a build before was cut while it made the logs: each has its first segment, perhaps not
/// finished, and none has a frame.
fn was_never_finished(layout: &Layout, inventory: &Inventory) -> bool {
    let has_begun = |missing: &Missing| missing.path.join("0000000001.log").exists();
    let is_empty = |log: &Survey| log.is_whole() && log.frames() == 0;
    layout.generation == 1 && inventory.missing.iter().all(has_begun) && inventory.logs.iter().all(is_empty)
}

fn read_layout(path: &Path) -> Result<Option<Layout>> {
    Layout::read(path).map_err(|error| failed(path, layout::FILE, &error))
}

/// Where there is no layout: that it is missing, if anything else of rushq's is there.
fn lost_layout(path: &Path) -> Result<Option<Missing>> {
    let entries = fs::read_dir(path).map_err(|error| unusable(path, &error))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let witness = names.filter(|name| name.starts_with("data-") || name.starts_with("damaged-")).min();
    let missing =
        |witness| Missing { path: path.join(layout::FILE), what: format!("is missing, although {witness} is there") };
    Ok(witness.map(missing))
}

/// The one generation in a directory without a layout, or why there is none that is meant.
fn only_generation(path: &Path) -> Result<std::result::Result<u32, String>> {
    let generations = inventory::generations(path).map_err(|error| unusable(path, &error))?;
    Ok(match generations[..] {
        [generation] => Ok(generation),
        _ => Err(format!(
            "{}: nothing says which of {} directories with data counts; put the file layout back, or move all but one elsewhere",
            path.display(),
            generations.len()
        )),
    })
}

/// No symbolic link is followed below the directory: a user who may write there could have the server write elsewhere.
fn refuse_links(path: &Path) -> Result<()> {
    let entries = fs::read_dir(path).map_err(|error| unusable(path, &error))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if ownership::is_ours(&name) {
            refuse_links_below(&path)?;
        }
    }
    Ok(())
}

fn refuse_links_below(path: &Path) -> Result<()> {
    let kind = fs::symlink_metadata(path).map_err(|error| at(path, &error))?.file_type();
    if kind.is_symlink() {
        let path = path.display();
        return Err(DirectoryError::new(format!(
            "{path} is a symbolic link, and rushq follows none there; put what it means in its place"
        )));
    }
    if kind.is_dir() {
        let entries = fs::read_dir(path).map_err(|error| at(path, &error))?;
        entries.flatten().try_for_each(|entry| refuse_links_below(&entry.path()))?;
    }
    Ok(())
}

fn unusable(path: &Path, error: &io::Error) -> DirectoryError {
    let path = path.display();
    DirectoryError::with(format!("data directory {path} cannot be used: {error}"), Remedy::MakeWritable)
}

fn not_locked(path: &Path, error: &LockError) -> DirectoryError {
    match error {
        LockError::Io(error) => unusable(path, error),
        LockError::Taken(holder) => {
            let holder = holder.as_ref().map_or_else(String::new, |holder| format!(" (process {holder})"));
            let what = format!("data directory {} is in use by another rushq{holder}", path.display());
            DirectoryError::with(what, Remedy::StopOther)
        }
    }
}

pub(crate) fn at(path: &Path, error: &dyn fmt::Display) -> DirectoryError {
    DirectoryError::new(format!("{}: {error}", path.display()))
}

pub(crate) fn failed(path: &Path, file: &str, error: &dyn fmt::Display) -> DirectoryError {
    at(&path.join(file), error)
}

fn open_shard(path: &Path, options: StoreOptions) -> Result<(Shard, Recovered)> {
    let files = Arc::new(Files::open(&path.join("log")).map_err(|error| at(path, &error))?);
    match Store::open(Arc::clone(&files) as Arc<_>, Some(path.join("index")), options) {
        Ok((store, recovered)) => Ok((Shard::new(store), recovered)),
        Err(damage @ Error::Damage { .. }) => {
            let survey = Survey::read(&*files).map_err(|error| at(path, &error))?;
            // Where the survey finds nothing wrong, what the start found still counts.
            Err(if survey.is_whole() { at(path, &damage) } else { damage_report(path, &survey) })
        }
        Err(error) => Err(at(path, &error)),
    }
}
