//! Time, as decisions get it: a value that the pump makes of its clock, and the simulator of nothing.

/// A moment of the process: milliseconds since its shards were set up, the same count on all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// When the shards were set up.
    pub const START: Moment = Moment(0);

    /// So many milliseconds after the start.
    #[must_use]
    pub fn from_ms(ms: u64) -> Moment {
        Moment(ms)
    }

    /// Milliseconds since the start.
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
