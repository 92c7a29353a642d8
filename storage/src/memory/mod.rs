//! The memory budget: which bodies leave memory, and how they come back.
//!
//! Invariant: a message whose put is not written yet has its body in memory. So the budget may be exceeded by what the
//! frames on their way hold, and by nothing else.

mod evict;
mod read_ahead;
pub(crate) mod reads;
mod windows;

use evict::EvictionHand;
use reads::Reads;
use windows::Windows;

/// What keeps the bodies in memory within the budget, and brings them back.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Bytes that all bodies and windows may take.
    bytes_max: usize,
    hand: EvictionHand,
    windows: Windows,
    pub(crate) reads: Reads,
    /// The buffer of reads of puts alone.
    scratch: Vec<u8>,
}

impl Memory {
    /// For a store that keeps so many bytes of bodies in memory.
    pub(crate) fn new(bytes_max: usize) -> Memory {
        Memory {
            bytes_max,
            hand: EvictionHand::default(),
            windows: Windows::new(bytes_max),
            reads: Reads::default(),
            scratch: Vec::new(),
        }
    }

    /// Forgets what is of segments that have gone.
    pub(crate) fn forget_before(&mut self, first_segment: u32) {
        self.windows.forget_before(first_segment);
        self.reads.forget_before(first_segment);
    }
}
