//! The index: a tree of keys and values that holds the last checkpoint, so that a start need not read the whole log.
//!
//! Nothing depends on it. It is believed only where it agrees with the log, and its loss costs one full read of it.
//!
//! | key | value |
//! |---|---|
//! | `c` | the checkpoint: [`Meta`] |
//! | `C` generation u64 page u32 | a page of the list of its directories |
//! | `D` segment u32 generation u64 page u32 | a page of a segment's directory |
//! | `R` generation u64 page u32 | a page of the queues' records |
//!
//! Keys are big-endian, so that they sort. A checkpoint writes its pages beside those of the last one, and counts from the
//! one write on that replaces [`Meta`]. That names the sum of the list, which names the sums of the directories, so pages
//! that do not belong together are never taken for a checkpoint. What is no longer needed is removed afterwards.

mod contents;
pub(crate) mod items;
pub(crate) mod listing;
mod pages;
pub(crate) mod segment_puts;
mod tree;

use std::sync::Arc;
use std::{io, path::Path};

pub(crate) use contents::{Contents, Meta, Written, pack, unneeded};
pub(crate) use pages::{ITEM_BYTES_MAX, Page, PageWriter, Pages, Sum};
pub use tree::Tree;

use pages::Summing;
use tree::SledTree;

const META: &[u8] = b"c";
/// Keys that are removed in one step.
const REMOVED_AT_ONCE: usize = 256;

/// What went wrong with the index, for the log. Never a reason to stop.
#[derive(Debug)]
pub(crate) struct IndexError(pub(crate) String);

impl From<io::Error> for IndexError {
    fn from(error: io::Error) -> IndexError {
        IndexError(error.to_string())
    }
}

type Result<T> = std::result::Result<T, IndexError>;

/// The keys that are still to be looked at for removal.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    ranges: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Sweep {
    /// Of all that the checkpoint does not need, apart from directories below `from`.
    pub(crate) fn new(meta: &Meta, contents: &Contents, from: u32) -> Sweep {
        Sweep { ranges: unneeded(meta, contents, from) }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.ranges.is_empty()
    }
}

/// The index, open.
#[derive(Debug)]
pub(crate) struct Index {
    tree: Arc<dyn Tree>,
}

impl Index {
    pub(crate) fn new(tree: Arc<dyn Tree>) -> Arc<Index> {
        Arc::new(Index { tree })
    }

    /// Opens the index in a directory.
    pub(crate) fn open(path: &Path) -> Result<Arc<Index>> {
        let tree = SledTree::open(path).map_err(|error| IndexError(format!("{}: {error}", path.display())))?;
        Ok(Index::new(Arc::new(tree)))
    }

    pub(crate) fn meta(&self) -> Result<Option<Meta>> {
        Ok(self.tree.get(META)?.and_then(|value| Meta::decode(&value)))
    }

    /// The list of a checkpoint's directories; `None` when it is not whole.
    pub(crate) fn contents(&self, meta: &Meta) -> Result<Option<Contents>> {
        let mut contents = Contents::new();
        let whole = self.read(Pages::Contents(meta.generation), meta.contents, |items| {
            contents::unpack(items, &mut contents).is_some()
        })?;
        Ok(whole.then_some(contents))
    }

    /// Calls `each` with the packed items of every page in order. `Ok(false)`: the pages are not those of the sum, or
    /// `each` found something wrong; what it was called with before counts for nothing then.
    pub(crate) fn read(&self, pages: Pages, sum: Sum, mut each: impl FnMut(&[u8]) -> bool) -> Result<bool> {
        let mut summing = Summing::default();
        for page in 0..sum.pages {
            let Some(value) = self.tree.get(&pages.key(page))? else {
                return Ok(false);
            };
            let Some(items) = pages::items(pages, &value) else {
                return Ok(false);
            };
            summing.add(&value);
            if !each(items) {
                return Ok(false);
            }
        }
        Ok(summing.sum() == sum)
    }

    pub(crate) fn write(&self, pages: Vec<Page>) -> Result<()> {
        for (key, value) in pages {
            debug_assert!(value.len() <= pages::VALUE_BYTES_MAX);
            self.tree.insert(&key, &value)?;
        }
        Ok(())
    }

    /// Makes the pages durable, then the checkpoint that stands on them. Only then the pages of the last one may go.
    pub(crate) fn finish(&self, meta: &Meta) -> Result<()> {
        self.tree.sync()?;
        self.tree.insert(META, &meta.encode())?;
        Ok(self.tree.sync()?)
    }

    /// Removes a few keys.
    pub(crate) fn sweep(&self, sweep: &mut Sweep) -> Result<()> {
        let mut left = REMOVED_AT_ONCE;
        while let Some((from, to)) = sweep.ranges.last_mut() {
            let keys = self.tree.keys(from, to.as_deref(), left)?;
            for key in &keys {
                self.tree.remove(key)?;
            }
            left -= keys.len();
            if left == 0 {
                return Ok(());
            }
            sweep.ranges.pop();
        }
        Ok(())
    }
}
