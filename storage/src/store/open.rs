//! Opening a store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::error::Result;
use crate::index::{Index, IndexError, Tree};
use crate::options::StoreOptions;
use crate::recovery::LogFiles;
use crate::store::Store;

/// What recovery found, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// Queues that exist.
    pub queues: u64,
    /// Messages that wait.
    pub messages: u64,
    /// Frames that were read from the log.
    pub frames: u64,
    /// Whether the index was good, so that only the log's end was read.
    pub from_index: bool,
    /// How long it took.
    pub took: Duration,
}

impl Store {
    /// Opens the log in `disk`, or begins one there, with the index in the directory `index` (none: without an index).
    ///
    /// # Errors
    /// When the disk cannot be read or written, or the log is damaged before its end. Nothing is changed then.
    ///
    /// # Panics
    /// When the segments are too small for the bodies, see [`StoreOptions::segment_bytes_min`].
    pub fn open(disk: Arc<dyn Disk>, index: Option<PathBuf>, options: StoreOptions) -> Result<(Store, Recovered)> {
        let started = Instant::now();
        let index = index.and_then(|path| match Index::open(&path) {
            Ok(index) => Some(index),
            Err(IndexError(what)) => {
                ::log::error!("no index, every start reads the whole log: {what}");
                None
            }
        });
        Store::recover(disk, index, options, started)
    }

    /// Opens the log in `disk`, or begins one there, with the index in a tree.
    ///
    /// # Errors
    /// See [`open`](Self::open).
    ///
    /// # Panics
    /// See [`open`](Self::open).
    pub fn open_with_tree(
        disk: Arc<dyn Disk>,
        tree: Arc<dyn Tree>,
        options: StoreOptions,
    ) -> Result<(Store, Recovered)> {
        Store::recover(disk, Some(Index::new(tree)), options, Instant::now())
    }

    fn recover(
        disk: Arc<dyn Disk>,
        index: Option<Arc<Index>>,
        options: StoreOptions,
        started: Instant,
    ) -> Result<(Store, Recovered)> {
        assert!(options.segment_bytes as usize >= StoreOptions::segment_bytes_min(options.body_bytes_max));
        let restored = LogFiles::find(disk, &options)?.recover(index, &options)?;
        let (frames, from_index) = (restored.frames, restored.loaded.is_some());
        let store = Store::new(options, restored);
        let totals = store.totals();
        let took = started.elapsed();
        Ok((store, Recovered { queues: totals.queues, messages: totals.messages, frames, from_index, took }))
    }
}
