//! Which tasks of an engine have something to do.

#[cfg(doc)]
use crate::engine::Engine;

/// The tasks of an engine that have something to do, by the methods that they call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due {
    /// [`Engine::begin_commit`], until it gives nothing more.
    pub commit: bool,
    /// [`Engine::begin_sync`].
    pub sync: bool,
    /// [`Engine::send_batches`].
    pub send: bool,
    /// [`Engine::apply_step`], until it returns that nothing is left.
    pub apply: bool,
    /// [`Engine::reclaim`], until it gives nothing more.
    pub reclaim: bool,
    /// [`Engine::segment_chore`], until it gives nothing more.
    pub segments: bool,
    /// [`Engine::read_chore`], until it gives nothing more.
    pub reads: bool,
    /// [`Engine::index_chore`], as long as [`Engine::wants_checkpoint_step`].
    pub index: bool,
    /// [`Engine::pass_time`], until it returns that nothing is left; then again at [`Engine::next_deadline`], which may
    /// come sooner than it was.
    pub time: bool,
}

impl Due {
    /// Adds what has become due since.
    pub fn add(&mut self, other: Due) {
        self.commit |= other.commit;
        self.sync |= other.sync;
        self.send |= other.send;
        self.apply |= other.apply;
        self.reclaim |= other.reclaim;
        self.segments |= other.segments;
        self.reads |= other.reads;
        self.index |= other.index;
        self.time |= other.time;
    }
}
