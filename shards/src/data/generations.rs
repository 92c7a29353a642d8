//! From one generation of a data directory to the next: for another number of shards, and out of logs that are damaged.
//!
//! What is about to be written is named as obsolete before it is there, and what was written from it once it is whole. So
//! a start after a cut anywhere removes the one that does not count, and never anything that is not named.

use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use storage::{Files, Store, StoreOptions};

use crate::data::damage::{damage_report, missing_report};
use crate::data::directory::{DataDirectory, at};
use crate::data::error::{DirectoryError, Remedy, Result};
use crate::data::inventory::{self, Inventory, generation_path, shard_path, shard_paths};
use crate::data::layout::{Layout, Logs};
use crate::data::moving::{MoveError, Moved, move_all, options_that_fit};

impl DataDirectory {
    /// Moves all queues to where they belong with another number of shards.
    pub(crate) fn move_to(&self, layout: &Layout, shards: u16, options: StoreOptions) -> Result<Layout> {
        let began = Instant::now();
        log::info!("moving all queues from {} to {shards} shards", layout.shards);
        let inventory = inventory::take(&self.path, layout).map_err(|error| at(&self.path, &error))?;
        for (shard, log) in (0..).zip(&inventory.logs) {
            if !log.is_whole() {
                return Err(damage_report(&shard_path(&self.path, layout.generation, shard), log));
            }
        }
        if !inventory.missing.is_empty() {
            return Err(missing_report(&inventory.missing));
        }
        let (moved, layout) = self.replace(layout, shards, &inventory, options)?;
        let (queues, messages, took) = (moved.queues, moved.messages, began.elapsed());
        log::info!("moved {messages} messages in {queues} queues to {shards} shards, in {took:.1?}");
        Ok(layout)
    }

    /// Writes a new generation with what is whole of the old one, makes it the one that counts, and removes the old one.
    pub(crate) fn replace(
        &self,
        old: &Layout,
        shards: u16,
        inventory: &Inventory,
        options: StoreOptions,
    ) -> Result<(Moved, Layout)> {
        let number = inventory::next_generation(&self.path, old.generation).map_err(|error| at(&self.path, &error))?;
        let path = generation_path(&self.path, number);
        let before = match &old.logs {
            Logs::Unknown | Logs::New => Layout { logs: inventory::made(inventory), ..old.clone() },
            Logs::Made(_) => old.clone(),
        };
        let named = Layout { obsolete: [&before.obsolete[..], &[number]].concat(), ..before.clone() };
        self.write_layout(&named)?;
        let new = Layout { shards, generation: number, logs: Logs::New, obsolete: Vec::new() };
        let written =
            self.write_generation(&new, inventory, options_that_fit(options, &inventory.logs)).map_err(|error| {
                // What cannot be removed now is removed by the next start.
                let _ = fs::remove_dir_all(&path).and_then(|()| before.write(&self.path));
                let what = format!("{}: {error}", path.display());
                match error {
                    MoveError::Full => DirectoryError::with(what, Remedy::MakeRoom),
                    _ => DirectoryError::new(format!("{what}; the queues are where they were")),
                }
            });
        let (moved, logs) = written?;
        let obsolete = [&before.obsolete[..], &[before.generation]].concat();
        let new = Layout { logs, obsolete, ..new };
        self.write_layout(&new)?;
        Ok((moved, self.remove_obsolete(new)?))
    }

    fn write_generation(
        &self,
        layout: &Layout,
        inventory: &Inventory,
        options: StoreOptions,
    ) -> std::result::Result<(Moved, Logs), MoveError> {
        let mut targets = Vec::new();
        for path in shard_paths(&self.path, layout) {
            let files = Files::open(&path.join("log")).map_err(MoveError::Directory)?;
            // Without an index: sled lets go of its files some time after it was closed, and the start follows at once.
            let (store, _) = Store::open(Arc::new(files), None, options)?;
            targets.push(store);
        }
        let moved = move_all(&inventory.logs, &mut targets)?;
        Ok((moved, Logs::Made(targets.iter().map(|target| Some(target.log_id())).collect())))
    }

    /// Removes what the layout names as obsolete, and notes that it is gone. A layout of an older version is written
    /// anew, with the logs that there are.
    pub(crate) fn remove_obsolete(&self, layout: Layout) -> Result<Layout> {
        for obsolete in &layout.obsolete {
            let path = generation_path(&self.path, *obsolete);
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&path, &error)),
                _ => {}
            }
        }
        let logs = match &layout.logs {
            Logs::Unknown => self.found_logs(&layout)?,
            known => known.clone(),
        };
        let is_current = Layout::is_current(&self.path).map_err(|error| at(&self.path, &error))?;
        let is_noted = layout.obsolete.is_empty() && logs == layout.logs && is_current;
        if is_noted || logs == Logs::Unknown {
            return Ok(layout);
        }
        // The names first: a number that is not noted any more may be given out again.
        File::open(&self.path).and_then(|directory| directory.sync_all()).map_err(|error| at(&self.path, &error))?;
        let noted = Layout { obsolete: Vec::new(), logs, ..layout.clone() };
        match noted.write(&self.path) {
            Ok(()) => Ok(noted),
            // As on a full disk: what is there is as good as before, and the next start tries again.
            Err(error) => {
                log::warn!("{}: the layout is not brought up to date: {error}", self.path.display());
                Ok(layout)
            }
        }
    }

    /// Which logs there are; unknown, when one holds segments of more than one.
    fn found_logs(&self, layout: &Layout) -> Result<Logs> {
        let mut logs = Vec::new();
        for path in shard_paths(&self.path, layout) {
            let ids = storage::log_ids(&Files::read_only(&path.join("log"))).map_err(|error| at(&path, &error))?;
            if ids.len() != 1 {
                return Ok(Logs::Unknown);
            }
            logs.push(ids.first().copied());
        }
        Ok(Logs::Made(logs))
    }

    /// Says which generations are there and are neither the one that counts nor obsolete. They stay.
    pub(crate) fn tell_of_others(&self, layout: &Layout) -> Result<()> {
        let there = inventory::generations(&self.path).map_err(|error| at(&self.path, &error))?;
        for number in there.into_iter().filter(|number| *number != layout.generation) {
            let (other, used) = (generation_path(&self.path, number), layout.generation);
            log::warn!(
                "{} stays as it is, and messages in it are not seen: the layout names data-{used}; remove it when nothing of \
                 it is needed",
                other.display()
            );
        }
        Ok(())
    }
}
