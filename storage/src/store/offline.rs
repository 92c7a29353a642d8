//! A store that no pump drives: for programs that change queues while no server runs, on one thread, each step in its turn.

use std::thread::sleep;
use std::time::Duration;

use crate::attempt::Attempt;
use crate::error::Result;
use crate::store::Store;
use crate::store::chore::Chore;

/// What fails and may pass, as for want of a descriptor, is tried again after such a pause, and so often.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSES_MAX: u32 = 20;

impl Store {
    /// Makes all that was changed durable, whatever the store's durability, and does what else is due: segments, copying
    /// forward, checkpoints.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    pub fn settle(&mut self) -> Result<()> {
        loop {
            self.commit_all()?;
            while let Some(chore) = self.read_chore() {
                self.run_chore(chore)?;
            }
            while let Some(chore) = self.segment_chore() {
                self.run_chore(chore)?;
            }
            while self.wants_checkpoint_step() {
                if let Some(chore) = self.index_chore() {
                    self.run_chore(chore)?;
                }
            }
            // What failed for now is not waited for here, and without it no space may be had back.
            let goes_on = self.wants_reclaim() && !self.log.is_paused();
            if goes_on {
                self.reclaim()?;
            } else if !self.wants_commit() && !self.wants_read_chore() {
                return Ok(());
            }
        }
    }

    /// Has something done by an [`Attempt`], and waits for the disk where that must be. `None`: there is no room for it.
    ///
    /// # Errors
    /// When the disk fails; the caller must stop.
    ///
    /// # Panics
    /// When a chore is at work elsewhere: nothing would come of waiting for it here.
    pub fn at_once<T>(&mut self, mut ask: impl FnMut(&mut Store) -> Result<Attempt<T>>) -> Result<Option<T>> {
        let mut pauses = 0;
        loop {
            match ask(self)? {
                Attempt::Done(value) => return Ok(Some(value)),
                Attempt::NoRoom => return Ok(None),
                Attempt::Wait => {
                    assert!(!self.log.is_at_work(), "a chore is at work elsewhere");
                    self.settle()?;
                }
            }
            if self.log.is_paused() {
                pauses += 1;
                if pauses > PAUSES_MAX {
                    return Ok(None);
                }
                sleep(PAUSE);
                self.tick();
            }
        }
    }

    /// Whether there is a queue of this name.
    #[must_use]
    pub fn has_queue(&self, name: &[u8]) -> bool {
        self.live.queues.find(name).is_some()
    }

    /// Settles everything, and writes a checkpoint.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn close(&mut self) -> Result<()> {
        let number = self.request_checkpoint();
        self.settle()?;
        assert!(self.index.is_none() || self.checkpoints_finished() >= number, "nothing is left to wait for");
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
        self.finish_chore(chore).map(|_| ())
    }
}
