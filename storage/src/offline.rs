//! A store that no pump drives: for programs that change queues while no server runs, on one thread, each step in its turn.

use crate::attempt::Attempt;
use crate::chore::Chore;
use crate::error::Result;
use crate::store::Store;

impl Store {
    /// Makes all that was changed durable, whatever the store's durability, and does what else is due: segments, copying
    /// forward, checkpoints.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn settle(&mut self) -> Result<()> {
        loop {
            self.commit_all()?;
            while let Some(chore) = self.segment_chore() {
                self.run_chore(chore)?;
            }
            while self.wants_checkpoint_step() {
                if let Some(chore) = self.index_chore() {
                    self.run_chore(chore)?;
                }
            }
            if self.wants_reclaim() {
                self.reclaim()?;
            } else if !self.wants_commit() {
                return Ok(());
            }
        }
    }

    /// Has something done by an [`Attempt`], and waits for the disk where that must be. `None`: there is no room for it.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn at_once<T>(&mut self, mut ask: impl FnMut(&mut Store) -> Result<Attempt<T>>) -> Result<Option<T>> {
        loop {
            match ask(self)? {
                Attempt::Done(value) => return Ok(Some(value)),
                Attempt::NoRoom => return Ok(None),
                Attempt::Wait => self.settle()?,
            }
        }
    }

    /// Whether there is a queue of this name.
    #[must_use]
    pub fn has_queue(&self, name: &[u8]) -> bool {
        self.queues.find(name).is_some()
    }

    /// Settles everything, and writes a checkpoint.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn close(&mut self) -> Result<()> {
        let wanted = self.request_checkpoint();
        self.settle()?;
        assert!(self.index.is_none() || self.checkpoints_finished() >= wanted, "nothing is left to wait for");
        Ok(())
    }

    fn commit_all(&mut self) -> Result<()> {
        while let Some(mut commit) = self.begin_commit() {
            commit.run()?;
            self.finish_commit(commit);
        }
        while let Some(sync) = self.begin_sync() {
            sync.run()?;
            self.finish_sync(&sync);
        }
        Ok(())
    }

    fn run_chore(&mut self, mut chore: Chore) -> Result<()> {
        chore.run();
        self.finish_chore(chore)
    }
}
