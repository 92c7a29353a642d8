//! How a store is set up.

/// When a change counts as safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// When its frame is on stable storage: a commit is a write and an fdatasync.
    Synced,
    /// When its frame is written: it survives the end of the process, and a power cut once
    /// [`Store::begin_sync`](crate::Store::begin_sync) has had its turn.
    Written,
}

/// How a store is set up.
#[derive(Debug, Clone, Copy)]
pub struct StoreOptions {
    /// When a change counts as safe.
    pub durability: Durability,
    /// Bytes of a segment file. A log that exists keeps the size that it was made with.
    pub segment_bytes: u32,
    /// Bytes of message bodies that are kept in memory.
    pub memory_bytes: usize,
    /// Bytes of the largest body; larger ones never come.
    pub body_bytes_max: usize,
    /// Bytes after which a commit takes no further change; what one change needs goes at once, however much it is.
    pub commit_bytes_max: usize,
}

impl StoreOptions {
    /// The smallest segment that takes bodies of this size.
    #[must_use]
    pub const fn segment_bytes_min(body_bytes_max: usize) -> usize {
        2 * (body_bytes_max + 1024)
    }

    /// The largest body that segments of this size take.
    #[must_use]
    pub fn body_bytes_max_in(segment_bytes: u32) -> usize {
        (segment_bytes as usize / 2).saturating_sub(1024)
    }
}
