//! Chores: what a store has done by another thread, at no client's cost.

use std::io;
use std::mem;
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::{Error, Failure, Result};
use crate::index::{Index, IndexError};
use crate::log::{FileWork, Preparation};
use crate::memory::reads::Read;
use crate::store::Store;
use crate::store::checkpoint::IndexWork;

/// Work that a store has for another thread: slow, and nothing waits for it. Run it, then give it to
/// [`Store::finish_chore`].
#[derive(Debug)]
#[must_use = "a chore does nothing before it ran, and the store waits for it"]
pub struct Chore(Kind);

#[derive(Debug)]
enum Kind {
    Prepare(Preparation, Arc<dyn Disk>, Option<Failure>),
    Unlink(String, Arc<dyn Disk>, Option<Failure>),
    Read(Read),
    Index { index: Arc<Index>, work: IndexWork, failed: Option<IndexFailure> },
}

/// What kept a piece of a checkpoint from being written.
#[derive(Debug)]
enum IndexFailure {
    /// The index is given up.
    Index(IndexError),
    /// The log's disk failed.
    Disk(Error),
}

impl From<IndexError> for IndexFailure {
    fn from(error: IndexError) -> IndexFailure {
        IndexFailure::Index(error)
    }
}

/// Does a piece of a checkpoint.
fn write_index(index: &Index, work: &mut IndexWork) -> std::result::Result<(), IndexFailure> {
    match work {
        IndexWork::Write(pages) => index.write(mem::take(pages))?,
        IndexWork::Finish(meta, notes) => {
            notes.note_durable(meta.needs_frame).and_then(|()| notes.sync()).map_err(IndexFailure::Disk)?;
            index.finish(meta)?;
        }
        IndexWork::Sweep(sweep) => index.sweep(sweep)?,
    }
    Ok(())
}

impl Chore {
    /// Does the work. What fails is reported by [`Store::finish_chore`].
    pub fn run(&mut self) {
        match &mut self.0 {
            Kind::Prepare(preparation, disk, failed) => *failed = preparation.run(&**disk).err(),
            Kind::Unlink(name, disk, failed) => {
                let unlink = || match disk.remove(name) {
                    // The name was taken away by an attempt whose end failed.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => disk.sync_directory(),
                    removed => removed.and_then(|()| disk.sync_directory()),
                };
                *failed = unlink().map_err(Error::io("unlink", name.as_str())).err().map(Failure::of_name);
            }
            Kind::Read(read) => read.run(),
            Kind::Index { index, work, failed } => *failed = write_index(index, work).err(),
        }
    }
}

impl Store {
    /// The next piece of work on the log's files, if there is one. One at a time: until it is finished, there is none. A
    /// segment is prepared by many of them, each with one wait for the disk.
    pub fn segment_chore(&mut self) -> Option<Chore> {
        let disk = Arc::clone(self.disk());
        Some(Chore(match self.log.begin_file_work()? {
            FileWork::Prepare(preparation) => Kind::Prepare(preparation, disk, None),
            FileWork::Unlink(name) => Kind::Unlink(name, disk, None),
        }))
    }

    /// Whether [`segment_chore`](Self::segment_chore) has something to hand out.
    #[must_use]
    pub fn wants_segment_chore(&self) -> bool {
        self.log.wants_chore()
    }

    /// Lets a take or a reclaim leave reads of what is on the disk only to a [`read_chore`](Self::read_chore), and wait for
    /// it. Else they read by themselves, however long that takes.
    pub fn let_reads_wait(&mut self) {
        self.memory.reads.may_wait = true;
    }

    /// The next read of the log that something waits for, if there is one. Several may be under way at a time.
    pub fn read_chore(&mut self) -> Option<Chore> {
        Some(Chore(Kind::Read(self.memory.reads.begin()?)))
    }

    /// Whether [`read_chore`](Self::read_chore) has something to hand out.
    #[must_use]
    pub fn wants_read_chore(&self) -> bool {
        self.memory.reads.are_waiting()
    }

    /// The next piece of a checkpoint, if one is due or under way. One at a time.
    pub fn index_chore(&mut self) -> Option<Chore> {
        let index = Arc::clone(self.index.as_ref()?);
        let work = self.next_index_work()?;
        Some(Chore(Kind::Index { index, work, failed: None }))
    }

    /// Takes a chore back after it ran. Returns whether what waits is to be asked again: a segment of which a piece was
    /// prepared is of no use yet. What failed and may pass, as when the machine has no descriptor left, is said in the
    /// log and handed out again after the next [`tick`](Self::tick). A failing index is given up: the next start reads
    /// the whole log.
    ///
    /// # Errors
    /// When the disk failed; the caller must stop.
    pub fn finish_chore(&mut self, chore: Chore) -> Result<bool> {
        // What is due and was held up may find its room or its body now.
        self.due_is_held_up = false;
        match chore.0 {
            Kind::Prepare(preparation, _, failed) => {
                self.log.finish_preparation(preparation, failed)?;
                return Ok(!self.log.is_short());
            }
            Kind::Unlink(name, _, failed) => self.log.finish_unlink(name, failed)?,
            Kind::Read(read) => self.memory.reads.finish(read, &self.log)?,
            Kind::Index { failed: Some(IndexFailure::Disk(error)), .. } => return Err(error),
            Kind::Index { failed: Some(IndexFailure::Index(IndexError(what))), .. } => {
                ::log::error!("the index fails and is given up, the next start reads the whole log: {what}");
                self.give_up_index();
            }
            Kind::Index { work, .. } => self.finish_index_work(work),
        }
        Ok(true)
    }
}
