//! Time, as decisions get it: a value that the pump makes of its clock, and the simulator of nothing.

/// A moment: milliseconds since 1970, so that a later process can tell what an earlier one has written down. While a
/// process lives its moments are the same on all shards, and never go back, whatever is done to the machine's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The beginning of 1970.
    pub const EPOCH: Moment = Moment(0);

    /// So many milliseconds after the beginning of 1970.
    #[must_use]
    pub fn from_ms(ms: u64) -> Moment {
        Moment(ms)
    }

    /// Milliseconds since the beginning of 1970.
    #[must_use]
    pub fn ms(self) -> u64 {
        self.0
    }

    /// So many milliseconds later.
    #[must_use]
    pub fn after_ms(self, ms: u64) -> Moment {
        Moment(self.0.saturating_add(ms))
    }
}
