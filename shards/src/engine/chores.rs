//! The slow parts of a shard: commits, and the store's work on its files. They come out as values, run anywhere, and are
//! taken back when they have run.

use storage::{Chore, Commit, FrameNumber, Fsync, Result};

use crate::engine::Engine;

impl Engine {
    /// Hands out what has become due, and sends the outcomes that waited for what is safe now.
    pub(super) fn progress(&mut self) {
        self.note_work();
        self.send_deferred();
    }

    /// Notes what work the store has to hand out.
    pub(super) fn note_work(&mut self) {
        let store = self.shard.store();
        self.due.reclaim |= store.wants_reclaim();
        self.due.segments |= store.wants_segment_chore();
        self.due.reads |= store.wants_read_chore();
        self.due.index |= store.wants_checkpoint_step();
    }

    /// Seals the frame that was filled so far; `None` while a commit is under way, or when nothing was changed.
    pub fn begin_commit(&mut self) -> Option<Commit> {
        self.shard.store_mut().begin_commit()
    }

    /// Notes that a commit has run without an error, `inline` on the shard's own thread.
    pub fn finish_commit(&mut self, commit: Commit, inline: bool) {
        self.shard.finish_commit(commit, inline);
        self.progress();
    }

    /// An fdatasync of what was acknowledged after its write only; `None` when everything is durable.
    pub fn begin_sync(&mut self) -> Option<Fsync> {
        self.shard.store_mut().begin_sync()
    }

    /// Notes that a sync has run without an error.
    pub fn finish_sync(&mut self, sync: &Fsync) {
        self.shard.store_mut().finish_sync(sync);
        self.progress();
    }

    /// The next piece of work on the log's files. One at a time.
    pub fn segment_chore(&mut self) -> Option<Chore> {
        self.shard.store_mut().segment_chore()
    }

    /// The next read of the log that an operation or a reclaim waits for. Several may be under way at a time.
    pub fn read_chore(&mut self) -> Option<Chore> {
        self.shard.store_mut().read_chore()
    }

    /// Whether a checkpoint can go on.
    pub fn wants_checkpoint_step(&mut self) -> bool {
        self.shard.store_mut().wants_checkpoint_step()
    }

    /// The next piece of a checkpoint. One at a time.
    pub fn index_chore(&mut self) -> Option<Chore> {
        self.shard.store_mut().index_chore()
    }

    /// Takes a chore back after it ran.
    ///
    /// # Errors
    /// When the disk has failed. The process must stop, and acknowledge nothing more.
    pub fn finish_chore(&mut self, chore: Chore) -> Result<()> {
        let ends_a_wait = self.shard.store_mut().finish_chore(chore)?;
        // A segment that left the ring is said to have left by the next frame.
        self.due.commit = true;
        self.progress();
        if ends_a_wait {
            self.retry();
        }
        Ok(())
    }

    /// Does a little of what gives space back. Returns the frame that must be safe before it goes on: one frame is copied
    /// for one that is committed, fast enough to keep up, slow enough not to be in the way. `None`: it is done.
    ///
    /// # Errors
    /// When the disk has failed. The process must stop, and acknowledge nothing more.
    pub fn reclaim(&mut self) -> Result<Option<FrameNumber>> {
        if !self.shard.store_mut().wants_reclaim() {
            self.progress();
            return Ok(None);
        }
        self.shard.store_mut().reclaim()?;
        self.due.reads |= self.shard.store_mut().wants_read_chore();
        self.due.commit = true;
        Ok(Some(self.last_changed_frame()))
    }

    /// Asks for a checkpoint. It is done when [`storage::Store::checkpoints_finished`] has reached what this returns.
    pub fn request_checkpoint(&mut self) -> u64 {
        self.due.index = true;
        self.shard.store_mut().request_checkpoint()
    }
}
