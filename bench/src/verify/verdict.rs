//! What the verifier found.

use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Stored, and never received.
    Lost,
    /// Received again after it was taken or acknowledged.
    Doubled,
    /// With two holders at a time.
    Shared,
    /// Received behind a later one of the same producer and queue.
    Reordered,
    /// Not as it was sent, or never sent.
    Corrupted,
    /// Received out of another queue.
    Misplaced,
    /// Not of this run.
    Foreign,
}

impl Fault {
    pub(crate) const ALL: [Fault; 7] = [
        Fault::Lost,
        Fault::Doubled,
        Fault::Shared,
        Fault::Reordered,
        Fault::Corrupted,
        Fault::Misplaced,
        Fault::Foreign,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::Lost => "lost",
            Fault::Doubled => "doubled",
            Fault::Shared => "shared",
            Fault::Reordered => "reordered",
            Fault::Corrupted => "corrupted",
            Fault::Misplaced => "misplaced",
            Fault::Foreign => "foreign",
        }
    }
}

/// One message with a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Example {
    /// The queue's place among the run's queues.
    pub(crate) queue: u32,
    pub(crate) producer: Option<u32>,
    pub(crate) number: Option<u64>,
    /// The body, where nothing else is known.
    pub(crate) text: Option<String>,
}

impl Example {
    /// Words for it.
    pub(crate) fn describe(&self, key_prefix: &str, key_minimum: u32) -> String {
        let mut words = format!("queue {key_prefix}{}", key_minimum + self.queue);
        if let Some(producer) = self.producer {
            words += &format!(", producer {producer}");
        }
        if let Some(number) = self.number {
            words += &format!(", number {number}");
        }
        if let Some(text) = &self.text {
            words += &format!(", body {text}");
        }
        words
    }
}

/// Counts, and the first examples of each fault.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Messages that the server said it had stored.
    pub(crate) stored: u64,
    /// Messages that gets and opens brought, each time that they came.
    pub(crate) received: u64,
    pub(crate) acknowledged: u64,
    /// Messages that came again as promised, since their consumer was gone or too slow.
    pub(crate) redelivered: u64,
    /// Messages that are missing, but may have been taken by gets whose connection broke before they were answered.
    pub(crate) excused: u64,
    /// Why the queues could not be emptied, if they could not: what is lost is not known then.
    pub(crate) not_drained: Option<String>,
    faults: BTreeMap<Fault, (u64, Vec<Example>)>,
}

impl Verdict {
    pub(super) fn add(&mut self, fault: Fault, example: Example, examples_max: usize) {
        let (count, examples) = self.faults.entry(fault).or_default();
        *count += 1;
        if examples.len() < examples_max {
            examples.push(example);
        }
    }

    pub(crate) fn count(&self, fault: Fault) -> u64 {
        self.faults.get(&fault).map_or(0, |(count, _)| *count)
    }

    pub(crate) fn examples(&self, fault: Fault) -> &[Example] {
        self.faults.get(&fault).map_or(&[], |(_, examples)| examples)
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.faults.is_empty() && self.not_drained.is_none()
    }
}
