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
    /// In [`Pending::texts`].
    text: Range<usize>,
    state: State<R>,
}

#[derive(Debug)]
enum State<R> {
    /// Its outcome is not there yet.
    Awaited(R),
    Answered(R, Outcome),
    /// The text is the whole reply.
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

    /// Adds a reply whose outcome is delivered later. `name`: the queue's.
    pub(crate) fn push_awaited(&mut self, reply: R, name: &[u8]) {
        self.push(State::Awaited(reply), name);
    }

    /// Adds a reply whose outcome is there, behind those that are not.
    pub(crate) fn push_answered(&mut self, reply: R, name: &[u8], outcome: Outcome) {
        self.push(State::Answered(reply, outcome), name);
    }

    /// Adds a reply that needs no outcome, behind those that do.
    pub(crate) fn push_text(&mut self, text: &[u8]) {
        self.push(State::Text, text);
    }

    #[inline]
    fn push(&mut self, state: State<R>, text: &[u8]) {
        let start = self.texts.len();
        self.texts.extend_from_slice(text);
        self.entries.push_back(Entry { text: start..self.texts.len(), state });
        assert!(
            matches!(self.entries[0].state, State::Awaited(_)),
            "what awaits no outcome is written at once when nothing is pending"
        );
    }

    /// Takes the next outcome, and has all replies written that can be now.
    ///
    /// # Panics
    /// When no outcome is awaited.
    pub(crate) fn deliver(&mut self, outcome: Outcome, mut write: impl FnMut(Ready<'_, R>)) {
        let mut delivered = Some(outcome);
        while let Some(Entry { text, state }) =
            self.entries.pop_front_if(|next| delivered.is_some() || !matches!(next.state, State::Awaited(_)))
        {
            let text = &self.texts[text];
            write(match state {
                State::Awaited(reply) => {
                    Ready::Outcome(reply, text, delivered.take().expect("the first alone is written by it"))
                }
                State::Answered(reply, outcome) => Ready::Outcome(reply, text, outcome),
                State::Text => Ready::Text(text),
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
        pending.push_awaited(1, b"one");
        pending.push_answered(2, b"two", Outcome::Empty);
        pending.push_text(b"three");
        pending.push_awaited(4, b"four");
        pending.push_text(b"five");
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
        Pending::<u32>::default().push_text(b"late");
    }
}
