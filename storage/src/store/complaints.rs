//! What an operator is told of clients that ask for too much: once a minute, however often they do.

/// Milliseconds between two lines on the same.
const PAUSE_MS: u64 = 60_000;

/// When a line was said last.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    said_ms: Option<u64>,
}

impl Complaint {
    /// Whether to say it, now.
    pub(crate) fn is_due(&mut self, now_ms: u64) -> bool {
        let is_due = self.said_ms.is_none_or(|said_ms| now_ms >= said_ms + PAUSE_MS);
        if is_due {
            self.said_ms = Some(now_ms);
        }
        is_due
    }
}

/// What was complained of.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    /// A put was refused, since too many ids are remembered.
    pub(crate) ids: Complaint,
    /// A child was not made, since its queue has too many.
    pub(crate) children: Complaint,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_once_a_minute() {
        let mut complaint = Complaint::default();
        let said: Vec<u64> = (0..200).map(|second| second * 1000).filter(|now_ms| complaint.is_due(*now_ms)).collect();
        assert_eq!(said, [0, 60_000, 120_000, 180_000]);
    }
}
