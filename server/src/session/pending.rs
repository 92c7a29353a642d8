//! Replies that cannot be written yet, in the order of their commands. What another shard does is answered when its outcome
//! is there, and all that is behind it then.

use std::collections::VecDeque;
use std::ops::Range;

use shards::Outcome;

/// Replies of the kind `R` that are not written yet: the first awaits an outcome, or there is none.
#[derive(Debug)]
pub(crate) struct Pending<R> {
    entries: VecDeque<Entry<R>>,
    /// The texts of all entries.
    texts: Vec<u8>,
}

#[derive(Debug)]
struct Entry<R> {
    waiting: Waiting<R>,
    /// In [`Pending::texts`].
    text: Range<usize>,
}

/// A reply that cannot be written yet.
#[derive(Debug)]
pub(crate) enum Waiting<R> {
    /// Its outcome is delivered later. Its text is the queue's name.
    ForOutcome(R),
    /// Its outcome is there, and it is behind a reply that awaits one. Its text is the queue's name.
    WithOutcome(R, Outcome),
    /// It needs no outcome, and is behind a reply that awaits one. Its text is the whole reply.
    Text,
}

/// A reply that can be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ready<'a, R> {
    /// An outcome, what is to be replied to it, and the name of its queue.
    Outcome(R, &'a [u8], Outcome),
    Text(&'a [u8]),
}

impl<R> Default for Pending<R> {
    fn default() -> Pending<R> {
        Pending { entries: VecDeque::new(), texts: Vec::new() }
    }
}

impl<R> Pending<R> {
    /// Whether the next reply can be written at once.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a reply behind all others.
    ///
    /// # Panics
    /// When it could be written at once: nothing is pending, and it awaits no outcome.
    pub(crate) fn push(&mut self, waiting: Waiting<R>, text: &[u8]) {
        assert!(
            !self.entries.is_empty() || matches!(waiting, Waiting::ForOutcome(_)),
            "what awaits no outcome is written at once when nothing is pending"
        );
        let start = self.texts.len();
        self.texts.extend_from_slice(text);
        self.entries.push_back(Entry { waiting, text: start..self.texts.len() });
    }

    /// Takes the next outcome, and has all replies written that can be now.
    ///
    /// # Panics
    /// When no outcome is awaited.
    pub(crate) fn deliver(&mut self, outcome: Outcome, mut write: impl FnMut(Ready<'_, R>)) {
        let mut delivered = Some(outcome);
        while let Some(Entry { waiting, text }) =
            self.entries.pop_front_if(|next| delivered.is_some() || !matches!(next.waiting, Waiting::ForOutcome(_)))
        {
            let text = &self.texts[text];
            write(match waiting {
                Waiting::ForOutcome(reply) => {
                    Ready::Outcome(reply, text, delivered.take().expect("the first alone is written by it"))
                }
                Waiting::WithOutcome(reply, outcome) => Ready::Outcome(reply, text, outcome),
                Waiting::Text => Ready::Text(text),
            });
        }
        assert!(delivered.is_none(), "an outcome that nothing awaits");
        if self.entries.is_empty() {
            self.texts.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(pending: &mut Pending<u32>, outcome: Outcome) -> Vec<String> {
        let mut written = Vec::new();
        pending.deliver(outcome, |ready| written.push(format!("{ready:?}")));
        written
    }

    fn text(ready: Ready<'_, u32>) -> String {
        format!("{ready:?}")
    }

    #[test]
    fn replies_are_written_in_the_order_of_their_commands() {
        let mut pending = Pending::default();
        pending.push(Waiting::ForOutcome(1), b"one");
        pending.push(Waiting::WithOutcome(2, Outcome::Empty), b"two");
        pending.push(Waiting::Text, b"three");
        pending.push(Waiting::ForOutcome(4), b"four");
        pending.push(Waiting::Text, b"five");
        let first = [
            text(Ready::Outcome(1, b"one", Outcome::Stored)),
            text(Ready::Outcome(2, b"two", Outcome::Empty)),
            text(Ready::Text(b"three")),
        ];
        assert_eq!(delivered(&mut pending, Outcome::Stored), first);
        assert!(!pending.is_empty());
        let last = [text(Ready::Outcome(4, b"four", Outcome::Done)), text(Ready::Text(b"five"))];
        assert_eq!(delivered(&mut pending, Outcome::Done), last);
        assert!(pending.is_empty() && pending.texts.is_empty());
    }

    #[test]
    #[should_panic(expected = "an outcome that nothing awaits")]
    fn an_outcome_too_many_is_found() {
        Pending::<u32>::default().deliver(Outcome::Done, |_| {});
    }

    #[test]
    #[should_panic(expected = "what awaits no outcome is written at once")]
    fn what_could_be_written_is_not_kept() {
        Pending::<u32>::default().push(Waiting::Text, b"late");
    }
}
