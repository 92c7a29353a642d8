//! Lists what is open of a queue.

use crate::engine::shard::Shard;
use crate::outcome::Outcome;

impl Shard {
    /// Some of what is open of a queue, from the lease behind `after` on.
    pub(super) fn list_opens(&self, _queue: &[u8], _after: u64) -> Outcome {
        Outcome::Opens { lines: Vec::new(), next: None }
    }
}
