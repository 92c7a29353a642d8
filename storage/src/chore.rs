//! Chores: what a store has done by another thread, at no client's cost.

use std::mem;
use std::sync::Arc;

use crate::checkpoint::IndexWork;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::index::{Index, IndexError};
use crate::log::Preparation;
use crate::reads::Read;
use crate::store::Store;

/// Work that a store has for another thread: slow, and nothing waits for it. Run it, then give it to
/// [`Store::finish_chore`].
#[derive(Debug)]
#[must_use = "a chore does nothing before it ran, and the store waits for it"]
pub struct Chore(Kind);

#[derive(Debug)]
enum Kind {
    Prepare(Arc<Preparation>, Arc<dyn Disk>),
    Unlink(String, Arc<dyn Disk>, Option<Error>),
    Read(Read),
    Index { index: Arc<Index>, work: IndexWork, failed: Option<IndexError> },
}

impl Chore {
    /// Does the work. What fails is reported by [`Store::finish_chore`].
    pub fn run(&mut self) {
        match &mut self.0 {
            Kind::Prepare(preparation, disk) => preparation.run(&**disk),
            Kind::Unlink(name, disk, failed) => {
                let unlink = || disk.remove(name).and_then(|()| disk.sync_directory());
                *failed = unlink().map_err(Error::io("unlink", name.as_str())).err();
            }
            Kind::Read(read) => read.run(),
            Kind::Index { index, work, failed } => {
                let done = match work {
                    IndexWork::Write(pages) => index.write(mem::take(pages)),
                    IndexWork::Finish { meta, first_segment } => index.finish(meta, *first_segment),
                };
                *failed = done.err();
            }
        }
    }
}

impl Store {
    /// The next piece of work on the log's files, if there is one. One at a time.
    pub fn segment_chore(&mut self) -> Option<Chore> {
        let disk = Arc::clone(self.disk());
        if let Some(preparation) = self.log.begin_preparation() {
            return Some(Chore(Kind::Prepare(preparation, disk)));
        }
        let name = self.log.take_unneeded()?;
        Some(Chore(Kind::Unlink(name, disk, None)))
    }

    /// Whether [`segment_chore`](Self::segment_chore) has something to hand out.
    #[must_use]
    pub fn wants_segment_chore(&self) -> bool {
        self.log.wants_chore()
    }

    /// Lets a take or a reclaim leave reads of what is on the disk only to a [`read_chore`](Self::read_chore), and wait for
    /// it. Else they read by themselves, however long that takes.
    pub fn let_reads_wait(&mut self) {
        self.reads.may_wait = true;
    }

    /// The next read of the log that something waits for, if there is one. Several may be under way at a time.
    pub fn read_chore(&mut self) -> Option<Chore> {
        Some(Chore(Kind::Read(self.reads.begin()?)))
    }

    /// Whether [`read_chore`](Self::read_chore) has something to hand out.
    #[must_use]
    pub fn wants_read_chore(&self) -> bool {
        self.reads.are_wanted()
    }

    /// The next piece of a checkpoint, if one is due or under way. One at a time.
    pub fn index_chore(&mut self) -> Option<Chore> {
        let index = Arc::clone(self.index.as_ref()?);
        let work = self.next_index_work()?;
        Some(Chore(Kind::Index { index, work, failed: None }))
    }

    /// Takes a chore back after it ran. A failing index is given up: the next start reads the whole log.
    ///
    /// # Errors
    /// When the disk failed; the caller must stop.
    pub fn finish_chore(&mut self, chore: Chore) -> Result<()> {
        match chore.0 {
            Kind::Prepare(..) => self.log.finish_preparation().map(|_| ()),
            Kind::Unlink(_, _, failed) => failed.map_or(Ok(()), Err),
            Kind::Read(read) => self.reads.finish(read, &self.log),
            Kind::Index { failed: Some(IndexError(what)), .. } => {
                ::log::error!("the index fails and is given up, the next start reads the whole log: {what}");
                self.give_up_index();
                Ok(())
            }
            Kind::Index { .. } => {
                self.finish_index_work();
                Ok(())
            }
        }
    }
}
