//! What a store has others do that is slow, in three steps that anything may come between: it begins, it runs
//! elsewhere, and it comes back to be finished.

use storage::{Chore, Commit, Fsync, Result};

/// What a server runs on another thread, or where the shard waits for it.
pub trait Run {
    /// Does the slow part.
    ///
    /// # Errors
    /// When the disk fails.
    fn run(&mut self) -> Result<()>;
}

impl Run for Commit {
    fn run(&mut self) -> Result<()> {
        Commit::run(self)
    }
}

impl Run for Fsync {
    fn run(&mut self) -> Result<()> {
        Fsync::run(self)
    }
}

impl Run for Chore {
    fn run(&mut self) -> Result<()> {
        Chore::run(self);
        Ok(())
    }
}

/// With what was so when it began.
impl<T: Run, N> Run for (T, N) {
    fn run(&mut self) -> Result<()> {
        self.0.run()
    }
}

/// A place for one slow thing, which may be on its way.
#[derive(Debug)]
pub struct Slow<T>(Option<Stage<T>>);

#[derive(Debug)]
enum Stage<T> {
    Begun(T),
    Ran(T),
}

impl<T> Default for Slow<T> {
    fn default() -> Slow<T> {
        Slow(None)
    }
}

impl<T: Run> Slow<T> {
    /// Something that begins.
    pub fn begun(slow: T) -> Slow<T> {
        Slow(Some(Stage::Begun(slow)))
    }

    /// Whether something is on its way.
    pub fn is_under_way(&self) -> bool {
        self.0.is_some()
    }

    /// Goes on for a step: begins what there is to begin, runs what was begun, or returns what has run, to be finished.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn step(&mut self, begin: impl FnOnce() -> Option<T>) -> Result<Option<T>> {
        self.0 = match self.0.take() {
            None => begin().map(Stage::Begun),
            Some(Stage::Begun(mut slow)) => {
                slow.run()?;
                Some(Stage::Ran(slow))
            }
            Some(Stage::Ran(slow)) => return Ok(Some(slow)),
        };
        Ok(None)
    }
}
