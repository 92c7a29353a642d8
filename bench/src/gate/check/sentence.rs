//! What a gate promises, sentence by sentence, and where one of them does not hold.

/// Examples that are kept of each.
const EXAMPLES_MAX: usize = 5;

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sentence {
    NotTooMany,
    OneABuyer,
    Distinct,
    Stays,
    PaidStays,
    RefusedMeansGiven,
    MessageOfEach,
    FirstComeFirstServed,
}

impl Sentence {
    pub(crate) const ALL: [Sentence; 8] = [
        Sentence::NotTooMany,
        Sentence::OneABuyer,
        Sentence::Distinct,
        Sentence::Stays,
        Sentence::PaidStays,
        Sentence::RefusedMeansGiven,
        Sentence::MessageOfEach,
        Sentence::FirstComeFirstServed,
    ];

    /// A word for programs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Sentence::NotTooMany => "not_too_many",
            Sentence::OneABuyer => "one_a_buyer",
            Sentence::Distinct => "distinct",
            Sentence::Stays => "stays",
            Sentence::PaidStays => "paid_stays",
            Sentence::RefusedMeansGiven => "refused_means_given",
            Sentence::MessageOfEach => "message_of_each",
            Sentence::FirstComeFirstServed => "first_come_first_served",
        }
    }

    /// The promise.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Sentence::NotTooMany => "no more tickets are valid than there are",
            Sentence::OneABuyer => "a buyer has one ticket",
            Sentence::Distinct => "seats are distinct",
            Sentence::Stays => "a seat that was told stays",
            Sentence::PaidStays => "a paid ticket stays",
            Sentence::RefusedMeansGiven => "a buyer is refused only when all tickets are given",
            Sentence::MessageOfEach => "each ticket has its message in the queue, and each message its ticket",
            Sentence::FirstComeFirstServed => "who had an answer before another asked is before the other in the queue",
        }
    }
}

/// How often a sentence does not hold, with the first examples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) count: u64,
    pub(crate) examples: Vec<String>,
}

/// What is found, by sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    found: [Found; Sentence::ALL.len()],
    /// Buyers that were told a seat.
    pub(crate) winners: u64,
    /// Buyers that were refused.
    pub(crate) refused: u64,
}

impl Verdict {
    pub(crate) fn of(&self, sentence: Sentence) -> &Found {
        &self.found[sentence as usize]
    }

    /// Every sentence holds.
    pub(crate) fn is_clean(&self) -> bool {
        self.found.iter().all(|found| found.count == 0)
    }

    pub(super) fn violated(&mut self, sentence: Sentence, example: impl FnOnce() -> String) {
        let found = &mut self.found[sentence as usize];
        found.count += 1;
        if found.examples.len() < EXAMPLES_MAX {
            found.examples.push(example());
        }
    }
}
