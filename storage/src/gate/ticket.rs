//! A ticket, or a place in line, in memory: what is known of one buyer.

use crate::log::entry::Seq;
use crate::log::tickets::Terms;

/// A ticket or a place in line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) buyer: Box<[u8]>,
    /// The terms, without what they would waste in between.
    until: u64,
    seq: Seq,
    /// The segment of the entry that says so last.
    pub(crate) segment: u32,
    extended: u8,
    kept_back: bool,
}

// A million tickets cost this, their names, and where they are found by these.
const _: () = assert!(size_of::<Option<Ticket>>() == 40);

impl Ticket {
    pub(crate) fn new(buyer: Box<[u8]>, terms: Terms, segment: u32) -> Ticket {
        let Terms { until, seq, extended, kept_back } = terms;
        Ticket { buyer, until, seq, segment, extended, kept_back }
    }

    pub(crate) fn terms(&self) -> Terms {
        let Ticket { until, seq, extended, kept_back, .. } = *self;
        Terms { until, seq, extended, kept_back }
    }
}
