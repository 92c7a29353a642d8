//! Whether a gate kept its promises, from what every buyer was told, and from the queue behind it. No I/O.

mod find;
mod sentence;
#[cfg(test)]
mod tests;

pub(crate) use sentence::{Sentence, Verdict};

/// A buyer's number.
pub(crate) type Buyer = u32;

/// What a buyer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Seat(u32),
    /// All tickets are given.
    Refused,
    /// The seat is paid.
    Paid(u32),
    /// There is no ticket that could be paid.
    NotHeld,
}

/// A request that was sent, and what became of it. Times are nanoseconds since the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) buyer: Buyer,
    /// Just before its first byte was sent.
    pub(crate) sent_ns: u64,
    /// When the answer was here, and what it was; None: it never came.
    pub(crate) told: Option<(u64, Told)>,
}

/// A message of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Of(Buyer),
    /// What is no buyer's name.
    Other(String),
}

/// All that is known when the run is over.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) tickets: u32,
    /// Buyers are numbered below this.
    pub(crate) buyers: u32,
    /// A buyer's own are in the order of their answers.
    pub(crate) asks: &'a [Ask],
    /// The queue, from its head on.
    pub(crate) queue: &'a [Message],
    /// How many tickets the server has given, by its own count.
    pub(crate) given: Option<u64>,
}

/// Looks for every sentence that does not hold.
pub(crate) fn check(evidence: &Evidence<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    let buyers = find::told(evidence, &mut verdict);
    find::seats(evidence, &buyers, &mut verdict);
    find::early_refusals(evidence, &buyers, &mut verdict);
    find::messages(evidence, &buyers, &mut verdict);
    find::order(evidence, &buyers, &mut verdict);
    verdict
}
